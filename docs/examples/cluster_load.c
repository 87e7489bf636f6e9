/* SPDX-License-Identifier: BSD-3-Clause */
/* Loads a cluster at a steady rate while it changes, and checks every answer.
 *
 *     cluster_load ADDRESS[,ADDRESS...] KEYS RATE < PHASES
 *
 * Stores KEYS items and prints "ready". Then each line of standard input names the phase that begins now, until the end of the
 * input: RATE operations a second, 70 % get, 25 % set, 5 % increment. At the end it reads everything back, and prints what each
 * phase was like. Exits 0 only if no operation failed and no acknowledged value is missing.
 *
 * Latency counts from the moment that an operation was planned for, so one that waits for its turn is not hidden.
 */
#include <errno.h>
#include <fcntl.h>
#include <godwit.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define COUNTER_COUNT 256u
#define VALUE_SIZE_MAX 400u
#define IN_FLIGHT_MAX 4096u
#define PHASE_COUNT_MAX 16u
#define COMPLAINTS_MAX 10u
#define VERIFY_COUNT 256u /* keys at once */

/* Latencies by powers of two of microseconds, each in 16 steps. */
#define STEPS 16u
#define BUCKET_COUNT (32u * STEPS)

struct phase {
	char name[32];
	double began;
	double ended;
	uint64_t done;
	uint64_t failed;
	uint64_t buckets[BUCKET_COUNT];
};

/* Of each key one write at most is under way, and no read then, so what a read must find is known. */
struct item {
	uint32_t acknowledged; /* writes */
	uint32_t reads;        /* under way */
	bool is_written;       /* now */
	bool is_unknown;       /* a write without an answer */
};

struct counter {
	uint64_t acknowledged;
	uint64_t unknown;
};

struct load {
	struct godwit *client;
	uint32_t key_count;
	struct item *items;
	struct counter counters[COUNTER_COUNT];
	uint64_t random;
	uint64_t total;
	uint64_t failed;
	uint64_t wrong;
	uint64_t verified;
	uint32_t complaints;
	uint32_t phase_count;
	struct phase phases[PHASE_COUNT_MAX];
};

struct operation {
	struct load *load;
	struct phase *phase; /* NULL: not measured */
	double planned;
	enum godwit_opcode opcode;
	uint32_t number; /* of its key or counter */
};

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint32_t random_below(struct load *load, uint32_t bound)
{
	load->random ^= load->random << 13;
	load->random ^= load->random >> 7;
	load->random ^= load->random << 17;
	return (uint32_t)(load->random >> 32) % bound;
}

static void complain(struct load *load, const char *what, const char *key, const char *why)
{
	if (load->complaints++ < COMPLAINTS_MAX)
		fprintf(stderr, "cluster_load: %s %s: %s\n", what, key, why);
}

/* ---- latencies ---- */

static uint32_t bucket_of(double seconds)
{
	uint64_t us = (uint64_t)(seconds * 1e6);
	uint32_t power = 0;
	uint32_t bucket;

	if (us < STEPS)
		return (uint32_t)us;
	while (us >> power >= 2 * STEPS)
		power++;
	bucket = (power + 1) * STEPS + (uint32_t)((us >> power) - STEPS);
	return bucket < BUCKET_COUNT ? bucket : BUCKET_COUNT - 1;
}

static double milliseconds_of(uint32_t bucket)
{
	uint32_t power = bucket / STEPS, step = bucket % STEPS;

	return (double)(power == 0 ? step : (uint64_t)(STEPS + step) << (power - 1)) / 1e3;
}

static double quantile(const struct phase *phase, double share)
{
	uint64_t wanted = (uint64_t)(share * (double)phase->done), seen = 0;
	uint32_t last = 0;

	for (uint32_t i = 0; i < BUCKET_COUNT && seen <= wanted; i++) {
		seen += phase->buckets[i];
		if (phase->buckets[i])
			last = i;
	}
	return milliseconds_of(last);
}

/* ---- keys and values ---- */

static size_t make_key(char *key, size_t size, enum godwit_opcode opcode, uint32_t number)
{
	const char *kind = opcode == GODWIT_OP_INCREMENT ? "counter" : "load";

	return (size_t)snprintf(key, size, "%s:%" PRIu32, kind, number);
}

/* Write 'version' of item 'number': both, then letters that follow from them. */
static size_t make_value(char value[VALUE_SIZE_MAX], uint32_t number, uint32_t version)
{
	uint32_t seed = (number * 2654435761u) ^ (version * 40503u);
	size_t size = 32 + seed % (VALUE_SIZE_MAX - 32);
	size_t at = (size_t)snprintf(value, VALUE_SIZE_MAX, "%" PRIu32 ".%" PRIu32 " ", number,
				     version);

	for (; at < size; at++)
		value[at] = (char)('a' + (seed >> at % 24) % 26);
	return size;
}

