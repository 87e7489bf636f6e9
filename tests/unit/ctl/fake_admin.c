/* SPDX-License-Identifier: BSD-3-Clause */
/* Plays its steps in a thread of its own, one connection at a time. */
#include "tests/unit/ctl/fake_admin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/ctl/dispatch.h"
#include "controlplane/ctl/global_options.h"
#include "tests/unit/unit.h"

#define REQUEST_SIZE_MAX 16384u
#define WORDS_MAX 16

struct fake_admin {
	int listener;
	pthread_t thread;
	const struct fake_step *step; /* the next one */
	uint32_t played;              /* of the step's times */
	char request[REQUEST_SIZE_MAX];
	char authorization[64];
	char problem[REQUEST_SIZE_MAX + 256]; /* the first that was found; "" = none */
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "fake admin: %s: %s\n", what, strerror(errno));
	abort();
}

/* ---- one request ---- */

static size_t body_size_of(const char *head)
{
	const char *at = strcasestr(head, "\r\nContent-Length:");

	return at ? strtoul(at + strlen("\r\nContent-Length:"), NULL, 10) : 0;
}

/* The body behind the head, NULL when the caller ended before its request did. */
static const char *read_request(struct fake_admin *fake, int fd)
{
	size_t size = 0;

	while (size < sizeof(fake->request) - 1) {
		ssize_t count = recv(fd, fake->request + size, sizeof(fake->request) - 1 - size, 0);
		const char *end;

		if (count <= 0)
			return NULL;
		size += (size_t)count;
		fake->request[size] = '\0';
		end = strstr(fake->request, "\r\n\r\n");
		if (end && size >= (size_t)(end + 4 - fake->request) + body_size_of(fake->request))
			return end + 4;
	}
	return NULL;
}

static bool is_same_json(const char *a, const char *b)
{
	json_t *first = json_loads(a, 0, NULL), *second = json_loads(b, 0, NULL);
	bool is_same = first && json_equal(first, second);

	json_decref(first);
	json_decref(second);
	return is_same;
}

static void check_request(struct fake_admin *fake, const char *body)
{
	const char *expected = fake->step->request, *token;
	size_t size = expected ? strlen(expected) : 0;
	bool is_right = expected && strncmp(fake->request, expected, size) == 0 &&
			fake->request[size] == ' ';

	if (is_right)
		is_right = fake->step->body ? is_same_json(fake->step->body, body) : !*body;
	if (!is_right && !fake->problem[0])
		snprintf(fake->problem, sizeof(fake->problem), "expected %s %s, not %s",
			 expected ? expected : "no request",
			 fake->step->body ? fake->step->body : "", fake->request);
	token = strcasestr(fake->request, "\r\nAuthorization: ");
	fake->authorization[0] = '\0';
	if (token)
		sscanf(token + strlen("\r\nAuthorization: "), "%63[^\r]", fake->authorization);
}

static void send_all(int fd, const char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t count = send(fd, bytes, size, MSG_NOSIGNAL);

		if (count <= 0)
			return;
		bytes += count;
		size -= (size_t)count;
	}
}

static void send_reply(const struct fake_step *step, int fd)
{
	char head[128];

	snprintf(head, sizeof(head),
		 "HTTP/1.1 %d Told\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
		 step->status, strlen(step->reply));
	send_all(fd, head, strlen(head));
	send_all(fd, step->reply, strlen(step->reply));
}

static void answer(const struct fake_step *step, int fd)
{
	char byte;

	if (step->answer == FAKE_REPLY || step->answer == FAKE_GONE)
		send_reply(step, fd);
	else if (step->answer == FAKE_RAW)
		send_all(fd, step->reply, strlen(step->reply));
	else if (step->answer == FAKE_SILENCE)
		while (recv(fd, &byte, 1, 0) > 0)
			;
}

/* ---- all of them ---- */

static void serve(struct fake_admin *fake, int fd)
{
	const struct fake_step *step = fake->step;
	const char *body = read_request(fake, fd);

	if (!body)
		return;
	check_request(fake, body);
	if (!step->request)
		return;
	if (step->answer == FAKE_GONE)
		shutdown(fake->listener, SHUT_RDWR);
	if (++fake->played >= (step->times ? step->times : 1)) {
		fake->step++;
		fake->played = 0;
	}
	answer(step, fd);
}

static void *run_thread(void *context)
{
	struct fake_admin *fake = context;
	int fd;

	while ((fd = accept(fake->listener, NULL, NULL)) >= 0) {
		serve(fake, fd);
		close(fd);
	}
	return NULL;
}

/* Listens at a port that the kernel chooses, and writes its address. */
static void fake_admin_start(struct fake_admin *fake, const struct fake_step *steps, char *address,
			     size_t size)
{
	struct sockaddr_in name = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t name_size = sizeof(name);

	fake->step = steps;
	fake->listener = socket(AF_INET, SOCK_STREAM, 0);
	if (fake->listener < 0 || bind(fake->listener, (struct sockaddr *)&name, name_size) != 0 ||
	    getsockname(fake->listener, (struct sockaddr *)&name, &name_size) != 0 ||
	    listen(fake->listener, 16) != 0)
		die("cannot listen");
	snprintf(address, size, "127.0.0.1:%u", ntohs(name.sin_port));
	if (pthread_create(&fake->thread, NULL, run_thread, fake) != 0)
		die("no thread");
}

static void fake_admin_stop(struct fake_admin *fake)
{
	shutdown(fake->listener, SHUT_RDWR);
	pthread_join(fake->thread, NULL);
	close(fake->listener);
	if (fake->step->request && !fake->problem[0])
		snprintf(fake->problem, sizeof(fake->problem), "never came: %s",
			 fake->step->request);
	if (fake->problem[0])
		fprintf(stderr, "fake admin: %s\n", fake->problem);
	CU_ASSERT_STRING_EQUAL(fake->problem, "");
}

/* ---- commands ---- */

static void pause_at_once(struct ctl *ctl, uint32_t ms)
{
	((struct ctl_run *)ctl)->paused_ms += ms;
}

static enum ctl_exit run_words(struct ctl_run *run, const char *const *words)
{
	char *argv[WORDS_MAX] = { (char *)(uintptr_t) "godwitctl" };
	int argc = 1;

	for (; *words; words++)
		argv[argc++] = (char *)(uintptr_t)*words;
	if (global_options_take(&run->ctl, &argc, argv) != CTL_OK)
		return CTL_USAGE;
	return dispatch(&run->ctl, argc - 1, argv + 1);
}

void ctl_run_steps(struct ctl_run *run, const struct fake_step *steps, const char *const *words)
{
	struct fake_admin *fake = calloc(1, sizeof(*fake));

	unsetenv("GODWIT_SERVER");
	unsetenv("GODWIT_ADMIN");
	unsetenv("GODWIT_TOKEN_FILE");
	memset(run, 0, sizeof(*run));
	fake_admin_start(fake, steps, run->admin, sizeof(run->admin));
	global_options_init(&run->ctl);
	run->ctl.admin = run->admin;
	run->ctl.pause = pause_at_once;
	run->ctl.out = open_memstream(&run->out, &run->out_size);
	run->ctl.err = open_memstream(&run->err, &run->err_size);
	run->code = run_words(run, words);
	fclose(run->ctl.out);
	fclose(run->ctl.err);
	fake_admin_stop(fake);
	strcpy(run->authorization, fake->authorization);
	free(fake);
}

void ctl_run_fini(struct ctl_run *run)
{
	free(run->out);
	free(run->err);
}
