/* SPDX-License-Identifier: BSD-3-Clause */
/* The loop of a worker: receive, send what is due, look after what got no reply. */
#include "dataplane/loadgen/load_worker.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "dataplane/loadgen/load_reply.h"

#define BURST TRANSPORT_BURST_MAX
#define HELLO_GAP_SECONDS 0.1
#define HELLO_TRIES_MAX 50u
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

/* ---- flows ---- */

static void add_flow(struct load_worker *worker, uint16_t server_worker)
{
	const struct load_settings *settings = worker->settings;
	uint32_t ops_max = settings->ops_per_datagram > settings->load_ops_per_datagram
				   ? settings->ops_per_datagram
				   : settings->load_ops_per_datagram;
	uint32_t index = worker->flow_count;
	uint64_t nonce = rng_mix(settings->seed ^ clock_now()) + index;
	struct flow *flow = flow_create(index, server_worker, ops_max, nonce);

	if (!flow) {
		load_worker_fail(worker, "no memory for flow %u", index);
		return;
	}
	worker->flows[worker->flow_count++] = flow;
	worker->transport->ops->open_flow(worker->transport, index,
					  (uint16_t)(settings->server_port + server_worker),
					  worker->failure, sizeof(worker->failure));
	if (settings->echo) {
		flow->state = FLOW_OPEN;
		flow->session_id = index + 1;
		flow->token = nonce;
	}
}

static uint32_t flows_wanted(const struct load_worker *worker)
{
	uint32_t wanted = worker->settings->flows_per_server_worker * worker->source.server_workers;

	return wanted < TRANSPORT_FLOW_COUNT_MAX ? wanted : TRANSPORT_FLOW_COUNT_MAX;
}

/* What the first grant tells: how many workers the server has, and whether our datagrams fit. */
static void meet_server(struct load_worker *worker)
{
	const struct load_settings *settings = worker->settings;
	const struct wire_hello_reply *server = &worker->server;
	struct transport *transport = worker->transport;
	uint32_t need = workload_datagram_size_max(&settings->workload, settings->ops_per_datagram);

	if (server->worker_count == 0 || server->worker_count > TRANSPORT_FLOW_COUNT_MAX ||
	    server->partition_count == 0 ||
	    (server->partition_count & (server->partition_count - 1)) != 0)
		load_worker_fail(
			worker,
			"the server's HELLO_REPLY makes no sense: %u workers, %u partitions",
			server->worker_count, server->partition_count);
	else if (need > server->datagram_size_max)
		load_worker_fail(
			worker,
			"%u operations per datagram need up to %u bytes, the server's limit is %u: "
			"use fewer with --ops, or smaller values",
			settings->ops_per_datagram, need, server->datagram_size_max);
	else if (settings->workload.format.value_size_max > server->value_size_max)
		load_worker_fail(worker,
				 "values of %u bytes are too large: the server's limit is %u",
				 settings->workload.format.value_size_max, server->value_size_max);
	else if (load_source_route(&worker->source, server->worker_count, server->partition_count) <
		 0)
		load_worker_fail(worker, "no memory for routing to %u server workers",
				 server->worker_count);
	else
		transport->ops->meet_server(transport, server->worker_count, worker->failure,
					    sizeof(worker->failure));
}

static void connect_step(struct load_worker *worker)
{
	uint32_t open = 0;

	for (uint32_t i = 0; i < worker->flow_count; i++)
		open += worker->flows[i]->state == FLOW_OPEN;
	if (open != worker->flow_count)
		return;
	if (worker->flow_count == 0) {
		add_flow(worker, 0);
		return;
	}
	if (worker->flow_count == 1 && !worker->settings->echo)
		meet_server(worker);
	while (worker->failure[0] == '\0' && worker->flow_count < flows_wanted(worker))
		add_flow(worker, (uint16_t)(worker->flow_count % worker->source.server_workers));
	worker->exhausted = open >= flows_wanted(worker);
}

static void send_hello(struct load_worker *worker, struct flow *flow, uint64_t now)
{
	struct transport *transport = worker->transport;
	struct transport_datagram datagram;

	if (flow->hellos >= HELLO_TRIES_MAX) {
		load_worker_fail(worker,
				 "no answer to HELLO from port %u of the server: is it up, and is "
				 "the address right?",
				 worker->settings->server_port + flow->server_worker);
		return;
	}
	if (transport->ops->acquire(transport, &datagram, 1) == 0)
		return;
	flow_write_hello(flow, datagram.payload);
	datagram.size = FLOW_HELLO_SIZE;
	datagram.flow = flow->index;
	transport->ops->send(transport, &datagram, 1);
	flow->hello_sent = now;
	flow->hellos++;
}

