/* SPDX-License-Identifier: BSD-3-Clause */
/* The client library in a program that has no memory left: it says so, keeps nothing, and goes on when there is some again. */
#include "tests/unit/failing_memory.h"

#include <string.h>

#include "tests/unit/client/fake_server.h"
#include "tests/unit/unit.h"

#define ALLOCATION_MAX 5000u

/* One attempt to open; returns whether an allocation failed. */
static bool attempt_open(struct fake_server *fake, uint32_t count, bool fails_on)
{
	enum godwit_status status;
	uint32_t failed;

	fake_server_forget(fake, false);
	memory_count();
	memory_fail_after(count, fails_on);
	status = fake_server_open(fake, NULL);
	failed = memory_fail_no_more();
	CU_ASSERT(status == GODWIT_OK || failed > 0);
	CU_ASSERT_EQUAL(status == GODWIT_OK, fake->client != NULL);
	if (status == GODWIT_OK)
		godwit_close(fake->client);
	fake->client = NULL;
	fake_server_turn(fake); /* what is still under way */
	fake->received = fake->sent = 0;
	CU_ASSERT_EQUAL(memory_left_over(), 0);
	return failed > 0;
}

static void a_client_that_cannot_be_opened_leaves_nothing(void)
{
	struct fake_server *fake = fake_server_create(2, 2, 64);

	for (int fails_on = 0; fails_on <= 1; fails_on++) {
		uint32_t count = 0;

		while (count < ALLOCATION_MAX && attempt_open(fake, count, fails_on))
			count++;
		CU_ASSERT(count < ALLOCATION_MAX);
	}
	fake_server_destroy(fake);
}

/* What is told to be done is done, once; what is not told to be done was not. */
static void writes_without_memory_are_done_or_told_not_to_be(void)
{
	struct fake_server *fake = fake_server_create(1, 2, 16);
	uint64_t seed = 7;

	CU_ASSERT_EQUAL_FATAL(fake_server_open(fake, NULL), GODWIT_OK);
	for (uint32_t i = 0; i < 400; i++) {
		char key[16], text[16];
		struct fake_item *item;
		enum godwit_status status;

		snprintf(key, sizeof(key), "k%u", i);
		snprintf(text, sizeof(text), "v%u", i);
		memory_fail_at_random(i % 4 == 3 ? 100 : 30, unit_random(&seed));
		status = godwit_set(fake->client, key, strlen(key), text, strlen(text),
				    GODWIT_NO_TTL, NULL);
		memory_fail_no_more();
		item = fake_server_find(fake, key, strlen(key));
		if (status == GODWIT_OK)
			CU_ASSERT(item && item->value_size == strlen(text) &&
				  memcmp(item->value, text, strlen(text)) == 0);
		if (status != GODWIT_OK && status != GODWIT_UNKNOWN)
			CU_ASSERT_PTR_NULL(item);
	}
	CU_ASSERT_EQUAL(godwit_set(fake->client, "k", 1, "v", 1, GODWIT_NO_TTL, NULL), GODWIT_OK);
	fake_server_destroy(fake);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(a_client_that_cannot_be_opened_leaves_nothing),
		UNIT_TEST(writes_without_memory_are_done_or_told_not_to_be),
		{ NULL, NULL },
	};

	return unit_run("client_memory", tests);
}
