/* SPDX-License-Identifier: BSD-3-Clause */
/* The partition map: each operation goes where its key is served, also while the map changes. */
#include <stdio.h>

#include "tests/unit/client/fake_server.h"
#include "tests/unit/unit.h"

#define KEY_COUNT 300u

static char key_names[KEY_COUNT][8];
static struct godwit_key keys[KEY_COUNT];
static struct godwit_pair pairs[KEY_COUNT];
static struct godwit_result results[KEY_COUNT];

static void name_keys(void)
{
	for (uint32_t i = 0; i < KEY_COUNT; i++) {
		snprintf(key_names[i], sizeof(key_names[i]), "key%04u", i);
		keys[i] = (struct godwit_key){ key_names[i], 7 };
		pairs[i] = (struct godwit_pair){ key_names[i], 7, key_names[i], 7 };
	}
}

static struct fake_server *open_cluster(uint32_t nodes, uint32_t workers, uint32_t partitions)
{
	struct fake_server *fake = fake_server_create(nodes, workers, partitions);

	CU_ASSERT_EQUAL_FATAL(fake_server_open(fake, NULL), GODWIT_OK);
	return fake;
}

static void each_worker_gets_the_keys_of_its_partitions(void)
{
	struct fake_server *fake = open_cluster(1, 2, 64);

	CU_ASSERT_EQUAL(godwit_set_many(fake->client, pairs, KEY_COUNT, 0, results), KEY_COUNT);
	CU_ASSERT_EQUAL(godwit_get_many(fake->client, keys, KEY_COUNT, results), KEY_COUNT);
	CU_ASSERT_EQUAL(fake->misrouted, 0);
	CU_ASSERT(fake->ports[0].requests > 0 && fake->ports[1].requests > 0);
	CU_ASSERT_EQUAL(fake->client->stats.sessions_opened, 2);
	fake_server_destroy(fake);
}

static void each_node_gets_the_keys_it_owns(void)
{
	struct fake_server *fake = open_cluster(3, 2, 64);

	CU_ASSERT_EQUAL(godwit_set_many(fake->client, pairs, KEY_COUNT, 0, results), KEY_COUNT);
	CU_ASSERT_EQUAL(godwit_get_many(fake->client, keys, KEY_COUNT, results), KEY_COUNT);
	CU_ASSERT_EQUAL(fake->misrouted, 0);
	CU_ASSERT_EQUAL(fake->client->stats.redirects, 0);
	for (uint32_t i = 0; i < fake->port_count; i++)
		CU_ASSERT(fake->ports[i].requests > 0);
	fake_server_destroy(fake);
}

static void a_large_map_comes_in_pages(void)
{
	struct fake_server *fake = fake_server_create(3, 1, 4096);

	CU_ASSERT_EQUAL_FATAL(fake_server_open(fake, NULL), GODWIT_OK);
	CU_ASSERT_EQUAL(fake->map_requests, 6); /* 708 owners fit 1,448 - 8 - 3 * 8 bytes */
	CU_ASSERT_EQUAL(memcmp(fake->client->map.owners, fake->owners, 4096 * sizeof(uint16_t)), 0);
	CU_ASSERT_EQUAL(fake->client->stats.maps_fetched, 1);
	fake_server_destroy(fake);
}

static void pages_survive_loss_and_disorder(void)
{
	struct godwit_options options = GODWIT_OPTIONS_INIT;

	options.connect_timeout_ms = 20000;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct fake_server *fake = fake_server_create(3, 1, 1024);

		fake->random = seed;
		fake->map_room = 200;
		fake->drop_percent = 20;
		fake->duplicate_percent = 20;
		fake->delay_percent = 20;
		CU_ASSERT_EQUAL_FATAL(fake_server_open(fake, &options), GODWIT_OK);
		CU_ASSERT_EQUAL(
			memcmp(fake->client->map.owners, fake->owners, 1024 * sizeof(uint16_t)), 0);
		fake_server_destroy(fake);
	}
}

static void move_all_to(struct fake_server *fake, uint16_t node)
{
	for (uint32_t p = 0; p < fake->partition_count; p++)
		fake->owners[p] = node;
	fake->map_version++;
}

/* The old owner names the new one; its reply's map version makes the client fetch the map and go
 * direct.
 */
