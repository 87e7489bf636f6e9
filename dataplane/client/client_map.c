/* SPDX-License-Identifier: BSD-3-Clause */
/* Fetches the partition map and routes by it. */
#include "dataplane/client/client_map.h"

#include <stdlib.h>

#include "dataplane/client/client.h"
#include "dataplane/wire_partition.h"

/* Questions for one page before another session is asked. */
#define TRIES_MAX 3u

void client_map_fini(struct client_map *map)
{
	free(map->nodes);
	free(map->owners);
	free(map->routes);
	*map = (struct client_map){ 0 };
}

void client_map_want(struct godwit *client, struct client_session *prefer, bool is_forced)
{
	client->fetch.is_wanted = true;
	client->fetch.is_forced |= is_forced;
	if (prefer)
		client->fetch.prefer = prefer;
}

void client_map_notice(struct godwit *client, struct client_session *session, uint32_t version)
{
	if (client->map.partition_count && (int32_t)(version - client->map.version) > 0)
		client_map_want(client, session, false);
}

/* ---- asking ---- */

static void ask(struct godwit *client)
{
	uint8_t bytes[WIRE_HEADER_SIZE + WIRE_MAP_REQUEST_BODY_SIZE];
	struct client_map_fetch *fetch = &client->fetch;
	struct wire_header header = { .kind = WIRE_MAP_REQUEST,
				      .session_id = fetch->via->id,
				      .token = fetch->via->token,
				      .map_version = client->map.version };

	/* A page of its own sequence each time it is asked for, so that a late answer is not taken
	 * for another page's.
	 */
	fetch->sequence = fetch->via->next_sequence++;
	header.sequence = fetch->sequence;
	wire_header_write(bytes, &header);
	wire_map_request_write(bytes + WIRE_HEADER_SIZE, (uint16_t)fetch->next);
	fetch->sent_us = client->now_us;
	fetch->tries++;
	client_send(client, fetch->via->address, bytes, sizeof(bytes));
}

static void restart(struct godwit *client)
{
	client_map_fini(&client->fetch.pages);
	client->fetch.next = 0;
	client->fetch.tries = 0;
}

static bool is_better(const struct client_session *a, const struct client_session *b)
{
	return !b || a->losses_in_row < b->losses_in_row;
}

/* The one preferred, else the open session with the fewest losses, another than 'failed' if there
 * is any.
 */
static struct client_session *choose(struct godwit *client, const struct client_session *failed)
{
	struct client_session *best = client->fetch.prefer;

	if (best && best != failed && best->state == CLIENT_SESSION_OPEN)
		return best;
	best = NULL;
	for (uint32_t i = 0; i < CLIENT_BUCKET_COUNT; i++)
		for (struct client_session *at = client->buckets[i]; at; at = at->next_of_bucket)
			if (at->state == CLIENT_SESSION_OPEN && at != failed && is_better(at, best))
				best = at;
	return best;
}

/* Nobody is open, or nobody answered: greet whoever may know the cluster. */
static void greet_all(struct godwit *client)
{
	for (uint32_t i = 0; i < client->seed_count; i++) {
		struct client_session *session = client_session_find(client, client->seeds[i]);

		if (!session || session->state == CLIENT_SESSION_OPEN)
			continue;
		session->is_wanted = true;
		client_session_start(client, session);
	}
}

static void ask_anybody(struct godwit *client, struct client_session *failed)
{
	struct client_map_fetch *fetch = &client->fetch;

	restart(client);
	fetch->via = choose(client, failed);
	if (!fetch->via || failed)
		greet_all(client);
	if (!fetch->via && failed && failed->state == CLIENT_SESSION_OPEN)
		fetch->via = failed;
	fetch->prefer = NULL;
	if (fetch->via)
		ask(client);
	else
		fetch->not_before_us = client->now_us + client->retry_interval_us;
}

void client_map_tick(struct godwit *client)
{
	struct client_map_fetch *fetch = &client->fetch;

	if (!fetch->is_wanted)
		return;
	if (!fetch->via) {
		if (client->now_us >= fetch->not_before_us)
			ask_anybody(client, NULL);
	} else if (fetch->via->state != CLIENT_SESSION_OPEN) {
		ask_anybody(client, NULL);
	} else if (client->now_us >= fetch->sent_us + client->retry_interval_us) {
		if (fetch->tries < TRIES_MAX)
			ask(client);
		else
			ask_anybody(client, fetch->via);
	}
}

uint64_t client_map_due_us(const struct godwit *client)
{
	const struct client_map_fetch *fetch = &client->fetch;

	if (!fetch->is_wanted)
		return CLIENT_FOREVER;
	return fetch->via ? fetch->sent_us + client->retry_interval_us : fetch->not_before_us;
}

/* ---- answers ---- */

/* The number of 'node' among the nodes of all pages, added if it is new. */
static uint16_t node_index(struct client_map *pages, struct wire_map_node node)
{
	uint32_t i = 0;

	while (i < pages->node_count &&
	       (pages->nodes[i].ipv4 != node.ipv4 || pages->nodes[i].base_port != node.base_port))
		i++;
	if (i == CLIENT_NODE_COUNT_MAX)
		return WIRE_MAP_NO_OWNER;
	if (i == pages->node_count)
		pages->node_count++;
	pages->nodes[i] = node;
	return (uint16_t)i;
}

