/* SPDX-License-Identifier: BSD-3-Clause */
/* Building and sending of a worker's datagrams: by plan, or as replies come in. */
#ifndef LOADGEN_LOAD_SEND_H
#define LOADGEN_LOAD_SEND_H

#include "dataplane/loadgen/load_worker.h"

/* Closed loop: keeps settings->outstanding_max datagrams outstanding. Sends up to a burst of them and
 * returns how many. 'now' in ticks, as below.
 */
uint32_t load_send_closed(struct load_worker *worker, uint64_t now);

/* Open loop: sends what is due, operations that follow others first; up to a burst of datagrams.
 * Returns how many.
 */
uint32_t load_send_open(struct load_worker *worker, uint64_t now);

/* Sends operations that were put off and are due again; up to a burst of them. Returns how many. */
uint32_t load_send_put_off(struct load_worker *worker, uint64_t now);

/* The tick at which LOAD_RUN sends no more: what was planned before the end of an open loop may still
 * leave unless it is late by then.
 */
uint64_t load_send_end(const struct load_worker *worker);

/* At the end of an open loop: what was planned but never sent counts as late. */
void load_send_count_unsent(struct load_worker *worker);

/* Sends a request again, byte by byte the same but for a new session's id and token. */
void load_send_again(struct load_worker *worker, struct flow *flow, struct request *request,
		     uint64_t now);

#endif
