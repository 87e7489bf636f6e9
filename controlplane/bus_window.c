/* SPDX-License-Identifier: BSD-3-Clause */
/* Which counters of which sender have been seen: each is accepted once. */
#include "controlplane/bus_window.h"

#include <string.h>

void bus_window_init(struct bus_window *window)
{
	memset(window, 0, sizeof(*window));
	for (uint32_t i = 0; i < BUS_WINDOW_BUCKET_COUNT; i++)
		window->buckets[i] = BUS_WINDOW_NONE;
}

/* Sessions are random, so any of their bytes are a hash. */
static uint32_t *bucket_of(struct bus_window *window, const uint8_t *session)
{
	return &window->buckets[(session[0] | (uint32_t)session[1] << 8) % BUS_WINDOW_BUCKET_COUNT];
}

static struct bus_sender *find(struct bus_window *window, const uint8_t *session)
{
	for (uint32_t i = *bucket_of(window, session); i != BUS_WINDOW_NONE;
	     i = window->senders[i].next) {
		if (memcmp(window->senders[i].session, session, BUS_SESSION_SIZE) == 0)
			return &window->senders[i];
	}
	return NULL;
}

static void unlink_sender(struct bus_window *window, uint32_t index)
{
	uint32_t *link = bucket_of(window, window->senders[index].session);

	while (*link != index)
		link = &window->senders[*link].next;
	*link = window->senders[index].next;
}

static uint32_t oldest(const struct bus_window *window)
{
	uint32_t found = 0;

	for (uint32_t i = 1; i < window->sender_count; i++) {
		if (window->senders[i].used_at < window->senders[found].used_at)
			found = i;
	}
	return found;
}

static struct bus_sender *add(struct bus_window *window, const uint8_t *session)
{
	uint32_t *bucket = bucket_of(window, session);
	struct bus_sender *sender;
	uint32_t index;

	if (window->sender_count < BUS_SENDER_COUNT_MAX) {
		index = window->sender_count++;
	} else {
		index = oldest(window);
		unlink_sender(window, index);
	}
	sender = &window->senders[index];
	memset(sender, 0, sizeof(*sender));
	memcpy(sender->session, session, BUS_SESSION_SIZE);
	sender->next = *bucket;
	*bucket = index;
	return sender;
}

/* Moves the window up to 'counter': what it now covers for the first time is unseen. */
static void advance(struct bus_sender *sender, uint64_t counter)
{
	if (counter - sender->counter_max >= BUS_WINDOW_SIZE) {
		memset(sender->seen, 0, sizeof(sender->seen));
	} else {
		for (uint64_t c = sender->counter_max + 1; c <= counter; c++)
			sender->seen[c % BUS_WINDOW_SIZE / 64] &= ~(UINT64_C(1) << (c % 64));
	}
	sender->counter_max = counter;
}

bool bus_window_accept(struct bus_window *window, const uint8_t session[BUS_SESSION_SIZE],
		       uint64_t counter)
{
	struct bus_sender *sender = find(window, session);
	uint64_t bit = UINT64_C(1) << (counter % 64);
	uint64_t *word;

	if (!sender)
		sender = add(window, session);
	sender->used_at = ++window->clock;
	if (counter > sender->counter_max)
		advance(sender, counter);
	word = &sender->seen[counter % BUS_WINDOW_SIZE / 64];
	if (counter == 0 || sender->counter_max - counter >= BUS_WINDOW_SIZE || (*word & bit))
		return false;
	*word |= bit;
	return true;
}
