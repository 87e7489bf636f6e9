/* SPDX-License-Identifier: BSD-3-Clause */
/* Sessions: who gets one, who cannot steal one, who loses one. */
#include "dataplane/session.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "tests/unit/unit.h"

#define IPV4 0x0a000002u
#define PORT 40000u
#define NONCE 77u
#define T0 UINT64_C(1000000)

static struct session_table *make(uint32_t worker, uint32_t count_max)
{
	struct session_table *table = NULL;
	uint8_t seed[SESSION_SEED_SIZE];
	uint64_t random = 99 + worker;

	for (size_t i = 0; i < sizeof(seed); i++)
		seed[i] = (uint8_t)unit_random(&random);
	if (session_table_create(&table, worker, count_max, seed) != 0)
		abort();
	return table;
}

/* Both HELLOs; the result of the second. */
static enum session_hello_result greet(struct session_table *table, uint32_t ipv4, uint16_t port,
				       uint64_t nonce, uint64_t now_ms,
				       struct session_answer *answer)
{
	if (session_hello(table, ipv4, port, nonce, 0, now_ms, answer) != SESSION_CHALLENGED)
		return SESSION_CHALLENGED;
	return session_hello(table, ipv4, port, nonce, answer->challenge, now_ms, answer);
}

static bool valid(struct session_table *table, const struct session_answer *answer, uint32_t ipv4,
		  uint16_t port, uint64_t now_ms)
{
	bool own = session_check(table, answer->session_id, answer->token, ipv4, port, now_ms);

	/* With nothing moving, other workers see the same. */
	CU_ASSERT_EQUAL(
		session_check_foreign(table, answer->session_id, answer->token, ipv4, port, now_ms),
		own);
	return own;
}

/* ---- grants ---- */

static void two_hellos_make_a_session(void)
{
	struct session_table *table = make(3, 0);
	struct session_answer answer;

	CU_ASSERT_EQUAL(session_hello(table, IPV4, PORT, NONCE, 0, T0, &answer),
			SESSION_CHALLENGED);
	CU_ASSERT_NOT_EQUAL(answer.challenge, 0);
	CU_ASSERT_EQUAL(answer.token, 0);
	CU_ASSERT_EQUAL(session_count(table), 0);
	CU_ASSERT_EQUAL(session_hello(table, IPV4, PORT, NONCE, answer.challenge, T0, &answer),
			SESSION_GRANTED);
	CU_ASSERT_NOT_EQUAL(answer.token, 0);
	CU_ASSERT_EQUAL(session_worker(answer.session_id), 3);
	CU_ASSERT_EQUAL(session_count(table), 1);
	CU_ASSERT_TRUE(valid(table, &answer, IPV4, PORT, T0));
	session_table_destroy(table);
}

static void challenges_cost_no_memory(void)
{
	struct session_table *table = make(0, 16);
	struct session_answer answer;

	for (uint32_t i = 0; i < 10000; i++)
		if (session_hello(table, i, PORT, i, 0, T0, &answer) != SESSION_CHALLENGED)
			CU_FAIL("not challenged");
	CU_ASSERT_EQUAL(session_count(table), 0);
	CU_ASSERT_EQUAL(greet(table, IPV4, PORT, NONCE, T0, &answer), SESSION_GRANTED);
	session_table_destroy(table);
}

static void challenge_is_bound_to_address_port_and_nonce(void)
{
	struct session_table *table = make(0, 0);
	struct session_answer first, answer;

	session_hello(table, IPV4, PORT, NONCE, 0, T0, &first);
	CU_ASSERT_EQUAL(session_hello(table, IPV4 + 1, PORT, NONCE, first.challenge, T0, &answer),
			SESSION_CHALLENGED);
	CU_ASSERT_EQUAL(session_hello(table, IPV4, PORT + 1, NONCE, first.challenge, T0, &answer),
			SESSION_CHALLENGED);
	CU_ASSERT_EQUAL(session_hello(table, IPV4, PORT, NONCE + 1, first.challenge, T0, &answer),
			SESSION_CHALLENGED);
	CU_ASSERT_EQUAL(session_hello(table, IPV4, PORT, NONCE, first.challenge ^ 1, T0, &answer),
			SESSION_CHALLENGED);
	CU_ASSERT_EQUAL(answer.challenge, first.challenge);
	CU_ASSERT_EQUAL(session_count(table), 0);
	session_table_destroy(table);
}

static void tables_and_starts_sign_differently(void)
{
	struct session_table *one = make(0, 0), *other = make(1, 0);
	struct session_answer answer;

	session_hello(one, IPV4, PORT, NONCE, 0, T0, &answer);
	CU_ASSERT_EQUAL(session_hello(other, IPV4, PORT, NONCE, answer.challenge, T0, &answer),
			SESSION_CHALLENGED);
	session_table_destroy(one);
	session_table_destroy(other);
}

