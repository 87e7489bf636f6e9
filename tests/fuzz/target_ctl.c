/* SPDX-License-Identifier: BSD-3-Clause */
/* What godwitctl shows of a reply, whoever sent it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/ctl/cluster_view.h"
#include "controlplane/ctl/migration_view.h"
#include "controlplane/ctl/node_view.h"
#include "tests/fuzz/fuzz.h"

#define INPUT_SIZE_MAX 16384u

static char *shown;
static size_t shown_size;
static FILE *out;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	out = open_memstream(&shown, &shown_size);
	FUZZ_CHECK(out);
	return 0;
}

/* The views of commands, and those of one job among several. */
static void show(uint8_t view, const json_t *reply)
{
	const json_t *job;

	switch (view % 9) {
	case 0:
		cluster_view_status(reply, out);
		cluster_view_problems(reply, out);
		break;
	case 1:
		FUZZ_CHECK(cluster_view_nodes(reply, out) == 0);
		break;
	case 2:
		FUZZ_CHECK(cluster_view_partitions(reply, NULL, out) == 0);
		break;
	case 3:
		FUZZ_CHECK(cluster_view_partitions(reply, "n1", out) == 0);
		break;
	case 4:
		FUZZ_CHECK(node_view_status(reply, out) == 0);
		break;
	case 5:
		FUZZ_CHECK(node_view_counters(reply, true, out) == 0);
		break;
	case 6:
		FUZZ_CHECK(migration_view_list(reply, out) == 0);
		break;
	case 7:
		FUZZ_CHECK(migration_view_moves(reply, out) == 0);
		break;
	default:
		job = migration_view_find(reply, 7, "n1", 5000);
		migration_view_job(job, out);
		migration_view_end(job, out);
		break;
	}
}

/* Nothing that a terminal may obey but newlines. */
static void check_printed(const unsigned char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		FUZZ_CHECK(text[i] >= ' ' || text[i] == '\n');
		FUZZ_CHECK(text[i] != 0x7f);
		FUZZ_CHECK(text[i] != 0xc2 || (i + 1 < size && text[i + 1] >= 0xa0));
	}
}

/* An input: which view, then the reply as JSON. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *reply;

	if (size < 1 || size > INPUT_SIZE_MAX)
		return 0;
	reply = json_loadb((const char *)data + 1, size - 1, 0, NULL);
	if (!reply)
		return 0;
	rewind(out);
	show(data[0], reply);
	fflush(out);
	FUZZ_CHECK(shown_size <= 64 * INPUT_SIZE_MAX);
	check_printed((const unsigned char *)shown, shown_size);
	json_decref(reply);
	return 0;
}
