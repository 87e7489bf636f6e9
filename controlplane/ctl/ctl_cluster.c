/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands that form, watch and change a cluster over the admin address of one of its nodes. */
#include <stdbool.h>
#include <string.h>
#include <sys/random.h>

#include "controlplane/ctl/admin_client.h"
#include "controlplane/ctl/cluster_view.h"
#include "controlplane/ctl/command.h"
#include "controlplane/ctl/json_path.h"

#define POLL_MS 200
#define JOIN_MS_MAX 30000
#define LEAVE_MISSED_MAX 3
#define KEY_SIZE 32

static enum ctl_exit no_arguments(struct ctl *ctl, const char *name, int argc, char **argv)
{
	return argc == 1 ? CTL_OK : command_usage(ctl, name, "unexpected argument '%s'", argv[1]);
}

/* POSTs 'request' (taken) and forgets the answer. */
static enum ctl_exit post(struct ctl *ctl, const char *path, json_t *request)
{
	json_t *reply = NULL;
	enum ctl_exit code = admin_post(ctl, path, request, &reply);

	json_decref(request);
	json_decref(reply);
	return code;
}

/* ---- looking ---- */

static enum ctl_exit run_status(struct ctl *ctl, int argc, char **argv)
{
	enum ctl_exit code = no_arguments(ctl, "cluster status", argc, argv);
	json_t *cluster;

	if (code == CTL_OK)
		code = admin_get(ctl, "/v1/cluster", &cluster);
	if (code != CTL_OK)
		return code;
	if (ctl->output == CTL_OUTPUT_JSON) {
		code = command_print_json(ctl, cluster);
	} else {
		cluster_view_status(cluster, ctl->out);
		cluster_view_problems(cluster, ctl->out);
	}
	json_decref(cluster);
	return code;
}

static enum ctl_exit run_check(struct ctl *ctl, int argc, char **argv)
{
	enum ctl_exit code = no_arguments(ctl, "cluster check", argc, argv);
	json_t *cluster;

	if (code == CTL_OK)
		code = admin_get(ctl, "/v1/cluster", &cluster);
	if (code != CTL_OK)
		return code;
	if (ctl->output == CTL_OUTPUT_JSON)
		code = command_print_json(ctl, json_value_at(cluster, "problems"));
	else if (cluster_view_problems(cluster, ctl->out) == 0)
		fputs("all is well\n", ctl->out);
	if (code == CTL_OK && json_array_size(json_value_at(cluster, "problems")) > 0)
		code = CTL_NO;
	json_decref(cluster);
	return code;
}

static enum ctl_exit run_nodes(struct ctl *ctl, int argc, char **argv)
{
	enum ctl_exit code = no_arguments(ctl, "nodes", argc, argv);
	json_t *nodes;

	if (code == CTL_OK)
		code = admin_get(ctl, "/v1/nodes", &nodes);
	if (code != CTL_OK)
		return code;
	if (ctl->output == CTL_OUTPUT_JSON)
		code = command_print_json(ctl, nodes);
	else if (cluster_view_nodes(nodes, ctl->out) != 0)
		code = command_fail(ctl, CTL_ERROR, "out of memory");
	json_decref(nodes);
	return code;
}

static enum ctl_exit run_partitions(struct ctl *ctl, int argc, char **argv)
{
	const char *owner = argc == 3 && strcmp(argv[1], "--of") == 0 ? argv[2] : NULL;
	enum ctl_exit code;
	json_t *partitions;

	if (argc != 1 && !owner)
		return command_usage(ctl, "partitions", "unexpected argument '%s'", argv[1]);
	code = admin_get(ctl, "/v1/partitions", &partitions);
	if (code != CTL_OK)
		return code;
	if (ctl->output == CTL_OUTPUT_JSON)
		code = command_print_json(ctl, partitions);
	else if (cluster_view_partitions(partitions, owner, ctl->out) != 0)
		code = command_fail(ctl, CTL_ERROR, "out of memory");
	json_decref(partitions);
	return code;
}

/* ---- forming ---- */

static enum ctl_exit run_key(struct ctl *ctl, int argc, char **argv)
{
	enum ctl_exit code = no_arguments(ctl, "cluster key", argc, argv);
	unsigned char key[KEY_SIZE];

	if (code != CTL_OK)
		return code;
	if (getrandom(key, sizeof(key), 0) != (ssize_t)sizeof(key))
		return command_fail(ctl, CTL_ERROR, "the kernel gives no random numbers");
	for (size_t i = 0; i < sizeof(key); i++)
		fprintf(ctl->out, "%02x", key[i]);
	fputc('\n', ctl->out);
	return CTL_OK;
}

static enum ctl_exit run_create(struct ctl *ctl, int argc, char **argv)
{
	enum ctl_exit code = no_arguments(ctl, "cluster create", argc, argv);

