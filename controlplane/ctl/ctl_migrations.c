/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands that move partitions over the admin address of any node. */
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "controlplane/ctl/admin_client.h"
#include "controlplane/ctl/command.h"
#include "controlplane/ctl/json_path.h"
#include "controlplane/ctl/migration_view.h"
#include "controlplane/ctl/printable.h"

#define POLL_MS 200
/* Looks in a row at which nothing is to be seen of what was begun, until it is given up. */
#define BLIND_LOOKS_MAX 25
#define IDLE_LOOKS_MAX 100

/* Milliseconds of a clock that never jumps. */
static uint64_t now_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

/* ---- migrations ---- */

static enum ctl_exit run_migrations(struct ctl *ctl, int argc, char **argv)
{
	enum ctl_exit code;
	json_t *list;

	if (argc != 1)
		return command_usage(ctl, "migrations", "unexpected argument '%s'", argv[1]);
	code = admin_get(ctl, "/v1/migrations", &list);
	if (code != CTL_OK)
		return code;
	if (ctl->output == CTL_OUTPUT_JSON)
		code = command_print_json(ctl, list);
	else if (migration_view_list(list, ctl->out) != 0)
		code = command_fail(ctl, CTL_ERROR, "out of memory");
	json_decref(list);
	return code;
}

/* ---- migrate ---- */

/* One migration that is waited for. */
struct wait {
	json_int_t partition;
	const char *to;
	uint64_t since_ms;
	uint32_t blind_looks;
};

static enum ctl_exit tell_end(struct ctl *ctl, const json_t *past)
{
	bool is_ok = json_is_true_at(past, "ok");

	command_begin_progress(ctl);
	if (ctl->output == CTL_OUTPUT_JSON)
		command_print_json(ctl, past);
	else
		migration_view_end(past, is_ok ? ctl->out : ctl->err);
	return is_ok ? CTL_OK : CTL_ERROR;
}

/* One look at how it goes; false: go on waiting. */
static bool look(struct ctl *ctl, struct wait *wait, const json_t *list, enum ctl_exit *code)
{
	uint64_t partition = (uint64_t)wait->partition;
	const json_t *job =
		migration_view_find(json_value_at(list, "jobs"), partition, wait->to, UINT64_MAX);
	const json_t *past = migration_view_find(json_value_at(list, "past"), partition, wait->to,
						 now_ms() - wait->since_ms);

	if (job) {
		wait->blind_looks = 0;
		if (command_begin_progress(ctl))
			migration_view_job(job, ctl->out);
		fflush(ctl->out);
		return false;
	}
	if (past) {
		*code = tell_end(ctl, past);
		return true;
	}
	if (++wait->blind_looks < BLIND_LOOKS_MAX)
		return false;
	*code = command_fail(ctl, CTL_UNKNOWN,
			     "nothing is to be seen of the migration any more: see godwitctl "
			     "partitions");
	return true;
}

static enum ctl_exit wait_for_migration(struct ctl *ctl, struct wait *wait)
{
	enum ctl_exit code;
	bool is_over;

	do {
		json_t *list;

		code = admin_get(ctl, "/v1/migrations", &list);
		if (code != CTL_OK)
			return code == CTL_UNREACHABLE ? CTL_UNKNOWN : code;
		is_over = look(ctl, wait, list, &code);
		json_decref(list);
		if (!is_over)
			ctl->pause(ctl, POLL_MS);
	} while (!is_over);
	return code;
}

static enum ctl_exit begin_migration(struct ctl *ctl, const struct wait *wait, bool is_waiting)
{
	json_t *request = json_pack("{sI ss}", "partition", wait->partition, "node", wait->to);
	json_t *reply = NULL;
	enum ctl_exit code = admin_post(ctl, "/v1/migrations", request, &reply);

	if (code == CTL_OK && !is_waiting) {
		if (ctl->output == CTL_OUTPUT_JSON)
			code = command_print_json(ctl, reply);
		else
			printable_line(ctl->out, "begun: partition %" PRIu64 " from %s to %s",
				       json_integer_at(reply, "partition"),
				       json_text_at(reply, "from"), json_text_at(reply, "to"));
	}
	json_decref(request);
	json_decref(reply);
	return code;
}

static enum ctl_exit run_migrate(struct ctl *ctl, int argc, char **argv)
{
	bool is_waiting = !command_take_word(&argc, argv, "--no-wait");
	struct wait wait = { .since_ms = now_ms() };
	enum ctl_exit code;

	if (argc != 3 || !command_read_partition(argv[1], &wait.partition))
		return command_usage(ctl, "migrate",
				     "expected a partition's number and a node's name");
	wait.to = argv[2];
	code = begin_migration(ctl, &wait, is_waiting);
	return code == CTL_OK && is_waiting ? wait_for_migration(ctl, &wait) : code;
}

/* ---- cancel ---- */

static enum ctl_exit run_cancel(struct ctl *ctl, int argc, char **argv)
{
	json_int_t partition;
	enum ctl_exit code;
	char path[64];
	json_t *reply;

