/* SPDX-License-Identifier: BSD-3-Clause */
/* One table of options: the parser and the help come from it. */
#include "dataplane/loadgen/bench_options.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/wire_format.h"

#define KEYS_MAX (UINT64_C(1) << 40)

/* 10.77.0.0/24, where a node is that was started without configuration. */
#define DATA_NETWORK (UINT32_C(10) << 24 | UINT32_C(77) << 16)

/* Where one argument is parsed to, and where a complaint goes. */
struct parse {
	struct bench_options *options;
	const char *option;
	char *error;
	size_t error_size;
};

/* Complains about the option at hand; returns false, for the parser to return. */
__attribute__((format(printf, 2, 3))) static bool refuse(const struct parse *parse,
							 const char *format, ...)
{
	int used = snprintf(parse->error, parse->error_size, "--%s: ", parse->option);
	va_list args;

	va_start(args, format);
	if (used >= 0 && (size_t)used < parse->error_size)
		vsnprintf(parse->error + used, parse->error_size - (size_t)used, format, args);
	va_end(args);
	return false;
}

/* ---- values ---- */

/* A number, with k, M or G behind it for thousands, millions, billions. */
static bool parse_number(const struct parse *parse, const char *text, double min, double max,
			 double *number)
{
	static const char suffixes[] = "kMG";
	const char *suffix;
	char *end;

	*number = strtod(text, &end);
	if (end != text && *end != '\0') {
		suffix = strchr(suffixes, *end);
		if (suffix) {
			*number *= pow(1000.0, (double)(suffix - suffixes + 1));
			end++;
		}
	}
	if (end == text || *end != '\0' || !isfinite(*number))
		return refuse(parse, "'%s' is no number (1000, 1k, 2.5M are)", text);
	if (*number < min || *number > max)
		return refuse(parse, "%s is out of range: %.15g to %.15g", text, min, max);
	return true;
}

static bool parse_whole(const struct parse *parse, const char *text, uint64_t min, uint64_t max,
			uint64_t *whole)
{
	double number;

	if (!parse_number(parse, text, (double)min, (double)max, &number))
		return false;
	if (number != floor(number))
		return refuse(parse, "'%s' is no whole number", text);
	*whole = (uint64_t)number;
	return true;
}

static bool parse_u32(const struct parse *parse, const char *text, uint32_t min, uint32_t max,
		      uint32_t *whole)
{
	uint64_t wide = 0;
	bool good = parse_whole(parse, text, min, max, &wide);

	*whole = (uint32_t)wide;
	return good;
}

static bool parse_mac(const struct parse *parse, const char *text, uint8_t mac[6])
{
	unsigned b[6];
	int used = 0;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5],
		   &used) != 6 ||
	    text[used] != '\0')
		return refuse(parse, "'%s' is no MAC address (02:00:00:00:00:01 is)", text);
	for (unsigned i = 0; i < 6; i++)
		mac[i] = (uint8_t)b[i];
	return true;
}

/* ---- where ---- */

static bool resolve(const struct parse *parse, const char *name, struct in_addr *address)
{
	const struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_DGRAM };
	struct addrinfo *found = NULL;
	int result = getaddrinfo(name, NULL, &hints, &found);

	if (result != 0)
		return refuse(parse, "cannot find '%s': %s", name, gai_strerror(result));
	*address = ((struct sockaddr_in *)(void *)found->ai_addr)->sin_addr;
	freeaddrinfo(found);
	return true;
}

static bool take_server(struct parse *parse, const char *text)
{
	const char *colon = strrchr(text, ':');
	char name[256];
	uint32_t port = WIRE_PORT_DEFAULT;

	if (colon && !parse_u32(parse, colon + 1, 1, UINT16_MAX, &port))
		return false;
	parse->options->server_port = (uint16_t)port;
	snprintf(name, sizeof(name), "%.*s", colon ? (int)(colon - text) : (int)strlen(text), text);
	return resolve(parse, name, &parse->options->server);
}

