/* SPDX-License-Identifier: BSD-3-Clause */
/* A member of a cluster, for tests that need no more of it than that it is there. */
#ifndef TESTS_UNIT_CONTROLPLANE_UNIT_MEMBER_H
#define TESTS_UNIT_CONTROLPLANE_UNIT_MEMBER_H

#include <string.h>

#include "controlplane/node.h"

/* An active one in its first life; 'name' is at most NODE_NAME_SIZE - 1 bytes. */
static inline struct node unit_member(const char *name)
{
	struct node node = { .id = node_id_of_name(name),
			     .generation = 1,
			     .incarnation = 1,
			     .record_version = 1,
			     .state = NODE_ACTIVE,
			     .control = node_address_ipv4(0x0a000001, 7800),
			     .workers = 1,
			     .weight = 100 };

	strcpy(node.name, name);
	return node;
}

#endif
