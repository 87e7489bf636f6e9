/* SPDX-License-Identifier: BSD-3-Clause */
/* Results of item commands as text, JSON and bytes. */
#include "controlplane/ctl/item_view.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

static char *printed;   /* what went to ctl->out */
static char *complaint; /* and to ctl->err */
static size_t printed_size;

static enum ctl_exit view(enum ctl_output output, enum godwit_opcode opcode,
			  struct godwit_result result, bool is_raw)
{
	struct godwit_operation operation = { .opcode = opcode, .key = "key", .key_size = 3 };
	struct ctl ctl = { .output = output };
	enum ctl_exit code;
	size_t size;

	free(printed);
	free(complaint);
	ctl.out = open_memstream(&printed, &printed_size);
	ctl.err = open_memstream(&complaint, &size);
	code = item_view_result(&ctl, &operation, &result, is_raw);
	fclose(ctl.out);
	fclose(ctl.err);
	return code;
}

static struct godwit_result value_of(const char *bytes, size_t size)
{
	return (struct godwit_result){ .value = bytes, .value_size = size, .version = 9 };
}

static void values_are_safe_for_terminals_unless_raw(void)
{
	CU_ASSERT_EQUAL(
		view(CTL_OUTPUT_TABLE, GODWIT_OP_GET, value_of("a\x1b[2J\n\tb\0", 9), false),
		CTL_OK);
	CU_ASSERT_STRING_EQUAL(printed, "a\\x1b[2J\n\tb\\x00\n");
	view(CTL_OUTPUT_TABLE, GODWIT_OP_GET, value_of("h\xc3\xb6ren", 6), false);
	CU_ASSERT_STRING_EQUAL(printed, "h\xc3\xb6ren\n");
	view(CTL_OUTPUT_TABLE, GODWIT_OP_GET,
	     value_of("\xc2\x9b"
		      "2J \xc2\xa0",
		      7),
	     false);
	CU_ASSERT_STRING_EQUAL(printed, "\\xc2\\x9b"
					"2J \xc2\xa0\n");
	view(CTL_OUTPUT_TABLE, GODWIT_OP_GET, value_of("\xff\x41", 2), false);
	CU_ASSERT_STRING_EQUAL(printed, "\\xffA\n");
	view(CTL_OUTPUT_TABLE, GODWIT_OP_GET, value_of("a\0\xff\n", 4), true);
	CU_ASSERT_EQUAL(printed_size, 4);
	CU_ASSERT_EQUAL(memcmp(printed, "a\0\xff\n", 4), 0);
	view(CTL_OUTPUT_TABLE, GODWIT_OP_GET, value_of("", 0), true);
	CU_ASSERT_EQUAL(printed_size, 0);
}

static void each_command_prints_what_it_is_asked_for(void)
{
	struct godwit_result result = { .version = 5, .number = -3, .ttl_ms = 70 };

	view(CTL_OUTPUT_TABLE, GODWIT_OP_SET, result, false);
	CU_ASSERT_STRING_EQUAL(printed, "version 5\n");
	view(CTL_OUTPUT_TABLE, GODWIT_OP_DELETE, result, false);
	CU_ASSERT_STRING_EQUAL(printed, "deleted\n");
	view(CTL_OUTPUT_TABLE, GODWIT_OP_INCREMENT, result, false);
	CU_ASSERT_STRING_EQUAL(printed, "-3\n");
	view(CTL_OUTPUT_TABLE, GODWIT_OP_TTL, result, false);
	CU_ASSERT_STRING_EQUAL(printed, "70ms\n");
	result.ttl_ms = GODWIT_TTL_NEVER;
	view(CTL_OUTPUT_TABLE, GODWIT_OP_TTL, result, false);
	CU_ASSERT_STRING_EQUAL(printed, "never expires\n");
}

static json_t *view_json(enum godwit_opcode opcode, struct godwit_result result)
{
	json_t *json;

	view(CTL_OUTPUT_JSON, opcode, result, false);
	json = json_loads(printed, JSON_ALLOW_NUL, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(json);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(json, "key")), "key");
	return json;
}

