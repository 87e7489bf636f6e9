/* SPDX-License-Identifier: BSD-3-Clause */
/* Changes of a story that know where its steps are, and how a request is told. */
#include <string.h>

#include "dataplane/wire_format.h"
#include "tests/fuzz/fuzz_story.h"

#define PIECE_MAX 512u

/* ---- pieces ---- */

/* Puts 'piece' in the place of the bytes from 'from' to 'to'; the size after, or as it was when there is no room. */
static size_t replace(uint8_t *data, size_t size, size_t size_max, size_t from, size_t to,
		      const uint8_t *piece, size_t piece_size)
{
	if (size - (to - from) + piece_size > size_max)
		return size;
	memmove(data + from + piece_size, data + to, size - to);
	if (piece_size > 0)
		memcpy(data + from, piece, piece_size);
	return size - (to - from) + piece_size;
}

static uint8_t byte_of(unsigned *seed)
{
	return (uint8_t)fuzz_below(seed, 256);
}

/* ---- new steps ---- */

struct writer {
	size_t size;
	uint8_t bytes[PIECE_MAX];
};

static void put(struct writer *writer, uint32_t byte)
{
	if (writer->size < PIECE_MAX)
		writer->bytes[writer->size++] = (uint8_t)byte;
}

/* In the order in which add_operation() asks. */
static void put_operation(struct writer *writer, unsigned *seed)
{
	uint8_t opcode = (uint8_t)(1 + fuzz_below(seed, WIRE_OPCODE_COUNT - 1));
	uint8_t flags = fuzz_below(seed, 8) ? byte_of(seed) & 3 : byte_of(seed);
	bool has_ttl = flags & WIRE_HAS_TTL;

	put(writer, opcode);
	put(writer, flags);
	put(writer, fuzz_below(seed, 4)); /* few keys meet */
	if (opcode == WIRE_INCREMENT)
		put(writer, fuzz_below(seed, 2));
	else if (opcode == WIRE_SET || opcode == WIRE_ADD || opcode == WIRE_REPLACE ||
		 opcode == WIRE_CAS || opcode == WIRE_APPEND)
		put(writer, fuzz_below(seed, 14));
	put(writer, fuzz_below(seed, 64)); /* what the value is filled with */
	if (has_ttl || opcode == WIRE_TOUCH || opcode == WIRE_GET_AND_TOUCH) {
		put(writer, fuzz_below(seed, 2));
		put(writer, byte_of(seed));
	}
	if (opcode == WIRE_CAS || (opcode == WIRE_DELETE && flags & WIRE_HAS_VERSION))
		put(writer, 1); /* the version seen last */
}

static void put_damage(struct writer *writer, unsigned *seed)
{
	if (fuzz_below(seed, 4)) {
		put(writer, 0);
		return;
	}
	put(writer, 0xc8); /* one field, and what for */
	for (uint32_t i = 0; i < 5; i++)
		put(writer, fuzz_below(seed, 2) ? fuzz_below(seed, 4) : byte_of(seed));
}

/* What make_request() asks for. */
static void put_request(struct writer *writer, unsigned *seed)
{
	uint32_t op_count = 1 + fuzz_below(seed, 5);

	put(writer, op_count << 2 | fuzz_below(seed, 4)); /* the sequence's choice */
	while (op_count-- > 0)
		put_operation(writer, seed);
	put_damage(writer, seed);
}

static void put_step(struct writer *writer, unsigned *seed, const struct fuzz_steps *steps)
{
	uint32_t kind = fuzz_below(seed, steps->count);

	put(writer, kind | (fuzz_below(seed, 4) ? 0 : 0x80));
	switch (steps->kinds[kind]) {
	case FUZZ_STEP_REQUEST:
		put(writer, fuzz_below(seed, 8)); /* port, checksum, client 0 or 1 */
		put_request(writer, seed);
		break;
	case FUZZ_STEP_FORWARD:
		put(writer, fuzz_below(seed, 8) | (fuzz_below(seed, 4) << 4));
		put_request(writer, seed);
		break;
	default:
		for (uint32_t i = fuzz_below(seed, 6); i > 0; i--)
			put(writer, byte_of(seed));
		break;
	}
}

