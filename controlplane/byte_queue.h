/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes that came in and are not yet used, in one piece. */
#ifndef CONTROLPLANE_BYTE_QUEUE_H
#define CONTROLPLANE_BYTE_QUEUE_H

#include <stddef.h>
#include <stdint.h>

/* Zeroed at first. Thread safety: none. */
struct byte_queue {
	uint8_t *memory;
	size_t capacity;
	size_t start; /* of what is not used yet */
	size_t end;
};

/* Accepts a zeroed object. */
void byte_queue_fini(struct byte_queue *queue);

static inline const uint8_t *byte_queue_bytes(const struct byte_queue *queue)
{
	return queue->memory + queue->start;
}

static inline size_t byte_queue_size(const struct byte_queue *queue)
{
	return queue->end - queue->start;
}

/* Room for 'size' more bytes behind the last one, or NULL without memory. Moves what is there. */
uint8_t *byte_queue_room(struct byte_queue *queue, size_t size);

/* 'size' bytes of the room have been filled. */
static inline void byte_queue_added(struct byte_queue *queue, size_t size)
{
	queue->end += size;
}

/* The first 'size' bytes are used. */
void byte_queue_drop(struct byte_queue *queue, size_t size);

#endif
