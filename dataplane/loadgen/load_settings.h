/* SPDX-License-Identifier: BSD-3-Clause */
/* What all workers of a run have in common. */
#ifndef LOADGEN_LOAD_SETTINGS_H
#define LOADGEN_LOAD_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/loadgen/clock.h"
#include "dataplane/loadgen/ledger.h"
#include "dataplane/loadgen/workload.h"

#define LOAD_OPS_MAX 64u /* operations per datagram */
#define LOAD_WORKERS_MAX 64u

/* Thread safety: constant while workers run, but for what 'ledger' says of itself. */
struct load_settings {
	struct clock_rate clock;
	struct workload workload;
	struct ledger *ledger; /* NULL = nothing is verified */
	bool missing_allowed;  /* a loaded key may be gone: evicted, or expired */
	bool echo;             /* the server is a reflector: requests come back as they are */
	uint16_t server_port;  /* UDP, of its first worker */
	uint32_t worker_count;
	uint32_t flows_per_server_worker;
	uint32_t ops_per_datagram;      /* 1..LOAD_OPS_MAX */
	uint32_t load_ops_per_datagram; /* likewise, of the load and verify phases */
	uint32_t outstanding_max;       /* closed loop: datagrams per worker */
	double datagrams_per_second;    /* open loop: per worker; 0 = closed loop */
	uint64_t timeout_ticks; /* without a reply for so long a request is sent again, or lost */
	uint32_t retries;       /* transmissions after the first */
	uint64_t late_limit_ticks; /* sent so long after its planned time a datagram is late */
	uint64_t seed;
};

#endif
