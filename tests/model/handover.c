/* SPDX-License-Identifier: BSD-3-Clause */
/* Every interleaving of the hand-over of one partition with one key between two nodes: an exhaustive search over the real
 * machines, `handover [--off PROTECTION] [--writes N] [--losses N] ...`.
 */
#include "tests/model/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/version.h"

#define JOB_SEED 1u

static const char *const off_names[OFF_COUNT] = {
	"nothing", "barrier", "cursor-fence", "version-compare", "tombstones", "read-fence",
};

static void create_jobs(struct model *model, uint32_t i)
{
	const struct migration_jobs_options options = { .self = model_id(i),
							.generation = 1,
							.seed = JOB_SEED,
							.source_max = 1,
							.target_max = 1,
							.migration = model->options,
							.map = &model->maps[i],
							.held = &model->held[i] };

	model->maps[i].partition_count = 1;
	if (migration_jobs_create(&model->jobs[i], &options, 1000) != 0)
		abort();
	model->jobs[i]->sees_majority = true;
}

/* Node 0 owns the partition and has the key; node 1 starts to import it. */
static void begin(struct model *model)
{
	struct state *state = &model->state;
	struct migration_jobs_actions actions;
	struct answers answers = { 0 };

	for (uint32_t i = 0; i < NODES; i++) {
		struct node *node = &state->nodes[i];

		create_jobs(model, i);
		node->is_up = true;
		node->generation = 1;
		node->now_ms = 1000;
		node->knows_life = true;
		node->owner = (struct partition_owner){ .epoch = 1, .owner = model_id(0) };
	}
	state->acked.version = version_make(1, 1);
	model_hold(&state->nodes[0]);
	state->nodes[0].store.item.version = state->acked.version;
	state->nodes[0].store.version_last = state->acked.version;
	model_publish(&state->nodes[0], 0);
	state->nodes[0].seen = state->nodes[0].published;
	model_load(model, 1);
	if (migration_jobs_import(model->jobs[1], 1000, 0, 1, &actions) != 0)
		abort();
	model_do_actions(model, 1, actions, &answers);
	model_store(model, 1);
	model_give_answers(model, 1, &answers);
}

static void tell_story(const struct model *model)
{
	printf("violated: %s\n", model->violation);
	for (uint32_t i = 0; i < model->depth; i++)
		printf("  %3u  %s: %s\n", i + 1, model->path_nodes[i] ? "target" : "source",
		       model->path[i]);
}

static void set_options(struct migration_options *options)
{
	migration_options_default(options);
	options->bytes_per_s = 0;
	options->cpu_permille = 0;
	options->window = 1;
	options->retry_ms = 100;
	options->retry_ms_max = 100;
	options->heartbeat_ms = 100;
	options->silence_ms_max = 200;
	options->parking_ms_max = 100;
	options->fence_pause_ms = 100;
	options->fences_max = 2;
	options->attempts_max = ATTEMPTS_MAX;
	options->attempt_pause_ms = 100;
	options->prepare_ms_max = 200;
	options->claim_ms = 100;
}

static uint32_t number_of(const char *text)
{
	return text ? (uint32_t)strtoul(text, NULL, 10) : 0;
}

static void read_arguments(struct model *model, int argc, char **argv, uint32_t *table_bits)
{
	struct {
		const char *name;
		uint32_t *value;
	} numbers[] = {
		{ "--writes", &model->state.writes }, { "--timers", &model->state.timers },
		{ "--losses", &model->state.losses }, { "--copies", &model->state.copies },
		{ "--deaths", &model->state.deaths }, { "--returns", &model->state.returns },
		{ "--table-bits", table_bits },
	};

	for (int i = 1; i + 1 < argc; i += 2) {
		for (uint32_t off = 0; off < OFF_COUNT; off++) {
			if (strcmp(argv[i], "--off") == 0 &&
			    strcmp(argv[i + 1], off_names[off]) == 0)
				model->off = (enum off)off;
		}
		for (uint32_t n = 0; n < sizeof(numbers) / sizeof(numbers[0]); n++) {
			if (strcmp(argv[i], numbers[n].name) == 0)
				*numbers[n].value = number_of(argv[i + 1]);
		}
	}
}

static void print_counts(const struct model *model)
{
	const struct counts *counts = &model->counts;

	printf("%llu states, %llu transitions, at most %llu deep\n",
	       (unsigned long long)counts->states, (unsigned long long)counts->transitions,
	       (unsigned long long)counts->depth_max);
	printf("jobs that ended on the way: %llu migrated, %llu aborted, %llu taken back, %llu "
	       "claimed; "
	       "writes that died with a node: %llu; messages without room: %llu\n",
	       (unsigned long long)counts->migrated, (unsigned long long)counts->aborted,
	       (unsigned long long)counts->reclaimed, (unsigned long long)counts->claimed,
	       (unsigned long long)counts->losses, (unsigned long long)counts->overflow);
}

int main(int argc, char **argv)
{
	struct model *model = calloc(1, sizeof(*model));
	uint32_t table_bits = 24;

	if (!model)
		return EXIT_FAILURE;
	read_arguments(model, argc, argv, &table_bits);
	model->visited_mask = (UINT64_C(1) << table_bits) - 1;
	model->visited = calloc(model->visited_mask + 1, sizeof(*model->visited));
	if (!model->visited)
		return EXIT_FAILURE;
	set_options(&model->options);
	begin(model);
	model_check(model);
	if (model_visit(model))
		model_search(model);
	print_counts(model);
	if (model->violation)
		tell_story(model);
	return model->violation ? EXIT_FAILURE : EXIT_SUCCESS;
}
