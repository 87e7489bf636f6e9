/* SPDX-License-Identifier: BSD-3-Clause */
/* The documentation of options says what the table says. Runs in the project's top folder. */
#include "controlplane/options.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* Whatever is in the file, it is read or refused with a line that names it. */
static void mutations_of_the_example_are_read_or_refused(void)
{
	char *good = text_of("docs/godwitd.yaml", NULL);
	size_t size = strlen(good);
	char path[] = "/tmp/godwit-mutation-XXXXXX";
	uint32_t refused = 0;
	uint64_t seed = 1;
	int fd = mkstemp(path);

	CU_ASSERT_FATAL(fd >= 0);
	for (uint32_t round = 0; round < 3000; round++) {
		struct options options;
		char *errors = NULL;
		size_t errors_size;
		FILE *out = open_memstream(&errors, &errors_size);
		uint64_t random = unit_random(&seed);
		size_t at = random % size;
		char kept = good[at];

		good[at] = (char)(random >> 32);
		CU_ASSERT_EQUAL(ftruncate(fd, 0), 0);
		CU_ASSERT_EQUAL(pwrite(fd, good, random >> 63 ? size : at, 0),
				(ssize_t)(random >> 63 ? size : at));
		good[at] = kept;
		options_init(&options);
		if (options_load(&options, path, out) != 0 || options_check(&options, out) != 0)
			refused++;
		fclose(out);
		CU_ASSERT(errors_size == 0 || strncmp(errors, path, strlen(path)) == 0);
		free(errors);
	}
	CU_ASSERT(refused > 300 && refused < 2900);
	close(fd);
	unlink(path);
	free(good);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(the_manual_holds_the_reference_table),
		UNIT_TEST(the_example_says_the_defaults),
		UNIT_TEST(mutations_of_the_example_are_read_or_refused),
		{ NULL, NULL },
	};

	return unit_run("options_docs", tests);
}
