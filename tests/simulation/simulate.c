/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs seeds of the simulation: `build/simulate --help`. */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/simulation/sim.h"
#include "tests/unit/unit.h"

static const char usage[] =
	"usage: simulate [--seed S | --seeds FROM..TO] [--nodes N] [--steps K] [--faults "
	"LIST|all|none]\n"
	"                [--verbose] [--shrink] [--minutes M] [--every-fault] [--until-failure]\n"
	"Runs clusters of 2 to 5 nodes in one thread on virtual time: production code, faults "
	"drawn from the seed,\n"
	"clients that check every answer. Exits with 1 when a seed violates an invariant of "
	"docs/migration.md.\n"
	"  --seed S          one seed; prints the hash of its trace, the same each time\n"
	"  --seeds FROM..TO  all of these\n"
	"  --minutes M       ends after so long, however many seeds that was\n"
	"  --every-fault     the seed takes all of these faults\n"
	"  --until-failure   ends with the first seed that fails\n"
	"  --nodes N         nodes of each cluster (default: by the seed)\n"
	"  --steps K         moves and faults of each seed (default: by the seed)\n"
	"  --verbose         tells all that happens\n"
	"  --shrink          looks for the fewest steps and faults that still fail\n"
	"  --faults LIST     of these, with commas between, the seed takes some (default: all):\n";

struct settings {
	uint64_t first;
	uint64_t last;
	double minutes; /* 0 = no limit */
	bool is_verbose;
	bool is_shrinking;
	bool ends_at_failure;
	struct sim_options sim;
};

struct totals {
	uint64_t seeds;
	struct sim_counts counts;
};

static void print_usage(void)
{
	fputs(usage, stdout);
	for (uint32_t bit = 0; sim_fault_name(bit); bit++)
		printf("                    %-10s %s\n", sim_fault_name(bit), sim_fault_text(bit));
}

static void fail(const char *message, const char *what)
{
	fprintf(stderr, "simulate: %s%s; see --help\n", message, what);
	exit(2);
}

static uint32_t read_faults(char *list)
{
	uint32_t faults = 0, bit;

	if (strcmp(list, "all") == 0)
		return SIM_FAULT_ALL;
	if (strcmp(list, "none") == 0)
		return 0;
	for (const char *name = strtok(list, ","); name; name = strtok(NULL, ",")) {
		for (bit = 0; sim_fault_name(bit) && strcmp(sim_fault_name(bit), name) != 0; bit++)
			;
		if (!sim_fault_name(bit))
			fail("no such fault: ", name);
		faults |= 1u << bit;
	}
	return faults;
}

static uint64_t read_number(const char *text, uint64_t least, uint64_t most)
{
	char *end;
	uint64_t number = strtoull(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || number < least || number > most)
		fail("not a number that is possible here: ", text);
	return number;
}

static void read_range(struct settings *settings, char *text)
{
	char *dots = strstr(text, "..");

	if (!dots)
		fail("expected FROM..TO, not ", text);
	*dots = '\0';
	settings->first = read_number(text, 0, UINT64_MAX);
	settings->last = read_number(dots + 2, settings->first, UINT64_MAX);
}

static void read_option(struct settings *settings, int option, char *argument)
{
	switch (option) {
	case 's':
		settings->first = settings->last = read_number(argument, 0, UINT64_MAX);
		return;
	case 'r':
		read_range(settings, argument);
		return;
	case 'm':
		settings->minutes = (double)read_number(argument, 1, 100000);
		return;
	case 'n':
		settings->sim.node_count = (uint32_t)read_number(argument, 2, SIM_NODE_MAX);
		return;
	case 'k':
		settings->sim.steps = (uint32_t)read_number(argument, 1, 1000000);
		return;
	case 'f':
		settings->sim.faults = read_faults(argument);
		return;
	case 'v':
		settings->is_verbose = true;
		return;
	case 'x':
		settings->is_shrinking = true;
		return;
	case 'e':
		settings->sim.is_every_fault = true;
		return;
	case 'u':
		settings->ends_at_failure = true;
		return;
	case 'h':
		print_usage();
		exit(0);
	default:
		exit(2);
	}
}

