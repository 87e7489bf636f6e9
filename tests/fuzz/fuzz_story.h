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

/* Plays the story in 'data'. Each step is a byte for the kind, 'steps' by turns (its high bit: the frame waits for more of its
 * burst), and then what this kind of step needs to be told; bytes that are missing count as 0. So any change of an input
 * is a change of the story, and mostly one that makes sense.
 */
void fuzz_story_play(struct fuzz_node *node, const uint8_t *data, size_t size,
		     const enum fuzz_step *steps, uint32_t step_kinds);

#endif
