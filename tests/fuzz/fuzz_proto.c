/* SPDX-License-Identifier: BSD-3-Clause */
/* A field is a tag and a number, eight bytes, or a size and bytes: text, zeros, or fields again. */
#include "tests/fuzz/fuzz_proto.h"

#include <string.h>

#include "tests/fuzz/fuzz.h"

#define NUMBER_MAX 12u /* of a field */
#define BODY_SIZE_MAX 200u
#define DEPTH_MAX 2u
#define FIELD_SIZE_MAX (BODY_SIZE_MAX + 16)

static size_t put_varint(uint8_t *bytes, uint64_t number)
{
	size_t size = 0;

	for (; number >= 0x80; number >>= 7)
		bytes[size++] = (uint8_t)(number | 0x80);
	bytes[size++] = (uint8_t)number;
	return size;
}

static size_t make_text(uint8_t *body, unsigned *seed)
{
	static const char letters[] = "migration-Z9_. \x1b\n\xc2\x9b\x7f";
	size_t size = fuzz_below(seed, BODY_SIZE_MAX);

	for (size_t i = 0; i < size; i++)
		body[i] = (uint8_t)letters[fuzz_below(seed, i % 8 ? 12 : sizeof(letters) - 1)];
	return size;
}

static size_t make_field(uint8_t *bytes, unsigned *seed, uint32_t depth);

static size_t make_body(uint8_t *body, unsigned *seed, uint32_t depth)
{
	uint8_t field[FIELD_SIZE_MAX];
	size_t size;

	switch (fuzz_below(seed, 4)) {
	case 0:
		return make_text(body, seed);
	case 1:
		size = fuzz_below(seed, 20);
		memset(body, (int)fuzz_below(seed, 2), size);
		return size;
	default:
		size = depth < DEPTH_MAX ? make_field(field, seed, depth + 1) : 0;
		if (size > BODY_SIZE_MAX)
			return 0;
		memcpy(body, field, size);
		return size;
	}
}

static size_t make_field(uint8_t *bytes, unsigned *seed, uint32_t depth)
{
	uint32_t number = 1 + fuzz_below(seed, NUMBER_MAX);
	uint8_t body[BODY_SIZE_MAX];
	uint64_t value;
	size_t size, body_size;

	switch (fuzz_below(seed, 3)) {
	case 0:
		size = put_varint(bytes, number << 3);
		return size + put_varint(bytes + size, fuzz_interesting(seed, 32));
	case 1:
		size = put_varint(bytes, number << 3 | 1);
		value = fuzz_interesting(seed, 64);
		memcpy(bytes + size, &value, sizeof(value));
		return size + sizeof(value);
	default:
		size = put_varint(bytes, number << 3 | 2);
		body_size = make_body(body, seed, depth);
		size += put_varint(bytes + size, body_size);
		memcpy(bytes + size, body, body_size);
		return size + body_size;
	}
}

size_t fuzz_proto_append(uint8_t *bytes, size_t size, size_t size_max, unsigned *seed)
{
	uint8_t field[FIELD_SIZE_MAX];
	size_t field_size = make_field(field, seed, 0);
	uint32_t times = fuzz_below(seed, 8) ? 1 : 1u << fuzz_below(seed, 11);

	for (; times > 0 && field_size <= size_max - size; times--) {
		memcpy(bytes + size, field, field_size);
		size += field_size;
	}
	return size;
}
