/* SPDX-License-Identifier: BSD-3-Clause */
/* Results of item commands as text for people, as JSON for scripts, as bytes for pipes. */
#ifndef CONTROLPLANE_CTL_ITEM_VIEW_H
#define CONTROLPLANE_CTL_ITEM_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/ctl/command.h"
#include "dataplane/client/godwit.h"

/* What godwitctl exits with after 'status'. */
enum ctl_exit item_view_exit(enum godwit_status status);

/* The status as one word for scripts: "ok", "not_found", ... */
const char *item_view_word(enum godwit_status status);

/* Prints the result of 'operation' to ctl->out, and one line to ctl->err unless it is GODWIT_OK;
 * returns what to exit with. Of values, control characters but
 * newline and tab, and bytes that are no UTF-8, are printed as \xNN; 'is_raw': as they are, without a newline.
 */
enum ctl_exit item_view_result(struct ctl *ctl, const struct godwit_operation *operation,
			       const struct godwit_result *result, bool is_raw);

void item_view_ping(struct ctl *ctl, uint64_t round_trip_us);

/* Prints what the client knows of its cluster. */
enum ctl_exit item_view_info(struct ctl *ctl, const struct godwit *client);

#endif
