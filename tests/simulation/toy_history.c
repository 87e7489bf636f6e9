/* SPDX-License-Identifier: BSD-3-Clause */
/* What clients were told, and the first contradiction to it. */
#include "tests/simulation/toy_history.h"

#include <stdarg.h>
#include <stdio.h>

void toy_history_violate(struct toy_history *history, uint32_t invariant, const char *format, ...)
{
	struct toy_violation *violation = &history->violation;
	va_list arguments;

	if (violation->invariant != 0)
		return;
	violation->invariant = invariant;
	violation->at_us = history->now_us;
	va_start(arguments, format);
	vsnprintf(violation->story, sizeof(violation->story), format, arguments);
	va_end(arguments);
}

/* Invariant 1. */
static void check_owner(struct toy_history *history, uint32_t partition, uint64_t owner,
			uint32_t epoch)
{
	struct toy_truth *truth = &history->partitions[partition];

	if (epoch < truth->epoch)
		toy_history_violate(history, 1,
				    "partition %u: a write at epoch %u after one at epoch %u",
				    partition, epoch, truth->epoch);
	else if (epoch == truth->epoch && owner != truth->owner)
		toy_history_violate(history, 1, "partition %u: two owners write at epoch %u",
				    partition, epoch);
	truth->epoch = epoch;
	truth->owner = owner;
}

void toy_history_write(struct toy_history *history, uint32_t partition, uint64_t owner,
		       uint32_t epoch, const struct toy_record *record)
{
	struct toy_truth *truth = &history->partitions[partition];

	check_owner(history, partition, owner, epoch);
	if (record->item.version <= truth->items[record->key].version)
		toy_history_violate(history, 3, "partition %u key %u: version %llx after %llx",
				    partition, record->key,
				    (unsigned long long)record->item.version,
				    (unsigned long long)truth->items[record->key].version);
	truth->items[record->key] = record->item;
	truth->is_present[record->key] = !record->is_tombstone;
	history->writes++;
}

static bool is_expired(const struct toy_item *item, uint64_t now_ms)
{
	return item->expires_at_ms != 0 && item->expires_at_ms <= now_ms;
}

void toy_history_read(struct toy_history *history, uint32_t partition, uint64_t owner, uint32_t key,
		      const struct toy_item *item, uint64_t now_ms)
{
	const struct toy_truth *truth = &history->partitions[partition];
	bool is_there = item && !is_expired(item, now_ms);
	bool is_due = truth->is_present[key] && !is_expired(&truth->items[key], now_ms);

	history->reads++;
	if (is_there != is_due || (is_there && (item->value != truth->items[key].value ||
						item->version != truth->items[key].version)))
		toy_history_violate(history, 6,
				    "partition %u key %u: node %llu reads %llx, not %llx",
				    partition, key, (unsigned long long)owner >> 32,
				    is_there ? (unsigned long long)item->version : 0ULL,
				    is_due ? (unsigned long long)truth->items[key].version : 0ULL);
}

/* Invariants 2 and 3 for one key at a take-over. */
static void check_key(struct toy_history *history, uint32_t partition, uint32_t key,
		      const struct toy_item *item)
{
	const struct toy_truth *truth = &history->partitions[partition];
	const struct toy_item *due = &truth->items[key];

	if (!item && truth->is_present[key])
		toy_history_violate(history, 2, "partition %u key %u: version %llx is lost",
				    partition, key, (unsigned long long)due->version);
	else if (item && !truth->is_present[key])
		toy_history_violate(history, 3, "partition %u key %u: removed, and is back as %llx",
				    partition, key, (unsigned long long)item->version);
	else if (item && item->version != due->version)
		toy_history_violate(history, item->version < due->version ? 2 : 3,
				    "partition %u key %u: version %llx instead of %llx", partition,
				    key, (unsigned long long)item->version,
				    (unsigned long long)due->version);
	else if (item && (item->value != due->value || item->expires_at_ms != due->expires_at_ms))
		toy_history_violate(history, 2, "partition %u key %u: the value changed", partition,
				    key);
}

static bool differs(const struct toy_truth *truth, uint32_t key, const struct toy_item *item)
{
	return truth->is_present[key] ? !item || item->version != truth->items[key].version
				      : item != NULL;
}

static void adopt(struct toy_truth *truth, const struct toy_store *store)
{
	for (uint32_t key = 0; key < TOY_KEY_COUNT; key++) {
		const struct toy_item *item = toy_store_find(store, key);

		truth->is_present[key] = item != NULL;
		truth->items[key] = item ? *item : (struct toy_item){ .version = 0 };
	}
}

void toy_history_accept_loss(struct toy_history *history, uint32_t partition,
			     const struct toy_store *store)
{
	adopt(&history->partitions[partition], store);
	/* The epoch may have been forgotten with the last node that knew it. */
	history->partitions[partition].epoch = 0;
}

void toy_history_take_over(struct toy_history *history, uint32_t partition,
			   const struct toy_store *store, uint64_t version_safe)
{
	struct toy_truth *truth = &history->partitions[partition];
	bool is_lossy = false;

	for (uint32_t key = 0; key < TOY_KEY_COUNT; key++) {
		const struct toy_item *item = toy_store_find(store, key);

		if (differs(truth, key, item) && truth->items[key].version > version_safe &&
		    (!item || item->version < truth->items[key].version))
			is_lossy = true;
		else
			check_key(history, partition, key, item);
	}
	if (is_lossy) {
		history->lossy_takeovers++;
		adopt(truth, store);
	}
}
