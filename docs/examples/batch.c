/* SPDX-License-Identifier: BSD-3-Clause */
/* Stores and reads a thousand keys in as few datagrams as they fit. Usage: batch ADDRESS */
#include <godwit.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COUNT 1000

static char names[COUNT][16];
static struct godwit_pair pairs[COUNT];
static struct godwit_key keys[COUNT];
static struct godwit_result results[COUNT];

int main(int argc, char **argv)
{
	enum godwit_status status;
	struct godwit_stats stats;
	struct godwit *client;
	int wrong = 0;

	status = godwit_open(&client, argc > 1 ? argv[1] : "127.0.0.1", NULL);
	if (status != GODWIT_OK) {
		fprintf(stderr, "batch: %s\n", godwit_status_text(status));
		return 1;
	}
	for (int i = 0; i < COUNT; i++) {
		size_t size = (size_t)snprintf(names[i], sizeof(names[i]), "item:%d", i);

		pairs[i] = (struct godwit_pair){ names[i], size, names[i], size };
		keys[i] = (struct godwit_key){ names[i], size };
	}

	/* Each key has an outcome of its own: a batch is not a transaction. */
	if (godwit_set_many(client, pairs, COUNT, GODWIT_NO_TTL, results) < COUNT)
		for (int i = 0; i < COUNT; i++)
			if (results[i].status != GODWIT_OK)
				printf("%s: %s\n", names[i], godwit_status_text(results[i].status));

	/* The values stay valid until the next blocking call on the handle. */
	godwit_get_many(client, keys, COUNT, results);
	for (int i = 0; i < COUNT; i++)
		wrong += results[i].status != GODWIT_OK ||
			 results[i].value_size != keys[i].key_size ||
			 memcmp(results[i].value, names[i], keys[i].key_size) != 0;

	godwit_stats(client, &stats);
	printf("%d keys stored and read, %d wrong, %" PRIu64 " datagrams sent\n", COUNT, wrong,
	       stats.datagrams_sent);
	godwit_close(client);
	return wrong != 0;
}
