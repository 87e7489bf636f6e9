/* SPDX-License-Identifier: BSD-3-Clause */
/* Mailboxes over rte_ring, single producer and single consumer. */
#include "dataplane/core_mailbox.h"

#include <assert.h>
#include <errno.h>
#include <rte_malloc.h>
#include <rte_ring.h>
#include <stdio.h>

#include "storage/limits.h"

static_assert(WORKER_COUNT_MAX <= 64, "a bit per sender");

struct mailbox_doorbell {
	_Alignas(RTE_CACHE_LINE_SIZE) uint64_t senders;
};

struct mailbox_grid {
	uint32_t worker_count;
	size_t ring_size; /* bytes from one ring to the next */
	uint8_t *
		rings; /* worker_count x worker_count of them; plain memory, for memzones are few */
	struct mailbox_doorbell doorbells[];
};

static struct rte_ring *ring_of(const struct mailbox_grid *grid, uint32_t from, uint32_t to)
{
	return (struct rte_ring *)(grid->rings +
				   (from * grid->worker_count + to) * grid->ring_size);
}

int mailbox_grid_create(struct mailbox_grid **grid, uint32_t worker_count, uint32_t capacity)
{
	uint32_t slots = rte_align32pow2(capacity + 1);
	struct mailbox_grid *g;

	g = rte_zmalloc(NULL, sizeof(*g) + worker_count * sizeof(g->doorbells[0]),
			RTE_CACHE_LINE_SIZE);
	if (!g)
		return -ENOMEM;
	g->worker_count = worker_count;
	g->ring_size = (size_t)rte_ring_get_memsize(slots);
	g->rings =
		rte_zmalloc(NULL, worker_count * worker_count * g->ring_size, RTE_CACHE_LINE_SIZE);
	if (!g->rings) {
		rte_free(g);
		return -ENOMEM;
	}
	for (uint32_t from = 0; from < worker_count; from++) {
		for (uint32_t to = 0; to < worker_count; to++)
			rte_ring_init(ring_of(g, from, to), "mailbox", slots,
				      RING_F_SP_ENQ | RING_F_SC_DEQ);
	}
	*grid = g;
	return 0;
}

void mailbox_grid_destroy(struct mailbox_grid *grid)
{
	struct rte_mbuf *mbuf;

	if (!grid)
		return;
	for (uint32_t from = 0; from < grid->worker_count; from++) {
		for (uint32_t to = 0; to < grid->worker_count; to++) {
			while (mailbox_receive(grid, from, to, &mbuf, 1) == 1)
				rte_pktmbuf_free(mbuf);
		}
	}
	rte_free(grid->rings);
	rte_free(grid);
}

uint32_t mailbox_send(struct mailbox_grid *grid, uint32_t from, uint32_t to,
		      struct rte_mbuf **mbufs, uint32_t count)
{
	uint32_t sent =
		rte_ring_sp_enqueue_burst(ring_of(grid, from, to), (void **)mbufs, count, NULL);

	/* release: who sees the bit finds the packets */
	if (sent > 0)
		__atomic_fetch_or(&grid->doorbells[to].senders, UINT64_C(1) << from,
				  __ATOMIC_RELEASE);
	return sent;
}

uint64_t mailbox_take_senders(struct mailbox_grid *grid, uint32_t to)
{
	uint64_t *senders = &grid->doorbells[to].senders;

	if (__atomic_load_n(senders, __ATOMIC_RELAXED) == 0)
		return 0;
	return __atomic_exchange_n(senders, 0, __ATOMIC_ACQUIRE);
}

uint32_t mailbox_receive(struct mailbox_grid *grid, uint32_t from, uint32_t to,
			 struct rte_mbuf **mbufs, uint32_t count)
{
	return rte_ring_sc_dequeue_burst(ring_of(grid, from, to), (void **)mbufs, count, NULL);
}

uint32_t mailbox_waiting(const struct mailbox_grid *grid)
{
	uint32_t waiting = 0;

	for (uint32_t from = 0; from < grid->worker_count; from++) {
		for (uint32_t to = 0; to < grid->worker_count; to++)
			waiting += rte_ring_count(ring_of(grid, from, to));
	}
	return waiting;
}
