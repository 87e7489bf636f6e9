/* SPDX-License-Identifier: BSD-3-Clause */
/* Why a frame was dropped: one table, from which the enum, the counters and their help texts
 * come.
 */
#ifndef DATAPLANE_DROP_REASON_H
#define DATAPLANE_DROP_REASON_H

/* X(CONSTANT, name, help). A dropped frame has exactly one reason and increments exactly one
 * counter, called drop_<name>. In the order in which a frame is judged.
 */
#define DROP_REASONS(X)                                                                            \
	X(FRAME_SEGMENTED, frame_segmented, "a frame spread over several buffers")                 \
	X(FRAME_OVERSIZED, frame_oversized, "a frame larger than the MTU allows")                  \
	X(SHORT_FRAME, short_frame, "fewer bytes than the headers its type needs")                 \
	X(FOREIGN_MAC, foreign_mac, "Ethernet destination is another station or a group")          \
	X(BAD_SOURCE_MAC, bad_source_mac, "Ethernet source is a group address")                    \
	X(VLAN, vlan, "a VLAN tag; the port delivers untagged frames")                             \
	X(FOREIGN_ETHERTYPE, foreign_ethertype, "neither IPv4 nor ARP")                            \
	X(ARP_BAD, arp_bad, "ARP for other media, or neither request nor reply")                   \
	X(ARP_FOREIGN_ADDRESS, arp_foreign_address, "ARP about another host's address")            \
	X(IPV4_BAD_HEADER, ipv4_bad_header, "not IPv4 version 4, or a header under 20 bytes")      \
	X(IPV4_OPTIONS, ipv4_options, "IPv4 header with options")                                  \
	X(IPV4_BAD_LENGTH, ipv4_bad_length, "IPv4 length over the frame or under its header")      \
	X(IPV4_BAD_CHECKSUM, ipv4_bad_checksum, "IPv4 header checksum is wrong")                   \
	X(FOREIGN_ADDRESS, foreign_address, "IPv4 destination is not this node")                   \
	X(IPV4_BAD_SOURCE, ipv4_bad_source, "IPv4 source is no host or this node itself")          \
	X(IPV4_FRAGMENT, ipv4_fragment, "a fragment; datagrams must fit the MTU")                  \
	X(FOREIGN_PROTOCOL, foreign_protocol, "neither UDP nor ICMP")                              \
	X(ICMP_SHORT, icmp_short, "ICMP message under 8 bytes")                                    \
	X(ICMP_BAD_CHECKSUM, icmp_bad_checksum, "ICMP checksum is wrong")                          \
	X(ICMP_NOT_ECHO, icmp_not_echo, "ICMP message other than an echo request")                 \
	X(UDP_BAD_LENGTH, udp_bad_length, "UDP length over the IPv4 payload or under 8")           \
	X(UDP_BAD_CHECKSUM, udp_bad_checksum, "UDP checksum is wrong")                             \
	X(UDP_FOREIGN_PORT, udp_foreign_port, "UDP destination port is not a worker's")            \
	X(UDP_NO_SOURCE_PORT, udp_no_source_port, "UDP source port 0: nowhere to answer to")       \
	X(WIRE_SHORT, wire_short, "fewer bytes than a datagram of its kind needs")                 \
	X(WIRE_BAD_MAGIC, wire_bad_magic, "not this protocol")                                     \
	X(WIRE_BAD_VERSION, wire_bad_version, "another version of this protocol")                  \
	X(WIRE_UNKNOWN_KIND, wire_unknown_kind, "a kind of datagram this version does not know")   \
	X(WIRE_BAD_OP_COUNT, wire_bad_op_count, "operations announced in a kind that has none")    \
	X(WIRE_UNEXPECTED_KIND, wire_unexpected_kind, "a kind that nobody sends to a node")        \
	X(ARP_UNASKED, arp_unasked, "an ARP reply of somebody who is no neighbour")                \
	X(NEED_HELLO_LIMITED, need_hello_limited, "no valid session, NEED_HELLO used up")          \
	X(SESSION_TABLE_FULL, session_table_full, "a HELLO while all sessions are in use")         \
	X(REPLAY_IN_PROGRESS, replay_in_progress, "a copy of a write that is being executed now")  \
	X(REPLAY_FORGOTTEN, replay_forgotten, "a copy of a write whose reply is no longer kept")   \
	X(REPLAY_OLD, replay_old, "a write older than its session's replay window")                \
	X(FORWARD_FOREIGN, forward_foreign, "FORWARD or its reply, not from a node of the cluster") \
	X(FORWARD_BAD, forward_bad, "FORWARD or its reply with something else in it")              \
	X(FORWARD_LATE, forward_late, "a second reply to a forwarded write, or one out of date")   \
	X(FORWARD_NO_PEER, forward_no_peer, "a copy of a write that was forwarded to a lost node") \
	X(FORWARD_NO_ROOM, forward_no_room, "a buffer without room for a FORWARD's headers")       \
	X(MAILBOX_FULL, mailbox_full, "a packet for another worker that is far behind")            \
	X(LOCAL_FULL, local_full, "an answer for a control thread that is far behind")             \
	X(TX_FULL, tx_full, "an answer that the port had no room for")

enum drop_reason {
	DROP_NONE, /* not dropped */
#define DROP_REASON_ENUM(constant, name, help) DROP_##constant,
	DROP_REASONS(DROP_REASON_ENUM)
#undef DROP_REASON_ENUM
	DROP_REASON_COUNT,
};

#endif
