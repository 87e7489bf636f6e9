/* SPDX-License-Identifier: BSD-3-Clause */
/* Receive, execute, transmit, and be idle politely. */
#include "dataplane/core_loop.h"

#include <errno.h>
#include <rte_branch_prediction.h>
#include <rte_cycles.h>
#include <rte_malloc.h>
#include <time.h>
#include <urcu-qsbr.h>

#include "dataplane/core_burst.h"
#include "dataplane/core_outbox.h"
#include "dataplane/partition_command.h"
#include "dataplane/request_local.h"
#include "dataplane/request_park.h"

/* Slots and entries that background work may touch per turn: little beside a burst, more when nobody waits. */
#define BACKGROUND_WORK_BUSY 16u
#define BACKGROUND_WORK_IDLE 256u

/* Records and slots that a command of the control plane may touch per turn. */
#define COMMAND_WORK_BUSY 32u
#define COMMAND_WORK_IDLE 256u

/* Adaptive idling: after so many turns without a packet sleep, longer each time. A sleep bounds the latency of the first
 * packet after a pause.
 */
#define IDLE_TURNS_BEFORE_SLEEP 1000u
#define IDLE_SLEEP_NS_MIN 50000u
#define IDLE_SLEEP_NS_MAX 500000u

/* Of 'slots' - 1 pointers, a power of two. In plain memory: memzones are few. */
static struct rte_ring *create_ring(const char *name, uint32_t slots)
{
	size_t size = (size_t)rte_ring_get_memsize(slots);
	struct rte_ring *ring = rte_zmalloc(NULL, size, RTE_CACHE_LINE_SIZE);

	if (ring)
		rte_ring_init(ring, name, slots, RING_F_SP_ENQ | RING_F_SC_DEQ);
	return ring;
}

int core_create(struct core **result, const struct core_parts *parts)
{
	struct core *core = rte_zmalloc(NULL, sizeof(*core), RTE_CACHE_LINE_SIZE);

	if (!core)
		return -ENOMEM;
	core->commands = create_ring("commands", PARTITION_COMMANDS_MAX + 1);
	core->local_answers = create_ring("local", REQUEST_LOCAL_ANSWERS_MAX + 1);
	if (!core->commands || !core->local_answers) {
		rte_free(core->commands);
		rte_free(core->local_answers);
		rte_free(core);
		return -ENOMEM;
	}
	core->shared = parts->shared;
	core->index = parts->index;
	core->shard = parts->shard;
	core->sessions = parts->sessions;
	core->replay = parts->replay;
	core->parking.looked_at = UINT64_MAX;
	core_clock_init(&core->clock, parts->shared->clock_epoch_ns, rte_rdtsc(), rte_get_tsc_hz());
	parts->shared->cores[core->index] = core;
	*result = core;
	return 0;
}

static void destroy_local_answers(struct rte_ring *ring)
{
	struct rte_mbuf *mbuf;

	while (rte_ring_sc_dequeue(ring, (void **)&mbuf) == 0)
		rte_pktmbuf_free(mbuf);
	rte_free(ring);
}

void core_destroy(struct core *core)
{
	if (!core)
		return;
	for (uint32_t to = 0; to < WORKER_COUNT_MAX; to++)
		rte_pktmbuf_free_bulk(core->outboxes[to].mbufs, core->outboxes[to].count);
	rte_pktmbuf_free_bulk(core->tx, core->tx_count);
	for (uint32_t i = 0; i < core->parking.count; i++)
		rte_pktmbuf_free(core->parking.requests[i].mbuf);
	rte_free(core->commands);
	destroy_local_answers(core->local_answers);
	core->shared->cores[core->index] = NULL;
	rte_free(core);
}

/* ---- transmission ---- */

static uint64_t bytes_of(struct rte_mbuf **mbufs, uint32_t count)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < count; i++)
		bytes += mbufs[i]->data_len;
	return bytes;
}

/* Frames that found no room in the device would be late; their requests will come again. */
static void drop_unsent(struct core *core, uint32_t sent)
{
	for (uint32_t i = sent; i < core->tx_count; i++) {
		core_count_drop(&core->counters, DROP_TX_FULL);
		rte_pktmbuf_free(core->tx[i]);
	}
}

static void transmit(struct core *core)
{
	struct port *port = core->shared->port;
	uint64_t bytes = bytes_of(core->tx, core->tx_count);
	uint32_t sent =
		port_transmit(port, (uint16_t)core->index, core->tx, (uint16_t)core->tx_count);

	if (unlikely(sent < core->tx_count)) {
		bytes -= bytes_of(core->tx + sent, core->tx_count - sent);
		drop_unsent(core, sent);
	}
	core_count_add(&core->counters, COUNT_FRAMES_TRANSMITTED, sent);
	core_count_add(&core->counters, COUNT_BYTES_TRANSMITTED, bytes);
}

static void flush_tx(struct core *core)
{
	if (core->tx_count == 0)
		return;
	transmit(core);
	core->tx_count = 0;
}

/* The queue for the answer to a packet that came by mail. */
static uint32_t queue_for(const struct core *core, struct rte_mbuf *mbuf)
{
	const struct port *port = core->shared->port;

	if (port->answers_by_same_queue)
		return core_mail(mbuf)->queue;
	return core->index < port->queues ? core->index : core->index % port->queues;
}

/* Lets others transmit what is not for this core's queue. */
static void flush_tx_of_mail(struct core *core)
{
	uint32_t own = 0;

	for (uint32_t i = 0; i < core->tx_count; i++) {
		struct rte_mbuf *mbuf = core->tx[i];
		uint32_t to = queue_for(core, mbuf);

		if (to == core->index)
			core->tx[own++] = mbuf;
		else
			core_let_transmit(core, mbuf, to);
	}
	core->tx_count = own;
	flush_tx(core);
}

