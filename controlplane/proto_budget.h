/* SPDX-License-Identifier: BSD-3-Clause */
/* An allocator for protobuf-c that hands out so many bytes and no more: decoding hostile input
 * stays bounded.
 */
#ifndef CONTROLPLANE_PROTO_BUDGET_H
#define CONTROLPLANE_PROTO_BUDGET_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

/* Give &budget.allocator to an unpack function, and NULL to the free function: the memory is
 * malloc's. Thread safety: none. Do not copy: the allocator points at its own budget.
 */
struct proto_budget {
	ProtobufCAllocator allocator;
	size_t left; /* bytes */
};

void proto_budget_init(struct proto_budget *budget, size_t size);

#endif
