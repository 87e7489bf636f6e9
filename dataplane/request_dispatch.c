/* SPDX-License-Identifier: BSD-3-Clause */
/* From datagrams to batches of looked-up keys and back. */
#include "dataplane/request_dispatch.h"

#include <rte_branch_prediction.h>

#include "dataplane/core_outbox.h"
#include "dataplane/request_execute.h"
#include "dataplane/request_forward.h"
#include "dataplane/request_local.h"
#include "dataplane/request_park.h"
#include "dataplane/request_reply.h"
#include "dataplane/wire_partition.h"

/* Operations that are looked up together: while their items are fetched from memory the next ones are
 * read, or earlier ones executed. Fewer fetch too little at once, more leave nothing to do meanwhile.
 */
#define LOOKUP_CHUNK 8u

/* How many operations before a write what it changes is fetched. */
#define WRITES_AHEAD 4u

/* What the operations of a datagram amount to. The last part is about those that are not simply served
 * here, and about all of a forwarded request.
 */
struct request_summary {
	uint32_t reply_size_min; /* bytes */
	uint32_t write_count;
	uint64_t workers; /* that own its keys, a bit each */

	uint32_t foreign_count;     /* operations on partitions of other nodes */
	uint16_t foreign_node;      /* that owns the first of them */
	bool has_two_nodes;         /* and another one some other */
	bool is_parked;             /* one has to wait, ... */
	uint32_t parked_partition;  /* ... for this partition */
	uint32_t foreign_partition; /* of the first foreign operation */
	uint32_t ownership;         /* see FORWARD in wire_format.h */
};

/* ---- reading operations ---- */

/* Reads 'count' operations from 'at' into the batch; returns the byte behind them, or NULL when one overruns the datagram. */
static const uint8_t *read_ops(struct core *core, const struct request *request, const uint8_t *at,
			       uint32_t count, struct request_summary *summary)
{
	const uint8_t *end = request->payload + request->view->payload_size;
	struct shard_batch *keys = &core->batch.keys;
	struct request_op *op = &core->batch.ops[keys->count];

	for (const struct request_op *last = op + count; op < last; op++) {
		at = wire_request_op_read(at, end, &op->wire);
		if (unlikely(!at))
			return NULL;
		op->refusal = (uint8_t)opcode_judge(&op->wire);
		summary->write_count += opcode_writes(op->wire.opcode);
		summary->reply_size_min += opcode_reply_size(op->wire.opcode);
	}
	keys->count += count;
	return at;
}

static void refuse(struct request_op *op, enum wire_status refusal)
{
	if (op->refusal == WIRE_OK)
		op->refusal = (uint8_t)refusal;
}

static void note_foreign(const struct route_table *route, uint32_t partition,
			 struct request_summary *summary)
{
	uint16_t node = route->owners[partition];

	if (summary->foreign_count++ == 0) {
		summary->foreign_node = node;
		summary->foreign_partition = partition;
	}
	summary->has_two_nodes |= node != summary->foreign_node;
}

/* What the operation meets on a partition that is not simply this node's. */
static void judge_route(const struct core *core, struct request_op *op, uint32_t partition,
			struct request_summary *summary)
{
	const struct route_table *route = core->route;

	summary->ownership += route->epochs[partition];
	switch ((enum route_access)route->access[partition]) {
	case ROUTE_BY_OWNER:
	case ROUTE_SERVED:
		break;
	case ROUTE_FORWARDED:
		note_foreign(route, partition, summary);
		refuse(op, WIRE_NOT_OWNER);
		break;
	case ROUTE_UNAVAILABLE:
		refuse(op, WIRE_UNAVAILABLE);
		break;
	case ROUTE_WRITES_PARKED:
		if (!opcode_writes(op->wire.opcode))
			break;
		/* fall through */
	case ROUTE_PARKED:
		summary->is_parked = true;
		summary->parked_partition = partition;
		break;
	case ROUTE_REFUSED:
		refuse(op, WIRE_RETRY);
		break;
	}
}

