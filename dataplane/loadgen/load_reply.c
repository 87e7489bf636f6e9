/* SPDX-License-Identifier: BSD-3-Clause */
/* Replies: matching, checking, counting. */
#include "dataplane/loadgen/load_reply.h"

#include "dataplane/loadgen/value_pattern.h"

/* Kinds are counted as they are named in a mix. */
static unsigned counted_as(const struct operation *operation)
{
	return operation->kind == OPERATION_CAS_READ ? OPERATION_GET : operation->kind;
}

/* Whether the ledger keeps an entry for the operation's key. */
static bool in_ledger(const struct ledger *ledger, const struct operation *operation)
{
	return ledger && operation->space == KEY_SPACE_PLAIN && operation->key < ledger->key_count;
}

static void check_absent(struct load_worker *worker, const struct operation *operation,
			 struct tally *tally)
{
	const struct load_settings *settings = worker->settings;

	if (!in_ledger(settings->ledger, operation) || settings->missing_allowed)
		return;
	tally_add(&tally->checked, 1);
	if (!ledger_may_be_absent(settings->ledger, operation->key))
		tally_add(&tally->missing, 1);
}

static void check_value(struct load_worker *worker, const struct operation *operation,
			const struct wire_reply_op *reply, struct tally *tally)
{
	const struct load_settings *settings = worker->settings;
	const struct operation_format *format = &settings->workload.format;

	tally_add(&tally->checked, 1);
	if (operation->space == KEY_SPACE_COUNTER) {
		if (!ledger_counter_matches(settings->ledger, operation->key, reply->value,
					    reply->value_size))
			tally_add(&tally->wrong, 1);
	} else if (!value_pattern_matches(reply->value, reply->value_size, operation->key,
					  format->value_size_min, format->value_size_max)) {
		tally_add(&tally->wrong, 1);
	} else if (operation->kind != OPERATION_GET_AND_TOUCH &&
		   reply->version < operation->number) {
		tally_add(&tally->stale, 1);
	}
}

/* Holds a reply against the ledger, and lets the ledger learn from it. */
static void verify(struct load_worker *worker, const struct operation *operation,
		   const struct wire_reply_op *reply, struct tally *tally)
{
	const struct operation_trait *trait = &operation_traits[operation->kind];
	struct ledger *ledger = worker->settings->ledger;

	if (trait->returns_value && reply->status == WIRE_NOT_FOUND)
		check_absent(worker, operation, tally);
	if (reply->status != WIRE_OK)
		return;
	if (trait->returns_value)
		check_value(worker, operation, reply, tally);
	else if (operation->kind == OPERATION_INCREMENT)
		ledger_count_increment(ledger, operation->key, true);
	else if (trait->has_value && in_ledger(ledger, operation))
		ledger_acknowledge(ledger, operation->key, reply->version);
}

/* In the load phases every operation must come to an end that is not the server's passing mood. */
static void take_load_outcome(struct load_worker *worker, const struct operation *operation,
			      unsigned status)
{
	const struct load_settings *settings = worker->settings;

	if (status == WIRE_RETRY || status == WIRE_UNAVAILABLE || status == WIRE_NOT_OWNER) {
		load_source_redo(&worker->source, operation);
		worker->exhausted = false;
	} else if (worker->phase.kind == LOAD_PRELOAD && status != WIRE_OK) {
		load_worker_fail(
			worker, "the server answers '%s' to a SET of the load phase%s",
			tally_status_name(status),
			status == WIRE_NO_SPACE ? ": give it more memory, or load fewer keys" : "");
	} else if (worker->phase.kind == LOAD_PRELOAD && in_ledger(settings->ledger, operation)) {
		ledger_expect(settings->ledger, operation->key);
	}
}

/* What a reply means for operations still to come. */
static void follow_up(struct load_worker *worker, const struct operation *operation,
		      const struct wire_reply_op *reply, struct tally *tally, uint64_t now)
{
	struct operation cas = *operation;

	if (operation->kind == OPERATION_INSERT) {
		workload_insert_done(&worker->source.cursor, operation->key);
	} else if (operation->kind == OPERATION_CAS_READ) {
		cas.kind = OPERATION_CAS;
		cas.number = reply->version;
		if (reply->status != WIRE_OK || !load_source_follow(&worker->source, &cas, now))
			tally_add(&tally->cas_skipped, 1);
	}
}

/* Not executed, and the same server may do it a little later: a partition is on its way, or has been. */
static bool is_passing(unsigned status)
{
	return status == WIRE_RETRY || status == WIRE_NOT_OWNER;
}

/* The time that a RETRY asks to wait. */
static uint64_t wait_ticks(const struct load_worker *worker, const struct wire_reply_op *reply)
{
	bool is_told = reply->status == WIRE_RETRY && reply->value_size == 4;
	uint32_t us = is_told ? wire_get_u32(reply->value) : PUT_OFF_US_DEFAULT;

	return clock_ticks(&worker->settings->clock, us / 1e6);
}

/* As a client does, asks again later, but no longer than the time-out after the planned time. False when it does not. */
static bool put_off(struct load_worker *worker, struct operation *operation, uint64_t planned,
		    const struct wire_reply_op *reply, uint64_t now)
{
	uint64_t due = now + wait_ticks(worker, reply);

	if (due - planned > worker->settings->timeout_ticks ||
	    !put_off_add(&worker->put_off, operation, planned, due))
		return false;
	operation->is_put_off = true;
	return true;
}

