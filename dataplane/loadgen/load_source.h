/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a worker's operations come from, gathered by the server worker they go to. */
#ifndef LOADGEN_LOAD_SOURCE_H
#define LOADGEN_LOAD_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/loadgen/load_settings.h"

enum load_phase_kind {
	LOAD_CONNECT, /* open all flows */
	LOAD_PRELOAD, /* SET every key once, until acknowledged */
	LOAD_RUN,     /* the mix, until the time is over */
	LOAD_VERIFY,  /* GET every key once, until answered */
};

/* An operation that follows another one's reply. */
struct load_followup {
	struct operation operation;
	uint64_t since; /* ticks: when it could have been sent */
};

/* Operations for one server worker that wait for their datagram to be full. */
struct load_bin {
	uint32_t count;
	struct operation operations[LOAD_OPS_MAX];
};

/* Thread safety: one thread at a time. */
struct load_source {
	const struct load_settings *settings;
	struct workload_cursor cursor;
	enum load_phase_kind phase;
	uint32_t ops_per_datagram; /* of this phase */
	uint64_t next; /* LOAD_PRELOAD, LOAD_VERIFY: the next key of this worker's stripe */
	uint64_t end;
	uint16_t server_workers; /* 1 = nothing is routed */
	uint16_t partition_count;
	uint16_t full_bin; /* index of a bin whose datagram is due, or server_workers */
	struct load_bin *bins;
	struct operation *redo; /* stack of operations the server asked to send again */
	uint32_t redo_count;
	uint32_t redo_max;
	struct load_followup *followups; /* ring */
	uint32_t followups_max;          /* power of two */
	uint32_t followups_head;         /* counts all ever put in; index modulo followups_max */
	uint32_t followups_tail;         /* counts all ever taken */
};

/* 0 or -ENOMEM. */
int load_source_init(struct load_source *source, const struct load_settings *settings,
		     uint32_t worker);
void load_source_fini(struct load_source *source);

/* The server has so many workers: partition p belongs to worker p % server_workers. 0 or -ENOMEM.
 */
int load_source_route(struct load_source *source, uint16_t server_workers,
		      uint16_t partition_count);

/* Starts a phase. */
void load_source_begin(struct load_source *source, enum load_phase_kind phase);

/* Gathers operations until a datagram is due: see load_source_ready(). */
bool load_source_gather(struct load_source *source, uint16_t *server_worker);

/* Whether there is a datagram to send, and to which server worker; stays the same until
 * load_source_take().
 */
static inline bool load_source_ready(struct load_source *source, uint16_t *server_worker)
{
	if (source->server_workers == 1 && source->phase == LOAD_RUN) {
		*server_worker = 0;
		return true;
	}
	return load_source_gather(source, server_worker);
}

/* Draws one operation; false when the phase has no more. */
bool load_source_next(struct load_source *source, struct operation *operation);

/* The operations of the datagram that is ready, at most 'ops_per_datagram'; returns how many, 0
 * when the phase has no more.
 */
static inline uint32_t load_source_take(struct load_source *source, struct operation *operations)
{
	uint32_t count = 0;

	if (source->server_workers == 1) {
		if (source->phase == LOAD_RUN) {
			do {
				workload_next(&source->cursor, &operations[count]);
			} while (++count < source->ops_per_datagram);
			return count;
		}
		while (count < source->ops_per_datagram &&
		       load_source_next(source, &operations[count]))
			count++;
		return count;
	}
	count = source->bins[source->full_bin].count;
	memcpy(operations, source->bins[source->full_bin].operations, count * sizeof(*operations));
	source->bins[source->full_bin].count = 0;
	source->full_bin = source->server_workers;
	return count;
}

/* The server worker that owns the key of 'operation'. */
uint16_t load_source_worker_of(const struct load_source *source, const struct operation *operation);

/* The server asks to send 'operation' of a load phase again. */
void load_source_redo(struct load_source *source, const struct operation *operation);

/* 'operation' is to be sent, since 'since'; false when too many wait. */
bool load_source_follow(struct load_source *source, const struct operation *operation,
			uint64_t since);

static inline bool load_source_has_followup(const struct load_source *source)
{
	return source->followups_head != source->followups_tail;
}

/* The server worker of the first operation that follows another; needs load_source_has_followup().
 */
uint16_t load_source_followup_worker(const struct load_source *source);

/* Takes the first such operation, and those behind it for the same server worker, into one
 * datagram.
 */
uint32_t load_source_take_followups(struct load_source *source, struct operation *operations,
				    uint64_t *since);

#endif
