/* SPDX-License-Identifier: BSD-3-Clause */
/* What each key may hold at present, from what was begun and what was answered. */
#include "tests/simulation/sim_history.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/wire_partition.h"

void sim_history_init(struct sim_history *history, uint32_t key_count, uint32_t partition_count)
{
	memset(history, 0, sizeof(*history));
	history->key_count = key_count;
	for (uint32_t i = 0; i < key_count; i++) {
		struct sim_key *key = &history->keys[i];

		snprintf(key->name, sizeof(key->name), "key-%u", i);
		key->is_counter = i % 3 == 0;
		key->partition = wire_partition_of(key->name, strlen(key->name), partition_count);
	}
}

void sim_history_fini(struct sim_history *history)
{
	for (uint32_t i = 0; i < history->key_count; i++)
		free(history->keys[i].writes);
}

void sim_history_violate(struct sim_history *history, uint32_t invariant, const char *format, ...)
{
	va_list arguments;

	if (history->violation.invariant != 0)
		return;
	history->violation.invariant = invariant;
	history->violation.at_us = history->now_us;
	va_start(arguments, format);
	vsnprintf(history->violation.story, SIM_STORY_SIZE, format, arguments);
	va_end(arguments);
}

/* ---- registers ---- */

static void make_room(struct sim_key *key)
{
	if (key->begun < key->capacity)
		return;
	key->capacity = key->capacity ? 2 * key->capacity : 64;
	key->writes = realloc(key->writes, key->capacity * sizeof(key->writes[0]));
	if (!key->writes)
		abort();
	if (key->begun == 0)
		key->writes[0] = (struct sim_register_write){ .is_removal = true };
}

uint32_t sim_history_begin_write(struct sim_history *history, uint32_t number, bool is_removal)
{
	struct sim_key *key = &history->keys[number];

	make_room(key);
	key->before = key->floor;
	key->begun_in = key->forgotten;
	key->begun++;
	make_room(key);
	key->writes[key->begun] = (struct sim_register_write){ .is_removal = is_removal };
	return key->begun;
}

/* What was done may have died since. */
static enum sim_outcome outcome_now(const struct sim_key *key, enum sim_outcome outcome)
{
	return outcome == SIM_DONE && key->begun_in != key->forgotten ? SIM_UNKNOWN : outcome;
}

void sim_history_end_write(struct sim_history *history, uint32_t number, uint32_t write,
			   enum sim_outcome outcome)
{
	struct sim_key *key = &history->keys[number];

	history->writes += outcome == SIM_DONE;
	outcome = outcome_now(key, outcome);
	switch (outcome) {
	case SIM_DONE:
		key->floor = write;
		key->is_hazy = false;
		return;
	case SIM_NOT_DONE:
		key->writes[write].is_void = true;
		return;
	case SIM_UNKNOWN:
		key->is_hazy = true;
	}
}

void sim_history_end_removal(struct sim_history *history, uint32_t number, uint32_t write,
			     bool was_present)
{
	struct sim_key *key = &history->keys[number];
	bool should_be = !key->writes[key->before].is_removal;

	if (!key->is_hazy && key->begun_in == key->forgotten && was_present != should_be)
		sim_history_violate(history, was_present ? 3 : 2,
				    "%s: removal %u found it %s; the last write was %u", key->name,
				    write, was_present ? "present" : "absent", key->before);
	sim_history_end_write(history, number, write, SIM_DONE);
}

/* The oldest removal that a read of nothing may have seen; UINT32_MAX: none. */
static uint32_t find_removal(const struct sim_key *key, uint32_t floor)
{
	if (key->begun == 0)
		return 0;
	for (uint32_t i = floor; i <= key->begun; i++) {
		if (key->writes[i].is_removal && !key->writes[i].is_void)
			return i;
	}
	return UINT32_MAX;
}

/* 'is_fresh': what was read has not died since. */
static void read_register(struct sim_history *history, struct sim_key *key, uint32_t floor,
			  bool is_fresh, bool is_present, uint32_t write)
{
	if (!is_present)
		write = find_removal(key, floor);
	if (write == UINT32_MAX) {
		sim_history_violate(history, 2, "%s: absent, though write %u was done", key->name,
				    floor);
		return;
	}
	if (write > key->begun || (is_present && (write == 0 || key->writes[write].is_removal)))
		sim_history_violate(history, 2, "%s: write %u is read, %u were begun", key->name,
				    write, key->begun);
	else if (key->begun > 0 && key->writes[write].is_void)
		sim_history_violate(history, 2, "%s: write %u is read, which was refused",
				    key->name, write);
	else if (write < floor)
		sim_history_violate(history, key->writes[write].is_removal ? 6 : 3,
				    "%s: write %u is read, though %u was done before", key->name,
				    write, floor);
	else if (write > key->floor && is_fresh)
		key->floor = write;
}

/* ---- counters ---- */

void sim_history_begin_count(struct sim_history *history, uint32_t number)
{
	struct sim_key *key = &history->keys[number];

	key->before = key->least;
	key->begun_in = key->forgotten;
	key->most++;
}

void sim_history_end_count(struct sim_history *history, uint32_t number, enum sim_outcome outcome,
			   uint32_t count)
{
	struct sim_key *key = &history->keys[number];

	history->writes += outcome == SIM_DONE;
	outcome = outcome_now(key, outcome);
	if (outcome == SIM_NOT_DONE)
		key->most--;
	if (outcome != SIM_DONE)
		return;
	if (count <= key->before || count < key->least || count > key->most)
		sim_history_violate(history, 2, "%s: counted to %u, not %u..%u", key->name, count,
				    key->before + 1, key->most);
	key->least = count;
	key->most = count;
}

static void read_counter(struct sim_history *history, struct sim_key *key, uint32_t floor,
			 bool is_fresh, uint32_t count)
{
	if (count < floor || count > key->most)
		sim_history_violate(history, count < floor ? 2 : 3,
				    "%s: the counter reads %u, not %u..%u", key->name, count, floor,
				    key->most);
	else if (count > key->least && is_fresh)
		key->least = count;
}

/* ---- reads ---- */

struct sim_read sim_history_begin_read(const struct sim_history *history, uint32_t number)
{
	const struct sim_key *key = &history->keys[number];

	return (struct sim_read){ key->is_counter ? key->least : key->floor, key->forgotten };
}

void sim_history_end_read(struct sim_history *history, uint32_t number, const struct sim_read *read,
			  bool is_present, uint32_t value)
{
	struct sim_key *key = &history->keys[number];
	bool is_fresh = read->forgotten == key->forgotten;
	uint32_t floor = is_fresh ? read->floor : 0;

	history->reads++;
	if (key->is_counter)
		read_counter(history, key, floor, is_fresh, is_present ? value : 0);
	else
		read_register(history, key, floor, is_fresh, is_present, value);
}

void sim_history_forget(struct sim_history *history, uint32_t partition)
{
	for (uint32_t i = 0; i < history->key_count; i++) {
		struct sim_key *key = &history->keys[i];

		if (key->partition != partition)
			continue;
		key->forgotten++;
		key->floor = 0;
		key->least = 0;
		key->before = 0;
		key->is_hazy = true;
	}
}
