/* SPDX-License-Identifier: BSD-3-Clause */
/* The EAL's arguments, from options and machine. */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "controlplane/eal.h"
#include "dataplane/port.h"

/* "1023," for each second CPU, and "64@1023," for each worker */
#define CPU_LIST_SIZE (5u * MACHINE_CPU_MAX / 2)
#define PINS_SIZE (8u * WORKER_COUNT_MAX)
#define MIB ((uint64_t)1 << 20)

/* Threads of a node that are no workers: control and housekeeping. */
#define OTHER_THREADS 2u

/* What DPDK allocates beside packet buffers: rings, mailboxes, devices, the EAL itself. */
#define DPDK_MIB_BASE 64u
#define DPDK_MIB_PER_WORKER 16u

/* Packet buffers of one worker: those in both rings of its queue, and those it holds. */
#define BUFFERS_HELD_MAX 2048u
#define BUFFER_OVERHEAD_MAX 768u /* bytes: headers of the buffer, headroom, link layer */
#define BUFFER_DATA_MIN 2048u

/* One plan being made. */
struct planning {
	struct eal_plan *plan;
	const struct options *options;
	const struct machine *machine;
	FILE *errors;
	uint32_t mistakes;
};

/* Appends one argument; the last ones are dropped when there are too many, which eal_plan_make()
 * reports.
 */
__attribute__((format(printf, 2, 3))) static void add(struct eal_plan *plan, const char *format,
						      ...)
{
	char *at = plan->text + plan->text_used;
	size_t room = sizeof(plan->text) - plan->text_used;
	va_list arguments;
	int size;

	va_start(arguments, format);
	size = vsnprintf(at, room, format, arguments);
	va_end(arguments);
	if (size < 0 || (size_t)size >= room || plan->argc == (int)EAL_ARGUMENT_MAX)
		return;
	plan->text_used += (size_t)size + 1;
	plan->argv[plan->argc++] = at;
}

/* The largest MTU the port may turn out to have; that of an existing interface is known later. */
static uint32_t mtu_max(const struct options *options)
{
	if (options->data_mtu)
		return options->data_mtu;
	return options->port_kind == PORT_AF_PACKET || options->port_kind == PORT_AF_XDP
		       ? PORT_MTU_MAX
		       : RTE_ETHER_MTU;
}

/* Memory for DPDK. Without huge pages it is address space until it is used, so it may be generous. */
static uint64_t dpdk_bytes(const struct options *options)
{
	uint64_t ring = options->port_ring_size ? options->port_ring_size : PORT_RING_SIZE_DEFAULT;
	uint64_t data = mtu_max(options) > BUFFER_DATA_MIN ? mtu_max(options) : BUFFER_DATA_MIN;
	uint64_t buffers = (2 * ring + BUFFERS_HELD_MAX) * (data + BUFFER_OVERHEAD_MAX);

	return DPDK_MIB_BASE * MIB + options->data_workers * (DPDK_MIB_PER_WORKER * MIB +
							      (buffers + MIB - 1) / MIB * MIB);
}

static void plan_idle(struct planning *p)
{
	uint32_t threads = p->options->data_workers + OTHER_THREADS;

	if (p->options->data_idle == OPTION_IDLE_AUTO)
		p->plan->idle = p->machine->cpu_count >= threads ? IDLE_SPIN : IDLE_ADAPTIVE;
	else
		p->plan->idle =
			p->options->data_idle == OPTION_IDLE_SPIN ? IDLE_SPIN : IDLE_ADAPTIVE;
}

/* Whether each worker has a CPU of its own; else all threads may run anywhere. */
static bool is_pinned(const struct planning *p)
{
	return p->options->data_cores.count != 0 ||
	       (p->plan->idle == IDLE_SPIN && p->machine->cpu_count >= p->options->data_workers);
}

static uint16_t cpu_of_worker(const struct planning *p, uint32_t worker)
{
	if (p->options->data_cores.count)
		return p->options->data_cores.cpus[worker];
	return p->machine->cpus[p->machine->cpu_count - p->options->data_workers + worker];
}

/* The CPUs no worker has for itself, all when there is none. */
static uint32_t cpus_of_control(const struct planning *p, uint16_t cpus[MACHINE_CPU_MAX])
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < p->machine->cpu_count; i++) {
		bool is_taken = false;

		for (uint32_t worker = 0; worker < p->options->data_workers; worker++)
			is_taken |= cpu_of_worker(p, worker) == p->machine->cpus[i];
		if (!is_taken)
			cpus[count++] = p->machine->cpus[i];
	}
	if (count > 0)
		return count;
	memcpy(cpus, p->machine->cpus, sizeof(p->machine->cpus[0]) * p->machine->cpu_count);
	return p->machine->cpu_count;
}

static void plan_cores(struct planning *p)
{
	char list[CPU_LIST_SIZE], pins[PINS_SIZE] = "";
	uint16_t cpus[MACHINE_CPU_MAX];
	size_t used = 0;

	if (!is_pinned(p)) {
		machine_cpu_list(p->machine->cpus, p->machine->cpu_count, list, sizeof(list));
		add(p->plan, "--lcores=(0-%u)@(%s)", p->options->data_workers, list);
		return;
	}
	machine_cpu_list(cpus, cpus_of_control(p, cpus), list, sizeof(list));
	for (uint32_t worker = 0; worker < p->options->data_workers && used < sizeof(pins);
	     worker++)
		used += (size_t)snprintf(pins + used, sizeof(pins) - used, ",%u@%u",
					 eal_worker_lcore(worker), cpu_of_worker(p, worker));
	add(p->plan, "--lcores=0@(%s)%s", list, pins);
}