static bool take_port(struct parse *parse, const char *text)
{
	static const struct {
		const char *prefix;
		enum port_kind kind;
	} kinds[] = {
		{ "memif:", PORT_MEMIF },
		{ "pci:", PORT_PCI },
		{ "af_packet:", PORT_AF_PACKET },
		{ "af_xdp:", PORT_AF_XDP },
	};
	struct port_options *port = &parse->options->port;

	parse->options->over_port = strcmp(text, "socket") != 0;
	if (!parse->options->over_port)
		return true;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t size = strlen(kinds[i].prefix);

		if (strncmp(text, kinds[i].prefix, size) != 0 || text[size] == '\0')
			continue;
		port->kind = kinds[i].kind;
		snprintf(port->device, sizeof(port->device), "%s", text + size);
		return true;
	}
	return refuse(parse,
		      "'%s' is neither socket, memif:SOCKET, pci:ADDRESS, af_packet:INTERFACE nor "
		      "af_xdp:INTERFACE",
		      text);
}

static bool take_ip(struct parse *parse, const char *text)
{
	struct port_options *port = &parse->options->port;
	const char *slash = strchr(text, '/');
	uint32_t bits = port->ipv4_prefix;
	struct in_addr address;
	char name[64];

	if (slash && !parse_u32(parse, slash + 1, 0, 32, &bits))
		return false;
	snprintf(name, sizeof(name), "%.*s", slash ? (int)(slash - text) : (int)strlen(text), text);
	if (inet_pton(AF_INET, name, &address) != 1)
		return refuse(parse, "'%s' is no IPv4 address (10.77.0.1/24 is)", text);
	port->ipv4 = ntohl(address.s_addr);
	port->ipv4_prefix = (uint8_t)bits;
	return true;
}

static bool take_mac(struct parse *parse, const char *text)
{
	return parse_mac(parse, text, parse->options->port.mac);
}

static bool take_server_mac(struct parse *parse, const char *text)
{
	parse->options->server_mac_known = true;
	return parse_mac(parse, text, parse->options->server_mac);
}

static bool take_mtu(struct parse *parse, const char *text)
{
	uint32_t mtu;
	bool good = parse_u32(parse, text, 576, 9000, &mtu);

	parse->options->port.mtu = (uint16_t)mtu;
	return good;
}

static bool take_checksum(struct parse *parse, const char *text)
{
	(void)text;
	return parse->options->checksum = true;
}

static bool take_echo(struct parse *parse, const char *text)
{
	(void)text;
	return parse->options->echo = true;
}

static bool take_workers(struct parse *parse, const char *text)
{
	return parse_u32(parse, text, 1, LOAD_WORKERS_MAX, &parse->options->worker_count);
}

static bool take_cpus(struct parse *parse, const char *text)
{
	struct bench_options *options = parse->options;
	const char *at = text;

	options->cpu_count = 0;
	for (;;) {
		char *end;
		unsigned long cpu = strtoul(at, &end, 10);

		if (end == at || !isdigit((unsigned char)*at) || (*end != ',' && *end != '\0') ||
		    cpu > 4095)
			return refuse(parse, "'%s' is no list of CPU numbers (1 or 1,2,3 is)",
				      text);
		if (options->cpu_count == BENCH_CPUS_MAX)
			return refuse(parse, "more than %u CPUs", BENCH_CPUS_MAX);
		options->cpus[options->cpu_count++] = (uint32_t)cpu;
		if (*end == '\0')
			return true;
		at = end + 1;
	}
}

static bool take_queues(struct parse *parse, const char *text)
{
	return parse_u32(parse, text, 1, 64, &parse->options->queues);
}

static bool take_sessions(struct parse *parse, const char *text)
{
	return parse_u32(parse, text, 1, 64, &parse->options->sessions);
}

/* ---- what ---- */

static bool take_keys(struct parse *parse, const char *text)
{
	return parse_whole(parse, text, 1, KEYS_MAX, &parse->options->workload.key_count);
}

static bool take_load(struct parse *parse, const char *text)
{
	parse->options->load = true;
	return take_keys(parse, text);
}

