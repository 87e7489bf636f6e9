/* SPDX-License-Identifier: BSD-3-Clause */
/* One node's end of a bus over real sockets of the loopback interface, what came to it, and the loop it runs on. */
#ifndef TESTS_UNIT_CONTROLPLANE_BUS_END_H
#define TESTS_UNIT_CONTROLPLANE_BUS_END_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/bus_transport.h"
#include "tests/unit/unit.h"

#define LOOPBACK 0x7f000001u
#define WAIT_MS 10000u

static struct event_base *base;

static struct world world;

/* One node's bus, and what came to it. */
struct end {
	struct bus_transport *transport;
	struct log log;
	char *logged;
	size_t logged_size;
	uint64_t id;
	struct node_address address;
	enum bus_refusal admission;
	uint32_t datagrams;
	uint8_t datagram[BUS_PLAIN_SIZE_MAX];
	size_t datagram_size;
	/* the accepting side of the service "echo" */
	struct bus_channel *accepted;
	struct bus_peer accepted_peer;
	uint32_t accepted_closed;
	/* the opening side */
	struct bus_channel *opened;
	uint32_t opened_count, frames, closed;
	size_t frame_bytes;
	uint64_t frame_sum;
	struct bus_close close;
};

static inline void introduce(void *context, struct bus_peer *self)
{
	const struct end *end = context;

	*self = (struct bus_peer){ .id = end->id, .generation = 7, .control = end->address };
	snprintf(self->name, sizeof(self->name), "n%u", (unsigned)end->id);
}

static inline enum bus_refusal admit(void *context, const struct bus_open *open, char *detail)
{
	const struct end *end = context;

	(void)open;
	if (end->admission != BUS_ACCEPTED)
		strcpy(detail, "because the test\nsays so");
	return end->admission;
}

static inline void on_datagram(void *context, const struct node_address *from, const uint8_t *bytes,
			       size_t size)
{
	struct end *end = context;

	(void)from;
	memcpy(end->datagram, bytes, size);
	end->datagram_size = size;
	end->datagrams++;
}

/* ---- the service "echo" ---- */

static inline void echo(void *context, struct bus_channel *channel, const uint8_t *bytes,
			size_t size)
{
	(void)context;
	CU_ASSERT_EQUAL(bus_channel_send(channel, bytes, size), 0);
}

static inline void echo_closed(void *context, struct bus_channel *channel,
			       const struct bus_close *close)
{
	struct end *end = context;

	(void)channel;
	(void)close;
	end->accepted = NULL;
	end->accepted_closed++;
}

static inline enum bus_refusal accept_echo(void *context, struct bus_channel *channel,
					   const struct bus_peer *peer, char *detail)
{
	static const struct bus_channel_handlers handlers = { .frame = echo,
							      .closed = echo_closed };
	struct end *end = context;

	(void)detail;
	end->accepted = channel;
	end->accepted_peer = *peer;
	bus_channel_set_handlers(channel, &handlers, end);
	return BUS_ACCEPTED;
}

/* ---- the opening side ---- */

static inline void on_opened(void *context, struct bus_channel *channel)
{
	struct end *end = context;

	(void)channel;
	end->opened_count++;
}

static inline void on_frame(void *context, struct bus_channel *channel, const uint8_t *bytes,
			    size_t size)
{
	struct end *end = context;

	(void)channel;
	end->frames++;
	end->frame_bytes += size;
	for (size_t i = 0; i < size; i += 997)
		end->frame_sum += bytes[i];
}

static inline void on_closed(void *context, struct bus_channel *channel,
			     const struct bus_close *close)
{
	struct end *end = context;

	(void)channel;
	end->opened = NULL;
	end->closed++;
	end->close = *close;
}

static const struct bus_channel_handlers opening = { on_opened, on_frame, on_closed };

static inline void open_to(struct end *end, const struct node_address *to, const char *service)
{
	end->opened = bus_transport_open(end->transport, to, service, &opening, end);
	CU_ASSERT_PTR_NOT_NULL_FATAL(end->opened);
}

/* ---- the frame of a test ---- */

static inline void end_init(struct end *end, uint64_t id, const char *cluster, uint8_t key)
{
	struct bus_transport_options options = { .base = base,
						 .world = &world,
						 .log = &end->log,
						 .cluster_name = cluster,
						 .listen_ipv4 = LOOPBACK,
						 .introduce = introduce,
						 .admit = admit,
						 .datagram = on_datagram,
						 .context = end };
	struct bus_keys keys = { .count = 1 };
	char error[256];

	memset(end, 0, sizeof(*end));
	memset(keys.items[0].bytes, key, BUS_KEY_SIZE);
	options.keys = key ? &keys : NULL;
	end->id = id;
	end->log = (struct log){ open_memstream(&end->logged, &end->logged_size), LOG_LEVEL_INFO,
				 &world };
	CU_ASSERT_EQUAL_FATAL(bus_transport_create(&end->transport, &options, error, sizeof(error)),
			      0);
	bus_transport_serve(end->transport, "echo", accept_echo, end);
	end->address = node_address_ipv4(LOOPBACK, bus_transport_port(end->transport));
}

static inline void end_fini(struct end *end)
{
	bus_transport_destroy(end->transport);
	fclose(end->log.stream);
	free(end->logged);
}

static inline struct bus_counters counters_of(const struct end *end)
{
	struct bus_counters counters;

	bus_transport_counters(end->transport, &counters);
	return counters;
}

static inline bool run_until(bool (*is_done)(const struct end *end), const struct end *end)
{
	uint64_t until_ms = world_now_ms(&world) + WAIT_MS;

	while (!is_done(end)) {
		const struct timeval slice = { 0, 10000 };

		if (world_now_ms(&world) > until_ms)
			return false;
		event_base_loopexit(base, &slice);
		event_base_loop(base, EVLOOP_ONCE);
	}
	return true;
}

static inline void run_for_ms(uint32_t ms)
{
	const struct timeval time = { ms / 1000, (ms % 1000) * 1000 };

	event_base_loopexit(base, &time);
	event_base_dispatch(base);
}

static inline bool is_opened(const struct end *end)
{
	return end->opened_count > 0;
}

static inline bool is_closed(const struct end *end)
{
	return end->closed > 0;
}

static inline bool is_accepted_closed(const struct end *end)
{
	return end->accepted_closed > 0;
}

static inline uint32_t lines_with(const struct end *end, const char *text)
{
	uint32_t count = 0;

	fflush(end->log.stream);
	for (const char *at = end->logged; at && (at = strstr(at, text)) != NULL; at++)
		count++;
	return count;
}

/* Runs the tests of a program on an event loop of its own. */
static inline int run_on_loop(const char *suite, const struct unit_test *tests)
{
	int code;

	world_os_init(&world);
	base = event_base_new();
	code = unit_run(suite, tests);
	event_base_free(base);
	return code;
}

#endif
