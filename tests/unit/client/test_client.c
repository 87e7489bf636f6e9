/* SPDX-License-Identifier: BSD-3-Clause */
/* The asynchronous interface: submitting, polling, callbacks, closing. */
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/unit/client/fake_server.h"
#include "tests/unit/unit.h"

struct outcome {
	struct fake_server *fake;
	uint32_t calls;
	enum godwit_status status;
	char value[16];
	size_t value_size;
};

static void note(void *context, const struct godwit_result *result)
{
	struct outcome *outcome = context;

	outcome->calls++;
	outcome->status = result->status;
	outcome->value_size = result->value_size;
	if (result->value_size && result->value_size <= sizeof(outcome->value))
		memcpy(outcome->value, result->value, result->value_size);
}

static struct godwit_operation set_operation(const char *key, const char *value)
{
	return (struct godwit_operation){ .opcode = GODWIT_OP_SET,
					  .key = key,
					  .key_size = strlen(key),
					  .value = value,
					  .value_size = strlen(value) };
}

static struct godwit_operation get_operation(const char *key)
{
	return (struct godwit_operation){ .opcode = GODWIT_OP_GET,
					  .key = key,
					  .key_size = strlen(key) };
}

static struct fake_server *open_with(const struct godwit_options *options)
{
	struct fake_server *fake = fake_server_create(1, 2, 8);

	CU_ASSERT_EQUAL_FATAL(fake_server_open(fake, options), GODWIT_OK);
	return fake;
}

static void key_and_value_are_copied_at_submit(void)
{
	struct fake_server *fake = open_with(NULL);
	struct outcome outcome = { 0 };
	char key[] = "key", value[] = "value";
	struct godwit_operation set = set_operation(key, value);

	CU_ASSERT_EQUAL(godwit_submit(fake->client, &set, note, &outcome), GODWIT_OK);
	memset(key, 'x', 3);
	memset(value, 'x', 5);
	CU_ASSERT_EQUAL(outcome.calls, 0);
	CU_ASSERT_EQUAL(godwit_pending(fake->client), 1);
	fake_server_settle(fake);
	CU_ASSERT_EQUAL(outcome.calls, 1);
	CU_ASSERT_EQUAL(outcome.status, GODWIT_OK);
	CU_ASSERT_PTR_NOT_NULL(fake_server_find(fake, "key", 3));
	fake_server_destroy(fake);
}

static void the_descriptor_polls_readable_when_a_reply_is_there(void)
{
	struct fake_server *fake = open_with(NULL);
	struct outcome outcome = { 0 };
	struct godwit_operation get = get_operation("nothing");
	struct pollfd poll_fd = { .fd = godwit_fd(fake->client), .events = POLLIN };

	godwit_get(fake->client, "nothing", 7, NULL); /* opens the session */
	CU_ASSERT_EQUAL(godwit_timeout_ms(fake->client), -1);
	CU_ASSERT_EQUAL(poll(&poll_fd, 1, 0), 0);
	godwit_submit(fake->client, &get, note, &outcome);
	CU_ASSERT_EQUAL(godwit_timeout_ms(fake->client), 0); /* not yet sent */
	godwit_flush(fake->client);
	CU_ASSERT_EQUAL(godwit_timeout_ms(fake->client), 20); /* to the first repetition */
	fake_server_turn(fake);
	CU_ASSERT_EQUAL(poll(&poll_fd, 1, 5000), 1);
	CU_ASSERT_EQUAL(godwit_process(fake->client), 1);
	CU_ASSERT_EQUAL(outcome.status, GODWIT_NOT_FOUND);
	CU_ASSERT_EQUAL(godwit_timeout_ms(fake->client), -1);
	CU_ASSERT_EQUAL(godwit_process(fake->client), 0);
	fake_server_destroy(fake);
}

