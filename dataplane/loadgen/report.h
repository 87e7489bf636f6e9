/* SPDX-License-Identifier: BSD-3-Clause */
/* The result of a run: judged, as a table for people, and as JSON (docs/bench.md). */
#ifndef LOADGEN_REPORT_H
#define LOADGEN_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "dataplane/loadgen/bench_options.h"
#include "dataplane/loadgen/runner.h"

#define REPORT_REASONS_MAX 8u
#define REPORT_REASON_SIZE 192u

struct report {
	const struct bench_options *options;
	const struct load_settings *settings;
	const struct runner_result *result;
	unsigned reason_count; /* why the result is invalid; 0 = it is valid */
	char reasons[REPORT_REASONS_MAX][REPORT_REASON_SIZE];
};

/* Judges 'result'. All three must outlive the report. */
void report_init(struct report *report, const struct bench_options *options,
		 const struct load_settings *settings, const struct runner_result *result);

static inline bool report_is_valid(const struct report *report)
{
	return report->reason_count == 0;
}

/* Prints the table. */
void report_print(const struct report *report, FILE *file);

/* The caller's to json_decref(); NULL when there is no memory. */
json_t *report_json(const struct report *report);

/* Writes the JSON to the file 'path', "-" = standard output. 0 or -errno. */
int report_write_json(const struct report *report, const char *path);

#endif
