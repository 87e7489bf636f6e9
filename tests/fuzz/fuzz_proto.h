/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages of protobuf changed by fields. */
#ifndef TESTS_FUZZ_PROTO_H
#define TESTS_FUZZ_PROTO_H

#include <stddef.h>
#include <stdint.h>

/* Appends a field of any number, kind and content, sometimes so often that no list takes it, to the message of 'size' bytes;
 * returns its size, at most 'size_max'. The last of a field that comes twice is what a reader takes, and fields of messages
 * in it come together: so this changes a message in one place, at any depth.
 */
size_t fuzz_proto_append(uint8_t *bytes, size_t size, size_t size_max, unsigned *seed);

#endif
