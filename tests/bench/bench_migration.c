/* SPDX-License-Identifier: BSD-3-Clause */
/* What a partition's move costs each thread that has a part in it, without a network: nanoseconds per key, and the MB/s of values
 * that the thread could move if it did nothing else.
 *
 * usage: bench_migration [VALUE_SIZE [KEYS]]; 16-byte keys; default 1000 and as many keys as make 200 MB
 *
 * Both nodes live in one thread, on cores that are stepped: what is measured is processor time. The best of several moves counts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "controlplane/bus_crypto.h"
#include "controlplane/migration_export.h"
#include "controlplane/migration_import.h"
#include "controlplane/sync_record.h"
#include "controlplane/world.h"
#include "tests/unit/unit.h"
#include "tests/unit/unit_dataplane.h"

#define BATCH_SIZE (256u * 1024u)
#define TOTAL_BYTES 200000000u
#define MOVES 3u
#define COMMAND_WORK 256u

enum stage {
	STAGE_SCAN,  /* source, control thread: slots, items, records, checksum */
	STAGE_SEAL,  /* source, control thread: encryption */
	STAGE_OPEN,  /* target, control thread: decryption */
	STAGE_CHECK, /* target, control thread: checksum, records */
	STAGE_COPY,  /* target, control thread: copy, hand over to the worker */
	STAGE_APPLY, /* target, worker */
	STAGE_COUNT,
};

static const char *const stage_names[STAGE_COUNT] = {
	[STAGE_SCAN] = "source, control: scan", [STAGE_SEAL] = "source, control: seal",
	[STAGE_OPEN] = "target, control: open", [STAGE_CHECK] = "target, control: check",
	[STAGE_COPY] = "target, control: copy", [STAGE_APPLY] = "target, worker:  apply",
};

struct bench {
	struct world world;
	struct unit_dataplane source;
	struct unit_dataplane target;
	struct migration_export *export;
	struct migration_import *import;
	struct bus_crypto *crypto;
	struct bus_stream out;
	struct bus_stream in;
	struct migration_source_event from_source;
	struct migration_target_event from_target;
	bool has_source_event;
	bool has_target_event;
	uint8_t *sealed;
	uint8_t *plain;
	double seconds[STAGE_COUNT]; /* of this move */
	double best[STAGE_COUNT];
};

