/* SPDX-License-Identifier: BSD-3-Clause */
/* Mixes, and the drawing of operations from them. */
#include "dataplane/loadgen/workload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Write numbers of one worker, of 2^40. */
#define WRITES_PER_WORKER_BITS 40u

struct ycsb_preset {
	char letter;
	double get, set, insert, cas;
	enum key_distribution distribution;
};

static const struct ycsb_preset ycsb_presets[] = {
	{ .letter = 'a', .get = 0.50, .set = 0.50, .distribution = KEY_ZIPF },
	{ .letter = 'b', .get = 0.95, .set = 0.05, .distribution = KEY_ZIPF },
	{ .letter = 'c', .get = 1.00, .distribution = KEY_ZIPF },
	{ .letter = 'd', .get = 0.95, .insert = 0.05, .distribution = KEY_LATEST },
	{ .letter = 'f', .get = 0.50, .cas = 0.50, .distribution = KEY_ZIPF },
};

bool workload_set_ycsb(struct workload *workload, char letter)
{
	for (size_t i = 0; i < sizeof(ycsb_presets) / sizeof(ycsb_presets[0]); i++) {
		const struct ycsb_preset *preset = &ycsb_presets[i];

		if (preset->letter != letter)
			continue;
		memset(workload->shares, 0, sizeof(workload->shares));
		workload->shares[OPERATION_GET] = preset->get;
		workload->shares[OPERATION_SET] = preset->set;
		workload->shares[OPERATION_INSERT] = preset->insert;
		workload->shares[OPERATION_CAS] = preset->cas;
		workload->distribution = preset->distribution;
		return true;
	}
	return false;
}

static unsigned kind_by_name(const char *name, size_t size)
{
	unsigned kind = 0;

	while (kind < OPERATION_KIND_COUNT &&
	       (strlen(operation_traits[kind].name) != size ||
		memcmp(operation_traits[kind].name, name, size) != 0))
		kind++;
	return kind;
}

static void list_kinds(char *text, size_t text_size)
{
	size_t used = 0;

	for (unsigned kind = 0; kind < OPERATION_KIND_COUNT && used < text_size; kind++)
		used += (size_t)snprintf(text + used, text_size - used, "%s%s", kind ? ", " : "",
					 operation_traits[kind].name);
}

/* Reads one "name=weight" at 'at' into 'weights'; returns the byte behind it or NULL. */
static const char *parse_share(const char *at, double *weights, char *error, size_t error_size)
{
	size_t name_size = strcspn(at, "=,");
	unsigned kind = kind_by_name(at, name_size);
	char *end = NULL;
	double weight = at[name_size] == '=' ? strtod(at + name_size + 1, &end) : -1.0;

	if (kind == OPERATION_KIND_COUNT) {
		char kinds[256];

		list_kinds(kinds, sizeof(kinds));
		snprintf(error, error_size, "'%.*s' is no operation; there are %s", (int)name_size,
			 at, kinds);
		return NULL;
	}
	if (!end || end == at + name_size + 1 || (*end != ',' && *end != '\0') ||
	    !(weight >= 0.0 && weight < 1e9)) {
		snprintf(error, error_size, "'%s' needs a weight, as in get=90,set=10",
			 operation_traits[kind].name);
		return NULL;
	}
	weights[kind] += weight;
	return end;
}

bool workload_parse_mix(struct workload *workload, const char *text, char *error, size_t error_size)
{
	double weights[OPERATION_KIND_COUNT] = { 0 };
	double sum = 0.0;
	const char *at = text;

	for (;;) {
		at = parse_share(at, weights, error, error_size);
		if (!at)
			return false;
		if (*at == '\0')
			break;
		at++;
	}
	for (unsigned kind = 0; kind < OPERATION_KIND_COUNT; kind++)
		sum += weights[kind];
	if (sum <= 0.0) {
		snprintf(error, error_size, "all weights are zero");
		return false;
	}
	for (unsigned kind = 0; kind < OPERATION_KIND_COUNT; kind++)
		workload->shares[kind] = weights[kind] / sum;
	return true;
}

uint32_t workload_datagram_size_max(const struct workload *workload, unsigned count)
{
	uint32_t most = 0;

	for (unsigned kind = 0; kind < OPERATION_KIND_COUNT; kind++) {
		uint32_t request = operation_request_size_max(&workload->format, kind);
		uint32_t reply = operation_reply_size_max(&workload->format, kind);

		/* a CAS begins with a GET */
		if (kind == OPERATION_CAS)
			reply = operation_reply_size_max(&workload->format, OPERATION_CAS_READ);
		if (!workload_has(workload, kind))
			continue;
		most = request > most ? request : most;
		most = reply > most ? reply : most;
	}
	return WIRE_HEADER_SIZE + count * most;
}

