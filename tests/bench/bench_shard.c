/* SPDX-License-Identifier: BSD-3-Clause */
/* What a shard's operations cost: cycles per GET and SET, the slowest operation during growth,
 * resident bytes per item.
 *
 * usage: bench_shard [KEYS] [--huge] 16-byte keys, 32-byte values, uniform; default 1,000,000 keys
 *
 * Cycles are the median over batches of what one batch took, divided by its operations; rdtsc
 * around the batch. 'lookup' is shard_lookup() alone, 'GET' adds the digest, the mark for eviction
 * and a copy of the value, 'SET' is everything from digest to publication, its share of freeing
 * what it replaced included. Grace periods pass after each batch.
 */
#include <rte_cycles.h>
#include <rte_eal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <urcu-qsbr.h>

#include "storage/expiry.h"
#include "storage/item_memory.h"
#include "storage/shard.h"

#define VALUE_SIZE 32u
#define KEY_SIZE 16u
#define PARTITIONS 64u
#define ROUNDS 20000u
#define WORK_MAX 64u
#define DAY_MS (UINT64_C(24) * 3600 * 1000)

#define TENTHS_MAX 2000u

/* How long operations took, by tenths of a microsecond. */
struct durations {
	uint64_t count;
	uint64_t slowest; /* cycles */
	uint64_t tenths_us[TENTHS_MAX + 1];
};

struct bench {
	struct key_secret secret;
	struct grace_period period;
	struct item_memory *memory;
	struct shard *shard;
	uint64_t key_count;
	uint64_t random;
	uint64_t now_ms;
	uint64_t expires_at_ms; /* of what is written */
	uint8_t keys[SHARD_BATCH_MAX][KEY_SIZE];
	uint8_t reply[SHARD_BATCH_MAX][VALUE_SIZE];
	struct shard_batch batch;
	uint64_t cycles_per_us;
	struct durations operations;
	struct durations slices; /* of background work */
	uint64_t cycles_slice_total;
	uint64_t preempted; /* operations and slices left out, because the thread lost its core */
	long switches;      /* involuntary, when last looked */
};

