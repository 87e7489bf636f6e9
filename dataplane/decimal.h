/* SPDX-License-Identifier: BSD-3-Clause */
/* Signed 64-bit numbers as decimal text: what INCREMENT stores. */
#ifndef DATAPLANE_DECIMAL_H
#define DATAPLANE_DECIMAL_H

#include <stdbool.h>
#include <stdint.h>

/* "-9223372036854775808" */
#define DECIMAL_SIZE_MAX 20u

/* Reads [-]digits, nothing around them, at most DECIMAL_SIZE_MAX bytes. False when that is not what stands there, or it does
 * not fit 64 bits.
 */
bool decimal_read(const uint8_t *text, uint32_t size, int64_t *value);

/* Writes 'value' without padding; 'text' has room for DECIMAL_SIZE_MAX bytes. Returns the bytes written. */
uint32_t decimal_write(uint8_t *text, int64_t value);

#endif
