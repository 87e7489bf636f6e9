/* SPDX-License-Identifier: BSD-3-Clause */
/* One operation from its submission to its result: checked, encoded once, then handed between
 * queues and requests.
 */
#ifndef DATAPLANE_CLIENT_CLIENT_OPERATION_H
#define DATAPLANE_CLIENT_CLIENT_OPERATION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "dataplane/client/client_address.h"
#include "dataplane/client/godwit.h"

struct client_request;
struct client_session;

TAILQ_HEAD(client_operation_list, client_operation);

/* Always in the client's list of live operations, which is sorted by deadline, and in one more
 * place at most: the queue of a session, a request, or the client's list of those that wait for a
 * route. In none of them its outcome is settled, and told by the next godwit_process().
 */
struct client_operation {
	TAILQ_ENTRY(client_operation) live_link;
	TAILQ_ENTRY(client_operation) list_link;
	struct client_session *session; /* whose queue it is in, or NULL */
	struct client_request *request; /* which it is in, or NULL */
	uint32_t request_index;         /* its place among the request's operations */
	bool is_unrouted;               /* it waits for a route */
	uint8_t opcode;
	bool is_write;
	bool is_alone;              /* to be sent in a datagram of its own */
	bool was_too_large;         /* its value did not fit beside others */
	bool was_sent;              /* in an earlier request that was given up */
	enum godwit_status refusal; /* why a server would not execute it; GODWIT_OK = none did */
	struct client_address redirect; /* where a server sent it to; port 0 = by the map */
	uint32_t redirect_count;
	uint64_t not_before_us; /* in the list of those that wait for a route */
	uint64_t deadline_us;
	godwit_callback *callback;
	void *context;
	uint32_t value_size;
	uint16_t key_size;
	uint16_t key_offset;
	uint32_t wire_size;
	uint8_t wire[]; /* the request operation as it is sent */
};

static inline const uint8_t *client_operation_key(const struct client_operation *operation)
{
	return operation->wire + operation->key_offset;
}

/* A checked copy of 'wanted' with nothing but itself set, owned by the caller, who frees it by
 * free(). GODWIT_OK, or GODWIT_INVALID_ARGUMENT, GODWIT_TOO_LARGE (no UDP payload would hold the
 * value), GODWIT_NO_MEMORY.
 */
enum godwit_status client_operation_create(struct client_operation **operation,
					   const struct godwit_operation *wanted);

/* Bytes its reply has at least. */
uint32_t client_operation_reply_size_min(const struct client_operation *operation);

/* Whether 'opcode' may change an item. */
bool client_opcode_is_write(uint8_t opcode);
/* Whether its reply carries the item's value. */
bool client_opcode_returns_value(uint8_t opcode);
/* Whether its reply carries a number of 8 bytes. */
bool client_opcode_returns_number(uint8_t opcode);

#endif
