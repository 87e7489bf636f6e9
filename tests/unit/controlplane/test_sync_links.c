/* SPDX-License-Identifier: BSD-3-Clause */
/* Links between two nodes over real sockets of the loopback interface: opened, shared, broken, opened again. */
#include "controlplane/sync_links.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

#define LOOPBACK 0x7f000001u
#define WAIT_MS 20000u

static struct event_base *base;
static struct world world;

struct net;

/* One node's bus, its links, and what came over them. */
struct end {
	struct net *net;
	uint64_t id;
	struct log log;
	struct bus_transport *transport;
	struct sync_links *links;
	bool is_refusing;
	uint32_t connected;
	uint32_t frames;
	char last[16];
	bool answers; /* each frame but an answer */
};

struct net {
	struct end ends[2];
	bool is_known; /* where the nodes are */
};

static struct end *other_of(struct end *end)
{
	return &end->net->ends[end->id == 1];
}

/* ---- the bus ---- */

static void introduce(void *context, struct bus_peer *self)
{
	const struct end *end = context;

	*self = (struct bus_peer){ .id = end->id, .generation = 7 };
	snprintf(self->name, sizeof(self->name), "n%u", (unsigned)end->id);
}

static enum bus_refusal admit(void *context, const struct bus_open *open, char *detail)
{
	const struct end *end = context;

	(void)open, (void)detail;
	return end->is_refusing ? BUS_REFUSED_BUSY : BUS_ACCEPTED;
}

static void ignore_datagram(void *context, const struct node_address *from, const uint8_t *bytes,
			    size_t size)
{
	(void)context, (void)from, (void)bytes, (void)size;
}

/* ---- the host of the links ---- */

static bool find_address(void *context, uint64_t node, struct node_address *address)
{
	struct end *end = context;

	CU_ASSERT_EQUAL(node, other_of(end)->id);
	*address = node_address_ipv4(LOOPBACK, bus_transport_port(other_of(end)->transport));
	return end->net->is_known;
}

static void on_frame(void *context, uint64_t node, const uint8_t *bytes, size_t size)
{
	struct end *end = context;

	CU_ASSERT_EQUAL(node, other_of(end)->id);
	CU_ASSERT_FATAL(size <= sizeof(end->last));
	memcpy(end->last, bytes, size);
	end->frames++;
	if (end->answers)
		sync_links_send(end->links, node, (const uint8_t *)"answer", sizeof("answer"));
}

static void on_connected(void *context, uint64_t node)
{
	struct end *end = context;

	CU_ASSERT_EQUAL(node, other_of(end)->id);
	end->connected++;
}

/* ---- the frame of a test ---- */

static void open_end(struct net *net, struct end *end, uint64_t id)
{
	const struct bus_transport_options options = { .base = base,
						       .world = &world,
						       .log = &end->log,
						       .cluster_name = "test",
						       .listen_ipv4 = LOOPBACK,
						       .introduce = introduce,
						       .admit = admit,
						       .datagram = ignore_datagram,
						       .context = end };
	const struct sync_links_host host = { end, find_address, on_frame, on_connected };
	char error[256];

	end->net = net;
	end->id = id;
	end->log = (struct log){ stderr, LOG_LEVEL_ERROR, &world };
	CU_ASSERT_EQUAL_FATAL(bus_transport_create(&end->transport, &options, error, sizeof(error)),
			      0);
	CU_ASSERT_EQUAL_FATAL(sync_links_create(&end->links, end->transport, &world, &host), 0);
}

static struct net *net_open(void)
{
	struct net *net = calloc(1, sizeof(*net));

	CU_ASSERT_PTR_NOT_NULL_FATAL(net);
	net->is_known = true;
	base = event_base_new();
	world_os_init(&world);
	open_end(net, &net->ends[0], 1);
	open_end(net, &net->ends[1], 2);
	return net;
}

static void net_close(struct net *net)
{
	for (uint32_t i = 0; i < 2; i++) {
		sync_links_destroy(net->ends[i].links);
		bus_transport_destroy(net->ends[i].transport);
	}
	event_base_free(base);
	free(net);
}

/* Runs the loop, and the links' clock, until '*count' is 'wanted' or time is up. */
static void run_until(struct net *net, const uint32_t *count, uint32_t wanted)
{
	const struct timeval pause = { 0, 5000 };
	uint64_t end_ms = world_now_ms(&world) + WAIT_MS;

	while (*count != wanted && world_now_ms(&world) < end_ms) {
		event_base_loopexit(base, &pause);
		event_base_dispatch(base);
		sync_links_tick(net->ends[0].links);
		sync_links_tick(net->ends[1].links);
	}
	CU_ASSERT_EQUAL_FATAL(*count, wanted);
}

