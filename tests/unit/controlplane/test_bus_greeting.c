/* SPDX-License-Identifier: BSD-3-Clause */
/* Greetings: round trips, bounds, nonsense. */
#include "controlplane/bus_greeting.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/unit.h"

static struct bus_peer peer_of(const char *name)
{
	struct bus_peer peer = { .id = UINT64_MAX,
				 .generation = UINT64_MAX,
				 .cluster_id = UINT64_MAX,
				 .partition_count = UINT32_MAX,
				 .may_found = true };

	strcpy(peer.name, name);
	memset(&peer.control, 0xff, sizeof(peer.control));
	return peer;
}

static void test_an_open_comes_back_as_it_was(void)
{
	struct bus_open open = { .peer = peer_of("a-name-of-one-and-thirty-letter"),
				 .service = "fifteen-letters" };
	uint8_t bytes[BUS_GREETING_SIZE_MAX];
	size_t size = bus_open_encode(&open, bytes);
	struct bus_open back;

	memset(&back, 0, sizeof(back));
	CU_ASSERT_EQUAL(bus_open_decode(&back, bytes, size), 0);
	CU_ASSERT_EQUAL(memcmp(&back, &open, sizeof(back)), 0);
	for (size_t cut = 0; cut < size; cut++)
		bus_open_decode(&back, bytes, cut); /* no crash, under a sanitizer */
	CU_ASSERT_EQUAL(bus_open_decode(&back, bytes, 0), -EINVAL);
	bytes[2] ^= 0xff;
	CU_ASSERT_EQUAL(bus_open_decode(&back, bytes, BUS_GREETING_SIZE_MAX + 1), -EINVAL);
}

static void test_the_longest_answer_fits(void)
{
	struct bus_answer answer = { .peer = peer_of("a-name-of-one-and-thirty-letter"),
				     .refusal = BUS_REFUSED_OTHER };
	uint8_t bytes[BUS_GREETING_SIZE_MAX];
	struct bus_answer back;
	size_t size;

	memset(answer.detail, 'x', sizeof(answer.detail) - 1);
	size = bus_answer_encode(&answer, bytes);
	CU_ASSERT_TRUE(size <= BUS_GREETING_SIZE_MAX);
	CU_ASSERT_EQUAL(bus_answer_decode(&back, bytes, size), 0);
	CU_ASSERT_STRING_EQUAL(back.detail, answer.detail);
	CU_ASSERT_EQUAL(back.refusal, BUS_REFUSED_OTHER);
}

static void test_an_answer_cannot_steer_a_terminal(void)
{
	struct bus_answer answer = { .peer = peer_of("n"), .detail = "a\033[2Jb\n\x80" };
	uint8_t bytes[BUS_GREETING_SIZE_MAX];
	struct bus_answer back;

	CU_ASSERT_EQUAL(bus_answer_decode(&back, bytes, bus_answer_encode(&answer, bytes)), 0);
	CU_ASSERT_STRING_EQUAL(back.detail, "a?[2Jb??");
}

static void test_peers_that_cannot_be_are_refused(void)
{
	uint8_t bytes[BUS_GREETING_SIZE_MAX];
	struct bus_open open = { .peer = peer_of("n") }, back;

	open.peer.id = 0;
	CU_ASSERT_EQUAL(bus_open_decode(&back, bytes, bus_open_encode(&open, bytes)), -EINVAL);
	open.peer = peer_of("n");
	open.peer.generation = 0;
	CU_ASSERT_EQUAL(bus_open_decode(&back, bytes, bus_open_encode(&open, bytes)), -EINVAL);
	open.peer = peer_of("no name");
	CU_ASSERT_EQUAL(bus_open_decode(&back, bytes, bus_open_encode(&open, bytes)), -EINVAL);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_an_open_comes_back_as_it_was),
		UNIT_TEST(test_the_longest_answer_fits),
		UNIT_TEST(test_an_answer_cannot_steer_a_terminal),
		UNIT_TEST(test_peers_that_cannot_be_are_refused),
		{ NULL, NULL },
	};

	return unit_run("bus_greeting", tests);
}
