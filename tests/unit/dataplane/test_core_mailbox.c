/* SPDX-License-Identifier: BSD-3-Clause */
/* Mailboxes: order, bounds, and that a receiver learns of every sender. */
#include <pthread.h>
#include <rte_mempool.h>
#include <sched.h>

#include "dataplane/core_mailbox.h"
#include "tests/unit/unit.h"

static struct rte_mempool *pool;

static struct rte_mbuf *mbuf_numbered(uint32_t number)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(pool);

	CU_ASSERT_PTR_NOT_NULL_FATAL(mbuf);
	mbuf->hash.usr = number;
	return mbuf;
}

static void packets_arrive_in_order(void)
{
	struct mailbox_grid *grid;
	struct rte_mbuf *mbufs[32];

	CU_ASSERT_EQUAL_FATAL(mailbox_grid_create(&grid, 3, 64), 0);
	for (uint32_t i = 0; i < 40; i++) {
		struct rte_mbuf *mbuf = mbuf_numbered(i);

		CU_ASSERT_EQUAL(mailbox_send(grid, 2, 1, &mbuf, 1), 1);
	}
	CU_ASSERT_EQUAL(mailbox_take_senders(grid, 0), 0);
	CU_ASSERT_EQUAL(mailbox_take_senders(grid, 1), 1u << 2);
	CU_ASSERT_EQUAL(mailbox_take_senders(grid, 1), 0);
	CU_ASSERT_EQUAL(mailbox_waiting(grid), 40);
	CU_ASSERT_EQUAL(mailbox_receive(grid, 0, 1, mbufs, 32), 0);
	CU_ASSERT_EQUAL(mailbox_receive(grid, 2, 1, mbufs, 32), 32);
	for (uint32_t i = 0; i < 32; i++)
		CU_ASSERT_EQUAL(mbufs[i]->hash.usr, i);
	rte_pktmbuf_free_bulk(mbufs, 32);
	CU_ASSERT_EQUAL(mailbox_receive(grid, 2, 1, mbufs, 32), 8);
	CU_ASSERT_EQUAL(mbufs[7]->hash.usr, 39);
	rte_pktmbuf_free_bulk(mbufs, 8);
	mailbox_grid_destroy(grid);
}

static void a_full_ring_takes_what_fits(void)
{
	struct mailbox_grid *grid;
	struct rte_mbuf *mbufs[128];
	uint32_t before = rte_mempool_avail_count(pool);
	uint32_t sent;

	CU_ASSERT_EQUAL_FATAL(mailbox_grid_create(&grid, 2, 100), 0);
	for (uint32_t i = 0; i < 128; i++)
		mbufs[i] = mbuf_numbered(i);
	sent = mailbox_send(grid, 0, 1, mbufs, 128);
	CU_ASSERT_TRUE(sent >= 100 && sent < 128);
	CU_ASSERT_EQUAL(mailbox_send(grid, 0, 1, mbufs + sent, 1), 0);
	rte_pktmbuf_free_bulk(mbufs + sent, 128 - sent);
	/* what nobody received is freed with the grid */
	mailbox_grid_destroy(grid);
	CU_ASSERT_EQUAL(rte_mempool_avail_count(pool), before);
	mailbox_grid_destroy(NULL);
}

#define RACE_PACKETS 200000u

struct race {
	struct mailbox_grid *grid;
	uint32_t from;
};

/* Sends the numbers 0..RACE_PACKETS-1 as pointers: rings do not look at what they carry. */
static void *race_sender(void *context)
{
	struct race *race = context;

	for (uintptr_t i = 0; i < RACE_PACKETS;) {
		struct rte_mbuf *fake = (struct rte_mbuf *)(i + 1);

		if (mailbox_send(race->grid, race->from, 0, &fake, 1) == 1)
			i++;
		else
			sched_yield();
	}
	return NULL;
}

static uint32_t race_drain(struct mailbox_grid *grid, uint32_t from, uintptr_t *expected)
{
	struct rte_mbuf *fakes[32];
	uint32_t total = 0;
	uint32_t n;

	while ((n = mailbox_receive(grid, from, 0, fakes, 32)) > 0) {
		for (uint32_t i = 0; i < n; i++)
			CU_ASSERT_EQUAL_FATAL((uintptr_t)fakes[i], ++*expected);
		total += n;
	}
	return total;
}

static void no_packet_is_forgotten_when_senders_race(void)
{
	struct race races[2] = { { .from = 1 }, { .from = 2 } };
	uintptr_t expected[3] = { 0 };
	struct mailbox_grid *grid;
	pthread_t threads[2];
	uint32_t received = 0;

	CU_ASSERT_EQUAL_FATAL(mailbox_grid_create(&grid, 3, 64), 0);
	for (int i = 0; i < 2; i++) {
		races[i].grid = grid;
		pthread_create(&threads[i], NULL, race_sender, &races[i]);
	}
	while (received < 2 * RACE_PACKETS) {
		uint64_t senders = mailbox_take_senders(grid, 0);

		if (senders == 0)
			sched_yield();
		for (; senders; senders &= senders - 1) {
			uint32_t from = (uint32_t)__builtin_ctzll(senders);

			received += race_drain(grid, from, &expected[from]);
		}
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	CU_ASSERT_EQUAL(expected[1], RACE_PACKETS);
	CU_ASSERT_EQUAL(expected[2], RACE_PACKETS);
	mailbox_grid_destroy(grid);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(packets_arrive_in_order),
		UNIT_TEST(a_full_ring_takes_what_fits),
		UNIT_TEST(no_packet_is_forgotten_when_senders_race),
		{ NULL, NULL },
	};

	unit_eal_init();
	pool = rte_pktmbuf_pool_create("mailbox", 255, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
				       SOCKET_ID_ANY);
	return pool ? unit_run("core_mailbox", tests) : 1;
}
