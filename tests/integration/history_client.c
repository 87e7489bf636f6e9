/* SPDX-License-Identifier: BSD-3-Clause */
/* Writes, removes, counts and reads at random, and checks every answer against what each key can hold.
 *
 *     history_client SEEDS SECONDS KEYS IN_FLIGHT NAME
 *
 * Each key has one operation under way at a time, so what it holds is known but for writes whose outcome is UNKNOWN: those
 * may have been executed or not, and the next answer tells. An answer that no such history explains is a lost write, a
 * removed key that came back, an increment applied twice, or a stale read. SIGTERM ends the run early. At the
 * end all keys are read once more. The last line is
 *
 *     "N ok, N failed, N unknown, N wrong, N verified, N ms at most"
 *
 * failed: answered, but by an error. Exits with 0 unless an answer was wrong. NAME starts the keys' names.
 */
#include <godwit.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define POSSIBLE_MAX 16
#define ABSENT INT64_MIN
#define VALUE_SIZE_MAX 900

/* A write whose outcome nobody knows is executed within this time, or never. */
#define SETTLE_S 1.0

/* Values that were wrong and are told one by one. */
#define TOLD_MAX 10

/* Every third key is a number that is counted up; the others are written whole. */
struct key {
	struct run *run;
	char name[64];
	size_t name_size;
	bool is_busy;
	bool is_counter;
	double not_before;
	enum godwit_opcode opcode; /* of the operation under way */
	int64_t written;           /* what SET writes */
	double begun;
	int possible_count;
	int64_t possible[POSSIBLE_MAX];
};

struct run {
	struct godwit *client;
	struct key *keys;
	int key_count;
	int under_way;
	double end;
	int64_t next_value;
	uint64_t random;
	uint64_t ok, failed, unknown, wrong, verified;
	uint64_t failures[128];
	double longest;
	char value[VALUE_SIZE_MAX];
};

static volatile sig_atomic_t is_stopped;

static void on_signal(int number)
{
	(void)number;
	is_stopped = 1;
}

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* xorshift64* */
static uint32_t chance(struct run *run, uint32_t below)
{
	run->random ^= run->random >> 12;
	run->random ^= run->random << 25;
	run->random ^= run->random >> 27;
	return (uint32_t)((run->random * UINT64_C(2685821657736338717)) >> 33) % below;
}

/* ---- what a key can hold ---- */

static bool is_possible(const struct key *key, int64_t value)
{
	for (int i = 0; i < key->possible_count; i++) {
		if (key->possible[i] == value)
			return true;
	}
	return false;
}

static void now_holds(struct key *key, int64_t value)
{
	key->possible_count = 1;
	key->possible[0] = value;
}

static void may_hold(struct key *key, int64_t value)
{
	if (!is_possible(key, value) && key->possible_count < POSSIBLE_MAX)
		key->possible[key->possible_count++] = value;
}

static int64_t counted_up(int64_t value)
{
	return value == ABSENT ? 1 : value + 1;
}

static void tell_wrong(struct key *key, const char *what, int64_t value)
{
	if (key->run->wrong++ >= TOLD_MAX)
		return;
	printf("%.3f wrong: %s: %s %" PRId64 ", possible:", seconds_now(), key->name, what, value);
	for (int i = 0; i < key->possible_count; i++)
		printf(" %" PRId64, key->possible[i]);
	printf("\n");
}

/* The key was seen to hold 'value'. */
static void see(struct key *key, const char *what, int64_t value)
{
	if (!is_possible(key, value))
		tell_wrong(key, what, value);
	now_holds(key, value);
}

/* ---- values: a number, and for whole writes a filling that depends on it ---- */

static size_t value_size_of(int64_t number)
{
	return 24 + (size_t)(number * 37 % (VALUE_SIZE_MAX - 24));
}

static size_t make_value(struct key *key, int64_t number)
{
	size_t size = value_size_of(number);
	int digits = snprintf(key->run->value, sizeof(key->run->value), "%" PRId64, number);

	memset(key->run->value + digits, 'a' + (int)(number % 7), size - (size_t)digits);
	return size;
}

/* The number in a value; ABSENT when it was never written so. */
static int64_t read_value(struct key *key, const struct godwit_result *result)
{
	char text[32];
	int64_t number;
	size_t size = result->value_size < sizeof(text) - 1 ? result->value_size : sizeof(text) - 1;

	memcpy(text, result->value, size);
	text[size] = 0;
	number = strtoll(text, NULL, 10);
	if (key->is_counter)
		return number;
	if (number <= 0 || make_value(key, number) != result->value_size ||
	    memcmp(key->run->value, result->value, result->value_size) != 0) {
		tell_wrong(key, "a torn value", number);
		return ABSENT;
	}
	return number;
}

/* ---- outcomes ---- */

static void take_ok(struct key *key, const struct godwit_result *result)
{
	switch (key->opcode) {
	case GODWIT_OP_GET:
		see(key, "read", read_value(key, result));
		break;
	case GODWIT_OP_SET:
		now_holds(key, key->written);
		break;
	case GODWIT_OP_DELETE:
		if (key->possible_count == 1 && key->possible[0] == ABSENT)
			tell_wrong(key, "removed what was not there", 0);
		now_holds(key, ABSENT);
		break;
	default:
		for (int i = 0; i < key->possible_count; i++)
			key->possible[i] = counted_up(key->possible[i]);
		see(key, "counted to", result->number);
	}
}

