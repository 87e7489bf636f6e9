/* SPDX-License-Identifier: BSD-3-Clause */
/* What an item costs to allocate, free and retire: cycles per operation, the least of several
 * rounds.
 */
#include <inttypes.h>
#include <rte_cycles.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/item_pool.h"
#include "storage/reclaim.h"

#define ROUNDS 50u
#define ITEM_BYTES 72u
#define HOT_PAIRS 64000u
#define LIVE_ITEMS 2000000u
#define OVERWRITES 100000u

struct bench {
	struct item_memory *memory;
	struct item_pool *pool;
	struct grace_period period;
	struct reclaim *reclaim;
	struct item **items; /* LIVE_ITEMS of them */
	uint64_t random;
	uint32_t poll_max;
};

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static struct item *new_item(struct item_pool *pool, uint32_t size)
{
	struct item *item = item_pool_alloc(pool, size);

	if (!item) {
		fprintf(stderr, "bench_item_pool: out of memory\n");
		exit(EXIT_FAILURE);
	}
	item->value_size = (uint16_t)(size - ITEM_HEADER_SIZE);
	return item;
}

/* --- Each returns cycles per operation --- */

static double hot_pair(struct bench *bench)
{
	uint64_t start = rte_rdtsc();

	for (uint32_t i = 0; i < HOT_PAIRS; i++)
		item_pool_free(bench->pool, new_item(bench->pool, ITEM_BYTES));
	return (double)(rte_rdtsc() - start) / HOT_PAIRS;
}

static double hot_burst(struct bench *bench)
{
	struct item *burst[32];
	uint64_t start = rte_rdtsc();

	for (uint32_t i = 0; i < HOT_PAIRS / 32; i++) {
		for (uint32_t j = 0; j < 32; j++)
			burst[j] = new_item(bench->pool, ITEM_BYTES);
		for (uint32_t j = 0; j < 32; j++)
			item_pool_free(bench->pool, burst[j]);
	}
	return (double)(rte_rdtsc() - start) / (HOT_PAIRS / 32 * 32);
}

static double hot_burst_of_sizes(struct bench *bench)
{
	struct item *burst[32];
	uint64_t start = rte_rdtsc();

	for (uint32_t i = 0; i < HOT_PAIRS / 32; i++) {
		for (uint32_t j = 0; j < 32; j++)
			burst[j] = new_item(bench->pool, 40 + (i * 7 + j * 37) % 1000);
		for (uint32_t j = 0; j < 32; j++)
			item_pool_free(bench->pool, burst[j]);
	}
	return (double)(rte_rdtsc() - start) / (HOT_PAIRS / 32 * 32);
}

static double hot_burst_malloc(struct bench *bench)
{
	void *burst[32];
	uint64_t start = rte_rdtsc();

	(void)bench;
	for (uint32_t i = 0; i < HOT_PAIRS / 32; i++) {
		for (uint32_t j = 0; j < 32; j++) {
			burst[j] = malloc(ITEM_BYTES);
			memset(burst[j], 0, ITEM_HEADER_SIZE);
		}
		for (uint32_t j = 0; j < 32; j++)
			free(burst[j]);
	}
	return (double)(rte_rdtsc() - start) / (HOT_PAIRS / 32 * 32);
}

/* An overwrite as a shard does it, but the old item is freed at once: all blocks cold. */
static double cold_overwrite(struct bench *bench)
{
	uint64_t start = rte_rdtsc();

	for (uint32_t i = 0; i < OVERWRITES; i++) {
		uint64_t victim = next_random(&bench->random) % LIVE_ITEMS;
		struct item *item = new_item(bench->pool, ITEM_BYTES);

		item_pool_free(bench->pool, bench->items[victim]);
		bench->items[victim] = item;
	}
	return (double)(rte_rdtsc() - start) / OVERWRITES;
}

/* The whole of it: retired, freed in bags after a grace period. */
static double cold_overwrite_retiring(struct bench *bench)
{
	uint64_t start = rte_rdtsc();

	for (uint32_t i = 0; i < OVERWRITES; i++) {
		uint64_t victim = next_random(&bench->random) % LIVE_ITEMS;
		struct item *item = new_item(bench->pool, ITEM_BYTES);

		reclaim_retire(bench->reclaim, bench->items[victim], 0);
		bench->items[victim] = item;
		if (i % 32 == 31)
			reclaim_poll(bench->reclaim, bench->poll_max);
		if (i % 4096 == 4095)
			bench->period.completed = ++bench->period.started;
	}
	return (double)(rte_rdtsc() - start) / OVERWRITES;
}

