/* SPDX-License-Identifier: BSD-3-Clause */
/* The real world's clocks and randomness, and what is derived from any world. */
#include "controlplane/world.h"
#include "tests/unit/unit.h"

#include <string.h>
#include <time.h>

static void clocks_advance_and_agree_with_the_calendar(void)
{
	struct world world;
	uint64_t first, unix_s = (uint64_t)time(NULL);

	world_os_init(&world);
	first = world_now_ms(&world);
	nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	CU_ASSERT(world_now_ms(&world) >= first + 4);
	CU_ASSERT(world_unix_ms(&world) / 1000 - unix_s <= 2);
}

static void cpu_time_is_the_threads_own(void)
{
	const uint64_t idle_ms = 50;
	struct world world;
	uint64_t cpu_us, began_ms;

	world_os_init(&world);
	began_ms = world_now_ms(&world);
	cpu_us = world_cpu_us(&world);
	nanosleep(&(struct timespec){ .tv_nsec = (long)idle_ms * 1000000 }, NULL);
	CU_ASSERT(world_cpu_us(&world) - cpu_us < 1000 * (world_now_ms(&world) - began_ms));
	cpu_us = world_cpu_us(&world);
	while (world_cpu_us(&world) == cpu_us)
		;
	CU_ASSERT(world_cpu_us(&world) > cpu_us);
}

static void random_bytes_fill_all_and_differ(void)
{
	struct world world;
	uint8_t a[64] = { 0 }, b[64] = { 0 };

	world_os_init(&world);
	world_random_bytes(&world, a, sizeof(a));
	world_random_bytes(&world, b, sizeof(b));
	CU_ASSERT(memcmp(a, b, sizeof(a)) != 0);
	CU_ASSERT(memcmp(a, (uint8_t[64]){ 0 }, sizeof(a)) != 0);
}

struct script {
	const uint64_t *numbers;
	uint32_t used;
};

static void script_bytes(void *context, void *bytes, size_t size)
{
	struct script *script = context;

	memcpy(bytes, &script->numbers[script->used++], size);
}

static void below_rejects_what_would_bias(void)
{
	/* 2^64 mod 10 = 6: a draw under 6 is thrown away, 6 and 17 are not. */
	const uint64_t numbers[] = { 5, 6, 17 };
	struct script script = { numbers, 0 };
	struct world world = { .random_bytes = script_bytes, .context = &script };

	CU_ASSERT_EQUAL(world_random_below(&world, 10), 6);
	CU_ASSERT_EQUAL(script.used, 2);
	CU_ASSERT_EQUAL(world_random_below(&world, 10), 7);
	CU_ASSERT_EQUAL(script.used, 3);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(clocks_advance_and_agree_with_the_calendar),
		UNIT_TEST(cpu_time_is_the_threads_own),
		UNIT_TEST(random_bytes_fill_all_and_differ),
		UNIT_TEST(below_rejects_what_would_bias),
		{ NULL, NULL },
	};

	return unit_run("world", tests);
}