/* Refuses what this node, or this core, may not do on the operation's partition. */
static void judge_owner(struct core *core, struct request_op *op, uint32_t partition,
			bool by_route, struct request_summary *summary)
{
	op->worker = core->shared->worker_of[partition];
	summary->workers |= UINT64_C(1) << op->worker;
	if (by_route)
		judge_route(core, op, partition, summary);
	if (op->worker == core->index || op->refusal != WIRE_OK)
		return;
	if (opcode_writes(op->wire.opcode))
		op->refusal = WIRE_NOT_OWNER;
	else
		core->batch.foreign_workers |= UINT64_C(1) << op->worker;
}

/* Makes keys of the batch's operations from 'first' on, and judges by whom they may be touched. */
static void make_keys(struct core *core, const struct request *request, uint32_t first,
		      struct request_summary *summary)
{
	bool by_route = !core->route->serves_all || request->view->is_forwarded;
	const struct core_shared *shared = core->shared;
	struct shard_batch *keys = &core->batch.keys;

	for (uint32_t i = first; i < keys->count; i++) {
		struct request_op *op = &core->batch.ops[i];
		uint32_t partition =
			wire_partition_of(op->wire.key, op->wire.key_size, shared->partition_count);

		keys->keys[i] = (struct key_ref){
			.digest = key_digest(&shared->key_secret, op->wire.key, op->wire.key_size),
			.bytes = op->wire.key,
			.size = op->wire.key_size,
			.partition = (uint16_t)partition,
		};
		judge_owner(core, op, partition, by_route, summary);
	}
}

/* ---- replies ---- */

/* Starts the reply: in place when no operation is to be read after the reply of one before it was written, else in the
 * core's scratch.
 */
static void open_reply(struct core *core, struct request *request,
		       const struct request_summary *summary, bool in_place)
{
	request->reply = in_place ? request->payload + WIRE_HEADER_SIZE : core->scratch;
	request->at = request->reply;
	request->end = request->reply + core->shared->datagram_size_max - WIRE_HEADER_SIZE;
	request->reserved = summary->reply_size_min;
}

/* For a reply that is built while the operations are read one by one. */
static void open_reply_beside(struct core *core, struct request *request,
			      const struct request_summary *summary)
{
	open_reply(core, request, summary, request->view->wire.op_count == 1);
}

static void send_reply(struct core *core, const struct request *request, size_t replies_size)
{
	if (unlikely(request->view->is_forwarded)) {
		request_forward_answer(core, request, WIRE_HEADER_SIZE + replies_size);
		return;
	}
	if (unlikely(request->view->is_local)) {
		request_local_answer(core, request->mbuf, WIRE_HEADER_SIZE + replies_size);
		return;
	}
	core_send_reply(core, request->mbuf, request->view, WIRE_REPLY,
			WIRE_HEADER_SIZE + replies_size);
}

/* Sends what was built since open_reply(). */
static void close_reply(struct core *core, const struct request *request)
{
	size_t size = (size_t)(request->at - request->reply);

	if (request->reply == core->scratch)
		rte_memcpy(request->payload + WIRE_HEADER_SIZE, core->scratch, size);
	send_reply(core, request, size);
}

static void refuse_whole(struct core *core, const struct request *request)
{
	core_count(&core->counters, COUNT_REQUESTS_REFUSED);
	request->payload[WIRE_AT_OP_COUNT] = 1;
	wire_reply_op_write(request->payload + WIRE_HEADER_SIZE, 0, WIRE_BAD_REQUEST, 0, 0);
	send_reply(core, request, WIRE_REPLY_OP_SIZE);
}