static void secret_rotates_and_the_previous_one_counts(void)
{
	struct session_table *table = make(0, 0);
	uint64_t start = 10 * SESSION_SECRET_PERIOD_MS;
	struct session_answer first, answer;

	session_hello(table, IPV4, PORT, NONCE, 0, start, &first);
	session_hello(table, IPV4, PORT, NONCE, 0, start + SESSION_SECRET_PERIOD_MS, &answer);
	CU_ASSERT_NOT_EQUAL(answer.challenge, first.challenge);
	CU_ASSERT_EQUAL(session_hello(table, IPV4, PORT, NONCE, first.challenge,
				      start + 2 * SESSION_SECRET_PERIOD_MS - 1, &answer),
			SESSION_GRANTED);
	CU_ASSERT_EQUAL(session_hello(table, IPV4, PORT, NONCE, first.challenge,
				      start + 2 * SESSION_SECRET_PERIOD_MS, &answer),
			SESSION_CHALLENGED);
	session_table_destroy(table);
}

static void lost_grant_is_repeated(void)
{
	struct session_table *table = make(0, 0);
	struct session_answer first, again;

	greet(table, IPV4, PORT, NONCE, T0, &first);
	CU_ASSERT_EQUAL(session_hello(table, IPV4, PORT, NONCE, first.challenge, T0 + 50, &again),
			SESSION_GRANTED);
	CU_ASSERT_EQUAL(again.session_id, first.session_id);
	CU_ASSERT_EQUAL(again.token, first.token);
	CU_ASSERT_EQUAL(session_count(table), 1);
	session_table_destroy(table);
}

static void new_nonce_ends_the_old_session(void)
{
	struct session_table *table = make(0, 0);
	struct session_answer first, second;

	greet(table, IPV4, PORT, NONCE, T0, &first);
	CU_ASSERT_EQUAL(greet(table, IPV4, PORT, NONCE + 1, T0, &second), SESSION_GRANTED);
	CU_ASSERT_NOT_EQUAL(first.token, second.token);
	CU_ASSERT_EQUAL(session_count(table), 1);
	CU_ASSERT_FALSE(valid(table, &first, IPV4, PORT, T0));
	CU_ASSERT_TRUE(valid(table, &second, IPV4, PORT, T0));
	session_table_destroy(table);
}

/* ---- checks ---- */

static void stolen_session_is_refused(void)
{
	struct session_table *table = make(1, 8);
	struct session_answer answer, forged;

	greet(table, IPV4, PORT, NONCE, T0, &answer);
	CU_ASSERT_FALSE(valid(table, &answer, IPV4 + 1, PORT, T0));
	CU_ASSERT_FALSE(valid(table, &answer, IPV4, PORT + 1, T0));
	forged = answer;
	forged.token ^= 1;
	CU_ASSERT_FALSE(valid(table, &forged, IPV4, PORT, T0));
	forged.token = 0;
	CU_ASSERT_FALSE(valid(table, &forged, IPV4, PORT, T0));
	CU_ASSERT_TRUE(valid(table, &answer, IPV4, PORT, T0));
	session_table_destroy(table);
}

static void forged_session_ids_are_refused(void)
{
	struct session_table *table = make(1, 8);
	struct session_answer answer, forged;
	uint64_t random = 5;

	greet(table, IPV4, PORT, NONCE, T0, &answer);
	forged = answer;
	for (uint32_t id = 0; id < 1000; id++) {
		forged.session_id = id;
		CU_ASSERT_FALSE(valid(table, &forged, IPV4, PORT, T0));
	}
	for (uint32_t i = 0; i < 1000; i++) {
		forged.session_id = (uint32_t)unit_random(&random);
		if (forged.session_id != answer.session_id)
			CU_ASSERT_FALSE(valid(table, &forged, IPV4, PORT, T0));
	}
	forged.session_id = UINT32_MAX;
	CU_ASSERT_FALSE(valid(table, &forged, IPV4, PORT, T0));
	forged.session_id = answer.session_id + (1u << SESSION_WORKER_SHIFT);
	CU_ASSERT_FALSE(valid(table, &forged, IPV4, PORT, T0));
	session_table_destroy(table);
}

static void free_slot_has_no_token(void)
{
	struct session_table *table = make(0, 8);
	struct session_answer nobody = { .session_id = 5, .token = 0 };

	CU_ASSERT_FALSE(valid(table, &nobody, 0, 0, T0));
	session_table_destroy(table);
}

