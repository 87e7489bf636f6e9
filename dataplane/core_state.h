/* SPDX-License-Identifier: BSD-3-Clause */
/* All that one worker core owns, and what the cores of a node share. */
#ifndef DATAPLANE_CORE_STATE_H
#define DATAPLANE_CORE_STATE_H

#include <assert.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include <stdbool.h>
#include <stdint.h>

#include "dataplane/core_clock.h"
#include "dataplane/core_counters.h"
#include "dataplane/core_mailbox.h"
#include "dataplane/packet_parse.h"
#include "dataplane/partition_command.h"
#include "dataplane/port.h"
#include "dataplane/replay_window.h"
#include "dataplane/route_table.h"
#include "dataplane/session.h"
#include "dataplane/wire_codec.h"
#include "storage/reader.h"
#include "storage/shard.h"

struct core;

/* UDP payload of the largest frame a port carries. */
#define DATAGRAM_SIZE_MAX (PORT_MTU_MAX - PACKET_IPV4_SIZE - PACKET_UDP_SIZE)

/* What the loops do. */
enum core_command {
	CORE_RUN,
	CORE_DRAIN, /* receive nothing more from the port, answer what is in the mailboxes */
	CORE_STOP,
};

/* One node's data plane as its cores see it: constant while they run, but 'route' and 'command'. */
struct core_shared {
	struct packet_local local; /* MAC, IPv4 address and UDP ports of the node */
	uint32_t worker_count;
	uint32_t partition_count;   /* a power of two */
	uint32_t datagram_size_max; /* bytes of UDP payload that fit the port's MTU */
	uint32_t value_size_max;    /* bytes of a value that fits a reply of its own */
	uint64_t boot_id;           /* another one at each start */
	uint64_t clock_epoch_ns;    /* see core_clock.h */
	bool idle_adaptive;
	struct port *port; /* NULL where a test moves the packets */
	struct rte_mempool *pool;        /* of packets that a core sends unasked */
	struct mailbox_grid *mailboxes;
	struct key_secret key_secret;
	struct core *cores[WORKER_COUNT_MAX];
	uint8_t worker_of[PARTITION_COUNT_MAX]; /* partition -> worker */
	_Alignas(64) struct route_table *route; /* RCU; published by the control plane */
	uint32_t command; /* enum core_command; naturally atomic, written by the control plane */
};

/* Why a packet is in a mailbox. */
enum mail_kind {
	MAIL_DATAGRAM, /* to the worker of its UDP port */
	MAIL_REQUEST,  /* to the worker that owns all its keys; the session is checked, or the control thread's */
	MAIL_TRANSMIT, /* a finished frame, to a worker that has a queue */
};

/* A packet's private area, filled when it is put into a mailbox. */
struct core_mail {
	struct packet_view view; /* but for MAIL_TRANSMIT */
	uint8_t kind;            /* enum mail_kind */
	uint8_t queue;           /* that received the packet */
	uint8_t reserved[6];
};
static_assert(sizeof(struct core_mail) % RTE_MBUF_PRIV_ALIGN == 0, "an mbuf's private area");

static inline struct core_mail *core_mail(struct rte_mbuf *mbuf)
{
	return rte_mbuf_to_priv(mbuf);
}

/* One operation of a batch; its key is the batch's key of the same index. */
struct request_op {
	struct wire_request_op wire;
	uint8_t refusal; /* enum wire_status: WIRE_OK = execute */
	uint8_t worker;  /* that owns the partition */
};

/* One REQUEST datagram between its parse and its reply. */
struct request {
	struct rte_mbuf *mbuf;
	const struct packet_view *view;
	uint8_t *payload; /* of the datagram: the request, in the end the reply */
	uint8_t *
		reply; /* where the reply operations are built: in the payload, or in the core's scratch */
	uint8_t *at;          /* where the next one goes */
	uint8_t *end;         /* behind the last byte it may take */
	uint32_t reserved;    /* bytes that the operations not yet executed take at least */
	uint16_t op_first;    /* of its operations in the batch */
	uint16_t op_end;      /* behind the last one */
	bool has_ticket;      /* it writes, and is marked in the replay window */
	bool is_open;         /* its answer is RETRY, and the same bytes may come again */
	uint32_t writes_open; /* with a ticket: writes that were not put off by RETRY */
	struct replay_ticket ticket;
};

/* Operations of one or more requests that are looked up together. */
struct request_batch {
	struct shard_batch keys;
	struct request_op ops[SHARD_BATCH_MAX];
	struct request requests[SHARD_BATCH_MAX];
	uint32_t request_count;
	uint32_t begun;           /* operations whose lookup has begun: the first so many */
	uint64_t foreign_workers; /* whose items are read here */
	bool has_writes;
};

/* Requests that wait until a migrating partition has found its owner: so many at most, ... */
#define PARKED_MAX 1024u
/* ... and so long at most. The control plane ends the wait before that. */
#define PARKED_MS_MAX 50u

struct parked_request {
	struct rte_mbuf *mbuf; /* its view is in its private area */
	uint64_t since_ms;
	uint32_t partition; /* that it waits for */
};

struct core_parking {
	uint32_t count; /* naturally atomic */
	uint64_t due_ms; /* when the oldest has waited long enough */
	uint64_t looked_at; /* serial of the route table by which all were judged */
	uint64_t since_ms; /* of the request that is being judged again; 0 = a new one */
	struct parked_request requests[PARKED_MAX];
};

/* Packets on their way to one other worker. */
struct core_outbox {
	uint32_t count;
	struct rte_mbuf *mbufs[PORT_BURST_MAX];
};

/* Frames of one turn that wait for transmission: every frame received or taken from a mailbox makes at most one, and perhaps an ARP
 * request beside it.
 */
#define CORE_TX_MAX (3u * PORT_BURST_MAX)

/* Thread safety: everything belongs to one thread, but 'counters', 'command_seen', 'routes_seen' and 'parking.count', which are
 * naturally atomic, the other ends of 'commands' and 'local_answers', and the functions of 'shard' and 'sessions' that their headers allow to others.
 */
struct core {
	struct core_shared *shared;
	uint32_t index;
	struct shard *shard;
	struct session_table *sessions;
	struct replay_table *replay;
	struct reader *reader;
	struct core_clock clock;

	/* This turn. */
	uint64_t now_ms;                 /* unix milliseconds */
	const struct route_table *route; /* found under RCU at its start */
	uint32_t tx_count;
	struct rte_mbuf *tx[CORE_TX_MAX];
	struct packet_view views[PORT_BURST_MAX];
	struct request_batch batch;
	struct shard_batch foreign; /* keys of another worker */
	uint8_t scratch[DATAGRAM_SIZE_MAX];

	struct core_parking parking;
	struct rte_ring *commands;    /* of struct partition_command, from the control plane */
	struct partition_lanes lanes; /* those that were looked at and are not done */
	uint64_t routes_seen; /* serial of 'route': no request is being executed by an older one */

	struct core_outbox outboxes[WORKER_COUNT_MAX];
	uint64_t outboxes_used; /* a bit each */
	struct rte_ring *local_answers; /* of mbufs, to the control thread; see request_local.h */
	uint64_t mail_senders;  /* whose mail was not all taken in the last turn */
	uint32_t command_seen;  /* enum core_command */
	struct core_counters counters;
};

#endif
