/* SPDX-License-Identifier: BSD-3-Clause */
/* What all parts of the simulation do: tell, hash, draw, and plan what will happen. */
#include "tests/simulation/sim_state.h"

#include <stdarg.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

void sim_tell(const struct sim *sim, const char *format, ...)
{
	va_list arguments;

	if (!sim->options.story)
		return;
	fprintf(sim->options.story, "%10.6f  ", (double)sim->now_us / 1e6);
	va_start(arguments, format);
	vfprintf(sim->options.story, format, arguments);
	va_end(arguments);
	fputc('\n', sim->options.story);
}

void sim_trace(struct sim *sim, const struct sim_event *event)
{
	uint64_t words[4] = { sim->result->trace, event->at_us,
			      (uint64_t)event->kind << 48 | (uint64_t)event->node << 32 |
				      event->from,
			      event->size ? XXH3_64bits(event->bytes, event->size) : 0 };

	sim->result->trace = XXH3_64bits(words, sizeof(words));
}

uint32_t sim_below(struct sim *sim, uint32_t bound)
{
	return prng_below(sim->chance, bound);
}

bool sim_is_chosen(struct sim *sim, uint32_t percent)
{
	return percent > 0 && sim_below(sim, 100) < percent;
}

bool sim_has(const struct sim *sim, uint32_t faults)
{
	return !sim->is_healed && (sim->faults & faults);
}

void sim_push(struct sim *sim, struct sim_event event, uint64_t delay_us, const void *bytes,
	      size_t size)
{
	event.at_us = sim->now_us + delay_us;
	event_heap_push(&sim->heap, event, bytes, size);
}

void sim_turn_in(struct sim *sim, uint32_t index, uint64_t delay_us)
{
	struct server *server = sim_server_of(sim, index);

	if (server->turn_us > sim->now_us && server->turn_us <= sim->now_us + delay_us)
		return;
	server->turn_us = sim->now_us + delay_us;
	sim_push(sim, (struct sim_event){ .kind = EVENT_TURN, .node = index, .life = server->life },
		 delay_us, NULL, 0);
}

void sim_plan_client(struct sim *sim, uint32_t index)
{
	uint64_t due_us = sim->clients[index].due_us;

	if (due_us == UINT64_MAX || due_us == sim->client_due_us[index])
		return;
	sim->client_due_us[index] = due_us;
	sim_push(sim, (struct sim_event){ .kind = EVENT_CLIENT, .node = index },
		 due_us > sim->now_us ? due_us - sim->now_us : 0, NULL, 0);
}

struct server *sim_server_of(struct sim *sim, uint32_t index)
{
	return &sim->servers[index];
}

struct link *sim_link_of(struct sim *sim, uint32_t from, uint32_t to)
{
	return &sim->links[from][to];
}
