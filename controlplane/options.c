/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of options and what is done with all rows of it. */
#include "controlplane/options.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include "controlplane/migration_jobs.h"
#include "controlplane/node.h"
#include "controlplane/option_value.h"
#include "controlplane/token_bucket.h"
#include "dataplane/wire_format.h"
#include "storage/limits.h"

#define FIELD(kind, member)                                                                        \
	.type = kind, .offset = offsetof(struct options, member),                                  \
	.size = sizeof(((struct options *)0)->member)
#define BOUNDS(lowest, highest) .min = lowest, .max = highest
#define TEXT_MAX (OPTION_TEXT_SIZE - 1)

/* Options of one section stand together, its own before those of sections inside it: options_print
 * relies on it.
 */
static const struct option table[] = {
	/* clang-format off */
	{ .key = "node.name", FIELD(OPTION_TEXT, node_name), BOUNDS(1, 63),
	  .value_default = "godwit",
	  .help = "Name of the node: letters, digits, `-`, `_` and `.`." },

	{ .key = "data.address", FIELD(OPTION_NETWORK, data_address), BOUNDS(8, 30),
	  .value_default = "10.77.0.2/24",
	  .help = "The node's address on the data network. Not an address of this host's kernel." },
	{ .key = "data.gateway", FIELD(OPTION_IPV4, data_gateway), .value_default = "none",
	  .words = { { "none", OPTION_NONE } },
	  .help = "Router to clients outside the data network." },
	{ .key = "data.udp_port", FIELD(OPTION_NUMBER, data_udp_port), BOUNDS(1, UINT16_MAX),
	  .value_default = "7700",
	  .help = "UDP port of the first worker; worker `w` listens on this plus `w`." },
	{ .key = "data.workers", FIELD(OPTION_NUMBER, data_workers), BOUNDS(1, WORKER_COUNT_MAX),
	  .value_default = "1",
	  .help = "Polling threads, each with its own shard of the data." },
	{ .key = "data.cores", FIELD(OPTION_CPUS, data_cores), BOUNDS(0, 1023),
	  .value_default = "auto",
	  .words = { { "auto", OPTION_AUTO } },
	  .help = "CPUs of the workers, one each. `auto`: the last CPUs this process may use when "
		  "workers spin, any CPU when they are adaptive." },
	{ .key = "data.idle", FIELD(OPTION_WORD, data_idle), .value_default = "auto",
	  .words = { { "auto", OPTION_IDLE_AUTO }, { "spin", OPTION_IDLE_SPIN },
		      { "adaptive", OPTION_IDLE_ADAPTIVE } },
	  .help = "What a worker without packets does: `spin` keeps polling and owns its CPU, "
		  "`adaptive` sleeps shortly. `auto`: `spin` when there is a CPU for each worker "
		  "and for the two other threads." },
	{ .key = "data.sessions", FIELD(OPTION_NUMBER, data_sessions), BOUNDS(16, 1u << 20),
	  .value_default = "auto",
	  .words = { { "auto", OPTION_AUTO } },
	  .help = "Client sessions per worker." },
	{ .key = "data.mtu", FIELD(OPTION_NUMBER, data_mtu), BOUNDS(576, 9000),
	  .value_default = "auto",
	  .words = { { "auto", OPTION_AUTO } },
	  .help = "Bytes of the largest IP packet. `auto`: the device's." },
	{ .key = "data.mac", FIELD(OPTION_MAC, data_mac), .value_default = "auto",
	  .words = { { "auto", OPTION_AUTO } },
	  .help = "MAC address. `auto`: the device's, or one made from `data.address`." },
	{ .key = "data.port.kind", FIELD(OPTION_WORD, port_kind), .value_default = "tap",
	  .words = { { "tap", PORT_TAP }, { "af_packet", PORT_AF_PACKET },
		      { "af_xdp", PORT_AF_XDP }, { "memif", PORT_MEMIF }, { "pci", PORT_PCI } },
	  .help = "Where packets come from: `tap` creates an interface that this host's programs "
		  "can use, `af_packet` and `af_xdp` attach to an interface, `memif` is shared "
		  "memory with another process, `pci` is a NIC bound to vfio-pci." },
	{ .key = "data.port.device", FIELD(OPTION_TEXT, port_device), BOUNDS(1, TEXT_MAX),
	  .value_default = "auto",
	  .words = { { "auto", OPTION_AUTO } },
	  .help = "The interface (tap, af_packet, af_xdp), the path of the socket (memif) or the "
		  "PCI address (pci). `auto` is `godwit0` for tap; the other kinds need a value." },
	{ .key = "data.port.args", FIELD(OPTION_TEXT, port_args), BOUNDS(1, TEXT_MAX),
	  .value_default = "none",
	  .words = { { "none", OPTION_NONE } },
	  .help = "More arguments of the DPDK device, such as `zero-copy=yes`." },
	{ .key = "data.port.role", FIELD(OPTION_WORD, port_memif_server), .value_default = "server",
	  .words = { { "server", true }, { "client", false } },
	  .help = "memif: whether this side creates the socket." },
	{ .key = "data.port.host_address", FIELD(OPTION_IPV4, port_host_address),
	  .value_default = "auto",
	  .words = { { "auto", OPTION_IPV4_AUTO }, { "none", OPTION_NONE } },
	  .help = "tap: the address the kernel's side of the interface gets. `auto`: the first "
		  "free one of the data network." },
	{ .key = "data.port.ring_size", FIELD(OPTION_NUMBER, port_ring_size), BOUNDS(64, 16384),
	  .value_default = "auto",
	  .words = { { "auto", OPTION_AUTO } },
	  .help = "Descriptors per queue." },

	{ .key = "storage.memory", FIELD(OPTION_SIZE, storage_memory),
	  BOUNDS(16ull << 20, 16ull << 40), .value_default = "1G",
	  .help = "Memory for items. Index and packet buffers come on top." },
	{ .key = "storage.partitions", FIELD(OPTION_NUMBER, storage_partitions),
	  BOUNDS(PARTITION_COUNT_MIN, PARTITION_COUNT_MAX), .value_default = "64",
	  .help = "Partitions of the cluster: a power of two, the same on every node." },
	{ .key = "storage.eviction", FIELD(OPTION_WORD, storage_eviction), .value_default = "none",
	  .words = { { "none", EVICTION_NONE }, { "on", EVICTION_ON } },
	  .help = "What a write finds when memory is full: `none` answers NO_SPACE, `on` makes "
		  "room by evicting what was not read lately." },
	{ .key = "storage.huge_pages", FIELD(OPTION_WORD, storage_huge_pages),
	  .value_default = "auto",
	  .words = { { "auto", OPTION_SWITCH_AUTO }, { "on", OPTION_SWITCH_ON },
		      { "off", OPTION_SWITCH_OFF } },
	  .help = "Huge pages for items and packet buffers. `auto`: when enough are free; `on`: "
		  "refuse to start without." },
	{ .key = "storage.capacity", FIELD(OPTION_NUMBER, storage_capacity),
	  BOUNDS(1, (1u << 30) - 1), .value_default = "auto",
	  .words = { { "auto", OPTION_AUTO } },
	  .help = "Items each worker's first index has room for; it grows online beyond." },

	{ .key = "admin.listen", FIELD(OPTION_ENDPOINT, admin_listen), BOUNDS(1, UINT16_MAX),
	  .value_default = "127.0.0.1:7780",
	  .words = { { "off", OPTION_NONE } },
	  .help = "Address of the HTTP interface: items, status, counters, metrics, orders." },
	{ .key = "admin.token_file", FIELD(OPTION_TEXT, admin_token_file), BOUNDS(1, TEXT_MAX),
	  .value_default = "none",
	  .words = { { "none", OPTION_NONE } },
	  .help = "File whose first line is the bearer token of the HTTP interface. Needed when it "
		  "listens on an address that is not loopback." },

	{ .key = "cluster.name", FIELD(OPTION_TEXT, cluster_name), BOUNDS(1, 63),
	  .value_default = "godwit",
	  .help = "Name of the cluster, the same on every node: nodes of another name are refused." },
	{ .key = "cluster.listen", FIELD(OPTION_ENDPOINT, cluster_listen), BOUNDS(1, UINT16_MAX),
	  .value_default = "off",
	  .words = { { "off", OPTION_NONE } },
	  .help = "Address of the cluster bus, UDP and TCP, on the control network; port 7800 by "
		  "custom. `off`: a node by itself." },
	{ .key = "cluster.advertise", FIELD(OPTION_ENDPOINT, cluster_advertise),
	  BOUNDS(1, UINT16_MAX), .value_default = "auto",
	  .words = { { "auto", OPTION_AUTO } },
	  .help = "Address at which the other nodes reach the bus of this one. `auto`: "
		  "`cluster.listen`." },
	{ .key = "cluster.key_file", FIELD(OPTION_TEXT, cluster_key_file), BOUNDS(1, TEXT_MAX),
	  .value_default = "none",
	  .words = { { "none", OPTION_NONE } },
	  .help = "File with the cluster's secret key, 64 hexadecimal digits, the same on every "
		  "node; a second line may hold another key that is accepted as well." },
	{ .key = "cluster.insecure_bus", FIELD(OPTION_WORD, cluster_insecure_bus),
	  .value_default = "off",
	  .words = { { "off", false }, { "on", true } },
	  .help = "Run the bus without a key: whoever reaches it can read and forge everything." },
	{ .key = "cluster.join", FIELD(OPTION_ENDPOINTS, cluster_join), BOUNDS(1, UINT16_MAX),
	  .value_default = "none",
	  .words = { { "none", OPTION_NONE } },
	  .help = "Bus addresses of members; one that answers is enough. This node's own is "
		  "skipped, so that all nodes can have the same list." },
	{ .key = "cluster.bootstrap", FIELD(OPTION_WORD, cluster_bootstrap),
	  .value_default = "off",
	  .words = { { "off", false }, { "on", true } },
	  .help = "Found the cluster when no member answers. For one node of the cluster." },
	{ .key = "cluster.weight", FIELD(OPTION_NUMBER, cluster_weight),
	  BOUNDS(0, NODE_WEIGHT_MAX), .value_default = "100",
	  .help = "Share of the partitions, relative to the other nodes' weights; 0: none." },
	{ .key = "cluster.auto_rebalance", FIELD(OPTION_WORD, cluster_auto_rebalance),
	  .value_default = "on",
	  .words = { { "off", false }, { "on", true } },
	  .help = "Whether this node takes its share of the partitions over by itself whenever the "
		  "members or their weights change. `off`: when `godwitctl rebalance` says so. The "
		  "same on every node." },
	{ .key = "cluster.fencing", FIELD(OPTION_WORD, cluster_fencing),
	  .value_default = "majority",
	  .words = { { "majority", OPTION_FENCING_MAJORITY }, { "none", OPTION_FENCING_NONE } },
	  .help = "What a node does that sees no majority of the members: `majority` stops serving "
		  "its partitions, so that no value has two owners; `none` serves on, for caches." },
	{ .key = "cluster.fence_ms", FIELD(OPTION_NUMBER, cluster_fence_ms), BOUNDS(3000, 60000),
	  .value_default = "5000",
	  .help = "Milliseconds without a majority until the node stops serving." },
	{ .key = "cluster.probe_ms", FIELD(OPTION_NUMBER, cluster_probe_ms), BOUNDS(100, 10000),
	  .value_default = "500",
	  .help = "Milliseconds between two probes of other members; a dead one is found out within "
		  "about 10 to 30 times that. The same on every node." },

	{ .key = "migration.jobs", FIELD(OPTION_NUMBER, migration_jobs),
	  BOUNDS(1, MIGRATION_JOBS_MAX), .value_default = "4",
	  .help = "Partitions that the node gives away at once, and as many that it takes over; "
		  "more wait." },
	{ .key = "migration.rate", FIELD(OPTION_SIZE, migration_rate),
	  BOUNDS(64ull << 10, TOKEN_BUCKET_RATE_MAX), .value_default = "none",
	  .words = { { "none", OPTION_NONE } },
	  .help = "Bytes a second that each migration copies at most; the writes made meanwhile "
		  "come on top. `none`: no limit." },
	{ .key = "migration.cpu", FIELD(OPTION_NUMBER, migration_cpu), BOUNDS(1, 100),
	  .value_default = "50",
	  .help = "Percent of the control thread that the scan of each migration takes at most." },
	{ .key = "migration.ring", FIELD(OPTION_SIZE, migration_ring),
	  BOUNDS(64ull << 10, 1ull << 30), .value_default = "8M",
	  .help = "Memory of each partition on its way out for writes that are not shipped yet: a "
		  "power of two. When it is full, the migration begins anew." },

	{ .key = "log.level", FIELD(OPTION_WORD, log_level), .value_default = "info",
	  .words = { { "error", LOG_LEVEL_ERROR }, { "warning", LOG_LEVEL_WARNING },
		      { "info", LOG_LEVEL_INFO }, { "debug", LOG_LEVEL_DEBUG } },
	  .help = "The least severe lines that are written to stderr." },

	{ .key = "dpdk.telemetry", FIELD(OPTION_WORD, dpdk_telemetry), .value_default = "off",
	  .words = { { "off", false }, { "on", true } },
	  .help = "DPDK's telemetry socket, for `dpdk-telemetry.py -f godwit-NAME`." },
	/* clang-format on */
};

