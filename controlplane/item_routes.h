/* SPDX-License-Identifier: BSD-3-Clause */
/* /v1/items: items by HTTP, through the node's own client. */
#ifndef CONTROLPLANE_ITEM_ROUTES_H
#define CONTROLPLANE_ITEM_ROUTES_H

#include <event2/event.h>

#include "controlplane/admin_http.h"
#include "controlplane/world.h"

struct local_client;

/* Thread safety: control thread only. */
struct item_service;

/* How often answers are looked for while requests are open. */
#define ITEM_SERVICE_POLL_MS 1u

/* Takes 'client' when it succeeds; 'world' outlives the service. NULL without memory. */
struct item_service *item_service_create(struct event_base *base, const struct world *world,
					 struct local_client *client);

/* Replies to what is open as if the time were over; to be called before its admin server ends. Accepts NULL. */
void item_service_destroy(struct item_service *service);

/* Raw routes, with an item service as context. */
extern const struct admin_route item_routes[];

#endif