static void say(struct end *end, const char *text)
{
	sync_links_send(end->links, other_of(end)->id, (const uint8_t *)text, strlen(text) + 1);
}

/* ---- tests ---- */

static void who_speaks_opens_and_is_told_when_it_may_speak_again(void)
{
	struct net *net = net_open();
	struct end *a = &net->ends[0], *b = &net->ends[1];

	say(a, "lost");
	CU_ASSERT_EQUAL(sync_links_counters(a->links)->lost, 1);
	run_until(net, &a->connected, 1);
	say(a, "heard");
	run_until(net, &b->frames, 1);
	CU_ASSERT_STRING_EQUAL(b->last, "heard");
	CU_ASSERT_EQUAL(sync_links_pending(a->links), 0);
	net_close(net);
}

static void the_answer_goes_over_the_same_channel(void)
{
	struct net *net = net_open();
	struct end *a = &net->ends[0], *b = &net->ends[1];

	b->answers = true;
	say(a, "lost");
	run_until(net, &a->connected, 1);
	say(a, "question");
	run_until(net, &a->frames, 1);
	CU_ASSERT_STRING_EQUAL(a->last, "answer");
	CU_ASSERT_EQUAL(b->connected, 1);
	CU_ASSERT_EQUAL(sync_links_counters(a->links)->opened, 1);
	CU_ASSERT_EQUAL(sync_links_counters(b->links)->opened, 0);
	net_close(net);
}

static void two_that_begin_at_once_understand_each_other(void)
{
	struct net *net = net_open();
	struct end *a = &net->ends[0], *b = &net->ends[1];

	say(a, "lost");
	say(b, "lost");
	run_until(net, &a->connected, 1);
	run_until(net, &b->connected, 1);
	say(a, "one");
	say(b, "two");
	run_until(net, &a->frames, 1);
	run_until(net, &b->frames, 1);
	CU_ASSERT_STRING_EQUAL(a->last, "two");
	CU_ASSERT_STRING_EQUAL(b->last, "one");
	net_close(net);
}

static void a_broken_channel_is_opened_again(void)
{
	struct net *net = net_open();
	struct end *a = &net->ends[0], *b = &net->ends[1];

	say(a, "lost");
	run_until(net, &a->connected, 1);
	say(a, "one");
	run_until(net, &b->frames, 1);
	sync_links_reset(b->links, a->id);
	run_until(net, &a->connected, 2);
	CU_ASSERT_EQUAL(sync_links_counters(a->links)->broken, 1);
	say(a, "two");
	run_until(net, &b->frames, 2);
	net_close(net);
}

static void a_node_that_refuses_is_asked_again_with_pauses(void)
{
	struct net *net = net_open();
	struct end *a = &net->ends[0], *b = &net->ends[1];
	uint32_t broken = 0;

	b->is_refusing = true;
	say(a, "lost");
	for (uint64_t end_ms = world_now_ms(&world) + WAIT_MS;
	     broken < 3 && world_now_ms(&world) < end_ms;) {
		const struct timeval pause = { 0, 5000 };

		event_base_loopexit(base, &pause);
		event_base_dispatch(base);
		sync_links_tick(a->links);
		broken = (uint32_t)sync_links_counters(a->links)->broken;
	}
	CU_ASSERT_EQUAL(broken, 3);
	CU_ASSERT_EQUAL(a->connected, 0);
	b->is_refusing = false;
	run_until(net, &a->connected, 1);
	net_close(net);
}

static void a_node_that_nobody_knows_is_looked_for_later(void)
{
	struct net *net = net_open();
	struct end *a = &net->ends[0];

	net->is_known = false;
	say(a, "lost");
	say(a, "lost");
	CU_ASSERT_EQUAL(sync_links_counters(a->links)->lost, 2);
	net->is_known = true;
	run_until(net, &a->connected, 1);
	net_close(net);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(who_speaks_opens_and_is_told_when_it_may_speak_again),
		UNIT_TEST(the_answer_goes_over_the_same_channel),
		UNIT_TEST(two_that_begin_at_once_understand_each_other),
		UNIT_TEST(a_broken_channel_is_opened_again),
		UNIT_TEST(a_node_that_refuses_is_asked_again_with_pauses),
		UNIT_TEST(a_node_that_nobody_knows_is_looked_for_later),
		{ NULL, NULL },
	};

	return unit_run("sync links", tests);
}