static bool take_key_size(struct parse *parse, const char *text)
{
	uint32_t size;
	bool good = parse_u32(parse, text, OPERATION_KEY_SIZE_MIN, WIRE_KEY_SIZE_MAX, &size);

	parse->options->workload.format.key_size = (uint16_t)size;
	return good;
}

static bool take_value_size(struct parse *parse, const char *text)
{
	struct operation_format *format = &parse->options->workload.format;
	const char *dash = strchr(text, '-');
	char min[32];

	snprintf(min, sizeof(min), "%.*s", dash ? (int)(dash - text) : (int)strlen(text), text);
	if (!parse_u32(parse, min, 0, VALUE_SIZE_MAX, &format->value_size_min))
		return false;
	if (!dash) {
		format->value_size_max = format->value_size_min;
		return true;
	}
	return parse_u32(parse, dash + 1, format->value_size_min, VALUE_SIZE_MAX,
			 &format->value_size_max);
}

static bool take_workload(struct parse *parse, const char *text)
{
	if (strlen(text) != 1 ||
	    !workload_set_ycsb(&parse->options->workload, (char)tolower((unsigned char)text[0])))
		return refuse(parse, "'%s' is none of YCSB's workloads a, b, c, d, f", text);
	return true;
}

static bool take_mix(struct parse *parse, const char *text)
{
	char why[384];

	return workload_parse_mix(&parse->options->workload, text, why, sizeof(why)) ||
	       refuse(parse, "%s", why);
}

static bool take_distribution(struct parse *parse, const char *text)
{
	struct workload *workload = &parse->options->workload;

	if (strcmp(text, "uniform") == 0) {
		workload->distribution = KEY_UNIFORM;
	} else if (strcmp(text, "latest") == 0) {
		workload->distribution = KEY_LATEST;
	} else if (strncmp(text, "zipf", 4) == 0 && (text[4] == '\0' || text[4] == ':')) {
		workload->distribution = KEY_ZIPF;
		return text[4] == '\0' ||
		       parse_number(parse, text + 5, 0.01, 10.0, &workload->exponent);
	} else {
		return refuse(parse, "'%s' is neither uniform, zipf, zipf:EXPONENT nor latest",
			      text);
	}
	return true;
}

static bool take_no_scramble(struct parse *parse, const char *text)
{
	(void)text;
	parse->options->workload.scrambled = false;
	return true;
}

static bool take_ops(struct parse *parse, const char *text)
{
	return parse_u32(parse, text, 1, LOAD_OPS_MAX, &parse->options->ops);
}

static bool take_ttl(struct parse *parse, const char *text)
{
	return parse_u32(parse, text, 1, UINT32_MAX, &parse->options->workload.format.ttl_ms);
}

static bool take_seed(struct parse *parse, const char *text)
{
	return parse_whole(parse, text, 0, UINT64_C(1) << 52, &parse->options->seed);
}

/* ---- how, judging, output ---- */

static bool take_rate(struct parse *parse, const char *text)
{
	return parse_number(parse, text, 1.0, 1e10, &parse->options->rate);
}

static bool take_outstanding(struct parse *parse, const char *text)
{
	return parse_u32(parse, text, 1, 16384, &parse->options->outstanding);
}

static bool take_warmup(struct parse *parse, const char *text)
{
	return parse_number(parse, text, 0.0, 86400.0, &parse->options->warmup_seconds);
}

static bool take_duration(struct parse *parse, const char *text)
{
	return parse_number(parse, text, 0.0, 864000.0, &parse->options->duration_seconds);
}

static bool take_timeout(struct parse *parse, const char *text)
{
	return parse_number(parse, text, 1.0, 60000.0, &parse->options->timeout_ms);
}

static bool take_retries(struct parse *parse, const char *text)
{
	return parse_u32(parse, text, 0, 200, &parse->options->retries);
}

static bool take_verify(struct parse *parse, const char *text)
{
	(void)text;
	return parse->options->verify = true;
}

static bool take_allow_missing(struct parse *parse, const char *text)
{
	(void)text;
	return parse->options->missing_allowed = true;
}

