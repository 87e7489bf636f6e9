/* SPDX-License-Identifier: BSD-3-Clause */
/* Challenges, grants and the replacement of idle sessions. */
#include "dataplane/session.h"

#include <errno.h>
#include <rte_common.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/wire_format.h"

#define NONE UINT32_MAX

static_assert(SESSION_IDLE_MIN_MS >= WIRE_RETRANSMIT_MS_MAX + SESSION_TOUCH_MS,
	      "no copy of a request outlives its session");

/* Sessions that other workers kept alive and that one grant passes over at most, looking for an
 * idle one.
 */
#define FOREIGN_RENEWALS_MAX 8

/* ---- life ---- */

static int allocate(struct session_table *table)
{
	size_t size = table->count_max * sizeof(struct session);
	uint32_t bucket_count = rte_align32pow2(table->count_max);

	table->sessions = aligned_alloc(64, size);
	table->buckets = calloc(bucket_count, sizeof(uint32_t));
	if (!table->sessions || !table->buckets)
		return -ENOMEM;
	memset(table->sessions, 0, size);
	memset(table->buckets, 0xff, bucket_count * sizeof(uint32_t));
	table->bucket_mask = bucket_count - 1;
	for (uint32_t slot = 0; slot < table->count_max; slot++)
		table->sessions[slot].next = slot + 1 < table->count_max ? slot + 1 : NONE;
	return age_list_init(&table->ages, table->count_max);
}

int session_table_create(struct session_table **table_out, uint32_t worker, uint32_t count_max,
			 const uint8_t seed[SESSION_SEED_SIZE])
{
	struct session_table *table;
	int error;

	if (worker >= WORKER_COUNT_MAX || count_max > SESSION_COUNT_MAX)
		return -EINVAL;
	table = calloc(1, sizeof(*table));
	if (!table)
		return -ENOMEM;
	table->worker = worker;
	table->count_max = count_max ? count_max : SESSION_COUNT_DEFAULT;
	table->secret_root = siphash_key_load(seed);
	table->token_root = siphash_key_load(seed + 16);
	table->index_root = siphash_key_load(seed + 32);
	table->secret_epoch = UINT64_MAX; /* none drawn yet */
	table->refusals_left = SESSION_REFUSALS_BURST * 1000;
	error = allocate(table);
	if (error) {
		session_table_destroy(table);
		return error;
	}
	*table_out = table;
	return 0;
}

void session_table_destroy(struct session_table *table)
{
	if (!table)
		return;
	age_list_fini(&table->ages);
	free(table->buckets);
	free(table->sessions);
	free(table);
}

uint32_t session_count(const struct session_table *table)
{
	return __atomic_load_n(&table->count, __ATOMIC_RELAXED);
}

/* ---- challenges ---- */

static struct siphash_key draw_secret(const struct session_table *table, uint64_t epoch)
{
	uint64_t low[2] = { epoch, 0 };
	uint64_t high[2] = { epoch, 1 };

	return (struct siphash_key){ siphash(table->secret_root, low, sizeof(low)),
				     siphash(table->secret_root, high, sizeof(high)) };
}

static void rotate_secret(struct session_table *table, uint64_t now_ms)
{
	uint64_t epoch = now_ms / SESSION_SECRET_PERIOD_MS;

	if (epoch == table->secret_epoch)
		return;
	table->secret = draw_secret(table, epoch);
	table->secret_previous = draw_secret(table, epoch - 1);
	table->secret_epoch = epoch;
}

static uint64_t challenge_of(struct siphash_key secret, uint64_t endpoint, uint64_t client_nonce)
{
	uint64_t words[2] = { endpoint, client_nonce };
	uint64_t challenge = siphash(secret, words, sizeof(words));

	return challenge ? challenge : 1; /* 0 on the wire means that there is none */
}

static bool challenge_right(const struct session_table *table, uint64_t endpoint,
			    uint64_t client_nonce, uint64_t challenge)
{
	return challenge != 0 &&
	       (challenge == challenge_of(table->secret, endpoint, client_nonce) ||
		challenge == challenge_of(table->secret_previous, endpoint, client_nonce));
}

/* ---- the endpoint index ---- */

static uint32_t *bucket_of(const struct session_table *table, uint64_t endpoint)
{
	uint64_t hash = siphash(table->index_root, &endpoint, sizeof(endpoint));

	return &table->buckets[hash & table->bucket_mask];
}

static uint32_t find(const struct session_table *table, uint64_t endpoint)
{
	uint32_t slot = *bucket_of(table, endpoint);

	while (slot != NONE && table->sessions[slot].endpoint != endpoint)
		slot = table->sessions[slot].next;
	return slot;
}

static void unlink_endpoint(struct session_table *table, uint32_t slot)
{
	uint32_t *link = bucket_of(table, table->sessions[slot].endpoint);

	while (*link != slot)
		link = &table->sessions[*link].next;
	*link = table->sessions[slot].next;
}

/* ---- grants ---- */

static uint64_t draw_token(struct session_table *table)
{
	uint64_t token;

	do {
		uint64_t counter = table->tokens_drawn++;

		token = siphash(table->token_root, &counter, sizeof(counter));
	} while (token == 0);
	return token;
}