/* One operation's reply, to a request planned for 'planned'. */
static void take_operation(struct load_worker *worker, struct operation *operation,
			   uint64_t planned, const struct wire_reply_op *reply, struct tally *tally,
			   uint64_t now)
{
	if (__builtin_expect(is_passing(reply->status), 0) && worker->phase.kind == LOAD_RUN &&
	    put_off(worker, operation, planned, reply, now)) {
		tally_add(&tally->put_off, 1);
		return;
	}
	tally_add(&tally->statuses[counted_as(operation)][reply->status], 1);
	if (worker->settings->ledger)
		verify(worker, operation, reply, tally);
	if (worker->phase.kind != LOAD_RUN)
		take_load_outcome(worker, operation, reply->status);
	else if (operation->kind == OPERATION_INSERT || operation->kind == OPERATION_CAS_READ)
		follow_up(worker, operation, reply, tally, now);
}

/* Records the latency of neighbouring operations of the same kind at once. Returns how many have their answer. */
static uint32_t record_latency(struct tally *tally, const struct operation *operations,
			       uint32_t count, uint64_t ns)
{
	uint32_t answered = 0;
	uint32_t from = 0;

	for (uint32_t i = 1; i <= count; i++) {
		if (i < count && operations[i].kind == operations[from].kind &&
		    operations[i].is_put_off == operations[from].is_put_off)
			continue;
		if (!operations[from].is_put_off) {
			histogram_record(&tally->latency[counted_as(&operations[from])], ns,
					 i - from);
			answered += i - from;
		}
		from = i;
	}
	return answered;
}

/* The operations of a reply; false when they are not those of the request. */
static bool take_operations(struct load_worker *worker, const struct request *request,
			    struct operation *operations, const struct transport_datagram *datagram,
			    struct tally *tally, uint64_t now)
{
	const uint8_t *at = datagram->payload + WIRE_HEADER_SIZE;
	const uint8_t *end = datagram->payload + datagram->size;

	for (uint32_t i = 0; i < request->op_count; i++) {
		struct wire_reply_op reply;

		at = wire_reply_op_read(at, end, &reply);
		if (!at || reply.opcode != operation_traits[operations[i].kind].opcode ||
		    reply.status >= WIRE_STATUS_COUNT)
			return false;
		take_operation(worker, &operations[i], request->planned, &reply, tally, now);
	}
	return at == end;
}

/* The outcome of these operations stays unknown. */
static void doubt_operations(struct load_worker *worker, const struct operation *operations,
			     uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (operations[i].kind == OPERATION_INCREMENT && worker->settings->ledger)
			ledger_count_increment(worker->settings->ledger, operations[i].key, false);
		if (operations[i].kind == OPERATION_INSERT && worker->phase.kind == LOAD_RUN)
			workload_insert_done(&worker->source.cursor, operations[i].key);
	}
}

static void end_request(struct load_worker *worker, struct flow *flow, struct request *request)
{
	worker->outstanding--;
	flow_end(flow, request);
}

void load_reply_give_up(struct load_worker *worker, struct flow *flow, struct request *request)
{
	tally_add(&load_worker_tally(worker, request->planned)->lost, 1);
	doubt_operations(worker, flow_operations_of(flow, request), request->op_count);
	if (worker->phase.kind != LOAD_RUN)
		load_worker_fail(worker, "no reply to a request of the load phase after %u tries",
				 request->tries);
	end_request(worker, flow, request);
}

/* The session is unknown to the server: it is asked for a new one; the request goes out again when
 * its time-out comes.
 */
static void take_need_hello(struct flow *flow, struct tally *tally)
{
	tally_add(&tally->need_hello, 1);
	if (flow->state == FLOW_OPEN)
		flow_renew(flow);
}

static void take_answer(struct load_worker *worker, struct flow *flow, struct request *request,
			const struct transport_datagram *datagram, uint64_t now)
{
	struct operation *operations = flow_operations_of(flow, request);
	struct tally *tally = load_worker_tally(worker, request->planned);
	bool whole = true;

	if (!worker->settings->echo) {
		whole = datagram->payload[WIRE_AT_OP_COUNT] == request->op_count &&
			take_operations(worker, request, operations, datagram, tally, now);
		flow->map_version = wire_get_u32(datagram->payload + WIRE_AT_MAP_VERSION);
	}
	if (!whole) {
		tally_add(&tally->malformed, 1);
		doubt_operations(worker, operations, request->op_count);
	}
	worker->burst_ops +=
		record_latency(tally, operations, request->op_count,
			       clock_ns(&worker->settings->clock, now - request->planned));
	worker->burst_datagrams++;
	end_request(worker, flow, request);
}

void load_reply_take(struct load_worker *worker, const struct transport_datagram *datagram,
		     uint64_t now)
{
	struct flow *flow = worker->flows[datagram->flow];
	struct wire_header header;
	struct request *request;

	if (!wire_header_read(datagram->payload, datagram->size, &header)) {
		tally_add(&worker->rest->unexpected, 1);
		return;
	}
	if (header.kind == WIRE_HELLO_REPLY) {
		flow_take_hello_reply(flow, datagram->payload, datagram->size, &worker->server);
		return;
	}
	request = flow_find(flow, header.sequence);
	if (!request || header.token != flow->token ||
	    header.kind != (worker->settings->echo ? WIRE_REQUEST : WIRE_REPLY))
		tally_add(&worker->rest->unexpected, 1);
	else if (header.op_count == 0)
		take_need_hello(flow, load_worker_tally(worker, request->planned));
	else
		take_answer(worker, flow, request, datagram, now);
}
