/* SPDX-License-Identifier: BSD-3-Clause */
/* What this machine has for a node: CPUs, memory, huge pages. */
#ifndef CONTROLPLANE_MACHINE_H
#define CONTROLPLANE_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MACHINE_CPU_MAX 1024u

struct machine {
	uint32_t cpu_count;
	uint16_t cpus[MACHINE_CPU_MAX]; /* that this process may run on, ascending */
	uint64_t memory_bytes;
	uint64_t huge_page_bytes; /* of one page; 0 = the kernel has none */
	uint64_t huge_pages_free; /* neither used nor promised to anyone */
};

/* Reads the real machine; what cannot be read is 0. */
void machine_read(struct machine *machine);

/* Takes what is known of memory from the text of /proc/meminfo. */
void machine_read_meminfo(struct machine *machine, const char *meminfo);

bool machine_has_cpu(const struct machine *machine, uint32_t cpu);

/* Writes CPUs as the kernel lists them, "0-3,6"; 'cpus' ascend. Returns 'text', which is cut at
 * 'size' bytes.
 */
const char *machine_cpu_list(const uint16_t *cpus, uint32_t count, char *text, size_t size);

#endif
