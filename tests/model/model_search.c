/* SPDX-License-Identifier: BSD-3-Clause */
/* The search: every transition of every state, depth first. */
#include "tests/model/model.h"

#include <stdio.h>
#include <stdlib.h>

/* Goes on from the present state, which 'what' led to, and back to 'before'. */
static void go_on(struct model *model, const struct state *before, const char *what, uint32_t node)
{
	model->counts.transitions++;
	if (model->depth == DEPTH_MAX) {
		fprintf(stderr, "model: deeper than there is room for\n");
		exit(2);
	}
	model->path[model->depth] = what;
	model->path_nodes[model->depth++] = node;
	model_check(model);
	if (!model->violation && model_visit(model))
		model_search(model);
	if (model->violation)
		return; /* the path stays, to be told */
	model->depth--;
	model->state = *before;
}

#define TRY(enabled, what, node, transition)                                                       \
	do {                                                                                       \
		if (!model->violation && (enabled)) {                                              \
			transition;                                                                \
			go_on(model, before, what, node);                                          \
		}                                                                                  \
	} while (0)

static const char *name_of(const struct message *message)
{
	if (message->kind == MESSAGE_RECORDS)
		return message->frame == SYNC_FRAME_BATCH ? "BATCH" : "DELTA";
	return sync_message_kind_name(message->control.kind);
}

static void try_messages(struct model *model, const struct state *before)
{
	for (uint32_t k = 0; k < before->message_count; k++) {
		const char *name = name_of(&before->messages[k]);
		uint32_t to = before->messages[k].to;

		TRY(true, name, to, model_arrive(model, k, false));
		TRY(before->copies > 0, name, to, {
			model->state.copies--;
			model_arrive(model, k, true);
		});
		TRY(before->losses > 0, "(a message is lost)", to, {
			model->state.losses--;
			model_remove_message(&model->state, k);
		});
	}
}

static void try_worker(struct model *model, const struct state *before, uint32_t i)
{
	const struct node *node = &before->nodes[i];

	TRY(model_may_quiesce(node), "worker sees what is published", i, model_quiesce(model, i));
	TRY(node->scan == SCAN_ASKED, "scan moves its cursor", i, model_move_cursor(model, i));
	TRY(node->scan == SCAN_READS, "scan reads the slot", i, model_read_slot(model, i));
	TRY(node->is_writing, "write is acknowledged", i, model_end_write(model, i));
	TRY(model_would_write(node) && !node->is_writing && before->writes > 0, "SET is published",
	    i, {
		    model->state.writes--;
		    model_begin_write(model, i, false);
	    });
	TRY(model_would_write(node) && !node->is_writing && before->writes > 0 &&
		    node->store.item.version != 0,
	    "DELETE is published", i, {
		    model->state.writes--;
		    model_begin_write(model, i, true);
	    });
}

static void try_control(struct model *model, const struct state *before, uint32_t i)
{
	const struct node *node = &before->nodes[i];
	const struct node *other = &before->nodes[1 - i];

	TRY(node->store.delta_told < node->store.delta_count && node->published.is_marked,
	    "source hears of deltas", i, {
		    model->state.nodes[i].store.delta_told = node->store.delta_count;
		    model_tell_source(
			    model, i,
			    (struct migration_source_event){ .kind = SOURCE_ON_DELTAS,
							     .last = node->store.delta_count });
	    });
	TRY(before->timers > 0 && model_has_deadline(model, i), "timer fires", i, {
		model->state.timers--;
		model_fire_timer(model, i);
	});
	TRY(node->is_announcing, "a majority has the map", i, {
		model->state.nodes[i].is_announcing = false;
		model_tell_announced(model, i);
	});
	TRY(other->is_up && other->owner.epoch > node->owner.epoch, "map spreads", i,
	    model_learn_map(model, i));
}

static void try_life(struct model *model, const struct state *before, uint32_t i)
{
	const struct node *other = &before->nodes[1 - i];

	TRY(before->nodes[i].is_up && before->deaths > 0, "dies", i, {
		model->state.deaths--;
		model_die(model, i);
	});
	if (!before->nodes[i].is_up) {
		TRY(before->returns > 0, "returns in a new life", i, {
			model->state.returns--;
			model_come_back(model, i);
		});
		return;
	}
	TRY(!other->is_up && !before->nodes[i].knows_death, "hears that the other is dead", i,
	    model_hear_of_peer(model, i, MIGRATION_PEER_SUSPECTED_DEAD));
	TRY(other->is_up && !before->nodes[i].knows_life, "hears of the other's new life", i,
	    model_hear_of_peer(model, i, MIGRATION_PEER_GONE));
}

void model_search(struct model *model)
{
	struct state *before = malloc(sizeof(*before));

	if (!before)
		abort();
	*before = model->state;
	if (model->depth > model->counts.depth_max)
		model->counts.depth_max = model->depth;
	try_messages(model, before);
	for (uint32_t i = 0; i < NODES; i++) {
		if (before->nodes[i].is_up) {
			try_worker(model, before, i);
			try_control(model, before, i);
		}
		try_life(model, before, i);
	}
	free(before);
}
