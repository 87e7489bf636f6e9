/* SPDX-License-Identifier: BSD-3-Clause */
/* What will happen in a simulation: a binary heap. */
#include "tests/simulation/event_heap.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *need(void *memory)
{
	if (!memory) {
		fprintf(stderr, "simulation: out of memory\n");
		abort();
	}
	return memory;
}

static bool comes_first(const struct sim_event *a, const struct sim_event *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

void event_heap_push(struct event_heap *heap, struct sim_event event, const void *bytes,
		     size_t size)
{
	uint32_t at = heap->count;

	if (at == heap->capacity) {
		heap->capacity = at ? 2 * at : 256;
		heap->events =
			need(realloc(heap->events, heap->capacity * sizeof(heap->events[0])));
	}
	event.order = ++heap->order;
	event.size = size;
	event.bytes = NULL;
	if (size > 0) {
		event.bytes = need(malloc(size));
		memcpy(event.bytes, bytes, size);
	}
	heap->count++;
	while (at > 0 && comes_first(&event, &heap->events[(at - 1) / 2])) {
		heap->events[at] = heap->events[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	heap->events[at] = event;
}

struct sim_event event_heap_pop(struct event_heap *heap)
{
	struct sim_event first = heap->events[0];
	struct sim_event last = heap->events[--heap->count];
	uint32_t at = 0;

	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child >= heap->count)
			break;
		if (child + 1 < heap->count &&
		    comes_first(&heap->events[child + 1], &heap->events[child]))
			child++;
		if (comes_first(&last, &heap->events[child]))
			break;
		heap->events[at] = heap->events[child];
		at = child;
	}
	heap->events[at] = last;
	return first;
}

void event_heap_fini(struct event_heap *heap)
{
	for (uint32_t i = 0; i < heap->count; i++)
		free(heap->events[i].bytes);
	free(heap->events);
	memset(heap, 0, sizeof(*heap));
}
