/* SPDX-License-Identifier: BSD-3-Clause */
/* Admin requests that one member passes on to another over the bus: one admin address steers the cluster. */
#ifndef CONTROLPLANE_ADMIN_RELAY_H
#define CONTROLPLANE_ADMIN_RELAY_H

#include <event2/event.h>
#include <jansson.h>

#include "controlplane/admin_http.h"
#include "controlplane/bus_transport.h"
#include "controlplane/node.h"

#define ADMIN_RELAY_SERVICE "admin"
/* From asking to the answer; less than godwitctl waits for its own. */
#define ADMIN_RELAY_MS 1500u
/* At once, those that are answered here included. */
#define ADMIN_RELAY_COUNT_MAX 128u

/* One channel per request:
 *
 *      {"method": "POST", "path": "/v1/migrations", "body": {...}}   ---->
 *      {"status": 202, "body": {...}}                                <----
 *
 * What is asked is served by a table of routes of its own, whose handlers act on this node and relay
 * nothing: there are no loops. Only members open channels, so they are believed like the operator.
 *
 * Thread safety: none; the event loop owns it.
 */
struct admin_relay;

struct admin_relay_options {
	struct event_base *base;
	struct bus_transport *transport;
	const struct admin_route *routes; /* as for admin_http_add_routes() */
	void *context;                    /* of their handlers */
};

/* Offers the service. The relay is destroyed before the transport, and no loop runs in between. 0,
 * -ENOMEM or -ENOSPC.
 */
int admin_relay_create(struct admin_relay **relay, const struct admin_relay_options *options);
/* Tells all who wait that there is no answer. Accepts NULL. */
void admin_relay_destroy(struct admin_relay *relay);

/* The answer: an HTTP status and an object, borrowed. */
typedef void admin_relay_done_fn(void *context, int status, const json_t *body);

/* Asks the member 'to'; 'body' is borrowed, NULL = none. 'done' is called exactly once, perhaps before this
 * returns. When the member gave no answer the status is 503 (nothing was done) or 504 (it may or may not
 * have been done), and the body an error that names the member and says why.
 */
void admin_relay_ask(struct admin_relay *relay, const struct node *to, enum admin_method method,
		     const char *path, const json_t *body, admin_relay_done_fn *done,
		     void *context);

#endif
