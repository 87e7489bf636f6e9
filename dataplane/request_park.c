/* SPDX-License-Identifier: BSD-3-Clause */
/* A list in order of arrival, looked through when there is a new route table or somebody has waited for too long. */
#include "dataplane/request_park.h"

#include <rte_branch_prediction.h>

#include "dataplane/core_outbox.h"
#include "dataplane/request_dispatch.h"

static void set_count(struct core_parking *parking, uint32_t count)
{
	__atomic_store_n(&parking->count, count, __ATOMIC_RELAXED);
}

static bool is_over(const struct core *core, uint64_t since_ms)
{
	return core->now_ms >= since_ms + PARKED_MS_MAX;
}

bool request_park(struct core *core, struct rte_mbuf *mbuf, const struct packet_view *view,
		  uint32_t partition)
{
	struct core_parking *parking = &core->parking;
	uint64_t since_ms = parking->since_ms ? parking->since_ms : core->now_ms;

	if (parking->count == PARKED_MAX || is_over(core, since_ms)) {
		core_count(&core->counters, COUNT_PARKED_REFUSED);
		return false;
	}
	if (parking->since_ms == 0)
		core_count(&core->counters, COUNT_REQUESTS_PARKED);
	core_stow(core, mbuf, view);
	if (parking->count == 0 || since_ms + PARKED_MS_MAX < parking->due_ms)
		parking->due_ms = since_ms + PARKED_MS_MAX;
	parking->requests[parking->count] = (struct parked_request){ mbuf, since_ms, partition };
	set_count(parking, parking->count + 1);
	return true;
}

static bool is_parked(const struct core *core, uint32_t partition)
{
	uint8_t access = core->route->access[partition];

	return access == ROUTE_WRITES_PARKED || access == ROUTE_PARKED;
}

/* Whether it has to be looked at. A request that waits for writes alone may go on as soon as anything about its partition
 * changed; what then still has to wait is parked again.
 */
static bool may_go(const struct core *core, const struct parked_request *parked)
{
	return !is_parked(core, parked->partition) || is_over(core, parked->since_ms);
}

static void keep(struct core_parking *parking, const struct parked_request *parked)
{
	if (parking->count == 0 || parked->since_ms + PARKED_MS_MAX < parking->due_ms)
		parking->due_ms = parked->since_ms + PARKED_MS_MAX;
	parking->requests[parking->count] = *parked;
	set_count(parking, parking->count + 1);
}

/* The list is written anew from its start, never beyond what was read of it: each request read is kept, or parked again, at
 * most once.
 */
static uint32_t pass(struct core *core)
{
	struct core_parking *parking = &core->parking;
	uint32_t count = parking->count;
	uint32_t gone = 0;

	set_count(parking, 0);
	for (uint32_t i = 0; i < count; i++) {
		struct parked_request parked = parking->requests[i];

		if (gone == PORT_BURST_MAX || !may_go(core, &parked)) {
			keep(parking, &parked);
			continue;
		}
		gone++;
		parking->since_ms = parked.since_ms;
		request_dispatch(core, parked.mbuf, &core_mail(parked.mbuf)->view);
	}
	parking->since_ms = 0;
	request_flush(core);
	return gone;
}

bool request_unpark(struct core *core)
{
	struct core_parking *parking = &core->parking;

	if (likely(parking->looked_at == core->route->serial && core->now_ms < parking->due_ms))
		return false;
	if (pass(core) == PORT_BURST_MAX)
		return true;
	parking->looked_at = core->route->serial;
	return false;
}
