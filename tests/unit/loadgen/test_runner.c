/* SPDX-License-Identifier: BSD-3-Clause */
/* Whole runs over kernel sockets against a server that misbehaves in a known way. */
#include <stdlib.h>
#include <string.h>

#include "dataplane/loadgen/report.h"
#include "dataplane/loadgen/runner.h"
#include "dataplane/loadgen/transport_socket.h"
#include "tests/unit/loadgen/responder.h"
#include "tests/unit/unit.h"

#define KEYS 2000u

/* One run: its options, the server, and what came out. */
struct trial {
	struct bench_options options;
	struct load_settings settings;
	struct runner_plan plan;
	struct responder *responder;
	struct runner_result result;
	struct report report;
	int status;
};

/* A run of 0.3 s of 'mix' over KEYS keys, preloaded and verified, against a server without faults.
 */
static void trial_init(struct trial *trial, const char *mix)
{
	char *argv[] = { (char *)(uintptr_t) "godwit-bench", NULL };
	char error[256];

	memset(trial, 0, sizeof(*trial));
	trial->responder = responder_create();
	CU_ASSERT_PTR_NOT_NULL_FATAL(trial->responder);
	CU_ASSERT_EQUAL_FATAL(bench_options_parse(&trial->options, 1, argv, error, sizeof(error)),
			      0);
	CU_ASSERT_FATAL(workload_parse_mix(&trial->options.workload, mix, error, sizeof(error)));
	trial->options.workload.key_count = KEYS;
	trial->options.workload.counter_count = 100;
	trial->options.load = true;
	trial->options.verify = true;
	trial->options.outstanding = 32;
	trial->options.duration_seconds = 0.3;
	trial->options.warmup_seconds = 0.05;
	trial->options.ops = 4;
}

static void fill_settings(struct trial *trial)
{
	const struct bench_options *options = &trial->options;
	struct load_settings *settings = &trial->settings;

	clock_rate_measure(&settings->clock);
	settings->workload = options->workload;
	settings->server_port = trial->responder->port;
	settings->worker_count = options->worker_count;
	settings->flows_per_server_worker = options->sessions;
	settings->ops_per_datagram = options->ops;
	settings->load_ops_per_datagram = 8;
	settings->outstanding_max = options->outstanding;
	settings->datagrams_per_second = options->rate / options->ops / options->worker_count;
	settings->timeout_ticks = clock_ticks(&settings->clock, options->timeout_ms / 1e3);
	settings->retries = options->retries;
	settings->late_limit_ticks = clock_ticks(&settings->clock, 0.01);
	settings->seed = options->seed;
	settings->ledger =
		ledger_create(settings->workload.key_count, settings->workload.counter_count);
	CU_ASSERT_PTR_NOT_NULL_FATAL(settings->ledger);
	trial->plan = (struct runner_plan){
		.preload = options->load,
		.verify = options->verify,
		.warmup_seconds = options->warmup_seconds,
		.duration_seconds = options->duration_seconds,
		.stop_fd = trial->plan.stop_fd ? trial->plan.stop_fd : -1,
	};
}

static void trial_run(struct trial *trial)
{
	const struct in_addr server = { htonl(INADDR_LOOPBACK) };
	struct runner_pthreads pthreads = { 0 };
	const struct runner_threads threads = { runner_pthread_start, runner_pthread_join,
						&pthreads };
	struct transport *transports[LOAD_WORKERS_MAX];

	CU_ASSERT_FATAL(responder_start(trial->responder));
	fill_settings(trial);
	for (uint32_t i = 0; i < trial->settings.worker_count; i++)
		transports[i] = transport_socket_create(&server);
	trial->status =
		runner_run(&trial->settings, &trial->plan, transports, &threads, &trial->result);
	for (uint32_t i = 0; i < trial->settings.worker_count; i++)
		transports[i]->ops->destroy(transports[i]);
	responder_stop(trial->responder);
	report_init(&trial->report, &trial->options, &trial->settings, &trial->result);
}

