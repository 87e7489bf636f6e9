/* SPDX-License-Identifier: BSD-3-Clause */
/* The state of one run of the simulation, and what its parts call of each other. Private to sim*.c. */
#ifndef TESTS_SIMULATION_SIM_STATE_H
#define TESTS_SIMULATION_SIM_STATE_H

#include "controlplane/bus_crypto.h"
#include "controlplane/node_watch.h"
#include "tests/simulation/event_heap.h"
#include "tests/simulation/sim.h"
#include "tests/simulation/sim_node.h"

enum sim_event_kind {
	EVENT_TURN,
	EVENT_GOSSIP,
	EVENT_ASK,
	EVENT_ANSWER,
	EVENT_UNANSWERED,
	EVENT_SYNC,
	EVENT_RECONNECT,
	EVENT_FRAME,
	EVENT_CLIENT_FRAME,
	EVENT_CLIENT,
	EVENT_STEP,
	EVENT_RESTART,
	EVENT_MEND, /* a cut of limited time ends */
};

#define SIM_OWNER_UNKNOWN UINT64_MAX

/* Arrivals that may happen again. */
#define SIM_KEPT_MAX 64u

/* Clocks may run so much slower or faster than true time: docs/migration.md says what that must hold for. */
#define SIM_RATE_PPM_MIN (-250000)
#define SIM_RATE_PPM_MAX 400000

/* What 'from' sends to 'to'. */
struct link {
	bool is_cut;
	uint64_t connection; /* number of the channel; what an older one carried is lost */
	bool is_broken;
	uint64_t free_us; /* channels keep the order */
	uint32_t bytes_per_s; /* until then; what it has taken is through at 'busy_us' */
	uint64_t clogged_until_us;
	uint64_t busy_us;
};

struct server {
	struct sim_node *node; /* NULL while it is down */
	struct sim_clock clock;
	uint64_t life;
	bool is_back;       /* in this life it has joined, and asked the others what it missed */
	uint64_t turn_us;   /* of the TURN event that counts */
	uint32_t vain_turns; /* since something reached it */
	uint64_t paused_us; /* stands still until then */
	uint64_t closed_us; /* when its fence was last seen closed */
	struct bus_crypto *bus; /* of this life */
	bool has_ended;     /* its process would, after the present event */
	bool has_left;      /* likewise, as it was asked to */
	bool is_away;       /* has left, or not joined yet: nobody misses it */
	uint16_t weight;
	bool saw_majority;  /* when its migrations were last looked at */
	uint64_t stalled_until_us[SIM_WORKER_MAX];
	uint64_t out_of_buffers_until_us;
	uint64_t looked_us; /* at what is parked */
	uint64_t parked_since_us[SIM_PARTITION_MAX];
	bool was_moving; /* a migration, after the turn before */
	uint64_t fenced_since_us[SIM_PARTITION_MAX]; /* as the source of a move */
	struct log watch_log;
	struct node_watch *watch; /* whether workers stand still */
	uint64_t watched_us;
};

/* A fault that lasts. */
struct level {
	uint32_t value; /* percent, for most */
	uint64_t until_us;
};

/* A fault that waits for a migration. */
struct aim {
	bool is_armed;
	bool is_of_target; /* waits for a target in 'state'; else for a source */
	bool strikes_target;
	uint32_t state;
	uint32_t fault;
};

/* The last claim of a partition without its source's word, and the last fence of its writes. */
struct sim_claim {
	struct {
		uint64_t job;
		uint32_t attempt;
		uint32_t number;
		uint64_t seen_us;
	} fence; /* what was known then is marked in the history */
	uint64_t job;
	uint32_t epoch;
	uint32_t node; /* that claims, */
	uint64_t life; /* in this life */
	bool is_pending; /* decided, not yet served */
	bool is_known;   /* a majority heard of it */
	bool is_alone;   /* somebody died meanwhile: nobody else may have the partition */
	bool is_limit;   /* the source wrote on after that fence: the first of the known limits */
	bool is_back;    /* the source, before a majority knew of the claim: the second */
	uint32_t kept;   /* keys that have to be there nevertheless */
};