static void a_moved_partition_is_followed(void)
{
	struct fake_server *fake = open_cluster(2, 1, 8);
	uint64_t requests;

	CU_ASSERT_EQUAL(godwit_set_many(fake->client, pairs, KEY_COUNT, 0, results), KEY_COUNT);
	fake->now_us += 100000;
	move_all_to(fake, 1);
	CU_ASSERT_EQUAL(godwit_get_many(fake->client, keys, KEY_COUNT, results), KEY_COUNT);
	CU_ASSERT(fake->client->stats.redirects > 0);
	CU_ASSERT_EQUAL(godwit_get(fake->client, "key0000", 7, NULL), GODWIT_OK);
	CU_ASSERT_EQUAL(fake->client->map.version, 2);
	requests = fake->ports[0].requests;
	fake->client->stats.redirects = 0;
	CU_ASSERT_EQUAL(godwit_get_many(fake->client, keys, KEY_COUNT, results), KEY_COUNT);
	CU_ASSERT_EQUAL(fake->ports[0].requests, requests);
	CU_ASSERT_EQUAL(fake->client->stats.redirects, 0);
	fake_server_destroy(fake);
}

static void writes_follow_too_and_are_executed_once(void)
{
	struct fake_server *fake = open_cluster(2, 1, 8);
	char key[16];
	size_t size = fake_server_key_in(fake, 0, 0, key);
	struct godwit_result result;

	CU_ASSERT_EQUAL(godwit_increment_initial(fake->client, key, size, 1, 1, 0, NULL),
			GODWIT_OK);
	fake->owners[0] = 1;
	fake->map_version++;
	CU_ASSERT_EQUAL(godwit_increment(fake->client, key, size, 1, &result), GODWIT_OK);
	CU_ASSERT_EQUAL(result.number, 2);
	CU_ASSERT_EQUAL(fake->client->stats.redirects, 1);
	fake_server_destroy(fake);
}

/* Loses the first transmission; the partition has moved when the second one comes. */
static bool swallow_then_move(struct fake_server *fake, struct fake_port *port,
			      const struct wire_header *header, const uint8_t *bytes, size_t size)
{
	(void)port, (void)header, (void)bytes, (void)size;
	if (fake->countdown == 0)
		return false;
	fake->countdown--;
	move_all_to(fake, 1);
	return true;
}

/* A node that says NOT_OWNER, even to a copy, says of all of them that it did not execute them. */
static void a_repeated_write_follows_when_its_node_disowns_it(void)
{
	struct fake_server *fake = open_cluster(2, 1, 1);
	uint64_t executed;

	godwit_get(fake->client, "a", 1, NULL);
	fake->intercept = swallow_then_move;
	fake->countdown = 1;
	executed = fake->executed;
	CU_ASSERT_EQUAL(godwit_set(fake->client, "a", 1, "x", 1, 0, NULL), GODWIT_OK);
	CU_ASSERT_PTR_NOT_NULL(fake_server_find(fake, "a", 1));
	CU_ASSERT_EQUAL(fake->executed, executed + 1);
	CU_ASSERT_EQUAL(fake->client->stats.redirects, 1);
	fake_server_destroy(fake);
}

static void without_an_owner_the_cluster_says_unavailable(void)
{
	struct fake_server *fake = fake_server_create(1, 1, 8);
	char key[16];
	size_t size = fake_server_key_in(fake, 3, 0, key);

	fake->owners[3] = WIRE_MAP_NO_OWNER;
	CU_ASSERT_EQUAL_FATAL(fake_server_open(fake, NULL), GODWIT_OK);
	CU_ASSERT_EQUAL(godwit_set(fake->client, key, size, "x", 1, 0, NULL), GODWIT_UNAVAILABLE);
	CU_ASSERT_EQUAL(godwit_get(fake->client, key, size, NULL), GODWIT_UNAVAILABLE);
	size = fake_server_key_in(fake, 2, 0, key);
	CU_ASSERT_EQUAL(godwit_set(fake->client, key, size, "x", 1, 0, NULL), GODWIT_OK);
	fake_server_destroy(fake);
}

