/* SPDX-License-Identifier: BSD-3-Clause */
/* The node's own client: requests of its control thread, by the way of all requests but without a wire. */
#ifndef DATAPLANE_LOCAL_CLIENT_H
#define DATAPLANE_LOCAL_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/wire_codec.h"

struct core_shared;

/*      control thread                         a worker
 *        | packet with a REQUEST  --mailbox-->  | dispatched as if it had come by the port: executed, parked,
 *        |                                      | handed to another worker, forwarded to another node, refused
 *        | packet with the REPLY  <--ring-----  |
 *
 * A request is repeated, with the same sequence, until it was answered, like that of any client: so it is applied once, through losses on
 * the way to another node and changes of owners. The worker makes no system call for it: its answers are to be polled for.
 *
 * Thread safety: one thread, the node's control thread. Workers may run or not.
 */
struct local_client;

/* Requests open at a time. */
#define LOCAL_REQUESTS_MAX 64u

/* A request without an answer is repeated after so long, then after twice as long, ... */
#define LOCAL_REPEAT_MS 50u
#define LOCAL_REPEAT_MS_MAX 400u
/* ... until so long after it was made. */
#define LOCAL_DEADLINE_MS 2000u

enum local_outcome {
	LOCAL_ANSWERED,    /* status is what the owner said */
	LOCAL_NOT_APPLIED, /* it was put off or refused until the deadline; status says how */
	LOCAL_UNKNOWN,     /* no answer: it may or may not have been applied, or may yet be */
};

struct local_answer {
	enum local_outcome outcome;
	uint8_t status; /* enum wire_status */
	uint64_t version;
	const uint8_t *value; /* valid during the call */
	uint32_t value_size;
};

/* Called once for each request, by local_client_poll() or local_client_destroy(). It may make new requests in
 * the former.
 */
typedef void local_done(void *context, const struct local_answer *answer);

/* A client of the node that 'shared' belongs to and that outlives it. 0 or -errno. */
int local_client_create(struct local_client **client, struct core_shared *shared);

/* Ends what is open as local_client_poll() would at its deadline. Accepts NULL. */
void local_client_destroy(struct local_client *client);

/* Makes a request of one operation, which is copied. 0; -EMSGSIZE: it is too large for a datagram, and no node will take it;
 * -EAGAIN: too many requests are open. On failure 'done' is not called. 'now_ms' is monotonic.
 */
int local_client_send(struct local_client *client, const struct wire_request_op *op,
		      uint64_t now_ms, local_done *done, void *context);

/* Takes answers, repeats, ends what is past its deadline. Returns whether requests are open: then call it again
 * within about a millisecond.
 */
bool local_client_poll(struct local_client *client, uint64_t now_ms);

/* The largest value that a SET of a key of 'key_size' bytes may have. */
uint32_t local_client_value_size_max(const struct local_client *client, uint32_t key_size);

#endif
