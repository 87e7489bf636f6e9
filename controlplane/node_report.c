/* SPDX-License-Identifier: BSD-3-Clause */
/* Sums over a report. */
#include "controlplane/node_report.h"

void node_report_totals(const struct node_report *report, struct report_totals *totals)
{
	*totals = (struct report_totals){ 0 };
	for (uint32_t i = 0; i < report->worker_count; i++) {
		const struct worker_status *status = &report->workers[i].status;

		totals->items += status->shard.items;
		totals->item_bytes += status->shard.item_bytes;
		totals->allocated_bytes += status->shard.pool.bytes_allocated;
		totals->sessions += status->sessions;
	}
}
