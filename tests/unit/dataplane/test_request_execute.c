/* SPDX-License-Identifier: BSD-3-Clause */
/* What each operation does and answers: every opcode and status, sizes, a full node, and random batches against a model. */
#include <stdio.h>
#include <string.h>

#include "dataplane/decimal.h"
#include "dataplane/request_execute.h"
#include "tests/unit/dataplane/story.h"

/* ---- opcodes ---- */

static void set_then_get_then_delete(void)
{
	struct story story;
	struct wire_reply_op set, got;

	story_begin(&story);
	CHECK_STATUS(simple(&story, WIRE_GET, "k", NULL), WIRE_NOT_FOUND);
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "get_misses"), 1);
	set = simple(&story, WIRE_SET, "k", "first");
	CHECK_STATUS(set, WIRE_OK);
	CU_ASSERT_EQUAL(set.value_size, 0);
	got = simple(&story, WIRE_GET, "k", NULL);
	check_value(got, "first");
	CU_ASSERT_EQUAL(got.version, set.version);
	set = simple(&story, WIRE_SET, "k", "");
	CU_ASSERT_TRUE(set.version > got.version);
	check_value(simple(&story, WIRE_GET, "k", NULL), "");
	got = simple(&story, WIRE_DELETE, "k", NULL);
	CHECK_STATUS(got, WIRE_OK);
	CU_ASSERT_TRUE(got.version > set.version);
	CHECK_STATUS(simple(&story, WIRE_DELETE, "k", NULL), WIRE_NOT_FOUND);
	CHECK_STATUS(simple(&story, WIRE_GET, "k", NULL), WIRE_NOT_FOUND);
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "op_get"), 4);
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "op_set"), 2);
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "op_delete"), 2);
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "status_not_found"), 3);
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "requests"), 8);
	story_end(&story);
}

static void add_replace_and_exists(void)
{
	struct story story;
	struct wire_reply_op added, again;

	story_begin(&story);
	CHECK_STATUS(simple(&story, WIRE_REPLACE, "k", "v"), WIRE_NOT_FOUND);
	CHECK_STATUS(simple(&story, WIRE_EXISTS, "k", NULL), WIRE_NOT_FOUND);
	added = simple(&story, WIRE_ADD, "k", "added");
	CHECK_STATUS(added, WIRE_OK);
	again = simple(&story, WIRE_ADD, "k", "again");
	CHECK_STATUS(again, WIRE_EXISTS_ALREADY);
	CU_ASSERT_EQUAL(again.version, added.version);
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "status_exists"), 1);
	again = simple(&story, WIRE_EXISTS, "k", NULL);
	CHECK_STATUS(again, WIRE_OK);
	CU_ASSERT_EQUAL(again.version, added.version);
	CU_ASSERT_EQUAL(again.value_size, 0);
	CHECK_STATUS(simple(&story, WIRE_REPLACE, "k", "replaced"), WIRE_OK);
	check_value(simple(&story, WIRE_GET, "k", NULL), "replaced");
	story_end(&story);
}

static void cas_and_delete_compare_versions(void)
{
	struct story story;
	struct wire_reply_op set, reply;

	story_begin(&story);
	CHECK_STATUS(with_version(&story, WIRE_CAS, "k", "v", 1), WIRE_NOT_FOUND);
	set = simple(&story, WIRE_SET, "k", "one");
	reply = with_version(&story, WIRE_CAS, "k", "two", set.version + 1);
	CHECK_STATUS(reply, WIRE_VERSION_MISMATCH);
	CU_ASSERT_EQUAL(reply.version, set.version);
	reply = with_version(&story, WIRE_CAS, "k", "two", set.version);
	CHECK_STATUS(reply, WIRE_OK);
	CU_ASSERT_TRUE(reply.version > set.version);
	check_value(simple(&story, WIRE_GET, "k", NULL), "two");
	CHECK_STATUS(with_version(&story, WIRE_DELETE, "k", NULL, set.version),
		     WIRE_VERSION_MISMATCH);
	CHECK_STATUS(with_version(&story, WIRE_DELETE, "k", NULL, reply.version), WIRE_OK);
	CHECK_STATUS(simple(&story, WIRE_GET, "k", NULL), WIRE_NOT_FOUND);
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "status_version_mismatch"), 2);
	story_end(&story);
}

