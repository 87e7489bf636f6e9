/* SPDX-License-Identifier: BSD-3-Clause */
/* What will happen in a simulation, by virtual time. */
#ifndef TESTS_SIMULATION_EVENT_HEAP_H
#define TESTS_SIMULATION_EVENT_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_event {
	uint64_t at_us;
	uint64_t order; /* of creation: breaks ties; set by event_heap_push() */
	uint32_t kind;
	uint32_t node;
	uint32_t from;
	uint32_t partition;
	uint32_t home; /* of whom is asked, or answers */
	uint64_t
		life; /* of the node when the event was made; the harness skips those of earlier lives */
	uint64_t number;
	bool is_damaged;  /* the bytes are not those that were sent */
	bool is_unknown;  /* of a kind that only a later release knows */
	bool is_replayed; /* they have arrived before */
	size_t size;
	uint8_t *bytes; /* owned; NULL when size is 0 */
};

/* Thread safety: none. */
struct event_heap {
	uint32_t count;
	uint32_t capacity;
	uint64_t order;
	struct sim_event *events;
};

/* Copies 'size' bytes at 'bytes' into the event. Aborts without memory. */
void event_heap_push(struct event_heap *heap, struct sim_event event, const void *bytes,
		     size_t size);

/* The earliest event; there is one. The caller frees 'bytes'. */
struct sim_event event_heap_pop(struct event_heap *heap);

void event_heap_fini(struct event_heap *heap);

#endif
