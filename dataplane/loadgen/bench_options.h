/* SPDX-License-Identifier: BSD-3-Clause */
/* godwit-bench's command line. */
#ifndef LOADGEN_BENCH_OPTIONS_H
#define LOADGEN_BENCH_OPTIONS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/dataplane.h"
#include "dataplane/loadgen/load_settings.h"

#define BENCH_CPUS_MAX LOAD_WORKERS_MAX

enum bench_action {
	BENCH_RUN,
	BENCH_SHOW_HELP,
	BENCH_SHOW_VERSION,
};

struct bench_options {
	enum bench_action action;
	/* where */
	struct in_addr server;
	uint16_t server_port;
	bool over_port;           /* a DPDK port, else kernel sockets */
	struct port_options port; /* with our own address */
	bool server_mac_known;
	uint8_t server_mac[6];
	bool checksum;
	bool echo;
	uint32_t worker_count;
	uint32_t cpu_count; /* 0 = as the system likes */
	uint32_t cpus[BENCH_CPUS_MAX];
	uint32_t queues;   /* memif; 0 = as many as workers */
	uint32_t sessions; /* per worker and server worker */
	/* what */
	struct workload workload;
	bool load;
	uint32_t ops;
	uint64_t seed;
	/* how */
	double rate;          /* operations per second of all workers; 0 = closed loop */
	uint32_t outstanding; /* closed loop: datagrams per worker */
	double warmup_seconds;
	double duration_seconds;
	double timeout_ms;
	uint32_t retries;
	/* judging */
	bool verify;
	bool missing_allowed;
	double loss_limit_percent;
	double late_limit_us; /* < 0: as fits the transport */
	double late_share_percent;
	/* output */
	const char *json; /* file, "-" = standard output, NULL = none */
	bool quiet;
	int eal_argc; /* arguments behind "--" */
	char **eal_argv;
};

/* Parses 'argv' into 'options', which keeps pointers into it. 0, or -1 with one line in 'error'
 * that says what is wrong. Names of hosts are looked up here.
 */
int bench_options_parse(struct bench_options *options, int argc, char **argv, char *error,
			size_t error_size);

/* Prints every option, and examples. */
void bench_options_print_help(void);

#endif
