/* SPDX-License-Identifier: BSD-3-Clause */
/* The options that all godwitctl commands share, wherever they stand on the command line. */
#ifndef CONTROLPLANE_CTL_GLOBAL_OPTIONS_H
#define CONTROLPLANE_CTL_GLOBAL_OPTIONS_H

#include "controlplane/ctl/command.h"

/* Built-in defaults, overridden by the environment (GODWIT_SERVER, GODWIT_ADMIN,
 * GODWIT_TOKEN_FILE). Prints to stdout and stderr.
 */
void global_options_init(struct ctl *ctl);

/* Takes every global option out of argv (argv[0] is the program) up to the word '--', which is
 * kept, and applies it; '*argc' shrinks. CTL_OK, or CTL_USAGE after one line to ctl->err.
 */
enum ctl_exit global_options_take(struct ctl *ctl, int *argc, char **argv);

void global_options_print(FILE *out);

/* "250ms", "2s", "5m", "1h", or a plain number of seconds. 0, or -EINVAL when it is none of these
 * or does not fit 32 bits.
 */
int duration_parse(const char *text, uint32_t *ms);

#endif