static struct settings read_settings(int argc, char **argv)
{
	static const struct option options[] = { { "seed", required_argument, NULL, 's' },
						 { "seeds", required_argument, NULL, 'r' },
						 { "minutes", required_argument, NULL, 'm' },
						 { "nodes", required_argument, NULL, 'n' },
						 { "steps", required_argument, NULL, 'k' },
						 { "faults", required_argument, NULL, 'f' },
						 { "verbose", no_argument, NULL, 'v' },
						 { "shrink", no_argument, NULL, 'x' },
						 { "every-fault", no_argument, NULL, 'e' },
						 { "until-failure", no_argument, NULL, 'u' },
						 { "help", no_argument, NULL, 'h' },
						 { NULL, 0, NULL, 0 } };
	struct settings settings = { .first = 1, .last = 1, .sim = { .faults = SIM_FAULT_ALL } };
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		read_option(&settings, option, optarg);
	if (optind < argc)
		fail("unexpected argument: ", argv[optind]);
	return settings;
}

static void add(struct totals *totals, const struct sim_counts *counts)
{
	totals->seeds++;
	totals->counts.events += counts->events;
	totals->counts.operations += counts->operations;
	totals->counts.unknown += counts->unknown;
	totals->counts.failed += counts->failed;
	totals->counts.moves += counts->moves;
	for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++)
		totals->counts.faults[i] += counts->faults[i];
	totals->counts.duration_us += counts->duration_us;
	totals->counts.damaged += counts->damaged;
	totals->counts.renewed += counts->renewed;
	totals->counts.haunted += counts->haunted;
	totals->counts.lost += counts->lost;
	totals->counts.crowded += counts->crowded;
	totals->counts.missed += counts->missed;
	totals->counts.replayed += counts->replayed;
	totals->counts.departures += counts->departures;
	totals->counts.expired += counts->expired;
	totals->counts.evicted += counts->evicted;
	for (uint32_t i = 0; i < SIM_LIMIT_COUNT; i++) {
		totals->counts.limits[i] += counts->limits[i];
		totals->counts.limit_writes[i] += counts->limit_writes[i];
	}
	if (counts->longest_us > totals->counts.longest_us)
		totals->counts.longest_us = counts->longest_us;
}

static void print_totals(const struct totals *totals)
{
	const struct sim_counts *counts = &totals->counts;

	printf("%" PRIu64 " seeds, %.1f h of virtual time, %" PRIu64 " operations (%" PRIu64
	       " unknown, %" PRIu64 " refused), %" PRIu64 " moves",
	       totals->seeds, (double)counts->duration_us / 3.6e9, counts->operations,
	       counts->unknown, counts->failed, counts->moves);
	for (uint32_t bit = 0; bit < SIM_FAULT_COUNT; bit++) {
		if (counts->faults[bit])
			printf(", %" PRIu64 " %s", counts->faults[bit], sim_fault_name(bit));
	}
	if (counts->departures)
		printf(", %" PRIu64 " nodes left", counts->departures);
	if (counts->damaged)
		printf(", %" PRIu64 " damaged frames refused", counts->damaged);
	if (counts->replayed)
		printf(", %" PRIu64 " replayed", counts->replayed);
	if (counts->haunted)
		printf(", %" PRIu64 " writes in sessions that are over", counts->haunted);
	if (counts->crowded + counts->missed)
		printf(", %" PRIu64 " greetings without room, %" PRIu64 " frames without a buffer",
		       counts->crowded, counts->missed);
	if (counts->lost)
		printf(", %" PRIu64 " times a client knew no address any more", counts->lost);
	if (counts->renewed)
		printf(", %" PRIu64 " messages of a later release", counts->renewed);
	if (counts->expired + counts->evicted)
		printf(", %" PRIu64 " items expired, %" PRIu64 " evicted", counts->expired,
		       counts->evicted);
	printf(", known limits:");
	for (uint32_t i = 0; i < SIM_LIMIT_COUNT; i++)
		printf("%s %u met %" PRIu64 " times, %" PRIu64 " writes", i ? ";" : "", i + 1,
		       counts->limits[i], counts->limit_writes[i]);
}

static bool is_failing(const struct sim_options *options, uint32_t steps, uint32_t faults)
{
	struct sim_options tried = *options;
	struct sim_result result;

	tried.steps = steps;
	tried.faults = faults;
	tried.story = NULL;
	sim_run(&tried, &result);
	return result.violation.invariant != 0;
}

