/* SPDX-License-Identifier: BSD-3-Clause */
/* Handshakes, sessions the server forgets, and sequences inside the server's window. */
#include <stdlib.h>

#include "tests/unit/client/fake_server.h"

#include "dataplane/wire_hello.h"
#include "tests/unit/unit.h"

static struct fake_server *open_one(void)
{
	struct fake_server *fake = fake_server_create(1, 1, 8);

	CU_ASSERT_EQUAL_FATAL(fake_server_open(fake, NULL), GODWIT_OK);
	return fake;
}

static void set_status(void *context, const struct godwit_result *result)
{
	*(enum godwit_status *)context = result->status;
}

static enum godwit_status submit(struct fake_server *fake, enum godwit_opcode opcode,
				 const char *key, enum godwit_status *status)
{
	struct godwit_operation operation = { .opcode = opcode,
					      .key = key,
					      .key_size = strlen(key) };

	*status = (enum godwit_status) - 1;
	if (opcode == GODWIT_OP_SET || opcode == GODWIT_OP_APPEND) {
		operation.value = "v";
		operation.value_size = 1;
	}
	operation.delta = 1;
	operation.has_initial = true;
	return godwit_submit(fake->client, &operation, set_status, status);
}

/* ---- the handshake ---- */

static void opening_takes_two_hellos_and_a_map(void)
{
	struct fake_server *fake = open_one();

	CU_ASSERT_EQUAL(fake->ports[0].hellos, 2);
	CU_ASSERT_EQUAL(fake->map_requests, 1);
	CU_ASSERT_EQUAL(fake->received, 3);
	CU_ASSERT_EQUAL(fake->client->stats.sessions_opened, 1);
	fake_server_destroy(fake);
}

static void opening_survives_loss_and_disorder(void)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct fake_server *fake = fake_server_create(1, 1, 8);

		fake->random = seed;
		fake->drop_percent = 40;
		fake->duplicate_percent = 20;
		fake->delay_percent = 20;
		CU_ASSERT_EQUAL(fake_server_open(fake, NULL), GODWIT_OK);
		fake_server_destroy(fake);
	}
}

static void a_silent_server_is_no_server(void)
{
	struct fake_server *fake = fake_server_create(1, 1, 8);
	uint64_t begin_us = fake->now_us;

	fake->ports[0].is_dead = true;
	CU_ASSERT_EQUAL(fake_server_open(fake, NULL), GODWIT_NO_SERVER);
	CU_ASSERT_PTR_NULL(fake->client);
	CU_ASSERT_EQUAL(fake->now_us - begin_us, 3000000);
	/* Each attempt waits twice as long as the one before, up to 8 times 20 ms. */
	CU_ASSERT(fake->received <= 22);
	fake_server_destroy(fake);
}

static void bad_seeds_and_options_are_refused(void)
{
	struct godwit_options options = GODWIT_OPTIONS_INIT;
	struct godwit *client;

	CU_ASSERT_EQUAL(godwit_open(&client, "", NULL), GODWIT_INVALID_ARGUMENT);
	CU_ASSERT_PTR_NULL(client);
	CU_ASSERT_EQUAL(godwit_open(&client, NULL, NULL), GODWIT_INVALID_ARGUMENT);
	CU_ASSERT_EQUAL(godwit_open(NULL, "127.0.0.1", NULL), GODWIT_INVALID_ARGUMENT);
	options.in_flight_max = 257;
	CU_ASSERT_EQUAL(godwit_open(&client, "127.0.0.1", &options), GODWIT_INVALID_ARGUMENT);
	options.in_flight_max = 0;
	options.timeout_ms = GODWIT_TIMEOUT_MS_MAX + 1;
	CU_ASSERT_EQUAL(godwit_open(&client, "127.0.0.1", &options), GODWIT_INVALID_ARGUMENT);
	options.timeout_ms = 0;
	options.local_address = "nonsense:0";
	CU_ASSERT_EQUAL(godwit_open(&client, "127.0.0.1", &options), GODWIT_INVALID_ARGUMENT);
	options.local_address = "192.0.2.1"; /* none of this machine's */
	CU_ASSERT_EQUAL(godwit_open(&client, "127.0.0.1", &options), GODWIT_SYSTEM_ERROR);
	options.struct_size = 0;
	CU_ASSERT_EQUAL(godwit_open(&client, "127.0.0.1", &options), GODWIT_INVALID_ARGUMENT);
	CU_ASSERT_PTR_NULL(client);
	godwit_close(NULL);
}