	if (argc != 2 || !command_read_partition(argv[1], &partition))
		return command_usage(ctl, "cancel", "expected a partition's number");
	snprintf(path, sizeof(path), "/v1/migrations/%" JSON_INTEGER_FORMAT, partition);
	code = admin_delete(ctl, path, &reply);
	if (code != CTL_OK)
		return code;
	if (ctl->output == CTL_OUTPUT_JSON)
		code = command_print_json(ctl, reply);
	else
		fprintf(ctl->out,
			"cancelled: partition %" JSON_INTEGER_FORMAT " stays where it is\n",
			partition);
	json_decref(reply);
	return code;
}

/* ---- rebalance ---- */

/* One look; false: go on waiting. */
static bool look_at_rebalance(struct ctl *ctl, const json_t *list, uint64_t moves,
			      uint32_t *idle_looks, enum ctl_exit *code)
{
	uint64_t left = json_integer_at(list, "rebalance.moves_left");
	const char *state = json_text_at(list, "rebalance.state");
	bool is_moving = strcmp(state, "moving") == 0;
	char bar[MIGRATION_BAR_SIZE];

	if (command_begin_progress(ctl) && is_moving)
		fprintf(ctl->out, "%s  %" PRIu64 " moves left",
			migration_view_bar(bar, 1 - (double)left / (double)moves), left);
	fflush(ctl->out);
	if (strcmp(state, "idle") == 0) {
		if (ctl->output == CTL_OUTPUT_TABLE)
			fprintf(ctl->out, "rebalanced: %" PRIu64 " partitions were to move\n",
				moves);
		return true;
	}
	*idle_looks = json_array_size(json_value_at(list, "jobs")) > 0 ? 0 : *idle_looks + 1;
	if (*idle_looks < IDLE_LOOKS_MAX)
		return false;
	*code = command_fail(ctl, CTL_NO,
			     "%" PRIu64 " moves are left, and none is under way: godwitctl "
			     "migrations tells why",
			     left);
	return true;
}

static enum ctl_exit wait_for_rebalance(struct ctl *ctl, uint64_t moves)
{
	uint32_t idle_looks = 0;
	enum ctl_exit code;
	bool is_over;

	do {
		json_t *list;

		ctl->pause(ctl, POLL_MS);
		code = admin_get(ctl, "/v1/migrations", &list);
		if (code != CTL_OK)
			return code == CTL_UNREACHABLE ? CTL_UNKNOWN : code;
		is_over = look_at_rebalance(ctl, list, moves, &idle_looks, &code);
		json_decref(list);
	} while (!is_over);
	return code;
}

static void warn_of_unreached(struct ctl *ctl, const json_t *reply)
{
	const json_t *node;
	size_t i;

	json_array_foreach(json_value_at(reply, "unreached"), i, node)
	{
		printable_line(ctl->err, "godwitctl: %s", json_text_at(node, "error"));
	}
}

static enum ctl_exit show_moves(struct ctl *ctl, const json_t *reply)
{
	if (ctl->output == CTL_OUTPUT_JSON)
		return command_print_json(ctl, reply);
	if (migration_view_moves(reply, ctl->out) != 0)
		return command_fail(ctl, CTL_ERROR, "out of memory");
	return CTL_OK;
}

static enum ctl_exit run_rebalance(struct ctl *ctl, int argc, char **argv)
{
	bool is_dry = command_take_word(&argc, argv, "--dry-run");
	bool is_waiting = !command_take_word(&argc, argv, "--no-wait");
	enum ctl_exit code;
	json_t *request, *reply;
	uint64_t moves;

	if (argc != 1)
		return command_usage(ctl, "rebalance", "unexpected argument '%s'", argv[1]);
	request = json_pack("{sb}", "dry_run", is_dry);
	code = admin_post(ctl, "/v1/rebalance", request, &reply);
	json_decref(request);
	if (code != CTL_OK)
		return code;
	moves = json_array_size(json_value_at(reply, "moves"));
	warn_of_unreached(ctl, reply);
	if (is_dry || moves == 0 || !is_waiting || ctl->output == CTL_OUTPUT_JSON)
		code = show_moves(ctl, reply);
	json_decref(reply);
	if (code == CTL_OK && !is_dry && is_waiting && moves > 0)
		code = wait_for_rebalance(ctl, moves);
	return code;
}

const struct command commands_migrations[] = {
	{ "migrations", "",
	  "show partitions on their way in the whole cluster, and the latest ended",
	  "LEFT is the time until everything is copied, as things go; NOTE says why one is stuck. "
	  "With --watch the bars\nmove.\n",
	  run_migrations },
	{ "migrate", "PARTITION NODE [--no-wait]", "move a partition to a node",
	  "While it moves it is served as ever. Waits until it has moved, unless --no-wait; an "
	  "interrupt ends the waiting\nonly. Exit code 1: refused, nothing was begun; 5: begun, "
	  "and "
	  "failed; the partition is where it was.\n",
	  run_migrate },
	{ "cancel", "PARTITION", "end a migration; the partition stays where it is", NULL,
	  run_cancel },
	{ "rebalance", "[--dry-run | --no-wait]", "give every node its share of the partitions",
	  "By weight, with the fewest moves. --dry-run shows them and does nothing. "
	  "cluster.auto_rebalance does it\nwhenever the members change.\n",
	  run_rebalance },
	{ NULL, NULL, NULL, NULL, NULL },
};
