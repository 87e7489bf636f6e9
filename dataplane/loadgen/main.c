/* SPDX-License-Identifier: BSD-3-Clause */
/* godwit-bench: loads a server and reports honestly. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "dataplane/loadgen/bench_options.h"
#include "dataplane/loadgen/bench_eal.h"
#include "dataplane/loadgen/report.h"
#include "dataplane/loadgen/runner.h"
#include "dataplane/loadgen/transport_dpdk.h"
#include "dataplane/loadgen/transport_socket.h"

enum exit_code {
	EXIT_VALID = 0,
	EXIT_CANNOT_RUN = 1,
	EXIT_USAGE = 2,
	EXIT_INVALID = 3,
};

#define LINK_WAIT_SECONDS 10.0
#define LATE_LIMIT_PORT_US 100.0
#define LATE_LIMIT_SOCKET_US 1000.0

/* Everything of one invocation, in order of its start. */
struct bench {
	struct bench_options options;
	struct load_settings settings;
	struct transport_dpdk_link *link; /* NULL over sockets */
	struct transport *transports[LOAD_WORKERS_MAX];
	struct runner_pthreads pthreads;
	struct runner_threads threads;
	int stop_fd;
	bool eal_started;
	char error[512];
};

static void complain(const char *error)
{
	fprintf(stderr, "godwit-bench: %s\n", error);
}

/* SIGINT and SIGTERM end the run early by way of a descriptor; must come before any thread starts.
 */
static int open_stop_fd(void)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* As many operations per datagram as fit the smallest MTU the server may have, up to 16. */
static uint32_t load_ops(const struct workload *workload)
{
	struct workload loading = *workload;
	uint32_t ops = 16;

	memset(loading.shares, 0, sizeof(loading.shares));
	loading.shares[OPERATION_GET] = 0.5;
	loading.shares[OPERATION_SET] = 0.5;
	while (ops > 1 && workload_datagram_size_max(&loading, ops) > 1400)
		ops--;
	return ops;
}

static int fill_settings(struct bench *bench)
{
	const struct bench_options *options = &bench->options;
	struct load_settings *settings = &bench->settings;
	double late_limit_us = options->late_limit_us;

	clock_rate_measure(&settings->clock);
	if (late_limit_us < 0)
		late_limit_us = options->over_port ? LATE_LIMIT_PORT_US : LATE_LIMIT_SOCKET_US;
	settings->workload = options->workload;
	settings->missing_allowed = options->missing_allowed || options->workload.format.ttl_ms;
	settings->echo = options->echo;
	settings->server_port = options->server_port;
	settings->worker_count = options->worker_count;
	settings->flows_per_server_worker = options->sessions;
	settings->ops_per_datagram = options->ops;
	settings->load_ops_per_datagram = load_ops(&options->workload);
	settings->outstanding_max = options->outstanding;
	settings->datagrams_per_second = options->rate / options->ops / options->worker_count;
	settings->timeout_ticks = clock_ticks(&settings->clock, options->timeout_ms / 1e3);
	settings->retries = options->retries;
	settings->late_limit_ticks = clock_ticks(&settings->clock, late_limit_us / 1e6);
	settings->seed = options->seed;
	if (!options->verify)
		return 0;
	settings->ledger =
		ledger_create(options->workload.key_count, options->workload.counter_count);
	if (settings->ledger)
		return 0;
	snprintf(bench->error, sizeof(bench->error), "no memory to verify %llu keys",
		 (unsigned long long)options->workload.key_count);
	return -ENOMEM;
}

static int open_port_transports(struct bench *bench)
{
	const struct bench_options *options = &bench->options;
	struct transport_dpdk_options dpdk = {
		.port = options->port,
		.server_ipv4 = ntohl(options->server.s_addr),
		.server_port = options->server_port,
		.queues = (uint16_t)options->queues,
		.server_mac_known = options->server_mac_known || options->echo,
		.checksum = options->checksum,
		.worker_count = (uint16_t)options->worker_count,
	};
	int result;

	memcpy(dpdk.server_mac, options->server_mac, sizeof(dpdk.server_mac));
	if (options->echo && !options->server_mac_known)
		memcpy(dpdk.server_mac, (const uint8_t[]){ 2, 0, 0, 0, 0, 1 },
		       sizeof(dpdk.server_mac));
	result = bench_eal_start(options, bench->error, sizeof(bench->error));
	if (result < 0)
		return result;
	bench->eal_started = true;
	bench->threads =
		(struct runner_threads){ bench_eal_thread_start, bench_eal_thread_join, NULL };
	result = transport_dpdk_open(&bench->link, &dpdk, LINK_WAIT_SECONDS, bench->error,
				     sizeof(bench->error));
	for (uint32_t i = 0; i < options->worker_count && result == 0; i++) {
		bench->transports[i] = transport_dpdk_create(bench->link, (uint16_t)i);
		if (!bench->transports[i])
			result = -ENOMEM;
	}
	return result;
}

