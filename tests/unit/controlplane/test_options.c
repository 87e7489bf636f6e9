/* SPDX-License-Identifier: BSD-3-Clause */
/* Options: defaults, files, command line, relations; each mistake names where, key, expected. */
#include "controlplane/options.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Options read from a temporary file, with what was complained about. Mistakes name the file "f".
 */
struct fixture {
	struct options options;
	char directory[32];
	char *errors;
	size_t size;
	int result;
	uint32_t mistakes; /* of options_check, when the file was fine */
};

/* Reads 'yaml' as the file "f", then checks. */
static void fixture_load(struct fixture *f, const char *yaml)
{
	FILE *file, *errors;

	memset(f, 0, sizeof(*f));
	strcpy(f->directory, "/tmp/godwit-options-XXXXXX");
	if (!mkdtemp(f->directory) || chdir(f->directory) != 0)
		abort();
	file = fopen("f", "w");
	fputs(yaml, file);
	fclose(file);
	errors = open_memstream(&f->errors, &f->size);
	options_init(&f->options);
	f->result = options_load(&f->options, "f", errors);
	if (f->result == 0)
		f->mistakes = options_check(&f->options, errors);
	fclose(errors);
	unlink("f");
	rmdir(f->directory);
}

static void fixture_fini(struct fixture *f)
{
	free(f->errors);
}

/* 'yaml' must be refused with exactly 'errors'. */
static void refused(const char *yaml, const char *errors)
{
	struct fixture f;

	fixture_load(&f, yaml);
	CU_ASSERT(f.result != 0 || f.mistakes > 0);
	CU_ASSERT_STRING_EQUAL(f.errors, errors);
	if (strcmp(f.errors, errors) != 0)
		printf("\n---\n%s--- gave\n%s--- expected\n%s", yaml, f.errors, errors);
	fixture_fini(&f);
}

static void an_empty_file_leaves_the_defaults(void)
{
	static const char *const empty[] = { "", "# nothing\n", "---\n", "data:\n" };
	struct fixture f;

	for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++) {
		fixture_load(&f, empty[i]);
		CU_ASSERT_EQUAL(f.result, 0);
		CU_ASSERT_EQUAL(f.mistakes, 0);
		CU_ASSERT_STRING_EQUAL(f.errors, "");
		CU_ASSERT_STRING_EQUAL(f.options.node_name, "godwit");
		CU_ASSERT_EQUAL(f.options.data_address.ipv4, 0x0a4d0002);
		CU_ASSERT_EQUAL(f.options.data_address.prefix, 24);
		CU_ASSERT_EQUAL(f.options.port_kind, PORT_TAP);
		CU_ASSERT_STRING_EQUAL(f.options.port_device, "godwit0");
		CU_ASSERT_EQUAL(f.options.port_host_address, 0x0a4d0001);
		CU_ASSERT_EQUAL(f.options.data_udp_port, 7700);
		CU_ASSERT_EQUAL(f.options.data_workers, 1);
		CU_ASSERT_EQUAL(f.options.storage_memory, 1ull << 30);
		CU_ASSERT_EQUAL(f.options.storage_partitions, 64);
		CU_ASSERT_EQUAL(f.options.admin_listen.ipv4, 0x7f000001);
		CU_ASSERT_EQUAL(f.options.admin_listen.port, 7780);
		fixture_fini(&f);
	}
}