/* ---- one turn ---- */

/* Read again when packets have come: time that passed before they did must not count against them. */
static void read_clock(struct core *core)
{
	core->now_ms = core_clock_now_ms(&core->clock, rte_rdtsc());
}

static uint32_t receive(struct core *core)
{
	struct port *port = core->shared->port;
	struct rte_mbuf *mbufs[PORT_BURST_MAX];
	uint32_t count;

	if (core->index >= port->queues || unlikely(core->command_seen != CORE_RUN))
		return 0;
	count = port_receive(port, (uint16_t)core->index, mbufs, PORT_BURST_MAX);
	if (count == 0)
		return 0;
	read_clock(core);
	core_count_add(&core->counters, COUNT_BYTES_RECEIVED, bytes_of(mbufs, count));
	core_process_burst(core, mbufs, count);
	flush_tx(core);
	return count;
}

/* Takes one burst from each sender; who has more is asked again next turn. */
static uint32_t receive_mail(struct core *core)
{
	struct mailbox_grid *mailboxes = core->shared->mailboxes;
	uint64_t senders = core->mail_senders | mailbox_take_senders(mailboxes, core->index);
	uint32_t total = 0;

	core->mail_senders = 0;
	if (senders)
		read_clock(core);
	for (; senders; senders &= senders - 1) {
		uint32_t from = (uint32_t)__builtin_ctzll(senders);
		struct rte_mbuf *mbufs[PORT_BURST_MAX];
		uint32_t count =
			mailbox_receive(mailboxes, from, core->index, mbufs, PORT_BURST_MAX);

		if (count == PORT_BURST_MAX)
			core->mail_senders |= UINT64_C(1) << from;
		core_process_mail(core, mbufs, count);
		flush_tx_of_mail(core);
		total += count;
	}
	return total;
}

/* Epochs of partitions that this node owns by a new table, so that what is written by it is versioned by it. */
static void adopt_epochs(struct core *core)
{
	const struct core_shared *shared = core->shared;
	const struct route_table *route = core->route;

	for (uint32_t p = core->index; p < shared->partition_count; p += shared->worker_count) {
		struct partition *partition = shard_partition(core->shard, p);

		if (route_is_own(route, p) && route->epochs[p] > partition_epoch(partition))
			partition_set_epoch(partition, route->epochs[p]);
	}
}

void core_take_route(struct core *core)
{
	const struct route_table *route = rcu_dereference(core->shared->route);

	/* Not by its address, which another table may have had before. */
	if (likely(core->route && route->serial == core->routes_seen))
		return;
	core->route = route;
	adopt_epochs(core);
	__atomic_store_n(&core->routes_seen, route->serial, __ATOMIC_RELEASE);
}

static void unpark(struct core *core)
{
	while (request_unpark(core))
		flush_tx_of_mail(core);
	flush_tx_of_mail(core);
}

bool core_turn(struct core *core)
{
	bool has_command;
	uint32_t packets;

	read_clock(core);
	core_take_route(core);
	if (unlikely(core->parking.count > 0))
		unpark(core);
	packets = receive(core);
	packets += receive_mail(core);
	core_outbox_flush(core);
	if (packets > 0)
		core_count(&core->counters, COUNT_BUSY_TURNS);
	has_command = partition_command_run(core, packets > 0 ? COMMAND_WORK_BUSY
							      : COMMAND_WORK_IDLE);
	shard_background(core->shard, core->now_ms,
			 packets > 0 ? BACKGROUND_WORK_BUSY : BACKGROUND_WORK_IDLE);
	core_count(&core->counters, COUNT_HEARTBEATS);
	return packets > 0 || has_command;
}

/* ---- the loop ---- */

static void sleep_ns(struct core *core, uint32_t ns)
{
	const struct timespec pause = { .tv_nsec = ns };

	core_count(&core->counters, COUNT_SLEEPS);
	reader_offline(core->reader);
	nanosleep(&pause, NULL);
	reader_online(core->reader);
}

/* After a turn without anything to do. */
static void be_idle(struct core *core, uint32_t idle_turns)
{
	uint32_t sleeps;
	uint32_t ns;

	if (!core->shared->idle_adaptive || idle_turns < IDLE_TURNS_BEFORE_SLEEP)
		return;
	sleeps = idle_turns - IDLE_TURNS_BEFORE_SLEEP;
	ns = IDLE_SLEEP_NS_MIN + sleeps * (IDLE_SLEEP_NS_MIN / 10);
	sleep_ns(core, ns < IDLE_SLEEP_NS_MAX ? ns : IDLE_SLEEP_NS_MAX);
}

void core_run(struct core *core)
{
	uint32_t idle_turns = 0;

	while (core->command_seen != CORE_STOP) {
		if (core_turn(core)) {
			idle_turns = 0;
		} else if (idle_turns < UINT32_C(1) << 20) {
			idle_turns++;
		}
		/* the turn is over: it acted by the command of its start */
		__atomic_store_n(&core->command_seen,
				 __atomic_load_n(&core->shared->command, __ATOMIC_ACQUIRE),
				 __ATOMIC_RELEASE);
		reader_quiescent(core->reader);
		if (idle_turns > 0)
			be_idle(core, idle_turns);
	}
}

bool core_has_seen(const struct core *core, enum core_command command)
{
	return __atomic_load_n(&core->command_seen, __ATOMIC_ACQUIRE) == (uint32_t)command;
}