static double now_s(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void require(bool what, const char *text)
{
	if (!what) {
		fprintf(stderr, "bench_migration: %s\n", text);
		exit(1);
	}
}

static void on_source(void *context, const struct migration_source_event *event)
{
	struct bench *bench = context;

	bench->from_source = *event;
	bench->has_source_event = true;
}

static void on_target(void *context, const struct migration_target_event *event)
{
	struct bench *bench = context;

	bench->from_target = *event;
	bench->has_target_event = true;
}

static void ask_source(struct bench *bench, const struct migration_source_action *action)
{
	bench->has_source_event = false;
	migration_export_do(bench->export, action);
}

static void ask_target(struct bench *bench, const struct migration_target_action *action)
{
	bench->has_target_event = false;
	migration_import_do(bench->import, action);
}

static void wait_for_source(struct bench *bench)
{
	while (!bench->has_source_event) {
		unit_dataplane_turn(&bench->source);
		migration_export_poll(bench->export);
	}
}

/* A turn of the target's worker as when it has nothing else to do. Returns how long other threads would have worked. */
static double turn_target(struct bench *bench)
{
	struct core *core = bench->target.node.cores[0];
	double at;

	partition_command_run(core, COMMAND_WORK);
	shard_background(core->shard, core->now_ms, 64);
	at = now_s();
	shard_housekeeping(core->shard);
	bench->target.node.period->completed = ++bench->target.node.period->started;
	migration_import_poll(bench->import);
	return now_s() - at;
}

static void wait_for_target(struct bench *bench)
{
	while (!bench->has_target_event) {
		unit_dataplane_turn(&bench->target);
		migration_import_poll(bench->import);
	}
}

/* ---- a move ---- */

static void create_ends(struct bench *bench)
{
	const struct migration_export_options export = {
		.dataplane = &bench->source.dataplane,
		.reader = &bench->source.reader,
		.world = &bench->world,
		.job = 1,
		.attempt = 1,
		.batch_size = BATCH_SIZE,
		.window = 8,
		.ring_size = 1 << 20,
		.answer = on_source,
		.context = bench,
	};
	const struct migration_import_options import = { .dataplane = &bench->target.dataplane,
							 .answer = on_target,
							 .context = bench };

	require(migration_export_create(&bench->export, &export) == 0 &&
			migration_import_create(&bench->import, &import) == 0,
		"no memory");
}

static void begin(struct bench *bench)
{
	const struct migration_source_action mark = { .kind = SOURCE_DO_MARK };
	const struct migration_source_action barrier = { .kind = SOURCE_DO_BARRIER };
	const struct migration_target_action stage = { .kind = TARGET_DO_STAGE };

	ask_source(bench, &mark);
	ask_source(bench, &barrier);
	wait_for_source(bench);
	ask_target(bench, &stage);
	wait_for_target(bench);
}

static void end(struct bench *bench)
{
	const struct migration_source_action unmark = { .kind = SOURCE_DO_UNMARK };
	const struct migration_target_action finalize = { .kind = TARGET_DO_FINALIZE, .epoch = 2 };

	ask_source(bench, &unmark);
	wait_for_source(bench);
	ask_target(bench, &finalize);
	wait_for_target(bench);
	migration_export_destroy(bench->export);
	migration_import_destroy(bench->import);
}

/* Ends a stage that began at '*at'. */
static void lap(struct bench *bench, enum stage stage, double *at)
{
	double now = now_s();

	bench->seconds[stage] += now - *at;
	*at = now;
}

/* One batch from store to store. Returns whether there are more. */
static bool carry(struct bench *bench, uint64_t number)
{
	const struct migration_source_action scan = { .kind = SOURCE_DO_SCAN,
						      .batch = number,
						      .size = BATCH_SIZE };
	const struct migration_source_action release = { .kind = SOURCE_DO_RELEASE_BATCHES,
							 .batch = number };
	struct migration_target_action apply = { .kind = TARGET_DO_APPLY };
	struct sync_frame frame;
	struct sync_batch batch;
	const uint8_t *bytes;
	double at = now_s();
	size_t size;

	ask_source(bench, &scan);
	migration_export_poll(bench->export);
	lap(bench, STAGE_SCAN, &at);
	bytes = migration_export_batch(bench->export, number, &size);
	if (!bytes)
		return !bench->from_source.is_done;
	size = bus_stream_seal(&bench->out, bytes, size, bench->sealed);
	lap(bench, STAGE_SEAL, &at);
	require(bus_stream_open(&bench->in, bench->sealed, size, bench->plain, &size) == BUS_OK,
		"a frame does not open");
	lap(bench, STAGE_OPEN, &at);
	require(sync_frame_decode(&frame, bench->plain, size) == 0 &&
			sync_batch_decode(&batch, &frame) == 0,
		"a frame is broken");
	lap(bench, STAGE_CHECK, &at);
	apply.batch = &batch;
	ask_target(bench, &apply);
	migration_import_poll(bench->import);
	lap(bench, STAGE_COPY, &at);
	while (!bench->has_target_event)
		at += turn_target(bench);
	lap(bench, STAGE_APPLY, &at);
	require(bench->from_target.is_ok, "the target is out of memory");
	migration_export_do(bench->export, &release);
	unit_dataplane_turn(&bench->target); /* grace periods, untimed */
	return !bench->from_source.is_done;
}

static void move(struct bench *bench)
{
	uint64_t number = 1;

	memset(bench->seconds, 0, sizeof(bench->seconds));
	create_ends(bench);
	begin(bench);
	while (carry(bench, number))
		number++;
	end(bench);
	for (uint32_t i = 0; i < STAGE_COUNT; i++) {
		if (bench->best[i] == 0 || bench->seconds[i] < bench->best[i])
			bench->best[i] = bench->seconds[i];
	}
}

/* ---- beginning and report ---- */

static void open_nodes(struct bench *bench, uint32_t value_size, uint32_t keys)
{
	struct unit_node_options options = { .worker_count = 1,
					     .partition_count = 1,
					     .memory_limit_bytes =
						     (size_t)keys * (value_size + 128) * 2 };

	unit_dataplane_create(&bench->source, &options);
	options.number = 1;
	unit_dataplane_create(&bench->target, &options);
	/* Written again in another order, so that the scan meets items all over the memory. */
	for (uint32_t write = 0; write < 2; write++) {
		for (uint32_t i = 0; i < keys; i++) {
			uint64_t number = write == 0 ? i : (uint64_t)i * 2654435761u % keys;

			require(unit_dataplane_put(&bench->source, 0, number, write, value_size, 0),
				"no memory");
			if (i % 64 == 0)
				unit_dataplane_turn(&bench->source);
		}
	}
}

static void open_crypto(struct bench *bench)
{
	static const uint8_t session[BUS_SESSION_SIZE] = { 1 };
	const struct bus_keys keys = { .count = 1 };

	require(bus_crypto_create(&bench->crypto, "bench", &keys, session) == 0, "no encryption");
	bus_stream_init(&bench->out, bench->crypto, session, session, true);
	bus_stream_init(&bench->in, bench->crypto, session, session, true);
	bench->sealed = malloc(BATCH_SIZE + BUS_OVERHEAD);
	bench->plain = malloc(BATCH_SIZE + BUS_OVERHEAD);
	require(bench->sealed && bench->plain, "no memory");
}

static void report_line(const char *name, double seconds, uint32_t value_size, uint32_t keys)
{
	printf("%-28s %8.1f ns/key %10.0f keys/s %8.0f MB/s of values\n", name,
	       seconds / keys * 1e9, keys / seconds, (double)keys * value_size / seconds / 1e6);
}

static void report(const struct bench *bench, uint32_t value_size, uint32_t keys)
{
	double source = bench->best[STAGE_SCAN] + bench->best[STAGE_SEAL];
	double target =
		bench->best[STAGE_OPEN] + bench->best[STAGE_CHECK] + bench->best[STAGE_COPY];

	printf("%u keys of 16 bytes, values of %u bytes\n", keys, value_size);
	for (uint32_t i = 0; i < STAGE_COUNT; i++)
		report_line(stage_names[i], bench->best[i], value_size, keys);
	report_line("source, control: sum", source, value_size, keys);
	report_line("target, control: sum", target, value_size, keys);
}

int main(int argc, char **argv)
{
	uint32_t value_size = argc > 1 ? (uint32_t)atoi(argv[1]) : 1000;
	uint32_t keys = argc > 2 ? (uint32_t)atoi(argv[2]) : TOTAL_BYTES / (value_size + 40);
	struct bench *bench = calloc(1, sizeof(*bench));

	require(bench && value_size <= VALUE_SIZE_MAX && keys > 0, "usage: [VALUE_SIZE [KEYS]]");
	unit_eal_init();
	world_os_init(&bench->world);
	open_nodes(bench, value_size, keys);
	open_crypto(bench);
	for (uint32_t i = 0; i < MOVES; i++)
		move(bench);
	report(bench, value_size, keys);
	free(bench->sealed);
	free(bench->plain);
	bus_crypto_destroy(bench->crypto);
	unit_dataplane_destroy(&bench->source);
	unit_dataplane_destroy(&bench->target);
	free(bench);
	return 0;
}