static void the_local_address_is_used(void)
{
	struct fake_server *fake = fake_server_create(1, 1, 8);
	struct godwit_options options = GODWIT_OPTIONS_INIT;

	options.local_address = "127.0.0.9";
	CU_ASSERT_EQUAL(fake_server_open(fake, &options), GODWIT_OK);
	CU_ASSERT_EQUAL(fake->client_ipv4, 0x7f000009);
	fake_server_destroy(fake);
}

static bool answer_with_other_version(struct fake_server *fake)
{
	uint8_t bytes[WIRE_HEADER_SIZE] = { WIRE_MAGIC, WIRE_VERSION + 1, WIRE_HELLO_REPLY };

	fake_server_send(fake, &fake->ports[0], bytes, sizeof(bytes));
	return true;
}

static void a_server_of_another_version_is_told_apart(void)
{
	struct fake_server *fake = fake_server_create(1, 1, 8);
	struct godwit_options options = GODWIT_OPTIONS_INIT;

	options.no_wait = true;
	fake->ports[0].is_dead = true;
	CU_ASSERT_EQUAL(fake_server_open(fake, &options), GODWIT_OK);
	fake_server_turn(fake);
	answer_with_other_version(fake);
	while (fake->client->stats.datagrams_received < 1)
		godwit_process(fake->client);
	CU_ASSERT_TRUE(fake->client->saw_foreign_version);
	CU_ASSERT_EQUAL(fake->client->stats.replies_ignored, 1);
	fake_server_destroy(fake);
}

/* Any field of a HELLO_REPLY that does not fit what was asked makes it nobody's answer. */
static void forged_grants_are_ignored(void)
{
	struct fake_server *fake = fake_server_create(1, 1, 8);
	struct godwit_options options = GODWIT_OPTIONS_INIT;
	struct client_session *session;
	struct wire_hello_reply grant = { .stage = WIRE_HELLO_GRANTED,
					  .worker_count = 1,
					  .datagram_size_max = 1472,
					  .replay_window_size = 1024,
					  .challenge = 5 };
	struct wire_header header = { .session_id = 1, .token = 2 };
	uint8_t body[WIRE_HELLO_BODY_SIZE];

	options.no_wait = true;
	fake_server_open(fake, &options);
	session = client_session_lookup(fake->client, fake->ports[0].address);
	CU_ASSERT_PTR_NOT_NULL_FATAL(session);
	grant.client_nonce = session->nonce;
	wire_hello_reply_write(body, &grant); /* granted before a challenge was proved */
	CU_ASSERT_FALSE(
		client_session_on_hello_reply(fake->client, session, &header, body, sizeof(body)));
	grant.stage = WIRE_HELLO_CHALLENGE;
	wire_hello_reply_write(body, &grant);
	CU_ASSERT_FALSE(client_session_on_hello_reply(fake->client, session, &header, body,
						      sizeof(body) - 1));
	CU_ASSERT_TRUE(
		client_session_on_hello_reply(fake->client, session, &header, body, sizeof(body)));
	CU_ASSERT_FALSE(
		client_session_on_hello_reply(fake->client, session, &header, body, sizeof(body)));
	grant.stage = WIRE_HELLO_GRANTED;
	grant.client_nonce++;
	wire_hello_reply_write(body, &grant);
	CU_ASSERT_FALSE(
		client_session_on_hello_reply(fake->client, session, &header, body, sizeof(body)));
	grant.client_nonce--;
	grant.datagram_size_max = 0;
	wire_hello_reply_write(body, &grant);
	CU_ASSERT_FALSE(
		client_session_on_hello_reply(fake->client, session, &header, body, sizeof(body)));
	grant.datagram_size_max = 1472;
	wire_hello_reply_write(body, &grant);
	CU_ASSERT_TRUE(
		client_session_on_hello_reply(fake->client, session, &header, body, sizeof(body)));
	CU_ASSERT_EQUAL(session->state, CLIENT_SESSION_OPEN);
	CU_ASSERT_FALSE(
		client_session_on_hello_reply(fake->client, session, &header, body, sizeof(body)));
	fake_server_destroy(fake);
}

/* ---- NEED_HELLO ---- */

static void a_forgotten_session_is_opened_anew(void)
{
	struct fake_server *fake = open_one();

	godwit_set(fake->client, "a", 1, "1", 1, 0, NULL);
	fake_server_forget(fake, false);
	CU_ASSERT_EQUAL(godwit_get(fake->client, "a", 1, NULL), GODWIT_OK);
	fake_server_forget(fake, false);
	/* Sent once and refused by NEED_HELLO: surely not executed, so it is sent again in the new
	 * session.
	 */
	CU_ASSERT_EQUAL(godwit_append(fake->client, "a", 1, "2", 1, NULL), GODWIT_OK);
	CU_ASSERT_EQUAL(fake_server_find(fake, "a", 1)->value_size, 2);
	CU_ASSERT_EQUAL(fake->client->stats.sessions_lost, 2);
	CU_ASSERT_EQUAL(fake->client->stats.sessions_opened, 3);
	fake_server_destroy(fake);
}

