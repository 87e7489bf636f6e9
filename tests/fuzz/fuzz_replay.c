/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs a target without a fuzzer: `target_NAME [--mutants N] FILE-OR-FOLDER...`. */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_SIZE_MAX 65536u
#define PATH_SIZE 4096u

int __attribute__((weak)) LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	return 0;
}

struct replay {
	uint32_t mutants; /* of each file */
	uint64_t files;
	uint64_t executions;
	uint64_t failures; /* files that could not be read */
};

/* What libFuzzer gives to custom mutators: here one change of a byte, a bit, a piece or the size. */
static unsigned mutate_state;

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t size_max)
{
	size_t at = size ? fuzz_below(&mutate_state, (uint32_t)size) : 0;
	size_t piece = size ? fuzz_below(&mutate_state, (uint32_t)(size - at)) + 1 : 0;

	switch (size ? fuzz_below(&mutate_state, 6) : 5) {
	case 0:
		data[at] = (uint8_t)fuzz_interesting(&mutate_state, 8);
		return size;
	case 1:
		data[at] ^= (uint8_t)(1u << fuzz_below(&mutate_state, 8));
		return size;
	case 2:
		memmove(data + at, data + at + piece, size - at - piece);
		return size - piece;
	case 3:
		piece = piece < size_max - size ? piece : size_max - size;
		memmove(data + at + piece, data + at, size - at);
		return size + piece;
	case 4:
		memcpy(data, data + at, piece < at ? piece : at);
		return size;
	default:
		if (size == size_max)
			return size;
		data[size] = (uint8_t)fuzz_interesting(&mutate_state, 8);
		return size + 1;
	}
}

size_t __attribute__((weak))
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
	(void)seed;
	return LLVMFuzzerMutate(data, size, size_max);
}

/* In memory of exactly its size, so that a sanitizer sees every byte read behind it. */
static void execute(struct replay *replay, const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		abort();
	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
	replay->executions++;
}

static void execute_mutants(struct replay *replay, const uint8_t *data, size_t size)
{
	static uint8_t mutant[INPUT_SIZE_MAX];

	for (uint32_t i = 0; i < replay->mutants; i++) {
		size_t mutant_size = size;

		memcpy(mutant, data, size);
		mutate_state = (unsigned)replay->executions * 2654435761u;
		for (uint32_t change = 0; change <= i % 4; change++)
			mutant_size = LLVMFuzzerCustomMutator(mutant, mutant_size, sizeof(mutant),
							      mutate_state ^ i);
		execute(replay, mutant, mutant_size);
	}
}

static void run_file(struct replay *replay, const char *path)
{
	static uint8_t data[INPUT_SIZE_MAX];
	FILE *file = fopen(path, "rbe");
	size_t size;

	if (!file) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		replay->failures++;
		return;
	}
	size = fread(data, 1, sizeof(data), file);
	fclose(file);
	replay->files++;
	execute(replay, data, size);
	execute_mutants(replay, data, size);
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* In the order of their names, so that the same corpus gives the same mutants. */
static void run_folder(struct replay *replay, const char *path)
{
	struct dirent **entries;
	int count = scandir(path, &entries, is_visible, alphasort);

	for (int i = 0; i < count; i++) {
		char name[PATH_SIZE];

		snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
		run_file(replay, name);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
}

static void run(struct replay *replay, const char *path)
{
	struct stat status;

	if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
		run_folder(replay, path);
	else
		run_file(replay, path);
}

int main(int argc, char **argv)
{
	struct replay replay = { 0 };
	int first = 1;

	if (argc > 2 && strcmp(argv[1], "--mutants") == 0) {
		replay.mutants = (uint32_t)strtoul(argv[2], NULL, 10);
		first = 3;
	}
	if (first >= argc) {
		fprintf(stderr, "usage: %s [--mutants N] FILE-OR-FOLDER...\n", argv[0]);
		return EXIT_FAILURE;
	}
	LLVMFuzzerInitialize(&argc, &argv);
	for (int i = first; i < argc; i++)
		run(&replay, argv[i]);
	printf("fuzz: %llu inputs, %llu executions\n", (unsigned long long)replay.files,
	       (unsigned long long)replay.executions);
	return replay.files > 0 && replay.failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
