/* SPDX-License-Identifier: BSD-3-Clause */
/* Migrations as text. */
#include "controlplane/ctl/migration_view.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "controlplane/ctl/json_path.h"
#include "controlplane/ctl/printable.h"
#include "controlplane/ctl/table.h"

#define BAR_WIDTH 20
#define PAST_MAX 10u
#define NOTE_SIZE 128u

const char *migration_view_bar(char text[MIGRATION_BAR_SIZE], double share)
{
	double bounded = share < 0 ? 0 : share > 1 ? 1 : share;
	int filled = (int)(bounded * BAR_WIDTH);

	snprintf(text, MIGRATION_BAR_SIZE, "[%.*s%.*s] %3d%%", filled, "####################",
		 BAR_WIDTH - filled, "--------------------", (int)(bounded * 100));
	return text;
}

/* Of the bytes there are; what is copied is not yet committed. */
static double share_of(const json_t *job)
{
	double expected = json_number_at(job, "bytes_expected");

	return expected > 0 ? json_number_at(job, "bytes") / expected : 0;
}

static const char *time_left(char text[TABLE_NUMBER_SIZE], const json_t *job)
{
	return json_is_integer(json_value_at(job, "eta_ms"))
		       ? table_duration(text, json_integer_at(job, "eta_ms"))
		       : "?";
}

/* Why it is stuck, when it is. */
static const char *note_of(char text[NOTE_SIZE], const json_t *job)
{
	const char *reason = json_text_at(job, "reason");
	uint64_t attempt = json_integer_at(job, "attempt");

	text[0] = '\0';
	if (json_is_true_at(job, "in_doubt"))
		snprintf(text, NOTE_SIZE, "in doubt: decided, and the other node does not answer");
	else if (reason[0] && attempt > 1)
		snprintf(text, NOTE_SIZE, "%s (attempt %" PRIu64 ")", reason, attempt);
	else
		snprintf(text, NOTE_SIZE, "%s", reason);
	return text;
}

static int add_job(struct table *table, const json_t *job)
{
	char bar[MIGRATION_BAR_SIZE], items[TABLE_NUMBER_SIZE], bytes[TABLE_NUMBER_SIZE];
	char rate[TABLE_NUMBER_SIZE], left[TABLE_NUMBER_SIZE], note[NOTE_SIZE];

	return table_add(table, "%" PRIu64 "\t%s\t%s\t%s\t%s\t%s\t%s\t%s/s\t%s\t%s",
			 json_integer_at(job, "partition"), json_text_at(job, "from"),
			 json_text_at(job, "to"), json_text_at(job, "phase"),
			 migration_view_bar(bar, share_of(job)),
			 table_count(items, json_number_at(job, "items")),
			 table_bytes(bytes, json_number_at(job, "bytes")),
			 table_bytes(rate, json_number_at(job, "bytes_per_s")),
			 time_left(left, job), note_of(note, job));
}

static int add_past(struct table *table, const json_t *past)
{
	char items[TABLE_NUMBER_SIZE], bytes[TABLE_NUMBER_SIZE], took[TABLE_NUMBER_SIZE];
	char ago[TABLE_NUMBER_SIZE];
	bool is_ok = json_is_true_at(past, "ok");

	return table_add(table, "%" PRIu64 "\t%s\t%s\t%s\t%s\t%s\t%s\t%s ago",
			 json_integer_at(past, "partition"), json_text_at(past, "from"),
			 json_text_at(past, "to"), is_ok ? "moved" : json_text_at(past, "reason"),
			 table_count(items, json_number_at(past, "items")),
			 table_bytes(bytes, json_number_at(past, "bytes")),
			 table_duration(took, json_integer_at(past, "took_ms")),
			 table_duration(ago, json_integer_at(past, "ended_ms_ago")));
}

/* Prints a table of up to 'count_max' elements of 'array', unless it is empty. */
static int print_table(const json_t *array, size_t count_max, const char *const *heads,
		       uint32_t head_count, int (*add)(struct table *table, const json_t *element),
		       FILE *out)
{
	struct table *table = table_create(heads, head_count);
	const json_t *element;
	int result = 0;
	size_t i;

	if (!table)
		return -ENOMEM;
	json_array_foreach(array, i, element)
	{
		if (result == 0 && i < count_max)
			result = add(table, element);
	}
	if (result == 0 && json_array_size(array) > 0)
		table_print(table, out);
	table_destroy(table);
	return result;
}

static void print_rebalance(const json_t *list, FILE *out)
{
	const char *state = json_text_at(list, "rebalance.state");

	if (strcmp(state, "moving") == 0)
		fprintf(out, "rebalance   %" PRIu64 " moves left\n",
			json_integer_at(list, "rebalance.moves_left"));
	else if (strcmp(state, "settling") == 0)
		fputs("rebalance   begins when the members have settled, and nothing else moves\n",
		      out);
}