static void operations_before_a_flush_share_datagrams(void)
{
	struct fake_server *fake = open_with(NULL);
	struct outcome outcomes[40] = { 0 };
	char key[16];

	godwit_get(fake->client, "a", 1, NULL);
	fake->requests = 0;
	for (uint32_t i = 0; i < 40; i++) {
		size_t size = fake_server_key_in(fake, 1, i, key);
		struct godwit_operation get = { .opcode = GODWIT_OP_GET,
						.key = key,
						.key_size = size };

		godwit_submit(fake->client, &get, note, &outcomes[i]);
	}
	fake_server_settle(fake);
	CU_ASSERT_EQUAL(fake->requests, 1);
	for (uint32_t i = 0; i < 40; i++)
		CU_ASSERT_EQUAL(outcomes[i].status, GODWIT_NOT_FOUND);
	fake_server_destroy(fake);
}

/* A full datagram goes at once, without a flush. */
static void a_full_datagram_does_not_wait(void)
{
	struct fake_server *fake = open_with(NULL);
	static char value[800];
	struct outcome outcome = { 0 };
	char key[16];
	size_t size = fake_server_key_in(fake, 1, 0, key);
	struct godwit_operation set = { .opcode = GODWIT_OP_SET,
					.key = key,
					.key_size = size,
					.value = value,
					.value_size = sizeof(value) };

	godwit_get(fake->client, key, size, NULL);
	for (uint32_t i = 0; i < 3; i++)
		godwit_submit(fake->client, &set, note, &outcome);
	CU_ASSERT_FALSE(TAILQ_EMPTY(&fake->client->outbox));
	fake_server_settle(fake);
	CU_ASSERT_EQUAL(outcome.calls, 3);
	fake_server_destroy(fake);
}

static void submit_refuses_what_it_cannot_take(void)
{
	struct godwit_options options = GODWIT_OPTIONS_INIT;
	struct godwit_operation get = get_operation("a");
	struct outcome outcome = { 0 };
	struct fake_server *fake;

	options.pending_max = 2;
	fake = open_with(&options);
	CU_ASSERT_EQUAL(godwit_submit(fake->client, &get, NULL, NULL), GODWIT_INVALID_ARGUMENT);
	CU_ASSERT_EQUAL(godwit_submit(fake->client, NULL, note, NULL), GODWIT_INVALID_ARGUMENT);
	CU_ASSERT_EQUAL(godwit_submit(fake->client, &get, note, &outcome), GODWIT_OK);
	CU_ASSERT_EQUAL(godwit_submit(fake->client, &get, note, &outcome), GODWIT_OK);
	CU_ASSERT_EQUAL(godwit_submit(fake->client, &get, note, &outcome), GODWIT_BUSY);
	fake_server_settle(fake);
	CU_ASSERT_EQUAL(outcome.calls, 2);
	CU_ASSERT_EQUAL(godwit_submit(fake->client, &get, note, &outcome), GODWIT_OK);
	fake_server_settle(fake);
	fake_server_destroy(fake);
}

/* A blocking call waits until there is room among the pending operations. */
static void blocking_calls_go_beside_asynchronous_ones(void)
{
	struct godwit_options options = GODWIT_OPTIONS_INIT;
	struct godwit_operation set = set_operation("a", "1");
	struct outcome outcome = { 0 };
	struct fake_server *fake;

	options.pending_max = 1;
	fake = open_with(&options);
	godwit_submit(fake->client, &set, note, &outcome);
	CU_ASSERT_EQUAL(godwit_get(fake->client, "b", 1, NULL), GODWIT_NOT_FOUND);
	CU_ASSERT_EQUAL(outcome.calls, 1);
	CU_ASSERT_EQUAL(outcome.status, GODWIT_OK);
	fake_server_destroy(fake);
}

