/* SPDX-License-Identifier: BSD-3-Clause */
/* A node by itself and its clients: every kind of datagram, sessions, requests, time. */
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
		FUZZ_STEP_REQUEST,     FUZZ_STEP_REQUEST, FUZZ_STEP_REQUEST, FUZZ_STEP_HELLO,
		FUZZ_STEP_DATAGRAM,    FUZZ_STEP_REQUEST, FUZZ_STEP_FRAME,   FUZZ_STEP_PING,
		FUZZ_STEP_MAP_REQUEST, FUZZ_STEP_ADVANCE,
	};
	static struct fuzz_node node;

	fuzz_node_begin(&node, false);
	fuzz_story_play(&node, data, size, steps, sizeof(steps) / sizeof(steps[0]));
	fuzz_node_end(&node);
	return 0;
}