static void trial_fini(struct trial *trial)
{
	ledger_destroy(trial->settings.ledger);
	runner_result_fini(&trial->result);
	responder_destroy(trial->responder);
}

static uint64_t sum(const struct trial *trial, size_t counter)
{
	return *(const uint64_t *)((const uint8_t *)trial->result.measured + counter) +
	       *(const uint64_t *)((const uint8_t *)trial->result.rest + counter);
}
#define SUM(trial, counter) sum((trial), offsetof(struct tally, counter))

static bool blamed(const struct trial *trial, const char *why)
{
	for (unsigned i = 0; i < trial->report.reason_count; i++) {
		if (strstr(trial->report.reasons[i], why))
			return true;
	}
	return false;
}

static void print_reasons(const struct trial *trial)
{
	for (unsigned i = 0; i < trial->report.reason_count; i++)
		printf("reason: %s\n", trial->report.reasons[i]);
}

static void test_a_good_server_gives_a_valid_result(void)
{
	struct trial trial;
	const struct tally *measured;

	trial_init(&trial, "get=50,set=20,cas=10,increment=10,delete=5,insert=5");
	trial_run(&trial);
	measured = trial.result.measured;
	CU_ASSERT_EQUAL(trial.status, 0);
	print_reasons(&trial);
	CU_ASSERT(report_is_valid(&trial.report));
	CU_ASSERT_EQUAL(trial.result.preload_keys, KEYS);
	CU_ASSERT_EQUAL(trial.result.server.worker_count, 1);
	CU_ASSERT(measured->received_ops > 100);
	CU_ASSERT_EQUAL(measured->lost, 0);
	for (unsigned kind = OPERATION_GET; kind <= OPERATION_INCREMENT; kind++) {
		if (workload_has(&trial.options.workload, kind))
			CU_ASSERT(measured->statuses[kind][WIRE_OK] > 0);
		CU_ASSERT_EQUAL(tally_errors(measured, kind), 0);
		CU_ASSERT_EQUAL(histogram_count(&measured->latency[kind]),
				tally_ops(measured, kind));
	}
	/* the verify phase alone looks at every key and counter */
	CU_ASSERT(SUM(&trial, checked) >= KEYS + 100);
	CU_ASSERT_EQUAL(SUM(&trial, wrong) + SUM(&trial, stale) + SUM(&trial, missing), 0);
	CU_ASSERT(trial.responder->sessions_granted >= 4);
	trial_fini(&trial);
}

/* Retransmissions keep their sequence, so the server's window makes every increment count once. */
static void test_retries_hide_loss_and_lose_no_increment(void)
{
	struct trial trial;

	trial_init(&trial, "get=40,set=20,increment=40");
	trial.responder->drop_request_each = 23;
	trial.responder->drop_reply_each = 31;
	trial.options.timeout_ms = 10;
	trial.options.retries = 100;
	trial_run(&trial);
	CU_ASSERT_EQUAL(trial.status, 0);
	print_reasons(&trial);
	CU_ASSERT(report_is_valid(&trial.report));
	CU_ASSERT(SUM(&trial, retried) > 0);
	CU_ASSERT(trial.responder->replayed > 0);
	CU_ASSERT_EQUAL(SUM(&trial, lost), 0);
	trial_fini(&trial);
}

static void test_loss_without_retries_makes_the_result_invalid(void)
{
	struct trial trial;

	trial_init(&trial, "get=50,increment=50");
	trial.responder->drop_reply_each = 29;
	trial.options.timeout_ms = 20;
	trial_run(&trial);
	CU_ASSERT_EQUAL(trial.status, 0);
	CU_ASSERT(trial.result.measured->lost > 0);
	CU_ASSERT(blamed(&trial, "got no reply"));
	/* increments of unknown outcome may or may not be there: that is no wrong value */
	CU_ASSERT_EQUAL(SUM(&trial, wrong), 0);
	trial_fini(&trial);
}