static bool take_loss_limit(struct parse *parse, const char *text)
{
	return parse_number(parse, text, 0.0, 100.0, &parse->options->loss_limit_percent);
}

static bool take_late_limit(struct parse *parse, const char *text)
{
	return parse_number(parse, text, 1.0, 1e7, &parse->options->late_limit_us);
}

static bool take_late_share(struct parse *parse, const char *text)
{
	return parse_number(parse, text, 0.0, 100.0, &parse->options->late_share_percent);
}

static bool take_json(struct parse *parse, const char *text)
{
	parse->options->json = text;
	return true;
}

static bool take_quiet(struct parse *parse, const char *text)
{
	(void)text;
	return parse->options->quiet = true;
}

static bool take_help(struct parse *parse, const char *text)
{
	(void)text;
	parse->options->action = BENCH_SHOW_HELP;
	return true;
}

static bool take_version(struct parse *parse, const char *text)
{
	(void)text;
	parse->options->action = BENCH_SHOW_VERSION;
	return true;
}

/* ---- the table ---- */

struct row {
	const char *name;     /* NULL: 'help' is a heading */
	const char *argument; /* what it is called in the help, NULL = none */
	bool (*take)(struct parse *parse, const char *text);
	const char *help;
};

static const struct row rows[] = {
	{ NULL, NULL, NULL, "Where" },
	{ "server", "HOST[:PORT]", take_server,
	  "the server's address and first UDP port ($GODWIT_SERVER, or 10.77.0.2:7700)" },
	{ "port", "KIND[:DEVICE]", take_port,
	  "socket (default), or a DPDK port: memif:SOCKET, pci:ADDRESS, af_packet:INTERFACE, "
	  "af_xdp:INTERFACE" },
	{ "ip", "ADDRESS[/BITS]", take_ip, "our own address on a DPDK port (10.77.0.1/24)" },
	{ "mac", "MAC", take_mac, "our own MAC on a DPDK port (the port's)" },
	{ "server-mac", "MAC", take_server_mac,
	  "the server's MAC, or the router's before it; else ARP asks" },
	{ "mtu", "BYTES", take_mtu, "of the DPDK port (1500)" },
	{ "checksum", NULL, take_checksum,
	  "send UDP checksums over a DPDK port; without, the field is 0, as IPv4 allows" },
	{ "echo", NULL, take_echo,
	  "the server is a reflector (testpmd 5tswap): each frame that comes back counts as "
	  "answered" },
	{ "workers", "N", take_workers,
	  "threads of the generator, each with its queue and sessions (1)" },
	{ "cpus", "LIST", take_cpus, "CPUs to pin the workers to, as 1,2,3" },
	{ "queues", "N", take_queues, "memif: as many as the server has workers (as --workers)" },
	{ "sessions", "N", take_sessions,
	  "sessions of each worker with each worker of the server (4); one holds 512 unanswered "
	  "sequences" },
	{ NULL, NULL, NULL, "What" },
	{ "load", "N", take_load, "first SET keys 0..N-1, each until it is acknowledged" },
	{ "keys", "N", take_keys, "use keys 0..N-1, which are there already (1M)" },
	{ "key-size", "BYTES", take_key_size, "5..250 (16)" },
	{ "value-size", "MIN[-MAX]", take_value_size, "bytes; a range is spread evenly (32)" },
	{ "workload", "LETTER", take_workload,
	  "YCSB's a, b, c, d or f: its mix and its distribution" },
	{ "mix", "KIND=W,...", take_mix,
	  "weights of get, set, insert, delete, add, replace, cas, increment, append, touch, "
	  "get_and_touch, exists, ttl (get=1)" },
	{ "distribution", "NAME", take_distribution,
	  "uniform (default), zipf[:EXPONENT] (0.99), latest" },
	{ "no-scramble", NULL, take_no_scramble,
	  "zipf: the hottest keys are 0, 1, 2 ... instead of spread" },
	{ "ops", "N", take_ops, "operations per datagram, 1..64 (1)" },
	{ "ttl", "MS", take_ttl, "time to live of everything written (none)" },
	{ "seed", "N", take_seed, "of all random choices (1)" },
	{ NULL, NULL, NULL, "How" },
	{ "rate", "OPS", take_rate,
	  "open loop: operations per second of all workers, at Poisson times planned ahead; "
	  "latency counts from the plan" },
	{ "outstanding", "N", take_outstanding,
	  "closed loop, when no rate is given: datagrams each worker keeps unanswered (256)" },
	{ "warmup", "SECONDS", take_warmup, "before the measured time (1)" },
	{ "duration", "SECONDS", take_duration,
	  "the measured time (10); 0 = only load and verify" },
	{ "timeout", "MS", take_timeout,
	  "a request without reply is lost after this, or sent again (1000)" },
	{ "retries", "N", take_retries,
	  "transmissions after the first, with the same sequence (0)" },
	{ NULL, NULL, NULL, "Judging: a result that breaks one of these is INVALID (exit code 3)" },
	{ "verify", NULL, take_verify,
	  "check every value and version returned, and at the end read back every key; needs "
	  "--load" },
	{ "allow-missing", NULL, take_allow_missing,
	  "a loaded key may be gone (the server evicts)" },
	{ "loss-limit", "PERCENT", take_loss_limit, "datagrams without reply (0.1)" },
	{ "late-limit", "US", take_late_limit,
	  "open loop: sent so long after its planned time is late (100; sockets 1000)" },
	{ "late-share", "PERCENT", take_late_share, "open loop: late ones of all (1)" },
	{ NULL, NULL, NULL, "Output" },
	{ "json", "FILE", take_json,
	  "write the result as JSON too; - writes it to standard output instead of the table" },
	{ "quiet", NULL, take_quiet, "no progress lines" },
	{ "help", NULL, take_help, "this text" },
	{ "version", NULL, take_version, "the version" },
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

/* getopt_long's codes of rows start above all characters it may return. */
#define ROW_CODE_FIRST 256

void bench_options_print_help(void)
{
	printf("Usage: godwit-bench [OPTIONS] [-- EAL-ARGUMENTS]\n"
	       "Loads a godwit server and tells what it did: throughput, latency, loss.\n");
	for (size_t i = 0; i < ROW_COUNT; i++) {
		char left[64];

		if (!rows[i].name) {
			printf("\n%s\n", rows[i].help);
			continue;
		}
		snprintf(left, sizeof(left), "--%s %s", rows[i].name,
			 rows[i].argument ? rows[i].argument : "");
		printf("  %-27s %s\n", left, rows[i].help);
	}
	printf("\nExamples\n"
	       "  Peak of GETs over kernel sockets, 1 M keys loaded first:\n"
	       "    godwit-bench --load 1M --duration 5\n"
	       "  Latency at 200,000 operations per second, YCSB A, every value checked:\n"
	       "    godwit-bench --load 1M --workload a --rate 200k --verify\n"
	       "  Peak over shared memory with another process, 16 GETs per datagram, generator on "
	       "CPU 1:\n"
	       "    godwit-bench --port memif:/run/godwit/memif.sock --cpus 1 "
	       "--load 1M --ops 16\n"
	       "\nExit codes: 0 valid result, 1 could not run, 2 wrong usage, 3 invalid result.\n");
}

/* ---- parsing ---- */

static void set_defaults(struct bench_options *options)
{
	memset(options, 0, sizeof(*options));
	options->server.s_addr = htonl(DATA_NETWORK | 2);
	options->server_port = WIRE_PORT_DEFAULT;
	options->port.ipv4 = DATA_NETWORK | 1;
	options->port.ipv4_prefix = 24;
	options->worker_count = 1;
	options->sessions = 4;
	options->workload.shares[OPERATION_GET] = 1.0;
	options->workload.distribution = KEY_UNIFORM;
	options->workload.exponent = KEY_CHOOSER_EXPONENT_DEFAULT;
	options->workload.scrambled = true;
	options->workload.key_count = 1000000;
	options->workload.format.key_size = 16;
	options->workload.format.value_size_min = 32;
	options->workload.format.value_size_max = 32;
	options->ops = 1;
	options->seed = 1;
	options->outstanding = 256;
	options->warmup_seconds = 1.0;
	options->duration_seconds = 10.0;
	options->timeout_ms = 1000.0;
	options->loss_limit_percent = 0.1;
	options->late_limit_us = -1.0;
	options->late_share_percent = 1.0;
}

/* Where godwitctl looks too; --server overrides it. */
static bool take_environment(struct parse *parse)
{
	const char *server = getenv("GODWIT_SERVER");

	parse->option = "server, from GODWIT_SERVER";
	return !server || take_server(parse, server);
}

/* What single options cannot know. */
static bool check_together(const struct parse *parse)
{
	const struct bench_options *options = parse->options;
	const struct workload *workload = &options->workload;
	const char *wrong = NULL;

	if (!operation_key_size_fits(workload->format.key_size, workload->key_count))
		wrong = "--key-size: too small to make that many different keys";
	else if (options->verify && !options->load)
		wrong = "--verify needs --load N: only what this run stored can be checked";
	else if (options->echo && (options->load || options->verify))
		wrong = "--echo stores nothing: drop --load and --verify";
	else if (options->echo && !options->over_port)
		wrong = "--echo needs a DPDK port: --port memif:SOCKET";
	else if (options->over_port && ntohl(options->server.s_addr) == options->port.ipv4)
		wrong = "--ip: that is the server's address; give another one of its network";
	else if (options->cpu_count && options->cpu_count < options->worker_count)
		wrong = "--cpus: fewer CPUs than --workers";
	else if (options->duration_seconds <= 0.0 && !options->load)
		wrong = "--duration 0 without --load leaves nothing to do";
	else if (options->eal_argc && !options->over_port)
		wrong = "EAL arguments behind -- need a DPDK port: --port memif:SOCKET";
	if (wrong)
		snprintf(parse->error, parse->error_size, "%s", wrong);
	return wrong == NULL;
}

static void fill_getopt(struct option *table)
{
	for (size_t i = 0; i < ROW_COUNT; i++) {
		if (rows[i].name)
			*table++ =
				(struct option){ rows[i].name,
						 rows[i].argument ? required_argument : no_argument,
						 NULL, (int)i + ROW_CODE_FIRST };
	}
	memset(table, 0, sizeof(*table));
}

/* getopt_long's complaint, as one line. */
static void explain(const struct parse *parse, int code, char *const *argv)
{
	snprintf(parse->error, parse->error_size, "%s: %s; see --help", argv[optind - 1],
		 code == ':' ? "an argument is missing"
			     : "unknown option, ambiguous, or an argument too many");
}

int bench_options_parse(struct bench_options *options, int argc, char **argv, char *error,
			size_t error_size)
{
	struct parse parse = { .options = options, .error = error, .error_size = error_size };
	struct option table[ROW_COUNT + 1];
	int code;

	set_defaults(options);
	if (!take_environment(&parse))
		return -1;
	fill_getopt(table);
	optind = 0; /* start anew, also for the next caller */
	while ((code = getopt_long(argc, argv, "+:", table, NULL)) != -1) {
		if (code < ROW_CODE_FIRST) {
			explain(&parse, code, argv);
			return -1;
		}
		parse.option = rows[code - ROW_CODE_FIRST].name;
		if (!rows[code - ROW_CODE_FIRST].take(&parse, optarg))
			return -1;
	}
	if (options->action != BENCH_RUN)
		return 0;
	if (optind < argc && strcmp(argv[optind - 1], "--") != 0) {
		snprintf(error, error_size, "'%s' is no option; see --help", argv[optind]);
		return -1;
	}
	options->eal_argc = argc - optind;
	options->eal_argv = argv + optind;
	options->workload.counter_count = options->workload.key_count < WORKLOAD_COUNTERS_MAX
						  ? options->workload.key_count
						  : WORKLOAD_COUNTERS_MAX;
	return check_together(&parse) ? 0 : -1;
}