static int open_socket_transports(struct bench *bench)
{
	const struct bench_options *options = &bench->options;

	bench->threads = (struct runner_threads){ runner_pthread_start, runner_pthread_join,
						  &bench->pthreads };
	bench->pthreads.cpu_count = options->cpu_count;
	memcpy(bench->pthreads.cpus, options->cpus, sizeof(bench->pthreads.cpus));
	for (uint32_t i = 0; i < options->worker_count; i++) {
		bench->transports[i] = transport_socket_create(&options->server);
		if (!bench->transports[i])
			return -ENOMEM;
	}
	return 0;
}

static int open_transports(struct bench *bench)
{
	int result = bench->options.over_port ? open_port_transports(bench)
					      : open_socket_transports(bench);

	if (result < 0 && bench->error[0] == '\0')
		snprintf(bench->error, sizeof(bench->error), "cannot open the transport: %s",
			 strerror(-result));
	return result;
}

static enum exit_code tell(const struct bench *bench, const struct runner_result *result)
{
	struct report report;
	int written = 0;

	report_init(&report, &bench->options, &bench->settings, result);
	if (!bench->options.json || strcmp(bench->options.json, "-") != 0)
		report_print(&report, stdout);
	if (bench->options.json)
		written = report_write_json(&report, bench->options.json);
	if (written < 0) {
		fprintf(stderr, "godwit-bench: cannot write %s: %s\n", bench->options.json,
			strerror(-written));
		return EXIT_CANNOT_RUN;
	}
	return report_is_valid(&report) ? EXIT_VALID : EXIT_INVALID;
}

static enum exit_code run(struct bench *bench)
{
	const struct bench_options *options = &bench->options;
	const struct runner_plan plan = {
		.preload = options->load,
		.verify = options->verify,
		.warmup_seconds = options->warmup_seconds,
		.duration_seconds = options->duration_seconds,
		.progress_seconds = 1.0,
		.progress = options->quiet ? NULL : stderr,
		.progress_in_place = isatty(STDERR_FILENO),
		.stop_fd = bench->stop_fd,
	};
	struct runner_result result;
	enum exit_code code;

	runner_run(&bench->settings, &plan, bench->transports, &bench->threads, &result);
	if (result.failure[0] != '\0' && result.measured_seconds <= 0) {
		complain(result.failure);
		code = EXIT_CANNOT_RUN;
	} else {
		code = tell(bench, &result);
	}
	runner_result_fini(&result);
	return code;
}

static void fini(struct bench *bench)
{
	for (uint32_t i = 0; i < LOAD_WORKERS_MAX; i++) {
		if (bench->transports[i])
			bench->transports[i]->ops->destroy(bench->transports[i]);
	}
	transport_dpdk_close(bench->link);
	if (bench->eal_started)
		bench_eal_stop();
	ledger_destroy(bench->settings.ledger);
	if (bench->stop_fd >= 0)
		close(bench->stop_fd);
}

int main(int argc, char **argv)
{
	struct bench bench = { .stop_fd = -1 };
	enum exit_code code = EXIT_CANNOT_RUN;

	if (bench_options_parse(&bench.options, argc, argv, bench.error, sizeof(bench.error)) < 0) {
		complain(bench.error);
		return EXIT_USAGE;
	}
	if (bench.options.action == BENCH_SHOW_HELP) {
		bench_options_print_help();
		return EXIT_VALID;
	}
	if (bench.options.action == BENCH_SHOW_VERSION) {
		printf("godwit-bench %s\n", GODWIT_VERSION);
		return EXIT_VALID;
	}
	bench.stop_fd = open_stop_fd();
	if (fill_settings(&bench) < 0 || open_transports(&bench) < 0)
		complain(bench.error);
	else
		code = run(&bench);
	fini(&bench);
	return (int)code;
}
