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

static uint64_t now_ms(const struct sim_history *history)
{
	return history->now_us / 1000;
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

uint32_t sim_history_begin_write(struct sim_history *history, uint32_t number, bool is_removal,
				 uint32_t ttl_ms)
{
	struct sim_key *key = &history->keys[number];

	make_room(key);
	key->before = key->floor;
	key->was_gone = key->is_gone;
	key->begun_in = key->forgotten;
	key->is_under_way = true;
	key->begun++;
	make_room(key);
	key->writes[key->begun] = (struct sim_register_write){ .is_removal = is_removal,
							       .ttl_ms = ttl_ms,
							       .begun_ms = now_ms(history),
							       .ended_ms = UINT64_MAX };
	return key->begun;
}

/* What was done may have died since. */
static enum sim_outcome outcome_now(const struct sim_key *key, enum sim_outcome outcome)
{
	return outcome == SIM_DONE && key->begun_in != key->forgotten ? SIM_UNKNOWN : outcome;
}

static void end(struct sim_history *history, struct sim_key *key, enum sim_outcome outcome)
{
	history->writes += outcome == SIM_DONE;
	key->acknowledged += outcome == SIM_DONE;
	key->is_under_way = false;
}

void sim_history_end_write(struct sim_history *history, uint32_t number, uint32_t write,
			   enum sim_outcome outcome)
{
	struct sim_key *key = &history->keys[number];

	end(history, key, outcome);
	key->writes[write].ended_ms =
		now_ms(history) + (outcome == SIM_UNKNOWN ? SIM_SETTLE_MS : 0);
	key->writes[write].is_unsure = outcome == SIM_UNKNOWN;
	outcome = outcome_now(key, outcome);
	switch (outcome) {
	case SIM_DONE:
		if (key->floor != write) /* a reader may have seen it already, and its end */
			key->is_gone = false;
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

/* ---- the time to live ---- */

/* Whether who looks until 'until_ms' may find nothing after this write. */
static bool may_be_absent(const struct sim_history *history, const struct sim_register_write *write,
			  uint64_t until_ms)
{
	return write->is_removal || history->is_evicting ||
	       (write->ttl_ms &&
		write->begun_ms + write->ttl_ms <= until_ms + history->clock_error_ms);
}

/* Until when a write was executed, if at all: one given up may have waited for a worker that stood still. */
static uint64_t surely_ended_ms(const struct sim_history *history,
				const struct sim_register_write *write)
{
	uint64_t stalled_ms = history->stalled_until_us / 1000 + SIM_SETTLE_MS;

	return write->is_unsure && stalled_ms > write->ended_ms ? stalled_ms : write->ended_ms;
}

/* Whether it may be there yet for who looks from 'from_ms' on. */
static bool may_be_present(const struct sim_history *history,
			   const struct sim_register_write *write, uint64_t from_ms)
{
	return !write->is_removal && !write->is_void &&
	       (write->ttl_ms == 0 || write->ended_ms == UINT64_MAX ||
		surely_ended_ms(history, write) + write->ttl_ms + history->clock_error_ms >
			from_ms);
}

/* Whether what was found absent may be seen again: by a node whose clock is behind, until it expires there too. */
static bool may_come_back(const struct sim_history *history, const struct sim_register_write *write)
{
	return history->clock_error_ms > 0 && write->ttl_ms > 0;
}

/* ---- removals ---- */

void sim_history_end_removal(struct sim_history *history, uint32_t number, uint32_t write,
			     bool was_present)
{
	struct sim_key *key = &history->keys[number];
	const struct sim_register_write *before = &key->writes[key->before];
	bool may_be = may_be_present(history, before, key->writes[write].begun_ms) &&
		      (!key->was_gone || may_come_back(history, before));

	if (!key->is_hazy && key->begun_in == key->forgotten &&
	    (was_present ? !may_be : !may_be_absent(history, before, now_ms(history))))
		sim_history_violate(history, was_present ? 3 : 2,
				    "%s: removal %u found it %s; the last write was %u", key->name,
				    write, was_present ? "present" : "absent", key->before);
	/* What had expired where it was removed may be there yet by the clock of the partition's next owner. */
	sim_history_end_write(history, number, write,
			      !was_present && may_come_back(history, before) ? SIM_UNKNOWN
									     : SIM_DONE);
}

/* ---- reads of registers ---- */

/* The oldest write that a read of nothing may have seen the end of; UINT32_MAX: none. */
static uint32_t find_absence(const struct sim_history *history, const struct sim_key *key,
			     uint32_t floor)
{
	for (uint32_t i = floor; i <= key->begun; i++) {
		if (!key->writes[i].is_void &&
		    may_be_absent(history, &key->writes[i], now_ms(history)))
			return i;
	}
	return UINT32_MAX;
}

/* 'read' is true of what was read: what it held has not died since. */
static void read_nothing(struct sim_history *history, struct sim_key *key,
			 const struct sim_read *read, bool is_fresh)
{
	uint32_t write = key->begun > 0 ? find_absence(history, key, read->floor) : 0;
	bool is_gone;

	if (write == UINT32_MAX) {
		sim_history_violate(history, 2, "%s: absent, though write %u was done", key->name,
				    read->floor);
		return;
	}
	is_gone = write > 0 && !key->writes[write].is_removal;
	history->gone += is_gone;
	if (!is_fresh || write < key->floor)
		return;
	key->floor = write;
	key->is_gone = is_gone;
}

static void read_register(struct sim_history *history, struct sim_key *key,
			  const struct sim_read *read, bool is_fresh, uint32_t write)
{
	if (write == 0 || write > key->begun || key->writes[write].is_removal)
		sim_history_violate(history, 2, "%s: write %u is read, %u were begun", key->name,
				    write, key->begun);
	else if (key->writes[write].is_void)
		sim_history_violate(history, 2, "%s: write %u is read, which was refused",
				    key->name, write);
	else if (write < read->floor)
		sim_history_violate(history, 3, "%s: write %u is read, though %u was done before",
				    key->name, write, read->floor);
	else if (!may_be_present(history, &key->writes[write], read->begun_ms))
		sim_history_violate(history, 3, "%s: write %u is read, which has expired",
				    key->name, write);
	else if (write == read->floor && read->is_gone &&
		 !may_come_back(history, &key->writes[write]))
		sim_history_violate(history, 3, "%s: write %u is read, which was gone", key->name,
				    write);
	else if (write > key->floor && is_fresh) {
		key->floor = write;
		key->is_gone = false;
	}
}

/* Whether 'left_ms' may be the rest of this write's time to live. */
static bool is_rest(const struct sim_history *history, const struct sim_register_write *write,
		    const struct sim_read *read, uint64_t left_ms)
{
	uint64_t sure_ms = surely_ended_ms(history, write);
	uint64_t ended_ms = sure_ms < now_ms(history) ? sure_ms : now_ms(history);

	if (write->ttl_ms == 0)
		return left_ms == UINT64_MAX;
	return left_ms > 0 && left_ms != UINT64_MAX &&
	       left_ms + now_ms(history) + 2 * history->clock_error_ms >=
		       write->begun_ms + write->ttl_ms &&
	       left_ms + read->begun_ms <= ended_ms + write->ttl_ms + 2 * history->clock_error_ms;
}

static void read_ttl(struct sim_history *history, struct sim_key *key, const struct sim_read *read,
		     uint64_t left_ms)
{
	for (uint32_t i = read->floor > 0 ? read->floor : 1; i <= key->begun; i++) {
		const struct sim_register_write *write = &key->writes[i];

		if (i == read->floor && read->is_gone && !may_come_back(history, write))
			continue;
		if (may_be_present(history, write, read->begun_ms) &&
		    is_rest(history, write, read, left_ms))
			return;
	}
	sim_history_violate(history, 2, "%s: it has %lld ms to live, as no write from %u on",
			    key->name, (long long)left_ms, read->floor);
}

/* ---- counters ---- */

static uint32_t lesser(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t greater(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

void sim_history_begin_count(struct sim_history *history, uint32_t number)
{
	struct sim_key *key = &history->keys[number];

	key->before = key->least;
	key->begun_in = key->forgotten;
	key->is_under_way = true;
	key->most++;
}

void sim_history_end_count(struct sim_history *history, uint32_t number, enum sim_outcome outcome,
			   uint32_t count)
{
	struct sim_key *key = &history->keys[number];

	end(history, key, outcome);
	outcome = outcome_now(key, outcome);
	if (outcome == SIM_NOT_DONE)
		key->most--;
	if (outcome != SIM_DONE)
		return;
	if (count <= key->before || count < key->least || count > key->most)
		sim_history_violate(history, 2, "%s: counted to %u, not %u..%u", key->name, count,
				    key->before + 1, key->most);
	key->least = history->is_evicting ? 0 : count; /* it may begin anew */
	if (count < key->most) {
		key->most_before = greater(key->most_before, key->most);
		key->anew_ms = now_ms(history);
	}
	key->most = count;
}

static void read_counter(struct sim_history *history, struct sim_key *key,
			 const struct sim_read *read, bool is_fresh, uint32_t count)
{
	bool may_be_old = history->is_evicting && read->begun_ms <= key->anew_ms;
	uint32_t most = may_be_old ? greater(key->most, key->most_before) : key->most;

	if (count < read->floor || count > most)
		sim_history_violate(history, count < read->floor ? 2 : 3,
				    "%s: the counter reads %u, not %u..%u", key->name, count,
				    read->floor, most);
	else if (count > key->least && is_fresh && !history->is_evicting)
		key->least = count;
}

/* ---- reads ---- */

struct sim_read sim_history_begin_read(const struct sim_history *history, uint32_t number)
{
	const struct sim_key *key = &history->keys[number];

	return (struct sim_read){ key->is_counter ? key->least : key->floor, key->forgotten,
				  key->is_gone, now_ms(history) };
}

/* What was true when it began and still counts: of what died since, nothing. */
static struct sim_read still_true(const struct sim_read *read, const struct sim_key *key)
{
	struct sim_read rest = *read;

	if (read->forgotten == key->forgotten)
		return rest;
	rest.is_gone = false;
	if (read->forgotten + 1 != key->forgotten)
		rest.floor = 0;
	else if (rest.floor > key->fallen)
		rest.floor = key->fallen;
	return rest;
}

void sim_history_end_read(struct sim_history *history, uint32_t number, const struct sim_read *read,
			  bool is_present, uint32_t value)
{
	struct sim_key *key = &history->keys[number];
	bool is_fresh = read->forgotten == key->forgotten;
	const struct sim_read rest = still_true(read, key);

	history->reads++;
	if (key->is_counter)
		read_counter(history, key, &rest, is_fresh, is_present ? value : 0);
	else if (is_present)
		read_register(history, key, &rest, is_fresh, value);
	else
		read_nothing(history, key, &rest, is_fresh);
}

void sim_history_end_ttl(struct sim_history *history, uint32_t number, const struct sim_read *read,
			 bool is_present, uint64_t left_ms)
{
	struct sim_key *key = &history->keys[number];
	const struct sim_read rest = still_true(read, key);

	history->reads++;
	if (is_present)
		read_ttl(history, key, &rest, left_ms);
	else
		read_nothing(history, key, &rest, read->forgotten == key->forgotten);
}

/* ---- losses that are allowed ---- */

/* From now on it holds what was known at the mark, or anything newer. */
static void set_back(struct sim_key *key, const struct sim_mark *mark)
{
	key->forgotten++;
	key->floor = lesser(key->floor, mark->floor);
	key->least = lesser(key->least, mark->least);
	key->most = greater(key->most, key->most_before);
	key->fallen = key->is_counter ? key->least : key->floor;
	key->before = lesser(key->before, key->fallen);
	key->is_gone = key->is_gone && mark->is_gone;
	key->was_gone = key->was_gone && mark->is_gone;
	key->is_hazy = true;
}

static void mark(struct sim_key *key, enum sim_moment moment)
{
	key->marks[moment] = (struct sim_mark){ .floor = key->floor,
						.begun = key->begun,
						.least = key->least,
						.most = key->most,
						.acknowledged = key->acknowledged,
						.is_gone = key->is_gone };
}

void sim_history_forget(struct sim_history *history, uint32_t partition)
{
	static const struct sim_mark nothing = { 0 };

	for (uint32_t i = 0; i < history->key_count; i++) {
		struct sim_key *key = &history->keys[i];

		if (key->partition != partition)
			continue;
		set_back(key, &nothing);
		mark(key, SIM_AT_FENCE);
		mark(key, SIM_AT_CLAIM);
	}
}

void sim_history_mark(struct sim_history *history, uint32_t partition, enum sim_moment moment)
{
	for (uint32_t i = 0; i < history->key_count; i++) {
		if (history->keys[i].partition == partition)
			mark(&history->keys[i], moment);
	}
}

/* Whether its last write began after the claim. */
static bool is_written_since_claim(const struct sim_key *key)
{
	const struct sim_mark *claim = &key->marks[SIM_AT_CLAIM];

	return key->is_counter ? key->most > claim->most : key->begun > claim->begun;
}

/* Whether a write that began after the claim was acknowledged: the old owner must not, unless it is back. */
static bool is_known_since_claim(const struct sim_key *key)
{
	const struct sim_mark *claim = &key->marks[SIM_AT_CLAIM];

	return key->is_counter ? key->least > claim->most : key->floor > claim->begun;
}

static bool is_as_at_fence(const struct sim_key *key)
{
	const struct sim_mark *fence = &key->marks[SIM_AT_FENCE];

	return key->floor <= fence->floor && key->least <= fence->least &&
	       key->is_gone == fence->is_gone && key->acknowledged == fence->acknowledged;
}

static void add_loss(struct sim_loss *loss, const struct sim_key *key, bool is_back)
{
	const struct sim_mark *fence = &key->marks[SIM_AT_FENCE];
	const struct sim_mark *claim = &key->marks[SIM_AT_CLAIM];
	uint64_t writes = key->acknowledged - fence->acknowledged;
	uint64_t before = claim->acknowledged > fence->acknowledged
				  ? claim->acknowledged - fence->acknowledged
				  : 0;

	loss->until_claim += is_back ? before : writes;
	loss->since_claim += is_back ? writes - before : 0;
}

static void fall_back(struct sim_loss *loss, struct sim_key *key, bool is_back)
{
	bool is_fresh = !is_back && is_written_since_claim(key);

	if (!is_back && is_known_since_claim(key))
		return;
	if (is_as_at_fence(key) && (!key->is_under_way || is_fresh))
		return;
	add_loss(loss, key, is_back);
	set_back(key, &key->marks[SIM_AT_FENCE]);
	if (key->is_under_way && is_fresh)
		key->begun_in = key->forgotten;
}

struct sim_loss sim_history_fall_back(struct sim_history *history, uint32_t partition, bool is_back)
{
	struct sim_loss loss = { 0 };

	for (uint32_t i = 0; i < history->key_count; i++) {
		struct sim_key *key = &history->keys[i];

		if (key->partition != partition)
			continue;
		loss.kept += key->marks[SIM_AT_FENCE].floor + key->marks[SIM_AT_FENCE].least > 0;
		fall_back(&loss, key, is_back);
	}
	return loss;
}
