/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs a table of CUnit tests and prints what failed. */
#include "tests/unit/unit.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>

int unit_run(const char *suite_name, const struct unit_test *tests)
{
	CU_pSuite suite;
	unsigned failures;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return EXIT_FAILURE;
	suite = CU_add_suite(suite_name, NULL, NULL);
	for (const struct unit_test *test = tests; suite && test->name; test++) {
		if (!CU_add_test(suite, test->name, test->run))
			suite = NULL;
	}
	if (!suite) {
		fprintf(stderr, "%s: %s\n", suite_name, CU_get_error_msg());
		return EXIT_FAILURE;
	}
	CU_basic_set_mode(CU_BRM_SILENT);
	CU_basic_run_tests();
	CU_basic_show_failures(CU_get_failure_list());
	failures = CU_get_number_of_failures() + CU_get_number_of_tests_failed();
	printf("\nunit: %u tests, %u assertions, %u failed\n", CU_get_number_of_tests_run(),
	       CU_get_number_of_asserts(), CU_get_number_of_tests_failed());
	if (CU_get_number_of_tests_run() == 0 || CU_get_number_of_asserts() == 0)
		failures++;
	CU_cleanup_registry();
	return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

uint64_t unit_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}