/* Fewer faults, then fewer steps, as long as it fails. */
static void shrink(struct sim_options *options)
{
	uint32_t least = 1, most = options->steps ? options->steps : 100;

	for (uint32_t bit = 0; sim_fault_name(bit); bit++) {
		if ((options->faults & 1u << bit) &&
		    is_failing(options, options->steps, options->faults & ~(1u << bit)))
			options->faults &= ~(1u << bit);
	}
	if (is_failing(options, most, options->faults))
		options->steps = most;
	while (options->steps && least < most) {
		uint32_t middle = (least + most) / 2;

		if (is_failing(options, middle, options->faults))
			most = options->steps = middle;
		else
			least = middle + 1;
	}
}

static void print_faults(uint32_t faults)
{
	const char *comma = "";

	for (uint32_t bit = 0; sim_fault_name(bit); bit++) {
		if (!(faults & 1u << bit))
			continue;
		printf("%s%s", comma, sim_fault_name(bit));
		comma = ",";
	}
	if (!*comma)
		printf("none");
}

/* Tells what went wrong: the last of what happened, the invariant, how to see it again. */
static void report(const struct settings *settings, struct sim_options *options)
{
	char story[] = "/tmp/simulate.XXXXXX", command[128];
	struct sim_result result;
	int fd;

	if (settings->is_shrinking)
		shrink(options);
	fd = mkstemp(story);
	options->story = fd >= 0 ? fdopen(fd, "w") : NULL;
	sim_run(options, &result);
	if (options->story) {
		fclose(options->story);
		snprintf(command, sizeof(command), "tail -n 25 %s; rm %s", story, story);
		fflush(stdout);
		if (system(command) != 0)
			printf("(no story)\n");
	}
	printf("seed %" PRIu64 ": invariant %u is violated after %.6f s: %s\n", options->seed,
	       result.violation.invariant, (double)result.violation.at_us / 1e6,
	       result.violation.story);
	printf("again: simulate --verbose --seed %" PRIu64, options->seed);
	if (options->node_count)
		printf(" --nodes %u", options->node_count);
	if (options->steps)
		printf(" --steps %u", options->steps);
	printf(" --faults ");
	print_faults(options->faults);
	printf("%s\n", options->is_every_fault ? " --every-fault" : "");
}

/* What a signal's handler knows. */
static struct {
	volatile uint64_t seed;
	struct sigaction before[NSIG];
} dying;

/* A seed that a signal ends, an assertion's above all, is told like any other. Then the signal does what it did before:
 * a sanitizer has its own report to make.
 */
static void on_signal(int number)
{
	char line[80];
	int size = snprintf(line, sizeof(line), "seed %" PRIu64 ": died of signal %d\n", dying.seed,
			    number);

	if (write(STDOUT_FILENO, line, (size_t)size) != size)
		_exit(1);
	sigaction(number, &dying.before[number], NULL);
	raise(number);
}

static void watch_signals(void)
{
	static const int numbers[] = { SIGABRT, SIGSEGV, SIGBUS, SIGFPE };
	const struct sigaction told = { .sa_handler = on_signal, .sa_flags = SA_NODEFER };

	for (uint32_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaction(numbers[i], &told, &dying.before[numbers[i]]);
}

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Returns how many seeds failed. */
static uint64_t run_seeds(const struct settings *settings, struct totals *totals)
{
	double start = seconds_now(), told = start;
	uint64_t failed = 0;

	for (uint64_t seed = settings->first; seed <= settings->last; seed++) {
		struct sim_options options = settings->sim;
		struct sim_result result;

		dying.seed = seed;
		options.seed = seed;
		options.story = settings->is_verbose ? stdout : NULL;
		sim_run(&options, &result);
		add(totals, &result.counts);
		if (result.violation.invariant != 0) {
			failed++;
			report(settings, &options);
		}
		if (settings->first == settings->last)
			printf("seed %" PRIu64 ": trace %016" PRIx64 "\n", seed, result.trace);
		if (seconds_now() - told > 10) {
			told = seconds_now();
			printf("... seed %" PRIu64 ", %" PRIu64 " failed, %.1f seeds/s\n", seed,
			       failed, (double)totals->seeds / (told - start));
			fflush(stdout);
		}
		if ((settings->minutes > 0 && seconds_now() - start > settings->minutes * 60) ||
		    (settings->ends_at_failure && failed > 0))
			break;
	}
	return failed;
}

int main(int argc, char **argv)
{
	const struct settings settings = read_settings(argc, argv);
	struct totals totals = { 0 };
	uint64_t failed;

	unit_eal_init();
	watch_signals();
	failed = run_seeds(&settings, &totals);
	print_totals(&totals);
	printf(", %" PRIu64 " failed\n", failed);
	return failed != 0;
}