/* Answers every operation RETRY: none may be executed, and the same bytes may come again. */
static void retry_whole(struct core *core, struct request *request,
			const struct request_summary *summary)
{
	const uint8_t *end = request->payload + request->view->payload_size;
	const uint8_t *at = request->payload + WIRE_HEADER_SIZE;
	struct wire_request_op op;

	request->is_open = true;
	open_reply_beside(core, request, summary);
	while ((at = wire_request_op_read(at, end, &op)) != NULL) {
		request->reserved -= opcode_reply_size(op.opcode);
		request_reply_retry(core, request, op.opcode);
	}
	close_reply(core, request);
}

/* Answers every operation NOT_OWNER: the request came by an ownership that is over. */
static void disown_whole(struct core *core, struct request *request,
			 const struct request_summary *summary)
{
	const uint8_t *end = request->payload + request->view->payload_size;
	const uint8_t *at = request->payload + WIRE_HEADER_SIZE;
	struct wire_request_op op;

	open_reply_beside(core, request, summary);
	while ((at = wire_request_op_read(at, end, &op)) != NULL) {
		request->reserved -= opcode_reply_size(op.opcode);
		request_reply_not_owner(core, request, op.opcode,
					wire_partition_of(op.key, op.key_size,
							  core->shared->partition_count));
	}
	close_reply(core, request);
}

static void repeat_reply(struct core *core, const struct request *request)
{
	uint8_t op_count;
	size_t size = replay_reply_copy(core->replay, request->ticket,
					request->payload + WIRE_HEADER_SIZE, &op_count);

	core_count(&core->counters, COUNT_REQUESTS_REPEATED);
	request->payload[WIRE_AT_OP_COUNT] = op_count;
	send_reply(core, request, size);
}

/* ---- elsewhere ---- */

/* Whether all operations are one other node's, and the request may be sent there: not if it was sent here, or is larger
 * than clients are told.
 */
static bool is_foreign_whole(const struct core *core, const struct request *request,
			     const struct request_summary *summary)
{
	const struct packet_view *view = request->view;

	return summary->foreign_count == view->wire.op_count && !summary->has_two_nodes &&
	       !view->is_forwarded && view->payload_size <= core->shared->datagram_size_max;
}

/* Sends the request to the owner of all its keys, if there is one other node that is; false: it stays here, and is
 * told whom to ask.
 */
static bool forward(struct core *core, struct request *request,
		    const struct request_summary *summary)
{
	bool writes = summary->write_count > 0;
	struct forward_target target = { .ownership = summary->ownership };
	struct replay_binding binding;

	if (!is_foreign_whole(core, request, summary))
		return false;
	switch (request_forward_to_owner(core, summary->foreign_node, summary->foreign_partition,
					 &target)) {
	case FORWARD_NO_SESSION:
		return false;
	case FORWARD_ASKING:
		if (writes)
			replay_cancel(core->replay, request->ticket);
		retry_whole(core, request, summary);
		return true;
	case FORWARD_READY:
		break;
	}
	if (writes) {
		binding = request_forward_binding(&target);
		replay_bind(core->replay, request->ticket, &binding);
	}
	request_forward_send(core, request, &target, writes);
	return true;
}

/* A copy of a write that was forwarded: only the node that had the first one knows what became of it. */
static void forward_again(struct core *core, struct request *request,
			  const struct request_summary *summary)
{
	const struct replay_binding binding = replay_binding(core->replay, request->ticket);
	struct forward_target target;

	/* a session is one node's: what was asked of this one does not come by way of another */
	if (request->view->is_forwarded) {
		core_drop(core, request->mbuf, DROP_FORWARD_BAD);
		return;
	}
	switch (request_forward_to_bound(core, &binding, &target)) {
	case FORWARD_READY:
		request_forward_send(core, request, &target, true);
		break;
	case FORWARD_ASKING:
		retry_whole(core, request, summary);
		break;
	case FORWARD_NO_SESSION:
		core_drop(core, request->mbuf, DROP_FORWARD_NO_PEER);
		break;
	}
}

/* Whether this node may execute the writes of a request that another one forwarded; otherwise it is answered. What it
 * says to an ownership that is over stays true: epochs only grow.
 */