/* Two nodes that name one another. */
static bool point_to_the_other(struct fake_server *fake, struct fake_port *port,
			       const struct wire_header *header, const uint8_t *bytes, size_t size)
{
	uint8_t owner[WIRE_OWNER_SIZE] = { 0 };

	wire_put_u32(owner, 0x7f000001 + (port->node ^ 1));
	wire_put_u16(owner + 4, (uint16_t)fake->base_port);
	fake_server_refuse(fake, port, header, bytes, size, WIRE_NOT_OWNER, owner, sizeof(owner));
	return true;
}

static void nodes_that_never_agree_are_asked_with_pauses(void)
{
	struct fake_server *fake = open_cluster(2, 1, 8);

	fake->intercept = point_to_the_other;
	CU_ASSERT_EQUAL(godwit_get(fake->client, "a", 1, NULL), GODWIT_NOT_OWNER);
	CU_ASSERT_EQUAL(godwit_set(fake->client, "a", 1, "x", 1, 0, NULL), GODWIT_NOT_OWNER);
	CU_ASSERT(fake->requests <
		  2 * 4 * (1000 / 20 + 2)); /* bursts of four every 20 ms, for a second each */
	CU_ASSERT(fake->map_requests <= 2 * (1000 / 20 + 2));
	fake_server_destroy(fake);
}

/* The node that owns everything dies; another takes over, and tells so when asked. */
static void reads_leave_a_dead_node_for_its_heir(void)
{
	struct fake_server *fake = open_cluster(2, 1, 8);
	char key[16];
	size_t size = fake_server_key_in(fake, 1, 0, key); /* node 1 */

	CU_ASSERT_EQUAL(godwit_set(fake->client, key, size, "x", 1, 0, NULL), GODWIT_OK);
	fake->ports[1].is_dead = true;
	move_all_to(fake, 0);
	CU_ASSERT_EQUAL(godwit_get(fake->client, key, size, NULL), GODWIT_OK);
	CU_ASSERT_EQUAL(fake->client->map.version, 2);
	CU_ASSERT_EQUAL(godwit_set(fake->client, key, size, "y", 1, 0, NULL), GODWIT_OK);
	fake_server_destroy(fake);
}

/* A worker whose port is never reached: what waits for its session goes to whoever the new map
 * names.
 */
static void what_waits_for_a_dead_node_is_routed_anew(void)
{
	struct fake_server *fake = fake_server_create(2, 1, 8);
	char key[16];
	size_t size = fake_server_key_in(fake, 1, 0, key);

	fake->ports[1].is_dead = true;
	CU_ASSERT_EQUAL_FATAL(fake_server_open(fake, NULL), GODWIT_OK);
	CU_ASSERT_EQUAL(godwit_set(fake->client, key, size, "x", 1, 0, NULL), GODWIT_NO_SERVER);
	move_all_to(fake, 0);
	CU_ASSERT_EQUAL(godwit_set(fake->client, key, size, "x", 1, 0, NULL), GODWIT_OK);
	fake_server_destroy(fake);
}

/* After a restart with other numbers of partitions and workers, and a younger map. */
static void a_cluster_made_anew_is_learned(void)
{
	struct fake_server *fake = open_cluster(1, 2, 64);

	CU_ASSERT_EQUAL(godwit_set_many(fake->client, pairs, KEY_COUNT, 0, results), KEY_COUNT);
	fake->now_us += 1000000;
	fake_server_forget(fake, true);
	fake->map_version = 0;
	fake->worker_count = 1;
	fake->partition_count = 16;
	fake->ports[1].is_dead = true;
	godwit_set_many(fake->client, pairs, KEY_COUNT, 0,
			results); /* half of it goes to the dead port */
	CU_ASSERT_EQUAL(fake->client->map.partition_count, 16);
	CU_ASSERT_EQUAL(fake->client->map.version, 0);
	CU_ASSERT_EQUAL(godwit_set_many(fake->client, pairs, KEY_COUNT, 0, results), KEY_COUNT);
	CU_ASSERT_EQUAL(godwit_get_many(fake->client, keys, KEY_COUNT, results), KEY_COUNT);
	fake_server_destroy(fake);
}

