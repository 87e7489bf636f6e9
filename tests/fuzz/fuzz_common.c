/* SPDX-License-Identifier: BSD-3-Clause */
/* Failing, starting the EAL, and numbers that matter. */
#include "tests/fuzz/fuzz.h"

#include <rte_log.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/unit.h"

void fuzz_fail(const char *file, int line, const char *property)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, property);
	abort();
}

void fuzz_eal_init(void)
{
	unit_eal_init();
	rte_log_set_global_level(RTE_LOG_EMERG);
}

uint64_t fuzz_interesting(unsigned *seed, uint32_t bits)
{
	uint64_t mask = bits < 64 ? (UINT64_C(1) << bits) - 1 : UINT64_MAX;
	uint64_t number;

	switch (fuzz_below(seed, 6)) {
	case 0:
		number = fuzz_below(seed, 4);
		break;
	case 1:
		number = mask - fuzz_below(seed, 3);
		break;
	case 2:
		number = (UINT64_C(1) << fuzz_below(seed, bits)) - fuzz_below(seed, 2);
		break;
	case 3:
		number = fuzz_below(seed, 300);
		break;
	default:
		number =
			(uint64_t)fuzz_below(seed, UINT32_MAX) << 32 | fuzz_below(seed, UINT32_MAX);
		break;
	}
	return number & mask;
}
