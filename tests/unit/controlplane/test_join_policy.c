/* SPDX-License-Identifier: BSD-3-Clause */
/* Joining: what each answer leads to. */
#include "controlplane/join_policy.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/unit.h"

#define SELF 10u

static struct join_policy policy;
static const struct node_address seed = { .port = 7800 };

static enum join_verdict refused(uint64_t now_ms, enum bus_refusal refusal)
{
	struct bus_close close = { .kind = BUS_CLOSE_REFUSED, .refusal = refusal };

	return join_policy_failed(&policy, now_ms, &seed, &close);
}

static enum join_verdict untrusted(enum bus_result result)
{
	struct bus_close close = { .kind = BUS_CLOSE_UNTRUSTED, .result = result };

	return join_policy_failed(&policy, 0, &seed, &close);
}

static void test_who_may_not_found_asks_for_ever(void)
{
	struct bus_close close = { .kind = BUS_CLOSE_UNREACHABLE, .error = ECONNREFUSED };

	join_policy_init(&policy, SELF, false, true, 0);
	CU_ASSERT_EQUAL(join_policy_failed(&policy, 1000000, &seed, &close), JOIN_GO_ON);
	CU_ASSERT_EQUAL(refused(1000000, BUS_REFUSED_NOT_MEMBER), JOIN_GO_ON);
	CU_ASSERT_EQUAL(refused(1000000, BUS_REFUSED_BUSY), JOIN_GO_ON);
	CU_ASSERT_EQUAL(refused(1000000, BUS_REFUSED_SELF), JOIN_GO_ON);
	CU_ASSERT_EQUAL(join_policy_tick(&policy, 10000000), JOIN_GO_ON);
	CU_ASSERT_PTR_NOT_NULL(strstr(policy.reason, "refused (self)"));
}

static void test_a_founder_founds_when_nobody_answered(void)
{
	join_policy_init(&policy, SELF, true, true, 1000);
	CU_ASSERT_EQUAL(join_policy_tick(&policy, 1000 + JOIN_FOUND_MS - 1), JOIN_GO_ON);
	CU_ASSERT_EQUAL(join_policy_tick(&policy, 1000 + JOIN_FOUND_MS), JOIN_FOUND);
	join_policy_init(&policy, SELF, true, false, 1000);
	CU_ASSERT_EQUAL(join_policy_tick(&policy, 1000 + JOIN_FOUND_ALONE_MS), JOIN_FOUND);
}

static void test_of_two_founders_the_one_with_the_smaller_id_founds(void)
{
	struct bus_close close = { .kind = BUS_CLOSE_REFUSED,
				   .refusal = BUS_REFUSED_NOT_MEMBER,
				   .peer = { .id = SELF - 1, .may_found = true } };

	join_policy_init(&policy, SELF, true, true, 0);
	CU_ASSERT_EQUAL(join_policy_failed(&policy, JOIN_FOUND_MS, &seed, &close), JOIN_GO_ON);
	CU_ASSERT_EQUAL(join_policy_tick(&policy, JOIN_FOUND_MS + JOIN_DEFER_MS - 1), JOIN_GO_ON);
	CU_ASSERT_EQUAL(join_policy_tick(&policy, JOIN_FOUND_MS + JOIN_DEFER_MS), JOIN_FOUND);

	join_policy_init(&policy, SELF, true, true, 0);
	close.peer.id = SELF + 1;
	CU_ASSERT_EQUAL(join_policy_failed(&policy, JOIN_FOUND_MS, &seed, &close), JOIN_FOUND);
	join_policy_init(&policy, SELF, true, true, 0);
	close.peer = (struct bus_peer){ .id = SELF - 1 };
	CU_ASSERT_EQUAL(join_policy_failed(&policy, JOIN_FOUND_MS, &seed, &close), JOIN_FOUND);
}

static void test_what_only_the_operator_can_mend_ends_it(void)
{
	join_policy_init(&policy, SELF, true, true, 0);
	CU_ASSERT_EQUAL(untrusted(BUS_WRONG_KEY), JOIN_GIVE_UP);
	CU_ASSERT_PTR_NOT_NULL(strstr(policy.reason, "wrong_key"));
	CU_ASSERT_EQUAL(untrusted(BUS_WRONG_CLUSTER), JOIN_GIVE_UP);
	CU_ASSERT_EQUAL(untrusted(BUS_WRONG_VERSION), JOIN_GIVE_UP);
	CU_ASSERT_EQUAL(untrusted(BUS_TRUNCATED), JOIN_GO_ON); /* something else listens there */
	CU_ASSERT_EQUAL(refused(0, BUS_REFUSED_PARTITIONS), JOIN_GIVE_UP);
	CU_ASSERT_EQUAL(refused(0, BUS_REFUSED_UNTRUSTED), JOIN_GIVE_UP);
	CU_ASSERT_EQUAL(refused(0, BUS_REFUSED_SERVICE), JOIN_GIVE_UP);
}

static void test_a_taken_name_is_waited_for_and_then_given_up(void)
{
	join_policy_init(&policy, SELF, false, true, 0);
	CU_ASSERT_EQUAL(refused(1000, BUS_REFUSED_NAME), JOIN_GO_ON);
	CU_ASSERT_EQUAL(refused(999 + JOIN_NAME_TAKEN_MS, BUS_REFUSED_NAME), JOIN_GO_ON);
	CU_ASSERT_EQUAL(refused(1000 + JOIN_NAME_TAKEN_MS, BUS_REFUSED_NAME), JOIN_GIVE_UP);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_who_may_not_found_asks_for_ever),
		UNIT_TEST(test_a_founder_founds_when_nobody_answered),
		UNIT_TEST(test_of_two_founders_the_one_with_the_smaller_id_founds),
		UNIT_TEST(test_what_only_the_operator_can_mend_ends_it),
		UNIT_TEST(test_a_taken_name_is_waited_for_and_then_given_up),
		{ NULL, NULL },
	};

	return unit_run("join_policy", tests);
}