static void check_value(struct load *load, uint32_t number, const struct godwit_result *result)
{
	char expected[VALUE_SIZE_MAX], key[32];
	size_t size = make_value(expected, number, load->items[number].acknowledged);

	if (result->value_size == size && memcmp(result->value, expected, size) == 0)
		return;
	make_key(key, sizeof(key), GODWIT_OP_GET, number);
	complain(load, "get", key, "not the value that was acknowledged last");
	load->wrong++;
}

/* ---- operations ---- */

static void settle_item(struct operation *operation, const struct godwit_result *result)
{
	struct item *item = &operation->load->items[operation->number];

	if (operation->opcode == GODWIT_OP_GET) {
		item->reads--;
		if (result->status == GODWIT_OK)
			check_value(operation->load, operation->number, result);
		return;
	}
	item->is_written = false;
	item->acknowledged += result->status == GODWIT_OK;
	item->is_unknown = result->status == GODWIT_UNKNOWN;
}

static void count(struct operation *operation, const struct godwit_result *result)
{
	struct load *load = operation->load;
	bool is_failed = result->status != GODWIT_OK;
	char key[32];

	load->total++;
	load->failed += is_failed;
	if (is_failed) {
		make_key(key, sizeof(key), operation->opcode, operation->number);
		complain(load, operation->opcode == GODWIT_OP_GET ? "get" : "write", key,
			 godwit_status_text(result->status));
	}
	if (!operation->phase)
		return;
	operation->phase->done++;
	operation->phase->failed += is_failed;
	operation->phase->buckets[bucket_of(seconds_now() - operation->planned)]++;
}

static void on_result(void *context, const struct godwit_result *result)
{
	struct operation *operation = context;
	struct counter *counter = &operation->load->counters[operation->number % COUNTER_COUNT];

	if (operation->opcode != GODWIT_OP_INCREMENT)
		settle_item(operation, result);
	else if (result->status == GODWIT_OK)
		counter->acknowledged++;
	else if (result->status == GODWIT_UNKNOWN)
		counter->unknown++;
	count(operation, result);
	free(operation);
}

static void submit(struct load *load, const struct operation *planned)
{
	struct operation *operation = malloc(sizeof(*operation));
	char key[32], value[VALUE_SIZE_MAX];
	struct godwit_operation request = { .opcode = planned->opcode, .key = key };

	if (!operation)
		abort();
	*operation = *planned;
	request.key_size = make_key(key, sizeof(key), planned->opcode, planned->number);
	if (planned->opcode == GODWIT_OP_SET) {
		request.value = value;
		request.value_size = make_value(value, planned->number,
						load->items[planned->number].acknowledged + 1);
	} else if (planned->opcode == GODWIT_OP_INCREMENT) {
		request.delta = request.initial = 1;
		request.has_initial = true;
	}
	if (godwit_submit(load->client, &request, on_result, operation) != GODWIT_OK)
		abort(); /* the limits above forbid it */
}

/* A random operation that nothing under way is in the way of. */
static void submit_random(struct load *load, struct phase *phase, double planned)
{
	struct operation operation = { .load = load, .phase = phase, .planned = planned };
	uint32_t dice = random_below(load, 100);
	struct item *item;

	if (dice < 5) {
		operation.opcode = GODWIT_OP_INCREMENT;
		operation.number = random_below(load, COUNTER_COUNT);
		submit(load, &operation);
		return;
	}
	operation.opcode = dice < 30 ? GODWIT_OP_SET : GODWIT_OP_GET;
	do {
		operation.number = random_below(load, load->key_count);
		item = &load->items[operation.number];
	} while (item->is_written || item->is_unknown ||
		 (operation.opcode == GODWIT_OP_SET && item->reads > 0));
	if (operation.opcode == GODWIT_OP_SET)
		item->is_written = true;
	else
		item->reads++;
	submit(load, &operation);
}

/* ---- running ---- */

static void wait_and_process(struct load *load, int timeout_ms)
{
	int due_ms = godwit_timeout_ms(load->client);
	struct pollfd fds[] = { { .fd = godwit_fd(load->client), .events = POLLIN } };

	poll(fds, 1, due_ms >= 0 && due_ms < timeout_ms ? due_ms : timeout_ms);
	godwit_process(load->client);
}

static void finish(struct load *load)
{
	while (godwit_pending(load->client) > 0)
		wait_and_process(load, 100);
}

static void store_all(struct load *load)
{
	struct operation operation = { .load = load, .opcode = GODWIT_OP_SET };

	for (; operation.number < load->key_count; operation.number++) {
		load->items[operation.number].is_written = true;
		submit(load, &operation);
		while (godwit_pending(load->client) >= IN_FLIGHT_MAX)
			wait_and_process(load, 100);
	}
	finish(load);
}

static struct phase *begin_phase(struct load *load, const char *name)
{
	struct phase *phase = &load->phases[load->phase_count];

	if (load->phase_count == PHASE_COUNT_MAX)
		return phase - 1;
	if (load->phase_count > 0)
		phase[-1].ended = seconds_now();
	load->phase_count++;
	snprintf(phase->name, sizeof(phase->name), "%s", name);
	phase->began = seconds_now();
	return phase;
}