	if (code == CTL_OK)
		code = post(ctl, "/v1/cluster/create", json_object());
	if (code == CTL_OK)
		fputs("created: this node is the first member\n", ctl->out);
	return code;
}

/* One look at how joining goes, which has begun; false: go on waiting. */
static bool look_at_join(struct ctl *ctl, enum ctl_exit *code)
{
	json_t *cluster;
	const char *phase;
	bool is_over = true;

	*code = admin_get(ctl, "/v1/cluster", &cluster);
	if (*code == CTL_UNREACHABLE)
		*code = CTL_UNKNOWN;
	if (*code != CTL_OK)
		return true;
	phase = json_text_at(cluster, "cluster.phase");
	if (strcmp(phase, "waiting") == 0)
		*code = command_fail(ctl, CTL_ERROR, "not joined: %s",
				     json_text_at(cluster, "cluster.join_reason"));
	else if (strcmp(phase, "joining") == 0)
		is_over = false;
	else
		fprintf(ctl->out, "joined: %u nodes alive\n",
			(unsigned)json_integer_at(cluster, "cluster.alive"));
	json_decref(cluster);
	return is_over;
}

static enum ctl_exit wait_for_join(struct ctl *ctl)
{
	enum ctl_exit code;

	for (int waited_ms = 0; waited_ms < JOIN_MS_MAX; waited_ms += POLL_MS) {
		if (look_at_join(ctl, &code))
			return code;
		ctl->pause(ctl, POLL_MS);
	}
	return command_fail(
		ctl, CTL_UNKNOWN,
		"no member has answered in %d s; the node goes on trying: see godwitctl "
		"cluster status",
		JOIN_MS_MAX / 1000);
}

static enum ctl_exit run_join(struct ctl *ctl, int argc, char **argv)
{
	json_t *seeds = json_array();
	enum ctl_exit code;

	if (argc < 2) {
		json_decref(seeds);
		return command_usage(ctl, "cluster join", "expected the bus address of a member");
	}
	for (int i = 1; i < argc; i++)
		json_array_append_new(seeds, json_string(argv[i]));
	code = post(ctl, "/v1/cluster/join", json_pack("{so}", "seeds", seeds));
	return code == CTL_OK ? wait_for_join(ctl) : code;
}

/* ---- leaving ---- */

/* GET /v1/cluster without a word about failures: silence is what is waited for. */
static enum ctl_exit get_quietly(struct ctl *ctl, json_t **cluster)
{
	FILE *err = ctl->err, *nowhere = fopen("/dev/null", "w");
	enum ctl_exit code;

	if (nowhere)
		ctl->err = nowhere;
	code = admin_get(ctl, "/v1/cluster", cluster);
	ctl->err = err;
	if (nowhere)
		fclose(nowhere);
	return code;
}

/* One look at a node that leaves; CTL_UNKNOWN: go on waiting, CTL_UNREACHABLE: it does not answer. */
static enum ctl_exit look_at_leave(struct ctl *ctl)
{
	json_t *cluster;
	enum ctl_exit code = get_quietly(ctl, &cluster);
	bool is_leaving;

	if (code == CTL_UNREACHABLE)
		return code;
	if (code != CTL_OK)
		return command_fail(ctl, code, "the node does not tell how it goes");
	is_leaving = strncmp(json_text_at(cluster, "cluster.phase"), "le", 2) == 0;
	if (command_begin_progress(ctl) && is_leaving)
		fprintf(ctl->out, "%u partitions left",
			(unsigned)json_integer_at(cluster, "node.partitions"));
	fflush(ctl->out);
	json_decref(cluster);
	return is_leaving ? CTL_UNKNOWN
			  : command_fail(ctl, CTL_NO, "the node stays: leaving was cancelled");
}

/* A busy node may miss one look; one that misses some in a row has ended. */
static enum ctl_exit wait_for_leave(struct ctl *ctl)
{
	for (int missed = 0; missed < LEAVE_MISSED_MAX;) {
		enum ctl_exit code = look_at_leave(ctl);

		if (code != CTL_UNKNOWN && code != CTL_UNREACHABLE)
			return code;
		missed = code == CTL_UNREACHABLE ? missed + 1 : 0;
		ctl->pause(ctl, POLL_MS);
	}
	command_begin_progress(ctl);
	fputs("left: the node has given everything away and ended\n", ctl->out);
	return CTL_OK;
}

static enum ctl_exit run_leave(struct ctl *ctl, int argc, char **argv)
{
	bool is_cancel = argc == 2 && strcmp(argv[1], "--cancel") == 0;
	bool is_waiting = !(argc == 2 && strcmp(argv[1], "--no-wait") == 0);
	enum ctl_exit code;

