/* SPDX-License-Identifier: BSD-3-Clause */
/* Judging, and saying it. */
#include "dataplane/loadgen/report.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

/* ---- judging ---- */

__attribute__((format(printf, 2, 3))) static void blame(struct report *report, const char *format,
							...)
{
	va_list args;

	if (report->reason_count == REPORT_REASONS_MAX)
		return;
	va_start(args, format);
	vsnprintf(report->reasons[report->reason_count++], REPORT_REASON_SIZE, format, args);
	va_end(args);
}

static double share(uint64_t part, uint64_t whole)
{
	return whole ? (double)part / (double)whole : 0.0;
}

static uint64_t total(const struct runner_result *result, size_t offset)
{
	uint64_t a, b;

	memcpy(&a, (const uint8_t *)result->measured + offset, sizeof(a));
	memcpy(&b, (const uint8_t *)result->rest + offset, sizeof(b));
	return a + b;
}
/* A counter of the whole run, warm-up, load and verify phases included. */
#define TOTAL(result, counter) total((result), offsetof(struct tally, counter))

static void judge_rate(struct report *report)
{
	const struct tally *measured = report->result->measured;
	double late = share(measured->late, measured->planned);

	if (late <= report->options->late_share_percent / 100.0)
		return;
	if (measured->blocked)
		blame(report,
		      "%.2f %% of the datagrams were sent late or never: the server left too many "
		      "requests unanswered "
		      "(--sessions allows more)",
		      100.0 * late);
	else
		blame(report,
		      "%.2f %% of the datagrams were sent late or never: the generator cannot hold "
		      "this rate here",
		      100.0 * late);
}

static void judge_verification(struct report *report)
{
	const struct runner_result *result = report->result;

	if (TOTAL(result, wrong))
		blame(report, "%llu values were never written to their key",
		      (unsigned long long)TOTAL(result, wrong));
	if (TOTAL(result, stale))
		blame(report, "%llu values are older than an acknowledged write",
		      (unsigned long long)TOTAL(result, stale));
	if (TOTAL(result, missing))
		blame(report, "%llu keys are missing", (unsigned long long)TOTAL(result, missing));
}

static void judge_answers(struct report *report)
{
	const struct tally *measured = report->result->measured;
	double lost = share(measured->lost, measured->sent);

	if (lost > report->options->loss_limit_percent / 100.0)
		blame(report, "%.3f %% of the datagrams got no reply", 100.0 * lost);
	if (report->options->duration_seconds > 0 && measured->received_datagrams == 0 &&
	    report->result->failure[0] == '\0')
		blame(report, "no reply came during the measured time");
	if (measured->malformed)
		blame(report, "%llu replies were malformed or refused the datagram as a whole",
		      (unsigned long long)measured->malformed);
	if (measured->need_hello)
		blame(report, "the server ended sessions (%llu replies)",
		      (unsigned long long)measured->need_hello);
}

void report_init(struct report *report, const struct bench_options *options,
		 const struct load_settings *settings, const struct runner_result *result)
{
	memset(report, 0, sizeof(*report));
	report->options = options;
	report->settings = settings;
	report->result = result;
	if (result->failure[0] != '\0')
		blame(report, "%s", result->failure);
	if (result->interrupted)
		blame(report, "interrupted");
	judge_rate(report);
	judge_answers(report);
	judge_verification(report);
}

/* ---- the table ---- */

static const char *distribution_name(enum key_distribution distribution)
{
	static const char *const names[] = {
		[KEY_UNIFORM] = "uniform",
		[KEY_ZIPF] = "zipf",
		[KEY_LATEST] = "latest",
	};

	return names[distribution];
}

static double percentile_us(const struct histogram *histogram, double percent)
{
	return (double)histogram_percentile(histogram, percent) / 1e3;
}

