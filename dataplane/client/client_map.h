/* SPDX-License-Identifier: BSD-3-Clause */
/* The partition map: fetched page by page, and the session that serves each partition. */
#ifndef DATAPLANE_CLIENT_CLIENT_MAP_H
#define DATAPLANE_CLIENT_CLIENT_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/client/client_address.h"
#include "dataplane/wire_codec.h"
#include "dataplane/wire_map.h"
#include "storage/limits.h"

struct godwit;
struct client_operation;
struct client_session;

/* Every node owns a partition, or is not in the map. */
#define CLIENT_NODE_COUNT_MAX PARTITION_COUNT_MAX

struct client_map {
	uint32_t version;
	uint32_t partition_count; /* 0 = no map yet */
	uint32_t node_count;
	struct wire_map_node *nodes;    /* CLIENT_NODE_COUNT_MAX at most */
	uint16_t *owners;               /* node of each partition, or WIRE_MAP_NO_OWNER */
	struct client_session **routes; /* session of each partition, NULL without an owner */
	struct client_session *home;    /* who gave the map */
};

/* The fetch of a newer map; at most one runs. */
struct client_map_fetch {
	bool is_wanted;
	bool is_forced; /* an older version is taken too: the cluster may have been started anew */
	struct client_session *prefer; /* who knows of a newer map, NULL = anybody */
	struct client_session *via;    /* who is being asked; NULL = not running */
	uint32_t sequence;
	uint64_t sent_us;
	uint32_t tries;          /* of the present page */
	uint64_t not_before_us;  /* the next fetch */
	struct client_map pages; /* what is known so far; partitions [0, next) */
	uint32_t next;
};

void client_map_fini(struct client_map *map);

/* Asks for a map. 'prefer' (may be NULL) is asked first; 'is_forced' takes one whose version is not
 * newer, too.
 */
void client_map_want(struct godwit *client, struct client_session *prefer, bool is_forced);

/* Notes the map version in a reply: a newer one is fetched. */
void client_map_notice(struct godwit *client, struct client_session *session, uint32_t version);

/* Whether 'header' answers the question for the map that is open. */
bool client_map_is_asked(const struct godwit *client, const struct client_session *session,
			 const struct wire_header *header);

/* Takes in a MAP_REPLY; false when it is not the answer to anything asked, or malformed. */
bool client_map_on_reply(struct godwit *client, struct client_session *session,
			 const struct wire_header *header, const uint8_t *body, size_t body_size);

/* Asks, asks again, or asks another. */
void client_map_tick(struct godwit *client);
uint64_t client_map_due_us(const struct godwit *client);

/* The session to send 'operation' to: where a server sent it, or by the map. NULL: no map, or no
 * memory.
 */
struct client_session *client_map_route(struct godwit *client,
					const struct client_operation *operation);

#endif