static void print_silent(const json_t *list, FILE *out)
{
	const json_t *node;
	size_t i;

	json_array_foreach(json_value_at(list, "nodes"), i, node)
	{
		if (json_text_at(node, "error")[0])
			printable_line(out, "no answer   %s", json_text_at(node, "error"));
	}
}

int migration_view_list(const json_t *list, FILE *out)
{
	static const char *const heads[] = { ">PARTITION", "FROM",   "TO",    "PHASE", "COPIED",
					     ">ITEMS",     ">BYTES", ">RATE", ">LEFT", "NOTE" };
	static const char *const past_heads[] = { ">PARTITION", "FROM",   "TO",    "ENDED",
						  ">ITEMS",     ">BYTES", ">TOOK", ">WHEN" };
	const json_t *jobs = json_value_at(list, "jobs"), *past = json_value_at(list, "past");
	int result;

	print_silent(list, out);
	print_rebalance(list, out);
	if (json_array_size(jobs) == 0)
		fputs("no partition is on its way\n", out);
	result = print_table(jobs, SIZE_MAX, heads, sizeof(heads) / sizeof(heads[0]), add_job, out);
	if (result != 0)
		return result;
	if (json_array_size(past) > 0)
		fputc('\n', out);
	return print_table(past, PAST_MAX, past_heads, sizeof(past_heads) / sizeof(past_heads[0]),
			   add_past, out);
}

void migration_view_job(const json_t *job, FILE *out)
{
	char bar[MIGRATION_BAR_SIZE], bytes[TABLE_NUMBER_SIZE], expected[TABLE_NUMBER_SIZE];
	char rate[TABLE_NUMBER_SIZE], left[TABLE_NUMBER_SIZE], note[NOTE_SIZE];

	note_of(note, job);
	printable_print(out, "%" PRIu64 " %s -> %s  %s  %s of %s, %s/s, %s left, %s%s%s",
			json_integer_at(job, "partition"), json_text_at(job, "from"),
			json_text_at(job, "to"), migration_view_bar(bar, share_of(job)),
			table_bytes(bytes, json_number_at(job, "bytes")),
			table_bytes(expected, json_number_at(job, "bytes_expected")),
			table_bytes(rate, json_number_at(job, "bytes_per_s")), time_left(left, job),
			json_text_at(job, "phase"), note[0] ? ": " : "", note);
}

void migration_view_end(const json_t *past, FILE *out)
{
	char items[TABLE_NUMBER_SIZE], bytes[TABLE_NUMBER_SIZE], took[TABLE_NUMBER_SIZE];
	bool is_ok = json_is_true_at(past, "ok");

	printable_print(out, "partition %" PRIu64 " has %s from %s to %s%s%s",
			json_integer_at(past, "partition"), is_ok ? "moved" : "not moved",
			json_text_at(past, "from"), json_text_at(past, "to"), is_ok ? "" : ": ",
			is_ok ? "" : json_text_at(past, "reason"));
	if (is_ok)
		printable_print(out, ": %s items, %s, in %s",
				table_count(items, json_number_at(past, "items")),
				table_bytes(bytes, json_number_at(past, "bytes")),
				table_duration(took, json_integer_at(past, "took_ms")));
	fputc('\n', out);
}

const json_t *migration_view_find(const json_t *jobs, uint64_t partition, const char *to,
				  uint64_t ago_ms_max)
{
	const json_t *job;
	size_t i;

	json_array_foreach(jobs, i, job)
	{
		if (json_integer_at(job, "partition") == partition &&
		    strcmp(json_text_at(job, "to"), to) == 0 &&
		    json_integer_at(job, "ended_ms_ago") <= ago_ms_max)
			return job;
	}
	return NULL;
}

static int add_move(struct table *table, const json_t *move)
{
	return table_add(table, "%" PRIu64 "\t%s\t%s", json_integer_at(move, "partition"),
			 json_text_at(move, "from"), json_text_at(move, "to"));
}

int migration_view_moves(const json_t *plan, FILE *out)
{
	static const char *const heads[] = { ">PARTITION", "FROM", "TO" };
	const json_t *moves = json_value_at(plan, "moves");
	uint64_t unmovable = json_integer_at(plan, "unmovable");
	int result = print_table(moves, SIZE_MAX, heads, sizeof(heads) / sizeof(heads[0]), add_move,
				 out);

	if (json_array_size(moves) == 0)
		fputs("balanced: nothing to move\n", out);
	if (unmovable > 0)
		fprintf(out, "%" PRIu64 " partitions cannot be moved: their owners are dead\n",
			unmovable);
	return result;
}
