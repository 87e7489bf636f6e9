/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands that look at one node over its admin address. */
#include <string.h>

#include "controlplane/ctl/admin_client.h"
#include "controlplane/ctl/command.h"
#include "controlplane/ctl/node_view.h"

static enum ctl_exit run_status(struct ctl *ctl, int argc, char **argv)
{
	enum ctl_exit code;
	json_t *status;

	if (argc != 1)
		return command_usage(ctl, "status", "unexpected argument '%s'", argv[argc - 1]);
	code = admin_get(ctl, "/v1/status", &status);
	if (code != CTL_OK)
		return code;
	if (ctl->output == CTL_OUTPUT_JSON)
		code = command_print_json(ctl, status);
	else if (node_view_status(status, ctl->out) != 0)
		code = command_fail(ctl, CTL_ERROR, "out of memory");
	json_decref(status);
	return code;
}

static enum ctl_exit run_counters(struct ctl *ctl, int argc, char **argv)
{
	bool all = argc == 2 && strcmp(argv[1], "--all") == 0;
	enum ctl_exit code;
	json_t *counters;

	if (argc > 1 + all)
		return command_usage(ctl, "counters", "unexpected argument '%s'", argv[argc - 1]);
	code = admin_get(ctl, "/v1/counters", &counters);
	if (code != CTL_OK)
		return code;
	if (ctl->output == CTL_OUTPUT_JSON)
		code = command_print_json(ctl, counters);
	else if (node_view_counters(counters, all, ctl->out) != 0)
		code = command_fail(ctl, CTL_ERROR, "out of memory");
	json_decref(counters);
	return code;
}

const struct command commands_node[] = {
	{ "status", "", "show a node: workers, memory, sessions, port", NULL, run_status },
	{ "counters", "[--all]", "show what a node counted since it started",
	  "Counters that are zero are shown with --all.\n", run_counters },
	{ NULL, NULL, NULL, NULL, NULL },
};