static void print_operation(FILE *file, const char *name, const struct tally *tally, unsigned kind)
{
	const struct histogram *latency = &tally->latency[kind];
	uint64_t ops = histogram_count(latency);
	const uint64_t *statuses = tally->statuses[kind];

	fprintf(file, "  %-14s %12llu %12llu %10llu %8llu  %9.1f %9.1f %9.1f %9.1f %9.1f\n", name,
		(unsigned long long)ops, (unsigned long long)statuses[WIRE_OK],
		(unsigned long long)(statuses[WIRE_NOT_FOUND] + statuses[WIRE_EXISTS_ALREADY] +
				     statuses[WIRE_VERSION_MISMATCH]),
		(unsigned long long)tally_errors(tally, kind), percentile_us(latency, 50),
		percentile_us(latency, 90), percentile_us(latency, 99),
		percentile_us(latency, 99.9), (double)latency->max / 1e3);
}

/* Statuses that mean an error, by name and number. */
static void print_errors(FILE *file, const struct tally *tally)
{
	for (unsigned kind = 0; kind < OPERATION_KIND_COUNT; kind++) {
		for (unsigned status = WIRE_NOT_A_NUMBER; status < WIRE_STATUS_COUNT; status++) {
			if (tally->statuses[kind][status])
				fprintf(file, "  %s answered %s: %llu\n",
					operation_traits[kind].name, tally_status_name(status),
					(unsigned long long)tally->statuses[kind][status]);
		}
	}
}

static void print_title(const struct report *report, FILE *file)
{
	const struct bench_options *options = report->options;
	const struct workload *workload = &options->workload;

	fprintf(file, "godwit-bench: %s loop", options->rate > 0 ? "open" : "closed");
	if (options->rate > 0)
		fprintf(file, ", %.0f ops/s planned", options->rate);
	else
		fprintf(file, ", %u datagrams outstanding per worker", options->outstanding);
	fprintf(file, ", %u worker%s, %u op%s per datagram\n", options->worker_count,
		options->worker_count == 1 ? "" : "s", options->ops, options->ops == 1 ? "" : "s");
	fprintf(file, "  %llu keys, %s, %u-byte keys, %u", (unsigned long long)workload->key_count,
		distribution_name(workload->distribution), workload->format.key_size,
		workload->format.value_size_min);
	if (workload->format.value_size_max != workload->format.value_size_min)
		fprintf(file, "-%u", workload->format.value_size_max);
	fprintf(file, "-byte values%s\n", options->echo ? ", echo" : "");
	if (report->result->preload_keys)
		fprintf(file, "  loaded %llu keys in %.2f s\n",
			(unsigned long long)report->result->preload_keys,
			report->result->preload_seconds);
}

static void print_measured(const struct report *report, FILE *file)
{
	const struct runner_result *result = report->result;
	const struct tally *measured = result->measured;
	double seconds = result->measured_seconds;

	fprintf(file, "\n  %-14s %12s %12s %10s %8s  %9s %9s %9s %9s %9s\n", "operation", "count",
		"ok", "not found", "errors", "p50 us", "p90", "p99", "p99.9", "max");
	for (unsigned kind = 0; kind < OPERATION_KIND_COUNT; kind++) {
		if (measured->latency[kind].max)
			print_operation(file, operation_traits[kind].name, measured, kind);
	}
	print_errors(file, measured);
	fprintf(file, "\n  throughput     %.0f ops/s, %.0f datagrams/s over %.2f s\n",
		(double)measured->received_ops / seconds,
		(double)measured->received_datagrams / seconds, seconds);
	fprintf(file, "  loss           %llu of %llu datagrams (%.4f %%), %llu sent again\n",
		(unsigned long long)measured->lost, (unsigned long long)measured->sent,
		100.0 * share(measured->lost, measured->sent),
		(unsigned long long)measured->retried);
	if (measured->put_off)
		fprintf(file, "  put off        %llu operations were answered RETRY and asked again\n",
			(unsigned long long)measured->put_off);
	if (report->options->rate > 0)
		fprintf(file, "  lateness       %llu of %llu planned (%.3f %%), at most %.1f us\n",
			(unsigned long long)measured->late, (unsigned long long)measured->planned,
			100.0 * share(measured->late, measured->planned),
			clock_seconds(&report->settings->clock, measured->late_ticks_max) * 1e6);
	else
		fprintf(file, "  latency counts from the moment of sending: a closed loop waits "
			      "for the server\n");
}

