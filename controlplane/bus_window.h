/* SPDX-License-Identifier: BSD-3-Clause */
/* Which counters of which sender have been seen: each is accepted once. */
#ifndef CONTROLPLANE_BUS_WINDOW_H
#define CONTROLPLANE_BUS_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/bus_crypto.h"

/* One sender: the greatest counter seen, and which of the BUS_WINDOW_SIZE up to it. */
struct bus_sender {
	uint8_t session[BUS_SESSION_SIZE];
	uint64_t counter_max;
	uint64_t used_at;                    /* of the table's own clock: one tick a message */
	uint32_t next;                       /* in its bucket, BUS_WINDOW_NONE = last */
	uint64_t seen[BUS_WINDOW_SIZE / 64]; /* bit counter % BUS_WINDOW_SIZE */
};

#define BUS_WINDOW_NONE UINT32_MAX
#define BUS_WINDOW_BUCKET_COUNT 1024u

/* Bounded: BUS_SENDER_COUNT_MAX senders, about 350 KB. Thread safety: none. */
struct bus_window {
	uint64_t clock;
	uint32_t sender_count;
	uint32_t buckets[BUS_WINDOW_BUCKET_COUNT];
	struct bus_sender senders[BUS_SENDER_COUNT_MAX];
};

void bus_window_init(struct bus_window *window);

/* Whether 'counter' (1 and up) of 'session' is seen for the first time and not too old; remembers
 * it if so. Only for messages that are proven authentic.
 */
bool bus_window_accept(struct bus_window *window, const uint8_t session[BUS_SESSION_SIZE],
		       uint64_t counter);

#endif
