/* SPDX-License-Identifier: BSD-3-Clause */
/* What clients were told, and whether one order of all their operations explains it: linearizability, key by key. */
#ifndef TESTS_SIMULATION_SIM_HISTORY_H
#define TESTS_SIMULATION_SIM_HISTORY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define SIM_KEY_MAX 96u
#define SIM_STORY_SIZE 240u

/* Each key has one client that writes it, one write after the other; all may read it. Registers hold the number of the write
 * that wrote them, or nothing after a removal; counters are counted up by one.
 *
 * With numbered writes linearizability is simple (invariant 6): a read returns a write that had begun when it
 * ended, and none older than the newest that was known to be done, or had been read, when it began. An UNKNOWN
 * write may or may not have been executed, but not after SIM_SETTLE_MS, or the end of a stall.
 *
 * A write with a time to live is executed at some time between its begin and its end, so its value may be absent from begin + ttl
 * on, and must be from end + ttl on. Who once found it absent has seen its end: nobody reads it any more.
 */
struct sim_register_write {
	bool is_removal;
	bool is_void;    /* certainly not executed */
	uint32_t ttl_ms; /* 0 = for ever */
	uint64_t begun_ms;
	bool is_unsure;    /* UNKNOWN: it may have waited in a worker that stood still */
	uint64_t ended_ms; /* executed by then, if at all; UINT64_MAX while it is under way */
};

/* Moments that a partition may be set back to. */
enum sim_moment {
	SIM_AT_FENCE, /* its source held all writes back, for the last time */
	SIM_AT_CLAIM, /* its target decided to do without the source's word */
	SIM_MOMENT_COUNT,
};

/* What was known of a key then; see there. */
struct sim_mark {
	uint32_t floor;
	uint32_t begun;
	uint32_t least;
	uint32_t most;
	uint64_t acknowledged;
	bool is_gone;
};

struct sim_key {
	uint32_t partition;
	bool is_counter;
	char name[16];
	uint32_t forgotten; /* how often what it held died with its only owner, or newer writes of it did */
	uint32_t fallen;    /* floor or least, the last time */
	bool is_under_way;  /* a write */
	uint64_t acknowledged; /* writes */
	struct sim_mark marks[SIM_MOMENT_COUNT];
	uint32_t begun_in;  /* 'forgotten' when the write under way began */
	/* registers */
	uint32_t floor; /* the newest write known to be done; 0 = before the first */
	uint32_t begun;
	uint32_t capacity;
	struct sim_register_write *writes; /* by number */
	bool is_gone;                      /* 'floor' was found absent: expired or evicted */
	bool was_gone;                     /* when the write under way began */
	bool is_hazy;                      /* not certain that it holds what 'floor' wrote */
	/* counters: between the two, both included */
	uint32_t least;
	uint32_t most;
	uint32_t most_before; /* evicted after it may have reached this, it began anew, */
	uint64_t anew_ms;     /* the last time then: reads that had begun may have seen it */
	uint32_t before;      /* floor or least, when the write under way began */
};

/* What is damaged, repeated or of a later version has no effect, and is counted. */
#define SIM_INVARIANT_REFUSAL 8u

struct sim_violation {
	uint32_t invariant; /* of docs/migration.md, or the one below; 0 = none so far */
	uint64_t at_us;
	char story[SIM_STORY_SIZE];
};

/* Thread safety: none. */
struct sim_history {
	uint64_t now_us;         /* kept by the simulation */
	uint32_t clock_error_ms; /* how far a node's clock may be from it */
	bool is_evicting;        /* anything may be gone at any time; but it does not come back */
	uint64_t
		stalled_until_us; /* until then requests may wait in a node; kept by the simulation */
	FILE *story;              /* where clients tell what they did; NULL = nowhere */
	uint32_t key_count;
	struct sim_key keys[SIM_KEY_MAX];
	struct sim_violation violation; /* the first */
	uint64_t writes;
	uint64_t reads;
	uint64_t gone; /* reads that found a value expired or evicted */
};

/* UNKNOWN writes are executed within this time after the client gave up, or never. */
#define SIM_SETTLE_MS 2000u

/* Every third key is a counter. */
void sim_history_init(struct sim_history *history, uint32_t key_count, uint32_t partition_count);
void sim_history_fini(struct sim_history *history);

void sim_history_violate(struct sim_history *history, uint32_t invariant, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

enum sim_outcome {
	SIM_DONE,
	SIM_NOT_DONE, /* certainly */
	SIM_UNKNOWN,
};

/* Returns the number to write. 'ttl_ms' is 0 for ever, and in a removal. */
uint32_t sim_history_begin_write(struct sim_history *history, uint32_t key, bool is_removal,
				 uint32_t ttl_ms);
void sim_history_end_write(struct sim_history *history, uint32_t key, uint32_t number,
			   enum sim_outcome outcome);
/* A removal that was executed: 'was_present' as the node says. */
void sim_history_end_removal(struct sim_history *history, uint32_t key, uint32_t number,
			     bool was_present);

void sim_history_begin_count(struct sim_history *history, uint32_t key);
/* 'number' is the new number when DONE. */
void sim_history_end_count(struct sim_history *history, uint32_t key, enum sim_outcome outcome,
			   uint32_t number);

/* What was true when a read began. */
struct sim_read {
	uint32_t floor;
	uint32_t forgotten;
	bool is_gone;
	uint64_t begun_ms;
};
struct sim_read sim_history_begin_read(const struct sim_history *history, uint32_t key);
void sim_history_end_read(struct sim_history *history, uint32_t key, const struct sim_read *read,
			  bool is_present, uint32_t number);
/* A register was asked how long it has to live: 'left_ms' is UINT64_MAX for ever. */
void sim_history_end_ttl(struct sim_history *history, uint32_t key, const struct sim_read *read,
			 bool is_present, uint64_t left_ms);

/* The partition's only owner died: what it held is gone, or an older state comes back. */
void sim_history_forget(struct sim_history *history, uint32_t partition);

/* What is known of the partition now is remembered as that of 'moment'. */
void sim_history_mark(struct sim_history *history, uint32_t partition, enum sim_moment moment);

/* What a partition was set back by. */
struct sim_loss {
	uint64_t until_claim; /* acknowledged writes from the fence to the claim */
	uint64_t since_claim;
	uint32_t kept; /* keys that were written before the fence: that must be there */
};

/* The partition has a new owner, whose copy is that of the mark SIM_AT_FENCE. Allowed to be lost is what was acknowledged since, of
 * writes that had begun at SIM_AT_CLAIM; of all writes when 'is_back': the old owner acknowledged more after the claim. All that
 * was known at SIM_AT_FENCE must be there yet, and so must keys that nobody wrote since.
 */
struct sim_loss sim_history_fall_back(struct sim_history *history, uint32_t partition,
				      bool is_back);

#endif