static bool pages_init(struct client_map *pages, uint32_t partition_count, uint32_t version)
{
	pages->nodes = calloc(CLIENT_NODE_COUNT_MAX, sizeof(pages->nodes[0]));
	pages->owners = calloc(partition_count, sizeof(pages->owners[0]));
	pages->routes = calloc(partition_count, sizeof(struct client_session *));
	if (!pages->nodes || !pages->owners || !pages->routes) {
		client_map_fini(pages);
		return false;
	}
	pages->partition_count = partition_count;
	pages->version = version;
	return true;
}

static void pages_add(struct client_map *pages, const struct wire_map_reply *page)
{
	for (uint16_t i = 0; i < page->owner_count; i++) {
		uint16_t owner = wire_map_reply_owner(page, i);

		if (owner != WIRE_MAP_NO_OWNER)
			owner = node_index(pages, wire_map_reply_node(page, owner));
		pages->owners[page->first_partition + i] = owner;
	}
}

/* ---- putting it to use ---- */

static bool find_routes(struct godwit *client, struct client_map *map)
{
	for (uint32_t p = 0; p < map->partition_count; p++) {
		struct client_address address;
		struct wire_map_node node;

		if (map->owners[p] == WIRE_MAP_NO_OWNER)
			continue;
		node = map->nodes[map->owners[p]];
		address = (struct client_address){ node.ipv4, (uint16_t)(node.base_port +
									 p % node.worker_count) };
		map->routes[p] = client_session_find(client, address);
		if (!map->routes[p])
			return false;
	}
	return true;
}

/* What is queued or waits for a route, but was not sent, goes where the map says now. */
static void reroute(struct godwit *client)
{
	struct client_operation_list moved = TAILQ_HEAD_INITIALIZER(moved);
	struct client_operation *operation;
	struct client_session *session;

	TAILQ_FOREACH(operation, &client->unrouted, list_link)
	operation->is_unrouted = false;
	TAILQ_CONCAT(&moved, &client->unrouted, list_link);
	client->reroute_us = CLIENT_FOREVER;
	TAILQ_FOREACH(session, &client->active, active_link)
	{
		while ((operation = TAILQ_FIRST(&session->queue))) {
			client_session_unqueue(session, operation);
			TAILQ_INSERT_TAIL(&moved, operation, list_link);
		}
	}
	while ((operation = TAILQ_FIRST(&moved))) {
		TAILQ_REMOVE(&moved, operation, list_link);
		operation->redirect = (struct client_address){ 0, 0 };
		client_route(client, operation);
	}
}

static void install(struct godwit *client, struct client_session *home)
{
	struct client_map_fetch *fetch = &client->fetch;
	struct client_map *map = &client->map;
	bool is_older = (int32_t)(fetch->pages.version - map->version) < 0;

	client->stats.maps_fetched++;
	if ((map->partition_count && is_older && !fetch->is_forced) ||
	    !find_routes(client, &fetch->pages)) {
		client_map_fini(&fetch->pages);
		return;
	}
	client_map_fini(map);
	*map = fetch->pages;
	map->home = home;
	fetch->pages = (struct client_map){ 0 };
	reroute(client);
}

bool client_map_is_asked(const struct godwit *client, const struct client_session *session,
			 const struct wire_header *header)
{
	const struct client_map_fetch *fetch = &client->fetch;

	return fetch->is_wanted && fetch->via == session && header->sequence == fetch->sequence &&
	       header->token == session->token && session->state == CLIENT_SESSION_OPEN;
}

static void finish(struct godwit *client, struct client_session *session)
{
	struct client_map_fetch *fetch = &client->fetch;

	fetch->via = NULL;
	fetch->is_wanted = false;
	install(client, session);
	restart(client);
	fetch->is_forced = false;
	fetch->is_wanted = client->map.partition_count == 0;
	fetch->not_before_us = client->now_us + client->retry_interval_us;
}

bool client_map_on_reply(struct godwit *client, struct client_session *session,
			 const struct wire_header *header, const uint8_t *body, size_t body_size)
{
	struct client_map_fetch *fetch = &client->fetch;
	struct wire_map_reply page;

	if (!client_map_is_asked(client, session, header) || header->session_id != session->id ||
	    !wire_map_reply_read(body, body_size, &page) || page.first_partition != fetch->next)
		return false;
	if (fetch->next && (fetch->pages.version != header->map_version ||
			    fetch->pages.partition_count != page.partition_count)) {
		restart(client); /* the map changed between two pages */
		ask(client);
		return true;
	}
	if (fetch->next == 0) {
		client_map_fini(&fetch->pages);
		if (!pages_init(&fetch->pages, page.partition_count, header->map_version))
			return false;
	}
	pages_add(&fetch->pages, &page);
	fetch->next += page.owner_count;
	fetch->tries = 0;
	if (fetch->next < page.partition_count)
		ask(client);
	else
		finish(client, session);
	return true;
}

/* ---- routing ---- */

struct client_session *client_map_route(struct godwit *client,
					const struct client_operation *operation)
{
	const struct client_map *map = &client->map;
	struct client_session *session;
	uint32_t partition;

	if (operation->redirect.port)
		return client_session_find(client, operation->redirect);
	if (map->partition_count == 0)
		return NULL;
	partition = wire_partition_of(client_operation_key(operation), operation->key_size,
				      map->partition_count);
	session = map->routes[partition];
	return session ? session : map->home; /* without an owner anybody can say so */
}
