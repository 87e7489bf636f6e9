/* SPDX-License-Identifier: BSD-3-Clause */
/* A partition's way out of this node's data plane: does what a source machine asks of workers and storage. */
#ifndef CONTROLPLANE_MIGRATION_EXPORT_H
#define CONTROLPLANE_MIGRATION_EXPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/migration_source.h"
#include "dataplane/dataplane.h"

struct world;

struct migration_export_options {
	struct dataplane *dataplane;
	struct reader *reader; /* the control thread's; offline between calls */
	const struct world *world;
	uint64_t job; /* in the frames it makes */
	uint32_t attempt;
	uint32_t partition;
	uint32_t batch_size; /* these two as in struct migration_options */
	uint32_t window;
	uint64_t ring_size; /* bytes of the ring of deltas, a power of two */
	/* An event for the source machine; called by poll() alone, 'event' lives as long as the call. It may call do(). */
	void (*answer)(void *context, const struct migration_source_event *event);
	void *context;
};

/* One attempt. All memory is taken at the creation, for as many batches and blocks of deltas as the window allows.
 *
 * Thread safety: none; the thread of 'reader' owns it. It never blocks.
 */
struct migration_export;

/* 0, -ENOMEM or -EINVAL. */
int migration_export_create(struct migration_export **export,
			    const struct migration_export_options *options);

/* When poll() said that it rests, or once the workers are stopped. Accepts NULL. */
void migration_export_destroy(struct migration_export *export);

/* Begins what 'action' asks for; false when it is none of the data plane's: CHECK_CAPACITY, SEND and SEND_*, RECORD_OWNER,
 * PUBLISH_MAP, REPORT are others'. Of MARK and UNMARK it does the data plane's part; UNMARKED is answered when that is done.
 * FORWARD_PARKED goes by the routes that are set by then. Every action that is to be answered is answered exactly once, in time.
 */
bool migration_export_do(struct migration_export *export,
			 const struct migration_source_action *action);

/* Goes on with what is under way, one slice of a scan at most; tells the machine of new deltas or of their loss. From MARK to
 * UNMARKED it never rests.
 */
enum migration_pace migration_export_poll(struct migration_export *export);

/* The frame (sync_frame.h) that SEND_BATCH and SEND_DELTAS name, sealed and ready; it lives until released. NULL: there is none. */
const uint8_t *migration_export_batch(const struct migration_export *export, uint64_t batch,
				      size_t *size);
const uint8_t *migration_export_deltas(const struct migration_export *export, uint64_t first,
				       uint64_t last, size_t *size);

#endif
