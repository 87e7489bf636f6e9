/* SPDX-License-Identifier: BSD-3-Clause */
/* Opcode rules and handlers. A handler reads its operation first and writes its reply last, for both may be the same bytes. */
#include "dataplane/request_execute.h"

#include <rte_branch_prediction.h>

#include "dataplane/decimal.h"
#include "dataplane/request_forward.h"
#include "dataplane/request_reply.h"

static_assert((int)STATUS_OK == WIRE_OK && (int)STATUS_NOT_FOUND == WIRE_NOT_FOUND &&
		      (int)STATUS_EXISTS == WIRE_EXISTS_ALREADY &&
		      (int)STATUS_VERSION_MISMATCH == WIRE_VERSION_MISMATCH &&
		      (int)STATUS_NOT_A_NUMBER == WIRE_NOT_A_NUMBER &&
		      (int)STATUS_TOO_LARGE == WIRE_TOO_LARGE &&
		      (int)STATUS_NO_SPACE == WIRE_NO_SPACE && (int)STATUS_RETRY == WIRE_RETRY,
	      "an outcome of storage goes on the wire as it is");

#define ANY_SIZE UINT16_MAX

const struct opcode_rule opcode_rules[WIRE_OPCODE_COUNT] = {
	/*                     allowed, needed, value min, max, reply value, writes */
	[WIRE_GET] = { 0, 0, 0, 0, 0, false },
	[WIRE_SET] = { WIRE_HAS_TTL, 0, 0, ANY_SIZE, 0, true },
	[WIRE_DELETE] = { WIRE_HAS_VERSION, 0, 0, 0, 0, true },
	[WIRE_ADD] = { WIRE_HAS_TTL, 0, 0, ANY_SIZE, 0, true },
	[WIRE_REPLACE] = { WIRE_HAS_TTL, 0, 0, ANY_SIZE, 0, true },
	[WIRE_CAS] = { WIRE_HAS_VERSION | WIRE_HAS_TTL, WIRE_HAS_VERSION, 0, ANY_SIZE, 0, true },
	[WIRE_INCREMENT] = { WIRE_HAS_TTL, 0, 8, 16, 8, true },
	[WIRE_APPEND] = { 0, 0, 0, ANY_SIZE, 0, true },
	[WIRE_TOUCH] = { WIRE_HAS_TTL, WIRE_HAS_TTL, 0, 0, 0, true },
	[WIRE_GET_AND_TOUCH] = { WIRE_HAS_TTL, WIRE_HAS_TTL, 0, 0, 0, true },
	[WIRE_EXISTS] = { 0, 0, 0, 0, 0, false },
	[WIRE_TTL] = { 0, 0, 0, 0, 8, false },
};

/* One operation in execution. */
struct execution {
	struct core *core;
	struct request *request;
	const struct wire_request_op *op;
	uint32_t i; /* in the batch */
};

/* What the key maps to; an expired item is none. */
static struct item *live_item(const struct execution *e)
{
	struct request_batch *batch = &e->core->batch;
	struct item *item = batch->keys.items[e->i];

	/* only writes of the batch replace, or evict, what was found in it */
	if (batch->has_writes && batch->ops[e->i].worker == e->core->index)
		item = shard_batch_item(e->core->shard, &batch->keys, e->i);
	return item && !item_is_expired(item, e->core->now_ms) ? item : NULL;
}

static void reply(const struct execution *e, enum wire_status status, uint64_t version)
{
	request_reply_status(e->core, e->request, e->op->opcode, status, version);
}

static void reply_number(const struct execution *e, uint64_t number, uint64_t version)
{
	wire_put_u64(request_reply_open(e->core, e->request, e->op->opcode, WIRE_OK, version,
					sizeof(number)),
		     number);
}

static bool value_fits(const struct execution *e, const struct item *item)
{
	return item->value_size <= request_reply_room(e->request);
}

static void reply_value(const struct execution *e, const struct item *item, uint64_t version)
{
	uint8_t *value = request_reply_open(e->core, e->request, e->op->opcode, WIRE_OK, version,
					    item->value_size);

	rte_memcpy(value, item_value(item), item->value_size);
}

static uint64_t expiry_of(const struct execution *e)
{
	return e->op->ttl_ms == 0 ? 0 : e->core->now_ms + e->op->ttl_ms;
}

/* ---- reads ---- */

static void execute_get(const struct execution *e)
{
	struct item *item = live_item(e);

	if (unlikely(!item)) {
		core_count(&e->core->counters, COUNT_GET_MISSES);
		reply(e, WIRE_NOT_FOUND, 0);
		return;
	}
	if (e->core->batch.ops[e->i].worker == e->core->index)
		shard_mark_visited(item);
	if (likely(value_fits(e, item)))
		reply_value(e, item, item->version);
	else
		reply(e, WIRE_TOO_LARGE, item->version);
}

