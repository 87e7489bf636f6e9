/* SPDX-License-Identifier: BSD-3-Clause */
/* One datagram of operations, from its building to the verdict on each of them. */
#ifndef DATAPLANE_CLIENT_CLIENT_REQUEST_H
#define DATAPLANE_CLIENT_CLIENT_REQUEST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "dataplane/client/client_session.h"

/*                   sent                answer
 *     OUTBOX ---------------> FLIGHT ------------> resolved
 *       ^                       | | RETRY
 *       |   no answer in time   | +------> WAITING --+
 *       +-----------------------+                    | the time is over
 *       +--------------------------------------------+
 *
 *     any of them -- session forgotten, a write was sent --> ORPHAN: a late answer counts,
 *                                                            nothing is sent
 *
 * The same sequence and bytes, but for map_version, are sent each time.
 */
enum client_request_place {
	CLIENT_REQUEST_OUTBOX,
	CLIENT_REQUEST_FLIGHT,
	CLIENT_REQUEST_WAITING,
	CLIENT_REQUEST_ORPHAN,
};

struct client_request {
	TAILQ_ENTRY(client_request) link;
	struct client_session *session;
	enum client_request_place place;
	uint32_t session_id;
	uint64_t token;
	uint32_t sequence;
	uint32_t transmissions; /* that the kernel took */
	uint64_t sent_us;       /* the last one */
	uint64_t due_us;        /* WAITING, ORPHAN */
	uint32_t op_count;
	uint32_t live_count;                  /* operations not yet resolved */
	uint64_t kept_bytes_before;           /* the session's kept_bytes when this one was made */
	uint32_t size;                        /* of 'bytes' */
	struct client_operation **operations; /* NULL for one that is resolved */
	uint8_t *opcodes;
	uint8_t *bytes;
};

/* Takes as many operations from the front of the session's queue as fit one datagram into a new
 * request in the outbox, numbered by the session's next sequence. Operations that can fit none end
 * with GODWIT_TOO_LARGE. False: no request was made.
 */
bool client_request_build(struct godwit *client, struct client_session *session);

/* Sends the outbox as far as the kernel takes it. */
void client_request_flush(struct godwit *client);

/* Puts a request from the flight or the waiting list back into the outbox. */
void client_request_send_again(struct godwit *client, struct client_request *request);

/* Judges the reply of 'op_count' operations in 'body'. False: malformed, nothing changed. Else
 * 'request' may be gone.
 */
bool client_request_resolve(struct godwit *client, struct client_request *request, uint8_t op_count,
			    const uint8_t *body, size_t body_size);

/* The server forgot the request's session. 'is_refused': it said so of this request. What was
 * certainly not executed is routed anew; other writes are left as an orphan, or are completed with
 * GODWIT_UNKNOWN when no answer can come.
 */
void client_request_orphan(struct godwit *client, struct client_request *request, bool is_refused);

/* Gives up on an orphan. */
void client_request_abandon(struct godwit *client, struct client_request *request);

/* Routes all operations anew and destroys the request. Only when none of its writes was sent. */
void client_request_dissolve(struct godwit *client, struct client_request *request);

/* Takes 'operation' out of its request, and destroys the request with its last one. A request that was not sent yet will be
 * sent without it.
 */
void client_request_detach(struct godwit *client, struct client_operation *operation);

#endif
