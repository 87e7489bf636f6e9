/* SPDX-License-Identifier: BSD-3-Clause */
/* From the words of a command line to the command they name. */
#ifndef CONTROLPLANE_CTL_DISPATCH_H
#define CONTROLPLANE_CTL_DISPATCH_H

#include "controlplane/ctl/command.h"

/* Runs what 'argv' says behind the program's name and without global options: a command, help, or the version. With
 * ctl->watch_ms again and again, until it fails. CTL_USAGE and the help to ctl->err when it says nothing.
 */
enum ctl_exit dispatch(struct ctl *ctl, int argc, char **argv);

#endif
