/* SPDX-License-Identifier: BSD-3-Clause */
/* How a channel ended, for its owner and for people. */
#ifndef CONTROLPLANE_BUS_CLOSE_H
#define CONTROLPLANE_BUS_CLOSE_H

#include "controlplane/bus_crypto.h"
#include "controlplane/bus_greeting.h"

/* From connecting to the answer. */
#define BUS_HANDSHAKE_MS 5000u

/* Why a channel ended without its owner's will. */
enum bus_close_kind {
	BUS_CLOSE_UNREACHABLE, /* error: no connection */
	BUS_CLOSE_BY_PEER,     /* the other side closed, or the connection broke: error, or 0 */
	BUS_CLOSE_TIMEOUT,     /* no answer within BUS_HANDSHAKE_MS */
	BUS_CLOSE_REFUSED,     /* refusal, detail: the other side does not want to */
	BUS_CLOSE_UNTRUSTED,   /* result: the other side's message is not authentic */
	BUS_CLOSE_MALFORMED,   /* authentic, but no answer */
	BUS_CLOSE_NO_MEMORY,
};

struct bus_close {
	enum bus_close_kind kind;
	int error; /* errno */
	enum bus_result result;
	enum bus_refusal refusal;
	char detail[BUS_DETAIL_SIZE];
	/* The other side, as far as it is known: id 0 when it has not said. */
	struct bus_peer peer;
};

#define BUS_CLOSE_TEXT_SIZE 256u
/* One clause for people: what happened, and what to do. Returns 'text'. */
const char *bus_close_text(const struct bus_close *close, char text[BUS_CLOSE_TEXT_SIZE]);

#endif
