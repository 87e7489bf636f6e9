/* SPDX-License-Identifier: BSD-3-Clause */
/* Log lines: their format, what they refuse to carry, and the budget of a call site. */
#include "controlplane/log.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

static uint64_t clock_read(void *context)
{
	return *(uint64_t *)context;
}

/* A log into memory at a time of the test's choice. */
struct fixture {
	uint64_t now_ms;
	struct world world;
	struct log log;
	char *text;
	size_t size;
};

static void fixture_init(struct fixture *fixture, enum log_level level)
{
	*fixture = (struct fixture){ .now_ms = 0 };
	fixture->now_ms = UINT64_C(1763889000123); /* 2025-11-23T09:10:00.123Z */
	fixture->world = (struct world){ .now_ms = clock_read,
					 .unix_ms = clock_read,
					 .context = &fixture->now_ms };
	fixture->log = (struct log){ open_memstream(&fixture->text, &fixture->size), level,
				     &fixture->world };
}

static void fixture_fini(struct fixture *fixture)
{
	fclose(fixture->log.stream);
	free(fixture->text);
}

static void a_line_names_time_level_module_message_and_fields(void)
{
	struct fixture f;

	fixture_init(&f, LOG_LEVEL_INFO);
	log_info(&f.log, "node", "ready", "workers=%u name=%s", 2u, "a");
	log_error(&f.log, "port", "gone");
	CU_ASSERT_STRING_EQUAL(f.text,
			       "2025-11-23T09:10:00.123Z info node: ready workers=2 name=a\n"
			       "2025-11-23T09:10:00.123Z error port: gone\n");
	fixture_fini(&f);
}

static void lines_above_the_level_are_not_written(void)
{
	struct fixture f;

	fixture_init(&f, LOG_LEVEL_WARNING);
	log_info(&f.log, "node", "ready");
	log_debug(&f.log, "node", "detail");
	CU_ASSERT_EQUAL(f.size, 0);
	log_warning(&f.log, "node", "odd");
	CU_ASSERT(f.size > 0);
	fixture_fini(&f);
}

static void foreign_text_cannot_forge_a_line(void)
{
	struct fixture f;

	fixture_init(&f, LOG_LEVEL_INFO);
	log_info(&f.log, "node", "peer", "name=\"%s\"", "x\n2025-11-23 error node: forged\x1b[2J");
	CU_ASSERT_PTR_EQUAL(strchr(f.text, '\n'), f.text + strlen(f.text) - 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.text, "x?2025-11-23 error node: forged?[2J"));
	log_info(&f.log, "node", "peer", "name=\"%s\"", "\xc2\x9b[2J h\xc3\xb6ren \xc2\xa0");
	CU_ASSERT_PTR_NOT_NULL(strstr(f.text, "name=\"??[2J h\xc3\xb6ren \xc2\xa0\""));
	fixture_fini(&f);
}

static void a_long_line_is_cut(void)
{
	struct fixture f;
	char value[2 * LOG_LINE_SIZE];

	memset(value, 'v', sizeof(value));
	value[sizeof(value) - 1] = '\0';
	fixture_init(&f, LOG_LEVEL_INFO);
	log_info(&f.log, "node", "long", "value=%s", value);
	CU_ASSERT_EQUAL(strlen(f.text), LOG_LINE_SIZE);
	CU_ASSERT_EQUAL(f.text[LOG_LINE_SIZE - 1], '\n');
	log_info(&f.log, "node", value);
	CU_ASSERT_EQUAL(strlen(f.text), 2 * LOG_LINE_SIZE);
	fixture_fini(&f);
}

static void a_call_site_has_a_budget_per_window(void)
{
	struct log_limit limit = { 0 };
	uint32_t suppressed;
	struct fixture f;

	fixture_init(&f, LOG_LEVEL_INFO);
	for (uint32_t i = 0; i < LOG_LIMIT_LINES; i++)
		CU_ASSERT_TRUE(log_limit_pass(&limit, &f.log, &suppressed));
	CU_ASSERT_FALSE(log_limit_pass(&limit, &f.log, &suppressed));
	CU_ASSERT_FALSE(log_limit_pass(&limit, &f.log, &suppressed));
	f.now_ms += LOG_LIMIT_WINDOW_MS;
	CU_ASSERT_TRUE(log_limit_pass(&limit, &f.log, &suppressed));
	CU_ASSERT_EQUAL(suppressed, 2);
	CU_ASSERT_TRUE(log_limit_pass(&limit, &f.log, &suppressed));
	CU_ASSERT_EQUAL(suppressed, 0);
	fixture_fini(&f);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(a_line_names_time_level_module_message_and_fields),
		UNIT_TEST(lines_above_the_level_are_not_written),
		UNIT_TEST(foreign_text_cannot_forge_a_line),
		UNIT_TEST(a_long_line_is_cut),
		UNIT_TEST(a_call_site_has_a_budget_per_window),
		{ NULL, NULL },
	};

	return unit_run("log", tests);
}
