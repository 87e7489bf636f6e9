/* SPDX-License-Identifier: BSD-3-Clause */
/* Which of N numbered things was used longest ago: a doubly linked list over indices. */
#ifndef DATAPLANE_AGE_LIST_H
#define DATAPLANE_AGE_LIST_H

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#define AGE_LIST_NONE UINT32_MAX

struct age_link {
	uint32_t older;
	uint32_t newer;
};

/* Thread safety: none; one owner. */
struct age_list {
	struct age_link *links; /* by index; of things in the list only */
	uint32_t oldest;        /* AGE_LIST_NONE in an empty list */
	uint32_t newest;
};

/* An empty list for indices 0 .. count - 1; 0 or -ENOMEM. */
static inline int age_list_init(struct age_list *list, uint32_t count)
{
	list->links = calloc(count, sizeof(*list->links));
	list->oldest = AGE_LIST_NONE;
	list->newest = AGE_LIST_NONE;
	return list->links ? 0 : -ENOMEM;
}

static inline void age_list_fini(struct age_list *list)
{
	free(list->links);
}

/* Adds 'index', which is not in the list, as the newest. */
static inline void age_list_add(struct age_list *list, uint32_t index)
{
	list->links[index] = (struct age_link){ .older = list->newest, .newer = AGE_LIST_NONE };
	if (list->newest == AGE_LIST_NONE)
		list->oldest = index;
	else
		list->links[list->newest].newer = index;
	list->newest = index;
}

/* Takes out 'index', which is in the list. */
static inline void age_list_remove(struct age_list *list, uint32_t index)
{
	struct age_link link = list->links[index];

	if (link.older == AGE_LIST_NONE)
		list->oldest = link.newer;
	else
		list->links[link.older].newer = link.newer;
	if (link.newer == AGE_LIST_NONE)
		list->newest = link.older;
	else
		list->links[link.newer].older = link.older;
}

/* Makes 'index', which is in the list, the newest. */
static inline void age_list_renew(struct age_list *list, uint32_t index)
{
	age_list_remove(list, index);
	age_list_add(list, index);
}

#endif
