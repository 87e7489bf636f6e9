/* SPDX-License-Identifier: BSD-3-Clause */
/* One thread of the load generator: sends the operations of a phase, matches replies, counts. */
#ifndef LOADGEN_LOAD_WORKER_H
#define LOADGEN_LOAD_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/loadgen/arrival.h"
#include "dataplane/loadgen/flow.h"
#include "dataplane/loadgen/load_source.h"
#include "dataplane/loadgen/put_off.h"
#include "dataplane/loadgen/tally.h"
#include "dataplane/loadgen/transport.h"

struct load_phase {
	enum load_phase_kind kind;
	uint64_t start;        /* ticks */
	uint64_t measure_from; /* LOAD_RUN: ticks; earlier is warm-up */
	uint64_t until;        /* LOAD_RUN: ticks */
};

/* Thread safety: the thread that runs a phase; others may read 'rest' and 'measured' meanwhile.
 * Between phases its creator.
 */
struct load_worker {
	const struct load_settings *settings;
	struct transport *transport; /* the creator's */
	const uint32_t *stop;        /* the creator's flag: nonzero ends a phase early */
	uint32_t index;
	struct load_source source;
	struct arrival arrival;
	struct load_phase phase;
	struct flow *flows
		[TRANSPORT_FLOW_COUNT_MAX]; /* flow i talks to server worker i % server_workers */
	uint32_t flow_count;
	uint32_t flow_next; /* the last one used; the search for room starts there */
	struct wire_hello_reply server;
	struct tally *measured;   /* of requests planned within the measured time */
	struct tally *rest;       /* of all others */
	uint32_t burst_datagrams; /* answered in the burst at hand, and their operations */
	uint32_t burst_ops;
	uint32_t outstanding; /* datagrams */
	bool exhausted;       /* the phase has no more operations */
	uint64_t expire_next; /* ticks: when to look for requests without reply again */
	uint64_t expire_gap;
	struct put_off_queue put_off;
	char failure[256]; /* why the phase failed, "" = it did not */
};

/* 'stop' stays the caller's. NULL when there is no memory. */
struct load_worker *load_worker_create(const struct load_settings *settings, uint32_t index,
				       struct transport *transport, const uint32_t *stop);

/* Accepts NULL; leaves the transport alone. */
void load_worker_destroy(struct load_worker *worker);

/* Runs one phase until it is complete and its last request resolved. 0, or -1 with 'failure' set.
 */
int load_worker_run(struct load_worker *worker, const struct load_phase *phase);

/* Receives once, for other workers' sake: a device may put their replies into this one's queue
 * after its own phase is complete.
 */
void load_worker_serve(struct load_worker *worker);

/* The tally that a request planned at 'planned' belongs to. */
static inline struct tally *load_worker_tally(struct load_worker *worker, uint64_t planned)
{
	return planned - worker->phase.measure_from <
			       worker->phase.until - worker->phase.measure_from
		       ? worker->measured
		       : worker->rest;
}

/* Notes the first failure of a phase, which ends it. */
__attribute__((format(printf, 2, 3))) void load_worker_fail(struct load_worker *worker,
							    const char *format, ...);

#endif