/* Greets where a session is missing; renews one whose sequences run out. */
static void greet(struct load_worker *worker, uint64_t now)
{
	uint64_t gap = clock_ticks(&worker->settings->clock, HELLO_GAP_SECONDS);

	for (uint32_t i = 0; i < worker->flow_count; i++) {
		struct flow *flow = worker->flows[i];

		if (flow->state == FLOW_OPEN && flow->sequence_next >= FLOW_SEQUENCE_LAST &&
		    flow->sequence_oldest == flow->sequence_next)
			flow_renew(flow);
		if (flow->state != FLOW_OPEN && now - flow->hello_sent > gap)
			send_hello(worker, flow, now);
	}
}

/* The next flow after the current one, to 'server_worker', with room for one more request, or NULL. */
static struct flow *search_flow(struct load_worker *worker, uint16_t server_worker)
{
	uint32_t stride = worker->source.server_workers;
	uint32_t start = worker->flow_next - worker->flow_next % stride + server_worker;

	for (uint32_t tried = 0; tried < worker->flow_count; tried += stride) {
		uint32_t index = (start + tried) % worker->flow_count;

		if (flow_has_room(worker->flows[index])) {
			worker->flow_next = index;
			return worker->flows[index];
		}
	}
	return NULL;
}

/* A flow to 'server_worker' with room for one more request, or NULL: the last one used for as long as it has room, for its lines are in
 * the cache.
 */
static inline struct flow *choose_flow(struct load_worker *worker, uint16_t server_worker)
{
	struct flow *flow = worker->flows[worker->flow_next];

	if (flow->server_worker == server_worker && flow_has_room(flow))
		return flow;
	return search_flow(worker, server_worker);
}

/* ---- sending ---- */

/* What the ledger must know before these operations leave. */
static void note_sending(struct ledger *ledger, struct operation *operations, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct operation *operation = &operations[i];

		if (operation->space != KEY_SPACE_PLAIN || operation->key >= ledger->key_count)
			continue;
		if (operation->kind == OPERATION_GET || operation->kind == OPERATION_CAS_READ)
			operation->number = ledger_floor(ledger, operation->key);
		else if (operation->kind == OPERATION_DELETE)
			ledger_doubt(ledger, operation->key);
	}
}

/* Writes a request's bytes from what the flow remembers of it. */
static void encode(const struct load_worker *worker, struct flow *flow,
		   const struct request *request, struct transport_datagram *datagram)
{
	const struct operation_format *format = &worker->settings->workload.format;
	const struct operation *operations = flow_operations_of(flow, request);
	uint8_t *at = datagram->payload + WIRE_HEADER_SIZE;

	flow_write_header(flow, request, datagram->payload);
	for (uint32_t i = 0; i < request->op_count; i++)
		at = operation_write(format, &operations[i], at);
	datagram->size = (uint32_t)(at - datagram->payload);
	datagram->flow = flow->index;
}

/* Builds the next datagram of the phase, or of operations that follow others; false when there is none, or no flow has room. */
static bool build(struct load_worker *worker, uint64_t planned, uint64_t now,
		  struct transport_datagram *datagram)
{
	struct load_source *source = &worker->source;
	bool follows = load_source_has_followup(source);
	struct request *request;
	struct operation *operations;
	uint16_t server_worker;
	struct flow *flow;

	if (follows)
		server_worker = load_source_followup_worker(source);
	else if (!load_source_ready(source, &server_worker)) {
		worker->exhausted = true;
		return false;
	}
	flow = choose_flow(worker, server_worker);
	if (!flow)
		return false;
	request = flow_begin(flow);
	operations = flow_operations_of(flow, request);
	request->op_count =
		(uint8_t)(follows ? load_source_take_followups(source, operations, &planned)
				  : load_source_take(source, operations));
	request->planned = planned;
	request->sent = now;
	request->tries = 1;
	if (worker->settings->ledger)
		note_sending(worker->settings->ledger, operations, request->op_count);
	encode(worker, flow, request, datagram);
	worker->outstanding++;
	tally_add(&load_worker_tally(worker, planned)->sent, 1);
	return true;
}

static void send_built(struct load_worker *worker, struct transport_datagram *datagrams,
		       uint32_t built, uint32_t acquired)
{
	struct transport *transport = worker->transport;

	if (built)
		transport->ops->send(transport, datagrams, built);
	if (built < acquired)
		transport->ops->release(transport, datagrams + built, acquired - built);
}