static void test_corrupted_values_are_found(void)
{
	struct trial trial;

	trial_init(&trial, "get=1");
	trial.responder->corrupt_each = 500;
	trial_run(&trial);
	CU_ASSERT_EQUAL(SUM(&trial, wrong), trial.responder->gets / 500);
	CU_ASSERT(blamed(&trial, "never written to their key"));
	trial_fini(&trial);
}

static void test_forgotten_writes_are_found_as_stale(void)
{
	struct trial trial;

	trial_init(&trial, "get=50,set=50");
	trial.responder->forget_write_each = 50;
	trial_run(&trial);
	CU_ASSERT(SUM(&trial, stale) > 0);
	CU_ASSERT_EQUAL(SUM(&trial, wrong), 0);
	CU_ASSERT(blamed(&trial, "older than an acknowledged write"));
	trial_fini(&trial);
}

static void test_lost_keys_are_found_as_missing(void)
{
	struct trial trial;

	trial_init(&trial, "get=1");
	trial.responder->lose_key_each = 100;
	trial.options.duration_seconds = 0;
	trial_run(&trial);
	CU_ASSERT_EQUAL(SUM(&trial, missing), KEYS / 100);
	CU_ASSERT(blamed(&trial, "keys are missing"));
	trial_fini(&trial);
}

static void test_operations_answered_retry_are_loaded_again(void)
{
	struct trial trial;

	trial_init(&trial, "get=1");
	trial.responder->retry_each = 7;
	trial.options.duration_seconds = 0;
	trial_run(&trial);
	CU_ASSERT_EQUAL(trial.status, 0);
	print_reasons(&trial);
	CU_ASSERT(report_is_valid(&trial.report));
	CU_ASSERT(trial.result.rest->statuses[OPERATION_SET][WIRE_RETRY] > 0);
	CU_ASSERT_EQUAL(trial.result.rest->statuses[OPERATION_SET][WIRE_OK], KEYS);
	CU_ASSERT_EQUAL(SUM(&trial, checked), KEYS);
	trial_fini(&trial);
}

/* Each operation that was put off comes again, after the time that was named, and counts once, with all its latency. */
static void test_operations_answered_retry_are_asked_again(void)
{
	struct trial trial;
	const struct tally *measured;

	trial_init(&trial, "get=50,set=30,cas=10,increment=10");
	trial.responder->retry_each = 10;
	trial.responder->retry_us = 5000;
	trial_run(&trial);
	measured = trial.result.measured;
	CU_ASSERT_EQUAL(trial.status, 0);
	print_reasons(&trial);
	CU_ASSERT(report_is_valid(&trial.report));
	CU_ASSERT(measured->put_off > 0);
	for (unsigned kind = 0; kind < OPERATION_KIND_COUNT; kind++) {
		CU_ASSERT_EQUAL(tally_errors(measured, kind), 0);
		CU_ASSERT_EQUAL(histogram_count(&measured->latency[kind]),
				tally_ops(measured, kind));
	}
	/* a tenth of all waited at least once */
	CU_ASSERT(histogram_percentile(&measured->latency[OPERATION_GET], 95) >= 5000000 / 1.01);
	trial_fini(&trial);
}

/* Whoever is asked learns in the end who owns a partition that moves. */
static void test_operations_of_moved_partitions_are_asked_again(void)
{
	struct trial trial;
	const struct tally *measured;

	trial_init(&trial, "get=50,set=50");
	trial.responder->disown_each = 10;
	trial_run(&trial);
	measured = trial.result.measured;
	CU_ASSERT_EQUAL(trial.status, 0);
	print_reasons(&trial);
	CU_ASSERT(report_is_valid(&trial.report));
	CU_ASSERT(measured->put_off > 0);
	CU_ASSERT_EQUAL(tally_errors(measured, OPERATION_GET), 0);
	CU_ASSERT_EQUAL(tally_errors(measured, OPERATION_SET), 0);
	trial_fini(&trial);
}