static void chain(void *context, const struct godwit_result *result)
{
	struct outcome *outcome = context;
	struct godwit *client = outcome->fake->client;
	struct godwit_operation get = get_operation("a");
	struct godwit_result blocked;

	note(context, result);
	if (outcome->calls == 3)
		return;
	CU_ASSERT_EQUAL(godwit_get(client, "a", 1, &blocked), GODWIT_INVALID_ARGUMENT);
	CU_ASSERT_EQUAL(godwit_ping(client, NULL, NULL), GODWIT_INVALID_ARGUMENT);
	CU_ASSERT_EQUAL(godwit_process(client), 0);
	godwit_flush(client);
	CU_ASSERT_EQUAL(godwit_submit(client, &get, chain, context), GODWIT_OK);
}

static void a_callback_may_submit_but_not_block(void)
{
	struct fake_server *fake = open_with(NULL);
	struct outcome outcome = { .fake = fake };
	struct godwit_operation set = set_operation("a", "chained");

	godwit_submit(fake->client, &set, chain, &outcome);
	fake_server_settle(fake);
	CU_ASSERT_EQUAL(outcome.calls, 3);
	CU_ASSERT_EQUAL(outcome.value_size, 7);
	CU_ASSERT_EQUAL(memcmp(outcome.value, "chained", 7), 0);
	fake_server_destroy(fake);
}

static void too_large_values_are_reported_to_the_callback(void)
{
	struct fake_server *fake = open_with(NULL);
	static char value[FAKE_VALUE_MAX + 1];
	struct outcome outcome = { 0 };
	struct godwit_operation set = { .opcode = GODWIT_OP_SET,
					.key = "a",
					.key_size = 1,
					.value = value,
					.value_size = sizeof(value) };

	godwit_get(fake->client, "a", 1, NULL);
	CU_ASSERT_EQUAL(godwit_submit(fake->client, &set, note, &outcome), GODWIT_OK);
	godwit_flush(fake->client);
	CU_ASSERT_EQUAL(outcome.calls, 0); /* never out of submit or flush */
	CU_ASSERT_EQUAL(godwit_timeout_ms(fake->client), 0);
	CU_ASSERT_EQUAL(godwit_process(fake->client), 1);
	CU_ASSERT_EQUAL(outcome.status, GODWIT_TOO_LARGE);
	fake_server_destroy(fake);
}

static void without_waiting_operations_wait_for_the_first_server(void)
{
	struct fake_server *fake = fake_server_create(1, 2, 8);
	struct godwit_options options = GODWIT_OPTIONS_INIT;
	struct godwit_operation set = set_operation("a", "1");
	struct outcome outcome = { 0 };
	struct godwit_info info;

	options.no_wait = true;
	CU_ASSERT_EQUAL(fake_server_open(fake, &options), GODWIT_OK);
	CU_ASSERT_EQUAL(godwit_info(fake->client, &info), GODWIT_NO_SERVER);
	CU_ASSERT_EQUAL(godwit_submit(fake->client, &set, note, &outcome), GODWIT_OK);
	fake_server_settle(fake);
	CU_ASSERT_EQUAL(outcome.status, GODWIT_OK);
	CU_ASSERT_EQUAL(godwit_info(fake->client, &info), GODWIT_OK);
	fake_server_destroy(fake);
}

static void without_a_server_nothing_is_in_doubt(void)
{
	struct fake_server *fake = fake_server_create(1, 1, 8);
	struct godwit_options options = GODWIT_OPTIONS_INIT;

	options.no_wait = true;
	fake->ports[0].is_dead = true;
	CU_ASSERT_EQUAL(fake_server_open(fake, &options), GODWIT_OK);
	CU_ASSERT_EQUAL(godwit_set(fake->client, "a", 1, "x", 1, 0, NULL), GODWIT_NO_SERVER);
	CU_ASSERT_EQUAL(godwit_get(fake->client, "a", 1, NULL), GODWIT_NO_SERVER);
	CU_ASSERT_EQUAL(godwit_ping(fake->client, NULL, NULL), GODWIT_NO_SERVER);
	fake_server_destroy(fake);
}

static void submit_again(void *context, const struct godwit_result *result)
{
	struct outcome *outcome = context;
	struct godwit_operation set = set_operation("b", "2");

	note(context, result);
	CU_ASSERT_EQUAL(godwit_submit(outcome->fake->client, &set, note, context), GODWIT_BUSY);
}

