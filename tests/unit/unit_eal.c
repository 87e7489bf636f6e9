/* SPDX-License-Identifier: BSD-3-Clause */
/* A small EAL for unit tests: plain pages, no devices, one lcore. */
#include "tests/unit/unit.h"

#include <rte_eal.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <urcu-qsbr.h>

void unit_eal_init(void)
{
	char prefix[64];
	cpu_set_t cpus;
	char *argv[] = { "unit",        "--no-huge", "-m",
			 "1024",        "--no-pci",  "--no-telemetry",
			 "-l",          "0",         "--no-shconf",
			 "--log-level", "3",         "--file-prefix",
			 prefix,        NULL };

	snprintf(prefix, sizeof(prefix), "unit-%d", (int)getpid());
	sched_getaffinity(0, sizeof(cpus), &cpus);
	if (rte_eal_init((int)(sizeof(argv) / sizeof(argv[0])) - 1, argv) < 0) {
		fprintf(stderr, "unit: rte_eal_init failed\n");
		abort();
	}
	/* The EAL pinned this thread, and with it all it will start: tests with threads want cores.
	 */
	sched_setaffinity(0, sizeof(cpus), &cpus);
	rcu_register_thread();
}