#define TABLE_SIZE (sizeof(table) / sizeof(table[0]))
static_assert(TABLE_SIZE <= OPTION_COUNT_MAX, "struct options has an origin for each option");

static const struct option *option_find(const char *key)
{
	for (size_t i = 0; i < TABLE_SIZE; i++) {
		if (strcmp(table[i].key, key) == 0)
			return &table[i];
	}
	return NULL;
}

static void *value_of(struct options *options, const struct option *option)
{
	return (uint8_t *)options + option->offset;
}

static const void *value_of_const(const struct options *options, const struct option *option)
{
	return (const uint8_t *)options + option->offset;
}

void options_init(struct options *options)
{
	memset(options, 0, sizeof(*options));
	for (size_t i = 0; i < TABLE_SIZE; i++) {
		int result;

		assert(table[i].size == option_value_size(table[i].type));
		result = option_value_parse(&table[i], table[i].value_default,
					    value_of(options, &table[i]));
		assert(result == 0);
		(void)result;
	}
}

static void print_origin(FILE *errors, struct option_origin origin)
{
	if (origin.source && origin.line)
		fprintf(errors, "%s:%u: ", origin.source, origin.line);
	else if (origin.source)
		fprintf(errors, "%s: ", origin.source);
}

int options_set(struct options *options, const char *key, const char *text,
		struct option_origin origin, FILE *errors)
{
	const struct option *option = option_find(key);
	char expected[OPTION_EXPECTED_SIZE];