/* The order that session_check_foreign() relies on: the token goes first and comes last. */
static void publish(struct session *session, uint64_t endpoint, uint64_t token)
{
	__atomic_store_n(&session->token, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	__atomic_store_n(&session->endpoint, endpoint, __ATOMIC_RELAXED);
	__atomic_store_n(&session->token, token, __ATOMIC_RELEASE);
}

void session_touch(struct session_table *table, uint32_t slot, uint64_t now_ms)
{
	table->sessions[slot].touched_ms = now_ms;
	age_list_renew(&table->ages, slot);
}

/* Takes the longest idle session out of the table; its slot, or NONE when all are in use. */
static uint32_t take_idle(struct session_table *table, uint64_t now_ms)
{
	for (int i = 0; i < FOREIGN_RENEWALS_MAX; i++) {
		uint32_t slot = table->ages.oldest;
		struct session *session = &table->sessions[slot];
		uint64_t foreign_ms =
			__atomic_load_n(&session->foreign_touched_ms, __ATOMIC_RELAXED);

		if (now_ms - session->touched_ms < SESSION_IDLE_MIN_MS)
			return NONE;
		if (foreign_ms <= session->touched_ms) {
			unlink_endpoint(table, slot);
			age_list_remove(&table->ages, slot);
			__atomic_store_n(&table->count, table->count - 1, __ATOMIC_RELAXED);
			return slot;
		}
		/* Another core's clock may be ahead; a time to come would look like a very long
		 * idle one.
		 */
		session_touch(table, slot, foreign_ms < now_ms ? foreign_ms : now_ms);
	}
	return NONE;
}

static uint32_t take_slot(struct session_table *table, uint64_t now_ms)
{
	uint32_t slot = table->free;

	if (slot == NONE)
		return take_idle(table, now_ms);
	table->free = table->sessions[slot].next;
	return slot;
}

/* Opens a session for an endpoint that has none; its slot or NONE. */
static uint32_t open_session(struct session_table *table, uint64_t endpoint, uint64_t client_nonce,
			     uint64_t now_ms)
{
	uint32_t slot = take_slot(table, now_ms);
	uint32_t *bucket = bucket_of(table, endpoint);
	struct session *session;

	if (slot == NONE)
		return NONE;
	session = &table->sessions[slot];
	session->client_nonce = client_nonce;
	session->touched_ms = now_ms;
	__atomic_store_n(&session->foreign_touched_ms, 0, __ATOMIC_RELAXED);
	session->next = *bucket;
	*bucket = slot;
	age_list_add(&table->ages, slot);
	__atomic_store_n(&table->count, table->count + 1, __ATOMIC_RELAXED);
	publish(session, endpoint, draw_token(table));
	return slot;
}

/* The slot of the endpoint's session for this nonce: the one it has, or a new one; NONE when the
 * table is full.
 */
static uint32_t grant(struct session_table *table, uint64_t endpoint, uint64_t client_nonce,
		      uint64_t now_ms)
{
	uint32_t slot = find(table, endpoint);
	struct session *session;

	if (slot == NONE)
		return open_session(table, endpoint, client_nonce, now_ms);
	session = &table->sessions[slot];
	if (session->client_nonce != client_nonce) {
		session->client_nonce = client_nonce;
		publish(session, endpoint, draw_token(table));
	}
	session_touch(table, slot, now_ms);
	return slot;
}

enum session_hello_result session_hello(struct session_table *table, uint32_t ipv4, uint16_t port,
					uint64_t client_nonce, uint64_t challenge, uint64_t now_ms,
					struct session_answer *answer)
{
	uint64_t endpoint = session_endpoint(ipv4, port);
	uint32_t slot;

	rotate_secret(table, now_ms);
	*answer = (struct session_answer){ .challenge = 0 };
	if (!challenge_right(table, endpoint, client_nonce, challenge)) {
		answer->challenge = challenge_of(table->secret, endpoint, client_nonce);
		return SESSION_CHALLENGED;
	}
	slot = grant(table, endpoint, client_nonce, now_ms);
	if (slot == NONE)
		return SESSION_TABLE_FULL;
	answer->session_id = (table->worker << SESSION_WORKER_SHIFT) + slot + 1;
	answer->token = table->sessions[slot].token;
	answer->challenge = challenge;
	return SESSION_GRANTED;
}

/* ---- refusals ---- */

bool session_may_refuse(struct session_table *table, uint64_t now_ms)
{
	uint64_t elapsed_ms = now_ms - table->refusals_filled_ms;
	uint64_t full = SESSION_REFUSALS_BURST * 1000ull;
	/* One refusal is 1000; a bucket is full after burst / rate seconds, so a long pause need
	 * not be multiplied.
	 */
	uint64_t gained = elapsed_ms >= 1000 ? full : elapsed_ms * SESSION_REFUSALS_PER_SECOND;

	table->refusals_filled_ms = now_ms;
	table->refusals_left += gained;
	if (table->refusals_left > full)
		table->refusals_left = full;
	if (table->refusals_left < 1000)
		return false;
	table->refusals_left -= 1000;
	return true;
}
