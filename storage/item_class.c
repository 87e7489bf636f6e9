/* SPDX-License-Identifier: BSD-3-Clause */
/* The sizes in which items are stored. */
#include "storage/item_class.h"

#include <assert.h>

static const uint16_t block_sizes[] = {
	24,   32,   40,   48,   56,   64,   72,   80,   88,   96,   104,  112,  120,  128,  136,
	144,  152,  160,  168,  176,  184,  192,  200,  208,  216,  224,  232,  240,  248,  256,
	280,  304,  328,  360,  392,  424,  464,  504,  552,  600,  656,  720,  792,  856,  936,
	1024, 1104, 1208, 1304, 1424, 1560, 1680, 1816, 1984, 2112, 2256, 2424, 2616, 2848, 3120,
	3272, 3448, 3640, 3848, 4096, 4368, 4680, 5040, 5456, 5952, 6552, 7280, 8192, 9360,
};

static_assert(sizeof(block_sizes) / sizeof(block_sizes[0]) == ITEM_CLASS_COUNT, "one per class");

uint32_t item_class_block_size(uint32_t item_class)
{
	assert(item_class < ITEM_CLASS_COUNT);
	return block_sizes[item_class];
}

uint32_t item_class_of_size(uint32_t size)
{
	uint32_t low = 0;
	uint32_t high = ITEM_CLASS_COUNT - 1;

	assert(size >= 1 && size <= ITEM_SIZE_MAX);
	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (block_sizes[middle] < size)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}
