/* SPDX-License-Identifier: BSD-3-Clause */
/* The bus between the nodes of one cluster: each message encrypted and authenticated with the
 * cluster's key.
 */
#include "controlplane/bus_crypto.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/bus_cipher.h"
#include "controlplane/bus_window.h"

enum bus_offset {
	AT_MAGIC = 0,
	AT_VERSION = 2,
	AT_KIND = 3,
	AT_CLUSTER_TAG = 4,
	AT_KEY_TAG = 12,
	AT_NONCE = 16, /* session and counter */
	AT_SESSION = 16,
	AT_COUNTER = 32,
};

#define CLUSTER_TAG_SIZE 8u
#define KEY_TAG_SIZE 4u

static_assert(BUS_KEY_SIZE == BUS_CIPHER_KEY_SIZE, "key size");
static_assert(BUS_MAC_SIZE == BUS_CIPHER_MAC_SIZE, "mac size");
static_assert(BUS_HEADER_SIZE - AT_NONCE == BUS_CIPHER_NONCE_SIZE,
	      "session and counter are the nonce");
static_assert(AT_COUNTER + sizeof(uint64_t) == BUS_HEADER_SIZE, "the counter is last");

enum bus_kind { KIND_DATAGRAM = 1, KIND_STREAM = 2 };

/* Streams count in the upper half, so that their pace does not move the datagrams' replay window;
 * no nonce repeats.
 */
#define STREAM_COUNTER_BIT (UINT64_C(1) << 63)

/* What is authenticated besides the text: the header, the cluster's name, and a stream's binding
 * and position.
 */
#define ASSOCIATED_SIZE_MAX                                                                        \
	(BUS_HEADER_SIZE + BUS_CLUSTER_NAME_SIZE + 2 * BUS_SESSION_SIZE + 1 + sizeof(uint64_t))

struct associated {
	size_t size;
	uint8_t bytes[ASSOCIATED_SIZE_MAX];
};

struct bus_crypto {
	char cluster_name[BUS_CLUSTER_NAME_SIZE];
	uint8_t cluster_tag[CLUSTER_TAG_SIZE];
	uint8_t session[BUS_SESSION_SIZE];
	uint64_t datagrams;
	uint64_t stream_messages;
	struct bus_cipher *cipher;
	struct bus_keys keys; /* count 0: insecure */
	uint8_t key_tags[BUS_KEY_COUNT_MAX][KEY_TAG_SIZE];
	struct bus_window window;
};

/* ---- names ---- */

static const struct {
	const char *name;
	const char *advice;
} results[BUS_RESULT_COUNT] = {
	[BUS_OK] = { "ok", "accepted" },
	[BUS_TRUNCATED] = { "truncated",
			    "not a message of the cluster bus; check who sends to this port" },
	[BUS_WRONG_VERSION] = { "wrong_version", "the sender speaks another version of the bus "
						 "protocol; upgrade the older node" },
	[BUS_WRONG_CLUSTER] = { "wrong_cluster", "the sender belongs to a cluster of another name; "
						 "check cluster.name" },
	[BUS_WRONG_KEY] = { "wrong_key", "the sender uses another cluster key; give both nodes the "
					 "same key file" },
	[BUS_FORGED] = { "forged", "altered on the way, or made up; check who can reach the "
				   "control network" },
	[BUS_REPLAYED] = { "replayed", "seen before, or very late; harmless now and then" },
};

const char *bus_result_name(enum bus_result result)
{
	return result < BUS_RESULT_COUNT ? results[result].name : "unknown";
}

const char *bus_result_advice(enum bus_result result)
{
	return result < BUS_RESULT_COUNT ? results[result].advice : "unknown";
}

/* ---- key files ---- */

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* One line without its newline: 1 a key, 0 nothing, -1 neither. */
static int parse_key_line(struct bus_key *key, const char *line, size_t size)
{
	const char *comment = memchr(line, '#', size);
	size_t key_size;

	if (comment)
		size = (size_t)(comment - line);
	while (size > 0 && is_space(line[size - 1]))
		size--;
	while (size > 0 && is_space(*line)) {
		line++;
		size--;
	}
	if (size == 0)
		return 0;
	if (size != 2 * BUS_KEY_SIZE ||
	    sodium_hex2bin(key->bytes, BUS_KEY_SIZE, line, size, NULL, &key_size, NULL) != 0 ||
	    key_size != BUS_KEY_SIZE)
		return -1;
	return 1;
}