static void increment_counts_in_decimal_text(void)
{
	struct story story;

	story_begin(&story);
	CHECK_STATUS(increment(&story, "n", 1), WIRE_NOT_FOUND);
	check_number(increment_or(&story, "n", 1, 41, 0), 41);
	check_number(increment_or(&story, "n", 1, 0, 0), 42);
	check_value(simple(&story, WIRE_GET, "n", NULL), "42");
	check_number(increment(&story, "n", -142), -100);
	check_value(simple(&story, WIRE_GET, "n", NULL), "-100");
	simple(&story, WIRE_SET, "n", "9223372036854775807");
	CHECK_STATUS(increment(&story, "n", 1), WIRE_NOT_A_NUMBER);
	check_value(simple(&story, WIRE_GET, "n", NULL), "9223372036854775807");
	check_number(increment(&story, "n", INT64_MIN), -1);
	simple(&story, WIRE_SET, "n", "twelve");
	CHECK_STATUS(increment(&story, "n", 1), WIRE_NOT_A_NUMBER);
	simple(&story, WIRE_SET, "n", "");
	CHECK_STATUS(increment(&story, "n", 1), WIRE_NOT_A_NUMBER);
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "status_not_a_number"), 3);
	story_end(&story);
}

static void decimal_text_is_exact(void)
{
	static const struct {
		const char *text;
		bool is_number;
		int64_t number;
	} cases[] = {
		{ "0", true, 0 },
		{ "-0", true, 0 },
		{ "007", true, 7 },
		{ "-9223372036854775808", true, INT64_MIN },
		{ "9223372036854775807", true, INT64_MAX },
		{ "9223372036854775808", false, 0 },
		{ "-9223372036854775809", false, 0 },
		{ "", false, 0 },
		{ "-", false, 0 },
		{ "+1", false, 0 },
		{ " 1", false, 0 },
		{ "1 ", false, 0 },
		{ "1x", false, 0 },
		{ "000000000000000000001", false, 0 },
	};
	uint8_t text[DECIMAL_SIZE_MAX];
	int64_t number;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CU_ASSERT_EQUAL(decimal_read((const uint8_t *)cases[i].text,
					     (uint32_t)strlen(cases[i].text), &number),
				cases[i].is_number);
		if (cases[i].is_number)
			CU_ASSERT_EQUAL(number, cases[i].number);
	}
	CU_ASSERT_EQUAL(decimal_write(text, INT64_MIN), 20);
	CU_ASSERT_EQUAL(memcmp(text, "-9223372036854775808", 20), 0);
	CU_ASSERT_EQUAL(decimal_write(text, 0), 1);
	CU_ASSERT_EQUAL(text[0], '0');
}

static void append_grows_a_value(void)
{
	struct story story;
	char half[801];

	story_begin(&story);
	memset(half, 'h', sizeof(half) - 1);
	half[sizeof(half) - 1] = '\0';
	CHECK_STATUS(simple(&story, WIRE_APPEND, "k", "tail"), WIRE_NOT_FOUND);
	simple(&story, WIRE_SET, "k", "head");
	CHECK_STATUS(simple(&story, WIRE_APPEND, "k", "+tail"), WIRE_OK);
	check_value(simple(&story, WIRE_GET, "k", NULL), "head+tail");
	simple(&story, WIRE_SET, "k", half);
	CHECK_STATUS(simple(&story, WIRE_APPEND, "k", half), WIRE_TOO_LARGE);
	check_value(simple(&story, WIRE_GET, "k", NULL), half);
	story_end(&story);
}

