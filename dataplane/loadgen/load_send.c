/* SPDX-License-Identifier: BSD-3-Clause */
/* From operations to datagrams on their way. */
#include "dataplane/loadgen/load_send.h"

#define BURST TRANSPORT_BURST_MAX

/* The next flow after the current one, to 'server_worker', with room for one more request, or NULL.
 */
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

/* A flow to 'server_worker' with room for one more request, or NULL: the last one used for as long
 * as it has room, for its lines are in the cache.
 */
static inline struct flow *choose_flow(struct load_worker *worker, uint16_t server_worker)
{
	struct flow *flow = worker->flows[worker->flow_next];

	if (flow->server_worker == server_worker && flow_has_room(flow))
		return flow;
	return search_flow(worker, server_worker);
}

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

/* Makes the datagram of a request that has its operations. */
static inline void complete(struct load_worker *worker, struct flow *flow, struct request *request,
			    uint64_t planned, uint64_t now, struct transport_datagram *datagram)
{
	request->planned = planned;
	request->sent = now;
	request->tries = 1;
	if (worker->settings->ledger)
		note_sending(worker->settings->ledger, flow_operations_of(flow, request),
			     request->op_count);
	encode(worker, flow, request, datagram);
	worker->outstanding++;
	tally_add(&load_worker_tally(worker, planned)->sent, 1);
}

/* Builds the next datagram of the phase, or of operations that follow others; false when there is
 * none, or no flow has room.
 */
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
	complete(worker, flow, request, planned, now, datagram);
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

uint32_t load_send_closed(struct load_worker *worker, uint64_t now)
{
	struct transport_datagram datagrams[BURST];
	/* who was put off waits as if there were no reply */
	uint32_t waiting = worker->outstanding + put_off_count(&worker->put_off);
	uint32_t want = worker->settings->outstanding_max - waiting;
	uint32_t built = 0;
	uint32_t acquired;

	if (waiting >= worker->settings->outstanding_max)
		return 0;
	acquired = worker->transport->ops->acquire(worker->transport, datagrams,
						   want < BURST ? want : BURST);
	while (built < acquired && build(worker, now, now, &datagrams[built]))
		built++;
	send_built(worker, datagrams, built, acquired);
	return built;
}

/* The first operation that was put off and is due again, in a request of its own; false when there is none, or no room. */
static bool build_put_off(struct load_worker *worker, uint64_t now,
			  struct transport_datagram *datagram)
{
	const struct put_off_operation *due = put_off_due(&worker->put_off, now);
	struct request *request;
	struct flow *flow;

	if (!due)
		return false;
	flow = choose_flow(worker, load_source_worker_of(&worker->source, &due->operation));
	if (!flow)
		return false;
	request = flow_begin(flow);
	*flow_operations_of(flow, request) = due->operation;
	request->op_count = 1;
	complete(worker, flow, request, due->planned, now, datagram);
	put_off_take(&worker->put_off);
	return true;
}

uint32_t load_send_put_off(struct load_worker *worker, uint64_t now)
{
	struct transport_datagram datagrams[BURST];
	uint32_t built = 0;
	uint32_t acquired;

	if (!put_off_due(&worker->put_off, now))
		return 0;
	acquired = worker->transport->ops->acquire(worker->transport, datagrams, BURST);
	while (built < acquired && build_put_off(worker, now, &datagrams[built]))
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

uint32_t load_send_open(struct load_worker *worker, uint64_t now)
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

uint64_t load_send_end(const struct load_worker *worker)
{
	if (worker->settings->datagrams_per_second <= 0.0)
		return worker->phase.until;
	if (arrival_peek(&worker->arrival) >= worker->phase.until)
		return worker->phase.until;
	return worker->phase.until + worker->settings->late_limit_ticks;
}

void load_send_count_unsent(struct load_worker *worker)
{
	uint64_t now = worker->phase.until + worker->settings->late_limit_ticks + 1;

	while (arrival_peek(&worker->arrival) < worker->phase.until) {
		count_lateness(worker, arrival_peek(&worker->arrival), now);
		arrival_advance(&worker->arrival);
	}
}

void load_send_again(struct load_worker *worker, struct flow *flow, struct request *request,
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