/* ---- full ---- */

#define FULL 64u

static void fill(struct session_table *table, struct session_answer *answers, uint64_t now_ms)
{
	for (uint32_t i = 0; i < FULL; i++)
		if (greet(table, IPV4 + i, PORT, NONCE, now_ms + i, &answers[i]) != SESSION_GRANTED)
			CU_FAIL("not granted");
}

static void full_table_refuses_while_all_are_in_use(void)
{
	struct session_table *table = make(0, FULL);
	struct session_answer answers[FULL], late;

	fill(table, answers, T0);
	CU_ASSERT_EQUAL(greet(table, 1, PORT, NONCE, T0 + SESSION_IDLE_MIN_MS - 1, &late),
			SESSION_TABLE_FULL);
	for (uint32_t i = 0; i < FULL; i++)
		CU_ASSERT_TRUE(valid(table, &answers[i], IPV4 + i, PORT, T0));
	CU_ASSERT_EQUAL(session_count(table), FULL);
	session_table_destroy(table);
}

static void longest_idle_session_is_replaced(void)
{
	struct session_table *table = make(0, FULL);
	struct session_answer answers[FULL], late;
	uint64_t later = T0 + 100000;

	fill(table, answers, T0);
	for (uint32_t i = 0; i < FULL; i++) /* all but number 7 are used again */
		if (i != 7)
			valid(table, &answers[i], IPV4 + i, PORT, later);
	CU_ASSERT_EQUAL(greet(table, 1, PORT, NONCE, later, &late), SESSION_GRANTED);
	CU_ASSERT_FALSE(valid(table, &answers[7], IPV4 + 7, PORT, later));
	CU_ASSERT_TRUE(valid(table, &late, 1, PORT, later));
	for (uint32_t i = 0; i < FULL; i++)
		if (i != 7)
			CU_ASSERT_TRUE(valid(table, &answers[i], IPV4 + i, PORT, later));
	CU_ASSERT_EQUAL(greet(table, 2, PORT, NONCE, later, &late), SESSION_TABLE_FULL);
	CU_ASSERT_EQUAL(session_count(table), FULL);
	session_table_destroy(table);
}

static void use_by_another_worker_keeps_a_session(void)
{
	struct session_table *table = make(0, FULL);
	struct session_answer answers[FULL], late;
	uint64_t later = T0 + 100000;

	fill(table, answers, T0);
	CU_ASSERT_TRUE(session_check_foreign(table, answers[0].session_id, answers[0].token, IPV4,
					     PORT, later + 5)); /* that worker's clock is ahead */
	CU_ASSERT_EQUAL(greet(table, 1, PORT, NONCE, later, &late), SESSION_GRANTED);
	CU_ASSERT_TRUE(valid(table, &answers[0], IPV4, PORT, later));
	CU_ASSERT_FALSE(valid(table, &answers[1], IPV4 + 1, PORT, later));
	session_table_destroy(table);
}