/* Cumulative shares as limits of a 64-bit random number. */
static void set_limits(struct workload_cursor *cursor)
{
	const struct workload *workload = cursor->workload;
	double below = 0.0;
	unsigned last = 0;

	cursor->single = OPERATION_KIND_COUNT;
	for (unsigned kind = 0; kind < OPERATION_KIND_COUNT; kind++) {
		if (workload->shares[kind] > 0.0)
			last = kind;
		if (workload->shares[kind] >= 1.0)
			cursor->single = kind;
		below += workload->shares[kind];
		cursor->kind_limits[kind] = below < 1.0 ? (uint64_t)(below * 0x1.0p64) : UINT64_MAX;
	}
	/* rounding must not leave numbers above the last kind */
	for (unsigned kind = last; kind < OPERATION_KIND_COUNT; kind++)
		cursor->kind_limits[kind] = UINT64_MAX;
}

int workload_cursor_init(struct workload_cursor *cursor, const struct workload *workload,
			 uint32_t worker, uint32_t worker_count, uint64_t seed)
{
	memset(cursor, 0, sizeof(*cursor));
	cursor->workload = workload;
	cursor->worker = worker;
	cursor->worker_count = worker_count;
	cursor->writes = (uint64_t)worker << WRITES_PER_WORKER_BITS;
	rng_init(&cursor->rng, seed, worker);
	key_chooser_init(&cursor->chooser, workload->distribution, workload->key_count,
			 workload->exponent, workload->scrambled);
	set_limits(cursor);
	cursor->inserts_done = calloc(WORKLOAD_INSERTS_IN_FLIGHT_MAX, 1);
	return cursor->inserts_done ? 0 : -ENOMEM;
}

void workload_cursor_fini(struct workload_cursor *cursor)
{
	free(cursor->inserts_done);
	cursor->inserts_done = NULL;
}

static unsigned draw_kind(struct workload_cursor *cursor)
{
	uint64_t number = rng_next(&cursor->rng);
	unsigned kind = 0;

	if (cursor->single != OPERATION_KIND_COUNT)
		return cursor->single;
	while (number > cursor->kind_limits[kind])
		kind++;
	return kind;
}

static uint64_t insert_key(const struct workload_cursor *cursor, uint64_t insert)
{
	return cursor->workload->key_count + insert * cursor->worker_count + cursor->worker;
}

/* Where the key of recency 'at' (0 = oldest) lies: loaded keys first, then this worker's inserts.
 */
static uint64_t latest_key(const struct workload_cursor *cursor, uint64_t at)
{
	uint64_t loaded = cursor->workload->key_count;

	return at < loaded ? at : insert_key(cursor, at - loaded);
}

static uint64_t draw_key(struct workload_cursor *cursor)
{
	uint64_t key = key_chooser_next(&cursor->chooser, &cursor->rng);

	return cursor->chooser.distribution == KEY_LATEST ? latest_key(cursor, key) : key;
}

/* A new key, or none while too many inserts are unacknowledged. */
static bool begin_insert(struct workload_cursor *cursor, uint64_t *key)
{
	if (cursor->inserts_begun - cursor->inserts_acknowledged >= WORKLOAD_INSERTS_IN_FLIGHT_MAX)
		return false;
	*key = insert_key(cursor, cursor->inserts_begun++);
	return true;
}

void workload_next_any(struct workload_cursor *cursor, struct operation *operation)
{
	unsigned kind = draw_kind(cursor);

	if (kind == OPERATION_INSERT && !begin_insert(cursor, &operation->key))
		kind = OPERATION_SET;
	if (kind == OPERATION_CAS)
		kind = OPERATION_CAS_READ;
	operation->kind = (uint8_t)kind;
	operation->space = operation_traits[kind].space;
	operation->is_put_off = false;
	operation->number = operation_traits[kind].is_write ? workload_next_write(cursor) : 0;
	if (kind == OPERATION_INSERT)
		return;
	if (operation->space == KEY_SPACE_PLAIN)
		operation->key = draw_key(cursor);
	else
		operation->key = rng_below(&cursor->rng, cursor->workload->counter_count);
}

void workload_insert_done(struct workload_cursor *cursor, uint64_t key)
{
	uint64_t insert = (key - cursor->workload->key_count) / cursor->worker_count;

	cursor->inserts_done[insert % WORKLOAD_INSERTS_IN_FLIGHT_MAX] = 1;
	while (cursor->inserts_done[cursor->inserts_acknowledged %
				    WORKLOAD_INSERTS_IN_FLIGHT_MAX]) {
		cursor->inserts_done[cursor->inserts_acknowledged %
				     WORKLOAD_INSERTS_IN_FLIGHT_MAX] = 0;
		cursor->inserts_acknowledged++;
	}
	if (cursor->chooser.distribution == KEY_LATEST)
		key_chooser_grow(&cursor->chooser,
				 cursor->workload->key_count + cursor->inserts_acknowledged);
}
