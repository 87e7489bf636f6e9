/* SPDX-License-Identifier: BSD-3-Clause */
/* Hit ratio of a shard that evicts, against exact LRU of as many items, on the same requests.
 *
 * usage: bench_eviction
 *
 * Each request reads a key and writes it when it is absent. The keys are ten times as many as fit.
 */
#include <rte_eal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <urcu-qsbr.h>

#include "storage/item_memory.h"
#include "storage/shard.h"
#include "tests/cache_trace.h"

#define REQUESTS 6000000u
#define WARM_UP 2000000u
#define KEYS 400000u
#define VALUE_SIZE 56u
#define MEMORY_BYTES (4u << 20)
#define REQUESTS_PER_TURN 32u
#define REQUESTS_PER_MS 1000u

struct cache {
	struct key_secret secret;
	struct grace_period period;
	struct item_memory *memory;
	struct shard *shard;
	uint64_t refused; /* writes that found no memory */
};

struct result {
	uint64_t requests;
	uint64_t hits;
	uint64_t lru_hits;
	double items; /* held on average */
	uint64_t refused;
};

static void open_cache(struct cache *cache)
{
	struct item_memory_options memory_options = { .limit_bytes = MEMORY_BYTES };
	struct shard_options options = {
		.name = "bench",
		.worker_count = 1,
		.partition_count = 16,
		.eviction = EVICTION_ON,
		.period = &cache->period,
		.secret = &cache->secret,
	};

	*cache = (struct cache){ 0 };
	if (item_memory_create(&cache->memory, &memory_options) != 0)
		abort();
	options.memory = cache->memory;
	if (shard_create(&cache->shard, &options) != 0)
		abort();
}

static void close_cache(struct cache *cache)
{
	shard_destroy(cache->shard);
	item_memory_destroy(cache->memory);
}

static bool read_through(struct cache *cache, uint64_t key)
{
	struct shard_batch batch = { .count = 1 };
	struct item *item;

	batch.keys[0] = (struct key_ref){
		.digest = key_digest(&cache->secret, &key, sizeof(key)),
		.bytes = (const uint8_t *)&key,
		.size = sizeof(key),
		.partition = (uint16_t)(key % 16),
	};
	shard_lookup(cache->shard, &batch);
	if (batch.items[0]) {
		shard_mark_visited(batch.items[0]);
		return true;
	}
	item = shard_item_create(cache->shard, &batch.keys[0], VALUE_SIZE);
	if (!item) {
		cache->refused++;
		return false;
	}
	memset(item_value_unpublished(item), 0, VALUE_SIZE);
	if (shard_put(cache->shard, &batch, 0, item) != STATUS_OK)
		abort();
	return false;
}

static void turn(struct cache *cache, uint64_t now_ms)
{
	shard_background(cache->shard, now_ms, 64);
	shard_housekeeping(cache->shard);
	rcu_quiescent_state();
	cache->period.started++;
	cache->period.completed = cache->period.started;
}

static void run_cache(const struct trace_options *options, struct result *result)
{
	struct shard_stats stats;
	struct cache cache;
	struct trace trace;

	open_cache(&cache);
	trace_open(&trace, options);
	for (uint32_t i = 0; i < REQUESTS; i++) {
		bool hit = read_through(&cache, trace_next(&trace));

		if (i % REQUESTS_PER_TURN == 0)
			turn(&cache, 1 + i / REQUESTS_PER_MS);
		if (i < WARM_UP)
			continue;
		if (i == WARM_UP)
			cache.refused = 0;
		result->requests += !trace_is_scanning(&trace);
		result->hits += hit;
		if (i % 1024 == 0) {
			shard_stats(cache.shard, &stats);
			result->items += (double)stats.items * 1024 / (REQUESTS - WARM_UP);
		}
	}
	result->refused = cache.refused;
	close_cache(&cache);
}

static void run_lru(const struct trace_options *options, struct result *result)
{
	struct trace trace;
	struct lru lru;

	lru_open(&lru, (uint32_t)result->items, (uint64_t)KEYS + REQUESTS);
	trace_open(&trace, options);
	for (uint32_t i = 0; i < REQUESTS; i++) {
		bool hit = lru_read(&lru, trace_next(&trace));

		result->lru_hits += i >= WARM_UP && hit;
	}
	lru_close(&lru);
}

static void compare(const char *name, const struct trace_options *options)
{
	struct result result = { 0 };

	run_cache(options, &result);
	run_lru(options, &result);
	printf("%-28s %7.0f items  hit ratio %.4f  LRU %.4f  difference %+.4f  refused %lu\n", name,
	       result.items, (double)result.hits / (double)result.requests,
	       (double)result.lru_hits / (double)result.requests,
	       ((double)result.hits - (double)result.lru_hits) / (double)result.requests,
	       result.refused);
}

static void start_eal(void)
{
	static char *argv[] = { "bench",
				"--no-huge",
				"-m",
				"64",
				"--no-pci",
				"--no-telemetry",
				"-l",
				"0",
				"--no-shconf",
				"--log-level",
				"3",
				"--file-prefix",
				"bench-eviction",
				NULL };

	if (rte_eal_init((int)(sizeof(argv) / sizeof(argv[0])) - 1, argv) < 0)
		abort();
	rcu_register_thread();
}

int main(void)
{
	struct trace_options options = { .seed = 7, .key_count = KEYS, .theta = 0.99 };

	start_eal();
	compare("zipf 0.99", &options);
	options.scan_every = 100000;
	options.scan_length = 40000;
	compare("zipf 0.99, scans of 40,000", &options);
	options.scan_every = 20000;
	options.scan_length = 20000;
	compare("zipf 0.99, half scans", &options);
	options.scan_every = 0;
	options.theta = 0.8;
	compare("zipf 0.8", &options);
	rcu_unregister_thread();
	return 0;
}
