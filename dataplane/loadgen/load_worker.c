/* SPDX-License-Identifier: BSD-3-Clause */
/* The loop of a worker: receive, send what is due, look after what got no reply. */
#include "dataplane/loadgen/load_worker.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "dataplane/loadgen/load_connect.h"
#include "dataplane/loadgen/load_reply.h"
#include "dataplane/loadgen/load_send.h"

#define BURST TRANSPORT_BURST_MAX
#define LOAD_TIMEOUT_SECONDS 0.05
#define LOAD_TRIES_MAX 200u
#define REST_MICROSECONDS_MAX 1000u

struct load_worker *load_worker_create(const struct load_settings *settings, uint32_t index,
				       struct transport *transport, const uint32_t *stop)
{
	struct load_worker *worker = calloc(1, sizeof(*worker));

	if (!worker)
		return NULL;
	worker->settings = settings;
	worker->transport = transport;
	worker->stop = stop;
	worker->index = index;
	worker->measured = tally_create();
	worker->rest = tally_create();
	if (!worker->measured || !worker->rest ||
	    load_source_init(&worker->source, settings, index) < 0) {
		load_worker_destroy(worker);
		return NULL;
	}
	return worker;
}

void load_worker_destroy(struct load_worker *worker)
{
	if (!worker)
		return;
	for (uint32_t i = 0; i < worker->flow_count; i++)
		flow_destroy(worker->flows[i]);
	load_source_fini(&worker->source);
	free(worker->measured);
	free(worker->rest);
	free(worker);
}

void load_worker_fail(struct load_worker *worker, const char *format, ...)
{
	va_list args;

	if (worker->failure[0] != '\0')
		return;
	va_start(args, format);
	vsnprintf(worker->failure, sizeof(worker->failure), format, args);
	va_end(args);
}

static bool must_stop(const struct load_worker *worker)
{
	return worker->failure[0] != '\0' || __atomic_load_n(worker->stop, __ATOMIC_RELAXED);
}

/* ---- requests without reply ---- */

static void expire_flow(struct load_worker *worker, struct flow *flow, uint64_t now)
{
	bool loads = worker->phase.kind != LOAD_RUN;
	uint32_t tries_max = loads ? LOAD_TRIES_MAX : 1 + worker->settings->retries;
	uint64_t timeout = loads ? clock_ticks(&worker->settings->clock, LOAD_TIMEOUT_SECONDS)
				 : worker->settings->timeout_ticks;

	for (uint32_t sequence = flow->sequence_oldest; sequence != flow->sequence_next;
	     sequence++) {
		struct request *request = flow_find(flow, sequence);

		if (!request || now - request->sent < timeout)
			continue;
		if (request->tries < tries_max)
			load_send_again(worker, flow, request, now);
		else
			load_reply_give_up(worker, flow, request);
	}
}

/* Done a few times per time-out, not each turn. */
static void look_after(struct load_worker *worker, uint64_t now)
{
	worker->expire_next = now + worker->expire_gap;
	for (uint32_t i = 0; i < worker->flow_count; i++)
		expire_flow(worker, worker->flows[i], now);
	if (worker->phase.kind == LOAD_CONNECT)
		load_connect_step(worker);
	load_connect_greet(worker, now);
}

/* ---- the loop ---- */

static uint32_t receive(struct load_worker *worker)
{
	struct transport *transport = worker->transport;
	struct transport_datagram datagrams[BURST];
	uint32_t count = transport->ops->receive(transport, datagrams, BURST);
	struct tally *tally;
	uint64_t now;

	if (count == 0)
		return 0;
	now = clock_now();
	worker->burst_datagrams = 0;
	worker->burst_ops = 0;
	for (uint32_t i = 0; i < count; i++)
		load_reply_take(worker, &datagrams[i], now);
	tally = load_worker_tally(worker, now);
	tally_add(&tally->received_datagrams, worker->burst_datagrams);
	tally_add(&tally->received_ops, worker->burst_ops);
	transport->ops->release(transport, datagrams, count);
	return count;
}

void load_worker_serve(struct load_worker *worker)
{
	if (receive(worker) == 0)
		worker->transport->ops->rest(worker->transport, REST_MICROSECONDS_MAX);
}

static bool is_open_loop(const struct load_worker *worker)
{
	return worker->phase.kind == LOAD_RUN && worker->settings->datagrams_per_second > 0.0;
}

/* Nothing came and nothing is due: rests until the next planned time, or shortly. */
static void rest(struct load_worker *worker, uint64_t now)
{
	const struct clock_rate *clock = &worker->settings->clock;
	uint64_t microseconds = REST_MICROSECONDS_MAX;

	if (is_open_loop(worker)) {
		uint64_t planned = arrival_peek(&worker->arrival);
		uint64_t until = planned > now ? clock_ns(clock, planned - now) / 1000 : 0;

		microseconds = until < microseconds ? until : microseconds;
	}
	worker->transport->ops->rest(worker->transport, (uint32_t)microseconds);
}

/* Whether new requests may still be sent. */
static bool may_send(const struct load_worker *worker, uint64_t now)
{
	if (worker->phase.kind == LOAD_RUN)
		return now < load_send_end(worker);
	return worker->phase.kind != LOAD_CONNECT && !worker->exhausted;
}

static bool is_complete(const struct load_worker *worker, uint64_t now)
{
	if (worker->phase.kind == LOAD_RUN)
		return now >= load_send_end(worker) && worker->outstanding == 0 &&
		       put_off_count(&worker->put_off) == 0;
	return worker->exhausted && worker->outstanding == 0;
}

static void begin(struct load_worker *worker, const struct load_phase *phase)
{
	const struct load_settings *settings = worker->settings;
	double expire_seconds = clock_seconds(&settings->clock, settings->timeout_ticks) / 8;

	worker->phase = *phase;
	if (phase->kind != LOAD_RUN) {
		worker->phase.measure_from = 0;
		worker->phase.until = 0;
	}
	worker->exhausted = false;
	worker->failure[0] = '\0';
	worker->expire_next = 0;
	worker->put_off.tail = worker->put_off.head;
	if (phase->kind != LOAD_RUN || expire_seconds > LOAD_TIMEOUT_SECONDS / 4)
		expire_seconds = LOAD_TIMEOUT_SECONDS / 4;
	if (phase->kind == LOAD_CONNECT)
		expire_seconds = 1e-3;
	worker->expire_gap = clock_ticks(&settings->clock, expire_seconds);
	load_source_begin(&worker->source, phase->kind);
	if (is_open_loop(worker))
		arrival_init(&worker->arrival, phase->start,
			     settings->clock.ticks_per_second / settings->datagrams_per_second,
			     settings->seed + 1, worker->index);
}

int load_worker_run(struct load_worker *worker, const struct load_phase *phase)
{
	uint64_t now = clock_now();

	begin(worker, phase);
	while (!is_complete(worker, now) && !must_stop(worker)) {
		uint32_t moved = receive(worker);

		now = clock_now();
		if (may_send(worker, now))
			moved += is_open_loop(worker) ? load_send_open(worker, now)
						      : load_send_closed(worker, now);
		if (put_off_count(&worker->put_off) > 0)
			moved += load_send_put_off(worker, now);
		if (now >= worker->expire_next)
			look_after(worker, now);
		if (moved == 0)
			rest(worker, now);
	}
	if (is_open_loop(worker) && !must_stop(worker))
		load_send_count_unsent(worker);
	return worker->failure[0] == '\0' ? 0 : -1;
}