static void every_type_is_read(void)
{
	struct fixture f;

	fixture_load(
		&f,
		"node: {name: 'n-1'}\n"
		"data:\n"
		"  address: 192.168.7.9/28\n"
		"  gateway: 192.168.7.1\n"
		"  workers: 3\n"
		"  cores: [2, 4-5]\n"
		"  mac: 02:00:00:00:00:0f\n"
		"  idle: spin\n"
		"  port: {kind: memif, device: \"/run/g.sock\", role: client, ring_size: 2048}\n"
		"storage: {memory: 1536M, eviction: on, huge_pages: off}\n"
		"admin: {listen: off}\n"
		"log: {level: debug}\n"
		"dpdk: {telemetry: on}\n");
	CU_ASSERT_STRING_EQUAL(f.errors, "");
	CU_ASSERT_EQUAL(f.result, 0);
	CU_ASSERT_STRING_EQUAL(f.options.node_name, "n-1");
	CU_ASSERT_EQUAL(f.options.data_address.ipv4, 0xc0a80709);
	CU_ASSERT_EQUAL(f.options.data_gateway, 0xc0a80701);
	CU_ASSERT_EQUAL(f.options.port_host_address, 0xc0a80702);
	CU_ASSERT_EQUAL(f.options.data_cores.count, 3);
	CU_ASSERT_EQUAL(f.options.data_cores.cpus[0], 2);
	CU_ASSERT_EQUAL(f.options.data_cores.cpus[2], 5);
	CU_ASSERT_EQUAL(f.options.data_mac.bytes[0], 2);
	CU_ASSERT_EQUAL(f.options.data_mac.bytes[5], 15);
	CU_ASSERT_EQUAL(f.options.data_idle, OPTION_IDLE_SPIN);
	CU_ASSERT_EQUAL(f.options.port_kind, PORT_MEMIF);
	CU_ASSERT_STRING_EQUAL(f.options.port_device, "/run/g.sock");
	CU_ASSERT_EQUAL(f.options.port_memif_server, false);
	CU_ASSERT_EQUAL(f.options.port_ring_size, 2048);
	CU_ASSERT_EQUAL(f.options.storage_memory, 1536ull << 20);
	CU_ASSERT_EQUAL(f.options.storage_eviction, EVICTION_ON);
	CU_ASSERT_EQUAL(f.options.storage_huge_pages, OPTION_SWITCH_OFF);
	CU_ASSERT_EQUAL(f.options.admin_listen.port, 0);
	CU_ASSERT_EQUAL(f.options.log_level, LOG_LEVEL_DEBUG);
	CU_ASSERT_EQUAL(f.options.dpdk_telemetry, true);
	fixture_fini(&f);
}

static void a_cluster_is_configured(void)
{
	struct fixture f;

	fixture_load(&f, "cluster:\n"
			 "  name: main\n"
			 "  listen: 10.0.0.2:7800\n"
			 "  key_file: /etc/godwit/key\n"
			 "  join: [10.0.0.1:7800, 10.0.0.3:7801]\n"
			 "  bootstrap: on\n"
			 "  weight: 0\n"
			 "  auto_rebalance: off\n"
			 "  fencing: none\n"
			 "  fence_ms: 7000\n");
	CU_ASSERT_STRING_EQUAL(f.errors, "");
	CU_ASSERT_EQUAL(f.result, 0);
	CU_ASSERT_STRING_EQUAL(f.options.cluster_name, "main");
	CU_ASSERT_EQUAL(f.options.cluster_listen.port, 7800);
	CU_ASSERT_EQUAL(f.options.cluster_advertise.ipv4, 0x0a000002);
	CU_ASSERT_EQUAL(f.options.cluster_advertise.port, 7800);
	CU_ASSERT_EQUAL(f.options.cluster_join.count, 2);
	CU_ASSERT_EQUAL(f.options.cluster_join.items[1].ipv4, 0x0a000003);
	CU_ASSERT_EQUAL(f.options.cluster_join.items[1].port, 7801);
	CU_ASSERT_EQUAL(f.options.cluster_bootstrap, true);
	CU_ASSERT_EQUAL(f.options.cluster_weight, 0);
	CU_ASSERT_EQUAL(f.options.cluster_auto_rebalance, false);
	CU_ASSERT_EQUAL(f.options.cluster_fencing, OPTION_FENCING_NONE);
	CU_ASSERT_EQUAL(f.options.cluster_fence_ms, 7000);
	fixture_fini(&f);
}

