/* SPDX-License-Identifier: BSD-3-Clause */
/* What one datagram costs the load generator itself: its worker against a transport that returns
 * every datagram at once.
 *
 * usage: bench_loadgen [SECONDS]; prints ticks per datagram, the best of ten slices, for an echo of
 * one GET.
 */
#include <stdio.h>
#include <stdlib.h>

#include "dataplane/loadgen/load_worker.h"

#define SLICES 10
#define FRAMES 1024u
#define FRAME_SIZE 256u

/* Sent datagrams come back in order. */
struct mirror {
	struct transport transport;
	uint32_t head;
	uint32_t tail;
	uint32_t next; /* buffer to hand out */
	struct transport_datagram waiting[FRAMES];
	uint8_t frames[FRAMES][FRAME_SIZE];
};

static int open_flow(struct transport *transport, uint32_t flow, uint16_t server_port, char *error,
		     uint32_t error_size)
{
	(void)transport;
	(void)flow;
	(void)server_port;
	(void)error;
	(void)error_size;
	return 0;
}

static uint32_t acquire(struct transport *transport, struct transport_datagram *datagrams,
			uint32_t count)
{
	struct mirror *mirror = (struct mirror *)transport;

	for (uint32_t i = 0; i < count; i++)
		datagrams[i].payload = mirror->frames[mirror->next++ % FRAMES];
	return count;
}

static void send_datagrams(struct transport *transport, struct transport_datagram *datagrams,
			   uint32_t count)
{
	struct mirror *mirror = (struct mirror *)transport;

	for (uint32_t i = 0; i < count; i++)
		mirror->waiting[mirror->head++ % FRAMES] = datagrams[i];
}

static uint32_t receive(struct transport *transport, struct transport_datagram *datagrams,
			uint32_t count)
{
	struct mirror *mirror = (struct mirror *)transport;
	uint32_t i;

	for (i = 0; i < count && mirror->tail != mirror->head; i++)
		datagrams[i] = mirror->waiting[mirror->tail++ % FRAMES];
	return i;
}

static void release(struct transport *transport, struct transport_datagram *datagrams,
		    uint32_t count)
{
	(void)transport;
	(void)datagrams;
	(void)count;
}

static void rest(struct transport *transport, uint32_t microseconds)
{
	(void)transport;
	(void)microseconds;
}

static const struct transport_ops mirror_ops = {
	.open_flow = open_flow,
	.meet_server = NULL, /* an echo has none */
	.acquire = acquire,
	.send = send_datagrams,
	.receive = receive,
	.release = release,
	.rest = rest,
};

static struct load_settings settings_of_echo(void)
{
	struct load_settings settings = {
		.echo = true,
		.worker_count = 1,
		.flows_per_server_worker = 4,
		.ops_per_datagram = 1,
		.load_ops_per_datagram = 1,
		.outstanding_max = 256,
		.seed = 1,
	};

	clock_rate_measure(&settings.clock);
	settings.timeout_ticks = clock_ticks(&settings.clock, 1.0);
	settings.workload.shares[OPERATION_GET] = 1.0;
	settings.workload.key_count = 1000000;
	settings.workload.counter_count = 1;
	settings.workload.exponent = KEY_CHOOSER_EXPONENT_DEFAULT;
	settings.workload.format.key_size = 16;
	return settings;
}

/* Ticks per datagram of one slice. */
static double run_slice(struct load_worker *worker, double seconds)
{
	struct load_phase phase = { .kind = LOAD_RUN, .start = clock_now() };
	uint64_t before = worker->measured->received_datagrams;

	phase.measure_from = phase.start;
	phase.until = phase.start + clock_ticks(&worker->settings->clock, seconds);
	load_worker_run(worker, &phase);
	return (double)(phase.until - phase.start) /
	       (double)(worker->measured->received_datagrams - before);
}

int main(int argc, char **argv)
{
	struct load_settings settings = settings_of_echo();
	struct mirror *mirror = calloc(1, sizeof(*mirror));
	const struct load_phase connect = { .kind = LOAD_CONNECT };
	double seconds = argc > 1 ? atof(argv[1]) : 1.0;
	double best = 1e9;
	uint32_t stop = 0;
	struct load_worker *worker;

	if (!mirror)
		return EXIT_FAILURE;
	mirror->transport.ops = &mirror_ops;
	worker = load_worker_create(&settings, 0, &mirror->transport, &stop);
	if (!worker || load_worker_run(worker, &connect) < 0)
		return EXIT_FAILURE;
	for (unsigned i = 0; i < SLICES; i++) {
		double ticks = run_slice(worker, seconds / SLICES);

		best = ticks < best ? ticks : best;
	}
	printf("bench_loadgen: %.1f ticks per datagram\n", best);
	load_worker_destroy(worker);
	free(mirror);
	return EXIT_SUCCESS;
}