static void take_unknown(struct key *key)
{
	int count = key->possible_count;

	if (key->opcode == GODWIT_OP_SET)
		may_hold(key, key->written);
	else if (key->opcode == GODWIT_OP_DELETE)
		may_hold(key, ABSENT);
	for (int i = 0; key->opcode == GODWIT_OP_INCREMENT && i < count; i++)
		may_hold(key, counted_up(key->possible[i]));
	key->not_before = seconds_now() + SETTLE_S;
}

static void on_result(void *context, const struct godwit_result *result)
{
	struct key *key = context;
	struct run *run = key->run;
	double took = seconds_now() - key->begun;

	key->is_busy = false;
	run->under_way--;
	if (took > run->longest)
		run->longest = took;
	if (result->status == GODWIT_OK) {
		run->ok++;
		take_ok(key, result);
	} else if (result->status == GODWIT_NOT_FOUND) {
		run->ok++;
		see(key, "absent", ABSENT);
	} else if (result->status == GODWIT_UNKNOWN) {
		run->unknown++;
		take_unknown(key);
	} else {
		run->failed++;
		run->failures[result->status]++;
	}
}

/* ---- operations ---- */

static enum godwit_opcode choose_opcode(struct key *key)
{
	uint32_t die = chance(key->run, 100);

	if (die < 35)
		return GODWIT_OP_GET;
	if (die < 45 && !key->is_counter)
		return GODWIT_OP_DELETE;
	return key->is_counter ? GODWIT_OP_INCREMENT : GODWIT_OP_SET;
}

static void begin(struct key *key, enum godwit_opcode opcode)
{
	struct run *run = key->run;
	struct godwit_operation operation = { .opcode = opcode,
					      .key = key->name,
					      .key_size = key->name_size };

	if (opcode == GODWIT_OP_SET) {
		key->written = ++run->next_value;
		operation.value_size = make_value(key, key->written);
		operation.value = run->value;
	}
	if (opcode == GODWIT_OP_INCREMENT) {
		operation.delta = 1;
		operation.has_initial = true;
		operation.initial = 1;
	}
	key->opcode = opcode;
	key->begun = seconds_now();
	if (godwit_submit(run->client, &operation, on_result, key) != GODWIT_OK)
		return;
	key->is_busy = true;
	run->under_way++;
}

static void begin_random(struct run *run, double now)
{
	struct key *key = &run->keys[chance(run, (uint32_t)run->key_count)];

	if (!key->is_busy && now >= key->not_before)
		begin(key, choose_opcode(key));
}

static void wait_and_process(struct run *run)
{
	struct pollfd fd = { .fd = godwit_fd(run->client), .events = POLLIN };
	int wait_ms = godwit_timeout_ms(run->client);

	godwit_flush(run->client);
	poll(&fd, 1, wait_ms < 0 || wait_ms > 10 ? 10 : wait_ms);
	godwit_process(run->client);
}

static void work(struct run *run, int in_flight)
{
	for (double now = seconds_now(); now < run->end && !is_stopped; now = seconds_now()) {
		for (int tries = 0; run->under_way < in_flight && tries < 2 * in_flight; tries++)
			begin_random(run, now);
		wait_and_process(run);
	}
	while (run->under_way > 0)
		wait_and_process(run);
}

/* Reads all keys, which no UNKNOWN write can reach any more. */
static void verify(struct run *run)
{
	struct timespec pause = { .tv_sec = (time_t)SETTLE_S };
	uint64_t ok = run->ok;

	nanosleep(&pause, NULL);
	for (int i = 0; i < run->key_count; i++) {
		begin(&run->keys[i], GODWIT_OP_GET);
		while (run->under_way >= 64)
			wait_and_process(run);
	}
	while (run->under_way > 0)
		wait_and_process(run);
	run->verified = run->ok - ok;
}

static void report(const struct run *run)
{
	for (int i = 0; i < 128; i++) {
		if (run->failures[i] > 0)
			printf("%" PRIu64 " failed: %s\n", run->failures[i],
			       godwit_status_text((enum godwit_status)i));
	}
	printf("%" PRIu64 " ok, %" PRIu64 " failed, %" PRIu64 " unknown, %" PRIu64
	       " wrong, %" PRIu64 " verified, %.0f ms at most\n",
	       run->ok, run->failed, run->unknown, run->wrong, run->verified, run->longest * 1e3);
}

static void make_keys(struct run *run, const char *name)
{
	run->keys = calloc((size_t)run->key_count, sizeof(*run->keys));
	if (!run->keys)
		exit(2);
	for (int i = 0; i < run->key_count; i++) {
		struct key *key = &run->keys[i];

		key->run = run;
		key->is_counter = i % 3 == 0;
		key->name_size = (size_t)snprintf(key->name, sizeof(key->name), "%s:%d", name, i);
		now_holds(key, ABSENT);
	}
}

int main(int argc, char **argv)
{
	static struct run run;
	struct godwit_options options = GODWIT_OPTIONS_INIT;

	options.timeout_ms = 5000;
	options.connect_timeout_ms = 10000;
	if (argc != 6 || atoi(argv[3]) < 1 || godwit_open(&run.client, argv[1], &options) != GODWIT_OK)
		return 2;
	signal(SIGTERM, on_signal);
	setvbuf(stdout, NULL, _IOLBF, 0);
	run.random = (uint64_t)time(NULL) * 2654435761u + 1;
	run.key_count = atoi(argv[3]);
	make_keys(&run, argv[5]);
	run.end = seconds_now() + atof(argv[2]);
	work(&run, atoi(argv[4]));
	verify(&run);
	report(&run);
	godwit_close(run.client);
	free(run.keys);
	return run.wrong != 0;
}
