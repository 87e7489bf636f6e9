/* SPDX-License-Identifier: BSD-3-Clause */
/* The sessions of one worker: who proved its address and may ask for more than a challenge. */
#ifndef DATAPLANE_SESSION_H
#define DATAPLANE_SESSION_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "dataplane/age_list.h"
#include "dataplane/siphash.h"
#include "storage/limits.h"

/* Sessions of one worker when the options name no number: 64 bytes each, and 12 for the index and
 * the order of age.
 */
#define SESSION_COUNT_DEFAULT 16384u
#define SESSION_COUNT_MAX 0x00ffffffu

/* How long one challenge secret signs; the one before it is still accepted. */
#define SESSION_SECRET_PERIOD_MS 120000u

/* A session used less long ago than this is never replaced. Longer than any client repeats a
 * request (WIRE_RETRANSMIT_MS_MAX), so that a late copy cannot meet a table that has forgotten
 * it.
 */
#define SESSION_IDLE_MIN_MS 30000u

/* The age of a session is known to this precision, so that most checks write nothing. */
#define SESSION_TOUCH_MS 1000u

/* NEED_HELLO answers per second of one worker, and how many may come at once. */
#define SESSION_REFUSALS_PER_SECOND 10000u
#define SESSION_REFUSALS_BURST 1000u

/* Random bytes a table is made from: secrets and tokens are drawn from them by SipHash, so that
 * no grant asks the system.
 */
#define SESSION_SEED_SIZE 48u

/* session_id = worker << 24 | slot + 1. Never 0. */
#define SESSION_WORKER_SHIFT 24u
static_assert(WORKER_COUNT_MAX <= 256, "a session id keeps the worker in 8 bits");

/* One session: exactly what a check reads, in one cache line. */
struct session {
	uint64_t token;    /* 0 = free. Naturally atomic; a grant clears it first, sets it last */
	uint64_t endpoint; /* ipv4 << 16 | port. Naturally atomic */
	uint64_t client_nonce;       /* of the HELLO it was granted to */
	uint64_t touched_ms;         /* last use, to SESSION_TOUCH_MS */
	uint64_t foreign_touched_ms; /* last use by another worker, likewise. Naturally atomic */
	uint32_t next;               /* slot in the same bucket, or free after this one */
} __attribute__((aligned(64)));
static_assert(sizeof(struct session) == 64, "one cache line");

/* Thread safety: one worker owns a table and calls everything. session_check_foreign() and
 * session_count() alone may be called by any thread while the table lives. Fields are for this
 * module.
 */
struct session_table {
	struct session *sessions;
	uint32_t *buckets; /* endpoint -> first slot */
	uint32_t bucket_mask;
	uint32_t count_max;
	uint32_t count; /* naturally atomic */
	uint32_t free;  /* first free slot */
	uint32_t worker;
	uint64_t tokens_drawn;
	uint64_t secret_epoch; /* now_ms / SESSION_SECRET_PERIOD_MS when 'secret' was drawn */
	struct siphash_key secret;
	struct siphash_key secret_previous;
	struct siphash_key secret_root; /* the three parts of the seed */
	struct siphash_key token_root;
	struct siphash_key index_root;
	uint64_t refusals_filled_ms;
	uint64_t refusals_left; /* in thousandths */
	struct age_list ages;
};

/* Makes the table of 'worker' for at most 'count_max' sessions (0 = SESSION_COUNT_DEFAULT).
 * 'seed' must be unpredictable and differ for every table and start. 0 or -errno.
 */
int session_table_create(struct session_table **table, uint32_t worker, uint32_t count_max,
			 const uint8_t seed[SESSION_SEED_SIZE]);
void session_table_destroy(struct session_table *table);

/* Sessions open now. Any thread. */
uint32_t session_count(const struct session_table *table);

enum session_hello_result {
	SESSION_CHALLENGED, /* answer->challenge is to be echoed */
	SESSION_GRANTED,    /* answer->session_id and ->token */
	SESSION_TABLE_FULL, /* nothing to answer: every session is in use; the client asks again */
};

struct session_answer {
	uint64_t challenge;
	uint64_t token;
	uint32_t session_id;
};

/* Answers a HELLO from 'ipv4' and 'port' (host byte order). Nothing is remembered until a HELLO
 * brings the challenge that was sent to the same address, port and nonce; a wrong or expired one
 * is answered like none, with a new one.
 *
 * An endpoint has one session: the same nonce gets it again (its HELLO_REPLY was lost), another
 * nonce ends it and opens a new one. In a full table the session idle for longest is replaced if
 * that is at least SESSION_IDLE_MIN_MS.
 */
enum session_hello_result session_hello(struct session_table *table, uint32_t ipv4, uint16_t port,
					uint64_t client_nonce, uint64_t challenge, uint64_t now_ms,
					struct session_answer *answer);

/* Whether one more NEED_HELLO may be sent now; counts it. */
bool session_may_refuse(struct session_table *table, uint64_t now_ms);

static inline uint64_t session_endpoint(uint32_t ipv4, uint16_t port)
{
	return (uint64_t)ipv4 << 16 | port;
}

/* The worker whose table a session id belongs to; any number up to 255 in a forged id. */
static inline uint32_t session_worker(uint32_t session_id)
{
	return session_id >> SESSION_WORKER_SHIFT;
}

/* The slot a session id names if it is of this table; the result may be out of range. */
static inline uint32_t session_slot(const struct session_table *table, uint32_t session_id)
{
	return session_id - 1 - (table->worker << SESSION_WORKER_SHIFT);
}

/* Notes that the session in 'slot' is in use. */
void session_touch(struct session_table *table, uint32_t slot, uint64_t now_ms);

/* Whether the sender at 'ipv4' and 'port' holds the session it claims. */
static inline bool session_check(struct session_table *table, uint32_t session_id, uint64_t token,
				 uint32_t ipv4, uint16_t port, uint64_t now_ms)
{
	uint32_t slot = session_slot(table, session_id);
	const struct session *session;

	if (slot >= table->count_max)
		return false;
	session = &table->sessions[slot];
	if (token == 0 || session->token != token ||
	    session->endpoint != session_endpoint(ipv4, port))
		return false;
	if (now_ms - session->touched_ms >= SESSION_TOUCH_MS)
		session_touch(table, slot, now_ms);
	return true;
}

/* The same for a session of another worker of this node: a client may use one session at all
 * ports of a node. Any thread.
 *
 * The owner may end or re-grant the session meanwhile. A token is drawn once and never again, so
 * a token that reads the same before and after the endpoint says that both belong together; a
 * token in the middle of a grant reads 0.
 */
static inline bool session_check_foreign(const struct session_table *table, uint32_t session_id,
					 uint64_t token, uint32_t ipv4, uint16_t port,
					 uint64_t now_ms)
{
	uint32_t slot = session_slot(table, session_id);
	struct session *session;

	if (slot >= table->count_max)
		return false;
	session = &table->sessions[slot];
	if (token == 0 || __atomic_load_n(&session->token, __ATOMIC_ACQUIRE) != token ||
	    __atomic_load_n(&session->endpoint, __ATOMIC_ACQUIRE) != session_endpoint(ipv4, port) ||
	    __atomic_load_n(&session->token, __ATOMIC_RELAXED) != token)
		return false;
	if (now_ms - __atomic_load_n(&session->foreign_touched_ms, __ATOMIC_RELAXED) >=
	    SESSION_TOUCH_MS)
		__atomic_store_n(&session->foreign_touched_ms, now_ms, __ATOMIC_RELAXED);
	return true;
}

#endif
