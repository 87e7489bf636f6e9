/* SPDX-License-Identifier: BSD-3-Clause */
/* What must hold in each state. */
#include "tests/model/model.h"

static void check_reads(struct model *model, const struct node *node)
{
	const struct record *acked = &model->state.acked;
	uint64_t version = acked->is_tombstone ? 0 : acked->version;

	if (node->store.item.version == version)
		return;
	/* a write that is being made may be read already */
	if (node->is_writing)
		return;
	if (node->store.item.version == 0)
		model_violate(model,
			      "2, 6: a node answers reads without the last acknowledged write");
	else if (acked->is_tombstone)
		model_violate(model, "3, 6: a removed key is read");
	else
		model_violate(model, "3, 6: an older value is read");
}

void model_check(struct model *model)
{
	const struct node *nodes = model->state.nodes;

	for (uint32_t i = 0; i < NODES; i++) {
		if (model_would_read(&nodes[i]))
			check_reads(model, &nodes[i]);
	}
	if (model_would_write(&nodes[0]) && model_would_write(&nodes[1]))
		model_violate(model, "1: two nodes would acknowledge writes");
}