void report_print(const struct report *report, FILE *file)
{
	const struct runner_result *result = report->result;

	print_title(report, file);
	if (result->measured && result->measured_seconds > 0)
		print_measured(report, file);
	if (report->options->verify)
		fprintf(file,
			"  verification   %llu replies checked: %llu wrong, %llu stale, %llu "
			"missing\n",
			(unsigned long long)TOTAL(result, checked),
			(unsigned long long)TOTAL(result, wrong),
			(unsigned long long)TOTAL(result, stale),
			(unsigned long long)TOTAL(result, missing));
	for (unsigned i = 0; i < report->reason_count; i++)
		fprintf(file, "  INVALID        %s\n", report->reasons[i]);
	fprintf(file, "  result         %s\n", report_is_valid(report) ? "valid" : "INVALID");
}

/* ---- JSON ---- */

static json_t *integer(uint64_t value)
{
	return json_integer((json_int_t)value);
}

static json_t *json_config(const struct report *report)
{
	const struct bench_options *options = report->options;
	const struct workload *workload = &options->workload;
	json_t *mix = json_object();

	for (unsigned kind = 0; kind < OPERATION_KIND_COUNT; kind++) {
		if (workload_has(workload, kind))
			json_object_set_new(mix, operation_traits[kind].name,
					    json_real(workload->shares[kind]));
	}
	return json_pack(
		"{s:s, s:b, s:f, s:i, s:i, s:i, s:i, s:I, s:i, s:i, s:i, s:s, s:f, s:o, s:f, s:f, "
		"s:I}",
		"loop", options->rate > 0 ? "open" : "closed", "echo", options->echo,
		"rate_ops_per_s", options->rate, "outstanding", (int)options->outstanding,
		"workers", (int)options->worker_count, "sessions", (int)options->sessions,
		"ops_per_datagram", (int)options->ops, "keys", (json_int_t)workload->key_count,
		"key_size", (int)workload->format.key_size, "value_size_min",
		(int)workload->format.value_size_min, "value_size_max",
		(int)workload->format.value_size_max, "distribution",
		distribution_name(workload->distribution), "zipf_exponent", workload->exponent,
		"mix", mix, "warmup_s", options->warmup_seconds, "duration_s",
		options->duration_seconds, "seed", (json_int_t)options->seed);
}

static json_t *json_latency(const struct histogram *histogram)
{
	return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f}", "mean", histogram_mean(histogram) / 1e3,
			 "p50", percentile_us(histogram, 50), "p90", percentile_us(histogram, 90),
			 "p99", percentile_us(histogram, 99), "p99_9",
			 percentile_us(histogram, 99.9), "max", (double)histogram->max / 1e3);
}

static json_t *json_operation(const struct tally *tally, unsigned kind)
{
	json_t *statuses = json_object();

	for (unsigned status = 0; status < WIRE_STATUS_COUNT; status++) {
		if (tally->statuses[kind][status])
			json_object_set_new(statuses, tally_status_name(status),
					    integer(tally->statuses[kind][status]));
	}
	return json_pack("{s:I, s:I, s:I, s:I, s:o, s:o}", "count",
			 (json_int_t)histogram_count(&tally->latency[kind]), "ok",
			 (json_int_t)tally->statuses[kind][WIRE_OK], "not_found",
			 (json_int_t)tally->statuses[kind][WIRE_NOT_FOUND], "errors",
			 (json_int_t)tally_errors(tally, kind), "statuses", statuses, "latency_us",
			 json_latency(&tally->latency[kind]));
}

static json_t *json_operations(const struct tally *tally)
{
	json_t *operations = json_object();

	for (unsigned kind = 0; kind < OPERATION_KIND_COUNT; kind++) {
		if (tally->latency[kind].max)
			json_object_set_new(operations, operation_traits[kind].name,
					    json_operation(tally, kind));
	}
	return operations;
}

