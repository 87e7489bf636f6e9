/* SPDX-License-Identifier: BSD-3-Clause */
/* The bus between the nodes of one cluster: each message encrypted and authenticated with the
 * cluster's key.
 */
#ifndef CONTROLPLANE_BUS_CRYPTO_H
#define CONTROLPLANE_BUS_CRYPTO_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A message on the wire, XChaCha20-Poly1305 over the plain text, the header as associated data:
 *
 *      0       2         3      4             12        16        32        40
 *      +-------+---------+------+-------------+---------+---------+---------+-----------+-----+
 *      | magic | version | kind | cluster tag | key tag | session | counter | encrypted | mac |
 *      +-------+---------+------+-------------+---------+---------+---------+-----------+-----+
 *
 * magic        "GB"
 * version      of the bus protocol
 * kind         datagram or stream
 * cluster tag  of the cluster's name: tells a wrong cluster from a wrong key
 * key tag      of the key: tells which of two, during a rotation, and a wrong one from a forgery
 * session      random, drawn by the sender at each start; session and counter are the nonce
 * counter      big-endian, grows by one with each message of a session
 * mac          16 bytes
 */
#define BUS_VERSION 1u
#define BUS_HEADER_SIZE 40u
#define BUS_MAC_SIZE 16u
#define BUS_OVERHEAD (BUS_HEADER_SIZE + BUS_MAC_SIZE)
#define BUS_SESSION_SIZE 16u
#define BUS_DATAGRAM_SIZE_MAX 1400u
#define BUS_PLAIN_SIZE_MAX (BUS_DATAGRAM_SIZE_MAX - BUS_OVERHEAD)

#define BUS_KEY_SIZE 32u
#define BUS_KEY_COUNT_MAX 2u      /* the second one is accepted, never used to send */
#define BUS_CLUSTER_NAME_SIZE 64u /* NUL included */

/* Senders whose counters are remembered at once: twice NODE_COUNT_MAX, the one not heard for
 * longest is forgotten first.
 */
#define BUS_SENDER_COUNT_MAX 2048u
/* Counters behind the newest of a sender that may still arrive, once each. */
#define BUS_WINDOW_SIZE 1024u

/* Why a message was refused. Only BUS_OK means that any byte of it can be believed. */
enum bus_result {
	BUS_OK,
	BUS_TRUNCATED,     /* too short or too long, or not of this protocol at all */
	BUS_WRONG_VERSION, /* another version of the bus protocol */
	BUS_WRONG_CLUSTER, /* of a cluster with another name */
	BUS_WRONG_KEY,     /* of a key that this node does not have */
	BUS_FORGED,        /* the right tags, but not authentic: altered on the way, or made up */
	BUS_REPLAYED,      /* seen before, or too old to tell */
	BUS_RESULT_COUNT,
};

const char *bus_result_name(enum bus_result result); /* "wrong_key": for counters */
const char *bus_result_advice(
	enum bus_result result); /* one sentence for the operator: what it means, what to do */

struct bus_key {
	uint8_t bytes[BUS_KEY_SIZE];
};

struct bus_keys {
	uint32_t count; /* 1 or 2; the first one is used to send */
	struct bus_key items[BUS_KEY_COUNT_MAX];
};

/* Reads keys from the text of a key file: one key a line in 64 hexadecimal digits, the one to send
 * with first; '#' starts a comment, blank lines are skipped. 0, or -EINVAL with the number of the
 * offending line in '*line' (0: no key at all).
 */
int bus_keys_parse(struct bus_keys *keys, const char *text, size_t size, uint32_t *line);

/* Thread safety: none; the event loop owns it. It draws no random numbers: the caller brings the
 * session.
 */
struct bus_crypto;

/* 'session' must never repeat under one key: 16 bytes from a cryptographic generator at each start.
 * A node without keys (insecure_bus) gives 'keys' NULL: messages then go in clear, with a checksum
 * and the same tags and replay window. 0, -ENOMEM, or -EINVAL for a cluster name that is empty or
 * too long.
 */
int bus_crypto_create(struct bus_crypto **crypto, const char *cluster_name,
		      const struct bus_keys *keys, const uint8_t session[BUS_SESSION_SIZE]);
/* Accepts NULL. */
void bus_crypto_destroy(struct bus_crypto *crypto);

/* Other keys from now on (rotation): give the new key to all nodes as second, then as first, then
 * drop the old one.
 */
void bus_crypto_set_keys(struct bus_crypto *crypto, const struct bus_keys *keys);

/* Seals a datagram. 'plain_size' is at most BUS_PLAIN_SIZE_MAX; 'sealed' has room for plain_size +
 * BUS_OVERHEAD bytes. Returns the sealed size.
 */
size_t bus_seal(struct bus_crypto *crypto, const void *plain, size_t plain_size, uint8_t *sealed);

/* Opens a datagram into 'plain', which has room for BUS_PLAIN_SIZE_MAX bytes. '*plain_size' is set
 * on BUS_OK alone.
 */
enum bus_result bus_open(struct bus_crypto *crypto, const uint8_t *sealed, size_t sealed_size,
			 uint8_t *plain, size_t *plain_size);

/* One direction of a TCP connection. Each side sends 16 random bytes in clear as soon as the
 * connection stands; messages are bound to both sides' bytes and to the direction, and counted, so
 * none can be replayed, left out, reordered or reflected.
 */
struct bus_stream {
	struct bus_crypto *crypto;
	uint8_t binding[2 * BUS_SESSION_SIZE + 1];
	uint64_t counter;
};

#define BUS_STREAM_HELLO_SIZE BUS_SESSION_SIZE
/* Plain bytes of one message of a stream. */
#define BUS_STREAM_PLAIN_SIZE_MAX (4u * 1024u * 1024u)

/* 'opener' are the bytes sent by the side that opened the connection, 'acceptor' the other side's.
 * 'is_by_opener' tells whose messages this direction carries.
 */
void bus_stream_init(struct bus_stream *stream, struct bus_crypto *crypto,
		     const uint8_t opener[BUS_SESSION_SIZE],
		     const uint8_t acceptor[BUS_SESSION_SIZE], bool is_by_opener);

/* As bus_seal() and bus_open(), for the next message of the direction. 'plain' has room for
 * sealed_size - BUS_OVERHEAD.
 */
size_t bus_stream_seal(struct bus_stream *stream, const void *plain, size_t plain_size,
		       uint8_t *sealed);
enum bus_result bus_stream_open(struct bus_stream *stream, const uint8_t *sealed,
				size_t sealed_size, uint8_t *plain, size_t *plain_size);

#endif
