/* SPDX-License-Identifier: BSD-3-Clause */
/* Takes the place of malloc() in a test program: allocations fail on order, and what is not freed is counted. Included by one
 * file of a program. With a sanitizer, whose allocator must stay, nothing ever fails.
 */
#ifndef TESTS_UNIT_FAILING_MEMORY_H
#define TESTS_UNIT_FAILING_MEMORY_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Of the thread that uses them; others' allocations go through. */
static __thread struct {
	bool is_counting;
	bool is_failing;
	bool fails_on;    /* not only the one: all that follow, too */
	uint32_t percent; /* of allocations that fail, whichever; 0 = by count */
	uint64_t random;
	uint32_t left;   /* allocations that succeed before one fails */
	uint32_t failed; /* allocations */
	int64_t taken;   /* allocations less frees, since counting began */
} memory;

static inline void memory_count(void)
{
	memory.taken = 0;
	memory.is_counting = true;
}

/* Ends counting: what was taken since it began and is not freed. */
static inline int64_t memory_left_over(void)
{
	memory.is_counting = false;
	return memory.taken;
}

/* From now on 'count' allocations succeed and the next one fails; all after it as well if 'fails_on'. */
static inline void memory_fail_after(uint32_t count, bool fails_on)
{
	memory.left = count;
	memory.fails_on = fails_on;
	memory.percent = 0;
	memory.failed = 0;
	memory.is_failing = true;
}

/* From now on so many fail of 100 allocations, as 'seed' decides. */
static inline void memory_fail_at_random(uint32_t percent, uint64_t seed)
{
	memory.percent = percent;
	memory.random = seed;
	memory.failed = 0;
	memory.is_failing = true;
}

/* All succeed again. Returns how many failed. */
static inline uint32_t memory_fail_no_more(void)
{
	memory.is_failing = false;
	return memory.failed;
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define FAILING_MEMORY_SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FAILING_MEMORY_SANITIZED
#endif

#ifdef FAILING_MEMORY_SANITIZED
#define MEMORY_CAN_FAIL false
#else
#define MEMORY_CAN_FAIL true

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);

static bool memory_may_give(void)
{
	if (!memory.is_failing)
		return true;
	if (memory.percent > 0) {
		memory.random = memory.random * UINT64_C(6364136223846793005) + 1442695040888963407;
		memory.failed += (memory.random >> 33) % 100 < memory.percent;
		return (memory.random >> 33) % 100 >= memory.percent;
	}
	if (memory.left > 0) {
		memory.left--;
		return true;
	}
	if (memory.failed > 0 && !memory.fails_on)
		return true;
	memory.failed++;
	errno = ENOMEM;
	return false;
}

static void *memory_given(void *given)
{
	memory.taken += memory.is_counting && given;
	return given;
}

void *malloc(size_t size)
{
	return memory_may_give() ? memory_given(__libc_malloc(size)) : NULL;
}

void *calloc(size_t count, size_t size)
{
	return memory_may_give() ? memory_given(__libc_calloc(count, size)) : NULL;
}

void *realloc(void *old, size_t size)
{
	if (!memory_may_give())
		return NULL;
	return old ? __libc_realloc(old, size) : memory_given(__libc_realloc(NULL, size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return memory_may_give() ? memory_given(__libc_memalign(alignment, size)) : NULL;
}

int posix_memalign(void **given, size_t alignment, size_t size)
{
	void *memory_found = aligned_alloc(alignment, size);

	if (!memory_found)
		return ENOMEM;
	*given = memory_found;
	return 0;
}

void free(void *given)
{
	memory.taken -= memory.is_counting && given;
	__libc_free(given);
}

#endif

#endif
