/* SPDX-License-Identifier: BSD-3-Clause */
/* munmap() that waits, in the EAL's interrupt thread alone. */
#include "dataplane/port_detach.h"

#include <rte_alarm.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <urcu-qsbr.h>

/* The one state here, and of one thread only: DPDK offers no place to hang it on. */
static __thread bool waits_before_unmapping;

static void mark_this_thread(void *argument)
{
	(void)argument;
	waits_before_unmapping = true;
}

int port_detach_init(void)
{
	/* alarms ring in the interrupt thread */
	return rte_eal_alarm_set(1, mark_this_thread, NULL);
}

int munmap(void *address, size_t size)
{
	if (waits_before_unmapping)
		synchronize_rcu();
	return (int)syscall(SYS_munmap, address, size);
}
