/* SPDX-License-Identifier: BSD-3-Clause */
/* The RCU readers of one node: a table of places, claimed without a lock. */
#include "storage/reader.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct reader_registry {
	struct reader readers[READER_COUNT_MAX];
};

int reader_registry_create(struct reader_registry **registry_out)
{
	struct reader_registry *registry =
		aligned_alloc(_Alignof(struct reader_registry), sizeof(*registry));

	*registry_out = registry;
	if (!registry)
		return -ENOMEM;
	memset(registry, 0, sizeof(*registry));
	return 0;
}

void reader_registry_destroy(struct reader_registry *registry)
{
	if (!registry)
		return;
	for (uint32_t i = 0; i < READER_COUNT_MAX; i++)
		assert(!registry->readers[i].name);
	free(registry);
}

static struct reader *claim_place(struct reader_registry *registry, const char *name)
{
	for (uint32_t i = 0; i < READER_COUNT_MAX; i++) {
		const char *vacant = NULL;

		if (__atomic_compare_exchange_n(&registry->readers[i].name, &vacant, name, false,
						__ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return &registry->readers[i];
	}
	return NULL;
}

/* Online comes last: until then the watcher takes the place for an idle one. */
struct reader *reader_register(struct reader_registry *registry, const char *name)
{
	struct reader *reader = claim_place(registry, name);

	if (!reader)
		return NULL;
	rcu_register_thread();
	reader_beat(reader);
	__atomic_store_n(&reader->is_online, true, __ATOMIC_RELAXED);
	return reader;
}

void reader_unregister(struct reader *reader)
{
	__atomic_store_n(&reader->is_online, false, __ATOMIC_RELAXED);
	rcu_unregister_thread();
	__atomic_store_n(&reader->name, NULL, __ATOMIC_RELEASE);
}

/* Milliseconds since the reader made progress, as seen here. */
static uint64_t silence_ms(struct reader *reader, uint64_t now_ms)
{
	uint64_t beats = __atomic_load_n(&reader->beats, __ATOMIC_RELAXED);

	if (!__atomic_load_n(&reader->is_online, __ATOMIC_RELAXED)) {
		reader->seen_at_ms = 0;
		return 0;
	}
	if (beats != reader->seen_beats || reader->seen_at_ms == 0) {
		reader->seen_beats = beats;
		reader->seen_at_ms = now_ms;
	}
	return now_ms - reader->seen_at_ms;
}

uint32_t reader_registry_stalled(struct reader_registry *registry, uint64_t now_ms,
				 uint64_t silent_ms_min, struct reader_stall *stalls,
				 uint32_t stall_max)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < READER_COUNT_MAX && count < stall_max; i++) {
		struct reader *reader = &registry->readers[i];
		const char *name = __atomic_load_n(&reader->name, __ATOMIC_ACQUIRE);
		uint64_t silent_ms = silence_ms(reader, now_ms);

		if (name && silent_ms > 0 && silent_ms >= silent_ms_min)
			stalls[count++] = (struct reader_stall){ name, silent_ms };
	}
	return count;
}