static json_t *json_datagrams(const struct report *report)
{
	const struct runner_result *result = report->result;
	const struct tally *measured = result->measured;

	return json_pack(
		"{s:I, s:I, s:I, s:f, s:I, s:I, s:I, s:I, s:I, s:I}", "sent",
		(json_int_t)measured->sent,
		"received", (json_int_t)measured->received_datagrams, "lost",
		(json_int_t)measured->lost, "loss_share", share(measured->lost, measured->sent),
		"retried", (json_int_t)measured->retried, "put_off_ops",
		(json_int_t)measured->put_off, "malformed", (json_int_t)measured->malformed, "need_hello", (json_int_t)measured->need_hello,
		"unexpected", (json_int_t)(TOTAL(result, unexpected) + result->unexpected),
		"send_errors", (json_int_t)result->send_errors);
}

static json_t *json_lateness(const struct report *report)
{
	const struct tally *measured = report->result->measured;

	return json_pack(
		"{s:I, s:I, s:f, s:f, s:f, s:I}", "planned", (json_int_t)measured->planned, "late",
		(json_int_t)measured->late, "late_share", share(measured->late, measured->planned),
		"limit_us",
		clock_seconds(&report->settings->clock, report->settings->late_limit_ticks) * 1e6,
		"max_us", clock_seconds(&report->settings->clock, measured->late_ticks_max) * 1e6,
		"blocked", (json_int_t)measured->blocked);
}

static json_t *json_reasons(const struct report *report)
{
	json_t *reasons = json_array();

	for (unsigned i = 0; i < report->reason_count; i++)
		json_array_append_new(reasons, json_string(report->reasons[i]));
	return reasons;
}

json_t *report_json(const struct report *report)
{
	const struct runner_result *result = report->result;
	const struct tally *measured = result->measured;
	double seconds = result->measured_seconds > 0 ? result->measured_seconds : 1.0;

	return json_pack("{s:s, s:s, s:b, s:o, s:o, s:{s:f, s:f, s:f}, s:o, s:o, s:o, s:{s:I, "
			 "s:f}, s:{s:b, s:I, s:I, s:I, s:I, s:f},"
			 " s:{s:i, s:i, s:i, s:i}}",
			 "program", "godwit-bench", "version", GODWIT_VERSION, "valid",
			 report_is_valid(report), "invalid_reasons", json_reasons(report), "config",
			 json_config(report), "throughput", "seconds", result->measured_seconds,
			 "ops_per_s", (double)measured->received_ops / seconds, "datagrams_per_s",
			 (double)measured->received_datagrams / seconds, "operations",
			 json_operations(measured), "datagrams", json_datagrams(report), "lateness",
			 json_lateness(report), "load", "keys", (json_int_t)result->preload_keys,
			 "seconds", result->preload_seconds, "verification", "enabled",
			 report->options->verify, "checked", (json_int_t)TOTAL(result, checked),
			 "wrong", (json_int_t)TOTAL(result, wrong), "stale",
			 (json_int_t)TOTAL(result, stale), "missing",
			 (json_int_t)TOTAL(result, missing), "seconds", result->verify_seconds,
			 "server", "workers", (int)result->server.worker_count, "partitions",
			 (int)result->server.partition_count, "value_size_max",
			 (int)result->server.value_size_max, "datagram_size_max",
			 (int)result->server.datagram_size_max);
}

int report_write_json(const struct report *report, const char *path)
{
	json_t *json = report_json(report);
	int result;

	if (!json)
		return -ENOMEM;
	errno = 0;
	result = strcmp(path, "-") == 0 ? json_dumpf(json, stdout, JSON_INDENT(2))
					: json_dump_file(json, path, JSON_INDENT(2));
	if (result == 0 && strcmp(path, "-") == 0)
		printf("\n");
	json_decref(json);
	if (result == 0)
		return 0;
	return errno ? -errno : -EIO;
}
