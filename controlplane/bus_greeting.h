/* SPDX-License-Identifier: BSD-3-Clause */
/* The first messages of a channel between two nodes: who they are, what it is for, and yes or no. */
#ifndef CONTROLPLANE_BUS_GREETING_H
#define CONTROLPLANE_BUS_GREETING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/bus_crypto.h"
#include "controlplane/node.h"

#define BUS_SERVICE_NAME_SIZE 16u /* NUL included */
#define BUS_DETAIL_SIZE 160u

/* Bytes of the largest greeting. */
#define BUS_GREETING_SIZE_MAX 512u

/* What a node says of itself to whom it meets. */
struct bus_peer {
	uint64_t id;
	uint64_t generation;
	char name[NODE_NAME_SIZE];
	struct node_address control;
	uint64_t cluster_id; /* 0 = not a member yet */
	uint32_t partition_count;
	bool may_found; /* not a member yet, and founds a cluster when it finds none */
};

/* Why a node does not take part in a channel. Numbers are on the wire: never change one. */
enum bus_refusal {
	BUS_ACCEPTED = 0,
	BUS_REFUSED_UNTRUSTED =
		1,               /* the first message was not authentic: detail names the reason */
	BUS_REFUSED_SERVICE = 2, /* no such service here: another version? */
	BUS_REFUSED_NOT_MEMBER = 3, /* the node asked is not in a cluster (yet) */
	BUS_REFUSED_CLUSTER = 4,    /* a cluster of the same name, but founded apart */
	BUS_REFUSED_SELF = 5,       /* the node called itself */
	BUS_REFUSED_NAME = 6,       /* another running node bears the caller's name */
	BUS_REFUSED_PARTITIONS = 7, /* the cluster has another number of partitions */
	BUS_REFUSED_GONE = 8,       /* the caller was removed, or lives in a later generation */
	BUS_REFUSED_BUSY = 9,       /* too many channels, or the service takes no more at present */
	BUS_REFUSED_OTHER = 10,     /* a reason that only a newer version knows */
};

/* "not_member": for logs and JSON. */
const char *bus_refusal_name(enum bus_refusal refusal);

struct bus_open {
	struct bus_peer peer;
	char service[BUS_SERVICE_NAME_SIZE];
};

struct bus_answer {
	struct bus_peer peer;
	enum bus_refusal refusal;
	char detail[BUS_DETAIL_SIZE]; /* for people; control characters become '?' */
};

/* Thread safety: pure functions.
 *
 * Encode into 'bytes' of BUS_GREETING_SIZE_MAX; return the size. A detail that is too long is cut.
 */
size_t bus_open_encode(const struct bus_open *open, uint8_t *bytes);
size_t bus_answer_encode(const struct bus_answer *answer, uint8_t *bytes);

/* 0, or -EINVAL: not such a message, or a peer without id or with a name that is none. */
int bus_open_decode(struct bus_open *open, const uint8_t *bytes, size_t size);
int bus_answer_decode(struct bus_answer *answer, const uint8_t *bytes, size_t size);

#endif