static void expiry_holds_to_the_millisecond(void)
{
	struct story story;

	story_begin(&story);
	CHECK_STATUS(simple(&story, WIRE_TTL, "k", NULL), WIRE_NOT_FOUND);
	with_ttl(&story, WIRE_SET, "k", "v", 100);
	check_number(simple(&story, WIRE_TTL, "k", NULL), 100);
	unit_node_advance(&story.node, 99);
	check_number(simple(&story, WIRE_TTL, "k", NULL), 1);
	check_value(simple(&story, WIRE_GET, "k", NULL), "v");
	unit_node_advance(&story.node, 1);
	CHECK_STATUS(simple(&story, WIRE_GET, "k", NULL), WIRE_NOT_FOUND);
	CHECK_STATUS(simple(&story, WIRE_EXISTS, "k", NULL), WIRE_NOT_FOUND);
	CHECK_STATUS(simple(&story, WIRE_DELETE, "k", NULL), WIRE_NOT_FOUND);
	CHECK_STATUS(simple(&story, WIRE_APPEND, "k", "x"), WIRE_NOT_FOUND);
	CHECK_STATUS(simple(&story, WIRE_REPLACE, "k", "x"), WIRE_NOT_FOUND);
	CHECK_STATUS(with_ttl(&story, WIRE_TOUCH, "k", NULL, 5), WIRE_NOT_FOUND);
	CHECK_STATUS(simple(&story, WIRE_ADD, "k", "reborn"), WIRE_OK);
	check_number(simple(&story, WIRE_TTL, "k", NULL), (int64_t)WIRE_TTL_NEVER);
	unit_node_advance(&story.node, 1000000);
	check_value(simple(&story, WIRE_GET, "k", NULL), "reborn");
	story_end(&story);
}

static void touch_moves_the_expiry_and_others_keep_it(void)
{
	struct story story;
	struct wire_reply_op before, after;

	story_begin(&story);
	CHECK_STATUS(with_ttl(&story, WIRE_GET_AND_TOUCH, "k", NULL, 50), WIRE_NOT_FOUND);
	before = with_ttl(&story, WIRE_SET, "k", "5", 100);
	after = with_ttl(&story, WIRE_TOUCH, "k", NULL, 1000);
	CHECK_STATUS(after, WIRE_OK);
	CU_ASSERT_TRUE(after.version > before.version);
	check_number(simple(&story, WIRE_TTL, "k", NULL), 1000);
	check_number(increment(&story, "k", 2), 7);
	simple(&story, WIRE_APPEND, "k", "7");
	check_number(simple(&story, WIRE_TTL, "k", NULL), 1000);
	after = with_ttl(&story, WIRE_GET_AND_TOUCH, "k", NULL, 0);
	check_value(after, "77");
	CU_ASSERT_EQUAL(simple(&story, WIRE_EXISTS, "k", NULL).version, after.version);
	check_number(simple(&story, WIRE_TTL, "k", NULL), (int64_t)WIRE_TTL_NEVER);
	check_number(increment_or(&story, "n", 1, 5, 30), 5);
	check_number(increment_or(&story, "n", 1, 5, 3000), 6);
	check_number(simple(&story, WIRE_TTL, "n", NULL), 30);
	simple(&story, WIRE_SET, "n", "forever");
	check_number(simple(&story, WIRE_TTL, "n", NULL), (int64_t)WIRE_TTL_NEVER);
	story_end(&story);
}

/* ---- sizes ---- */