static void a_cluster_needs_an_address_and_a_key(void)
{
	refused("cluster: {join: 10.0.0.1:7800}\n",
		"f:1: cluster.join: expected cluster.listen as well\n");
	refused("cluster: {bootstrap: on}\n",
		"f:1: cluster.bootstrap: expected cluster.listen as well\n");
	refused("cluster: {listen: 10.0.0.1:7800}\n",
		"f:1: cluster.listen: expected cluster.key_file as well: `godwitctl cluster key` "
		"makes "
		"a key for all nodes (or cluster.insecure_bus: on, without any protection)\n");
	refused("cluster:\n  listen: 10.0.0.1:7800\n  key_file: k\n  insecure_bus: on\n",
		"f:4: cluster.insecure_bus: expected off: cluster.key_file names a key\n");
	refused("cluster: {listen: 0.0.0.0:7800, key_file: k}\n",
		"cluster.advertise: expected the address at which the other nodes reach this one: "
		"it "
		"listens on all\n");
	refused("node: {name: a-name-of-two-and-thirty-letters}\n"
		"cluster: {listen: 10.0.0.1:7800, key_file: k}\n",
		"f:1: node.name: expected at most 31 characters in a cluster\n");
	refused("cluster:\n  join: [10.0.0.1:7800, 10.0.0.1:7800]\n",
		"f:2: cluster.join: expected up to 16 IPv4 addresses with a port, such as "
		"10.0.0.1:7800,10.0.0.2:7800 or none, not '10.0.0.1:7800,10.0.0.1:7800'\n");
}

static void unknown_keys_are_refused(void)
{
	refused("data:\n  adress: 10.0.0.1/24\n",
		"f:2: data.adress: unknown key; godwitd --help-config lists those there are\n");
	refused("\n\nstore:\n  memory: 1G\n",
		"f:3: store: unknown key; godwitd --help-config lists those there are\n");
	refused("data:\n  port:\n    kind: tap\n    king: tap\n",
		"f:4: data.port.king: unknown key; godwitd --help-config lists those there are\n");
}

static void values_of_the_wrong_type_or_range_are_refused(void)
{
	refused("data:\n  workers: 65\n",
		"f:2: data.workers: expected a number, 1..64, not '65'\n");
	refused("data:\n  workers: two\n",
		"f:2: data.workers: expected a number, 1..64, not 'two'\n");
	refused("data:\n  workers: -1\n",
		"f:2: data.workers: expected a number, 1..64, not '-1'\n");
	refused("data:\n  workers:\n", "f:2: data.workers: expected a number, 1..64, not ''\n");
	refused("data:\n  mtu: 100\n",
		"f:2: data.mtu: expected a number, 576..9000 or auto, not '100'\n");
	refused("data:\n  idle: lazy\n",
		"f:2: data.idle: expected auto, spin or adaptive, not 'lazy'\n");
	refused("storage:\n  memory: 1X\n",
		"f:2: storage.memory: expected a size such as 512M or 4G, 16M..16T, not '1X'\n");
	refused("storage:\n  memory: 99999999999999999999T\n",
		"f:2: storage.memory: expected a size such as 512M or 4G, 16M..16T, not "
		"'99999999999999999999T'\n");
	refused("storage:\n  memory: 1M\n",
		"f:2: storage.memory: expected a size such as 512M or 4G, 16M..16T, not '1M'\n");
	refused("data:\n  address: 10.0.0.1\n",
		"f:2: data.address: expected an IPv4 address with its prefix, /8../30, such as "
		"10.77.0.2/24, not '10.0.0.1'\n");
	refused("data:\n  mac: 01:00:5e:00:00:01\n",
		"f:2: data.mac: expected a unicast MAC address such as 02:00:00:00:00:01 or auto, "
		"not "
		"'01:00:5e:00:00:01'\n");
	refused("data:\n  cores: 1,1\n  workers: 2\n",
		"f:2: data.cores: expected CPU numbers, each once, such as 1-3,6 or auto, not "
		"'1,1'\n");
	refused("admin:\n  listen: localhost:80\n", "f:2: admin.listen: expected an IPv4 address "
						    "and a port, such as 127.0.0.1:7780 or off, "
						    "not 'localhost:80'\n");
}

