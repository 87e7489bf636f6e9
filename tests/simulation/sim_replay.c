/* SPDX-License-Identifier: BSD-3-Clause */
/* Datagrams and frames of long ago that arrive once more, whoever lives by then at the address they are for. */
#include "tests/simulation/sim_state.h"

#include <stdlib.h>
#include <string.h>

#include "dataplane/packet_format.h"
#include "dataplane/wire_codec.h"

/* Nobody promises anything about copies of requests that are older; see docs/protocol.md. */
#define REQUEST_US_MAX (UINT64_C(25) * 1000000)
#define DELAY_US_MAX 1000u
#define KEPT_OF 8u /* one of so many that arrive */

static uint32_t below(struct sim *sim, uint32_t bound)
{
	return prng_below(&sim->fault_prngs[SIM_FAULT_NUMBER_REPLAY], bound);
}

/* ---- which may be repeated ---- */

/* The client's request in a frame; NULL: there is none. */
static const uint8_t *find_request(const struct sim_event *event, uint32_t *client_ipv4)
{
	const uint8_t *payload = event->bytes + PACKET_AT_UDP_PAYLOAD;

	if (event->size < PACKET_HEADERS_SIZE + WIRE_HEADER_SIZE ||
	    wire_get_u16(event->bytes + PACKET_AT_ETHERTYPE) != PACKET_ETHERTYPE_IPV4)
		return NULL;
	if (payload[WIRE_AT_KIND] == WIRE_REQUEST) {
		*client_ipv4 = wire_get_u32(event->bytes + PACKET_AT_IPV4_SOURCE);
		return payload;
	}
	if (payload[WIRE_AT_KIND] != WIRE_FORWARD)
		return NULL;
	*client_ipv4 = wire_get_u32(payload + WIRE_HEADER_SIZE);
	return payload + WIRE_FORWARD_SIZE;
}

/* A write that its client gave up may be executed when any copy of it arrives: that is what UNKNOWN means, and no fault. */
static bool is_harmless(struct sim *sim, const struct sim_event *event)
{
	const uint8_t *request;
	uint32_t ipv4, client;

	if (event->kind != EVENT_FRAME)
		return true;
	request = find_request(event, &ipv4);
	if (!request)
		return true;
	client = sim_client_of_ipv4(ipv4);
	return client < sim->client_count && sim->now_us - event->at_us <= REQUEST_US_MAX &&
	       sim_client_is_settled(&sim->clients[client], wire_get_u64(request + WIRE_AT_TOKEN),
				     wire_get_u32(request + WIRE_AT_SEQUENCE));
}

/* ---- keeping and repeating ---- */

static void keep(struct sim *sim, const struct sim_event *event)
{
	struct sim_event *kept = &sim->kept[below(sim, SIM_KEPT_MAX)];

	free(kept->bytes);
	*kept = *event;
	kept->bytes = malloc(event->size);
	if (!kept->bytes)
		abort();
	memcpy(kept->bytes, event->bytes, event->size);
	if (event->kind == EVENT_GOSSIP)
		kept->number = sim_server_of(sim, event->node)->life;
}

static void repeat(struct sim *sim)
{
	const struct sim_event *kept = &sim->kept[below(sim, SIM_KEPT_MAX)];
	struct sim_event event = *kept;

	if (!kept->bytes || !is_harmless(sim, kept))
		return;
	if (event.kind == EVENT_SYNC) {
		if (sim_link_of(sim, event.from, event.node)->is_broken)
			return;
		event.number = sim_link_of(sim, event.from, event.node)->connection;
	}
	sim->result->counts.replayed++;
	event.life = 0;
	event.is_replayed = true;
	sim_push(sim, event, 1 + below(sim, DELAY_US_MAX), kept->bytes, kept->size);
}

void sim_note_arrival(struct sim *sim, const struct sim_event *event)
{
	if (!sim_has(sim, SIM_FAULT_REPLAY) || event->is_damaged || event->is_unknown || event->is_replayed ||
	    event->size == 0)
		return;
	if (below(sim, KEPT_OF) == 0)
		keep(sim, event);
	if (below(sim, 100) < sim_level(sim, SIM_FAULT_NUMBER_REPLAY))
		repeat(sim);
}

void sim_forget_arrivals(struct sim *sim)
{
	for (uint32_t i = 0; i < SIM_KEPT_MAX; i++)
		free(sim->kept[i].bytes);
}
