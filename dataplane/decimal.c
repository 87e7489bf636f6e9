/* SPDX-License-Identifier: BSD-3-Clause */
/* Decimal text of signed 64-bit numbers. */
#include "dataplane/decimal.h"

#include <string.h>

bool decimal_read(const uint8_t *text, uint32_t size, int64_t *value)
{
	bool negative = size > 0 && text[0] == '-';
	uint32_t at = negative ? 1 : 0;
	int64_t number = 0;

	if (at == size || size > DECIMAL_SIZE_MAX)
		return false;
	/* Counted downwards, because the smallest number has no positive counterpart. */
	for (; at < size; at++) {
		uint8_t digit = (uint8_t)(text[at] - '0');

		if (digit > 9 || __builtin_mul_overflow(number, 10, &number) ||
		    __builtin_sub_overflow(number, digit, &number))
			return false;
	}
	if (!negative && number == INT64_MIN)
		return false;
	*value = negative ? number : -number;
	return true;
}

uint32_t decimal_write(uint8_t *text, int64_t value)
{
	uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
	uint8_t digits[DECIMAL_SIZE_MAX];
	uint32_t at = DECIMAL_SIZE_MAX;

	do {
		digits[--at] = (uint8_t)('0' + rest % 10);
		rest /= 10;
	} while (rest > 0);
	if (value < 0)
		digits[--at] = '-';
	memcpy(text, digits + at, DECIMAL_SIZE_MAX - at);
	return DECIMAL_SIZE_MAX - at;
}