static void closing_tells_what_is_in_doubt(void)
{
	struct fake_server *fake = open_with(NULL);
	struct outcome sent = { .fake = fake }, read = { 0 }, unsent = { 0 };
	struct godwit_operation set = set_operation("a", "1"), get = get_operation("a");

	godwit_get(fake->client, "a", 1, NULL);
	godwit_submit(fake->client, &set, submit_again, &sent);
	godwit_submit(fake->client, &get, note, &read);
	godwit_flush(fake->client);
	godwit_submit(fake->client, &set, note, &unsent);
	godwit_close(fake->client);
	fake->client = NULL;
	CU_ASSERT_EQUAL(sent.status, GODWIT_UNKNOWN);
	CU_ASSERT_EQUAL(read.status, GODWIT_CLOSED);
	CU_ASSERT_EQUAL(unsent.status, GODWIT_CLOSED);
	CU_ASSERT_EQUAL(sent.calls + read.calls + unsent.calls, 3);
	fake_server_destroy(fake);
}

/* Whatever arrives, nothing but the counter moves. */
static void noise_is_ignored(void)
{
	struct fake_server *fake = open_with(NULL);
	uint64_t random = 3, state = 5;
	uint8_t bytes[200];

	for (uint32_t i = 0; i < 2000; i++) {
		size_t size = unit_random(&random) % sizeof(bytes);

		for (size_t at = 0; at < size; at++)
			bytes[at] = (uint8_t)unit_random(&state);
		if (size > 2 && i % 2) {
			bytes[0] = WIRE_MAGIC;
			bytes[1] = WIRE_VERSION;
			bytes[2] = (uint8_t)(i % 12);
		}
		fake_server_send(fake, &fake->ports[0], bytes, size);
		if (i % 50 == 49)
			godwit_process(fake->client);
	}
	while (fake->client->stats.datagrams_received < fake->sent)
		godwit_process(fake->client);
	CU_ASSERT_EQUAL(fake->client->stats.replies_ignored, 2000);
	CU_ASSERT_EQUAL(godwit_set(fake->client, "a", 1, "x", 1, 0, NULL), GODWIT_OK);
	fake_server_destroy(fake);
}

/* The real clock, randomness and waiting, once: a server that is not there. */
static void a_real_client_waits_its_time(void)
{
	struct godwit_options options = GODWIT_OPTIONS_INIT;
	struct godwit *client;

	options.connect_timeout_ms = 30;
	CU_ASSERT_EQUAL(godwit_open(&client, "127.0.0.1:9, localhost:9", &options),
			GODWIT_NO_SERVER);
	CU_ASSERT_PTR_NULL(client);
	options.no_wait = true;
	CU_ASSERT_EQUAL(godwit_open(&client, "127.0.0.1:9", &options), GODWIT_OK);
	CU_ASSERT(godwit_timeout_ms(client) <= 20);
	godwit_close(client);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(key_and_value_are_copied_at_submit),
		UNIT_TEST(the_descriptor_polls_readable_when_a_reply_is_there),
		UNIT_TEST(operations_before_a_flush_share_datagrams),
		UNIT_TEST(a_full_datagram_does_not_wait),
		UNIT_TEST(submit_refuses_what_it_cannot_take),
		UNIT_TEST(blocking_calls_go_beside_asynchronous_ones),
		UNIT_TEST(a_callback_may_submit_but_not_block),
		UNIT_TEST(too_large_values_are_reported_to_the_callback),
		UNIT_TEST(without_waiting_operations_wait_for_the_first_server),
		UNIT_TEST(without_a_server_nothing_is_in_doubt),
		UNIT_TEST(closing_tells_what_is_in_doubt),
		UNIT_TEST(noise_is_ignored),
		UNIT_TEST(a_real_client_waits_its_time),
		{ NULL, NULL },
	};

	return unit_run("client", tests);
}
