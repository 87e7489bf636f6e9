/* SPDX-License-Identifier: BSD-3-Clause */
/* A node among others: FORWARD and its reply, partitions that are parked, refused and change their owners. */
#include "tests/fuzz/fuzz_story.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	fuzz_eal_init();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum fuzz_step steps[] = {
		FUZZ_STEP_REQUEST,       FUZZ_STEP_REQUEST, FUZZ_STEP_FORWARD, FUZZ_STEP_FORWARD,
		FUZZ_STEP_FORWARD_REPLY, FUZZ_STEP_ACCESS,  FUZZ_STEP_ADVANCE, FUZZ_STEP_ARP,
		FUZZ_STEP_ROTATE,        FUZZ_STEP_HELLO,
	};
	static struct fuzz_node node;

	fuzz_node_begin(&node, true);
	fuzz_story_play(&node, data, size, steps, sizeof(steps) / sizeof(steps[0]));
	fuzz_node_end(&node);
	return 0;
}
