/* SPDX-License-Identifier: BSD-3-Clause */
/* A set-associative table: an address has eight places. */
#include "dataplane/neighbor_table.h"

#include <string.h>

void neighbor_table_init(struct neighbor_table *table)
{
	memset(table, 0, sizeof(*table));
}

static struct neighbor *set_of(struct neighbor_table *table, uint32_t ipv4)
{
	/* Neighbours share a prefix; their last bits tell them apart. */
	return table->neighbors[ipv4 % NEIGHBOR_SET_COUNT];
}

static struct neighbor *find(struct neighbor_table *table, uint32_t ipv4)
{
	struct neighbor *set = set_of(table, ipv4);

	for (uint32_t i = 0; i < NEIGHBOR_SET_SIZE; i++) {
		if (set[i].ipv4 == ipv4)
			return &set[i];
	}
	return NULL;
}

/* When a place was last worth something. */
static uint64_t last_ms(const struct neighbor *neighbor)
{
	return neighbor->confirmed_ms > neighbor->asked_ms ? neighbor->confirmed_ms
							   : neighbor->asked_ms;
}

/* A place for an address that has none: a free one, or that of the neighbour heard of longest
 * ago.
 */
static struct neighbor *take(struct neighbor_table *table, uint32_t ipv4)
{
	struct neighbor *set = set_of(table, ipv4);
	struct neighbor *oldest = &set[0];

	for (uint32_t i = 0; i < NEIGHBOR_SET_SIZE; i++) {
		if (set[i].ipv4 == 0) {
			oldest = &set[i];
			break;
		}
		if (last_ms(&set[i]) < last_ms(oldest))
			oldest = &set[i];
	}
	*oldest = (struct neighbor){ .ipv4 = ipv4 };
	return oldest;
}

void neighbor_learn(struct neighbor_table *table, uint32_t ipv4, const uint8_t mac[PACKET_MAC_SIZE],
		    uint64_t now_ms)
{
	struct neighbor *neighbor;

	if (ipv4 == 0 || (mac[0] & 1))
		return;
	neighbor = find(table, ipv4);
	if (!neighbor)
		neighbor = take(table, ipv4);
	memcpy(neighbor->mac, mac, PACKET_MAC_SIZE);
	neighbor->confirmed_ms = now_ms;
	neighbor->known = true;
}

const uint8_t *neighbor_find(struct neighbor_table *table, uint32_t ipv4, uint64_t now_ms,
			     bool *ask)
{
	struct neighbor *neighbor;
	uint64_t age_ms;

	*ask = false;
	if (ipv4 == 0)
		return NULL;
	neighbor = find(table, ipv4);
	if (!neighbor)
		neighbor = take(table, ipv4);
	age_ms = now_ms - neighbor->confirmed_ms;
	if (neighbor->known && age_ms >= NEIGHBOR_EXPIRED_MS)
		neighbor->known = false;
	if (!neighbor->known || age_ms >= NEIGHBOR_STALE_MS) {
		*ask = neighbor->asked_ms == 0 ||
		       now_ms - neighbor->asked_ms >= NEIGHBOR_ASK_PAUSE_MS;
		if (*ask)
			neighbor->asked_ms = now_ms;
	}
	return neighbor->known ? neighbor->mac : NULL;
}
