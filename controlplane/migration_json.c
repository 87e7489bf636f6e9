/* SPDX-License-Identifier: BSD-3-Clause */
/* One function per object; and how two ends of a job become one. */
#include "controlplane/migration_json.h"

#include <stdlib.h>
#include <string.h>

#include "controlplane/number_json.h"

/* Jobs of a node: those at work on both sides, and those that wait. */
#define VIEW_COUNT_MAX 256u

static json_t *name_json(const struct migration_names *names, uint64_t id)
{
	char text[NODE_NAME_SIZE];

	return json_string(names->name(names->context, id, text));
}

static json_t *reason_json(enum migration_reason reason)
{
	return reason == MIGRATION_NO_REASON ? json_null()
					     : json_string(migration_reason_text(reason));
}

/* Milliseconds until all is copied, as things go. */
static json_t *eta_json(const struct migration_view *view)
{
	uint64_t left = view->bytes_expected - view->bytes;

	if (view->bytes_expected == 0 || view->bytes_per_s == 0 ||
	    view->bytes > view->bytes_expected)
		return json_null();
	return json_integer((json_int_t)(left * 1000 / view->bytes_per_s));
}

json_t *migration_view_json(const struct migration_view *view, const struct migration_names *names)
{
	uint64_t from = view->is_source ? names->self : view->peer;
	uint64_t to = view->is_source ? view->peer : names->self;

	return json_pack("{si so si so so ss ss sb so sI sI sI sI sI sI so sI}", "partition",
			 view->partition, "job", hex_json(view->job), "attempt", view->attempt,
			 "from", name_json(names, from), "to", name_json(names, to), "role",
			 view->is_source ? "source" : "target", "phase", view->state, "in_doubt",
			 view->is_in_doubt, "reason", reason_json(view->reason), "items",
			 (json_int_t)view->items, "items_expected",
			 (json_int_t)view->items_expected, "bytes", (json_int_t)view->bytes,
			 "bytes_expected", (json_int_t)view->bytes_expected, "deltas",
			 (json_int_t)view->deltas, "bytes_per_s", (json_int_t)view->bytes_per_s,
			 "eta_ms", eta_json(view), "running_ms", (json_int_t)view->started_ms);
}

json_t *migration_past_json(const struct migration_past *past, const struct migration_names *names)
{
	uint64_t from = past->is_source ? names->self : past->peer;
	uint64_t to = past->is_source ? past->peer : names->self;

	return json_pack("{si so so so ss sb so sI sI sI sI}", "partition", past->partition, "job",
			 hex_json(past->job), "from", name_json(names, from), "to",
			 name_json(names, to), "role", past->is_source ? "source" : "target", "ok",
			 past->is_ok, "reason", reason_json(past->reason), "items",
			 (json_int_t)past->items, "bytes", (json_int_t)past->bytes, "took_ms",
			 (json_int_t)past->took_ms, "ended_ms_ago", (json_int_t)past->ended_ms);
}

static json_t *views_json(const struct migrator *migrator, const struct migration_names *names)
{
	struct migration_view *views = calloc(VIEW_COUNT_MAX, sizeof(*views));
	uint32_t count = views ? migrator_list(migrator, views, VIEW_COUNT_MAX) : 0;
	json_t *array = json_array();

	for (uint32_t i = 0; i < count; i++)
		json_array_append_new(array, migration_view_json(&views[i], names));
	free(views);
	return array;
}

json_t *migration_node_json(const struct migrator *migrator, const struct migration_names *names)
{
	struct migration_past past[MIGRATOR_PAST_MAX];
	uint32_t count = migrator_past(migrator, past, MIGRATOR_PAST_MAX);
	json_t *array = json_array();

	for (uint32_t i = 0; i < count; i++)
		json_array_append_new(array, migration_past_json(&past[i], names));
	return json_pack("{so so}", "jobs", views_json(migrator, names), "past", array);
}

json_t *migration_plan_json(const struct rebalance_plan *plan, const struct migration_names *names)
{
	json_t *moves = json_array();

	for (uint32_t i = 0; i < plan->move_count; i++) {
		const struct rebalance_move *move = &plan->moves[i];

		json_array_append_new(moves, json_pack("{si so so}", "partition", move->partition,
						       "from", name_json(names, move->from), "to",
						       name_json(names, move->to)));
	}
	return json_pack("{so si}", "moves", moves, "unmovable", plan->unmovable_count);
}

/* ---- merging ---- */

static json_int_t integer_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* The place of the same job in 'array', or its size. */
static size_t find_job(const json_t *array, const json_t *job)
{
	const json_t *other;
	size_t i;

	json_array_foreach(array, i, other)
	{
		if (integer_of(other, "partition") == integer_of(job, "partition") &&
		    strcmp(text_of(other, "job"), text_of(job, "job")) == 0)
			return i;
	}
	return i;
}

/* Adds the jobs of one node to all; of two ends the source's stays. */
static void add_jobs(json_t *all, const json_t *jobs)
{
	json_t *job;
	size_t i;

	json_array_foreach(jobs, i, job)
	{
		size_t at = find_job(all, job);

		if (at == json_array_size(all))
			json_array_append(all, job);
		else if (strcmp(text_of(job, "role"), "source") == 0)
			json_array_set(all, at, job);
	}
}

static int compare_jobs(const void *a, const void *b)
{
	const json_t *const *left = a, *const *right = b;
	json_int_t difference = integer_of(*left, "partition") - integer_of(*right, "partition");

	return (difference > 0) - (difference < 0);
}

static int compare_past(const void *a, const void *b)
{
	const json_t *const *left = a, *const *right = b;
	json_int_t difference =
		integer_of(*left, "ended_ms_ago") - integer_of(*right, "ended_ms_ago");

	return (difference > 0) - (difference < 0);
}

/* A sorted copy; 'array' is taken. */
static json_t *sorted(json_t *array, int (*compare)(const void *, const void *))
{
	size_t count = json_array_size(array);
	json_t **items = calloc(count + 1, sizeof(json_t *));
	json_t *result = json_array();

	for (size_t i = 0; items && i < count; i++)
		items[i] = json_array_get(array, i);
	if (items)
		qsort(items, count, sizeof(json_t *), compare);
	for (size_t i = 0; items && i < count; i++)
		json_array_append(result, items[i]);
	free(items);
	json_decref(array);
	return result;
}

json_t *migration_merge_json(const json_t *answers)
{
	json_t *nodes = json_array(), *jobs = json_array(), *past = json_array();
	const json_t *answer;
	size_t i;

	json_array_foreach(answers, i, answer)
	{
		const json_t *body = json_object_get(answer, "body");

		json_array_append_new(nodes,
				      json_pack("{sO sO?}", "name", json_object_get(answer, "name"),
						"error", json_object_get(answer, "error")));
		add_jobs(jobs, json_object_get(body, "jobs"));
		add_jobs(past, json_object_get(body, "past"));
	}
	return json_pack("{so so so}", "nodes", nodes, "jobs", sorted(jobs, compare_jobs), "past",
			 sorted(past, compare_past));
}