static bool is_rightly_here(struct core *core, struct request *request,
			    const struct request_summary *summary)
{
	uint32_t ownership = request_forward_ownership(request);

	if (ownership == summary->ownership && summary->foreign_count == 0)
		return true;
	core_count(&core->counters, COUNT_FORWARDS_STALE);
	replay_cancel(core->replay, request->ticket);
	if ((int32_t)(ownership - summary->ownership) > 0)
		retry_whole(core, request, summary);
	else
		disown_whole(core, request, summary);
	return false;
}

/* ---- admission ---- */

/* A write that was never executed here: is it to be? */
static bool admit_new(struct core *core, struct request *request,
		      const struct request_summary *summary)
{
	if (unlikely(request->view->is_forwarded) && !is_rightly_here(core, request, summary))
		return false;
	if (unlikely(summary->foreign_count > 0) && forward(core, request, summary))
		return false;
	request->has_ticket = true;
	core->batch.has_writes = true;
	request->writes_open = summary->write_count;
	return true;
}

/* Marks a request that writes in the replay window. False: it ended here, as a copy, for want of memory, or on its way
 * to another node.
 */
static bool admit_write(struct core *core, struct request *request,
			const struct request_summary *summary)
{
	const struct wire_header *wire = &request->view->wire;

	switch (replay_begin(core->replay, wire->session_id, wire->token, wire->sequence,
			     core->now_ms, &request->ticket)) {
	case REPLAY_NEW:
		return admit_new(core, request, summary);
	case REPLAY_KNOWN:
		repeat_reply(core, request);
		break;
	case REPLAY_FORWARDED:
		forward_again(core, request, summary);
		break;
	case REPLAY_NO_WINDOW:
		retry_whole(core, request, summary);
		break;
	case REPLAY_IN_PROGRESS:
		core_drop(core, request->mbuf, DROP_REPLAY_IN_PROGRESS);
		break;
	case REPLAY_FORGOTTEN:
		core_drop(core, request->mbuf, DROP_REPLAY_FORGOTTEN);
		break;
	case REPLAY_OLD:
		core_drop(core, request->mbuf, DROP_REPLAY_OLD);
		break;
	}
	return false;
}

/* Hands a request that writes to the one other worker that owns all its keys, if there is such a one. Which core deals
 * with a write depends on nothing that changes, so all its copies meet the same replay window.
 */
static bool hand_to_owner(struct core *core, const struct request *request,
			  const struct request_summary *summary)
{
	bool is_one = (summary->workers & (summary->workers - 1)) == 0;

	if (!is_one || summary->workers == UINT64_C(1) << core->index)
		return false;
	core_count(&core->counters, COUNT_HANDED_TO_OWNER);
	core_hand_over(core, request->mbuf, request->view, MAIL_REQUEST,
		       (uint32_t)__builtin_ctzll(summary->workers));
	return true;
}

static void park(struct core *core, struct request *request, const struct request_summary *summary)
{
	if (!request_park(core, request->mbuf, request->view, summary->parked_partition))
		retry_whole(core, request, summary);
}

/* Whether the request is to be executed here; otherwise it was answered, parked, dropped or sent elsewhere. */
static bool admit(struct core *core, struct request *request, const struct request_summary *summary)
{
	if (summary->write_count > 0 && hand_to_owner(core, request, summary))
		return false;
	if (unlikely(summary->is_parked)) {
		park(core, request, summary);
		return false;
	}
	if (summary->write_count > 0)
		return admit_write(core, request, summary);
	return likely(summary->foreign_count == 0) || !forward(core, request, summary);
}

/* ---- execution ---- */

