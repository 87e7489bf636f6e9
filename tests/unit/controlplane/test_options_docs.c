/* SPDX-License-Identifier: BSD-3-Clause */
/* The documentation of options says what the table says. Runs in the project's top folder. */
#include "controlplane/options.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

/* What 'print' prints, or the file 'path' when it is given; the caller frees. */
static char *text_of(const char *path, void (*print)(FILE *out))
{
	FILE *file = path ? fopen(path, "r") : NULL;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (print)
		print(out);
	for (int c; file && (c = fgetc(file)) != EOF;)
		fputc(c, out);
	if (file)
		fclose(file);
	fclose(out);
	return text;
}

static void the_manual_holds_the_reference_table(void)
{
	char *manual = text_of("docs/configuration.md", NULL);
	char *reference = text_of(NULL, options_print_reference);

	CU_ASSERT(strlen(reference) > 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(manual, reference));
	free(manual);
	free(reference);
}

static void the_example_says_the_defaults(void)
{
	struct options example, defaults;
	char *errors = NULL;
	size_t size;
	FILE *out = open_memstream(&errors, &size);

	options_init(&defaults);
	CU_ASSERT_EQUAL(options_check(&defaults, out), 0);
	options_init(&example);
	CU_ASSERT_EQUAL(options_load(&example, "docs/godwitd.yaml", out), 0);
	CU_ASSERT_EQUAL(options_check(&example, out), 0);
	CU_ASSERT(options_origin(&example, "storage.memory").line > 0);
	memset(example.origins, 0, sizeof(example.origins));
	CU_ASSERT_EQUAL(memcmp(&example, &defaults, sizeof(example)), 0);
	fclose(out);
	CU_ASSERT_STRING_EQUAL(errors, "");
	free(errors);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(the_manual_holds_the_reference_table),
		UNIT_TEST(the_example_says_the_defaults),
		{ NULL, NULL },
	};

	return unit_run("options_docs", tests);
}