/* Executes the first transmission without an answer, then forgets the session. */
static bool execute_silently_then_forget(struct fake_server *fake, struct fake_port *port,
					 const struct wire_header *header, const uint8_t *bytes,
					 size_t size)
{
	uint32_t drop_percent = fake->drop_percent;

	if (fake->countdown-- != 1)
		return false;
	fake->drop_percent = 100;
	fake_server_execute(fake, port, header, bytes, size);
	fake->drop_percent = drop_percent;
	port->token = 0;
	return true;
}

static void a_write_repeated_into_a_forgotten_session_is_unknown(void)
{
	struct fake_server *fake = open_one();

	godwit_set(fake->client, "a", 1, "1", 1, 0, NULL);
	fake->countdown = 1;
	fake->intercept = execute_silently_then_forget;
	CU_ASSERT_EQUAL(godwit_append(fake->client, "a", 1, "2", 1, NULL), GODWIT_UNKNOWN);
	CU_ASSERT_EQUAL(fake_server_find(fake, "a", 1)->value_size, 2); /* it was executed, once */
	fake->countdown = 1;
	CU_ASSERT_EQUAL(godwit_get(fake->client, "a", 1, NULL),
			GODWIT_OK); /* a read may be asked again */
	fake_server_destroy(fake);
}

/* Loses the session when the second of two requests arrives; the first one was executed, and its
 * reply lost.
 */
static void writes_in_flight_when_the_session_is_lost_are_unknown(void)
{
	struct fake_server *fake = open_one();
	enum godwit_status write, read, second;

	godwit_set(fake->client, "w", 1, "v", 1, 0, NULL);
	fake->countdown = 1;
	fake->intercept = execute_silently_then_forget;
	submit(fake, GODWIT_OP_APPEND, "w", &write);
	submit(fake, GODWIT_OP_GET, "w", &read);
	godwit_flush(fake->client);
	fake_server_turn(fake);
	submit(fake, GODWIT_OP_APPEND, "w", &second);
	fake_server_settle(fake);
	CU_ASSERT_EQUAL(write, GODWIT_UNKNOWN);
	CU_ASSERT_EQUAL(read, GODWIT_OK);
	CU_ASSERT_EQUAL(second, GODWIT_OK);
	CU_ASSERT_EQUAL(fake_server_find(fake, "w", 1)->value_size, 3);
	CU_ASSERT_TRUE(TAILQ_EMPTY(&fake->client->live));
	fake_server_destroy(fake);
}

static bool swallow(struct fake_server *fake, struct fake_port *port,
		    const struct wire_header *header, const uint8_t *bytes, size_t size)
{
	(void)port, (void)header, (void)bytes, (void)size;
	return fake->countdown && fake->countdown-- > 0;
}

/* The reply of a write whose session is lost may still come: it counts. */
static void a_late_reply_resolves_an_orphan(void)
{
	struct fake_server *fake = open_one();
	enum godwit_status write, second;
	struct wire_header header = { .kind = WIRE_REPLY, .op_count = 1 };
	uint8_t reply[WIRE_HEADER_SIZE + WIRE_REPLY_OP_SIZE];
	const struct client_request *request;
	struct client_session *session;

	fake->countdown = 1;
	fake->intercept = swallow;
	submit(fake, GODWIT_OP_SET, "w", &write);
	godwit_flush(fake->client);
	fake_server_turn(fake);
	session = client_session_lookup(fake->client, fake->ports[0].address);
	request = TAILQ_FIRST(&session->flight);
	CU_ASSERT_PTR_NOT_NULL_FATAL(request);
	header.session_id = request->session_id;
	header.token = request->token;
	header.sequence = request->sequence;
	fake_server_forget(fake, false);
	submit(fake, GODWIT_OP_SET, "x", &second);
	godwit_flush(fake->client);
	fake_server_turn(fake); /* answered by NEED_HELLO */
	while (TAILQ_EMPTY(&session->orphans))
		godwit_process(fake->client);
	wire_header_write(reply, &header);
	wire_reply_op_write(reply + WIRE_HEADER_SIZE, WIRE_SET, WIRE_OK, 77, 0);
	fake_server_send(fake, &fake->ports[0], reply, sizeof(reply));
	fake_server_settle(fake);
	CU_ASSERT_EQUAL(write, GODWIT_OK);
	CU_ASSERT_EQUAL(second, GODWIT_OK);
	fake_server_destroy(fake);
}