static void shapes_that_do_not_fit_are_refused(void)
{
	refused("data: tap\n", "f:1: data: is a section: expected keys under it\n");
	refused("data:\n  port: tap\n", "f:2: data.port: is a section: expected keys under it\n");
	refused("- a\n- b\n", "f:1: expected sections such as 'data:'\n");
	refused("hello\n", "f:1: expected sections such as 'data:'\n");
	refused("data:\n  workers: {a: 1}\n",
		"f:2: data.workers: expected a number, 1..64, not a section\n");
	refused("data:\n  workers: 1\n  workers: 2\n",
		"f:3: data.workers: given twice, first in line 2\n");
	refused("? [a]\n: 1\n", "f:1: expected a name before the colon\n");
	refused("log: {level: info}\n---\nlog: {level: info}\n",
		"f:3: expected the end of the file, not a second document\n");
}

static void broken_yaml_names_the_line(void)
{
	refused("data:\n  workers: 1\n bad\n", "f:3: no valid YAML: did not find expected key\n");
	refused("data: {workers: 1\n", "f:2: no valid YAML: did not find expected ',' or '}'\n");
	refused("data:\n\tworkers: 1\n",
		"f:2: no valid YAML: found character that cannot start any token\n");
}

static void all_mistakes_are_reported(void)
{
	refused("node:\n  nme: x\ndata:\n  workers: 0\nlog:\n  level: loud\n",
		"f:2: node.nme: unknown key; godwitd --help-config lists those there are\n"
		"f:4: data.workers: expected a number, 1..64, not '0'\n"
		"f:6: log.level: expected error, warning, info or debug, not 'loud'\n");
}

static void an_alias_that_contains_itself_ends(void)
{
	struct fixture f;

	fixture_load(&f, "data: &d\n  port: *d\n  workers: 1\n");
	CU_ASSERT_NOT_EQUAL(f.result, 0);
	fixture_fini(&f);
}

static void relations_between_options_are_checked(void)
{
	refused("node:\n  name: a/b\n",
		"f:2: node.name: expected letters, digits, '-', '_' and '.', not first a '.'\n");
	refused("data:\n  address: 10.0.0.0/24\n",
		"f:2: data.address: expected the address of a host, not of a network, broadcast, "
		"multicast or loopback\n");
	refused("data:\n  address: 224.0.0.5/24\n",
		"f:2: data.address: expected the address of a host, not of a network, broadcast, "
		"multicast or loopback\n");
	refused("data:\n  gateway: 10.99.0.1\n", "f:2: data.gateway: expected another host's "
						 "address in the network of data.address\n");
	refused("data:\n  port:\n    host_address: 10.77.0.2\n",
		"f:3: data.port.host_address: expected another address in the network of "
		"data.address\n");
	refused("data:\n  udp_port: 65535\n  workers: 2\n",
		"f:2: data.udp_port: expected at most 65534, so that each of 2 workers has a "
		"port\n");
	refused("data:\n  cores: 1-3\n  workers: 2\n",
		"f:2: data.cores: expected as many CPUs as data.workers says (2), not 3\n");
	refused("storage:\n  partitions: 48\n",
		"f:2: storage.partitions: expected a power of two, not 48\n");
	refused("data:\n  workers: 8\nstorage:\n  partitions: 4\n",
		"f:4: storage.partitions: expected at least one for each of 8 workers\n");
	refused("admin:\n  listen: 0.0.0.0:7780\n",
		"f:2: admin.listen: expected a loopback address, or admin.token_file as well\n");
}

