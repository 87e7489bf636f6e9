/* SPDX-License-Identifier: BSD-3-Clause */
/* Prints what gossip costs and how fast news travel, for clusters of growing size on virtual time.
 *
 * usage: gossip_cost [LARGEST_CLUSTER]      (default 1000; takes about two minutes)
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/simulation/cluster_harness.h"

#define REST_S 120u  /* measured at rest */
#define CHANGES 10u  /* news timed, each by another node */
#define PARTITION 5u /* that the news are about */

/* Bytes of a datagram count encryption, UDP and IPv4 headers. */
static const struct harness_network network = { .loss_percent = 1,
						.delay_min_ms = 1,
						.delay_max_ms = 5 };

struct news {
	uint32_t node;
	bool is_importing;
};

static bool news_is_known(struct harness *harness, void *context)
{
	const struct news *news = context;
	uint64_t id = harness_id(harness, news->node);

	for (uint32_t i = 0; harness_is_running(harness, i); i++) {
		const struct membership *membership = gossip_membership(harness_gossip(harness, i));
		const struct member *member = membership_find(membership, id);

		if (!member || node_is_importing(&member->node, PARTITION) != news->is_importing)
			return false;
	}
	return true;
}

static bool node_is_dead(struct harness *harness, void *context)
{
	uint32_t node = *(const uint32_t *)context;

	for (uint32_t i = 0; harness_is_running(harness, i); i++) {
		if (harness_view(harness, i, node) != MEMBER_DEAD)
			return false;
	}
	return true;
}

static bool members_are_known(struct harness *harness, void *context)
{
	uint32_t node_count = *(const uint32_t *)context;

	for (uint32_t i = 0; i < node_count; i++) {
		const struct gossip *gossip = harness_gossip(harness, i);

		if (membership_live_count(gossip_membership(gossip)) != node_count)
			return false;
	}
	return true;
}

/* Mean milliseconds until all know a change; '*worst_ms' the longest. */
static double time_changes(struct harness *harness, uint32_t node_count, uint64_t *worst_ms)
{
	uint64_t sum_ms = 0;

	*worst_ms = 0;
	for (uint32_t i = 0; i < CHANGES; i++) {
		struct news news = { .node = i % (node_count - 1), .is_importing = true };
		uint64_t begin_ms, took_ms;

		for (uint32_t on = 0; on < 2; on++) {
			news.is_importing = on == 0;
			begin_ms = harness_now_ms(harness);
			harness_set_importing(harness, news.node, PARTITION, news.is_importing);
			harness_run_until(harness, 60000, news_is_known, &news);
			took_ms = harness_now_ms(harness) - begin_ms;
			sum_ms += took_ms;
			*worst_ms = took_ms > *worst_ms ? took_ms : *worst_ms;
			harness_run(harness, 1000);
		}
	}
	return (double)sum_ms / (2 * CHANGES);
}

struct rest {
	double datagram_bytes_per_s; /* sent by a node on average */
	double state_bytes_per_s;
	double datagrams_per_s;
	uint32_t datagram_size_max;
};

static struct rest measure_rest(struct harness *harness, uint32_t node_count)
{
	struct rest rest = { 0 };

	for (uint32_t turn = 0; turn < 2; turn++) {
		double sign = turn == 0 ? -1.0 : 1.0;

		for (uint32_t i = 0; i < node_count; i++) {
			struct harness_traffic traffic = harness_traffic(harness, i);
			double share = sign / node_count / REST_S;

			rest.datagram_bytes_per_s += share * (double)traffic.datagram_bytes;
			rest.state_bytes_per_s += share * (double)traffic.state_bytes;
			rest.datagrams_per_s += share * (double)traffic.datagrams;
			if (traffic.datagram_size_max > rest.datagram_size_max)
				rest.datagram_size_max = traffic.datagram_size_max;
		}
		if (turn == 0)
			harness_run(harness, REST_S * 1000);
	}
	return rest;
}

static void measure(uint32_t node_count)
{
	struct harness_options options = { .seed = 1,
					   .node_count = node_count,
					   .partition_count = PARTITION_COUNT_DEFAULT,
					   .network = network };
	struct harness *harness = harness_create(&options);
	uint32_t last = node_count - 1;
	uint64_t worst_ms, crashed_ms;
	struct rest rest;
	double mean_ms;

	harness_start_all(harness);
	harness_run_until(harness, 120000, members_are_known, &node_count);
	harness_run(harness, 60000); /* the news of the start have been told */
	rest = measure_rest(harness, node_count);
	mean_ms = time_changes(harness, node_count, &worst_ms);
	harness_crash(harness, last);
	crashed_ms = harness_now_ms(harness);
	harness_run_until(harness, 120000, node_is_dead, &last);
	printf("%6u %10.0f %10.0f %10.0f %8.1f %8u %8.0f %8.1f %8llu %10llu\n", node_count,
	       rest.datagram_bytes_per_s + rest.state_bytes_per_s, rest.datagram_bytes_per_s,
	       rest.state_bytes_per_s, rest.datagrams_per_s, rest.datagram_size_max, mean_ms,
	       mean_ms / GOSSIP_SPREAD_INTERVAL_MS, (unsigned long long)worst_ms,
	       (unsigned long long)(harness_now_ms(harness) - crashed_ms));
	fflush(stdout);
	harness_destroy(harness);
}

int main(int argc, char **argv)
{
	static const uint32_t sizes[] = { 3, 10, 100, 1000 };
	uint32_t largest = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000;

	printf("sent by each node at rest, 1%% loss, %u partitions; a round is %u ms\n",
	       PARTITION_COUNT_DEFAULT, GOSSIP_SPREAD_INTERVAL_MS);
	printf("%6s %10s %10s %10s %8s %8s %8s %8s %8s %10s\n", "nodes", "bytes/s", "gossip",
	       "push-pull", "packets", "largest", "news ms", "rounds", "worst ms", "crash ms");
	for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]) && sizes[i] <= largest; i++)
		measure(sizes[i]);
	return EXIT_SUCCESS;
}
