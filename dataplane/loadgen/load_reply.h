/* SPDX-License-Identifier: BSD-3-Clause */
/* What a worker does with a datagram that came in. */
#ifndef LOADGEN_LOAD_REPLY_H
#define LOADGEN_LOAD_REPLY_H

#include <stdint.h>

#include "dataplane/loadgen/load_worker.h"

/* Takes one received datagram: matches it with its request, checks and counts every operation,
 * frees the request's place. 'now' is when it was received, in ticks.
 */
void load_reply_take(struct load_worker *worker, const struct transport_datagram *datagram,
		     uint64_t now);

/* Gives a request up: no reply will be waited for. */
void load_reply_give_up(struct load_worker *worker, struct flow *flow, struct request *request);

#endif