/* Keeps a fixed number of datagrams outstanding; returns how many it sent. */
static uint32_t send_closed(struct load_worker *worker, uint64_t now)
{
	struct transport_datagram datagrams[BURST];
	uint32_t want = worker->settings->outstanding_max - worker->outstanding;
	uint32_t built = 0;
	uint32_t acquired;

	if (want == 0 || worker->outstanding > worker->settings->outstanding_max)
		return 0;
	acquired = worker->transport->ops->acquire(worker->transport, datagrams,
						   want < BURST ? want : BURST);
	while (built < acquired && build(worker, now, now, &datagrams[built]))
		built++;
	send_built(worker, datagrams, built, acquired);
	return built;
}

/* A datagram planned for 'planned' leaves now, or cannot. */
static void count_lateness(struct load_worker *worker, uint64_t planned, uint64_t now)
{
	struct tally *tally = load_worker_tally(worker, planned);
	uint64_t late = now - planned;

	tally_add(&tally->planned, 1);
	if (late > tally->late_ticks_max)
		tally->late_ticks_max = late;
	if (late > worker->settings->late_limit_ticks)
		tally_add(&tally->late, 1);
}

/* Whether a datagram's planned time has come, or an operation follows another one's reply. */
static bool is_due(const struct load_worker *worker, uint64_t now)
{
	uint64_t planned = arrival_peek(&worker->arrival);

	return (planned <= now && planned < worker->phase.until) ||
	       load_source_has_followup(&worker->source);
}

/* Sends what is due, operations that follow others first; returns how many datagrams it sent. */
static uint32_t send_open(struct load_worker *worker, uint64_t now)
{
	struct transport_datagram datagrams[BURST];
	uint32_t built = 0;
	uint32_t acquired;

	if (!is_due(worker, now))
		return 0;
	acquired = worker->transport->ops->acquire(worker->transport, datagrams, BURST);
	while (built < acquired && is_due(worker, now)) {
		uint64_t planned = arrival_peek(&worker->arrival);
		bool follows = load_source_has_followup(&worker->source);

		if (!build(worker, planned, now, &datagrams[built])) {
			tally_add(&load_worker_tally(worker, now)->blocked, 1);
			break;
		}
		built++;
		if (follows)
			continue;
		count_lateness(worker, planned, now);
		arrival_advance(&worker->arrival);
	}
	send_built(worker, datagrams, built, acquired);
	return built;
}

/* When new requests stop: what was planned until the end of an open loop may still leave unless it is late by then. */
static uint64_t send_end(const struct load_worker *worker)
{
	if (worker->settings->datagrams_per_second <= 0.0)
		return worker->phase.until;
	if (arrival_peek(&worker->arrival) >= worker->phase.until)
		return worker->phase.until;
	return worker->phase.until + worker->settings->late_limit_ticks;
}

/* What was planned but never sent counts as late. */
static void count_unsent(struct load_worker *worker)
{
	uint64_t now = worker->phase.until + worker->settings->late_limit_ticks + 1;

	while (arrival_peek(&worker->arrival) < worker->phase.until) {
		count_lateness(worker, arrival_peek(&worker->arrival), now);
		arrival_advance(&worker->arrival);
	}
}

/* ---- requests without reply ---- */

static void resend(struct load_worker *worker, struct flow *flow, struct request *request,
		   uint64_t now)
{
	struct transport *transport = worker->transport;
	struct transport_datagram datagram;

	if (flow->state != FLOW_OPEN || transport->ops->acquire(transport, &datagram, 1) == 0)
		return;
	encode(worker, flow, request, &datagram);
	transport->ops->send(transport, &datagram, 1);
	request->sent = now;
	request->tries++;
	tally_add(&load_worker_tally(worker, request->planned)->retried, 1);
}

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
			resend(worker, flow, request, now);
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
		connect_step(worker);
	greet(worker, now);
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
		return now < send_end(worker);
	return worker->phase.kind != LOAD_CONNECT && !worker->exhausted;
}

static bool is_complete(const struct load_worker *worker, uint64_t now)
{
	if (worker->phase.kind == LOAD_RUN)
		return now >= send_end(worker) && worker->outstanding == 0;
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
			moved += is_open_loop(worker) ? send_open(worker, now)
						      : send_closed(worker, now);
		if (now >= worker->expire_next)
			look_after(worker, now);
		if (moved == 0)
			rest(worker, now);
	}
	if (is_open_loop(worker) && !must_stop(worker))
		count_unsent(worker);
	return worker->failure[0] == '\0' ? 0 : -1;
}
