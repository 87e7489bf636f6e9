/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses and lists of them as people write them. */
#include "dataplane/client/client_address.h"

#include "tests/unit/unit.h"

static void an_address_may_leave_out_its_port(void)
{
	struct client_address address;

	CU_ASSERT_TRUE(client_address_parse("10.77.0.2", 7700, &address));
	CU_ASSERT_EQUAL(address.ipv4, 0x0a4d0002);
	CU_ASSERT_EQUAL(address.port, 7700);
	CU_ASSERT_TRUE(client_address_parse("10.77.0.2:65535", 7700, &address));
	CU_ASSERT_EQUAL(address.port, 65535);
	CU_ASSERT_TRUE(client_address_parse("localhost:1", 7700, &address));
	CU_ASSERT_EQUAL(address.ipv4, 0x7f000001);
}

static void nonsense_is_refused(void)
{
	static const char *const texts[] = { "",
					     ":7700",
					     "10.77.0.2:",
					     "10.77.0.2:0",
					     "10.77.0.2:65536",
					     "10.77.0.2:-1",
					     "10.77.0.2:7x",
					     "10.77.0.2: 7",
					     "10.77.0.2:+7",
					     "10.77.0.2:7:7" };
	struct client_address address;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		CU_ASSERT_FALSE(client_address_parse(texts[i], 7700, &address));
}

static void a_list_is_separated_by_commas(void)
{
	struct client_address addresses[3];

	CU_ASSERT_EQUAL(client_address_parse_list("10.0.0.1", 7700, addresses, 3), 1);
	CU_ASSERT_EQUAL(
		client_address_parse_list("10.0.0.1:1,10.0.0.2, 10.0.0.3:3 ", 7700, addresses, 3),
		3);
	CU_ASSERT_EQUAL(addresses[1].ipv4, 0x0a000002);
	CU_ASSERT_EQUAL(addresses[1].port, 7700);
	CU_ASSERT_EQUAL(addresses[2].port, 3);
	CU_ASSERT_EQUAL(client_address_parse_list("10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4", 7700,
						  addresses, 3),
			0);
	CU_ASSERT_EQUAL(client_address_parse_list("10.0.0.1,", 7700, addresses, 3), 0);
	CU_ASSERT_EQUAL(client_address_parse_list(",", 7700, addresses, 3), 0);
	CU_ASSERT_EQUAL(client_address_parse_list("", 7700, addresses, 3), 0);
}

static void text_reads_back(void)
{
	struct client_address address = { 0xffffffff, 65535 }, again;
	char text[24];

	client_address_format(address, text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "255.255.255.255:65535");
	CU_ASSERT_TRUE(client_address_parse(text, 1, &again));
	CU_ASSERT_TRUE(client_address_equal(address, again));
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(an_address_may_leave_out_its_port),
		UNIT_TEST(nonsense_is_refused),
		UNIT_TEST(a_list_is_separated_by_commas),
		UNIT_TEST(text_reads_back),
		{ NULL, NULL },
	};

	return unit_run("client_address", tests);
}
