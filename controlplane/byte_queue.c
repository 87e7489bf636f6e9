/* SPDX-License-Identifier: BSD-3-Clause */
/* A growing piece of memory whose front is given up. */
#include "controlplane/byte_queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void byte_queue_fini(struct byte_queue *queue)
{
	free(queue->memory);
	memset(queue, 0, sizeof(*queue));
}

uint8_t *byte_queue_room(struct byte_queue *queue, size_t size)
{
	size_t used = byte_queue_size(queue);
	uint8_t *memory;

	if (queue->capacity - queue->end >= size)
		return queue->memory + queue->end;
	if (queue->start > 0) {
		memmove(queue->memory, queue->memory + queue->start, used);
		queue->start = 0;
		queue->end = used;
	}
	if (queue->capacity - used < size) {
		memory = realloc(queue->memory, used + size);
		if (!memory)
			return NULL;
		queue->memory = memory;
		queue->capacity = used + size;
	}
	return queue->memory + used;
}

void byte_queue_drop(struct byte_queue *queue, size_t size)
{
	assert(size <= byte_queue_size(queue));
	queue->start += size;
	if (queue->start == queue->end)
		queue->start = queue->end = 0;
}