static void the_device_must_fit_the_kind_of_port(void)
{
	refused("data:\n  port:\n    kind: af_packet\n",
		"data.port.device: expected the name of an interface, at most 15 characters, not "
		"'auto'\n");
	refused("data:\n  port:\n    device: averyverylongname\n",
		"f:3: data.port.device: expected the name of the interface to create, at most 15 "
		"characters, not 'averyverylongname'\n");
	refused("data:\n  port: {kind: memif, device: g.sock}\n",
		"f:2: data.port.device: expected the absolute path of a socket, at most 107 "
		"characters, not 'g.sock'\n");
	refused("data:\n  port: {kind: pci, device: '01:00.0'}\n",
		"f:2: data.port.device: expected a PCI address such as 0000:01:00.0, not "
		"'01:00.0'\n");
	refused("data:\n  port: {kind: pci, device: '0000:01:00.0'}\nstorage:\n  huge_pages: off\n",
		"f:4: storage.huge_pages: expected auto or on: a NIC on PCI reads packets from "
		"huge "
		"pages\n");
	refused("data:\n  port: {ring_size: 1000}\n",
		"f:2: data.port.ring_size: expected a power of two, not 1000\n");
}

static void a_missing_file_is_named(void)
{
	struct options options;
	char *errors = NULL;
	size_t size;
	FILE *out = open_memstream(&errors, &size);

	options_init(&options);
	CU_ASSERT_EQUAL(options_load(&options, "/nonexistent/g.yaml", out), -2);
	fclose(out);
	CU_ASSERT_STRING_EQUAL(errors,
			       "/nonexistent/g.yaml: cannot read it: No such file or directory\n");
	free(errors);
}

static void the_command_line_sets_pairs(void)
{
	struct options options;
	char *errors = NULL;
	size_t size;
	FILE *out = open_memstream(&errors, &size);

	options_init(&options);
	CU_ASSERT_EQUAL(options_set_pair(&options, "data.port.args=a=1,b=2", out), 0);
	CU_ASSERT_STRING_EQUAL(options.port_args, "a=1,b=2");
	CU_ASSERT_NOT_EQUAL(options_set_pair(&options, "data.workers", out), 0);
	CU_ASSERT_NOT_EQUAL(options_set_pair(&options, "data.workers=0", out), 0);
	fclose(out);
	CU_ASSERT_STRING_EQUAL(errors, "--set: expected KEY=VALUE, not 'data.workers'\n"
				       "--set: data.workers: expected a number, 1..64, not '0'\n");
	free(errors);
}

static char *printed(const struct options *options)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	options_print(options, out);
	fclose(out);
	return text;
}

static void what_is_printed_reads_back_the_same(void)
{
	struct fixture first, again;
	char *text, *text_again;

	fixture_load(&first, "node: {name: n1}\n"
			     "data:\n  workers: 2\n  cores: 0-1\n  mac: 02:00:00:00:00:01\n"
			     "  port: {args: \"it's, #odd: yes\"}\n"
			     "storage: {memory: 1000000K}\n");
	CU_ASSERT_STRING_EQUAL(first.errors, "");
	text = printed(&first.options);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "data:\n  address: 10.77.0.2/24\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "  port:\n    kind: tap\n    device: godwit0\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "    args: 'it''s, #odd: yes'\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "  memory: 1000000K\n"));
	fixture_load(&again, text);
	CU_ASSERT_STRING_EQUAL(again.errors, "");
	text_again = printed(&again.options);
	CU_ASSERT_STRING_EQUAL(text, text_again);
	free(text);
	free(text_again);
	fixture_fini(&first);
	fixture_fini(&again);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(an_empty_file_leaves_the_defaults),
		UNIT_TEST(every_type_is_read),
		UNIT_TEST(a_cluster_is_configured),
		UNIT_TEST(a_cluster_needs_an_address_and_a_key),
		UNIT_TEST(unknown_keys_are_refused),
		UNIT_TEST(values_of_the_wrong_type_or_range_are_refused),
		UNIT_TEST(shapes_that_do_not_fit_are_refused),
		UNIT_TEST(broken_yaml_names_the_line),
		UNIT_TEST(all_mistakes_are_reported),
		UNIT_TEST(an_alias_that_contains_itself_ends),
		UNIT_TEST(relations_between_options_are_checked),
		UNIT_TEST(the_device_must_fit_the_kind_of_port),
		UNIT_TEST(a_missing_file_is_named),
		UNIT_TEST(the_command_line_sets_pairs),
		UNIT_TEST(what_is_printed_reads_back_the_same),
		{ NULL, NULL },
	};

	return unit_run("options", tests);
}