static void a_restarted_server_is_asked_for_its_map(void)
{
	struct fake_server *fake = open_one();
	uint64_t maps = fake->map_requests;

	godwit_set(fake->client, "a", 1, "1", 1, 0, NULL);
	fake_server_forget(fake, true);
	fake->map_version = 0;
	fake->now_us += 100000; /* maps are not fetched faster than every retry interval */
	CU_ASSERT_EQUAL(godwit_get(fake->client, "a", 1, NULL), GODWIT_NOT_FOUND);
	CU_ASSERT_EQUAL(godwit_get(fake->client, "a", 1, NULL), GODWIT_NOT_FOUND);
	CU_ASSERT_EQUAL(fake->map_requests, maps + 1);
	CU_ASSERT_EQUAL(fake->client->map.version, 0); /* an older number, but the truth of today */
	fake_server_destroy(fake);
}

/* ---- sequences ---- */

static void sequences_in_flight_stay_inside_the_window(void)
{
	enum { COUNT = 4000 };
	static enum godwit_status statuses[COUNT];
	struct fake_server *fake = fake_server_create(1, 1, 8);
	struct godwit_options options = GODWIT_OPTIONS_INIT;
	uint32_t unresolved = 0;

	options.in_flight_max = 256;
	options.timeout_ms = 20000;
	CU_ASSERT_EQUAL_FATAL(fake_server_open(fake, &options), GODWIT_OK);
	fake->drop_percent = 20;
	fake->duplicate_percent = 5;
	fake->delay_percent = 20;
	godwit_set(fake->client, "a", 1, "", 0, 0, NULL);
	for (uint32_t i = 0; i < COUNT; i++) {
		submit(fake, GODWIT_OP_INCREMENT, "n", &statuses[i]);
		godwit_flush(fake->client); /* a datagram each */
		if (i % 64 == 63)
			fake_server_turn(fake);
	}
	fake_server_settle(fake);
	for (uint32_t i = 0; i < COUNT; i++)
		unresolved += statuses[i] != GODWIT_OK;
	CU_ASSERT_EQUAL(unresolved, 0);
	CU_ASSERT_EQUAL(fake->out_of_window, 0);
	CU_ASSERT(fake->replayed > 0);
	/* Counted exactly once each: the first stored 0. */
	CU_ASSERT_EQUAL(strtol((const char *)fake_server_find(fake, "n", 1)->value, NULL, 10),
			COUNT - 1);
	fake_server_destroy(fake);
}

static void a_session_ends_before_its_sequences_do(void)
{
	struct fake_server *fake = open_one();
	struct client_session *session =
		client_session_lookup(fake->client, fake->ports[0].address);

	session->next_sequence = 0xffff0000u - 1;
	session->oldest_sequence = session->next_sequence;
	CU_ASSERT_EQUAL(godwit_set(fake->client, "a", 1, "1", 1, 0, NULL), GODWIT_OK);
	CU_ASSERT_EQUAL(godwit_set(fake->client, "a", 1, "2", 1, 0, NULL), GODWIT_OK);
	CU_ASSERT_EQUAL(fake->client->stats.sessions_opened, 2);
	CU_ASSERT_EQUAL(fake->client->stats.sessions_lost, 0);
	CU_ASSERT(session->next_sequence < 10);
	fake_server_destroy(fake);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(opening_takes_two_hellos_and_a_map),
		UNIT_TEST(opening_survives_loss_and_disorder),
		UNIT_TEST(a_silent_server_is_no_server),
		UNIT_TEST(bad_seeds_and_options_are_refused),
		UNIT_TEST(the_local_address_is_used),
		UNIT_TEST(a_server_of_another_version_is_told_apart),
		UNIT_TEST(forged_grants_are_ignored),
		UNIT_TEST(a_forgotten_session_is_opened_anew),
		UNIT_TEST(a_write_repeated_into_a_forgotten_session_is_unknown),
		UNIT_TEST(writes_in_flight_when_the_session_is_lost_are_unknown),
		UNIT_TEST(a_late_reply_resolves_an_orphan),
		UNIT_TEST(a_restarted_server_is_asked_for_its_map),
		UNIT_TEST(sequences_in_flight_stay_inside_the_window),
		UNIT_TEST(a_session_ends_before_its_sequences_do),
		{ NULL, NULL },
	};

	return unit_run("client_session", tests);
}
