/* SPDX-License-Identifier: BSD-3-Clause */
/* From datagrams to batches of looked-up keys and back. */
#include "dataplane/request_dispatch.h"

#include <rte_branch_prediction.h>

#include "dataplane/core_outbox.h"
#include "dataplane/request_execute.h"
#include "dataplane/request_forward.h"
#include "dataplane/request_reply.h"
#include "dataplane/wire_partition.h"

/* Operations that are looked up together: while their items are fetched from memory the next ones are
 * read, or earlier ones executed. Fewer fetch too little at once, more leave nothing to do meanwhile.
 */
#define LOOKUP_CHUNK 8u

/* What the operations of a datagram amount to. */
struct request_summary {
	uint32_t reply_size_min; /* bytes */
	bool writes;             /* some opcode is a write */
	uint32_t writes_here;    /* writes to be executed by this core */
	uint64_t workers;        /* that own its keys, a bit each */
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
		summary->writes |= opcode_writes(op->wire.opcode);
		summary->reply_size_min += opcode_reply_size(op->wire.opcode);
	}
	keys->count += count;
	return at;
}

/* Refuses what this node, or this core, may not do on the operation's partition. */
static void judge_owner(struct core *core, struct request_op *op, uint32_t partition,
			struct request_summary *summary)
{
	op->worker = core->shared->worker_of[partition];
	summary->workers |= UINT64_C(1) << op->worker;
	if (op->refusal == WIRE_OK)
		op->refusal = (uint8_t)request_route_judge(core->route, partition);
	if (op->worker == core->index)
		summary->writes_here += op->refusal != WIRE_NOT_OWNER &&
					op->refusal != WIRE_UNAVAILABLE &&
					opcode_writes(op->wire.opcode);
	else if (op->refusal == WIRE_OK && opcode_writes(op->wire.opcode))
		op->refusal = WIRE_NOT_OWNER;
	else if (op->refusal == WIRE_OK)
		core->batch.foreign_workers |= UINT64_C(1) << op->worker;
}

/* Makes keys of the batch's operations from 'first' on, and judges by whom they may be touched. */
static void make_keys(struct core *core, uint32_t first, struct request_summary *summary)
{
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
		judge_owner(core, op, partition, summary);
	}
}

/* ---- replies ---- */

/* Where the reply is built: in place, when no operation needs to be read after the reply of one before it was written. */
static void open_reply(struct core *core, struct request *request,
		       const struct request_summary *summary)
{
	bool in_place = !summary->writes || request->view->wire.op_count == 1;

	request->reply = in_place ? request->payload + WIRE_HEADER_SIZE : core->scratch;
	request->at = request->reply;
	request->end = request->reply + core->shared->datagram_size_max - WIRE_HEADER_SIZE;
	request->reserved = summary->reply_size_min;
}

static void send_reply(struct core *core, const struct request *request, size_t replies_size)
{
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

/* Answers every operation RETRY: none may be executed, for its writes cannot be marked. */
static void retry_whole(struct core *core, struct request *request,
			const struct request_summary *summary)
{
	const uint8_t *end = request->payload + request->view->payload_size;
	const uint8_t *at = request->payload + WIRE_HEADER_SIZE;
	struct wire_request_op op;

	open_reply(core, request, summary);
	while ((at = wire_request_op_read(at, end, &op)) != NULL) {
		request->reserved -= opcode_reply_size(op.opcode);
		request_reply_retry(core, request, op.opcode);
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

/* ---- admission ---- */

/* Marks a request that writes in the replay window. False: it ended here, as a copy or for want of memory. */
static bool admit_write(struct core *core, struct request *request,
			const struct request_summary *summary)
{
	const struct wire_header *wire = &request->view->wire;

	switch (replay_begin(core->replay, wire->session_id, wire->token, wire->sequence,
			     core->now_ms, &request->ticket)) {
	case REPLAY_NEW:
		request->has_ticket = true;
		request->writes_open = summary->writes_here;
		return true;
	case REPLAY_KNOWN:
		repeat_reply(core, request);
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

/* Hands a request that writes to the one other worker that owns all its keys, if there is such a one. */
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

/* Whether the request is to be executed here; otherwise it was answered, handed over or dropped. */
static bool admit(struct core *core, struct request *request, const struct request_summary *summary)
{
	if (likely(!summary->writes))
		return true;
	if (hand_to_owner(core, request, summary))
		return false;
	return summary->writes_here == 0 || admit_write(core, request, summary);
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

		shard_lookup_begin(core->shard, &batch->keys, batch->begun, count);
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
}

/* Executes operations first..end-1 of the batch, all of one request. */
static void execute(struct core *core, struct request *request, uint32_t first, uint32_t end)
{
	shard_lookup_end(core->shard, &core->batch.keys, first, end - first);
	for (uint32_t i = first; i < end; i++)
		request_execute(core, request, i);
}

/* The replay window remembers the reply unless each of its writes was put off: then the same request
 * may come again.
 */
static void remember(struct core *core, const struct request *request)
{
	if (request->writes_open == 0)
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
	make_keys(core, first, &summary);
	if (unlikely(!admit(core, request, &summary))) {
		batch->keys.count = first;
		return;
	}
	open_reply(core, request, &summary);
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
		make_keys(core, 0, summary);
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
		summary.writes =
			true; /* build the reply apart: later operations are yet to be read */
		open_reply(core, request, &summary);
		at = request->payload + WIRE_HEADER_SIZE;
		for (uint32_t read = 0; read < op_count; read += keys->count) {
			at = read_chunk(core, request, at, op_count - read, &again);
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
	request->has_ticket = false;
	if (likely(op_count <= SHARD_BATCH_MAX))
		dispatch_small(core, request);
	else
		dispatch_large(core, request);
}
