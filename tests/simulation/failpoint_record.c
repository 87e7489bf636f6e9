/* SPDX-License-Identifier: BSD-3-Clause */
/* The messages of a first attempt, kept to arrive once more. */
#include <stdlib.h>
#include <string.h>

#include "tests/simulation/failpoint_state.h"

void failpoint_record(struct failpoint *failpoint, const struct sim_event *event)
{
	struct failpoint_message *message;

	if (failpoint->message_count == failpoint->message_max) {
		failpoint->message_max = failpoint->message_max ? 2 * failpoint->message_max : 64;
		failpoint->messages = realloc(
			failpoint->messages, failpoint->message_max * sizeof(*failpoint->messages));
		if (!failpoint->messages)
			abort();
	}
	message = &failpoint->messages[failpoint->message_count++];
	message->from = event->from;
	message->to = event->node;
	message->size = event->size;
	message->bytes = malloc(event->size);
	if (!message->bytes)
		abort();
	memcpy(message->bytes, event->bytes, event->size);
}

void failpoint_replay(struct failpoint *failpoint)
{
	struct sim *sim = failpoint->sim;

	for (uint32_t i = 0; i < failpoint->message_count; i++) {
		const struct failpoint_message *message = &failpoint->messages[i];

		sim_node_take_sync(sim_server_of(sim, message->to)->node, sim->now_us,
				   message->from, message->bytes, message->size);
		sim_turn_in(sim, message->to, 1);
	}
}

void failpoint_forget(struct failpoint *failpoint)
{
	for (uint32_t i = 0; i < failpoint->message_count; i++)
		free(failpoint->messages[i].bytes);
	free(failpoint->messages);
}
