/* SPDX-License-Identifier: BSD-3-Clause */
/* What an operator writes: configuration files, and key files of the bus. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "controlplane/bus_crypto.h"
#include "controlplane/options.h"
#include "tests/fuzz/fuzz.h"

#define TEXT_SIZE_MAX 65536u

/* Files in memory: the text under test, and what is printed. */
static int text_fd = -1;
static char text_path[64];
static FILE *errors;
static char errors_text[TEXT_SIZE_MAX];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	text_fd = memfd_create("options", MFD_CLOEXEC);
	errors = fmemopen(errors_text, sizeof(errors_text), "w");
	FUZZ_CHECK(text_fd >= 0 && errors);
	snprintf(text_path, sizeof(text_path), "/proc/self/fd/%d", text_fd);
	return 0;
}

/* What the text sets; false when it has mistakes, which were told. */
static bool load(struct options *options, const void *text, size_t size)
{
	int result;

	FUZZ_CHECK(ftruncate(text_fd, 0) == 0);
	FUZZ_CHECK(pwrite(text_fd, text, size, 0) == (ssize_t)size);
	rewind(errors);
	errors_text[0] = '\0';
	options_init(options);
	result = options_load(options, text_path, errors);
	fflush(errors);
	FUZZ_CHECK((result != 0) == (ftell(errors) > 0));
	return result == 0;
}

/* Options that were accepted, printed as a file, set the same again. */
static void check_options(const uint8_t *data, size_t size)
{
	static struct options again;
	static struct options options;
	static char printed[TEXT_SIZE_MAX];
	static char printed_again[TEXT_SIZE_MAX];
	FILE *out;

	if (!load(&options, data, size))
		return;
	out = fmemopen(printed, sizeof(printed), "w");
	FUZZ_CHECK(out);
	options_print(&options, out);
	fclose(out);
	FUZZ_CHECK(load(&again, printed, strlen(printed)));
	out = fmemopen(printed_again, sizeof(printed_again), "w");
	FUZZ_CHECK(out);
	options_print(&again, out);
	fclose(out);
	FUZZ_CHECK(strcmp(printed, printed_again) == 0);
	rewind(errors);
	options_check(&options, errors);
}

static void check_keys(const uint8_t *data, size_t size)
{
	struct bus_keys keys = { 0 };
	uint32_t line = 0;

	if (bus_keys_parse(&keys, (const char *)data, size, &line) == 0)
		FUZZ_CHECK(keys.count >= 1 && keys.count <= 2);
	else
		FUZZ_CHECK(line <= size); /* 0: there is no key */
}

/* An input is a file; one that starts with a zero is a key file. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > TEXT_SIZE_MAX / 4)
		return 0;
	if (size > 0 && data[0] == '\0')
		check_keys(data + 1, size - 1);
	else
		check_options(data, size);
	return 0;
}