/* Looks up the keys of other workers, which are only read. */
static void look_up_foreign(struct core *core, uint32_t worker)
{
	struct request_batch *batch = &core->batch;
	struct shard_batch *foreign = &core->foreign;
	uint8_t at[SHARD_BATCH_MAX];

	foreign->count = 0;
	for (uint32_t i = 0; i < batch->keys.count; i++) {
		if (batch->ops[i].worker != worker || batch->ops[i].refusal != WIRE_OK)
			continue;
		at[foreign->count] = (uint8_t)i;
		foreign->keys[foreign->count++] = batch->keys.keys[i];
	}
	if (foreign->count > 0)
		shard_lookup(core->shared->cores[worker]->shard, foreign);
	for (uint32_t i = 0; i < foreign->count; i++)
		batch->keys.items[at[i]] = foreign->items[i];
}

/* Begins the lookup of the operations that were added since the last call. */
static void begin_lookup(struct core *core)
{
	struct request_batch *batch = &core->batch;

	while (batch->begun < batch->keys.count) {
		uint32_t left = batch->keys.count - batch->begun;
		uint32_t count = left < LOOKUP_CHUNK ? left : LOOKUP_CHUNK;

		shard_lookup_begin(core->shard, &batch->keys, batch->begun, count,
				   batch->has_writes);
		batch->begun += count;
	}
}

/* After it, each operation's item is a candidate whose key is yet to be compared. */
static void finish_lookup(struct core *core)
{
	struct request_batch *batch = &core->batch;
	uint64_t workers = batch->foreign_workers;

	begin_lookup(core);
	for (; unlikely(workers != 0); workers &= workers - 1)
		look_up_foreign(core, (uint32_t)__builtin_ctzll(workers));
}

static void empty_batch(struct request_batch *batch)
{
	batch->request_count = 0;
	batch->keys.count = 0;
	batch->begun = 0;
	batch->foreign_workers = 0;
	batch->has_writes = false;
}

/* The replies of a request that only reads stand where its keys stood: what earlier requests of the batch have replaced
 * is looked up before the first one is written.
 */
static void renew_replaced(struct core *core, uint32_t first, uint32_t end)
{
	for (uint32_t i = first; i < end; i++) {
		if (core->batch.ops[i].worker == core->index)
			shard_batch_item(core->shard, &core->batch.keys, i);
	}
}

/* Executes operations first..end-1 of the batch, all of one request. */
static void execute(struct core *core, struct request *request, uint32_t first, uint32_t end)
{
	shard_lookup_end(core->shard, &core->batch.keys, first, end - first);
	if (unlikely(core->batch.has_writes) && !request->has_ticket && end - first > 1)
		renew_replaced(core, first, end);
	for (uint32_t i = first; i < end; i++) {
		if (request->has_ticket)
			shard_write_prefetch(core->shard, &core->batch.keys, i + WRITES_AHEAD);
		request_execute(core, request, i);
	}
}

/* The replay window remembers the reply unless each of its writes was put off: then the same request
 * may come again.
 */
static void remember(struct core *core, struct request *request)
{
	request->is_open = request->writes_open == 0;
	if (request->is_open)
		replay_cancel(core->replay, request->ticket);
	else
		replay_commit(core->replay, request->ticket, request->view->wire.op_count,
			      request->reply, (size_t)(request->at - request->reply));
}

static void finish(struct core *core, struct request *request)
{
	core_count(&core->counters, COUNT_REQUESTS);
	if (request->has_ticket)
		remember(core, request);
	close_reply(core, request);
}

void request_flush(struct core *core)
{
	struct request_batch *batch = &core->batch;

	if (batch->request_count == 0)
		return;
	finish_lookup(core);
	for (uint32_t i = 0; batch->has_writes && i < WRITES_AHEAD; i++) /* execute() goes on */
		shard_write_prefetch(core->shard, &batch->keys, i);
	for (uint32_t i = 0; i < batch->request_count; i++) {
		struct request *request = &batch->requests[i];

		execute(core, request, request->op_first, request->op_end);
		finish(core, request);
	}
	empty_batch(batch);
}

/* ---- requests ---- */

