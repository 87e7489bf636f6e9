/* SPDX-License-Identifier: BSD-3-Clause */
/* Items in HTTP: what a request asks of the data plane, and how the answer is told. */
#ifndef CONTROLPLANE_ITEM_HTTP_H
#define CONTROLPLANE_ITEM_HTTP_H

#include <stdbool.h>

#include "controlplane/admin_http.h"
#include "dataplane/local_client.h"
#include "dataplane/wire_format.h"

/*      GET                             GET      200 and the value
 *      PUT                             SET      200 {"version": N}
 *      PUT     If-None-Match: *        ADD
 *      PUT     If-Match: *             REPLACE
 *      PUT     If-Match: "version"     CAS
 *      DELETE                          DELETE   204
 *      DELETE  If-Match: "version"     that version alone
 *
 * A PUT takes a time to live, ?ttl_ms=N or the header Godwit-TTL-Ms: N. The version is in ETag.
 *
 * Thread safety: pure.
 */
#define ITEM_HTTP_TTL_HEADER "Godwit-TTL-Ms"

/* Makes an operation of a raw request whose 'rest' is the key; 'op' borrows key and value from it. False after making
 * the reply: 400, and what was expected.
 */
bool item_http_read(const struct admin_request *request, struct wire_request_op *op,
		    struct admin_reply *reply);

/* Makes the reply of what became of the operation. */
void item_http_answer(enum wire_opcode opcode, const struct local_answer *answer,
		      struct admin_reply *reply);

/* The replies to operations that were not made: too large, or too many are open. */
void item_http_too_large(uint32_t value_size, uint32_t value_size_max, struct admin_reply *reply);
void item_http_too_many(enum wire_opcode opcode, struct admin_reply *reply);

#endif