static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static size_t resident_bytes(void)
{
	unsigned long total, resident;
	FILE *file = fopen("/proc/self/statm", "r");

	if (!file || fscanf(file, "%lu %lu", &total, &resident) != 2)
		abort();
	fclose(file);
	return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void write_key(uint8_t *key, uint64_t number)
{
	memcpy(key, &number, sizeof(number));
	memcpy(key + sizeof(number), "godwit..", sizeof(number));
}

/* What the scheduler took away from the thread is not the shard's doing. */
static void note_duration(struct bench *bench, uint64_t cycles, struct durations *durations)
{
	uint64_t tenths = cycles * 10 / bench->cycles_per_us;
	struct rusage usage;

	durations->count++;
	durations->tenths_us[tenths < TENTHS_MAX ? tenths : TENTHS_MAX]++;
	if (cycles <= durations->slowest || tenths < 50)
		return;
	getrusage(RUSAGE_THREAD, &usage);
	if (usage.ru_nivcsw == bench->switches)
		durations->slowest = cycles;
	else
		bench->preempted++;
	bench->switches = usage.ru_nivcsw;
}

/* The microseconds that all but one in 'one_in' stayed below. */
static double duration_quantile(const struct durations *durations, uint64_t one_in)
{
	uint64_t left = durations->count - durations->count / one_in;
	uint32_t tenths = 0;

	while (tenths < TENTHS_MAX && left > durations->tenths_us[tenths])
		left -= durations->tenths_us[tenths++];
	return (tenths + 1) / 10.0;
}

static void turn(struct bench *bench)
{
	uint64_t cycles = rte_rdtsc_precise();

	shard_background(bench->shard, bench->now_ms, WORK_MAX);
	cycles = rte_rdtsc_precise() - cycles;
	bench->cycles_slice_total += cycles;
	note_duration(bench, cycles, &bench->slices);
	rcu_quiescent_state();
	bench->period.started++;
	bench->period.completed = bench->period.started;
}

static void choose_keys(struct bench *bench, uint32_t count, bool random, uint64_t first)
{
	for (uint32_t i = 0; i < count; i++)
		write_key(bench->keys[i],
			  random ? next_random(&bench->random) % bench->key_count : first + i);
	bench->batch.count = count;
}

static void digest_keys(struct bench *bench)
{
	for (uint32_t i = 0; i < bench->batch.count; i++) {
		struct key_ref *key = &bench->batch.keys[i];

		key->bytes = bench->keys[i];
		key->size = KEY_SIZE;
		key->partition = bench->keys[i][0] % PARTITIONS;
		key->digest = key_digest(&bench->secret, key->bytes, KEY_SIZE);
	}
}

static void get_batch(struct bench *bench)
{
	digest_keys(bench);
	shard_lookup(bench->shard, &bench->batch);
	for (uint32_t i = 0; i < bench->batch.count; i++) {
		struct item *item = bench->batch.items[i];

		if (!item)
			abort();
		shard_mark_visited(item);
		memcpy(bench->reply[i], item_value(item), VALUE_SIZE);
	}
}

static void set_one(struct bench *bench, uint32_t i)
{
	struct item *item = shard_item_create(bench->shard, &bench->batch.keys[i], VALUE_SIZE);

	if (!item)
		abort();
	memset(item_value_unpublished(item), (int)i, VALUE_SIZE);
	item_set_expires_at_ms(item, bench->expires_at_ms);
	if (shard_put(bench->shard, &bench->batch, i, item) != STATUS_OK)
		abort();
}

static void set_batch(struct bench *bench)
{
	digest_keys(bench);
	shard_lookup(bench->shard, &bench->batch);
	for (uint32_t i = 0; i < bench->batch.count; i++)
		set_one(bench, i);
}

static void delete_batch(struct bench *bench)
{
	uint64_t version;

	digest_keys(bench);
	shard_lookup(bench->shard, &bench->batch);
	for (uint32_t i = 0; i < bench->batch.count; i++)
		shard_remove(bench->shard, &bench->batch, i, &version);
}

static void lookup_batch(struct bench *bench)
{
	shard_lookup(bench->shard, &bench->batch);
}

static int compare_cycles(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* 'prepare' and 'restore' are not timed; each may be NULL. */
struct measured {
	const char *what;
	uint32_t count; /* operations per batch */
	void (*prepare)(struct bench *bench);
	void (*run)(struct bench *bench);
	void (*restore)(struct bench *bench);
};

static void measure(struct bench *bench, const struct measured *measured)
{
	uint32_t count = measured->count;

	uint64_t *cycles = calloc(ROUNDS, sizeof(*cycles));
	uint64_t background = bench->cycles_slice_total;

	if (!cycles)
		abort();
	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint64_t start;

		choose_keys(bench, count, true, 0);
		digest_keys(bench);
		if (measured->prepare)
			measured->prepare(bench);
		start = rte_rdtsc_precise();
		measured->run(bench);
		cycles[round] = rte_rdtsc_precise() - start;
		if (measured->restore)
			measured->restore(bench);
		turn(bench);
	}
	background = (bench->cycles_slice_total - background) / ROUNDS / count;
	qsort(cycles, ROUNDS, sizeof(*cycles), compare_cycles);
	printf("%-22s x%-3u %6lu cycles median %6lu p10, background %lu\n", measured->what, count,
	       cycles[ROUNDS / 2] / count, cycles[ROUNDS / 10] / count, background);
	free(cycles);
}

/* Writes the keys of the batch one by one, timing each: not to the cycle, which would cost more. */
static void set_batch_timed(struct bench *bench)
{
	digest_keys(bench);
	shard_lookup(bench->shard, &bench->batch);
	for (uint32_t i = 0; i < bench->batch.count; i++) {
		uint64_t start = rte_rdtsc();

		set_one(bench, i);
		note_duration(bench, rte_rdtsc() - start, &bench->operations);
	}
}

/* Inserts all keys from the first table on. */
static void fill(struct bench *bench)
{
	uint64_t total = 0;
	uint64_t housekeeping = 0;

	bench->cycles_slice_total = 0;
	for (uint64_t first = 0; first < bench->key_count; first += SHARD_BATCH_MAX) {
		uint64_t left = bench->key_count - first;
		uint64_t start;

		choose_keys(bench, left < SHARD_BATCH_MAX ? (uint32_t)left : SHARD_BATCH_MAX, false,
			    first);
		start = rte_rdtsc_precise();
		set_batch_timed(bench);
		total += rte_rdtsc_precise() - start;
		turn(bench);
		start = rte_rdtsc_precise();
		shard_housekeeping(bench->shard);
		item_memory_housekeeping(bench->memory);
		housekeeping += rte_rdtsc_precise() - start;
	}
	printf("%-22s x%-3u %6lu cycles mean, background %lu, housekeeping %lu\n",
	       "SET new, growing", SHARD_BATCH_MAX, total / bench->key_count,
	       bench->cycles_slice_total / bench->key_count, housekeeping / bench->key_count);
}

static void report_durations(const struct bench *bench, const char *what,
			     const struct durations *durations)
{
	printf("%s in us: 99 %% below %.1f, 99.9 %% %.1f, 99.99 %% %.1f, slowest %.1f\n", what,
	       duration_quantile(durations, 100), duration_quantile(durations, 1000),
	       duration_quantile(durations, 10000),
	       (double)durations->slowest / (double)bench->cycles_per_us);
}

static void report_growth(const struct bench *bench)
{
	struct shard_stats stats;

	shard_stats(bench->shard, &stats);
	printf("growth: %lu times, %lu entries moved\n", stats.index_grown, stats.index_moved);
	report_durations(bench, "operations", &bench->operations);
	report_durations(bench, "slices", &bench->slices);
	printf("left out of the slowest: %lu that were preempted\n", bench->preempted);
}

static void report_memory(const struct bench *bench, size_t before)
{
	struct shard_stats stats;
	double items;
	double resident = (double)(resident_bytes() - before);

	shard_stats(bench->shard, &stats);
	items = (double)stats.items;
	printf("resident: %.1f bytes per item over key and value (item header and rounding %.1f, "
	       "slot 8.0, index %.1f)\n",
	       resident / items - KEY_SIZE - VALUE_SIZE,
	       (double)stats.pool.slabs * ITEM_SLAB_SIZE / items - KEY_SIZE - VALUE_SIZE,
	       resident / items - 8 - (double)stats.pool.slabs * ITEM_SLAB_SIZE / items);
	printf("index: capacity %lu, %.0f %% full, growing: %s\n", stats.index_capacity,
	       100 * items / (double)stats.index_capacity, stats.is_growing ? "yes" : "no");
}

/* Writes the first 'count' keys again, to expire in ten days. */
static void set_expiry(struct bench *bench, uint64_t count)
{
	for (uint64_t first = 0; first < count; first += SHARD_BATCH_MAX) {
		uint64_t left = count - first;

		choose_keys(bench, left < SHARD_BATCH_MAX ? (uint32_t)left : SHARD_BATCH_MAX, false,
			    first);
		bench->expires_at_ms = bench->now_ms + 10 * DAY_MS;
		set_batch(bench);
		bench->expires_at_ms = 0;
		turn(bench);
	}
}

/* The share of a core that the sweep takes: a round's cycles by the time a round has. */
static void measure_sweep(struct bench *bench, const char *what)
{
	uint64_t cycles = 0;

	for (uint64_t ms = 0; ms < EXPIRY_ROUND_MS; ms++) {
		uint64_t start = rte_rdtsc_precise();

		bench->now_ms++;
		while (shard_background(bench->shard, bench->now_ms, WORK_MAX) > 0)
			;
		cycles += rte_rdtsc_precise() - start;
	}
	printf("sweep, %-20s %.2f %% of a core\n", what,
	       100.0 * (double)cycles * 1000 / EXPIRY_ROUND_MS / (double)rte_get_tsc_hz());
}

static void open_bench(struct bench *bench, bool huge)
{
	struct item_memory_options memory_options = { .limit_bytes =
							      bench->key_count * 100 + (64 << 20),
						      .huge_pages = huge };
	struct shard_options options = {
		.name = "bench",
		.worker_count = 1,
		.partition_count = PARTITIONS,
		.period = &bench->period,
		.secret = &bench->secret,
	};

	for (uint32_t i = 0; i < KEY_SECRET_SIZE; i++)
		bench->secret.bytes[i] = (uint8_t)next_random(&bench->random);
	if (item_memory_create(&bench->memory, &memory_options) != 0)
		abort();
	options.memory = bench->memory;
	if (shard_create(&bench->shard, &options) != 0)
		abort();
}

static void start_eal(void)
{
	static char *argv[] = { "bench",       "--no-huge", "-m",
				"64",          "--no-pci",  "--no-telemetry",
				"-l",          "0",         "--no-shconf",
				"--log-level", "3",         "--file-prefix",
				"bench-shard", NULL };

	if (rte_eal_init((int)(sizeof(argv) / sizeof(argv[0])) - 1, argv) < 0)
		abort();
	rcu_register_thread();
}

int main(int argc, char **argv)
{
	static const struct measured table[] = {
		{ "lookup", 32, NULL, lookup_batch, NULL },
		{ "lookup", 1, NULL, lookup_batch, NULL },
		{ "GET", 32, NULL, get_batch, NULL },
		{ "GET", 1, NULL, get_batch, NULL },
		{ "SET overwrite", 32, NULL, set_batch, NULL },
		{ "SET overwrite", 1, NULL, set_batch, NULL },
		{ "SET new", 32, delete_batch, set_batch, NULL },
		{ "DELETE", 32, NULL, delete_batch, set_batch },
	};
	static struct bench bench;
	size_t before;

	bench.random = 1;
	bench.now_ms = 1;
	bench.key_count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
	start_eal();
	bench.cycles_per_us = rte_get_tsc_hz() / 1000000;
	before = resident_bytes();
	open_bench(&bench, argc > 2 && strcmp(argv[2], "--huge") == 0);
	printf("%lu keys\n", bench.key_count);
	fill(&bench);
	report_growth(&bench);
	for (uint32_t i = 0; i < 100000; i++)
		turn(&bench);
	shard_housekeeping(bench.shard);
	report_memory(&bench, before);
	for (uint32_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		measure(&bench, &table[i]);
	measure_sweep(&bench, "no item expires");
	set_expiry(&bench, 1);
	measure_sweep(&bench, "one item expires");
	set_expiry(&bench, bench.key_count);
	measure_sweep(&bench, "all items expire");
	shard_destroy(bench.shard);
	item_memory_destroy(bench.memory);
	rcu_unregister_thread();
	return 0;
}
