/* SPDX-License-Identifier: BSD-3-Clause */
/* Nodes of a later release: they add fields that nobody knows yet, and send what only they understand besides. */
#include "tests/simulation/sim_state.h"

#include <string.h>

#include "controlplane/gossip_message.h"
#include "dataplane/packet_format.h"
#include "dataplane/wire_codec.h"

/* Field 1000 is a number, field 1001 a text; protobuf takes the last 'kind' (field 3) of a packet. */
static const uint8_t later_fields[] = { 0xc0, 0x3e, 0x01, 0xca, 0x3e, 0x05, 'l', 'a', 't', 'e', 'r' };
static const uint8_t later_kind[] = { 0x18, 0x63 };
#define LATER_FRAME 9u
#define LATER_ONE_IN 20u
#define SIZE_MAX_OF_FRAME 2048u

static bool is_chosen(struct sim *sim)
{
	return prng_below(&sim->fault_prngs[SIM_FAULT_NUMBER_VERSIONS], LATER_ONE_IN) == 0;
}

/* Every second node. */
static bool is_newer(const struct sim *sim, uint32_t node)
{
	return sim_has(sim, SIM_FAULT_VERSIONS) && node < SIM_NODE_MAX && node % 2 == 1;
}

static size_t append(uint8_t *bytes, size_t size, const uint8_t *more, size_t more_size)
{
	memcpy(bytes + size, more, more_size);
	return size + more_size;
}

size_t sim_renew_gossip(struct sim *sim, uint32_t from, uint8_t *bytes, size_t size,
			bool *is_unknown)
{
	*is_unknown = false;
	if (!is_newer(sim, from) ||
	    size + sizeof(later_fields) + sizeof(later_kind) > GOSSIP_PACKET_SIZE_MAX)
		return size;
	*is_unknown = is_chosen(sim);
	sim->result->counts.renewed++;
	size = append(bytes, size, later_fields, sizeof(later_fields));
	return *is_unknown ? append(bytes, size, later_kind, sizeof(later_kind)) : size;
}

size_t sim_renew_sync(struct sim *sim, uint32_t from, uint8_t *bytes, size_t size, bool *is_unknown)
{
	enum sync_frame_kind kind = SYNC_FRAME_CONTROL;
	struct sync_frame frame;

	*is_unknown = false;
	if (!is_newer(sim, from) || sync_frame_decode(&frame, bytes, size) != 0 ||
	    frame.kind != SYNC_FRAME_CONTROL)
		return size;
	sim->result->counts.renewed++;
	*is_unknown = is_chosen(sim);
	if (*is_unknown)
		kind = (enum sync_frame_kind)LATER_FRAME;
	size = append(bytes, size, later_fields, sizeof(later_fields));
	return sync_frame_seal(bytes, kind, size - SYNC_FRAME_HEADER_SIZE);
}

bool sim_renew_frame(struct sim *sim, uint32_t from, const uint8_t *frame, size_t size,
		     uint8_t *later)
{
	if (!is_newer(sim, from) || size < PACKET_HEADERS_SIZE + WIRE_HEADER_SIZE ||
	    size > SIZE_MAX_OF_FRAME || !is_chosen(sim))
		return false;
	sim->result->counts.renewed++;
	memcpy(later, frame, size);
	later[PACKET_AT_UDP_PAYLOAD + WIRE_AT_VERSION] = WIRE_VERSION + 1;
	wire_put_u16(later + PACKET_AT_UDP_CHECKSUM, 0); /* none */
	return true;
}
