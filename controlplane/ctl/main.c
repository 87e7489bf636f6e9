/* SPDX-License-Identifier: BSD-3-Clause */
/* godwitctl: the operator's command line. */
#include "controlplane/ctl/dispatch.h"
#include "controlplane/ctl/global_options.h"

int main(int argc, char **argv)
{
	struct ctl ctl;
	enum ctl_exit code;

	global_options_init(&ctl);
	if (global_options_take(&ctl, &argc, argv) != CTL_OK)
		return CTL_USAGE;
	code = dispatch(&ctl, argc - 1, argv + 1);
	if (fflush(ctl.out) != 0)
		return (int)command_fail(&ctl, CTL_ERROR, "cannot write the output");
	return (int)code;
}
