/* SPDX-License-Identifier: BSD-3-Clause */
/* EAL arguments, and threads on lcores. */
#include "dataplane/loadgen/bench_eal.h"

#include <errno.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_common.h>
#include <rte_lcore.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/failure.h"

#define ARGS_MAX 96
#define TEXT_SIZE 1024

/* Packet buffers: each queue's rings and caches, and what its worker holds. */
#define MEMORY_MB 128u
#define MEMORY_PER_QUEUE_MB 24u

/* An argument vector for rte_eal_init; its strings live as long as it does, for EAL keeps pointers.
 */
struct eal_args {
	int count;
	char *values[ARGS_MAX];
	char lcores[TEXT_SIZE];
	char prefix[64];
	char memory_mb[16];
};

static void add(struct eal_args *args, const char *value)
{
	if (args->count < ARGS_MAX - 1)
		args->values[args->count++] = (char *)(uintptr_t)value;
}

/* Free 2 MB huge pages, in MB. */
static unsigned free_huge_mb(void)
{
	FILE *file = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "r");
	unsigned pages = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%u", &pages) != 1)
		pages = 0;
	fclose(file);
	return pages * 2;
}

/* Appends the CPUs this process may use, as (0,1,...). */
static size_t write_all_cpus(char *text, size_t size)
{
	cpu_set_t set;
	size_t used = (size_t)snprintf(text, size, "(");

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		CPU_SET(0, &set);
	for (unsigned cpu = 0; cpu < CPU_SETSIZE && used < size - 8; cpu++) {
		if (CPU_ISSET(cpu, &set))
			used += (size_t)snprintf(text + used, size - used, "%s%u",
						 used == 1 ? "" : ",", cpu);
	}
	return used + (size_t)snprintf(text + used, size - used, ")");
}

/* lcore 0 is the main one, on any CPU, for it sleeps; worker i is lcore i + 1. */
static void write_lcores(const struct bench_options *options, char *text, size_t size)
{
	size_t used = (size_t)snprintf(text, size, "0@");

	used += write_all_cpus(text + used, size - used);
	for (uint32_t i = 0; i < options->worker_count && used < size - 16; i++) {
		used += (size_t)snprintf(text + used, size - used, ",%u@", i + 1);
		if (options->cpu_count)
			used += (size_t)snprintf(text + used, size - used, "%u", options->cpus[i]);
		else
			used += write_all_cpus(text + used, size - used);
	}
}

/* Whether the caller's own arguments say where memory comes from. */
static bool chooses_memory(const struct bench_options *options)
{
	for (int i = 0; i < options->eal_argc; i++) {
		if (strcmp(options->eal_argv[i], "--no-huge") == 0 ||
		    strcmp(options->eal_argv[i], "--in-memory") == 0 ||
		    strncmp(options->eal_argv[i], "--huge-dir", 10) == 0)
			return true;
	}
	return false;
}

/* Huge pages when enough are free, else plain ones, which EAL wants sized. */
static void add_memory(struct eal_args *args, unsigned memory_mb)
{
	if (free_huge_mb() >= memory_mb) {
		add(args, "--in-memory");
		return;
	}
	snprintf(args->memory_mb, sizeof(args->memory_mb), "%u", memory_mb);
	add(args, "--no-huge");
	add(args, "-m");
	add(args, args->memory_mb);
}

static void build_args(struct eal_args *args, const struct bench_options *options)
{
	uint32_t queues = RTE_MAX(options->worker_count, options->queues);
	unsigned memory_mb = MEMORY_MB + queues * MEMORY_PER_QUEUE_MB;

	memset(args, 0, sizeof(*args));
	write_lcores(options, args->lcores, sizeof(args->lcores));
	snprintf(args->prefix, sizeof(args->prefix), "godwit-bench-%d", (int)getpid());
	add(args, "godwit-bench");
	add(args, "--lcores");
	add(args, args->lcores);
	add(args, "--file-prefix");
	add(args, args->prefix);
	add(args, "--no-telemetry");
	add(args, "--no-shconf");
	add(args, "--log-level");
	add(args, "error");
	if (options->port.kind != PORT_PCI)
		add(args, "--no-pci");
	if (!chooses_memory(options))
		add_memory(args, memory_mb);
	for (int i = 0; i < options->eal_argc; i++)
		add(args, options->eal_argv[i]);
}

int bench_eal_start(const struct bench_options *options, char *error, size_t error_size)
{
	const struct failure failure = { error, error_size };
	struct eal_args args;

	build_args(&args, options);
	if (rte_eal_init(args.count, args.values) >= 0)
		return 0;
	return failure_set(&failure, -rte_errno, "DPDK does not start (%s): see its lines above",
			   rte_strerror(rte_errno));
}

void bench_eal_stop(void)
{
	rte_eal_cleanup();
	rmdir(rte_eal_get_runtime_dir()); /* made for this process number; the EAL leaves it, empty */
}

int bench_eal_thread_start(void *context, uint32_t worker, int (*body)(void *), void *argument)
{
	(void)context;
	return rte_eal_remote_launch(body, argument, worker + 1);
}

void bench_eal_thread_join(void *context, uint32_t worker)
{
	(void)context;
	rte_eal_wait_lcore(worker + 1);
}