	if (!option) {
		print_origin(errors, origin);
		fprintf(errors, "%s: unknown key; godwitd --help-config lists those there are\n",
			key);
		return -EINVAL;
	}
	if (option_value_parse(option, text, value_of(options, option)) != 0) {
		print_origin(errors, origin);
		fprintf(errors, "%s: expected %s, not '%s'\n", key,
			option_value_expected(option, expected), text);
		return -EINVAL;
	}
	options->origins[option - table] = origin;
	return 0;
}

int options_set_pair(struct options *options, const char *pair, FILE *errors)
{
	const struct option_origin origin = { "--set", 0 };
	const char *equals = strchr(pair, '=');
	char key[64];

	if (!equals || (size_t)(equals - pair) >= sizeof(key)) {
		fprintf(errors, "--set: expected KEY=VALUE, not '%s'\n", pair);
		return -EINVAL;
	}
	memcpy(key, pair, (size_t)(equals - pair));
	key[equals - pair] = '\0';
	return options_set(options, key, equals + 1, origin, errors);
}

void options_mistake(const struct options *options, FILE *errors, const char *key,
		     const char *format, ...)
{
	const struct option *option = option_find(key);
	va_list arguments;

	assert(option);
	print_origin(errors, options->origins[option - table]);
	fprintf(errors, "%s: ", key);
	va_start(arguments, format);
	vfprintf(errors, format, arguments);
	va_end(arguments);
	fputc('\n', errors);
}