static void free_nothing(void *context, void *object, uint32_t argument)
{
	(void)object;
	*(uint64_t *)context += argument;
}

static double retire_alone(struct bench *bench)
{
	struct grace_period period = { 0 };
	struct reclaim *reclaim;
	uint64_t sum = 0;
	uint64_t start;

	if (reclaim_create(&reclaim, &period, free_nothing, &sum) < 0)
		exit(EXIT_FAILURE);
	start = rte_rdtsc();
	for (uint32_t i = 0; i < HOT_PAIRS; i++) {
		reclaim_retire(reclaim, bench->items[i % 64], i);
		if (i % 32 == 31)
			reclaim_poll(reclaim, 64);
		if (i % 4096 == 4095)
			period.completed = ++period.started;
	}
	start = rte_rdtsc() - start;
	reclaim_destroy(reclaim);
	return (double)start / HOT_PAIRS;
}

static double poll_idle(struct bench *bench)
{
	uint64_t start = rte_rdtsc();

	for (uint32_t i = 0; i < HOT_PAIRS; i++) {
		reclaim_poll(bench->reclaim, 64);
		item_pool_compact_next(bench->pool, 16);
	}
	return (double)(rte_rdtsc() - start) / HOT_PAIRS;
}

/* --- The table --- */

static void free_item(void *context, void *object, uint32_t argument)
{
	struct bench *bench = context;

	(void)argument;
	item_pool_free(bench->pool, object);
}

static void measure(struct bench *bench, const char *name, double (*run)(struct bench *))
{
	double least = run(bench);

	for (uint32_t round = 1; round < ROUNDS; round++) {
		double cycles = run(bench);

		if (cycles < least)
			least = cycles;
	}
	printf("%-52s %8.1f cycles\n", name, least);
}

static void fill(struct bench *bench)
{
	struct item_memory_options options = { .limit_bytes = UINT64_C(400) << 20,
					       .huge_pages = true };
	struct item_memory_stats stats;
	uint64_t start;

	bench->items = calloc(LIVE_ITEMS, sizeof(bench->items[0]));
	if (!bench->items || item_memory_create(&bench->memory, &options) < 0 ||
	    item_pool_create(&bench->pool, bench->memory) < 0 ||
	    reclaim_create(&bench->reclaim, &bench->period, free_item, bench) < 0)
		exit(EXIT_FAILURE);
	item_memory_stats(bench->memory, &stats);
	start = rte_rdtsc();
	for (uint32_t i = 0; i < LIVE_ITEMS; i++)
		bench->items[i] = new_item(bench->pool, ITEM_BYTES);
	printf("%u items of %u bytes on %s pages\n", LIVE_ITEMS, ITEM_BYTES,
	       stats.huge_pages ? "huge" : "plain");
	printf("%-52s %8.1f cycles\n", "first fill, with the kernel's page faults",
	       (double)(rte_rdtsc() - start) / LIVE_ITEMS);
}

int main(void)
{
	struct bench *bench = aligned_alloc(64, (sizeof(*bench) + 63) / 64 * 64);

	if (!bench)
		return EXIT_FAILURE;
	memset(bench, 0, sizeof(*bench));
	bench->random = 88172645463325252;
	fill(bench);
	measure(bench, "hot: alloc + free of one item", hot_pair);
	measure(bench, "hot: alloc + free, 32 at a time", hot_burst);
	measure(bench, "hot: alloc + free, 32 at a time, 40..1039 bytes", hot_burst_of_sizes);
	measure(bench, "hot: malloc + free, 32 at a time, for comparison", hot_burst_malloc);
	measure(bench, "cold: alloc + free of a random item", cold_overwrite);
	bench->poll_max = 40;
	measure(bench, "cold: alloc + retire of a random item, poll of 40",
		cold_overwrite_retiring);
	bench->poll_max = 1000;
	measure(bench, "cold: alloc + retire of a random item, poll of 1000",
		cold_overwrite_retiring);
	measure(bench, "retire + poll, per object, freeing nothing", retire_alone);
	measure(bench, "nothing to do: reclaim_poll + item_pool_compact_next", poll_idle);
	reclaim_destroy(bench->reclaim);
	item_pool_destroy(bench->pool);
	item_memory_destroy(bench->memory);
	free(bench->items);
	free(bench);
	return EXIT_SUCCESS;
}