/* A request without operations is none: its reply would have none either, and mean NEED_HELLO. */
static bool is_whole(const struct core *core, const struct request *request, const uint8_t *end,
		     const struct request_summary *summary)
{
	return request->view->wire.op_count != 0 &&
	       end == request->payload + request->view->payload_size &&
	       WIRE_HEADER_SIZE + summary->reply_size_min <= core->shared->datagram_size_max;
}

/* A request whose operations fit one batch joins those that are already in it. */
static void dispatch_small(struct core *core, struct request *request)
{
	struct request_batch *batch = &core->batch;
	uint32_t first = batch->keys.count;
	struct request_summary summary = { 0 };
	const uint8_t *end = read_ops(core, request, request->payload + WIRE_HEADER_SIZE,
				      request->view->wire.op_count, &summary);

	if (unlikely(!is_whole(core, request, end, &summary))) {
		batch->keys.count = first;
		refuse_whole(core, request);
		return;
	}
	make_keys(core, request, first, &summary);
	if (unlikely(!admit(core, request, &summary))) {
		batch->keys.count = first;
		return;
	}
	/* all is read, and keys are compared before the first reply is written: only values are needed later */
	open_reply(core, request, &summary,
		   summary.write_count == 0 || request->view->wire.op_count == 1);
	request->op_first = (uint16_t)first;
	request->op_end = (uint16_t)batch->keys.count;
	batch->request_count++;
	if (batch->keys.count - batch->begun >= LOOKUP_CHUNK)
		begin_lookup(core);
}

/* Reads the next operations of a large request into the empty batch; returns the byte behind them. */
static const uint8_t *read_chunk(struct core *core, const struct request *request,
				 const uint8_t *at, uint32_t left, struct request_summary *summary)
{
	empty_batch(&core->batch);
	at = read_ops(core, request, at, left < SHARD_BATCH_MAX ? left : SHARD_BATCH_MAX, summary);
	if (at)
		make_keys(core, request, 0, summary);
	return at;
}

/* A request of several batches is read twice: once to judge it whole, once to execute it. */
static void dispatch_large(struct core *core, struct request *request)
{
	const uint32_t op_count = request->view->wire.op_count;
	struct shard_batch *keys = &core->batch.keys;
	struct request_summary summary = { 0 };
	struct request_summary again = { 0 };
	const uint8_t *at = request->payload + WIRE_HEADER_SIZE;

	for (uint32_t read = 0; read < op_count && at; read += keys->count)
		at = read_chunk(core, request, at, op_count - read, &summary);
	if (!is_whole(core, request, at, &summary)) {
		refuse_whole(core, request);
	} else if (admit(core, request, &summary)) {
		open_reply(core, request, &summary, false);
		at = request->payload + WIRE_HEADER_SIZE;
		for (uint32_t read = 0; read < op_count; read += keys->count) {
			at = read_chunk(core, request, at, op_count - read, &again);
			core->batch.has_writes = request->has_ticket;
			finish_lookup(core);
			execute(core, request, 0, keys->count);
		}
		finish(core, request);
	}
	empty_batch(&core->batch);
}

void request_dispatch(struct core *core, struct rte_mbuf *mbuf, const struct packet_view *view)
{
	struct request_batch *batch = &core->batch;
	uint32_t op_count = view->wire.op_count;
	struct request *request;

	if (batch->keys.count + op_count > SHARD_BATCH_MAX)
		request_flush(core);
	request = &batch->requests[batch->request_count];
	request->mbuf = mbuf;
	request->view = view;
	request->payload = rte_pktmbuf_mtod_offset(mbuf, uint8_t *, PACKET_AT_UDP_PAYLOAD);
	if (unlikely(view->is_forwarded))
		request->payload += WIRE_FORWARD_SIZE;
	request->has_ticket = false;
	request->is_open = false;
	if (likely(op_count <= SHARD_BATCH_MAX))
		dispatch_small(core, request);
	else
		dispatch_large(core, request);
}