/* A model of the table: who has been granted what, under many endpoints, nonces and pauses. */
static void random_greetings_match_a_model(void)
{
	enum { ENDPOINTS = 200 };
	struct session_table *table = make(0, FULL);
	struct session_answer held[ENDPOINTS] = { { 0 } };
	uint64_t nonce[ENDPOINTS] = { 0 }, used_ms[ENDPOINTS] = { 0 };
	uint64_t random = 6, now = T0;
	unsigned granted = 0, refused = 0, wrong = 0;

	for (int i = 0; i < 50000; i++) {
		uint32_t who = (uint32_t)(unit_random(&random) % ENDPOINTS);
		uint64_t wanted = unit_random(&random) % 4 + 1;
		struct session_answer answer;
		bool holds =
			session_check(table, held[who].session_id, held[who].token, who, PORT, now);
		enum session_hello_result result = greet(table, who, PORT, wanted, now, &answer);

		if (result == SESSION_TABLE_FULL) {
			refused++;
			wrong += holds || session_count(table) != FULL;
			/* Refused only when nobody has been idle long enough. */
			for (uint32_t j = 0; j < ENDPOINTS; j++)
				wrong +=
					session_check_foreign(table, held[j].session_id,
							      held[j].token, j, PORT, used_ms[j]) &&
					now - used_ms[j] >= SESSION_IDLE_MIN_MS + SESSION_TOUCH_MS;
		} else {
			granted++;
			wrong += result != SESSION_GRANTED;
			wrong += holds &&
				 (wanted == nonce[who]) != (answer.token == held[who].token);
			wrong += !session_check(table, answer.session_id, answer.token, who, PORT,
						now);
			held[who] = answer;
			nonce[who] = wanted;
			used_ms[who] = now;
		}
		now += unit_random(&random) % 300;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(granted > 1000 && refused > 1000);
	session_table_destroy(table);
}

/* ---- other workers ---- */

struct stealer {
	struct session_table *table;
	bool stop;
	uint64_t hits;
};

/* Claims the session of endpoint 1 with every token it ever sees, from endpoint 2's address:
 * never right.
 */
static void *steal(void *context)
{
	struct stealer *stealer = context;
	const struct session *session = &stealer->table->sessions[0];

	while (!__atomic_load_n(&stealer->stop, __ATOMIC_RELAXED)) {
		uint64_t token = __atomic_load_n(&session->token, __ATOMIC_RELAXED);
		/* Even tokens belong to endpoint 1, odd ones to endpoint 2: see below. */
		uint32_t wrong = token % 2 ? 1 : 2;

		stealer->hits += session_check_foreign(stealer->table, 1, token, wrong, PORT, T0);
	}
	return NULL;
}

/* The owner re-grants one slot to two endpoints in turn, keeping only tokens whose parity names
 * the endpoint; no reader may ever see one's token with the other's address.
 */
static void other_workers_never_see_half_a_grant(void)
{
	struct session_table *table = make(0, 1);
	struct stealer stealer = { .table = table };
	uint64_t now = T0, nonce = 1;
	pthread_t thread;
	int grants = 0;

	if (pthread_create(&thread, NULL, steal, &stealer) != 0)
		abort();
	while (grants < 20000) {
		uint32_t who = grants % 2 ? 1 : 2;
		uint64_t parity = who == 1 ? 0 : 1;
		uint64_t counter = table->tokens_drawn;

		/* Skip tokens of the wrong parity before they are published. */
		if (siphash(table->token_root, &counter, sizeof(counter)) % 2 != parity) {
			table->tokens_drawn++;
			continue;
		}
		struct session_answer answer;

		now += SESSION_IDLE_MIN_MS;
		if (greet(table, who, PORT, nonce++, now, &answer) != SESSION_GRANTED)
			CU_FAIL("not granted");
		grants++;
	}
	__atomic_store_n(&stealer.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(stealer.hits, 0);
	session_table_destroy(table);
}

/* ---- refusals ---- */

static void need_hello_is_limited(void)
{
	struct session_table *table = make(0, 1);
	unsigned sent = 0;

	for (int i = 0; i < 5000; i++)
		sent += session_may_refuse(table, T0);
	CU_ASSERT_EQUAL(sent, SESSION_REFUSALS_BURST);
	sent = 0;
	for (uint64_t ms = 1; ms <= 1000; ms++)
		for (int i = 0; i < 50; i++)
			sent += session_may_refuse(table, T0 + ms);
	CU_ASSERT_EQUAL(sent, SESSION_REFUSALS_PER_SECOND);
	sent = 0;
	for (int i = 0; i < 5000; i++)
		sent += session_may_refuse(table, T0 + 1000000000);
	CU_ASSERT_EQUAL(sent, SESSION_REFUSALS_BURST);
	session_table_destroy(table);
}

static void bad_options_are_refused(void)
{
	struct session_table *table = NULL;
	uint8_t seed[SESSION_SEED_SIZE] = { 0 };

	CU_ASSERT_EQUAL(session_table_create(&table, WORKER_COUNT_MAX, 0, seed), -EINVAL);
	CU_ASSERT_EQUAL(session_table_create(&table, 0, SESSION_COUNT_MAX + 1, seed), -EINVAL);
	CU_ASSERT_PTR_NULL(table);
	session_table_destroy(NULL);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(two_hellos_make_a_session),
		UNIT_TEST(challenges_cost_no_memory),
		UNIT_TEST(challenge_is_bound_to_address_port_and_nonce),
		UNIT_TEST(tables_and_starts_sign_differently),
		UNIT_TEST(secret_rotates_and_the_previous_one_counts),
		UNIT_TEST(lost_grant_is_repeated),
		UNIT_TEST(new_nonce_ends_the_old_session),
		UNIT_TEST(stolen_session_is_refused),
		UNIT_TEST(forged_session_ids_are_refused),
		UNIT_TEST(free_slot_has_no_token),
		UNIT_TEST(full_table_refuses_while_all_are_in_use),
		UNIT_TEST(longest_idle_session_is_replaced),
		UNIT_TEST(use_by_another_worker_keeps_a_session),
		UNIT_TEST(random_greetings_match_a_model),
		UNIT_TEST(other_workers_never_see_half_a_grant),
		UNIT_TEST(need_hello_is_limited),
		UNIT_TEST(bad_options_are_refused),
		{ NULL, NULL },
	};

	return unit_run("session", tests);
}
