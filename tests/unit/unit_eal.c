/* SPDX-License-Identifier: BSD-3-Clause */
/* A small EAL for unit tests: plain pages, no devices, lcores on one CPU. */
#include "tests/unit/unit.h"

#include <rte_eal.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <urcu-qsbr.h>

/* "0@5,1@5," for two lcores, when CPU 5 is the first this process may use. */
static void write_lcores(unsigned lcores, const cpu_set_t *cpus, char *text, size_t size)
{
	unsigned cpu = 0;
	size_t used = 0;

	while (cpu < CPU_SETSIZE - 1 && !CPU_ISSET(cpu, cpus))
		cpu++;
	for (unsigned i = 0; i < lcores; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%u@%u", i ? "," : "", i, cpu);
}

/* It is named for this process's number, and the EAL leaves it, empty. */
static void remove_runtime_directory(void)
{
	rmdir(rte_eal_get_runtime_dir());
}

void unit_eal_init_lcores(unsigned lcores)
{
	char prefix[64];
	char cores[256];
	cpu_set_t cpus;
	char *argv[] = { "unit",        "--no-huge", "-m",
			 "1024",        "--no-pci",  "--no-telemetry",
			 "--lcores",    cores,       "--no-shconf",
			 "--log-level", "3",         "--file-prefix",
			 prefix,        NULL };

	CPU_ZERO(&cpus);
	sched_getaffinity(0, sizeof(cpus), &cpus);
	write_lcores(lcores, &cpus, cores, sizeof(cores));
	snprintf(prefix, sizeof(prefix), "unit-%d", (int)getpid());
	if (rte_eal_init((int)(sizeof(argv) / sizeof(argv[0])) - 1, argv) < 0) {
		fprintf(stderr, "unit: rte_eal_init failed\n");
		abort();
	}
	atexit(remove_runtime_directory);
	/* The EAL pinned this thread, and with it all it will start: tests with threads want cores.
	 */
	sched_setaffinity(0, sizeof(cpus), &cpus);
}

void unit_eal_init(void)
{
	unit_eal_init_lcores(1);
	rcu_register_thread();
}
