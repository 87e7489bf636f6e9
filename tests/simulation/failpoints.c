/* SPDX-License-Identifier: BSD-3-Clause */
/* build/failpoints: the matrix of failpoints as a table, or one of its cells as a story. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/simulation/failpoint.h"
#include "tests/unit/unit.h"

struct arguments {
	uint64_t first;
	uint64_t last;
	uint32_t phase; /* FAILPOINT_PHASE_COUNT = all */
	uint32_t fault;
	bool is_verbose;
	bool is_until_failure;
};

static int usage(FILE *stream)
{
	fprintf(stream, "failpoints [--seeds FROM..TO] [--phase NAME] [--fault NAME] [--verbose] "
			"[--until-failure]\n"
			"Each phase of a migration x each fault in it; prints the table of ends, "
			"and each cell that failed.\n"
			"With --verbose it tells all that happens in each cell, with "
			"--until-failure the first seed that fails is the last.\n");
	return stream == stderr ? 2 : 0;
}

static bool find(const char *(*name)(uint32_t), const char *wanted, uint32_t *number)
{
	for (*number = 0; name(*number); ++*number) {
		if (strcmp(name(*number), wanted) == 0)
			return true;
	}
	fprintf(stderr, "failpoints: there is no '%s', but", wanted);
	for (uint32_t i = 0; name(i); i++)
		fprintf(stderr, "%s %s", i ? "," : "", name(i));
	fputc('\n', stderr);
	return false;
}

static bool parse_seeds(const char *text, struct arguments *arguments)
{
	char *end;

	errno = 0;
	arguments->first = strtoull(text, &end, 10);
	arguments->last = arguments->first;
	if (strncmp(end, "..", 2) == 0)
		arguments->last = strtoull(end + 2, &end, 10);
	return errno == 0 && *end == '\0' && arguments->first <= arguments->last;
}

static bool parse(int argc, char **argv, struct arguments *arguments)
{
	static const struct option options[] = {
		{ "seeds", required_argument, NULL, 's' },
		{ "seed", required_argument, NULL, 's' },
		{ "phase", required_argument, NULL, 'p' },
		{ "fault", required_argument, NULL, 'f' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "until-failure", no_argument, NULL, 'u' },
		{ NULL, 0, NULL, 0 },
	};
	bool is_ok = true;
	int option;

	while (is_ok && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 's')
			is_ok = parse_seeds(optarg, arguments);
		else if (option == 'p')
			is_ok = find(failpoint_phase_name, optarg, &arguments->phase);
		else if (option == 'f')
			is_ok = find(failpoint_fault_name, optarg, &arguments->fault);
		else if (option == 'v')
			arguments->is_verbose = true;
		else if (option == 'u')
			arguments->is_until_failure = true;
		else
			is_ok = false;
	}
	return is_ok && optind == argc;
}

/* ---- the table ---- */

#define NAME_WIDTH 22

/* One row for each letter of the longest name. */
static void print_phases(const struct arguments *arguments)
{
	size_t length = 0;

	for (uint32_t p = 0; p < FAILPOINT_PHASE_COUNT; p++) {
		if (strlen(failpoint_phase_name(p)) > length)
			length = strlen(failpoint_phase_name(p));
	}
	for (size_t row = 0; row < length; row++) {
		printf("%*s", NAME_WIDTH, "");
		for (uint32_t p = 0; p < FAILPOINT_PHASE_COUNT; p++) {
			const char *name = failpoint_phase_name(p);
			size_t empty = length - strlen(name);

			if (arguments->phase == FAILPOINT_PHASE_COUNT || arguments->phase == p)
				printf(" %c", row < empty ? ' ' : name[row - empty]);
		}
		putchar('\n');
	}
	printf("%*s", NAME_WIDTH, "");
	for (uint32_t p = 0; p < FAILPOINT_PHASE_COUNT; p++) {
		if (arguments->phase == FAILPOINT_PHASE_COUNT || arguments->phase == p)
			printf(" %c",
			       failpoint_phase_is_of_target((enum failpoint_phase)p) ? 't' : 's');
	}
	putchar('\n');
}

/* Cells that failed. */
static uint64_t run_row(const struct arguments *arguments, uint32_t fault, uint64_t seed)
{
	uint64_t failed = 0;
	struct failpoint_result results[FAILPOINT_PHASE_COUNT];

	printf("%-*s", NAME_WIDTH, failpoint_fault_name(fault));
	for (uint32_t p = 0; p < FAILPOINT_PHASE_COUNT; p++) {
		if (arguments->phase != FAILPOINT_PHASE_COUNT && arguments->phase != p)
			continue;
		failpoint_run((enum failpoint_phase)p, (enum failpoint_fault)fault, seed,
			      arguments->is_verbose ? stdout : NULL, &results[p]);
		printf(" %c", !results[p].was_reached               ? '-'
			      : results[p].violation.invariant != 0 ? '!'
								    : results[p].end);
		fflush(stdout);
	}
	putchar('\n');
	for (uint32_t p = 0; p < FAILPOINT_PHASE_COUNT; p++) {
		if ((arguments->phase != FAILPOINT_PHASE_COUNT && arguments->phase != p) ||
		    failpoint_is_ok((enum failpoint_phase)p, (enum failpoint_fault)fault,
				    &results[p]))
			continue;
		failpoint_explain((enum failpoint_phase)p, (enum failpoint_fault)fault, seed,
				  &results[p], stdout);
		failed++;
	}
	return failed;
}

static void print_legend(void)
{
	static const char letters[] = "DRCLTNVBcdsuf";

	printf("s, t: a phase of the source, of the target\n");
	for (const char *letter = letters; *letter; letter++)
		printf("%c %s\n", *letter, failpoint_end_text(*letter));
}

int main(int argc, char **argv)
{
	struct arguments arguments = { .first = 1,
				       .last = 1,
				       .phase = FAILPOINT_PHASE_COUNT,
				       .fault = FAILPOINT_FAULT_COUNT };
	uint64_t failed = 0, cells = 0;

	if (!parse(argc, argv, &arguments))
		return usage(stderr);
	unit_eal_init();
	for (uint64_t seed = arguments.first;
	     seed <= arguments.last && (failed == 0 || !arguments.is_until_failure); seed++) {
		print_phases(&arguments);
		for (uint32_t f = 0; f < FAILPOINT_FAULT_COUNT; f++) {
			if (arguments.fault != FAILPOINT_FAULT_COUNT && arguments.fault != f)
				continue;
			failed += run_row(&arguments, f, seed);
			cells += arguments.phase == FAILPOINT_PHASE_COUNT ? FAILPOINT_PHASE_COUNT
									  : 1;
		}
	}
	print_legend();
	printf("%" PRIu64 " cells, %" PRIu64 " failed\n", cells, failed);
	return failed ? 1 : 0;
}
