/* SPDX-License-Identifier: BSD-3-Clause */
/* Migrations of the machines alone under seeded faults: `migration-seeds --seed S` tells all of one, `migration-seeds --seeds FROM..TO
 * --seconds N` runs a range, for a time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/simulation/migration_harness.h"
#include "tests/unit/unit.h"

#define RUN_MS 600u
#define PROGRESS_SECONDS 5

/* Sums over all seeds. */
struct sums {
	uint64_t seeds;
	uint64_t simulated_ms;
	uint64_t failed;
	struct migration_harness_counts counts;
};

static bool is_chosen(uint64_t *random, uint32_t percent)
{
	return unit_random(random) % 100 < percent;
}

/* The seed decides which faults there are, and how many: each on in some of the seeds, and all kinds of pairs. */
static void choose_faults(struct migration_harness_options *options, uint64_t seed)
{
	static const uint32_t rings[] = { 8, 12, 32, 64 };
	uint64_t random = seed;

	migration_harness_options_default(options, seed);
	options->partition_count = 1u << unit_random(&random) % 3;
	options->op_interval_us = 60 + (uint32_t)(unit_random(&random) % 600);
	options->ring_size = rings[unit_random(&random) % 4];
	options->is_ordered = is_chosen(&random, 30);
	options->loss_percent = is_chosen(&random, 50) ? (uint32_t)(unit_random(&random) % 20) : 0;
	options->duplicate_percent =
		is_chosen(&random, 40) ? (uint32_t)(unit_random(&random) % 30) : 0;
	options->corrupt_percent =
		is_chosen(&random, 20) ? (uint32_t)(unit_random(&random) % 5) : 0;
	options->delay_us_max = 200 + (uint32_t)(unit_random(&random) % 5000);
	options->has_cuts = is_chosen(&random, 40);
	options->has_crashes = is_chosen(&random, 40);
	options->has_cancels = is_chosen(&random, 30);
	options->has_rivals = is_chosen(&random, 30);
	options->oom_permille = is_chosen(&random, 20) ? 20 : 0;
	options->fault_interval_ms =
		options->has_cuts || options->has_crashes || options->has_cancels
			? 60 + (uint32_t)(unit_random(&random) % 200)
			: 0;
}

static void add(struct sums *sums, const struct migration_harness *harness)
{
	const struct migration_harness_counts *counts = migration_harness_counts(harness);

	sums->seeds++;
	sums->simulated_ms += migration_harness_now_ms(harness);
	sums->counts.events += counts->events;
	sums->counts.answered += counts->answered;
	sums->counts.started += counts->started;
	sums->counts.migrated += counts->migrated;
	sums->counts.aborted += counts->aborted;
	sums->counts.claimed += counts->claimed;
	sums->counts.crashes += counts->crashes;
}

/* Runs one seed to its end; tells what was violated. */
static void run_seed(struct sums *sums, uint64_t seed, bool is_verbose)
{
	struct migration_harness_options options;
	const struct toy_violation *violation;
	struct migration_harness *harness;

	choose_faults(&options, seed);
	options.is_verbose = is_verbose;
	harness = migration_harness_create(&options);
	migration_harness_run(harness, 100, NULL, NULL);
	migration_harness_rotate(harness, 1000);
	migration_harness_run(harness, RUN_MS, NULL, NULL);
	migration_harness_settle(harness);
	violation = migration_harness_violation(harness);
	add(sums, harness);
	if (violation->invariant != 0) {
		sums->failed++;
		printf("seed %llu: invariant %u at %.3f ms: %s\n", (unsigned long long)seed,
		       violation->invariant, (double)violation->at_us / 1000, violation->story);
	}
	if (is_verbose)
		printf("seed %llu: trace %016llx\n", (unsigned long long)seed,
		       (unsigned long long)migration_harness_trace(harness));
	migration_harness_destroy(harness);
}

static void print_sums(const struct sums *sums, const char *end)
{
	printf("%llu seeds, %.1f hours simulated, %llu events, %llu requests, %llu jobs: %llu "
	       "migrated, %llu "
	       "aborted, %llu claimed; %llu crashes; %llu seeds failed%s",
	       (unsigned long long)sums->seeds, (double)sums->simulated_ms / 3600e3,
	       (unsigned long long)sums->counts.events, (unsigned long long)sums->counts.answered,
	       (unsigned long long)sums->counts.started, (unsigned long long)sums->counts.migrated,
	       (unsigned long long)sums->counts.aborted, (unsigned long long)sums->counts.claimed,
	       (unsigned long long)sums->counts.crashes, (unsigned long long)sums->failed, end);
	fflush(stdout);
}

struct arguments {
	uint64_t from;
	uint64_t to;
	uint64_t seconds; /* 0 = until all seeds are done */
	bool is_verbose;
};

/* False when they make no sense. */
static bool read_arguments(struct arguments *arguments, int argc, char **argv)
{
	*arguments = (struct arguments){ .from = 1, .to = UINT64_MAX };
	for (int i = 1; i < argc; i += 2) {
		char *rest;

		if (i + 1 == argc)
			return false;
		if (strcmp(argv[i], "--seed") == 0) {
			arguments->from = arguments->to = strtoull(argv[i + 1], &rest, 10);
			arguments->is_verbose = true;
		} else if (strcmp(argv[i], "--seeds") == 0) {
			arguments->from = strtoull(argv[i + 1], &rest, 10);
			if (strncmp(rest, "..", 2) != 0)
				return false;
			rest += 2;
			if (*rest != '\0')
				arguments->to = strtoull(rest, &rest, 10);
		} else if (strcmp(argv[i], "--seconds") == 0) {
			arguments->seconds = strtoull(argv[i + 1], &rest, 10);
		} else {
			return false;
		}
		if (*rest != '\0')
			return false;
	}
	return arguments->to != UINT64_MAX || arguments->seconds != 0;
}

int main(int argc, char **argv)
{
	struct arguments arguments;
	struct sums sums = { 0 };
	time_t begin = time(NULL);
	time_t told = begin;

	if (!read_arguments(&arguments, argc, argv)) {
		fprintf(stderr, "usage: %s --seed S | --seeds FROM..[TO] [--seconds N]\n", argv[0]);
		return EXIT_FAILURE;
	}
	for (uint64_t seed = arguments.from; seed <= arguments.to; seed++) {
		time_t now = time(NULL);

		if (arguments.seconds != 0 && now - begin >= (time_t)arguments.seconds)
			break;
		if (now - told >= PROGRESS_SECONDS) {
			print_sums(&sums, "\r");
			told = now;
		}
		run_seed(&sums, seed, arguments.is_verbose);
	}
	print_sums(&sums, "\n");
	return sums.failed == 0 && sums.seeds > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
