/* SPDX-License-Identifier: BSD-3-Clause */
/* Why something that was asked for is not done: an error number, and a sentence for people. */
#ifndef CONTROLPLANE_REFUSAL_H
#define CONTROLPLANE_REFUSAL_H

#define REFUSAL_TEXT_SIZE 512u

/* Writes the sentence into 'error' (REFUSAL_TEXT_SIZE bytes) and returns 'result', an -errno. Thread safety: pure. */
int refuse(char *error, int result, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