static void test_who_is_put_off_too_long_is_an_error(void)
{
	struct trial trial;

	trial_init(&trial, "get=1");
	trial.options.load = false;
	trial.options.verify = false;
	trial.options.timeout_ms = 60;
	trial.responder->retry_each = 1; /* all, for ever */
	trial.responder->retry_us = 20000;
	trial_run(&trial);
	CU_ASSERT_EQUAL(trial.status, 0);
	CU_ASSERT(SUM(&trial, put_off) > 0);
	CU_ASSERT_EQUAL(SUM(&trial, statuses[OPERATION_GET][WIRE_OK]), 0);
	CU_ASSERT(SUM(&trial, statuses[OPERATION_GET][WIRE_RETRY]) > 0);
	CU_ASSERT(SUM(&trial, put_off) <= 2 * SUM(&trial, statuses[OPERATION_GET][WIRE_RETRY]));
	trial_fini(&trial);
}

static void test_a_full_server_ends_the_load_phase_with_a_reason(void)
{
	struct trial trial;

	trial_init(&trial, "get=1");
	trial.responder->no_space = true;
	trial_run(&trial);
	CU_ASSERT_EQUAL(trial.status, -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(trial.result.failure, "no_space"));
	CU_ASSERT_PTR_NOT_NULL(strstr(trial.result.failure, "more memory"));
	trial_fini(&trial);
}

static void test_a_forgotten_session_is_opened_again(void)
{
	struct trial trial;

	trial_init(&trial, "get=1");
	trial.responder->forget_session_at = 100;
	trial.options.duration_seconds = 0;
	trial_run(&trial);
	CU_ASSERT_EQUAL(trial.status, 0);
	CU_ASSERT(trial.result.rest->need_hello > 0);
	CU_ASSERT(trial.responder->sessions_granted > 4);
	CU_ASSERT_EQUAL(SUM(&trial, missing), 0);
	trial_fini(&trial);
}

static void test_every_key_goes_to_the_server_worker_that_owns_it(void)
{
	struct trial trial;

	trial_init(&trial, "get=50,set=30,cas=20");
	trial.responder->worker_count = 3;
	trial.options.sessions = 2;
	trial_run(&trial);
	CU_ASSERT_EQUAL(trial.status, 0);
	print_reasons(&trial);
	CU_ASSERT(report_is_valid(&trial.report));
	CU_ASSERT_EQUAL(trial.responder->misrouted, 0);
	CU_ASSERT(trial.responder->sessions_granted >= 6);
	CU_ASSERT_EQUAL(trial.result.server.worker_count, 3);
	CU_ASSERT(trial.result.measured->statuses[OPERATION_CAS][WIRE_OK] > 0);
	trial_fini(&trial);
}

static void test_several_workers_share_the_load(void)
{
	struct trial trial;

	trial_init(&trial, "get=50,set=50");
	trial.options.worker_count = 3;
	trial_run(&trial);
	CU_ASSERT_EQUAL(trial.status, 0);
	print_reasons(&trial);
	CU_ASSERT(report_is_valid(&trial.report));
	CU_ASSERT(trial.responder->sessions_granted >= 12);
	CU_ASSERT_EQUAL(trial.result.rest->statuses[OPERATION_SET][WIRE_OK] +
				trial.result.measured->statuses[OPERATION_SET][WIRE_OK] +
				trial.result.rest->statuses[OPERATION_GET][WIRE_OK] +
				trial.result.measured->statuses[OPERATION_GET][WIRE_OK],
			trial.responder->executed);
	trial_fini(&trial);
}

static void test_the_open_loop_keeps_its_plan(void)
{
	struct trial trial;
	const struct tally *measured;

	trial_init(&trial, "get=1");
	trial.options.ops = 1;
	trial.options.rate = 4000;
	trial.options.duration_seconds = 0.5;
	trial.options.late_share_percent = 100; /* other processes may take the CPU from us */
	trial_run(&trial);
	measured = trial.result.measured;
	CU_ASSERT_EQUAL(trial.status, 0);
	/* a Poisson count of 2,000 within five deviations */
	CU_ASSERT(measured->planned > 2000 - 5 * 45 && measured->planned < 2000 + 5 * 45);
	/* whatever was not sent counts as late */
	CU_ASSERT(measured->sent + measured->late >= measured->planned);
	trial_fini(&trial);
}

