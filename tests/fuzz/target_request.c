/* SPDX-License-Identifier: BSD-3-Clause */
/* A node by itself and its clients: every kind of datagram, sessions, requests, time. */
#include "tests/fuzz/fuzz_story.h"

static const struct fuzz_steps steps = {
	10,
	{
		FUZZ_STEP_REQUEST,
		FUZZ_STEP_REQUEST,
		FUZZ_STEP_REQUEST,
		FUZZ_STEP_HELLO,
		FUZZ_STEP_DATAGRAM,
		FUZZ_STEP_REQUEST,
		FUZZ_STEP_FRAME,
		FUZZ_STEP_PING,
		FUZZ_STEP_MAP_REQUEST,
		FUZZ_STEP_ADVANCE,
	},
};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	fuzz_eal_init();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz_node node;

	fuzz_node_begin(&node, false);
	fuzz_story_play(&node, data, size, &steps);
	fuzz_node_end(&node);
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
	return fuzz_story_mutate(data, size, size_max, seed, &steps);
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
				 uint8_t *out, size_t size_max, unsigned seed)
{
	return fuzz_story_cross(a, a_size, b, b_size, out, size_max, seed, &steps);
}
