/* SPDX-License-Identifier: BSD-3-Clause */
/* The machine as the scheduler and /proc describe it. */
#include "controlplane/machine.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMINFO_SIZE 8192u

/* The number behind "name:" at the start of a line, 0 when there is none. */
static uint64_t meminfo_number(const char *meminfo, const char *name)
{
	size_t size = strlen(name);

	for (const char *line = meminfo; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, size) == 0 && line[size] == ':')
			return strtoull(line + size + 1, NULL, 10);
	}
	return 0;
}

void machine_read_meminfo(struct machine *machine, const char *meminfo)
{
	uint64_t free = meminfo_number(meminfo, "HugePages_Free");
	uint64_t promised = meminfo_number(meminfo, "HugePages_Rsvd");

	machine->memory_bytes = meminfo_number(meminfo, "MemTotal") * 1024;
	machine->huge_page_bytes = meminfo_number(meminfo, "Hugepagesize") * 1024;
	machine->huge_pages_free = free > promised ? free - promised : 0;
}

static void read_cpus(struct machine *machine)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return;
	for (uint32_t cpu = 0; cpu < CPU_SETSIZE && cpu < MACHINE_CPU_MAX; cpu++) {
		if (CPU_ISSET(cpu, &set))
			machine->cpus[machine->cpu_count++] = (uint16_t)cpu;
	}
}

void machine_read(struct machine *machine)
{
	char meminfo[MEMINFO_SIZE] = "";
	FILE *file = fopen("/proc/meminfo", "re");

	memset(machine, 0, sizeof(*machine));
	read_cpus(machine);
	if (!file)
		return;
	meminfo[fread(meminfo, 1, sizeof(meminfo) - 1, file)] = '\0';
	fclose(file);
	machine_read_meminfo(machine, meminfo);
}

bool machine_has_cpu(const struct machine *machine, uint32_t cpu)
{
	for (uint32_t i = 0; i < machine->cpu_count; i++) {
		if (machine->cpus[i] == cpu)
			return true;
	}
	return false;
}

const char *machine_cpu_list(const uint16_t *cpus, uint32_t count, char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (uint32_t first = 0, last; first < count && used < size; first = last + 1) {
		for (last = first; last + 1 < count && cpus[last + 1] == cpus[last] + 1;)
			last++;
		used += (size_t)snprintf(text + used, size - used,
					 last > first ? "%s%u-%u" : "%s%u", first ? "," : "",
					 cpus[first], cpus[last]);
	}
	return text;
}
