/* SPDX-License-Identifier: BSD-3-Clause */
/* What clients were told: the truth that every node's answers and copies are compared with. */
#ifndef TESTS_SIMULATION_TOY_HISTORY_H
#define TESTS_SIMULATION_TOY_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/simulation/toy_store.h"

#define TOY_PARTITION_MAX 4u
#define TOY_STORY_SIZE 200u

/* Numbers are those of docs/migration.md. */
struct toy_violation {
	uint32_t invariant; /* 0 = none so far */
	uint64_t at_us;
	char story[TOY_STORY_SIZE];
};

struct toy_truth {
	uint32_t epoch; /* of the latest write */
	uint64_t owner; /* who made it: node and life */
	bool is_present[TOY_KEY_COUNT];
	struct toy_item items[TOY_KEY_COUNT]; /* version: of the removal when not present */
};

/* A write counts from the moment that its owner applies it: each owner works one by one, and invariant 1 says
 * that there is one owner at a time. So there is one order of all writes of a key, and a read must see the
 * latest: linearizability (invariant 6) is checked at each read.
 */
struct toy_history {
	uint64_t now_us; /* kept by the harness */
	struct toy_violation violation;
	struct toy_truth partitions[TOY_PARTITION_MAX];
	uint64_t writes;
	uint64_t reads;
	uint64_t lossy_takeovers; /* of an owner that died with writes that nobody else had */
};

void toy_history_violate(struct toy_history *history, uint32_t invariant, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

void toy_history_write(struct toy_history *history, uint32_t partition, uint64_t owner,
		       uint32_t epoch, const struct toy_record *record);
/* 'item' is what the owner answers, NULL for none. */
void toy_history_read(struct toy_history *history, uint32_t partition, uint64_t owner, uint32_t key,
		      const struct toy_item *item, uint64_t now_ms);

/* A node begins to serve 'store'. Writes with versions above 'version_safe' may be missing there, when they
 * died with their owner; the truth is from now on what 'store' says.
 */
void toy_history_take_over(struct toy_history *history, uint32_t partition,
			   const struct toy_store *store, uint64_t version_safe);
/* The operator accepted whatever is lost. */
void toy_history_accept_loss(struct toy_history *history, uint32_t partition,
			     const struct toy_store *store);

#endif