/* Reads what there is of standard input, which does not block. False at its end. */
static bool read_phase(struct load *load, struct phase **phase)
{
	char text[256];
	ssize_t size = read(STDIN_FILENO, text, sizeof(text) - 1);
	char *line, *rest = text;

	if (size == 0)
		return false;
	if (size < 0)
		return errno == EAGAIN;
	text[size] = '\0';
	while ((line = strsep(&rest, "\n")))
		if (*line)
			*phase = begin_phase(load, line);
	return true;
}

static void run(struct load *load, double rate)
{
	struct phase *phase = NULL;
	double next = seconds_now();

	fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
	while (read_phase(load, &phase)) {
		double now = seconds_now();

		for (; next <= now && godwit_pending(load->client) < IN_FLIGHT_MAX;
		     next += 1 / rate)
			if (phase)
				submit_random(load, phase, next);
		wait_and_process(load, 1);
	}
	if (phase)
		phase->ended = seconds_now();
	finish(load);
}

/* ---- judging ---- */

static void verify_item(struct load *load, uint32_t number, const char *key,
			const struct godwit_result *result)
{
	if (load->items[number].is_unknown)
		return; /* counted as failed */
	load->verified++;
	if (result->status == GODWIT_OK) {
		check_value(load, number, result);
		return;
	}
	complain(load, "final get", key, godwit_status_text(result->status));
	load->wrong++;
}

static void verify_items(struct load *load)
{
	struct godwit_result results[VERIFY_COUNT];
	struct godwit_key keys[VERIFY_COUNT];
	char names[VERIFY_COUNT][32];

	for (uint32_t first = 0; first < load->key_count; first += VERIFY_COUNT) {
		uint32_t left = load->key_count - first;
		uint32_t count = left < VERIFY_COUNT ? left : VERIFY_COUNT;

		for (uint32_t i = 0; i < count; i++)
			keys[i] =
				(struct godwit_key){ names[i], make_key(names[i], sizeof(names[i]),
									GODWIT_OP_GET, first + i) };
		godwit_get_many(load->client, keys, count, results);
		for (uint32_t i = 0; i < count; i++)
			verify_item(load, first + i, names[i], &results[i]);
	}
}

static void verify_counters(struct load *load)
{
	for (uint32_t number = 0; number < COUNTER_COUNT; number++) {
		const struct counter *counter = &load->counters[number];
		struct godwit_result result;
		char key[32], text[32] = "";
		size_t size = make_key(key, sizeof(key), GODWIT_OP_INCREMENT, number);
		uint64_t value;

		if (godwit_get_into(load->client, key, size, text, sizeof(text) - 1, &result) ==
		    GODWIT_OK)
			text[result.value_size] = '\0';
		value = strtoull(text, NULL, 10);
		load->verified++;
		if (value >= counter->acknowledged &&
		    value <= counter->acknowledged + counter->unknown)
			continue;
		complain(load, "final get", key, "not the number of acknowledged increments");
		load->wrong++;
	}
}

static void report(const struct load *load)
{
	printf("%-24s %8s %12s %10s %10s %10s %8s\n", "phase", "seconds", "requests/s", "p50 ms",
	       "p99 ms", "p99.9 ms", "failed");
	for (uint32_t i = 0; i < load->phase_count; i++) {
		const struct phase *phase = &load->phases[i];
		double seconds = phase->ended - phase->began;

		printf("%-24s %8.1f %12.0f %10.2f %10.2f %10.2f %8" PRIu64 "\n", phase->name,
		       seconds, (double)phase->done / seconds, quantile(phase, 0.5),
		       quantile(phase, 0.99), quantile(phase, 0.999), phase->failed);
	}
	printf("%" PRIu64 " requests, %" PRIu64 " failed, %" PRIu64 " values verified, %" PRIu64
	       " wrong\n",
	       load->total, load->failed, load->verified, load->wrong);
}

int main(int argc, char **argv)
{
	struct godwit_options options = GODWIT_OPTIONS_INIT;
	static struct load load = { .random = 88172645463325252u };
	enum godwit_status status;
	double rate = argc == 4 ? atof(argv[3]) : 0;

	load.key_count = argc == 4 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
	if (load.key_count < 2 * IN_FLIGHT_MAX || rate <= 0) {
		fprintf(stderr,
			"usage: cluster_load ADDRESS[,ADDRESS...] KEYS RATE < PHASES; KEYS at "
			"least %u\n",
			2 * IN_FLIGHT_MAX);
		return 2;
	}
	load.items = calloc(load.key_count, sizeof(*load.items));
	options.timeout_ms = 10000;
	status = load.items ? godwit_open(&load.client, argv[1], &options) : GODWIT_NO_MEMORY;
	if (status != GODWIT_OK) {
		fprintf(stderr, "cluster_load: %s: %s\n", argv[1], godwit_status_text(status));
		return 1;
	}
	store_all(&load);
	printf("ready\n");
	fflush(stdout);
	run(&load, rate);
	verify_items(&load);
	verify_counters(&load);
	report(&load);
	godwit_close(load.client);
	free(load.items);
	return load.failed > 0 || load.wrong > 0;
}
