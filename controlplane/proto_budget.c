/* SPDX-License-Identifier: BSD-3-Clause */
/* An allocator for protobuf-c that hands out so many bytes and no more: decoding hostile input
 * stays bounded.
 */
#include "controlplane/proto_budget.h"

#include <stdlib.h>

static void *budget_alloc(void *data, size_t size)
{
	struct proto_budget *budget = data;

	if (size > budget->left)
		return NULL;
	budget->left -= size;
	return malloc(size);
}

static void budget_free(void *data, void *pointer)
{
	(void)data;
	free(pointer);
}

void proto_budget_init(struct proto_budget *budget, size_t size)
{
	budget->allocator.alloc = budget_alloc;
	budget->allocator.free = budget_free;
	budget->allocator.allocator_data = budget;
	budget->left = size;
}
