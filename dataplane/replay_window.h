/* SPDX-License-Identifier: BSD-3-Clause */
/* A retransmitted write is applied once: what each session's last writes were answered, kept by
 * the worker that executed them.
 */
#ifndef DATAPLANE_REPLAY_WINDOW_H
#define DATAPLANE_REPLAY_WINDOW_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/age_list.h"

/* Sequences per session, of which each remembers the newest write: sequence s shares its slot
 * with s - 1024, s - 2048, ... A write is refused as old only when a newer one has taken its
 * slot, so any 1,024 successive sequences are safe.
 */
#define REPLAY_WINDOW_SIZE 1024u

/* A window is made of chunks of slots, taken when a session first writes in that range: a client
 * that writes once costs one page, not the whole window.
 *
 *      window (64 bytes) --+-- chunk 0 (4 KB): 128 slots of 32 bytes
 *                          +-- ...
 *                          +-- chunk 7
 *                          +-- ring (32 KB): longer replies, each over the oldest
 */
#define REPLAY_CHUNK_SLOT_COUNT 128u
#define REPLAY_WINDOW_CHUNK_COUNT (REPLAY_WINDOW_SIZE / REPLAY_CHUNK_SLOT_COUNT)
#define REPLAY_RING_SIZE 32768u

/* Reply bytes a slot holds: a reply operation with a number, as of one SET, DELETE, INCREMENT. */
#define REPLAY_SLOT_REPLY_SIZE 24u

/* A window used less long ago than this is never given to another session; see
 * SESSION_IDLE_MIN_MS.
 */
#define REPLAY_IDLE_MIN_MS 30000u
#define REPLAY_TOUCH_MS 1000u

/* Per worker when the options name none. Bytes at most, touched only as sessions write: windows
 * 16,384 x 64 = 1 MB, chunks 16,384 x 4 KB = 64 MB (2,048 sessions with full windows), rings
 * 1,024 x 32 KB = 32 MB.
 */
#define REPLAY_WINDOW_COUNT_DEFAULT 16384u
#define REPLAY_CHUNK_COUNT_DEFAULT 16384u
#define REPLAY_RING_COUNT_DEFAULT 1024u
#define REPLAY_POOL_COUNT_MAX 65535u

struct replay_options {
	uint32_t window_count; /* 0 = default */
	uint32_t chunk_count;  /* 0 = default; at most REPLAY_POOL_COUNT_MAX, as are rings */
	uint32_t ring_count;   /* 0 = default */
};

/* To which node a write was sent that this one does not execute itself, and by which ownership. */
struct replay_binding {
	uint64_t token; /* of the session with that node */
	uint32_t ipv4;
	uint32_t ownership; /* see FORWARD in wire_format.h */
	uint16_t port;
};

struct replay_slot {
	uint32_t sequence; /* of the newest write of this slot; 0 = none yet */
	uint16_t size; /* bytes of its reply, or one of REPLAY_SIZE_* */
	uint8_t op_count;
	uint8_t reserved;
	union {
		uint8_t reply[REPLAY_SLOT_REPLY_SIZE]; /* when size fits */
		uint64_t ring_at; /* otherwise: what 'ring_head' was where the reply starts */
		struct replay_binding binding; /* REPLAY_SIZE_FORWARDED */
	};
};
static_assert(sizeof(struct replay_slot) == 32, "two slots per cache line");
static_assert(sizeof(struct replay_binding) <= REPLAY_SLOT_REPLY_SIZE, "in the reply's place");
#define REPLAY_SIZE_FORGOTTEN 0u
#define REPLAY_SIZE_IN_PROGRESS UINT16_MAX
#define REPLAY_SIZE_FORWARDED (UINT16_MAX - 1)

struct replay_window {
	uint64_t token; /* with session_id: whose window; 0 = free */
	uint32_t session_id;
	uint32_t next;       /* window in the same bucket, or free after this one */
	uint64_t touched_ms; /* last use, to REPLAY_TOUCH_MS */
	uint64_t ring_head;  /* bytes ever put into the ring */
	uint16_t ring;       /* block of 'rings', UINT16_MAX = none yet; so are chunks */
	uint16_t chunks[REPLAY_WINDOW_CHUNK_COUNT];
} __attribute__((aligned(64)));
static_assert(sizeof(struct replay_window) == 64, "one cache line");