int bus_keys_parse(struct bus_keys *keys, const char *text, size_t size, uint32_t *line)
{
	const char *end = text + size;

	memset(keys, 0, sizeof(*keys));
	*line = 0;
	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		const char *line_end = newline ? newline : end;
		struct bus_key key;
		int found = parse_key_line(&key, text, (size_t)(line_end - text));

		++*line;
		if (found < 0 || (found > 0 && keys->count == BUS_KEY_COUNT_MAX))
			return -EINVAL;
		if (found > 0)
			keys->items[keys->count++] = key;
		text = newline ? newline + 1 : end;
	}
	if (keys->count > 0)
		return 0;
	*line = 0;
	return -EINVAL;
}

/* ---- life ---- */

static void make_tag(uint8_t *tag, size_t tag_size, const char *text, const uint8_t *key)
{
	uint8_t hash[crypto_generichash_BYTES];

	crypto_generichash(hash, sizeof(hash), (const uint8_t *)text, strlen(text), key,
			   key ? BUS_KEY_SIZE : 0);
	memcpy(tag, hash, tag_size);
}

void bus_crypto_set_keys(struct bus_crypto *crypto, const struct bus_keys *keys)
{
	memset(&crypto->keys, 0, sizeof(crypto->keys));
	memset(crypto->key_tags, 0, sizeof(crypto->key_tags));
	if (!keys)
		return;
	crypto->keys = *keys;
	for (uint32_t i = 0; i < keys->count; i++)
		make_tag(crypto->key_tags[i], KEY_TAG_SIZE, "godwit bus key", keys->items[i].bytes);
}

int bus_crypto_create(struct bus_crypto **crypto, const char *cluster_name,
		      const struct bus_keys *keys, const uint8_t session[BUS_SESSION_SIZE])
{
	size_t name_size = strlen(cluster_name);
	struct bus_crypto *new;

	if (name_size == 0 || name_size >= BUS_CLUSTER_NAME_SIZE || sodium_init() < 0)
		return -EINVAL;
	new = calloc(1, sizeof(*new));
	if (!new)
		return -ENOMEM;
	new->cipher = bus_cipher_create();
	if (!new->cipher) {
		free(new);
		return -ENOMEM;
	}
	memcpy(new->cluster_name, cluster_name, name_size);
	memcpy(new->session, session, BUS_SESSION_SIZE);
	make_tag(new->cluster_tag, CLUSTER_TAG_SIZE, cluster_name, NULL);
	bus_crypto_set_keys(new, keys);
	bus_window_init(&new->window);
	*crypto = new;
	return 0;
}

void bus_crypto_destroy(struct bus_crypto *crypto)
{
	if (!crypto)
		return;
	sodium_memzero(&crypto->keys, sizeof(crypto->keys));
	bus_cipher_destroy(crypto->cipher);
	free(crypto);
}

/* ---- sealing ---- */

static void put_u64(uint8_t *at, uint64_t value)
{
	for (uint32_t i = 0; i < 8; i++)
		at[i] = (uint8_t)(value >> (56 - 8 * i));
}

static uint64_t get_u64(const uint8_t *at)
{
	uint64_t value = 0;

	for (uint32_t i = 0; i < 8; i++)
		value = value << 8 | at[i];
	return value;
}

static void put_header(const struct bus_crypto *crypto, enum bus_kind kind, uint64_t counter,
		       uint8_t *header)
{
	header[AT_MAGIC] = 'G';
	header[AT_MAGIC + 1] = 'B';
	header[AT_VERSION] = BUS_VERSION;
	header[AT_KIND] = (uint8_t)kind;
	memcpy(header + AT_CLUSTER_TAG, crypto->cluster_tag, CLUSTER_TAG_SIZE);
	memcpy(header + AT_KEY_TAG, crypto->key_tags[0], KEY_TAG_SIZE);
	memcpy(header + AT_SESSION, crypto->session, BUS_SESSION_SIZE);
	put_u64(header + AT_COUNTER, counter);
}

