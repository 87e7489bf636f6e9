/* SPDX-License-Identifier: BSD-3-Clause */
/* A partition's way into this node's data plane: does what a target machine asks of workers and storage. */
#ifndef CONTROLPLANE_MIGRATION_IMPORT_H
#define CONTROLPLANE_MIGRATION_IMPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/migration_target.h"
#include "dataplane/dataplane.h"

struct migration_import_options {
	struct dataplane *dataplane;
	uint32_t partition;
	/* An event for the target machine; called by poll() alone, 'event' lives as long as the call. It may call do(). */
	void (*answer)(void *context, const struct migration_target_event *event);
	void *context;
};

/* Thread safety: none; the control thread owns it. It never blocks. */
struct migration_import;

/* 0, -ENOMEM or -EINVAL. */
int migration_import_create(struct migration_import **import, const struct migration_import_options *options);

/* When poll() said that it rests, or once the workers are stopped. Accepts NULL. */
void migration_import_destroy(struct migration_import *import);

/* Begins what 'action' asks for; false when it is none of the data plane's: MARK, UNMARK, RECORD_OWNER, ANNOUNCE, PUBLISH_MAP, SEND
 * and REPORT are others'. The batch of APPLY is copied. Every action that is to be answered is answered exactly once, in time,
 * APPLY in the order asked.
 */
bool migration_import_do(struct migration_import *import, const struct migration_target_action *action);

/* Goes on with what is under way. */
enum migration_pace migration_import_poll(struct migration_import *import);

#endif
