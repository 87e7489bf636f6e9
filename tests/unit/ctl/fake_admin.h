/* SPDX-License-Identifier: BSD-3-Clause */
/* An admin address that expects certain requests and answers as it was told, and godwitctl's commands run against it. */
#ifndef TESTS_UNIT_CTL_FAKE_ADMIN_H
#define TESTS_UNIT_CTL_FAKE_ADMIN_H

#include <stdint.h>

#include "controlplane/ctl/command.h"

/* What becomes of a request that was read. */
enum fake_answer {
	FAKE_REPLY,   /* 'status' and 'reply' */
	FAKE_CLOSE,   /* the connection ends without an answer */
	FAKE_SILENCE, /* no answer; the connection stays until the caller ends it */
	FAKE_RAW,     /* 'reply' is all bytes of the answer, its head as well */
	FAKE_GONE,    /* 'status' and 'reply', and from then on nobody listens */
};

/* One request that is expected, and its answer. */
struct fake_step {
	const char *request; /* "GET /v1/nodes"; a row without it ends the list */
	const char *body;    /* JSON that must be equal; NULL = none */
	int status;
	const char *reply;
	enum fake_answer answer;
	uint32_t times; /* the request comes so often; 0 = once */
};

/* One run of a command: what it printed and exited with. */
struct ctl_run {
	struct ctl ctl;
	char admin[32];
	char *out;
	char *err;
	size_t out_size;
	size_t err_size;
	uint64_t paused_ms;     /* that the command meant to sleep */
	char authorization[64]; /* of the last request */
	enum ctl_exit code;
};

/* Runs godwitctl with 'words' (terminated by NULL; they may contain global options) against a server on a port of its own that
 * plays 'steps', and asserts that all of the steps came, in order, and nothing else. 'run->ctl' is what main() would have, but for
 * where it prints and how it waits. The caller ends with ctl_run_fini().
 */
void ctl_run_steps(struct ctl_run *run, const struct fake_step *steps, const char *const *words);
void ctl_run_fini(struct ctl_run *run);

#define CTL_WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

#endif