/* Thread safety: none. */
struct sim {
	struct sim_options options;
	struct sim_result *result;
	struct prng prng;
	struct prng
		fault_prngs[SIM_FAULT_COUNT]; /* one each, so that they do not change each other */
	struct prng *chance; /* of sim_below(): 'prng', or the fault's that happens */
	struct level levels[SIM_FAULT_COUNT];
	struct sim_event kept[SIM_KEPT_MAX]; /* of the fault replay; without bytes: none */
	struct aim aim;
	uint32_t wanted[2]; /* what sim_any_node() gives next, the last first */
	uint32_t wanted_count;
	uint64_t quiet_until_us; /* no steps */
	struct event_heap heap;
	struct sim_history history;
	struct log log;
	uint64_t now_us;
	uint32_t node_count;
	uint32_t worker_count;
	uint32_t partition_count;
	uint32_t client_count;
	uint32_t faults;
	uint32_t steps_left;
	bool is_auto;           /* nodes rebalance when members change */
	uint32_t session_count; /* of a worker; 0 = enough for all clients */
	bool is_sealed;         /* the bus has a key */
	bool is_healed;
	struct server servers[SIM_NODE_MAX];
	uint32_t homes[SIM_NODE_MAX];  /* at which address of the bus each node is, */
	uint32_t places[SIM_NODE_MAX]; /* and of the data network: below SIM_PLACE_MAX, no two the same */
	struct link links[SIM_NODE_MAX][SIM_NODE_MAX];
	struct sim_client clients[SIM_CLIENT_MAX];
	uint64_t client_due_us[SIM_CLIENT_MAX];

	/* Who first served a partition in an epoch: node and life (invariant 1). */
	uint32_t epochs[SIM_PARTITION_MAX];
	uint64_t owners[SIM_PARTITION_MAX]; /* SIM_OWNER_UNKNOWN: anybody */
	bool is_handed[SIM_PARTITION_MAX];  /* it got the epoch by its source's word */
	struct sim_claim claims[SIM_PARTITION_MAX];

	/* The question being taken. */
	uint32_t asker;
	uint64_t asker_life;
	uint64_t asked;
	bool is_answered;
};

/* ---- sim_state.c ---- */