static void json_holds_any_bytes(void)
{
	json_t *json = view_json(GODWIT_OP_GET, value_of("a\"\0\n", 4));
	json_t *value = json_object_get(json, "value");

	CU_ASSERT_EQUAL(json_string_length(value), 4);
	CU_ASSERT_EQUAL(memcmp(json_string_value(value), "a\"\0\n", 4), 0);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(json, "version")), 9);
	json_decref(json);
	json = view_json(GODWIT_OP_GET, value_of("\xff\x01z", 3));
	CU_ASSERT_PTR_NULL(json_object_get(json, "value"));
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(json, "value_hex")), "ff017a");
	json_decref(json);
}

static void json_holds_numbers_and_times(void)
{
	struct godwit_result result = { .version = 5,
					.number = INT64_MIN,
					.ttl_ms = GODWIT_TTL_NEVER };
	json_t *json = view_json(GODWIT_OP_INCREMENT, result);

	CU_ASSERT_EQUAL(json_integer_value(json_object_get(json, "number")), INT64_MIN);
	CU_ASSERT_PTR_NULL(json_object_get(json, "ttl_ms"));
	json_decref(json);
	json = view_json(GODWIT_OP_TTL, result);
	CU_ASSERT_TRUE(json_is_null(json_object_get(json, "ttl_ms")));
	json_decref(json);
	result.ttl_ms = 12;
	json = view_json(GODWIT_OP_TTL, result);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(json, "ttl_ms")), 12);
	json_decref(json);
}

static void failures_go_to_the_error_stream(void)
{
	struct godwit_result result = { .status = GODWIT_NOT_FOUND };
	json_t *json;

	CU_ASSERT_EQUAL(view(CTL_OUTPUT_TABLE, GODWIT_OP_GET, result, false), CTL_NO);
	CU_ASSERT_STRING_EQUAL(printed, "");
	CU_ASSERT_STRING_EQUAL(complaint, "godwitctl: key: not found\n");
	result = (struct godwit_result){ .status = GODWIT_VERSION_MISMATCH, .version = 8 };
	CU_ASSERT_EQUAL(view(CTL_OUTPUT_TABLE, GODWIT_OP_CAS, result, false), CTL_NO);
	CU_ASSERT_STRING_EQUAL(complaint, "godwitctl: key: the item has another version: 8\n");
	json = view_json(GODWIT_OP_CAS, result);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(json, "status")),
			       "version_mismatch");
	json_decref(json);
}

static void exit_codes_keep_unknown_apart(void)
{
	CU_ASSERT_EQUAL(item_view_exit(GODWIT_OK), 0);
	CU_ASSERT_EQUAL(item_view_exit(GODWIT_EXISTS_ALREADY), 1);
	CU_ASSERT_EQUAL(item_view_exit(GODWIT_INVALID_ARGUMENT), 2);
	CU_ASSERT_EQUAL(item_view_exit(GODWIT_NO_SERVER), 3);
	CU_ASSERT_EQUAL(item_view_exit(GODWIT_TIMEOUT), 3);
	CU_ASSERT_EQUAL(item_view_exit(GODWIT_UNKNOWN), 4);
	CU_ASSERT_EQUAL(item_view_exit(GODWIT_NO_SPACE), 5);
	CU_ASSERT_EQUAL(item_view_exit(GODWIT_NO_MEMORY), 5);
	CU_ASSERT_STRING_EQUAL(item_view_word(GODWIT_UNKNOWN), "unknown");
	CU_ASSERT_STRING_EQUAL(item_view_word(GODWIT_CLOSED), "error");
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(values_are_safe_for_terminals_unless_raw),
		UNIT_TEST(each_command_prints_what_it_is_asked_for),
		UNIT_TEST(json_holds_any_bytes),
		UNIT_TEST(json_holds_numbers_and_times),
		UNIT_TEST(failures_go_to_the_error_stream),
		UNIT_TEST(exit_codes_keep_unknown_apart),
		{ NULL, NULL },
	};
	int code = unit_run("ctl_item_view", tests);

	free(printed);
	free(complaint);
	return code;
}
