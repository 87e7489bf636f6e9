/* SPDX-License-Identifier: BSD-3-Clause */
/* Keeps a hundred operations in flight from an event loop of its own. Usage: poll ADDRESS */
#include <godwit.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define TOTAL 10000
#define IN_FLIGHT 100

struct load {
	struct godwit *client;
	int submitted;
	int ok;
	int failed;
};

static void submit_next(struct load *load);

/* Called by godwit_process(). The result and its value live until the callback returns. */
static void on_result(void *context, const struct godwit_result *result)
{
	struct load *load = context;

	if (result->status == GODWIT_OK) {
		load->ok++;
		submit_next(load);
	} else {
		load->failed++;
		fprintf(stderr, "poll: %s\n", godwit_status_text(result->status));
	}
}

static void submit_next(struct load *load)
{
	char key[32];
	struct godwit_operation operation = { .opcode = GODWIT_OP_SET,
					      .ttl_ms = 60 * 1000,
					      .key = key,
					      .value = "value",
					      .value_size = 5 };

	if (load->submitted == TOTAL)
		return;
	operation.key_size = (size_t)snprintf(key, sizeof(key), "event:%d", load->submitted);
	load->submitted++;
	/* Key and value are copied, so they need not outlive this call. */
	if (godwit_submit(load->client, &operation, on_result, load) != GODWIT_OK)
		load->failed++;
}

int main(int argc, char **argv)
{
	struct godwit_options options = GODWIT_OPTIONS_INIT;
	struct load load = { 0 };
	enum godwit_status status;

	options.no_wait = true; /* the loop below also waits for the first server */
	status = godwit_open(&load.client, argc > 1 ? argv[1] : "127.0.0.1", &options);
	if (status != GODWIT_OK) {
		fprintf(stderr, "poll: %s\n", godwit_status_text(status));
		return 1;
	}
	for (int i = 0; i < IN_FLIGHT; i++)
		submit_next(&load);

	while (godwit_pending(load.client) > 0) {
		struct pollfd fds[] = { { .fd = godwit_fd(load.client), .events = POLLIN } };

		/* Other descriptors of the application would be here, too. */
		poll(fds, 1, godwit_timeout_ms(load.client));
		godwit_process(load.client);
	}
	printf("%d stored, %d failed\n", load.ok, load.failed);
	godwit_close(load.client);
	return load.failed != 0;
}
