/* SPDX-License-Identifier: BSD-3-Clause */
/* The first messages of a channel between nodes. */
#include <stdio.h>
#include <string.h>

#include "controlplane/bus_greeting.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_proto.h"

static void check_peer(const struct bus_peer *peer)
{
	FUZZ_CHECK(peer->id != 0);
	FUZZ_CHECK(memchr(peer->name, '\0', sizeof(peer->name)) != NULL);
	FUZZ_CHECK(node_name_is_valid(peer->name));
}

static void check_open(const uint8_t *data, size_t size)
{
	uint8_t bytes[BUS_GREETING_SIZE_MAX];
	struct bus_open again = { 0 };
	struct bus_open open = { 0 };
	size_t written;

	if (bus_open_decode(&open, data, size) != 0)
		return;
	check_peer(&open.peer);
	FUZZ_CHECK(memchr(open.service, '\0', sizeof(open.service)) != NULL);
	written = bus_open_encode(&open, bytes);
	FUZZ_CHECK(written <= sizeof(bytes));
	FUZZ_CHECK(bus_open_decode(&again, bytes, written) == 0);
	FUZZ_CHECK(strcmp(again.service, open.service) == 0);
	FUZZ_CHECK(again.peer.id == open.peer.id && again.peer.generation == open.peer.generation);
	FUZZ_CHECK(again.peer.cluster_id == open.peer.cluster_id);
	FUZZ_CHECK(again.peer.partition_count == open.peer.partition_count);
	FUZZ_CHECK(again.peer.may_found == open.peer.may_found);
	FUZZ_CHECK(strcmp(again.peer.name, open.peer.name) == 0);
	FUZZ_CHECK(node_address_equals(&again.peer.control, &open.peer.control));
}

static void check_answer(const uint8_t *data, size_t size)
{
	uint8_t bytes[BUS_GREETING_SIZE_MAX];
	struct bus_answer answer = { 0 };
	struct bus_answer again = { 0 };
	size_t written;

	if (bus_answer_decode(&answer, data, size) != 0)
		return;
	FUZZ_CHECK(answer.refusal <= BUS_REFUSED_OTHER && bus_refusal_name(answer.refusal));
	FUZZ_CHECK(memchr(answer.detail, '\0', sizeof(answer.detail)) != NULL);
	for (const char *c = answer.detail; *c; c++)
		FUZZ_CHECK((unsigned char)*c >= ' ' && *c != 127);
	written = bus_answer_encode(&answer, bytes);
	FUZZ_CHECK(written <= sizeof(bytes));
	FUZZ_CHECK(bus_answer_decode(&again, bytes, written) == 0);
	FUZZ_CHECK(again.refusal == answer.refusal && strcmp(again.detail, answer.detail) == 0);
	FUZZ_CHECK(again.peer.id == answer.peer.id);
}

/* An input: which of the two, then its bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size >= 1 && data[0] % 2)
		check_open(data + 1, size - 1);
	else if (size >= 1)
		check_answer(data + 1, size - 1);
	return 0;
}

/* ---- mutation ---- */

static struct bus_peer make_peer(unsigned *seed)
{
	struct bus_peer peer = { .id = fuzz_interesting(seed, 64),
				 .generation = fuzz_interesting(seed, 64),
				 .cluster_id = fuzz_interesting(seed, 64),
				 .partition_count = (uint32_t)fuzz_interesting(seed, 32),
				 .may_found = fuzz_below(seed, 2) };

	snprintf(peer.name, sizeof(peer.name), "n%u", (unsigned)fuzz_below(seed, 20));
	if (fuzz_below(seed, 4) == 0)
		peer.control.port = (uint16_t)fuzz_interesting(seed, 16);
	else
		peer.control = node_address_ipv4(fuzz_below(seed, UINT32_MAX),
						 (uint16_t)fuzz_interesting(seed, 16));
	return peer;
}

static size_t write_open(uint8_t *bytes, unsigned *seed)
{
	static const char *const services[] = { "gossip", "migration", "admin", "" };
	struct bus_open open = { .peer = make_peer(seed) };

	snprintf(open.service, sizeof(open.service), "%s", services[fuzz_below(seed, 4)]);
	return bus_open_encode(&open, bytes);
}

static size_t write_answer(uint8_t *bytes, unsigned *seed)
{
	struct bus_answer answer = { .peer = make_peer(seed) };
	uint32_t size = fuzz_below(seed, fuzz_below(seed, 2) ? 20 : BUS_DETAIL_SIZE);

	answer.refusal = (enum bus_refusal)fuzz_below(seed, BUS_REFUSED_OTHER + 3);
	for (uint32_t i = 0; i < size; i++)
		answer.detail[i] = (char)(1 + fuzz_below(seed, 255));
	return bus_answer_encode(&answer, bytes);
}

/* Another greeting, or a field more; else the change is libFuzzer's. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
	uint8_t greeting[BUS_GREETING_SIZE_MAX];
	size_t greeting_size;

	switch (size ? fuzz_below(&seed, 4) : 0) {
	case 0:
		data[0] = (uint8_t)fuzz_below(&seed, 2);
		greeting_size =
			data[0] ? write_open(greeting, &seed) : write_answer(greeting, &seed);
		if (1 + greeting_size > size_max)
			return LLVMFuzzerMutate(data, size, size_max);
		memcpy(data + 1, greeting, greeting_size);
		return 1 + greeting_size;
	case 1:
		return 1 + fuzz_proto_append(data + 1, size - 1, size_max - 1, &seed);
	default:
		return LLVMFuzzerMutate(data, size, size_max);
	}
}