	if (argc > 1 && is_waiting && !is_cancel)
		return command_usage(ctl, "cluster leave", "unexpected argument '%s'", argv[1]);
	code = post(ctl, "/v1/cluster/leave", json_pack("{sb}", "cancel", is_cancel));
	return code == CTL_OK && is_waiting && !is_cancel ? wait_for_leave(ctl) : code;
}

static enum ctl_exit run_remove(struct ctl *ctl, int argc, char **argv)
{
	enum ctl_exit code;

	if (argc != 2)
		return command_usage(ctl, "cluster remove", "expected the name of a dead node");
	code = post(ctl, "/v1/cluster/remove", json_pack("{ss}", "node", argv[1]));
	if (code == CTL_OK)
		fprintf(ctl->out, "removed: %s\n", argv[1]);
	return code;
}

static enum ctl_exit run_reload_keys(struct ctl *ctl, int argc, char **argv)
{
	enum ctl_exit code = no_arguments(ctl, "cluster reload-keys", argc, argv);

	return code == CTL_OK ? post(ctl, "/v1/cluster/reload-keys", json_object()) : code;
}

/* ---- claims ---- */

/* "7" as {"partition": 7}, "--of NAME" as {"of": NAME}; NULL when it is neither. */
static json_t *claim_request(int argc, char **argv)
{
	json_int_t partition;

	if (argc == 2 && strcmp(argv[0], "--of") == 0)
		return json_pack("{ss sb}", "of", argv[1], "accept_data_loss", true);
	if (argc != 1 || !command_read_partition(argv[0], &partition))
		return NULL;
	return json_pack("{sI sb}", "partition", partition, "accept_data_loss", true);
}

static enum ctl_exit run_claim(struct ctl *ctl, int argc, char **argv)
{
	bool is_accepted = command_take_word(&argc, argv, "--accept-data-loss");
	json_t *request = claim_request(argc - 1, argv + 1);
	json_t *reply = NULL;
	enum ctl_exit code;

	if (!request)
		return command_usage(ctl, "partition claim",
				     "expected a partition's number, or --of and a node's name");
	if (!is_accepted) {
		json_decref(request);
		return command_usage(ctl, "partition claim",
				     "what the dead owner had is lost by this: say "
				     "--accept-data-loss if that is wanted");
	}
	code = admin_post(ctl, "/v1/partitions/claim", request, &reply);
	json_decref(request);
	if (code != CTL_OK)
		return code;
	if (ctl->output == CTL_OUTPUT_JSON)
		code = command_print_json(ctl, reply);
	else
		fprintf(ctl->out, "claimed: %u\n", (unsigned)json_integer_at(reply, "claimed"));
	json_decref(reply);
	return code;
}

const struct command commands_cluster[] = {
	{ "cluster key", "", "print a new key for cluster.key_file", NULL, run_key },
	{ "cluster create", "", "make this node the first member of a new cluster",
	  "For a node with cluster.listen that is in no cluster. cluster.bootstrap does it at the "
	  "start.\n",
	  run_create },
	{ "cluster join", "ADDRESS:PORT...", "let this node join the cluster of a member",
	  "The addresses are cluster.listen of members; one that answers is enough. Waits for 30 "
	  "s. "
	  "cluster.join\ndoes it at every start.\n",
	  run_join },
	{ "cluster leave", "[--no-wait | --cancel]",
	  "let this node give its partitions away and end",
	  "Waits until the node has ended, unless --no-wait; --cancel lets it stay.\n", run_leave },
	{ "cluster remove", "NODE", "forget a dead node",
	  "It must be dead, and own no partition. When it comes back in the same life it is told "
	  "that it was removed,\nand ends; started anew it may join again.\n",
	  run_remove },
	{ "cluster status", "", "show the cluster as this node sees it, and what is wrong", NULL,
	  run_status },
	{ "cluster check", "", "exit with 1 when something is wrong, and say what to do", NULL,
	  run_check },
	{ "cluster reload-keys", "", "let this node read its key file again", NULL,
	  run_reload_keys },
	{ "nodes", "", "list the nodes of the cluster", "A * marks the node that was asked.\n",
	  run_nodes },
	{ "partitions", "[--of NODE]", "list the partitions and their owners",
	  "owned: served. migrating: served, on its way to another node. fenced: its owner, the "
	  "node "
	  "that was asked,\ndoes not serve it at present. lost: its owner is dead.\n",
	  run_partitions },
	{ "partition claim", "PARTITION | --of NODE --accept-data-loss",
	  "take partitions of a dead node, and give up their data",
	  "For partitions whose owner is dead and will not come back. This node takes them; what "
	  "was "
	  "in them is lost.\nOne whose migration from the dead owner was not finished goes to the "
	  "node that imported it, with the data\nthat is there.\n",
	  run_claim },
	{ NULL, NULL, NULL, NULL, NULL },
};
