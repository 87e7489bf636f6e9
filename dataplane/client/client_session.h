/* SPDX-License-Identifier: BSD-3-Clause */
/* One server port as the client talks to it: its handshake, the operations queued for it, the
 * datagrams in flight.
 */
#ifndef DATAPLANE_CLIENT_CLIENT_SESSION_H
#define DATAPLANE_CLIENT_CLIENT_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "dataplane/client/client_address.h"
#include "dataplane/client/client_operation.h"
#include "dataplane/wire_codec.h"

struct godwit;
struct client_request;

/* Sequences in flight never span more than this, so that the oldest is always inside the server's
 * replay window.
 */
#define CLIENT_SPAN_MAX 512u

TAILQ_HEAD(client_request_list, client_request);
TAILQ_HEAD(client_session_list, client_session);

/* clang-format off */
/*          start              challenge             granted
 *   IDLE ----------> GREETING ----------> PROVING -----------> OPEN
 *    ^                |    ^                |                   |
 *    +-- not needed --+    +-- unanswered --+                   |
 *    +---------- NEED_HELLO, or all sequences used -------------+
 */
/* clang-format on */
enum client_session_state {
	CLIENT_SESSION_IDLE,
	CLIENT_SESSION_GREETING, /* HELLO sent */
	CLIENT_SESSION_PROVING,  /* HELLO with the challenge sent */
	CLIENT_SESSION_OPEN,
};

struct client_session {
	TAILQ_ENTRY(client_session) active_link;
	struct client_session *next_of_bucket;
	struct client_address address;
	enum client_session_state state;
	bool is_active; /* in the client's list of sessions that have anything to do */
	bool is_wanted; /* the handshake is needed though nothing is queued */

	/* The handshake. */
	uint64_t nonce;
	uint64_t challenge;
	uint64_t hello_sent_us;
	uint32_t hello_count; /* sent in the present state */

	/* What the server granted. */
	uint32_t id;
	uint64_t token;
	uint64_t boot_id;
	uint32_t datagram_size_max;
	uint32_t value_size_max;
	uint32_t span_max;
	uint16_t worker_count;

	struct client_operation_list queue; /* not yet in a datagram */
	uint32_t queue_count;
	uint32_t queue_bytes;

	uint32_t next_sequence;
	uint32_t oldest_sequence; /* none before it is outstanding */
	uint64_t kept_bytes;      /* the server keeps of all requests' replies so far, at most */
	uint32_t outstanding;     /* requests in the ring */
	struct client_request **ring;       /* by sequence modulo CLIENT_SPAN_MAX */
	struct client_request_list flight;  /* sent; the one sent longest ago first */
	struct client_request_list waiting; /* the server asked to wait; the one due first first */
	struct client_request_list orphans; /* writes of a session the server forgot; likewise */
	uint32_t losses_in_row;             /* time-outs since the last answer */
	uint32_t value_size_mean; /* of values read lately: how many replies may fit a datagram */
};

/* The session with the port at 'address', made if it is new. NULL without memory. It lives as long
 * as the client.
 */
struct client_session *client_session_find(struct godwit *client, struct client_address address);
/* The same, but NULL if it is new. */
struct client_session *client_session_lookup(const struct godwit *client,
					     struct client_address address);
void client_session_destroy_all(struct godwit *client);

/* Starts the handshake unless one is under way or done. */
void client_session_start(struct godwit *client, struct client_session *session);

/* Queues 'operation', which is nowhere else. */
void client_session_enqueue(struct godwit *client, struct client_session *session,
			    struct client_operation *operation);

/* Takes 'operation' out of the session's queue. */
void client_session_unqueue(struct client_session *session, struct client_operation *operation);

/* Numbers 'request' by the next sequence and keeps it in the ring; the opposite. */
void client_session_admit(struct client_session *session, struct client_request *request);
void client_session_release(struct client_session *session, struct client_request *request);

/* How long an answer is waited for at present. */
uint64_t client_session_patience_us(const struct godwit *client,
				    const struct client_session *session);

/* Makes requests of what is queued and puts them into the outbox, as far as the flight limits
 * allow. 'only_full': leaves operations that would not fill a datagram.
 */
void client_session_fill(struct godwit *client, struct client_session *session, bool only_full);

/* Takes in a HELLO_REPLY or a REPLY from the session's address; false when it is not the answer to
 * anything asked.
 */
bool client_session_on_hello_reply(struct godwit *client, struct client_session *session,
				   const struct wire_header *header, const uint8_t *body,
				   size_t body_size);
bool client_session_on_reply(struct godwit *client, struct client_session *session,
			     const struct wire_header *header, const uint8_t *body,
			     size_t body_size);

/* Does what is due: handshakes, repetitions. Removes the session from the active list when nothing
 * is left to do.
 */
void client_session_tick(struct godwit *client, struct client_session *session);
/* When client_session_tick is to be called next, CLIENT_FOREVER if never. */
uint64_t client_session_due_us(const struct godwit *client, const struct client_session *session);

#endif
