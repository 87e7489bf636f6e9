/* SPDX-License-Identifier: BSD-3-Clause */
/* Servers for a client under fuzz: they remember what was asked and answered, and judge what the client makes of it. */
#ifndef TESTS_FUZZ_SERVERS_H
#define TESTS_FUZZ_SERVERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/client/client.h"
#include "tests/fuzz/fuzz.h"

/* Operations of a story; each has a key of its own. */
#define FUZZ_ASKING_MAX 512u
/* Sequences of a session that a server tells apart. */
#define FUZZ_SEQUENCE_MAX 1024u
/* Datagrams of the client that are remembered. */
#define FUZZ_SENT_MAX 64u
/* Replies that are remembered: to be given again to the same datagram, and to come once more. */
#define FUZZ_REPLY_MAX 64u
#define FUZZ_DATAGRAM_MAX 1472u
#define FUZZ_SERVER_MAX 80u

struct fuzz_packet {
	struct client_address address; /* where it goes to, or comes from */
	size_t size;                   /* 0 = none */
	uint8_t bytes[FUZZ_DATAGRAM_MAX];
};

/* One operation, from its submission to its result. */
struct fuzz_asking {
	uint32_t number;
	uint8_t opcode;
	bool is_told;
	bool asks_again;      /* its callback submits another one */
	bool is_executed;     /* by a server that has not lost its memory since; writes */
	bool may_move;        /* a server said that it did not execute it where it was sent last */
	bool was_lied_about;  /* a reply that told of it was damaged */
	uint16_t answers;     /* statuses it was ever answered with, by bits */
	uint32_t sequence;    /* the datagram it was sent in last; of a write */
	uint64_t token;       /* 0 = not sent */
	uint32_t copies;      /* of that datagram */
	uint32_t executed_at; /* server */
	uint8_t key[24];
};

struct fuzz_server {
	struct client_address address;
	uint32_t session_id; /* 0 = none */
	uint64_t token;
	uint64_t nonce;
	uint64_t challenge;
	uint64_t answered[FUZZ_SEQUENCE_MAX /
			  64]; /* sequences of the session whose reply is kept, by bits */
	bool gave_map;         /* and is asked for what nobody owns */
};

struct fuzz_sent {
	struct fuzz_packet packet;
	bool was_answered;
};

struct fuzz_reply {
	struct fuzz_packet packet;
	uint64_t token; /* of the request that it answers; 0 = of no request */
	uint32_t sequence;
};

/* What is checked:
 *   - each operation is told one outcome, once;
 *   - an outcome that a server gives was given to that very operation;
 *   - a write that a server executed is never told as anything but done or unknown;
 *   - a write goes under another number only when a server said that it was not executed under the last;
 *   - an operation goes where the map, or a redirection of its own, says.
 * A reply that was damaged may tell anything of its operations.
 */
struct fuzz_servers {
	uint8_t kind; /* how large the cluster, what it grants */
	uint32_t map_version;
	uint64_t boot_id;
	uint64_t counter; /* for tokens and challenges */
	bool is_confused; /* something damaged may have changed what the client knows of the cluster */

	uint32_t server_count;
	struct fuzz_server servers[FUZZ_SERVER_MAX];
	uint32_t sent_next;
	struct fuzz_sent sent[FUZZ_SENT_MAX];
	uint32_t reply_next;
	struct fuzz_reply replies[FUZZ_REPLY_MAX];

	uint32_t asked_count;
	uint32_t told_count;
	uint8_t value[4096];
	struct fuzz_asking askings[FUZZ_ASKING_MAX];
};

void fuzz_servers_begin(struct fuzz_servers *servers, uint8_t kind);

/* A new operation, its fields for godwit_submit(); room for it must be left. The opposite, when it was not accepted. */
struct fuzz_asking *fuzz_servers_ask(struct fuzz_servers *servers,
				     struct godwit_operation *operation, enum godwit_opcode opcode,
				     uint32_t value_size);
void fuzz_servers_unask(struct fuzz_servers *servers);

/* A datagram of the client arrives, or is lost. */
void fuzz_servers_take(struct fuzz_servers *servers, struct client_address address,
		       const uint8_t *bytes, size_t size);

/* Answers the 'number'-th datagram, counted from the first of all, one of the last FUZZ_SENT_MAX. 'choices' say how; without
 * any all goes well. The packet has size 0 when there is no answer.
 */
void fuzz_servers_answer(struct fuzz_servers *servers, uint32_t number, struct fuzz_reader *choices,
			 struct fuzz_packet *packet);

/* A reply given before, 'ago' of them ago; false when there is none. */
bool fuzz_servers_replay(const struct fuzz_servers *servers, uint32_t ago,
			 struct fuzz_packet *packet);

struct client_address fuzz_servers_address(const struct fuzz_servers *servers, uint32_t number);

/* Changes some bits of the header that a client must look at: the packet answers nothing any more. */
void fuzz_servers_damage_header(struct fuzz_packet *packet, struct fuzz_reader *choices);
/* Changes or cuts what is behind the header; the operations that it tells of are no longer judged by it. */
void fuzz_servers_damage_body(struct fuzz_servers *servers, struct fuzz_packet *packet,
			      struct fuzz_reader *choices);

/* Owners change; or a server loses its memory. */
void fuzz_servers_change(struct fuzz_servers *servers, uint8_t choice);

/* The client tells an operation's outcome. */
void fuzz_servers_judge(struct fuzz_servers *servers, struct fuzz_asking *asking,
			const struct godwit_result *result);

#endif