static void check_cores(struct planning *p)
{
	char all[CPU_LIST_SIZE];

	for (uint32_t i = 0; i < p->options->data_cores.count; i++) {
		uint32_t cpu = p->options->data_cores.cpus[i];

		if (machine_has_cpu(p->machine, cpu))
			continue;
		options_mistake(
			p->options, p->errors, "data.cores",
			"expected CPUs that this process may use (%s), not %u",
			machine_cpu_list(p->machine->cpus, p->machine->cpu_count, all, sizeof(all)),
			cpu);
		p->mistakes++;
	}
}

static void plan_memory(struct planning *p)
{
	uint64_t wanted = p->options->storage_memory + dpdk_bytes(p->options);
	uint64_t page = p->machine->huge_page_bytes;
	uint64_t pages = page ? (wanted + page - 1) / page : 0;
	bool is_enough = page && p->machine->huge_pages_free >= pages;
	bool is_needed = p->options->storage_huge_pages == OPTION_SWITCH_ON ||
			 p->options->port_kind == PORT_PCI;

	p->plan->huge_pages_needed = pages;
	if (is_needed && !is_enough) {
		options_mistake(p->options, p->errors, "storage.huge_pages",
				"%" PRIu64 " free huge pages are needed, there are %" PRIu64
				": run scripts/godwit-setup hugepages %" PRIu64
				", or lower storage.memory",
				pages, p->machine->huge_pages_free, pages);
		p->mistakes++;
		return;
	}
	p->plan->huge_pages = is_enough && p->options->storage_huge_pages != OPTION_SWITCH_OFF;
	if (p->plan->huge_pages)
		return;
	if (p->machine->memory_bytes && wanted > p->machine->memory_bytes) {
		options_mistake(p->options, p->errors, "storage.memory",
				"this machine has %" PRIu64 " MiB of memory; %" PRIu64
				" MiB for items and %" PRIu64 " MiB for packets are more",
				p->machine->memory_bytes / MIB, p->options->storage_memory / MIB,
				dpdk_bytes(p->options) / MIB);
		p->mistakes++;
	}
}

/* --in-memory and --no-shconf leave no file behind, so a killed node starts again without cleaning.
 * They exclude --no-huge and --in-memory together, which the EAL rejects.
 */
static void plan_memory_arguments(struct planning *p)
{
	if (p->plan->huge_pages) {
		add(p->plan, "--in-memory");
		return;
	}
	add(p->plan, "--no-huge");
	add(p->plan, "--no-shconf");
	add(p->plan, "-m");
	add(p->plan, "%" PRIu64, dpdk_bytes(p->options) / MIB);
}

/* The EAL would probe every NIC it has a driver for, or those named to it, before anybody could look
 * whether the kernel still uses them. The data plane looks, then plugs the NIC in itself; so the EAL
 * is given a list of devices that names none: the address of the root of the PCI bus.
 */
static void plan_devices(struct planning *p)
{
	if (p->options->port_kind == PORT_PCI) {
		add(p->plan, "-a");
		add(p->plan, "0000:00:00.0");
		return;
	}
	add(p->plan, "--no-pci");
	add(p->plan, "--iova-mode=va");
}

/* Arguments that godwitd decides itself, and the option that changes them. */
static const struct {
	const char *argument;
	const char *option;
} owned[] = {
	{ "--no-huge", "storage.huge_pages=off" },
	{ "--in-memory", "storage.huge_pages=on" },
	{ "--lcores", "data.cores" },
	{ "-l", "data.cores" },
	{ "-c", "data.cores" },
	{ "--no-telemetry", "dpdk.telemetry=off" },
	{ "--file-prefix", "node.name" },
};

static void plan_extra(struct planning *p, int extra_count, char **extra)
{
	for (int i = 0; i < extra_count; i++) {
		for (size_t o = 0; o < sizeof(owned) / sizeof(owned[0]); o++) {
			size_t size = strlen(owned[o].argument);

			if (strncmp(extra[i], owned[o].argument, size) != 0 ||
			    (size > 2 && extra[i][size] != '\0' && extra[i][size] != '='))
				continue;
			fprintf(p->errors,
				"EAL argument %s: godwitd decides this; set %s instead\n", extra[i],
				owned[o].option);
			p->mistakes++;
			break;
		}
		add(p->plan, "%s", extra[i]);
	}
}

uint32_t eal_plan_make(struct eal_plan *plan, const struct options *options,
		       const struct machine *machine, int extra_count, char **extra, FILE *errors)
{
	struct planning p = { plan, options, machine, errors, 0 };

	memset(plan, 0, sizeof(*plan));
	check_cores(&p);
	plan_idle(&p);
	plan_memory(&p);
	add(plan, "godwitd");
	plan_cores(&p);
	plan_memory_arguments(&p);
	plan_devices(&p);
	if (!options->dpdk_telemetry)
		add(plan, "--no-telemetry");
	add(plan, "--file-prefix=godwit-%s", options->node_name);
	if (options->log_level == LOG_LEVEL_DEBUG)
		add(plan, "--log-level=lib.eal:info");
	if (extra_count > (int)EAL_ARGUMENT_MAX - plan->argc) {
		fprintf(errors, "EAL arguments: expected at most %d\n",
			(int)EAL_ARGUMENT_MAX - plan->argc);
		p.mistakes++;
		extra_count = 0;
	}
	plan_extra(&p, extra_count, extra);
	return p.mistakes;
}