static void execute_exists(const struct execution *e)
{
	const struct item *item = live_item(e);

	reply(e, item ? WIRE_OK : WIRE_NOT_FOUND, item ? item->version : 0);
}

static void execute_ttl(const struct execution *e)
{
	const struct item *item = live_item(e);
	uint64_t expires_at_ms;

	if (!item) {
		reply(e, WIRE_NOT_FOUND, 0);
		return;
	}
	expires_at_ms = item_expires_at_ms(item);
	reply_number(e, expires_at_ms == 0 ? WIRE_TTL_NEVER : expires_at_ms - e->core->now_ms,
		     item->version);
}

/* ---- writes ---- */

/* A new item for the key, not yet published; NULL without memory. */
static struct item *create_item(const struct execution *e, uint32_t value_size,
				uint64_t expires_at_ms)
{
	struct item *item =
		shard_item_create(e->core->shard, &e->core->batch.keys.keys[e->i], value_size);

	if (item)
		item_set_expires_at_ms(item, expires_at_ms);
	return item;
}

/* Publishes 'item', or gives it back when it cannot be; NULL is no memory. '*version' is set on WIRE_OK. */
static enum wire_status publish(const struct execution *e, struct item *item, uint64_t *version)
{
	enum status status;

	if (!item)
		return (enum wire_status)shard_refusal(e->core->shard);
	status = shard_put(e->core->shard, &e->core->batch.keys, e->i, item);
	if (status != STATUS_OK) {
		shard_item_discard(e->core->shard, item);
		return (enum wire_status)status;
	}
	*version = item->version;
	return WIRE_OK;
}

/* The reply to a write that was not done. */
static void reply_undone(const struct execution *e, enum wire_status status)
{
	if (status != WIRE_RETRY) {
		reply(e, status, 0);
		return;
	}
	e->request->writes_open--;
	request_reply_retry(e->core, e->request, e->op->opcode);
}

static void publish_and_reply(const struct execution *e, struct item *item)
{
	uint64_t version = 0;
	enum wire_status status = publish(e, item, &version);

	if (likely(status == WIRE_OK))
		reply(e, WIRE_OK, version);
	else
		reply_undone(e, status);
}

static void execute_set(const struct execution *e)
{
	struct item *item;

	if (e->op->value_size > e->core->shared->value_size_max) {
		reply(e, WIRE_TOO_LARGE, 0);
		return;
	}
	item = create_item(e, e->op->value_size, expiry_of(e));
	if (item)
		rte_memcpy(item_value_unpublished(item), e->op->value, e->op->value_size);
	publish_and_reply(e, item);
}

static void execute_add(const struct execution *e)
{
	const struct item *item = live_item(e);

	if (item)
		reply(e, WIRE_EXISTS_ALREADY, item->version);
	else
		execute_set(e);
}

static void execute_replace(const struct execution *e)
{
	if (live_item(e))
		execute_set(e);
	else
		reply(e, WIRE_NOT_FOUND, 0);
}

static void execute_cas(const struct execution *e)
{
	const struct item *item = live_item(e);

	if (!item)
		reply(e, WIRE_NOT_FOUND, 0);
	else if (item->version != e->op->version)
		reply(e, WIRE_VERSION_MISMATCH, item->version);
	else
		execute_set(e);
}

static void execute_delete(const struct execution *e)
{
	const struct item *item = live_item(e);
	uint64_t version = 0;
	enum status status;

	if (!item) {
		reply(e, WIRE_NOT_FOUND, 0);
		return;
	}
	if ((e->op->flags & WIRE_HAS_VERSION) && item->version != e->op->version) {
		reply(e, WIRE_VERSION_MISMATCH, item->version);
		return;
	}
	status = shard_remove(e->core->shard, &e->core->batch.keys, e->i, &version);
	reply(e, (enum wire_status)status, version);
}

static struct item *create_number(const struct execution *e, int64_t number, uint64_t expires_at_ms)
{
	uint8_t text[DECIMAL_SIZE_MAX];
	uint32_t size = decimal_write(text, number);
	struct item *item = create_item(e, size, expires_at_ms);

	if (item)
		memcpy(item_value_unpublished(item), text, size);
	return item;
}

/* Stores 'number' and answers it. */
static void store_number(const struct execution *e, int64_t number, uint64_t expires_at_ms)
{
	struct item *item = create_number(e, number, expires_at_ms);
	uint64_t version = 0;
	enum wire_status status = publish(e, item, &version);

	if (status == WIRE_OK)
		reply_number(e, (uint64_t)number, version);
	else
		reply_undone(e, status);
}

