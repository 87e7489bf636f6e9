/* SPDX-License-Identifier: BSD-3-Clause */
/* How a worker gets its flows and keeps them: sockets or ports, sessions, what the server tells. */
#ifndef LOADGEN_LOAD_CONNECT_H
#define LOADGEN_LOAD_CONNECT_H

#include "dataplane/loadgen/load_worker.h"

/* Takes LOAD_CONNECT further: the first flow learns how many workers the server has, then the others
 * are opened; the phase is exhausted when all are. Call it again and again.
 */
void load_connect_step(struct load_worker *worker);

/* Greets where a session is missing; renews one whose sequences run out. 'now' in ticks. */
void load_connect_greet(struct load_worker *worker, uint64_t now);

#endif
