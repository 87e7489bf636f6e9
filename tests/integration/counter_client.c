/* SPDX-License-Identifier: BSD-3-Clause */
/* Counts on a node as fast as it answers, then compares: what was acknowledged must be there, and
 * no more than that and what is unknown.
 *
 *     counter_client ADDRESS SECONDS IN_FLIGHT NAME
 *
 * SIGTERM ends the counting sooner. Prints "N ok, N unknown, N other, N keys wrong, N sessions" and exits 0 unless a key is wrong.
 * NAME starts the keys' names.
 */
#include <godwit.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define KEY_COUNT 32

struct counter {
	struct run *run;
	char key[64];
	size_t key_size;
	int64_t ok;
	int64_t unknown;
};

struct run {
	struct godwit *client;
	double end;
	uint64_t other;
	struct counter counters[KEY_COUNT];
};

static volatile sig_atomic_t is_over;

static void on_signal(int number)
{
	(void)number;
	is_over = 1;
}

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void on_result(void *context, const struct godwit_result *result);

static void increment(struct counter *counter)
{
	struct godwit_operation operation = { .opcode = GODWIT_OP_INCREMENT,
					      .key = counter->key,
					      .key_size = counter->key_size,
					      .delta = 1,
					      .has_initial = true,
					      .initial = 1 };

	if (!is_over && seconds_now() < counter->run->end)
		godwit_submit(counter->run->client, &operation, on_result, counter);
}

static void on_result(void *context, const struct godwit_result *result)
{
	struct counter *counter = context;

	if (result->status == GODWIT_OK)
		counter->ok++;
	else if (result->status == GODWIT_UNKNOWN)
		counter->unknown++;
	else
		counter->run->other++;
	increment(counter);
}

static int64_t value_of(struct run *run, const struct counter *counter)
{
	struct godwit_result result;
	char text[32];

	if (godwit_get(run->client, counter->key, counter->key_size, &result) != GODWIT_OK)
		return 0;
	snprintf(text, sizeof(text), "%.*s", (int)result.value_size, (const char *)result.value);
	return strtoll(text, NULL, 10);
}

/* Returns how many keys hold what they cannot. */
static int compare(struct run *run)
{
	int64_t ok = 0, unknown = 0;
	struct godwit_stats stats;
	int wrong = 0;

	for (int i = 0; i < KEY_COUNT; i++) {
		const struct counter *counter = &run->counters[i];
		int64_t value = value_of(run, counter);

		wrong += value < counter->ok || value > counter->ok + counter->unknown;
		ok += counter->ok;
		unknown += counter->unknown;
	}
	godwit_stats(run->client, &stats);
	printf("%" PRId64 " ok, %" PRId64 " unknown, %" PRIu64 " other, %d keys wrong, %" PRIu64
	       " sessions\n",
	       ok, unknown, run->other, wrong, stats.sessions_opened);
	return wrong;
}

int main(int argc, char **argv)
{
	static struct run run;
	int wrong;

	if (argc != 5 || godwit_open(&run.client, argv[1], NULL) != GODWIT_OK)
		return 2;
	signal(SIGTERM, on_signal);
	run.end = seconds_now() + atof(argv[2]);
	for (int i = 0; i < KEY_COUNT; i++) {
		struct counter *counter = &run.counters[i];

		counter->run = &run;
		counter->key_size =
			(size_t)snprintf(counter->key, sizeof(counter->key), "%s:%d", argv[4], i);
	}
	for (int i = 0; i < atoi(argv[3]); i++)
		increment(&run.counters[i % KEY_COUNT]);
	while (godwit_pending(run.client) > 0) {
		struct pollfd fd = { .fd = godwit_fd(run.client), .events = POLLIN };

		poll(&fd, 1, godwit_timeout_ms(run.client));
		godwit_process(run.client);
	}
	wrong = compare(&run);
	godwit_close(run.client);
	return wrong != 0;
}