/* Equal blocks of memory. */
struct replay_pool {
	uint8_t *blocks;
	uint16_t *free; /* a stack of block numbers */
	uint32_t free_count;
	uint32_t count;
	uint32_t untouched; /* blocks from here on were never taken */
	size_t block_size;
};

/* Thread safety: one worker owns a table and calls everything. Fields are for this module. */
struct replay_table {
	struct replay_window *windows;
	uint32_t *buckets; /* token -> first window */
	uint32_t bucket_mask;
	uint32_t window_count;
	uint32_t free; /* first free window */
	struct age_list ages;
	struct replay_pool chunks;
	struct replay_pool rings;
};

/* 0 or -errno; 'options' may be NULL for defaults. */
int replay_table_create(struct replay_table **table, const struct replay_options *options);
void replay_table_destroy(struct replay_table *table);

/* Dropping FORGOTTEN and OLD is the honest answer: the client reports UNKNOWN, since neither "done"
 * with a made-up reply nor "failed" would be true.
 */
enum replay_verdict {
	REPLAY_NEW,         /* never executed: execute, then commit or cancel the ticket */
	REPLAY_KNOWN,       /* executed: answer what replay_reply_copy() gives, execute nothing */
	REPLAY_IN_PROGRESS, /* a copy is being executed and will be answered: drop this one */
	REPLAY_FORGOTTEN,   /* executed, but the reply is no longer kept: drop */
	REPLAY_OLD,         /* a newer write has its slot, or the sequence is 0: drop */
	REPLAY_FORWARDED,   /* sent to the node of replay_binding(), not answered: send it there again */
	REPLAY_NO_WINDOW,   /* no memory for its window now: answer RETRY; nothing is marked */
};

/* Names a write between its begin and its commit. May be carried through mailboxes; ends within
 * REPLAY_IDLE_MIN_MS.
 */
struct replay_ticket {
	uint32_t window;
	uint32_t sequence;
};

/* Asks whether the write 'sequence' of the session may be executed, and marks it as in progress
 * when it may. The session has been checked by the caller; token is not 0. 'ticket' is filled for
 * REPLAY_NEW, REPLAY_KNOWN and REPLAY_FORWARDED.
 */
enum replay_verdict replay_begin(struct replay_table *table, uint32_t session_id, uint64_t token,
				 uint32_t sequence, uint64_t now_ms, struct replay_ticket *ticket);

/* Remembers what the write of 'ticket' was answered: 'size' bytes of reply operations, copied. A
 * reply that finds no memory or is over REPLAY_RING_SIZE / 2 is forgotten at once: its copies
 * will get REPLAY_FORGOTTEN.
 */
void replay_commit(struct replay_table *table, struct replay_ticket ticket, uint8_t op_count,
		   const uint8_t *replies, size_t size);

/* Instead of a commit: the write is forwarded. It stays bound to that node until its answer is committed:
 * only that node knows whether it executed it, so no other may be asked.
 */
void replay_bind(struct replay_table *table, struct replay_ticket ticket,
		 const struct replay_binding *binding);

/* The binding of REPLAY_FORWARDED. */
struct replay_binding replay_binding(const struct replay_table *table, struct replay_ticket ticket);

/* Whether the write is bound to a node and not answered; then fills 'ticket', for replay_binding() and
 * replay_commit().
 */
bool replay_is_forwarded(const struct replay_table *table, uint32_t session_id, uint64_t token,
			 uint32_t sequence, struct replay_ticket *ticket);

/* Takes the mark back: nothing of the request was executed (it was refused as a whole), so its
 * sequence may come again.
 */
void replay_cancel(struct replay_table *table, struct replay_ticket ticket);

/* Writes the reply of REPLAY_KNOWN to 'to', which has room for any datagram this worker sends;
 * returns its bytes and sets '*op_count'.
 */
size_t replay_reply_copy(const struct replay_table *table, struct replay_ticket ticket, uint8_t *to,
			 uint8_t *op_count);

#endif