static void keys_and_values_of_every_size_come_back(void)
{
	struct story story;
	uint32_t value_size_max;
	uint64_t random = 3;
	char value[2048];
	char key[256];

	story_begin(&story);
	value_size_max = story.node.shared->value_size_max;
	for (uint32_t key_size = 1; key_size <= WIRE_KEY_SIZE_MAX; key_size++) {
		uint32_t size_max =
			UNIT_NODE_DATAGRAM_MAX - WIRE_HEADER_SIZE - WIRE_REQUEST_OP_SIZE - key_size;
		uint32_t value_size = (uint32_t)unit_random(&random) %
				      (1 + (size_max < value_size_max ? size_max : value_size_max));

		memset(key, 'a' + (int)(key_size % 26), key_size);
		key[key_size] = '\0';
		memset(value, 'A' + (int)(key_size % 26), value_size);
		value[value_size] = '\0';
		CHECK_STATUS(simple(&story, WIRE_SET, key, value), WIRE_OK);
		check_value(simple(&story, WIRE_GET, key, NULL), value);
	}
	memset(value, 'V', value_size_max + 1);
	value[value_size_max + 1] = '\0';
	CHECK_STATUS(simple(&story, WIRE_SET, "k", value), WIRE_TOO_LARGE);
	CHECK_STATUS(simple(&story, WIRE_ADD, "k", value), WIRE_TOO_LARGE);
	value[value_size_max] = '\0';
	CHECK_STATUS(simple(&story, WIRE_SET, "k", value), WIRE_OK);
	check_value(simple(&story, WIRE_GET, "k", NULL), value);
	CU_ASSERT_EQUAL(story.payload_size, UNIT_NODE_DATAGRAM_MAX);
	story_end(&story);
}

static void a_value_that_finds_no_room_is_too_large(void)
{
	struct story story;
	struct wire_request_op op = unit_operation(WIRE_GET, "big", NULL);
	struct unit_datagram datagram;
	struct wire_reply_op set;
	char value[721];

	story_begin(&story);
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	set = simple(&story, WIRE_SET, "big", value);
	simple(&story, WIRE_SET, "small", "s");
	unit_request_begin(&datagram, &story.client);
	unit_request_add(&datagram, &op);
	unit_request_add(&datagram, &op);
	unit_request_add(&datagram, &op);
	op = unit_operation(WIRE_GET, "small", NULL);
	unit_request_add(&datagram, &op);
	CU_ASSERT_TRUE_FATAL(ask(&story, &datagram));
	CU_ASSERT_EQUAL_FATAL(story.reply_count, 4);
	check_value(story.replies[0], value);
	CHECK_STATUS(story.replies[1], WIRE_TOO_LARGE);
	CU_ASSERT_EQUAL(story.replies[1].version, set.version);
	CU_ASSERT_EQUAL(story.replies[1].value_size, 0);
	CHECK_STATUS(story.replies[2], WIRE_TOO_LARGE);
	check_value(story.replies[3], "s");
	/* neither value nor touch */
	unit_request_begin(&datagram, &story.client);
	op = unit_operation(WIRE_GET, "big", NULL);
	unit_request_add(&datagram, &op);
	op = unit_operation(WIRE_GET_AND_TOUCH, "big", NULL);
	op.flags = WIRE_HAS_TTL;
	op.ttl_ms = 9;
	unit_request_add(&datagram, &op);
	CU_ASSERT_TRUE_FATAL(ask(&story, &datagram));
	CHECK_STATUS(story.replies[1], WIRE_TOO_LARGE);
	check_number(simple(&story, WIRE_TTL, "big", NULL), (int64_t)WIRE_TTL_NEVER);
	story_end(&story);
}

/* ---- memory ---- */

static void a_full_node_says_so_and_lives(void)
{
	struct story story;
	char value[1001];
	char key[16];
	uint32_t stored = 0;

	story_begin_sized(&story, 1u << 20);
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	for (;;) {
		struct wire_reply_op reply = { 0 };

		snprintf(key, sizeof(key), "key%u", stored);
		reply = simple(&story, WIRE_SET, key, value);
		if (reply.status == WIRE_NO_SPACE)
			break;
		CHECK_STATUS(reply, WIRE_OK);
		stored++;
		CU_ASSERT_TRUE_FATAL(stored < 100000);
	}
	CU_ASSERT_TRUE(stored > 100);
	CHECK_STATUS(simple(&story, WIRE_APPEND, "key0", value + 900), WIRE_NO_SPACE);
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "status_no_space"), 2);
	for (uint32_t i = 0; i < stored; i++) {
		snprintf(key, sizeof(key), "key%u", i);
		check_value(simple(&story, WIRE_GET, key, NULL), value);
	}
	for (uint32_t i = 0; i < 20; i++) {
		snprintf(key, sizeof(key), "key%u", i);
		CHECK_STATUS(simple(&story, WIRE_DELETE, key, NULL), WIRE_OK);
	}
	unit_node_settle(&story.node);
	CHECK_STATUS(simple(&story, WIRE_SET, "after", value), WIRE_OK);
	check_value(simple(&story, WIRE_GET, "after", NULL), value);
	story_end(&story);
}

