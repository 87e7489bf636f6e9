/* SPDX-License-Identifier: BSD-3-Clause */
/* Values that prove themselves: made of their key and the number of their write. */
#ifndef LOADGEN_VALUE_PATTERN_H
#define LOADGEN_VALUE_PATTERN_H

#include <stdbool.h>
#include <stdint.h>

/* Values of at least this size are checked to the last bit; of shorter ones the key's fingerprint
 * alone, as much of it as fits.
 *
 *      0                      8             16                      size
 *      +----------------------+-------------+-----------------------+
 *      | fingerprint(key)     | write       | pattern(key, write)   |
 *      +----------------------+-------------+-----------------------+
 */
#define VALUE_PATTERN_FULL_SIZE 16u

/* The size of the value of a write: the same each time it is asked, spread evenly over min..max. */
uint32_t value_pattern_size(uint64_t key, uint64_t write, uint32_t size_min, uint32_t size_max);

void value_pattern_write(uint8_t *at, uint32_t size, uint64_t key, uint64_t write);

/* Whether the bytes are a value that some write of 'key' made, of the size that write had. */
bool value_pattern_matches(const uint8_t *at, uint32_t size, uint64_t key, uint32_t size_min,
			   uint32_t size_max);

#endif
