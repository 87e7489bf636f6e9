/* SPDX-License-Identifier: BSD-3-Clause */
/* What a worker counted. */
#ifndef LOADGEN_TALLY_H
#define LOADGEN_TALLY_H

#include <stdint.h>

#include "dataplane/loadgen/histogram.h"
#include "dataplane/loadgen/operation.h"

/* All zero is empty. What belongs to a request counts where its planned time does, but for
 * received_*.
 *
 * Thread safety: one thread counts, by tally_add(); others may merge from it meanwhile.
 */
struct tally {
	uint64_t planned; /* datagrams whose planned send time came */
	uint64_t sent;    /* datagrams of which the first transmission went out */
	uint64_t retried; /* transmissions after the first */
	uint64_t lost;    /* datagrams given up without reply */
	uint64_t put_off; /* operations answered RETRY that were asked again */
	uint64_t late;    /* sent later than the limit after their planned time, or not at all */
	uint64_t blocked; /* turns: a datagram was due, no flow had room for it */
	uint64_t received_datagrams; /* replies, by the time they came in */
	uint64_t received_ops;
	uint64_t unexpected;  /* replies nobody waits for: late, duplicated or foreign */
	uint64_t malformed;   /* replies that make no sense, or refuse the datagram as a whole */
	uint64_t need_hello;  /* replies saying that the session is gone */
	uint64_t cas_skipped; /* CAS not sent because its GET found nothing */
	uint64_t checked;     /* replies held against what must be */
	uint64_t wrong;       /* of these: a value that was never written to that key */
	uint64_t stale;       /* of these: older than a write that had been acknowledged */
	uint64_t missing;     /* of these: not found though it must be there */
	uint64_t late_ticks_max;
	uint64_t statuses[OPERATION_KIND_COUNT][WIRE_STATUS_COUNT];
	struct histogram latency[OPERATION_KIND_COUNT]; /* nanoseconds */
};

static inline void tally_add(uint64_t *counter, uint64_t n)
{
	histogram_add(counter, n);
}

/* NULL when there is no memory. Free with free(). */
struct tally *tally_create(void);

void tally_merge(struct tally *into, const struct tally *from);

/* Operations of 'kind' that were answered, and those answered neither OK, nor NOT_FOUND, nor as a
 * conflict of writers (EXISTS_ALREADY, VERSION_MISMATCH).
 */
uint64_t tally_ops(const struct tally *tally, unsigned kind);
uint64_t tally_errors(const struct tally *tally, unsigned kind);

/* Names of enum wire_status, in lower case. */
const char *tally_status_name(unsigned status);

#endif