/* A write put off was not done and not remembered: the same datagram is executed when it comes again. */
static void a_growing_index_puts_writes_off(void)
{
	struct story story;
	struct unit_datagram datagram;
	struct wire_request_op op;
	struct wire_reply_op reply = { 0 };
	char key[16];
	uint32_t stored = 0;

	story_begin(&story);
	simple(&story, WIRE_SET, "old", "item");
	do {
		snprintf(key, sizeof(key), "key%u", stored++);
		op = unit_operation(WIRE_ADD, key, "v");
		unit_request_begin(&datagram, &story.client);
		unit_request_add(&datagram, &op);
		CU_ASSERT_TRUE_FATAL(ask(&story, &datagram));
		reply = story.replies[0];
	} while (reply.status == WIRE_OK && stored < 200000);
	CHECK_STATUS(reply, WIRE_RETRY);
	CU_ASSERT_EQUAL_FATAL(reply.value_size, 4);
	CU_ASSERT_TRUE(wire_get_u32(reply.value) >= 100 && wire_get_u32(reply.value) < 1000000);
	CHECK_STATUS(simple(&story, WIRE_SET, "old", "new"), WIRE_OK);
	CHECK_STATUS(simple(&story, WIRE_EXISTS, key, NULL), WIRE_NOT_FOUND);
	unit_node_settle(&story.node);
	CU_ASSERT_TRUE_FATAL(ask(&story, &datagram));
	CHECK_STATUS(story.replies[0], WIRE_OK);
	CU_ASSERT_TRUE_FATAL(ask(&story, &datagram));
	CHECK_STATUS(story.replies[0], WIRE_OK); /* the copy's reply, not EXISTS */
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "requests_repeated"), 1);
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "status_retry"), 1);
	story_end(&story);
}

/* ---- against a model ---- */

#define MODEL_KEYS 24u
#define MODEL_VALUE_MAX 64u

struct model_item {
	bool exists;
	uint32_t size;
	uint8_t value[MODEL_VALUE_MAX];
	uint64_t version;
};

/* What the operation should be answered and do. */
static uint8_t model_apply(struct model_item *item, const struct wire_request_op *op)
{
	switch (op->opcode) {
	case WIRE_SET:
		break;
	case WIRE_ADD:
		if (item->exists)
			return WIRE_EXISTS_ALREADY;
		break;
	case WIRE_REPLACE:
		if (!item->exists)
			return WIRE_NOT_FOUND;
		break;
	case WIRE_CAS:
		if (!item->exists)
			return WIRE_NOT_FOUND;
		if (item->version != op->version)
			return WIRE_VERSION_MISMATCH;
		break;
	default: /* GET, EXISTS, DELETE */
		if (!item->exists)
			return WIRE_NOT_FOUND;
		item->exists = op->opcode != WIRE_DELETE;
		return WIRE_OK;
	}
	item->exists = true;
	item->size = op->value_size;
	memcpy(item->value, op->value, op->value_size);
	return WIRE_OK;
}

