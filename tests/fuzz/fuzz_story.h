/* SPDX-License-Identifier: BSD-3-Clause */
/* An input read as what clients, other nodes and the operator do to a node. */
#ifndef TESTS_FUZZ_STORY_H
#define TESTS_FUZZ_STORY_H

#include "tests/fuzz/fuzz_node.h"

/* What may happen; each story has some of them. */
enum fuzz_step {
	FUZZ_STEP_REQUEST,
	FUZZ_STEP_HELLO,
	FUZZ_STEP_DATAGRAM, /* of any kind and any bytes */
	FUZZ_STEP_MAP_REQUEST,
	FUZZ_STEP_PING,
	FUZZ_STEP_FRAME, /* any bytes */
	FUZZ_STEP_ADVANCE,
	FUZZ_STEP_ACCESS,
	FUZZ_STEP_FORWARD, /* from another node */
	FUZZ_STEP_FORWARD_REPLY,
	FUZZ_STEP_ARP,
	FUZZ_STEP_ROTATE, /* owners change */
};

/* Steps that are played. */
#define FUZZ_STEP_MAX 64u

struct fuzz_steps {
	uint32_t count;
	enum fuzz_step kinds[16]; /* one more often than once is likelier */
};

/* Plays the story in 'data'. Each step is a byte for the kind, 'steps' by turns (its high bit: the frame waits for more of its
 * burst), and then what this kind of step needs to be told; bytes that are missing count as 0. So any change of an input
 * is a change of the story, and mostly one that makes sense.
 */
void fuzz_story_play(struct fuzz_node *node, const uint8_t *data, size_t size,
		     const struct fuzz_steps *steps);

/* Where the steps of the story begin, and behind them where the last one ends; returns how many there are. A step that reads
 * more or less after what happened before it is taken as if nothing had happened.
 */
uint32_t fuzz_story_bounds(const uint8_t *data, size_t size, const struct fuzz_steps *steps,
			   uint16_t bounds[FUZZ_STEP_MAX + 1]);

/* LLVMFuzzerCustomMutator() and LLVMFuzzerCustomCrossOver() that know steps: they come, go, are told twice or in another order,
 * lie in one field; stories continue in the midst of others.
 */
size_t fuzz_story_mutate(uint8_t *data, size_t size, size_t size_max, unsigned seed,
			 const struct fuzz_steps *steps);
size_t fuzz_story_cross(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
			uint8_t *out, size_t size_max, unsigned seed,
			const struct fuzz_steps *steps);

#endif
