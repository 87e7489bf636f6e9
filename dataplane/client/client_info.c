/* SPDX-License-Identifier: BSD-3-Clause */
/* What a handle knows of its cluster and of itself; and the ping. */
#include "dataplane/client/client.h"

#include <string.h>

static void send_ping(struct godwit *client)
{
	struct client_ping *ping = &client->ping;
	struct wire_header header = { .kind = WIRE_PING };
	uint8_t bytes[WIRE_HEADER_SIZE];

	header.token = ping->token;
	header.sequence = ++ping->sequence;
	wire_header_write(bytes, &header);
	ping->sent_us = client_now_us(client);
	client_send(client, ping->address, bytes, sizeof(bytes));
}

static struct client_address ping_target(const struct godwit *client)
{
	return client->map.home ? client->map.home->address : client->seeds[0];
}

enum godwit_status godwit_ping(struct godwit *client, const char *address, uint64_t *round_trip_us)
{
	struct client_ping *ping = &client->ping;
	uint64_t deadline_us;
	bool is_answered;

	if (client->is_in_callback)
		return GODWIT_INVALID_ARGUMENT;
	*ping = (struct client_ping){ .address = ping_target(client) };
	if (address && !client_address_parse(address, GODWIT_PORT_DEFAULT, &ping->address))
		return GODWIT_INVALID_ARGUMENT;
	ping->token = client->world.random(client->world.context);
	deadline_us = client_now_us(client) + client->timeout_us;
	send_ping(client);
	while (!ping->answered_us && client->now_us < deadline_us) {
		uint64_t again_us = ping->sent_us + client->retry_interval_us;

		if (client->now_us >= again_us)
			send_ping(client);
		else
			client_wait(client, again_us < deadline_us ? again_us : deadline_us);
	}
	is_answered = ping->answered_us != 0;
	if (is_answered && round_trip_us)
		*round_trip_us = ping->answered_us - ping->sent_us;
	*ping = (struct client_ping){ 0 };
	return is_answered ? GODWIT_OK : GODWIT_NO_SERVER;
}

enum godwit_status godwit_info(const struct godwit *client, struct godwit_info *info)
{
	const struct client_session *home = client->map.home;

	*info = (struct godwit_info){ 0 };
	if (!home)
		return GODWIT_NO_SERVER;
	client_address_format(home->address, info->address, sizeof(info->address));
	info->map_version = client->map.version;
	info->partition_count = client->map.partition_count;
	info->node_count = client->map.node_count;
	info->worker_count = home->worker_count;
	info->value_size_max = home->value_size_max;
	info->datagram_size_max = home->datagram_size_max;
	info->boot_id = home->boot_id;
	return GODWIT_OK;
}

enum godwit_status godwit_node(const struct godwit *client, uint32_t index,
			       struct godwit_node *node)
{
	const struct wire_map_node *known;

	*node = (struct godwit_node){ 0 };
	if (index >= client->map.node_count)
		return GODWIT_INVALID_ARGUMENT;
	known = &client->map.nodes[index];
	client_address_format((struct client_address){ known->ipv4, known->base_port },
			      node->address, sizeof(node->address));
	node->worker_count = known->worker_count;
	for (uint32_t p = 0; p < client->map.partition_count; p++)
		node->partition_count += client->map.owners[p] == index;
	return GODWIT_OK;
}

void godwit_stats(const struct godwit *client, struct godwit_stats *stats)
{
	*stats = client->stats;
}
