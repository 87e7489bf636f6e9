/* SPDX-License-Identifier: BSD-3-Clause */
/* What fuzz targets share. A target is one program with LLVMFuzzerTestOneInput(). */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A target is built twice. With libFuzzer (`make fuzz`) it looks for inputs that break it; with fuzz_replay.c
 * (`make fuzz-corpus`) it runs the inputs in corpus/TARGET and some seeded mutants of each, with any compiler.
 *
 * The target aborts when code under test breaks its contract; crashes and sanitizers find the rest. The same input does the
 * same each time: a target keeps nothing from one input to the next that could matter.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Optional: once, before the first input. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
/* Optional: changes 'data' of 'size' bytes in place to something of at most 'size_max'; returns its size. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed);
/* Optional: makes of 'a' and 'b' an input of at most 'size_max' bytes in 'out'; returns its size. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
				 uint8_t *out, size_t size_max, unsigned seed);
/* Given: a small change without knowledge of any format. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t size_max);

/* A property that holds for every input. */
#define FUZZ_CHECK(property)                                                                       \
	do {                                                                                       \
		if (!(property))                                                                   \
			fuzz_fail(__FILE__, __LINE__, #property);                                  \
	} while (0)
void fuzz_fail(const char *file, int line, const char *property) __attribute__((noreturn));

/* Starts the EAL as unit_eal_init() does, and quietly. */
void fuzz_eal_init(void);

/* ---- an input as a list of decisions ---- */

struct fuzz_reader {
	const uint8_t *at;
	const uint8_t *end;
};

static inline struct fuzz_reader fuzz_reader(const uint8_t *data, size_t size)
{
	return (struct fuzz_reader){ data, data + size };
}

static inline size_t fuzz_left(const struct fuzz_reader *reader)
{
	return (size_t)(reader->end - reader->at);
}

/* Numbers are big-endian; what is missing at the end reads as 0. */
static inline uint64_t fuzz_number(struct fuzz_reader *reader, uint32_t bytes)
{
	uint64_t number = 0;

	for (uint32_t i = 0; i < bytes; i++)
		number = number << 8 | (reader->at < reader->end ? *reader->at++ : 0);
	return number;
}

static inline uint8_t fuzz_u8(struct fuzz_reader *reader)
{
	return (uint8_t)fuzz_number(reader, 1);
}

static inline uint16_t fuzz_u16(struct fuzz_reader *reader)
{
	return (uint16_t)fuzz_number(reader, 2);
}

/* The next bytes, at most 'size_max'; '*size' tells how many there are. */
static inline const uint8_t *fuzz_bytes(struct fuzz_reader *reader, size_t size_max, size_t *size)
{
	const uint8_t *bytes = reader->at;

	*size = fuzz_left(reader) < size_max ? fuzz_left(reader) : size_max;
	reader->at += *size;
	return bytes;
}

/* ---- for mutators ---- */

/* A number below 'bound'; 'seed' moves on. */
static inline uint32_t fuzz_below(unsigned *seed, uint32_t bound)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (uint32_t)(((uint64_t)*seed * bound) >> 32);
}

/* A number that is likely to matter in a field of 'bits' bits: small, near a limit, or any. */
uint64_t fuzz_interesting(unsigned *seed, uint32_t bits);

#endif
