/* SPDX-License-Identifier: BSD-3-Clause */
/* From options to a node's identity, seeds and keys. */
#include "controlplane/cluster_config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static struct options options;
static struct cluster_config config;
static char error[512];
static uint64_t unix_ms = 1764000000000;

static uint64_t calendar(void *context)
{
	(void)context;
	return unix_ms;
}

static int drawn_byte = 0xff;

static void drawn(void *context, void *bytes, size_t size)
{
	(void)context;
	memset(bytes, drawn_byte, size);
}

static const struct world world = { .unix_ms = calendar, .random_bytes = drawn };

static void set(const char *pair)
{
	CU_ASSERT_EQUAL_FATAL(options_set_pair(&options, pair, stderr), 0);
}

static void prepare(const char *const *pairs)
{
	options_init(&options);
	for (; *pairs; pairs++)
		set(*pairs);
	options.cluster_insecure_bus = options.cluster_key_file[0] == '\0';
	CU_ASSERT_EQUAL_FATAL(options_check(&options, stderr), 0);
}

static int make(void)
{
	return cluster_config_make(&config, &options, &world, error, sizeof(error));
}

static void test_a_node_by_itself_has_no_bus(void)
{
	static const char *const pairs[] = { "node.name=alone", NULL };

	prepare(pairs);
	CU_ASSERT_EQUAL(make(), 0);
	CU_ASSERT_FALSE(config.has_bus);
	CU_ASSERT_STRING_EQUAL(config.self.name, "alone");
	CU_ASSERT_EQUAL(config.self.id, node_id_of_name("alone"));
	CU_ASSERT_EQUAL(config.partition_count, 64);
	CU_ASSERT_TRUE(node_address_is_none(&config.self.control));
}

static void test_a_long_name_is_cut_without_a_bus(void)
{
	static const char *const pairs[] = { "node.name=a-name-of-more-than-two-and-thirty-letters",
					     NULL };

	prepare(pairs);
	CU_ASSERT_EQUAL(make(), 0);
	CU_ASSERT_TRUE(node_name_is_valid(config.self.name));
}

static void test_what_the_node_says_of_itself(void)
{
	static const char *const pairs[] = { "node.name=b",
					     "cluster.listen=0.0.0.0:7800",
					     "cluster.advertise=10.1.0.2:7900",
					     "cluster.weight=7",
					     "data.address=10.2.0.2/24",
					     "data.workers=3",
					     "cluster.fencing=none",
					     "cluster.bootstrap=on",
					     NULL };
	struct node_address control = node_address_ipv4(0x0a010002, 7900);
	struct node_address data = node_address_ipv4(0x0a020002, 7700);

	prepare(pairs);
	CU_ASSERT_EQUAL(make(), 0);
	CU_ASSERT_TRUE(config.has_bus);
	CU_ASSERT_EQUAL(config.listen_ipv4, 0);
	CU_ASSERT_TRUE(node_address_equals(&config.self.control, &control));
	CU_ASSERT_TRUE(node_address_equals(&config.self.data, &data));
	CU_ASSERT_EQUAL(config.self.workers, 3);
	CU_ASSERT_EQUAL(config.self.weight, 7);
	CU_ASSERT_FALSE(config.is_fencing);
	CU_ASSERT_TRUE(config.may_found);
	CU_ASSERT_EQUAL(config.keys.count, 0);
}

static void test_a_later_start_has_a_greater_generation(void)
{
	static const char *const pairs[] = { NULL };
	uint64_t first;

	prepare(pairs);
	make();
	first = config.self.generation;
	CU_ASSERT_EQUAL(first >> 20, unix_ms);
	unix_ms++;
	make();
	CU_ASSERT_TRUE(config.self.generation > first);
}

static void test_each_start_draws_a_session_secret(void)
{
	static const char *const pairs[] = { NULL };
	const uint8_t first[NODE_SECRET_SIZE] = { [0 ... NODE_SECRET_SIZE - 1] = 0xff };
	const uint8_t second[NODE_SECRET_SIZE] = { [0 ... NODE_SECRET_SIZE - 1] = 0x5a };

	prepare(pairs);
	make();
	CU_ASSERT_EQUAL(memcmp(config.self.session_secret, first, sizeof(first)), 0);
	drawn_byte = 0x5a;
	make();
	CU_ASSERT_EQUAL(memcmp(config.self.session_secret, second, sizeof(second)), 0);
	drawn_byte = 0xff;
}

static void test_the_own_address_is_no_seed(void)
{
	static const char *const pairs[] = {
		"cluster.listen=10.1.0.2:7800",
		"cluster.join=10.1.0.1:7800,10.1.0.2:7800,10.1.0.3:7800", NULL
	};

	prepare(pairs);
	CU_ASSERT_EQUAL(make(), 0);
	CU_ASSERT_EQUAL_FATAL(config.seed_count, 2);
	CU_ASSERT_EQUAL(node_address_to_ipv4(&config.seeds[0]), 0x0a010001);
	CU_ASSERT_EQUAL(node_address_to_ipv4(&config.seeds[1]), 0x0a010003);
}

/* Makes a configuration with a key file of that text. */
static int make_with_key(const char *text)
{
	static const char *const pairs[] = { "cluster.listen=10.1.0.2:7800", NULL };
	char path[] = "/tmp/godwit-key-XXXXXX";
	int fd = mkstemp(path), result;

	CU_ASSERT_EQUAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	prepare(pairs);
	snprintf(options.cluster_key_file, sizeof(options.cluster_key_file), "%s", path);
	result = make();
	unlink(path);
	return result;
}

#define KEY "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"

static void test_keys_are_read_from_their_file(void)
{
	CU_ASSERT_EQUAL(make_with_key(KEY), 0);
	CU_ASSERT_EQUAL(config.keys.count, 1);
	CU_ASSERT_EQUAL(config.keys.items[0].bytes[1], 0x23);
	CU_ASSERT_EQUAL(make_with_key("# old and new\n" KEY "\n" KEY), 0);
	CU_ASSERT_EQUAL(config.keys.count, 2);
	CU_ASSERT_EQUAL(make_with_key(KEY "short\n"), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, " line 2: expected one or two keys of 64"));
	CU_ASSERT_EQUAL(make_with_key(""), -EINVAL);
	options.cluster_key_file[0] = '/';
	strcpy(options.cluster_key_file, "/nonexistent/key");
	CU_ASSERT_EQUAL(make(), -ENOENT);
	CU_ASSERT_STRING_EQUAL(error,
			       "cluster.key_file: cannot read /nonexistent/key: No such file "
			       "or directory");
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_a_node_by_itself_has_no_bus),
		UNIT_TEST(test_a_long_name_is_cut_without_a_bus),
		UNIT_TEST(test_what_the_node_says_of_itself),
		UNIT_TEST(test_a_later_start_has_a_greater_generation),
		UNIT_TEST(test_each_start_draws_a_session_secret),
		UNIT_TEST(test_the_own_address_is_no_seed),
		UNIT_TEST(test_keys_are_read_from_their_file),
		{ NULL, NULL },
	};

	return unit_run("cluster_config", tests);
}
