/* SPDX-License-Identifier: BSD-3-Clause */
/* One member's record: what a node says of itself, written by that node alone. */
#include "controlplane/node.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static const uint8_t ipv4_prefix[12] = { [10] = 0xff, [11] = 0xff };

struct node_address node_address_ipv4(uint32_t ipv4, uint16_t port)
{
	struct node_address address = { .port = port };

	memcpy(address.ip, ipv4_prefix, sizeof(ipv4_prefix));
	for (uint32_t i = 0; i < 4; i++)
		address.ip[12 + i] = (uint8_t)(ipv4 >> (24 - 8 * i));
	return address;
}

bool node_address_is_ipv4(const struct node_address *address)
{
	return memcmp(address->ip, ipv4_prefix, sizeof(ipv4_prefix)) == 0;
}

bool node_address_is_none(const struct node_address *address)
{
	static const struct node_address none;

	return node_address_equals(address, &none);
}

bool node_address_equals(const struct node_address *a, const struct node_address *b)
{
	return a->port == b->port && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

uint32_t node_address_to_ipv4(const struct node_address *address)
{
	const uint8_t *ip = address->ip + 12;

	if (!node_address_is_ipv4(address))
		return 0;
	return (uint32_t)ip[0] << 24 | (uint32_t)ip[1] << 16 | (uint32_t)ip[2] << 8 | ip[3];
}

const char *node_address_format(const struct node_address *address, char *text)
{
	char ip[INET6_ADDRSTRLEN];

	if (node_address_is_ipv4(address)) {
		inet_ntop(AF_INET, address->ip + 12, ip, sizeof(ip));
		snprintf(text, NODE_ADDRESS_TEXT_SIZE, "%s:%u", ip, address->port);
	} else {
		inet_ntop(AF_INET6, address->ip, ip, sizeof(ip));
		snprintf(text, NODE_ADDRESS_TEXT_SIZE, "[%s]:%u", ip, address->port);
	}
	return text;
}

static int parse_port(uint16_t *port, const char *text)
{
	char *end;
	unsigned long value;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	value = strtoul(text, &end, 10);
	if (*end != '\0' || value == 0 || value > UINT16_MAX)
		return -EINVAL;
	*port = (uint16_t)value;
	return 0;
}

int node_address_parse(struct node_address *address, const char *text)
{
	struct node_address parsed = { 0 };
	char ip[INET6_ADDRSTRLEN];
	bool is_ipv6 = text[0] == '[';
	const char *start = is_ipv6 ? text + 1 : text;
	const char *end = is_ipv6 ? strstr(start, "]:") : strrchr(start, ':');
	size_t size = end ? (size_t)(end - start) : 0;

	if (!end || size >= sizeof(ip) || parse_port(&parsed.port, end + (is_ipv6 ? 2 : 1)) != 0)
		return -EINVAL;
	memcpy(ip, start, size);
	ip[size] = '\0';
	if (!is_ipv6)
		memcpy(parsed.ip, ipv4_prefix, sizeof(ipv4_prefix));
	if (inet_pton(is_ipv6 ? AF_INET6 : AF_INET, ip, parsed.ip + (is_ipv6 ? 0 : 12)) != 1)
		return -EINVAL;
	*address = parsed;
	return 0;
}

uint64_t node_id_of_name(const char *name)
{
	uint64_t id = XXH3_64bits(name, strlen(name));

	return id ? id : 1;
}

bool node_name_is_valid(const char *name)
{
	size_t size = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789-_.");

	return size > 0 && size < NODE_NAME_SIZE && name[size] == '\0';
}

static int compare(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

int node_compare_age(const struct node *a, const struct node *b)
{
	int order = compare(a->generation, b->generation);

	if (order == 0)
		order = compare(a->incarnation, b->incarnation);
	if (order == 0)
		order = compare(a->record_version, b->record_version);
	return order;
}

bool node_announcement_equals(const struct node *a, const struct node *b)
{
	return a->id == b->id && strcmp(a->name, b->name) == 0 && a->state == b->state &&
	       node_address_equals(&a->control, &b->control) &&
	       node_address_equals(&a->data, &b->data) && a->workers == b->workers &&
	       a->weight == b->weight &&
	       memcmp(a->session_secret, b->session_secret, NODE_SECRET_SIZE) == 0 &&
	       partition_set_equals(&a->importing_partitions, &b->importing_partitions) &&
	       partition_set_equals(&a->migrating_partitions, &b->migrating_partitions);
}

bool node_content_equals(const struct node *a, const struct node *b)
{
	return node_announcement_equals(a, b) && a->map_version == b->map_version &&
	       a->map_stamp == b->map_stamp && a->load.items == b->load.items &&
	       a->load.item_bytes == b->load.item_bytes &&
	       a->load.operations_per_s == b->load.operations_per_s;
}

const char *node_state_name(enum node_state state)
{
	switch (state) {
	case NODE_ACTIVE:
		return "active";
	case NODE_LEAVING:
		return "leaving";
	case NODE_LEFT:
		return "left";
	}
	return "unknown";
}