static void append(struct associated *associated, const void *bytes, size_t size)
{
	memcpy(associated->bytes + associated->size, bytes, size);
	associated->size += size;
}

/* 'stream' is NULL for a datagram. */
static void associate(struct associated *associated, const struct bus_crypto *crypto,
		      const uint8_t *header, const struct bus_stream *stream)
{
	uint8_t position[8];

	associated->size = 0;
	append(associated, header, BUS_HEADER_SIZE);
	append(associated, crypto->cluster_name, BUS_CLUSTER_NAME_SIZE);
	if (!stream)
		return;
	put_u64(position, stream->counter);
	append(associated, stream->binding, sizeof(stream->binding));
	append(associated, position, sizeof(position));
}

/* What an insecure bus has instead of a mac: it finds accidents, not attackers. */
static void make_checksum(uint8_t *checksum, const struct associated *associated,
			  const uint8_t *text, size_t text_size)
{
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, BUS_MAC_SIZE);
	crypto_generichash_update(&state, associated->bytes, associated->size);
	crypto_generichash_update(&state, text, text_size);
	crypto_generichash_final(&state, checksum, BUS_MAC_SIZE);
}

static struct bus_cipher_message message_of(const struct associated *associated,
					    const uint8_t *sealed, const struct bus_key *key)
{
	return (struct bus_cipher_message){ .key = key->bytes,
					    .nonce = sealed + AT_NONCE,
					    .associated = associated->bytes,
					    .associated_size = associated->size };
}

static size_t seal(const struct bus_crypto *crypto, const struct associated *associated,
		   const void *plain, size_t plain_size, uint8_t *sealed)
{
	uint8_t *text = sealed + BUS_HEADER_SIZE;

	if (crypto->keys.count == 0) {
		memcpy(text, plain, plain_size);
		make_checksum(text + plain_size, associated, text, plain_size);
	} else {
		struct bus_cipher_message message =
			message_of(associated, sealed, &crypto->keys.items[0]);

		bus_cipher_seal(crypto->cipher, &message, plain, plain_size, text);
	}
	return plain_size + BUS_OVERHEAD;
}

size_t bus_seal(struct bus_crypto *crypto, const void *plain, size_t plain_size, uint8_t *sealed)
{
	struct associated associated;

	assert(plain_size <= BUS_PLAIN_SIZE_MAX);
	put_header(crypto, KIND_DATAGRAM, ++crypto->datagrams, sealed);
	associate(&associated, crypto, sealed, NULL);
	return seal(crypto, &associated, plain, plain_size, sealed);
}

/* ---- opening ---- */

/* The header's claims, before anything is proven: they only serve to name the reason of a refusal.
 */
static enum bus_result check_header(const struct bus_crypto *crypto, enum bus_kind kind,
				    const uint8_t *sealed, size_t sealed_size, size_t plain_max)
{
	if (sealed_size < AT_VERSION + 1 || sealed[AT_MAGIC] != 'G' || sealed[AT_MAGIC + 1] != 'B')
		return BUS_TRUNCATED;
	if (sealed[AT_VERSION] != BUS_VERSION)
		return BUS_WRONG_VERSION;
	if (sealed_size < BUS_OVERHEAD || sealed_size - BUS_OVERHEAD > plain_max ||
	    sealed[AT_KIND] != kind)
		return BUS_TRUNCATED;
	if (memcmp(sealed + AT_CLUSTER_TAG, crypto->cluster_tag, CLUSTER_TAG_SIZE) != 0)
		return BUS_WRONG_CLUSTER;
	return BUS_OK;
}

static enum bus_result open_clear(const struct bus_crypto *crypto,
				  const struct associated *associated, const uint8_t *sealed,
				  size_t text_size, uint8_t *plain)
{
	const uint8_t *text = sealed + BUS_HEADER_SIZE;
	uint8_t checksum[BUS_MAC_SIZE];

	if (memcmp(sealed + AT_KEY_TAG, crypto->key_tags[0], KEY_TAG_SIZE) != 0)
		return BUS_WRONG_KEY;
	make_checksum(checksum, associated, text, text_size);
	if (memcmp(checksum, text + text_size, BUS_MAC_SIZE) != 0)
		return BUS_FORGED;
	memcpy(plain, text, text_size);
	return BUS_OK;
}

