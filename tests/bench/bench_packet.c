/* SPDX-License-Identifier: BSD-3-Clause */
/* What a datagram costs before and after its execution: cycles to parse it, check its session,
 * remember its write, and build its answer; the least of several rounds.
 */
#include <rte_cycles.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/packet_build.h"
#include "dataplane/packet_parse.h"
#include "dataplane/replay_window.h"
#include "dataplane/session.h"

#define ROUNDS 30u
#define REPEATS 10000u
#define NOW_MS 1000000u
#define PORT 40000u
#define SESSIONS_MAX 8192u

/* Keeps the compiler from moving work over this line, or from leaving it out. */
static void barrier(const void *used)
{
	__asm__ volatile("" : : "r"(used) : "memory");
}

static void least(double *best, uint64_t start, uint64_t count)
{
	double cycles = (double)(rte_rdtsc() - start) / (double)count;

	if (*best == 0 || cycles < *best)
		*best = cycles;
}

static void fail(const char *what)
{
	fprintf(stderr, "bench_packet: %s\n", what);
	exit(EXIT_FAILURE);
}

/* ---- frames ---- */

struct frames {
	struct packet_local node;
	uint8_t request[2048];
	uint8_t answer[2048]; /* turned into its own answer again and again */
	size_t size;
	size_t payload_size;
};

static void make_frames(struct frames *frames, size_t payload_size)
{
	const struct packet_flow flow = { .source_mac = { 2, 0, 0, 0, 0, 2 },
					  .destination_mac = { 2, 0, 0, 0, 0, 1 },
					  .source_ipv4 = 0x0a000002,
					  .destination_ipv4 = 0x0a000001,
					  .source_port = PORT,
					  .destination_port = WIRE_PORT_DEFAULT };
	const struct wire_header header = { .kind = WIRE_REQUEST, .op_count = 1, .sequence = 1 };

	packet_local_init(&frames->node, flow.destination_mac, flow.destination_ipv4,
			  WIRE_PORT_DEFAULT, 1);
	memset(frames->request, 7, sizeof(frames->request));
	wire_header_write(frames->request + PACKET_AT_UDP_PAYLOAD, &header);
	frames->size =
		packet_build_udp(frames->request, &flow, payload_size, UDP_CHECKSUM_SOFTWARE);
	frames->payload_size = payload_size;
	memcpy(frames->answer, frames->request, sizeof(frames->answer));
}

static double parse(const struct frames *frames, unsigned checked)
{
	struct packet_view view;
	double best = 0;

	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint64_t start = rte_rdtsc();

		for (uint32_t i = 0; i < REPEATS; i++) {
			if (packet_parse(&frames->node, frames->request, frames->size, checked,
					 &view) != DROP_NONE)
				fail("the request was dropped");
			barrier(&view);
		}
		least(&best, start, REPEATS);
	}
	return best;
}

static double build(struct frames *frames, enum udp_checksum checksum)
{
	double best = 0;

	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint64_t start = rte_rdtsc();

		for (uint32_t i = 0; i < REPEATS; i++) {
			packet_build_reply(frames->answer, frames->payload_size, checksum);
			barrier(frames->answer);
		}
		least(&best, start, REPEATS);
	}
	return best;
}

static void report_frames(size_t payload_size)
{
	static struct frames frames;

	make_frames(&frames, payload_size);
	printf("%5zu-byte payload: parse %5.1f, checked by the port %5.1f; answer %5.1f, without "
	       "checksum %5.1f\n",
	       payload_size, parse(&frames, PACKET_CHECKED_NOTHING),
	       parse(&frames, PACKET_CHECKED_IPV4 | PACKET_CHECKED_UDP),
	       build(&frames, UDP_CHECKSUM_SOFTWARE), build(&frames, UDP_CHECKSUM_ABSENT));
}

/* ---- sessions ---- */

struct sessions {
	struct session_table *table;
	struct session_answer answers[SESSIONS_MAX];
};

/* Session i belongs to address i + 1. */
static double grant_all(struct sessions *sessions)
{
	uint64_t start = rte_rdtsc();
	double cycles = 0;

	for (uint32_t i = 0; i < SESSIONS_MAX; i++) {
		struct session_answer *answer = &sessions->answers[i];

		session_hello(sessions->table, i + 1, PORT, i, 0, NOW_MS, answer);
		if (session_hello(sessions->table, i + 1, PORT, i, answer->challenge, NOW_MS,
				  answer) != SESSION_GRANTED)
			fail("no session");
	}
	least(&cycles, start, SESSIONS_MAX);
	return cycles;
}

static double check(struct sessions *sessions, uint32_t count)
{
	double best = 0;

	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint64_t start = rte_rdtsc();

		for (uint32_t i = 0; i < SESSIONS_MAX; i++) {
			uint32_t at = i % count;

			if (!session_check(sessions->table, sessions->answers[at].session_id,
					   sessions->answers[at].token, at + 1, PORT, NOW_MS))
				fail("a session was refused");
		}
		least(&best, start, SESSIONS_MAX);
	}
	return best;
}

static void report_sessions(struct sessions *sessions)
{
	printf("session: two HELLOs %.0f", grant_all(sessions));
	for (uint32_t count = 1; count <= SESSIONS_MAX; count *= 64)
		printf("; check of %u %.1f", count, check(sessions, count));
	printf("\n");
}

/* ---- replay windows ---- */

/* Every session writes the next sequence in turn, and is answered 'size' bytes. */
static double remember(const struct sessions *sessions, uint32_t count, size_t size)
{
	struct replay_table *table;
	struct replay_ticket ticket;
	static const uint8_t reply[512];
	uint32_t sequence = 0;
	double best = 0;

	if (replay_table_create(&table, NULL) != 0)
		fail("no replay windows");
	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint32_t turns = 200000 / count;
		uint64_t start = rte_rdtsc();

		for (uint32_t turn = 0; turn < turns; turn++) {
			sequence++;
			for (uint32_t i = 0; i < count; i++) {
				if (replay_begin(table, sessions->answers[i].session_id,
						 sessions->answers[i].token, sequence, NOW_MS,
						 &ticket) != REPLAY_NEW)
					fail("a write was refused");
				replay_commit(table, ticket, 1, reply, size);
			}
		}
		least(&best, start, (uint64_t)turns * count);
	}
	replay_table_destroy(table);
	return best;
}

int main(void)
{
	static struct sessions sessions;
	const uint8_t seed[SESSION_SEED_SIZE] = { 1 };

	printf("cycles of the time stamp counter\n");
	report_frames(33);  /* GET of a 1-byte key, or the reply of a SET */
	report_frames(88);  /* HELLO; SET of 16 + 32 bytes */
	report_frames(792); /* 16 SETs or replies of GETs */
	report_frames(1472);
	if (session_table_create(&sessions.table, 0, SESSIONS_MAX, seed) != 0)
		fail("no sessions");
	report_sessions(&sessions);
	for (uint32_t count = 1; count <= 512; count *= 8)
		printf("replay, %3u sessions: single write %5.1f, of 16 operations %5.1f\n", count,
		       remember(&sessions, count, 16), remember(&sessions, count, 256));
	session_table_destroy(sessions.table);
	return EXIT_SUCCESS;
}