static void malformed_maps_are_ignored(void)
{
	struct fake_server *fake = open_cluster(1, 1, 8);
	struct client_session *session =
		client_session_lookup(fake->client, fake->ports[0].address);
	struct wire_header header = { .session_id = session->id,
				      .token = session->token,
				      .map_version = 9 };
	uint8_t body[WIRE_MAP_REPLY_BODY_SIZE + WIRE_MAP_NODE_SIZE + 16] = { 0 };
	struct client_map_fetch *fetch = &fake->client->fetch;

	CU_ASSERT_FALSE(client_map_on_reply(fake->client, session, &header, body,
					    sizeof(body))); /* not asked */
	fake->client->fetch.not_before_us = 0;
	client_map_want(fake->client, NULL, false);
	client_map_tick(fake->client);
	header.sequence = fetch->sequence;
	CU_ASSERT_FALSE(client_map_on_reply(fake->client, session, &header, body,
					    sizeof(body))); /* all zero */
	wire_put_u16(body, 8);
	wire_put_u16(body + 4, 8);
	wire_put_u16(body + 6, 1);
	wire_put_u32(body + 8, 0x7f000001);
	wire_put_u16(body + 12, (uint16_t)fake->base_port);
	wire_put_u16(body + 14, 1);
	CU_ASSERT_FALSE(
		client_map_on_reply(fake->client, session, &header, body, sizeof(body) - 1));
	header.sequence++;
	CU_ASSERT_FALSE(client_map_on_reply(fake->client, session, &header, body, sizeof(body)));
	header.sequence--;
	header.token++;
	CU_ASSERT_FALSE(client_map_on_reply(fake->client, session, &header, body, sizeof(body)));
	header.token--;
	wire_put_u16(body + 2, 1); /* not the page that was asked for */
	wire_put_u16(body + 4, 7);
	CU_ASSERT_FALSE(client_map_on_reply(fake->client, session, &header, body, sizeof(body)));
	wire_put_u16(body + 2, 0);
	wire_put_u16(body + 4, 8);
	CU_ASSERT_EQUAL(fake->client->map.version, 1);
	CU_ASSERT_TRUE(client_map_on_reply(fake->client, session, &header, body, sizeof(body)));
	CU_ASSERT_EQUAL(fake->client->map.version, 9);
	CU_ASSERT_FALSE(client_map_on_reply(fake->client, session, &header, body,
					    sizeof(body))); /* twice */
	fake_server_destroy(fake);
}

/* The map changes between two of its pages: it is read again from the start. */
static void a_map_that_changes_while_it_is_read_is_read_again(void)
{
	struct fake_server *fake = open_cluster(2, 1, 64);

	fake->map_room = 8 + 16 + 2 * 20;
	fake->client->fetch.not_before_us = 0;
	client_map_want(fake->client, NULL, true);
	client_map_tick(fake->client);
	fake_server_turn(fake);
	while (fake->client->fetch.next == 0)
		godwit_process(fake->client);
	move_all_to(fake, 1);
	CU_ASSERT_EQUAL(godwit_set_many(fake->client, pairs, KEY_COUNT, 0, results), KEY_COUNT);
	while (fake->client->fetch.is_wanted) {
		fake_server_turn(fake);
		godwit_process(fake->client);
	}
	CU_ASSERT_EQUAL(fake->client->map.version, 2);
	CU_ASSERT_EQUAL(memcmp(fake->client->map.owners, fake->client->map.owners + 1, 126), 0);
	fake_server_destroy(fake);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(each_worker_gets_the_keys_of_its_partitions),
		UNIT_TEST(each_node_gets_the_keys_it_owns),
		UNIT_TEST(a_large_map_comes_in_pages),
		UNIT_TEST(pages_survive_loss_and_disorder),
		UNIT_TEST(a_moved_partition_is_followed),
		UNIT_TEST(writes_follow_too_and_are_executed_once),
		UNIT_TEST(a_repeated_write_follows_when_its_node_disowns_it),
		UNIT_TEST(without_an_owner_the_cluster_says_unavailable),
		UNIT_TEST(nodes_that_never_agree_are_asked_with_pauses),
		UNIT_TEST(reads_leave_a_dead_node_for_its_heir),
		UNIT_TEST(what_waits_for_a_dead_node_is_routed_anew),
		UNIT_TEST(a_cluster_made_anew_is_learned),
		UNIT_TEST(malformed_maps_are_ignored),
		UNIT_TEST(a_map_that_changes_while_it_is_read_is_read_again),
		{ NULL, NULL },
	};

	name_keys();
	return unit_run("client_map", tests);
}