/* ---- changes ---- */

/* A change by libFuzzer that stays within one step. */
static size_t mutate_within(uint8_t *data, size_t size, size_t size_max, size_t from, size_t to)
{
	uint8_t piece[PIECE_MAX];
	size_t piece_size = to - from;

	if (piece_size == 0 || piece_size > PIECE_MAX)
		return LLVMFuzzerMutate(data, size, size_max);
	memcpy(piece, data + from, piece_size);
	piece_size = LLVMFuzzerMutate(piece, piece_size, PIECE_MAX);
	return replace(data, size, size_max, from, to, piece, piece_size);
}

static size_t tell_again(uint8_t *data, size_t size, size_t size_max, const uint16_t *bounds,
			 uint32_t step, uint32_t before)
{
	uint8_t piece[PIECE_MAX];
	size_t piece_size = (size_t)bounds[step + 1] - bounds[step];

	if (piece_size > PIECE_MAX)
		return size;
	memcpy(piece, data + bounds[step], piece_size);
	return replace(data, size, size_max, bounds[before], bounds[before], piece, piece_size);
}

static size_t swap_with_next(uint8_t *data, size_t size, const uint16_t *bounds, uint32_t step)
{
	size_t first = (size_t)bounds[step + 1] - bounds[step];
	size_t second = (size_t)bounds[step + 2] - bounds[step + 1];
	uint8_t piece[PIECE_MAX];

	if (first > PIECE_MAX)
		return size;
	memcpy(piece, data + bounds[step], first);
	memmove(data + bounds[step], data + bounds[step + 1], second);
	memcpy(data + bounds[step] + second, piece, first);
	return size;
}

size_t fuzz_story_mutate(uint8_t *data, size_t size, size_t size_max, unsigned seed,
			 const struct fuzz_steps *steps)
{
	uint16_t bounds[FUZZ_STEP_MAX + 1];
	struct writer writer = { 0 };
	uint32_t count;
	uint32_t step;

	if (size == 0 || size > UINT16_MAX || fuzz_below(&seed, 4) == 0)
		return LLVMFuzzerMutate(data, size, size_max);
	count = fuzz_story_bounds(data, size, steps, bounds);
	size = bounds[count]; /* what is behind the last step is never told */
	step = fuzz_below(&seed, count);
	switch (fuzz_below(&seed, 8)) {
	case 0:
		return tell_again(data, size, size_max, bounds, step, fuzz_below(&seed, count + 1));
	case 1:
		return replace(data, size, size_max, bounds[step], bounds[step + 1], NULL, 0);
	case 2:
		return step + 1 < count ? swap_with_next(data, size, bounds, step) : size;
	case 3:
		data[bounds[step]] ^= 0x80; /* in one burst with what follows, or not */
		return size;
	case 4:
	case 5:
		put_step(&writer, &seed, steps);
		step = fuzz_below(&seed, count + 1);
		return replace(data, size, size_max, bounds[step], bounds[step], writer.bytes,
			       writer.size);
	default:
		return mutate_within(data, size, size_max, bounds[step], bounds[step + 1]);
	}
}

size_t fuzz_story_cross(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
			uint8_t *out, size_t size_max, unsigned seed,
			const struct fuzz_steps *steps)
{
	uint16_t a_bounds[FUZZ_STEP_MAX + 1];
	uint16_t b_bounds[FUZZ_STEP_MAX + 1];
	uint32_t a_count = fuzz_story_bounds(a, a_size, steps, a_bounds);
	uint32_t b_count = fuzz_story_bounds(b, b_size, steps, b_bounds);
	uint32_t at = fuzz_below(&seed, a_count + 1);
	uint32_t from = fuzz_below(&seed, b_count + 1);
	uint32_t to = from + fuzz_below(&seed, b_count - from + 1);
	size_t size = a_bounds[a_count];

	if (size > size_max)
		size = size_max;
	memcpy(out, a, size);
	if (a_bounds[at] > size)
		return size;
	return replace(out, size, size_max, a_bounds[at], a_bounds[at], b + b_bounds[from],
		       (size_t)b_bounds[to] - b_bounds[from]);
}
