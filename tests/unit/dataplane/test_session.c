/* SPDX-License-Identifier: BSD-3-Clause */
/* Sessions: who gets one, who cannot steal one, who loses one. */
#include "dataplane/session.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <ucontext.h>

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

static void clock_ahead_of_ours_does_not_look_idle(void)
{
	struct session_table *table = make(0, 1);
	struct session_answer answer, late;
	uint64_t later = T0 + 100000;

	greet(table, IPV4, PORT, NONCE, T0, &answer);
	CU_ASSERT_TRUE(session_check_foreign(table, answer.session_id, answer.token, IPV4, PORT,
					     later + 5));
	CU_ASSERT_EQUAL(greet(table, 1, PORT, NONCE, later, &late), SESSION_TABLE_FULL);
	CU_ASSERT_TRUE(valid(table, &answer, IPV4, PORT, later));
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

/* Two endpoints take turns at the only slot; nobody may ever be seen with one's token and the
 * other's address. The state between any two instructions is looked at by single steps: the
 * processor traps after each instruction, and the handler is the other worker.
 */
#define FIRST 1u
#define SECOND 2u

static struct turns {
	struct session_table *table;
	uint64_t tokens[3]; /* that FIRST and SECOND hold or are about to get */
	uint64_t now_ms;
	uint64_t nonce;
	uint64_t steps;
	uint64_t
		regrant_at; /* step at which the handler gives the slot to SECOND, 0 = it only looks */
	unsigned stolen;
	bool stepping; /* naturally atomic */
} turns;

/* The next grant's token, before anybody can see it. */
static uint64_t token_to_come(const struct session_table *table)
{
	uint64_t counter = table->tokens_drawn;

	return siphash(table->token_root, &counter, sizeof(counter));
}

/* Gives the slot to 'who'. */
static void regrant(uint32_t who)
{
	struct session_answer answer;

	turns.now_ms += SESSION_IDLE_MIN_MS;
	__atomic_store_n(&turns.tokens[who], token_to_come(turns.table), __ATOMIC_RELAXED);
	if (greet(turns.table, who, PORT, turns.nonce++, turns.now_ms, &answer) !=
		    SESSION_GRANTED ||
	    answer.token != turns.tokens[who])
		abort();
}

static bool crossed(uint32_t owner, uint32_t thief)
{
	uint64_t token = __atomic_load_n(&turns.tokens[owner], __ATOMIC_RELAXED);

	return session_check_foreign(turns.table, 1, token, thief, PORT, T0);
}

static void open_turns(void)
{
	turns = (struct turns){ .table = make(0, 1), .now_ms = T0, .nonce = 1 };
	regrant(SECOND);
	regrant(FIRST);
}

static void *steal(void *unused)
{
	while (__atomic_load_n(&turns.stepping, __ATOMIC_RELAXED))
		turns.stolen += crossed(FIRST, SECOND) + crossed(SECOND, FIRST);
	return unused;
}

static void other_workers_never_see_half_a_grant(void)
{
	pthread_t thread;

	open_turns();
	__atomic_store_n(&turns.stepping, true, __ATOMIC_RELAXED);
	if (pthread_create(&thread, NULL, steal, NULL) != 0)
		abort();
	for (int i = 0; i < 20000; i++)
		regrant(i % 2 ? FIRST : SECOND);
	__atomic_store_n(&turns.stepping, false, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(turns.stolen, 0);
	session_table_destroy(turns.table);
}

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#define TRAP_FLAG 0x100

static void on_step(int signal_number, siginfo_t *info, void *context)
{
	ucontext_t *user = context;

	(void)signal_number;
	(void)info;
	if (!turns.stepping) {
		user->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
		return;
	}
	turns.steps++;
	if (turns.regrant_at == 0)
		turns.stolen += crossed(FIRST, SECOND) + crossed(SECOND, FIRST);
	else if (turns.regrant_at == turns.steps)
		regrant(SECOND);
}

/* Calls 'run' with a trap after each of its instructions. */
static void step_through(void (*run)(void))
{
	struct sigaction old, action = { .sa_sigaction = on_step, .sa_flags = SA_SIGINFO };

	sigaction(SIGTRAP, &action, &old);
	turns.steps = 0;
	__atomic_store_n(&turns.stepping, true, __ATOMIC_RELAXED);
	/* Below the red zone: a leaf function may keep values in the 128 bytes under the stack. */
	__asm__ volatile(
		"lea -128(%%rsp), %%rsp; pushfq; orq %0, (%%rsp); popfq; lea 128(%%rsp), %%rsp"
		:
		: "i"(TRAP_FLAG)
		: "memory", "cc");
	run();
	__atomic_store_n(&turns.stepping, false,
			 __ATOMIC_RELAXED); /* the next trap ends the stepping */
	__asm__ volatile("nop; nop" : : : "memory");
	sigaction(SIGTRAP, &old, NULL);
}

static void grant_to_second(void)
{
	regrant(SECOND);
}

static void every_step_of_a_grant_is_safe_to_look_at(void)
{
	open_turns();
	for (int i = 0; i < 10; i++) {
		step_through(grant_to_second);
		CU_ASSERT(turns.steps > 100);
		regrant(FIRST);
	}
	CU_ASSERT_EQUAL(turns.stolen, 0);
	session_table_destroy(turns.table);
}

/* SECOND claims the token that FIRST holds, while the slot becomes SECOND's own. */
static void claim_firsts_session(void)
{
	uint64_t token = turns.tokens[FIRST];

	turns.stolen += session_check_foreign(turns.table, 1, token, SECOND, PORT, T0);
}

static void a_grant_in_any_step_of_a_check_is_noticed(void)
{
	uint64_t at = 0;

	open_turns();
	do {
		turns.regrant_at = ++at;
		step_through(claim_firsts_session);
		turns.regrant_at = 0;
		regrant(FIRST);
	} while (turns.steps >= at);
	CU_ASSERT(at > 10);
	CU_ASSERT_EQUAL(turns.stolen, 0);
	session_table_destroy(turns.table);
}
#else
static void every_step_of_a_grant_is_safe_to_look_at(void)
{
	CU_PASS("needs single steps of x86-64");
}

static void a_grant_in_any_step_of_a_check_is_noticed(void)
{
	CU_PASS("needs single steps of x86-64");
}
#endif

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
		UNIT_TEST(clock_ahead_of_ours_does_not_look_idle),
		UNIT_TEST(random_greetings_match_a_model),
		UNIT_TEST(other_workers_never_see_half_a_grant),
		UNIT_TEST(every_step_of_a_grant_is_safe_to_look_at),
		UNIT_TEST(a_grant_in_any_step_of_a_check_is_noticed),
		UNIT_TEST(need_hello_is_limited),
		UNIT_TEST(bad_options_are_refused),
		{ NULL, NULL },
	};

	return unit_run("session", tests);
}