struct option_origin options_origin(const struct options *options, const char *key)
{
	const struct option *option = option_find(key);

	return option ? options->origins[option - table] : (struct option_origin){ NULL, 0 };
}

bool options_has_section(const char *section)
{
	size_t size = strlen(section);

	for (size_t i = 0; i < TABLE_SIZE; i++) {
		if (strncmp(table[i].key, section, size) == 0 && table[i].key[size] == '.')
			return true;
	}
	return false;
}

bool options_has_key(const char *key)
{
	return option_find(key) != NULL;
}

const char *options_expected(const char *key, char text[OPTION_EXPECTED_SIZE])
{
	const struct option *option = option_find(key);

	assert(option);
	return option_value_expected(option, text);
}

/* A plain scalar is safe when YAML cannot take it for anything else. */
static bool is_plain(const char *text)
{
	static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				   "./_:-";

	return text[0] && text[0] != '-' && text[strspn(text, safe)] == '\0' &&
	       text[strlen(text) - 1] != ':';
}

static void print_scalar(const char *text, FILE *out)
{
	if (is_plain(text)) {
		fputs(text, out);
		return;
	}
	fputc('\'', out);
	for (; *text; text++) {
		if (*text == '\'')
			fputc('\'', out);
		fputc(*text, out);
	}
	fputc('\'', out);
}

