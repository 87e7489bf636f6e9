/* SPDX-License-Identifier: BSD-3-Clause */
/* The frame of a unit test program: a table of CUnit tests and a main() that runs it. */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <CUnit/CUnit.h>
#include <stdint.h>

struct unit_test {
	const char *name;
	void (*run)(void);
};

#define UNIT_TEST(function) { #function, function }

/* Runs 'tests' (terminated by a NULL name) as one CUnit suite; prints failures, then
 * 'unit: N tests, M assertions'. Returns main's exit code: 0 only when all passed and at least one ran.
 */
int unit_run(const char *suite, const struct unit_test *tests);

/* Starts the EAL once per process without huge pages, devices or telemetry; aborts when it fails. Registers the calling thread
 * as a QSBR reader. Call before unit_run() in programs that use DPDK.
 */
void unit_eal_init(void);

/* The same with 'lcores' lcores, 1..16, all on one CPU; registers nobody. */
void unit_eal_init_lcores(unsigned lcores);

/* A repeatable random number (splitmix64); 'state' is the seed. */
uint64_t unit_random(uint64_t *state);

#endif