/* The server stands still for 0.2 s of 1 s. A generator that waits for it would see one slow
 * request; planned times show what every tenth request would have waited.
 */
static void test_a_stall_shows_in_the_percentiles(void)
{
	struct trial trial;
	const struct histogram *latency;

	trial_init(&trial, "get=1");
	trial.options.load = false;
	trial.options.verify = false;
	trial.options.ops = 1;
	trial.options.rate = 2000;
	trial.options.duration_seconds = 1.0;
	trial.responder->stall_at = 800;
	trial.responder->stall_ms = 200;
	trial_run(&trial);
	latency = &trial.result.measured->latency[OPERATION_GET];
	CU_ASSERT_EQUAL(trial.status, 0);
	CU_ASSERT(histogram_percentile(latency, 90.0) > 50 * 1000000);
	CU_ASSERT(latency->max > 180 * 1000000);
	trial_fini(&trial);
}

static void test_a_rate_nobody_can_hold_is_invalid(void)
{
	struct trial trial;

	trial_init(&trial, "get=1");
	trial.options.ops = 1;
	trial.options.rate = 50e6;
	trial.options.load = false;
	trial.options.verify = false;
	trial.options.timeout_ms = 50;
	trial_run(&trial);
	CU_ASSERT_FALSE(report_is_valid(&trial.report));
	CU_ASSERT(blamed(&trial, "sent late or never"));
	trial_fini(&trial);
}

static void test_a_signal_ends_the_run_early(void)
{
	struct trial trial;
	int fds[2];

	CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
	CU_ASSERT_EQUAL_FATAL(write(fds[1], "", 1), 1);
	trial_init(&trial, "get=1");
	trial.plan.stop_fd = fds[0];
	trial.options.duration_seconds = 3600;
	trial_run(&trial);
	CU_ASSERT_EQUAL(trial.status, -1);
	CU_ASSERT(trial.result.interrupted);
	CU_ASSERT(blamed(&trial, "interrupted"));
	trial_fini(&trial);
	close(fds[0]);
	close(fds[1]);
}

static void test_datagrams_too_large_for_the_server_are_refused(void)
{
	struct trial trial;

	trial_init(&trial, "get=1");
	trial.options.ops = 64;
	trial_run(&trial);
	CU_ASSERT_EQUAL(trial.status, -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(trial.result.failure, "the server's limit is 1472"));
	CU_ASSERT_PTR_NOT_NULL(strstr(trial.result.failure, "--ops"));
	trial_fini(&trial);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_a_good_server_gives_a_valid_result),
		UNIT_TEST(test_retries_hide_loss_and_lose_no_increment),
		UNIT_TEST(test_loss_without_retries_makes_the_result_invalid),
		UNIT_TEST(test_corrupted_values_are_found),
		UNIT_TEST(test_forgotten_writes_are_found_as_stale),
		UNIT_TEST(test_lost_keys_are_found_as_missing),
		UNIT_TEST(test_operations_answered_retry_are_loaded_again),
		UNIT_TEST(test_operations_answered_retry_are_asked_again),
		UNIT_TEST(test_operations_of_moved_partitions_are_asked_again),
		UNIT_TEST(test_who_is_put_off_too_long_is_an_error),
		UNIT_TEST(test_a_full_server_ends_the_load_phase_with_a_reason),
		UNIT_TEST(test_a_forgotten_session_is_opened_again),
		UNIT_TEST(test_every_key_goes_to_the_server_worker_that_owns_it),
		UNIT_TEST(test_several_workers_share_the_load),
		UNIT_TEST(test_the_open_loop_keeps_its_plan),
		UNIT_TEST(test_a_stall_shows_in_the_percentiles),
		UNIT_TEST(test_a_rate_nobody_can_hold_is_invalid),
		UNIT_TEST(test_a_signal_ends_the_run_early),
		UNIT_TEST(test_datagrams_too_large_for_the_server_are_refused),
		{ NULL, NULL },
	};

	return unit_run("runner", tests);
}
