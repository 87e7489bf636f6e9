/* SPDX-License-Identifier: BSD-3-Clause */
/* What the load consists of: the mix of operations and the keys they touch. */
#ifndef LOADGEN_WORKLOAD_H
#define LOADGEN_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/loadgen/key_chooser.h"
#include "dataplane/loadgen/operation.h"
#include "dataplane/loadgen/rng.h"

/* Counters (keys of INCREMENT) and appended keys are this many at most, or as many as there are
 * plain keys.
 */
#define WORKLOAD_COUNTERS_MAX 65536u

/* Shares of operation kinds, and the distribution of keys.
 *
 * Thread safety: constant once parsed; shared by all workers.
 */
struct workload {
	double shares[OPERATION_KIND_COUNT]; /* add up to 1 */
	enum key_distribution distribution;
	double exponent;
	bool scrambled;
	uint64_t key_count; /* plain keys 0..key_count-1 are loaded before the run */
	uint64_t counter_count;
	struct operation_format format;
};

/* Sets the mix to YCSB's core workload 'a', 'b', 'c', 'd' or 'f' (B. F. Cooper et al.,
 * "Benchmarking cloud serving systems with YCSB", SoCC 2010), with its key distribution. False for
 * another letter.
 */
bool workload_set_ycsb(struct workload *workload, char letter);

/* Sets the mix from text like "get=90,set=10"; the numbers are weights. False, with one line in
 * 'error', when it is no mix.
 */
bool workload_parse_mix(struct workload *workload, const char *text, char *error,
			size_t error_size);

/* Most bytes of one datagram of 'count' operations of the mix, both ways, headers of the protocol
 * included.
 */
uint32_t workload_datagram_size_max(const struct workload *workload, unsigned count);

/* Whether any operation of this kind occurs. */
static inline bool workload_has(const struct workload *workload, enum operation_kind kind)
{
	return workload->shares[kind] > 0.0;
}

/* Inserted keys that not every reader may expect yet. */
#define WORKLOAD_INSERTS_IN_FLIGHT_MAX 65536u

/* One worker's stream of operations. Workers insert into disjoint stripes of keys behind key_count,
 * so that nothing is shared; 'latest' of a worker means the newest keys of its own stripe, then the
 * loaded ones.
 *
 * Thread safety: one thread at a time.
 */
struct workload_cursor {
	const struct workload *workload;
	struct rng rng;
	struct key_chooser chooser;
	uint64_t kind_limits[OPERATION_KIND_COUNT]; /* cumulative shares of 2^64 */
	enum operation_kind single; /* the only kind there is, or OPERATION_KIND_COUNT */
	uint64_t writes;            /* numbers values; starts apart for each worker */
	uint32_t worker;
	uint32_t worker_count;
	uint64_t inserts_begun;
	uint64_t inserts_acknowledged; /* all before this one are */
	uint8_t *inserts_done;         /* ring of flags behind inserts_acknowledged */
};

/* 0 or -ENOMEM. */
int workload_cursor_init(struct workload_cursor *cursor, const struct workload *workload,
			 uint32_t worker, uint32_t worker_count, uint64_t seed);
void workload_cursor_fini(struct workload_cursor *cursor);

/* Draws an operation that is no plain GET of a uniform key: see workload_next(). */
void workload_next_any(struct workload_cursor *cursor, struct operation *operation);

/* Draws the next operation of the mix. Its number is set for writes only. */
static inline void workload_next(struct workload_cursor *cursor, struct operation *operation)
{
	if (cursor->single != OPERATION_GET) {
		workload_next_any(cursor, operation);
		return;
	}
	operation->kind = OPERATION_GET;
	operation->space = KEY_SPACE_PLAIN;
	operation->is_put_off = false;
	operation->number = 0;
	operation->key = key_chooser_next(&cursor->chooser, &cursor->rng);
}

/* A number no other write of this run has. */
static inline uint64_t workload_next_write(struct workload_cursor *cursor)
{
	return cursor->writes++;
}

/* The insert of 'key', one of this cursor's, is there: 'latest' may choose it. */
void workload_insert_done(struct workload_cursor *cursor, uint64_t key);

#endif