static void execute_increment(const struct execution *e)
{
	const struct item *item = live_item(e);
	int64_t delta = (int64_t)wire_get_u64(e->op->value);
	int64_t number;

	if (item) {
		if (!decimal_read(item_value(item), item->value_size, &number) ||
		    __builtin_add_overflow(number, delta, &number))
			reply(e, WIRE_NOT_A_NUMBER, item->version);
		else
			store_number(e, number, item_expires_at_ms(item));
	} else if (e->op->value_size == 16) {
		store_number(e, (int64_t)wire_get_u64(e->op->value + 8), expiry_of(e));
	} else {
		reply(e, WIRE_NOT_FOUND, 0);
	}
}

static void execute_append(const struct execution *e)
{
	const struct item *old = live_item(e);
	struct item *item;
	uint32_t size;

	if (!old) {
		reply(e, WIRE_NOT_FOUND, 0);
		return;
	}
	size = old->value_size + e->op->value_size;
	if (size > e->core->shared->value_size_max) {
		reply(e, WIRE_TOO_LARGE, old->version);
		return;
	}
	item = create_item(e, size, item_expires_at_ms(old));
	if (item) {
		rte_memcpy(item_value_unpublished(item), item_value(old), old->value_size);
		rte_memcpy(item_value_unpublished(item) + old->value_size, e->op->value,
			   e->op->value_size);
	}
	publish_and_reply(e, item);
}

/* A copy of 'old' with the operation's expiry. */
static struct item *create_touched(const struct execution *e, const struct item *old)
{
	struct item *item = create_item(e, old->value_size, expiry_of(e));

	if (item)
		rte_memcpy(item_value_unpublished(item), item_value(old), old->value_size);
	return item;
}

static void execute_touch(const struct execution *e)
{
	const struct item *old = live_item(e);

	if (old)
		publish_and_reply(e, create_touched(e, old));
	else
		reply(e, WIRE_NOT_FOUND, 0);
}

/* Either both, or, when the value finds no room in the reply, neither. */
static void execute_get_and_touch(const struct execution *e)
{
	const struct item *old = live_item(e);
	uint64_t version = 0;
	enum wire_status status;

	if (!old) {
		core_count(&e->core->counters, COUNT_GET_MISSES);
		reply(e, WIRE_NOT_FOUND, 0);
		return;
	}
	if (!value_fits(e, old)) {
		reply(e, WIRE_TOO_LARGE, old->version);
		return;
	}
	status = publish(e, create_touched(e, old), &version);
	if (status == WIRE_OK)
		reply_value(e, old,
			    version); /* 'old' is retired, and ours to read until the turn's end */
	else
		reply_undone(e, status);
}

/* ---- the table ---- */

static void execute_refused(const struct execution *e, enum wire_status refusal)
{
	if (refusal == WIRE_NOT_OWNER) {
		request_reply_not_owner(e->core, e->request, e->op->opcode,
					e->core->batch.keys.keys[e->i].partition);
	} else if (refusal == WIRE_RETRY) {
		e->request->writes_open -= opcode_writes(e->op->opcode);
		request_reply_retry(e->core, e->request, e->op->opcode);
	} else {
		reply(e, refusal, 0);
	}
}

void request_execute(struct core *core, struct request *request, uint32_t i)
{
	const struct request_op *op = &core->batch.ops[i];
	const struct execution e = { core, request, &op->wire, i };

	request->reserved -= opcode_reply_size(op->wire.opcode);
	if (unlikely(op->refusal != WIRE_OK)) {
		execute_refused(&e, (enum wire_status)op->refusal);
		return;
	}
	core_count_op(&core->counters, op->wire.opcode);
	switch ((enum wire_opcode)op->wire.opcode) {
	case WIRE_GET:
		execute_get(&e);
		break;
	case WIRE_SET:
		execute_set(&e);
		break;
	case WIRE_DELETE:
		execute_delete(&e);
		break;
	case WIRE_ADD:
		execute_add(&e);
		break;
	case WIRE_REPLACE:
		execute_replace(&e);
		break;
	case WIRE_CAS:
		execute_cas(&e);
		break;
	case WIRE_INCREMENT:
		execute_increment(&e);
		break;
	case WIRE_APPEND:
		execute_append(&e);
		break;
	case WIRE_TOUCH:
		execute_touch(&e);
		break;
	case WIRE_GET_AND_TOUCH:
		execute_get_and_touch(&e);
		break;
	case WIRE_EXISTS:
		execute_exists(&e);
		break;
	case WIRE_TTL:
		execute_ttl(&e);
		break;
	case WIRE_OPCODE_COUNT:
		break;
	}
}