static enum bus_result open_sealed(const struct bus_crypto *crypto,
				   const struct associated *associated, const uint8_t *sealed,
				   size_t text_size, uint8_t *plain)
{
	enum bus_result result = BUS_WRONG_KEY;

	for (uint32_t i = 0; i < crypto->keys.count; i++) {
		struct bus_cipher_message message =
			message_of(associated, sealed, &crypto->keys.items[i]);

		if (memcmp(sealed + AT_KEY_TAG, crypto->key_tags[i], KEY_TAG_SIZE) != 0)
			continue;
		if (bus_cipher_open(crypto->cipher, &message, sealed + BUS_HEADER_SIZE, text_size,
				    plain))
			return BUS_OK;
		result = BUS_FORGED;
	}
	return result;
}

static enum bus_result open_text(const struct bus_crypto *crypto, const struct bus_stream *stream,
				 const uint8_t *sealed, size_t text_size, uint8_t *plain)
{
	struct associated associated;

	associate(&associated, crypto, sealed, stream);
	if (crypto->keys.count == 0)
		return open_clear(crypto, &associated, sealed, text_size, plain);
	return open_sealed(crypto, &associated, sealed, text_size, plain);
}

enum bus_result bus_open(struct bus_crypto *crypto, const uint8_t *sealed, size_t sealed_size,
			 uint8_t *plain, size_t *plain_size)
{
	enum bus_result result =
		check_header(crypto, KIND_DATAGRAM, sealed, sealed_size, BUS_PLAIN_SIZE_MAX);

	if (result == BUS_OK)
		result = open_text(crypto, NULL, sealed, sealed_size - BUS_OVERHEAD, plain);
	if (result == BUS_OK &&
	    !bus_window_accept(&crypto->window, sealed + AT_SESSION, get_u64(sealed + AT_COUNTER)))
		result = BUS_REPLAYED;
	if (result == BUS_OK)
		*plain_size = sealed_size - BUS_OVERHEAD;
	return result;
}

/* ---- streams ---- */

void bus_stream_init(struct bus_stream *stream, struct bus_crypto *crypto,
		     const uint8_t opener[BUS_SESSION_SIZE],
		     const uint8_t acceptor[BUS_SESSION_SIZE], bool is_by_opener)
{
	stream->crypto = crypto;
	stream->counter = 0;
	memcpy(stream->binding, opener, BUS_SESSION_SIZE);
	memcpy(stream->binding + BUS_SESSION_SIZE, acceptor, BUS_SESSION_SIZE);
	stream->binding[2 * BUS_SESSION_SIZE] = is_by_opener;
}

size_t bus_stream_seal(struct bus_stream *stream, const void *plain, size_t plain_size,
		       uint8_t *sealed)
{
	struct bus_crypto *crypto = stream->crypto;
	struct associated associated;

	assert(plain_size <= BUS_STREAM_PLAIN_SIZE_MAX);
	stream->counter++;
	put_header(crypto, KIND_STREAM, STREAM_COUNTER_BIT | ++crypto->stream_messages, sealed);
	associate(&associated, crypto, sealed, stream);
	return seal(crypto, &associated, plain, plain_size, sealed);
}

enum bus_result bus_stream_open(struct bus_stream *stream, const uint8_t *sealed,
				size_t sealed_size, uint8_t *plain, size_t *plain_size)
{
	enum bus_result result = check_header(stream->crypto, KIND_STREAM, sealed, sealed_size,
					      BUS_STREAM_PLAIN_SIZE_MAX);

	if (result != BUS_OK)
		return result;
	stream->counter++;
	result = open_text(stream->crypto, stream, sealed, sealed_size - BUS_OVERHEAD, plain);
	if (result == BUS_OK)
		*plain_size = sealed_size - BUS_OVERHEAD;
	return result;
}
