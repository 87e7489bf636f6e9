/* SPDX-License-Identifier: BSD-3-Clause */
/* Datagrams and frames that arrive cut short or altered; and that whoever gets one refuses and counts it. */
#include "tests/simulation/sim_state.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/counter_table.h"
#include "dataplane/packet_format.h"
#include "dataplane/wire_codec.h"

/* One's complement checksums find any burst of up to 15 bits. */
#define BURST_BITS_MAX 15u
#define TRIES_MAX 16u
#define MIGRATOR_COUNTERS_MAX 64u

static uint32_t below(struct sim *sim, enum sim_fault_number fault, size_t bound)
{
	return prng_below(&sim->fault_prngs[fault], (uint32_t)bound);
}

static bool is_chosen(struct sim *sim, enum sim_fault_number fault, uint32_t divisor)
{
	uint32_t percent = sim_level(sim, fault);

	return percent > 0 && below(sim, fault, 100 * divisor) < percent;
}

/* ---- what checksums promise, written down once more ---- */

static uint32_t sum_words(uint32_t sum, const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i + 1 < size; i += 2)
		sum += wire_get_u16(bytes + i);
	if (size % 2)
		sum += (uint32_t)bytes[size - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static bool is_udp_intact(const uint8_t *frame, size_t size)
{
	size_t udp_size = wire_get_u16(frame + PACKET_AT_UDP_LENGTH);
	uint32_t sum = PACKET_PROTOCOL_UDP + (uint32_t)udp_size;

	if (udp_size < PACKET_UDP_SIZE || udp_size > size)
		return false;
	if (wire_get_u16(frame + PACKET_AT_UDP_CHECKSUM) == 0)
		return true;
	sum = sum_words(sum, frame + PACKET_AT_IPV4_SOURCE, 8);
	return sum_words(sum, frame + PACKET_AT_UDP, udp_size) == 0xffff;
}

/* Whether no receiver can see that the frame was altered behind its Ethernet header, which the network card sees to. */
static bool is_frame_intact(const uint8_t *frame, size_t size)
{
	size_t total;

	if (size < PACKET_HEADERS_SIZE || frame[PACKET_AT_IPV4_VERSION] != 0x45 ||
	    sum_words(0, frame + PACKET_AT_IPV4, PACKET_IPV4_SIZE) != 0xffff)
		return false;
	total = wire_get_u16(frame + PACKET_AT_IPV4_LENGTH);
	return total >= PACKET_IPV4_SIZE && total <= size - PACKET_ETHERNET_SIZE &&
	       is_udp_intact(frame, total - PACKET_IPV4_SIZE);
}

/* Those of the bus and of migrations are 64 bits and more. */
static bool is_intact(enum sim_event_kind kind, const uint8_t *bytes, size_t size)
{
	return (kind == EVENT_FRAME || kind == EVENT_CLIENT_FRAME) && is_frame_intact(bytes, size);
}

/* ---- damage ---- */

static void flip(struct sim *sim, uint8_t *bytes, size_t from, size_t size)
{
	uint32_t first = below(sim, SIM_FAULT_NUMBER_CORRUPT, (size - from) * 8);
	uint32_t length = 1 + below(sim, SIM_FAULT_NUMBER_CORRUPT, BURST_BITS_MAX);

	for (uint32_t bit = first; bit < first + length && bit < (size - from) * 8; bit++) {
		if (bit == first || below(sim, SIM_FAULT_NUMBER_CORRUPT, 2))
			bytes[from + bit / 8] ^= (uint8_t)(0x80u >> bit % 8);
	}
}

/* Alters it so that checksums find it; false: it has none. */
static bool corrupt(struct sim *sim, enum sim_event_kind kind, uint8_t *bytes, size_t size)
{
	bool is_frame = kind == EVENT_FRAME || kind == EVENT_CLIENT_FRAME;
	size_t from = is_frame ? PACKET_ETHERNET_SIZE : 0;

	if (is_frame && !is_frame_intact(bytes, size))
		return false; /* ARP */
	for (uint32_t i = 0; i < TRIES_MAX; i++) {
		flip(sim, bytes, from, size);
		if (!is_intact(kind, bytes, size))
			return true;
	}
	return false;
}

bool sim_damage(struct sim *sim, enum sim_event_kind kind, uint8_t *bytes, size_t *size)
{
	uint32_t divisor = kind == EVENT_SYNC ? 4 : 1;

	if (is_chosen(sim, SIM_FAULT_NUMBER_TRUNCATE, divisor)) {
		*size = 1 + below(sim, SIM_FAULT_NUMBER_TRUNCATE, *size - 1);
		return true;
	}
	return is_chosen(sim, SIM_FAULT_NUMBER_CORRUPT, divisor) &&
	       corrupt(sim, kind, bytes, *size);
}

/* ---- arrival ---- */

static uint64_t count_drops(const struct sim_node *node)
{
	const struct unit_node *cores = &node->dataplane.node;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < node->options.worker_count; i++) {
		for (uint32_t counter = COUNT_DROP_FIRST; counter < CORE_COUNTER_COUNT; counter++)
			sum += core_counter_read(&cores->cores[i]->counters, counter);
	}
	return sum + cores->missed;
}

void sim_take_damaged_frame(struct sim *sim, const struct sim_event *event)
{
	struct sim_node *node = sim_server_of(sim, event->node)->node;
	uint64_t drops = count_drops(node);

	sim->result->counts.damaged++;
	sim_node_take_frame(node, sim->now_us, event->bytes, event->size);
	if (count_drops(node) != drops + 1)
		sim_history_violate(&sim->history, SIM_INVARIANT_REFUSAL,
				    "node %u counts %" PRIu64 " drops for a damaged frame",
				    event->node, count_drops(node) - drops);
}

static uint64_t count_malformed(const struct sim_node *node)
{
	const struct counter_table *table = &migrator_counter_table;
	uint64_t values[MIGRATOR_COUNTERS_MAX];
	uint32_t row = 0;

	if (table->row_count > MIGRATOR_COUNTERS_MAX)
		abort();
	migrator_counters(node->migrator, values);
	while (strcmp(table->rows[row].name, "migration_malformed") != 0)
		row++;
	return values[row];
}

void sim_take_damaged_sync(struct sim *sim, const struct sim_event *event)
{
	struct sim_node *node = sim_server_of(sim, event->node)->node;
	uint64_t malformed = count_malformed(node);

	sim->result->counts.damaged++;
	if (event->is_damaged && below(sim, SIM_FAULT_NUMBER_CORRUPT, 2)) {
		sim_tell(sim, "node %u refuses what node %u sends: the channel breaks", event->node,
			 event->from);
		sim_break(sim, event->from, event->node);
		return;
	}
	sim_tell(sim, "node %u gets a frame of node %u that is %s", event->node, event->from,
		 event->is_damaged ? "damaged" : "of an unknown kind");
	sim_node_take_sync(node, sim->now_us, event->from, event->bytes, event->size);
	if (count_malformed(node) != malformed + 1)
		sim_history_violate(&sim->history, SIM_INVARIANT_REFUSAL,
				    "node %u takes a damaged frame of a migration", event->node);
}