static void check_against_model(struct model_item *item, const struct wire_request_op *op,
				const struct wire_reply_op *reply)
{
	uint8_t status = model_apply(item, op);

	CU_ASSERT_EQUAL_FATAL(reply->status, status);
	if (status != WIRE_OK)
		return;
	if (op->opcode == WIRE_GET) {
		CU_ASSERT_EQUAL_FATAL(reply->value_size, item->size);
		CU_ASSERT_EQUAL_FATAL(memcmp(reply->value, item->value, item->size), 0);
		CU_ASSERT_EQUAL_FATAL(reply->version, item->version);
	} else if (op->opcode != WIRE_EXISTS) {
		item->version = reply->version;
	}
}

static void random_batches_agree_with_a_model(void)
{
	static const uint8_t opcodes[] = { WIRE_GET,     WIRE_GET, WIRE_SET,    WIRE_ADD,
					   WIRE_REPLACE, WIRE_CAS, WIRE_DELETE, WIRE_EXISTS };
	struct model_item model[MODEL_KEYS] = { 0 };
	char keys[MODEL_KEYS][8];
	struct story story;
	uint64_t random = 11;

	story_begin(&story);
	for (uint32_t i = 0; i < MODEL_KEYS; i++)
		snprintf(keys[i], sizeof(keys[i]), "k%u", i);
	for (uint32_t round = 0; round < 3000; round++) {
		uint32_t op_count = 1 + (uint32_t)unit_random(&random) % (round % 7 == 0 ? 50 : 12);
		struct wire_request_op ops[50];
		uint8_t values[50][MODEL_VALUE_MAX];
		uint32_t key_of[50];
		struct unit_datagram datagram;
		uint32_t added = 0;

		unit_request_begin(&datagram, &story.client);
		for (uint32_t i = 0; i < op_count; i++) {
			struct wire_request_op *op = &ops[i];

			key_of[i] = (uint32_t)unit_random(&random) % MODEL_KEYS;
			*op = unit_operation(opcodes[unit_random(&random) % sizeof(opcodes)],
					     keys[key_of[i]], NULL);
			if (op->opcode == WIRE_CAS) {
				op->flags = WIRE_HAS_VERSION;
				op->version = model[key_of[i]].version;
			}
			if (op->opcode >= WIRE_SET && op->opcode <= WIRE_CAS &&
			    op->opcode != WIRE_DELETE) {
				op->value_size = (uint32_t)unit_random(&random) % 24;
				memset(values[i], (int)unit_random(&random), MODEL_VALUE_MAX);
				op->value = values[i];
			}
			if (datagram.size + wire_request_op_size(op) > UNIT_NODE_DATAGRAM_MAX)
				break;
			unit_request_add(&datagram, op);
			added++;
		}
		CU_ASSERT_TRUE_FATAL(ask(&story, &datagram));
		CU_ASSERT_EQUAL_FATAL(story.reply_count, added);
		for (uint32_t i = 0; i < added; i++) {
			if (story.replies[i].status == WIRE_TOO_LARGE && ops[i].opcode == WIRE_GET)
				continue; /* no room in the reply */
			check_against_model(&model[key_of[i]], &ops[i], &story.replies[i]);
		}
		if (round % 64 == 0)
			unit_node_settle(&story.node);
	}
	story_end(&story);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(set_then_get_then_delete),
		UNIT_TEST(add_replace_and_exists),
		UNIT_TEST(cas_and_delete_compare_versions),
		UNIT_TEST(increment_counts_in_decimal_text),
		UNIT_TEST(decimal_text_is_exact),
		UNIT_TEST(append_grows_a_value),
		UNIT_TEST(expiry_holds_to_the_millisecond),
		UNIT_TEST(touch_moves_the_expiry_and_others_keep_it),
		UNIT_TEST(keys_and_values_of_every_size_come_back),
		UNIT_TEST(a_value_that_finds_no_room_is_too_large),
		UNIT_TEST(a_full_node_says_so_and_lives),
		UNIT_TEST(a_growing_index_puts_writes_off),
		UNIT_TEST(random_batches_agree_with_a_model),
		{ NULL, NULL },
	};

	unit_eal_init();
	return unit_run("request_execute", tests);
}