/* Prints the heads of the sections of 'key' that 'previous' is not in; returns the depth of the key
 * itself.
 */
static int print_sections(const char *key, const char *previous, FILE *out)
{
	bool is_shared = true;
	int depth = 0;

	for (const char *at = key, *dot; (dot = strchr(at, '.')) != NULL; at = dot + 1, depth++) {
		size_t size = (size_t)(dot - key) + 1;

		is_shared = is_shared && strncmp(key, previous, size) == 0;
		if (!is_shared)
			fprintf(out, "%*s%.*s:\n", depth * 2, "", (int)(dot - at), at);
	}
	return depth;
}

void options_print(const struct options *options, FILE *out)
{
	const char *previous = "";
	char text[OPTION_VALUE_SIZE];

	for (size_t i = 0; i < TABLE_SIZE; i++) {
		int depth = print_sections(table[i].key, previous, out);

		fprintf(out, "%*s%s: ", depth * 2, "", strrchr(table[i].key, '.') + 1);
		print_scalar(
			option_value_format(&table[i], value_of_const(options, &table[i]), text),
			out);
		fputc('\n', out);
		previous = table[i].key;
	}
}

void options_print_reference(FILE *out)
{
	char expected[OPTION_EXPECTED_SIZE];

	fputs("| key | value | default | meaning |\n|---|---|---|---|\n", out);
	for (size_t i = 0; i < TABLE_SIZE; i++)
		fprintf(out, "| `%s` | %s | `%s` | %s |\n", table[i].key,
			option_value_expected(&table[i], expected), table[i].value_default,
			table[i].help);
}
