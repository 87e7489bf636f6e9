/* SPDX-License-Identifier: BSD-3-Clause */
/* The blocking calls: each submits, waits, and hands out what came. */
#include <string.h>

#include "dataplane/client/client.h"

/* So many operations of a batch are pending at once: enough to fill every flight, few enough that
 * none waits its time-out away behind the others.
 */
#define BATCH_PENDING_MAX 8192u

/* A batch of the caller's making: writes operation number 'i' of 'source'. */
typedef void describe_operation(const void *source, size_t i, struct godwit_operation *operation);

static void wait_for_one(struct godwit *client)
{
	size_t before = client->blocked;

	client_flush(client);
	while (client->blocked && client->blocked == before)
		client_wait(client, CLIENT_FOREVER);
}

/* GODWIT_BUSY, when asynchronous operations fill the handle, passes as soon as some of them are
 * resolved.
 */
static enum godwit_status submit_when_possible(struct godwit *client,
					       const struct godwit_operation *operation,
					       struct godwit_result *result)
{
	enum godwit_status status;

	while ((status = client_submit(client, operation, NULL, result)) == GODWIT_BUSY) {
		client_flush(client);
		client_wait(client, CLIENT_FOREVER);
	}
	return status;
}

static size_t run(struct godwit *client, describe_operation *describe, const void *source,
		  size_t count, struct godwit_result *results)
{
	size_t ok_count = 0;

	if (client->is_in_callback) {
		for (size_t i = 0; i < count; i++)
			results[i] = (struct godwit_result){ .status = GODWIT_INVALID_ARGUMENT };
		return 0;
	}
	client_values_free(client);
	client_now_us(client);
	for (size_t i = 0; i < count; i++) {
		struct godwit_operation operation = { 0 };
		enum godwit_status status;

		while (client->blocked >= BATCH_PENDING_MAX)
			wait_for_one(client);
		describe(source, i, &operation);
		status = submit_when_possible(client, &operation, &results[i]);
		if (status != GODWIT_OK)
			results[i] = (struct godwit_result){ .status = status };
	}
	while (client->blocked)
		wait_for_one(client);
	for (size_t i = 0; i < count; i++)
		ok_count += results[i].status == GODWIT_OK;
	return ok_count;
}

/* ---- batches ---- */

static void describe_given(const void *source, size_t i, struct godwit_operation *operation)
{
	*operation = ((const struct godwit_operation *)source)[i];
}

size_t godwit_execute(struct godwit *client, const struct godwit_operation *operations,
		      size_t count, struct godwit_result *results)
{
	return run(client, describe_given, operations, count, results);
}

static void describe_get(const void *source, size_t i, struct godwit_operation *operation)
{
	const struct godwit_key *key = (const struct godwit_key *)source + i;

	operation->opcode = GODWIT_OP_GET;
	operation->key = key->key;
	operation->key_size = key->key_size;
}

size_t godwit_get_many(struct godwit *client, const struct godwit_key *keys, size_t count,
		       struct godwit_result *results)
{
	return run(client, describe_get, keys, count, results);
}

struct pairs {
	const struct godwit_pair *pairs;
	uint32_t ttl_ms;
};

static void describe_set(const void *source, size_t i, struct godwit_operation *operation)
{
	const struct pairs *pairs = source;
	const struct godwit_pair *pair = &pairs->pairs[i];

	operation->opcode = GODWIT_OP_SET;
	operation->key = pair->key;
	operation->key_size = pair->key_size;
	operation->value = pair->value;
	operation->value_size = pair->value_size;
	operation->ttl_ms = pairs->ttl_ms;
}

size_t godwit_set_many(struct godwit *client, const struct godwit_pair *pairs, size_t count,
		       uint32_t ttl_ms, struct godwit_result *results)
{
	struct pairs source = { pairs, ttl_ms };

	return run(client, describe_set, &source, count, results);
}

/* ---- single operations ---- */

static enum godwit_status run_one(struct godwit *client, const struct godwit_operation *operation,
				  struct godwit_result *result)
{
	struct godwit_result unwanted;

	if (!result)
		result = &unwanted;
	run(client, describe_given, operation, 1, result);
	return result->status;
}

static struct godwit_operation on_key(enum godwit_opcode opcode, const void *key, size_t key_size)
{
	return (struct godwit_operation){ .opcode = opcode, .key = key, .key_size = key_size };
}

static enum godwit_status store(struct godwit *client, struct godwit_operation operation,
				const void *value, size_t value_size, uint32_t ttl_ms,
				struct godwit_result *result)
{
	operation.value = value;
	operation.value_size = value_size;
	operation.ttl_ms = ttl_ms;
	return run_one(client, &operation, result);
}

