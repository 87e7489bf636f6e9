/* SPDX-License-Identifier: BSD-3-Clause */
/* The table. */
#include "controlplane/cluster_counters.h"

#include "controlplane/bus_transport.h"
#include "controlplane/cluster.h"

/* Everything that is counted, at one moment. */
struct cluster_counts {
	struct bus_counters bus;
	struct gossip_counters gossip;
	struct membership_counters membership;
};

static const struct counter_row rows[] = {
	/* clang-format off */
	{ "bus_datagrams_received", offsetof(struct cluster_counts, bus.datagrams_in),
	  "Authentic datagrams of the cluster bus." },
	{ "bus_datagrams_sent", offsetof(struct cluster_counts, bus.datagrams_out),
	  "Datagrams sent on the cluster bus." },
	{ "bus_datagram_bytes_received", offsetof(struct cluster_counts, bus.datagram_bytes_in),
	  "UDP payload that came to the bus, what was refused included." },
	{ "bus_datagram_bytes_sent", offsetof(struct cluster_counts, bus.datagram_bytes_out),
	  "UDP payload sent on the bus." },
	{ "bus_send_failures", offsetof(struct cluster_counts, bus.send_failures),
	  "Datagrams that the kernel did not take." },
	{ "bus_refused_truncated", offsetof(struct cluster_counts, bus.refused[BUS_TRUNCATED]),
	  "Bus messages refused: no message of this protocol." },
	{ "bus_refused_wrong_version", offsetof(struct cluster_counts, bus.refused[BUS_WRONG_VERSION]),
	  "Bus messages refused: another version." },
	{ "bus_refused_wrong_cluster", offsetof(struct cluster_counts, bus.refused[BUS_WRONG_CLUSTER]),
	  "Bus messages refused: another cluster name." },
	{ "bus_refused_wrong_key", offsetof(struct cluster_counts, bus.refused[BUS_WRONG_KEY]),
	  "Bus messages refused: a key this node does not have." },
	{ "bus_refused_forged", offsetof(struct cluster_counts, bus.refused[BUS_FORGED]),
	  "Bus messages refused: not authentic." },
	{ "bus_refused_replayed", offsetof(struct cluster_counts, bus.refused[BUS_REPLAYED]),
	  "Bus messages refused: seen before, or too late." },
	{ "bus_connections_refused", offsetof(struct cluster_counts, bus.connections_refused),
	  "Connections closed: too many, or nothing was said." },
	{ "bus_channels_opened", offsetof(struct cluster_counts, bus.channels.opened),
	  "Channels this node opened to others." },
	{ "bus_channels_accepted", offsetof(struct cluster_counts, bus.channels.accepted),
	  "Channels others opened to this node." },
	{ "bus_channels_refused", offsetof(struct cluster_counts, bus.channels.refused),
	  "Channels of others that this node refused." },
	{ "bus_channel_bytes_received", offsetof(struct cluster_counts, bus.channels.bytes_in),
	  "Bytes received over channels." },
	{ "bus_channel_bytes_sent", offsetof(struct cluster_counts, bus.channels.bytes_out),
	  "Bytes sent over channels." },
	{ "gossip_refused_malformed", offsetof(struct cluster_counts, gossip.refused_malformed),
	  "Gossip that does not decode." },
	{ "gossip_refused_generation", offsetof(struct cluster_counts, gossip.refused_generation),
	  "Gossip of a life that is over." },
	{ "gossip_refused_removed", offsetof(struct cluster_counts, gossip.refused_removed),
	  "Gossip of a removed node." },
	{ "gossip_refused_cluster", offsetof(struct cluster_counts, gossip.refused_cluster),
	  "Gossip of a cluster founded apart." },
	{ "gossip_map_count_mismatch", offsetof(struct cluster_counts, gossip.map_count_mismatch),
	  "Maps with another number of partitions." },
	{ "member_probes", offsetof(struct cluster_counts, membership.probes),
	  "Members asked whether they are alive." },
	{ "member_probes_failed", offsetof(struct cluster_counts, membership.probes_failed),
	  "Members that did not answer." },
	{ "member_suspicions", offsetof(struct cluster_counts, membership.suspicions),
	  "Times a member became suspect." },
	{ "member_deaths", offsetof(struct cluster_counts, membership.deaths),
	  "Times a member was declared dead." },
	{ "member_refutations", offsetof(struct cluster_counts, membership.refutations),
	  "Claims about this node that it refuted." },
	{ "member_refused_full", offsetof(struct cluster_counts, membership.refused_full),
	  "Records of new members that this node had no room for." },
	/* clang-format on */
};

const struct counter_table cluster_counter_table = { rows, sizeof(rows) / sizeof(rows[0]) };

void cluster_counters(const void *context, uint64_t *values)
{
	const struct cluster *cluster = context;
	const struct gossip *gossip = cluster_gossip(cluster);
	struct cluster_counts counts = { .gossip = *gossip_counters(gossip),
					 .membership =
						 *membership_counters(gossip_membership(gossip)) };

	cluster_bus_counters(cluster, &counts.bus);
	counter_table_read(&cluster_counter_table, &counts, values);
}
