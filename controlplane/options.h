/* SPDX-License-Identifier: BSD-3-Clause */
/* What an operator can set: one table, from which all that handles options comes. */
#ifndef CONTROLPLANE_OPTIONS_H
#define CONTROLPLANE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "controlplane/log.h"
#include "dataplane/dataplane.h"

#define OPTION_TEXT_SIZE 256u
#define OPTION_COUNT_MAX 64u
#define OPTION_EXPECTED_SIZE 160u

/* Numbers that stand for words an option takes instead of a value. */
#define OPTION_NONE 0u
#define OPTION_AUTO 0u
#define OPTION_IPV4_AUTO UINT32_MAX

enum option_switch {
	OPTION_SWITCH_AUTO,
	OPTION_SWITCH_ON,
	OPTION_SWITCH_OFF,
};

enum option_idle {
	OPTION_IDLE_AUTO,
	OPTION_IDLE_SPIN,
	OPTION_IDLE_ADAPTIVE,
};

enum option_fencing {
	OPTION_FENCING_MAJORITY,
	OPTION_FENCING_NONE,
};

struct option_network {
	uint32_t ipv4; /* host byte order */
	uint32_t prefix;
};

struct option_endpoint {
	uint32_t ipv4; /* host byte order */
	uint32_t port; /* 0 = off */
};

/* Endpoints of others, each once, in the order given. */
#define OPTION_ENDPOINT_COUNT_MAX 16u
struct option_endpoints {
	uint32_t count; /* 0 = none */
	struct option_endpoint items[OPTION_ENDPOINT_COUNT_MAX];
};

struct option_mac {
	uint8_t bytes[6]; /* all zero = the port's own */
};

/* CPUs as the kernel numbers them, in the order given. */
struct option_cpus {
	uint32_t count; /* 0 = auto */
	uint16_t cpus[WORKER_COUNT_MAX];
};

/* Where an option's value came from. */
struct option_origin {
	const char *source; /* a file's name, or the command line's "--set"; NULL = the default */
	uint32_t line;      /* in the file; 0 = none */
};

/* The values, each described by the row of the table with its key. Numbers of time and size carry
 * their unit in the key's documentation.
 */
struct options {
	char node_name[OPTION_TEXT_SIZE];

	struct option_network data_address;
	uint32_t data_gateway;
	uint32_t data_udp_port;
	uint32_t data_workers;
	struct option_cpus data_cores;
	uint32_t data_idle; /* enum option_idle */
	uint32_t data_sessions;
	uint32_t data_mtu;
	struct option_mac data_mac;
	uint32_t port_kind; /* enum port_kind */
	char port_device[OPTION_TEXT_SIZE];
	char port_args[OPTION_TEXT_SIZE];
	uint32_t port_memif_server; /* bool */
	uint32_t port_host_address;
	uint32_t port_ring_size;

	uint64_t storage_memory;
	uint32_t storage_partitions;
	uint32_t storage_eviction;   /* enum eviction */
	uint32_t storage_huge_pages; /* enum option_switch */
	uint32_t storage_capacity;

	struct option_endpoint admin_listen;
	char admin_token_file[OPTION_TEXT_SIZE];

	char cluster_name[OPTION_TEXT_SIZE];
	struct option_endpoint cluster_listen;
	struct option_endpoint cluster_advertise; /* port 0 = as cluster_listen */
	char cluster_key_file[OPTION_TEXT_SIZE];
	uint32_t cluster_insecure_bus; /* bool */
	struct option_endpoints cluster_join;
	uint32_t cluster_bootstrap; /* bool */
	uint32_t cluster_weight;
	uint32_t cluster_auto_rebalance; /* bool */
	uint32_t cluster_fencing;        /* enum option_fencing */
	uint32_t cluster_fence_ms;
	uint32_t cluster_probe_ms;

	uint32_t migration_jobs; /* at once, on each side */
	uint64_t migration_rate; /* bytes per second; OPTION_NONE = no limit */
	uint32_t migration_cpu;  /* percent */
	uint64_t migration_ring; /* bytes */

	uint32_t log_level; /* enum log_level */

	uint32_t dpdk_telemetry; /* bool */

	struct option_origin origins[OPTION_COUNT_MAX]; /* in the order of the table */
};

/* Every option at its default. */
void options_init(struct options *options);

/* --- Setting: each mistake is one line on 'errors' that names where, which key, and what was
 * expected. ---
 */

/* Sets 'key' from 'text'; -EINVAL after a line on 'errors'. 'origin.source' must outlive 'options'.
 */
int options_set(struct options *options, const char *key, const char *text,
		struct option_origin origin, FILE *errors);

/* Sets what the YAML file at 'path' (which must outlive 'options') says. All mistakes are reported,
 * not only the first; -EINVAL if there was one, -errno when the file cannot be read.
 */
int options_load(struct options *options, const char *path, FILE *errors);

/* Sets 'key' from the command line's "KEY=VALUE". */
int options_set_pair(struct options *options, const char *pair, FILE *errors);

/* Checks what no single option can tell: relations between options. Resolves "auto" where it
 * depends on other options alone. Returns the number of mistakes reported.
 */
uint32_t options_check(struct options *options, FILE *errors);

/* Reports a mistake of 'key' found by someone else, naming where its value came from. */
void options_mistake(const struct options *options, FILE *errors, const char *key,
		     const char *format, ...) __attribute__((format(printf, 4, 5)));

/* --- Reading --- */

/* Whether 'section' ("data.port") holds options, and whether 'key' ("data.port.kind") is one. */
bool options_has_section(const char *section);
bool options_has_key(const char *key);

/* Where the value of 'key' came from. */
struct option_origin options_origin(const struct options *options, const char *key);

/* What 'key', which is an option, takes: "a number, 1..64"; returns 'text'. */
const char *options_expected(const char *key, char text[OPTION_EXPECTED_SIZE]);

/* Prints all options with their values as a YAML file that sets the same. */
void options_print(const struct options *options, FILE *out);

/* Prints the table of all options as Markdown: key, what is expected, default, meaning. */
void options_print_reference(FILE *out);

#endif