/* A line of the story. */
void sim_tell(const struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The event becomes part of the hash. */
void sim_trace(struct sim *sim, const struct sim_event *event);

/* Chance: 0..bound-1; true in so many of a hundred cases. */
uint32_t sim_below(struct sim *sim, uint32_t bound);
bool sim_is_chosen(struct sim *sim, uint32_t percent);
/* Whether the seed took the fault, or one of them, and nothing is healed yet. */
bool sim_has(const struct sim *sim, uint32_t faults);

/* Plans an event; copies the bytes. */
void sim_push(struct sim *sim, struct sim_event event, uint64_t delay_us, const void *bytes,
	      size_t size);
/* Has the node turn in so long, unless it does so earlier. */
void sim_turn_in(struct sim *sim, uint32_t index, uint64_t delay_us);
/* Plans what the client wants next. */
void sim_plan_client(struct sim *sim, uint32_t index);

struct server *sim_server_of(struct sim *sim, uint32_t index);
struct link *sim_link_of(struct sim *sim, uint32_t from, uint32_t to);

/* ---- sim.c ---- */

/* Runs until 'is_done', for so long at most; whether it was done. Ends at the first violation. */
bool sim_run_for(struct sim *sim, uint64_t duration_us, bool (*is_done)(struct sim *sim));

/* ---- sim_network.c ---- */

/* Where a node's doings go. */
struct sim_node_host sim_network_host(struct sim *sim);
/* A frame of a client; 'context' is the simulation. */
void sim_client_sends(void *context, const uint8_t *frame, size_t size);

void sim_cut(struct sim *sim, uint32_t from, uint32_t to);
/* All cuts end now; or some time within 'most_us'. */
void sim_mend(struct sim *sim);
void sim_mend_later(struct sim *sim, uint64_t most_us);
/* Whether the event comes over a link that is cut. Cut nodes still hear clients. */
bool sim_is_cut(struct sim *sim, const struct sim_event *event);

/* The channel between the two breaks now, both ways; it is tried again. */
void sim_break(struct sim *sim, uint32_t a, uint32_t b);
void sim_reconnect_later(struct sim *sim, uint32_t from, uint32_t to);

/* The node's end of the bus, for one life. */
struct bus_crypto *sim_create_bus(struct sim *sim);

/* Events. */
void sim_take_gossip(struct sim *sim, const struct sim_event *event);
void sim_ask(struct sim *sim, const struct sim_event *event);
void sim_take_answer(struct sim *sim, const struct sim_event *event);
void sim_take_sync(struct sim *sim, const struct sim_event *event);
void sim_reconnect(struct sim *sim, const struct sim_event *event);

/* ---- sim_damage.c ---- */

/* Perhaps alters what is sent, or cuts it short, so that its checksums find it; whether it did. */
bool sim_damage(struct sim *sim, enum sim_event_kind kind, uint8_t *bytes, size_t *size);

/* Events whose bytes are damaged: exactly one refusal is counted. */
void sim_take_damaged_frame(struct sim *sim, const struct sim_event *event);
void sim_take_damaged_sync(struct sim *sim, const struct sim_event *event);

/* ---- sim_replay.c ---- */

/* A datagram or frame of a migration is about to arrive: it may be kept, and others of long ago may follow it. */
void sim_note_arrival(struct sim *sim, const struct sim_event *event);
void sim_forget_arrivals(struct sim *sim);

/* ---- sim_newer.c ---- */

/* What a node of a later release makes of what it sends: it adds fields to each message in it, to its own record, too. Returns the
 * new size; gossip has room for a whole packet, a frame of a migration for SIM_RENEWED_SIZE more. With '*unknown_size' > 0 so many
 * bytes are a packet of a kind that must be refused, to be sent besides; when '*is_unknown' the frame is of such a kind, and is sent
 * besides the one given.
 */
#define SIM_RENEWED_SIZE 32u
size_t sim_renew_gossip(struct sim *sim, uint32_t from, uint8_t *bytes, size_t size,
			size_t *unknown_size);
size_t sim_renew_sync(struct sim *sim, uint32_t from, uint8_t *bytes, size_t size,
		      bool *is_unknown);
/* A greeting, and the state behind it if there is one. */
#define SIM_EXCHANGE_SIZE_MAX 65536u
size_t sim_renew_exchange(struct sim *sim, uint32_t from, bool is_answer, const uint8_t *bytes,
			  size_t size, uint8_t renewed[SIM_EXCHANGE_SIZE_MAX]);
/* Whether 'later', a copy of the frame in the next version of the protocol, is sent besides. */
bool sim_renew_frame(struct sim *sim, uint32_t from, const uint8_t *frame, size_t size,
		     uint8_t *later);
/* All is settled: whoever was told by whomever, everybody has the records of those nodes with all that is in them. */
void sim_check_records(struct sim *sim);

/* ---- sim_server.c ---- */

void sim_start_node(struct sim *sim, uint32_t index);
/* Its memory is gone, and with it what only it had. */
void sim_crash_node(struct sim *sim, uint32_t index);
/* Starts it and lets it join, if it is down. */
void sim_restart_node(struct sim *sim, uint32_t index);

/* Members, as the operators see it: up, down or leaving, but not away. */
uint32_t sim_member_count(const struct sim *sim);
/* Those of them that know nothing: dead, or not yet back. */
uint32_t sim_down_count(const struct sim *sim);

/* Its cluster wants the process to end: it does so soon, and is started again. */
void sim_node_ended(void *context, uint32_t node, enum cluster_end end);
/* Ends the node, if it is up. */
void sim_stop_node(struct sim *sim, uint32_t index);
/* One of its workers stands still. */
void sim_stall_worker(struct sim *sim, uint32_t index, uint32_t worker, uint64_t duration_us);

/* Puts off what a node that stands still should do; whether it did. */
bool sim_put_off(struct sim *sim, struct sim_event *event);
/* Any event of a node that is up. */
void sim_happen_at_node(struct sim *sim, const struct sim_event *event);

/* ---- sim_faults.c ---- */

/* For so long 'fault' has this strength; then 0, also when all is healed. */
void sim_set_level(struct sim *sim, enum sim_fault_number fault, uint32_t value,
		   uint64_t duration_us);
uint32_t sim_level(const struct sim *sim, enum sim_fault_number fault);

uint32_t sim_any_node(struct sim *sim);

/* Orders the node to import the partition, or to cancel a migration of it; whether it is up and obeys. */
bool sim_order(struct sim *sim, uint32_t index, uint32_t partition);
bool sim_cancel(struct sim *sim, uint32_t index, uint32_t partition);

/* The fault happens now, by the dice in use. */
void sim_throw(struct sim *sim, uint32_t fault);
/* Something happened at the node: perhaps a fault waited for that (sim_faults_aimed.c). */
void sim_take_aim(struct sim *sim, uint32_t index);

/* Perhaps a move, perhaps faults; plans the next one. */
void sim_step(struct sim *sim);

/* What each fault does (sim_faults_network.c, sim_faults_nodes.c), and whether it could. */
#define FAULT(symbol, name, percent, text) bool sim_act_##name(struct sim *sim);
#define TRAIT(symbol, name, text)
SIM_FAULTS(FAULT, TRAIT)
#undef FAULT
#undef TRAIT

/* ---- sim_faults_resize.c ---- */

/* Whether nodes rebalance by themselves, and who is to join later. */
void sim_draw_sizes(struct sim *sim);
/* The weight of a node that starts. */
uint16_t sim_draw_weight(struct sim *sim, uint32_t index);
/* The node has left: it may come back. */
void sim_plan_return(struct sim *sim, uint32_t index);
/* Faults are over: those who are missed come back, and somebody stays. */
void sim_end_resizes(struct sim *sim);

/* ---- sim_checks.c ---- */

/* A node has died. The third of the known limits: an epoch that a source gave and that nobody left has heard of may be given once
 * more; one that was claimed or taken back may not, for a majority has heard of it.
 */
void sim_forget_epochs(struct sim *sim);
/* Told by a node that serves other partitions than before (invariant 1); 'context' is the simulation. */
void sim_check_routes(void *context, uint32_t node, const struct route_table *table);
/* Requests that wait for the end of a move (invariant 4). */
void sim_check_parking(struct sim *sim, uint32_t index);
/* Whether a node that is up has all of the partition. */
bool sim_is_copied(const struct sim *sim, uint32_t partition);

bool sim_are_all_joined(struct sim *sim);
/* Invariant 5. */
bool sim_is_settled(struct sim *sim);
/* Says what did not settle. */
void sim_tell_unsettled(struct sim *sim);
/* Clients end, and every key is read once more. */
void sim_verify(struct sim *sim);

/* ---- sim_checks_claims.c ---- */

/* Watches fences and claims for the known limits of docs/migration.md: 1, a source that is cut off takes back its fence and goes
 * on, while the target claims by the READY of that fence; 2, the source is back and goes on before a majority hears of the claim.
 * For after whatever may move a migration of the node.
 */
void sim_check_claims(struct sim *sim, uint32_t index);
/* Whether a claim of the partition is decided and will be served by a node that is up, whoever else just died: what it has must not
 * be lost.
 */
bool sim_is_claimed(struct sim *sim, uint32_t partition);
/* The node begins to serve the partition in a new epoch: when that is a claim at a limit, what the source acknowledged in that
 * window, and nothing else, may be lost.
 */
void sim_check_claimed(struct sim *sim, uint32_t node, uint32_t partition, uint32_t epoch);

/* ---- sim_checks_moves.c ---- */

/* What must hold of migrations after each turn of a node (invariants 2 and 4). */
void sim_check_moves(struct sim *sim, uint32_t index);

#endif
