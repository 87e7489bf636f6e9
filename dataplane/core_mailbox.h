/* SPDX-License-Identifier: BSD-3-Clause */
/* How the worker cores of one node hand packets to one another. */
#ifndef DATAPLANE_CORE_MAILBOX_H
#define DATAPLANE_CORE_MAILBOX_H

#include <rte_mbuf.h>
#include <stdint.h>

/* A ring per ordered pair of workers, and per receiver one word with a bit for each sender that put something in, so that
 * a receiver of 64 workers looks at one cache line per turn instead of 63. No worker writes to itself: the ring from it to itself is
 * the control thread's.
 *
 * Thread safety: each pair's sender and receiver are one thread each. create and destroy are called while no worker runs.
 */
struct mailbox_grid;

/* Rings that hold at least 'capacity' packets each. 0 or -ENOMEM. */
int mailbox_grid_create(struct mailbox_grid **grid, uint32_t worker_count, uint32_t capacity);

/* Frees the packets that were not received. Accepts NULL. */
void mailbox_grid_destroy(struct mailbox_grid *grid);

/* Hands 'count' packets over in order; returns how many found room. The caller still owns the others. */
uint32_t mailbox_send(struct mailbox_grid *grid, uint32_t from, uint32_t to,
		      struct rte_mbuf **mbufs, uint32_t count);

/* The senders (a bit each) that sent since the last call; the receiver must then empty their rings. */
uint64_t mailbox_take_senders(struct mailbox_grid *grid, uint32_t to);

/* Takes up to 'count' packets of one sender, in order. */
uint32_t mailbox_receive(struct mailbox_grid *grid, uint32_t from, uint32_t to,
			 struct rte_mbuf **mbufs, uint32_t count);

/* Packets sent and not yet received, of all pairs. Any thread; a moment's truth. */
uint32_t mailbox_waiting(const struct mailbox_grid *grid);

#endif