enum godwit_status godwit_get(struct godwit *client, const void *key, size_t key_size,
			      struct godwit_result *result)
{
	struct godwit_operation operation = on_key(GODWIT_OP_GET, key, key_size);

	return run_one(client, &operation, result);
}

enum godwit_status godwit_get_into(struct godwit *client, const void *key, size_t key_size,
				   void *buffer, size_t buffer_size, struct godwit_result *result)
{
	struct godwit_result unwanted;

	if (!result)
		result = &unwanted;
	if (godwit_get(client, key, key_size, result) != GODWIT_OK)
		return result->status;
	if (result->value_size > buffer_size) {
		result->value = NULL;
		return result->status = GODWIT_BUFFER_TOO_SMALL;
	}
	if (result->value_size)
		memcpy(buffer, result->value, result->value_size);
	result->value = buffer;
	return GODWIT_OK;
}

enum godwit_status godwit_set(struct godwit *client, const void *key, size_t key_size,
			      const void *value, size_t value_size, uint32_t ttl_ms,
			      struct godwit_result *result)
{
	return store(client, on_key(GODWIT_OP_SET, key, key_size), value, value_size, ttl_ms,
		     result);
}

enum godwit_status godwit_add(struct godwit *client, const void *key, size_t key_size,
			      const void *value, size_t value_size, uint32_t ttl_ms,
			      struct godwit_result *result)
{
	return store(client, on_key(GODWIT_OP_ADD, key, key_size), value, value_size, ttl_ms,
		     result);
}

enum godwit_status godwit_replace(struct godwit *client, const void *key, size_t key_size,
				  const void *value, size_t value_size, uint32_t ttl_ms,
				  struct godwit_result *result)
{
	return store(client, on_key(GODWIT_OP_REPLACE, key, key_size), value, value_size, ttl_ms,
		     result);
}

enum godwit_status godwit_cas(struct godwit *client, const void *key, size_t key_size,
			      uint64_t version, const void *value, size_t value_size,
			      uint32_t ttl_ms, struct godwit_result *result)
{
	struct godwit_operation operation = on_key(GODWIT_OP_CAS, key, key_size);

	operation.version = version;
	return store(client, operation, value, value_size, ttl_ms, result);
}

enum godwit_status godwit_delete(struct godwit *client, const void *key, size_t key_size,
				 uint64_t version, struct godwit_result *result)
{
	struct godwit_operation operation = on_key(GODWIT_OP_DELETE, key, key_size);

	operation.version = version;
	return run_one(client, &operation, result);
}

enum godwit_status godwit_increment(struct godwit *client, const void *key, size_t key_size,
				    int64_t delta, struct godwit_result *result)
{
	struct godwit_operation operation = on_key(GODWIT_OP_INCREMENT, key, key_size);

	operation.delta = delta;
	return run_one(client, &operation, result);
}

enum godwit_status godwit_increment_initial(struct godwit *client, const void *key, size_t key_size,
					    int64_t delta, int64_t initial, uint32_t ttl_ms,
					    struct godwit_result *result)
{
	struct godwit_operation operation = on_key(GODWIT_OP_INCREMENT, key, key_size);

	operation.delta = delta;
	operation.has_initial = true;
	operation.initial = initial;
	operation.ttl_ms = ttl_ms;
	return run_one(client, &operation, result);
}

enum godwit_status godwit_append(struct godwit *client, const void *key, size_t key_size,
				 const void *value, size_t value_size, struct godwit_result *result)
{
	return store(client, on_key(GODWIT_OP_APPEND, key, key_size), value, value_size,
		     GODWIT_NO_TTL, result);
}

enum godwit_status godwit_touch(struct godwit *client, const void *key, size_t key_size,
				uint32_t ttl_ms, struct godwit_result *result)
{
	return store(client, on_key(GODWIT_OP_TOUCH, key, key_size), NULL, 0, ttl_ms, result);
}

enum godwit_status godwit_get_and_touch(struct godwit *client, const void *key, size_t key_size,
					uint32_t ttl_ms, struct godwit_result *result)
{
	return store(client, on_key(GODWIT_OP_GET_AND_TOUCH, key, key_size), NULL, 0, ttl_ms,
		     result);
}

enum godwit_status godwit_exists(struct godwit *client, const void *key, size_t key_size,
				 struct godwit_result *result)
{
	struct godwit_operation operation = on_key(GODWIT_OP_EXISTS, key, key_size);

	return run_one(client, &operation, result);
}

enum godwit_status godwit_ttl(struct godwit *client, const void *key, size_t key_size,
			      struct godwit_result *result)
{
	struct godwit_operation operation = on_key(GODWIT_OP_TTL, key, key_size);

	return run_one(client, &operation, result);
}
