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

/* The peer is field 1 of both messages, and here shorter than 128 bytes: what it gets more goes to its end. */
static size_t add_later_fields(uint8_t *bytes, size_t size)
{
	static const uint8_t later[] = { 0xca, 0x3e, 0x05, 'l', 'a', 't', 'e', 'r' };
	size_t peer_end = 2 + (size_t)bytes[1];

	memmove(bytes + peer_end + sizeof(later), bytes + peer_end, size - peer_end);
	memcpy(bytes + peer_end, later, sizeof(later));
	bytes[1] = (uint8_t)(bytes[1] + sizeof(later));
	size += sizeof(later);
	memcpy(bytes + size, later, sizeof(later));
	return size + sizeof(later);
}

static void test_what_a_later_release_adds_is_skipped(void)
{
	struct bus_open open = { .peer = peer_of("later"), .service = "state" }, open_back;
	struct bus_answer answer = { .peer = peer_of("later"),
				     .refusal = BUS_REFUSED_BUSY,
				     .detail = "later" };
	struct bus_answer answer_back;
	uint8_t bytes[BUS_GREETING_SIZE_MAX];
	size_t size = add_later_fields(bytes, bus_open_encode(&open, bytes));

	memset(&open_back, 0, sizeof(open_back));
	CU_ASSERT_EQUAL(bus_open_decode(&open_back, bytes, size), 0);
	CU_ASSERT_EQUAL(memcmp(&open_back, &open, sizeof(open)), 0);
	size = add_later_fields(bytes, bus_answer_encode(&answer, bytes));
	CU_ASSERT_EQUAL(bus_answer_decode(&answer_back, bytes, size), 0);
	CU_ASSERT_EQUAL(memcmp(&answer_back.peer, &answer.peer, sizeof(answer.peer)), 0);
	CU_ASSERT_EQUAL(answer_back.refusal, BUS_REFUSED_BUSY);
	CU_ASSERT_STRING_EQUAL(answer_back.detail, "later");
}

static void test_a_refusal_of_a_later_release_is_another(void)
{
	struct bus_answer answer = { .peer = peer_of("later"),
				     .refusal = (enum bus_refusal)(BUS_REFUSED_OTHER + 1) };
	uint8_t bytes[BUS_GREETING_SIZE_MAX];
	struct bus_answer back;

	CU_ASSERT_EQUAL(bus_answer_decode(&back, bytes, bus_answer_encode(&answer, bytes)), 0);
	CU_ASSERT_EQUAL(back.refusal, BUS_REFUSED_OTHER);
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
		UNIT_TEST(test_what_a_later_release_adds_is_skipped),
		UNIT_TEST(test_a_refusal_of_a_later_release_is_another),
		UNIT_TEST(test_peers_that_cannot_be_are_refused),
		{ NULL, NULL },
	};

	return unit_run("bus_greeting", tests);
}
