/* SPDX-License-Identifier: BSD-3-Clause */
/* One link per node that was ever spoken to; up to two channels in it. */
#include "controlplane/sync_links.h"

#include <errno.h>
#include <stdlib.h>

struct sync_link {
	struct sync_link *next;
	struct sync_links *links;
	uint64_t node;
	struct bus_channel *own; /* opened here */
	bool is_own_open;
	struct bus_channel *theirs; /* opened there; frames may be sent once one came */
	bool is_theirs_open;
	bool is_wanted; /* something was to be said, or the channel broke meanwhile */
	uint64_t used_ms;
	uint64_t retry_at_ms;
	uint32_t retry_ms;
};

struct sync_links {
	struct bus_transport *transport;
	const struct world *world;
	struct sync_links_host host;
	struct sync_links_counters counters;
	struct sync_link *first;
};

/* ---- links ---- */

static struct sync_link *find(const struct sync_links *links, uint64_t node)
{
	struct sync_link *link = links->first;

	while (link && link->node != node)
		link = link->next;
	return link;
}

static struct sync_link *find_or_add(struct sync_links *links, uint64_t node)
{
	struct sync_link *link = find(links, node);

	if (link)
		return link;
	link = calloc(1, sizeof(*link));
	if (!link)
		return NULL;
	link->links = links;
	link->node = node;
	link->retry_ms = SYNC_LINKS_RETRY_MS;
	link->next = links->first;
	links->first = link;
	return link;
}

static struct bus_channel *channel_of(const struct sync_link *link)
{
	if (link->is_own_open)
		return link->own;
	return link->is_theirs_open ? link->theirs : NULL;
}

static void touch(struct sync_link *link)
{
	link->used_ms = world_now_ms(link->links->world);
}

static void close_own(struct sync_link *link)
{
	bus_channel_close(link->own);
	link->own = NULL;
	link->is_own_open = false;
}

static void close_theirs(struct sync_link *link)
{
	bus_channel_close(link->theirs);
	link->theirs = NULL;
	link->is_theirs_open = false;
}

/* ---- what channels say ---- */

static void tell_connected(struct sync_link *link)
{
	link->is_wanted = false;
	link->retry_ms = SYNC_LINKS_RETRY_MS;
	link->links->host.connected(link->links->host.context, link->node);
}

static void on_opened(void *context, struct bus_channel *channel)
{
	struct sync_link *link = context;

	(void)channel;
	link->is_own_open = true;
	link->links->counters.opened++;
	touch(link);
	tell_connected(link);
}

static void on_frame(void *context, struct bus_channel *channel, const uint8_t *bytes, size_t size)
{
	struct sync_link *link = context;
	struct sync_links *links = link->links;
	bool is_new = channel == link->theirs && !link->is_theirs_open && !link->is_own_open;

	if (channel == link->theirs)
		link->is_theirs_open = true;
	touch(link);
	links->host.frame(links->host.context, link->node, bytes, size);
	/* Afterwards: what the frame acknowledges need not be sent again. */
	if (is_new)
		tell_connected(link);
}

static void retry_later(struct sync_link *link)
{
	link->is_wanted = true;
	link->retry_at_ms = world_now_ms(link->links->world) + link->retry_ms;
	link->retry_ms *= 2;
	if (link->retry_ms > SYNC_LINKS_RETRY_MAX_MS)
		link->retry_ms = SYNC_LINKS_RETRY_MAX_MS;
}

/* Who opened a channel opens it again; the other side waits until it has something to say. */
static void on_closed(void *context, struct bus_channel *channel, const struct bus_close *close)
{
	struct sync_link *link = context;

	(void)close;
	link->links->counters.broken++;
	if (channel == link->theirs) {
		link->theirs = NULL;
		link->is_theirs_open = false;
		return;
	}
	link->own = NULL;
	link->is_own_open = false;
	retry_later(link);
}

static const struct bus_channel_handlers handlers = { .opened = on_opened,
						      .frame = on_frame,
						      .closed = on_closed };

static enum bus_refusal accept_link(void *context, struct bus_channel *channel,
				    const struct bus_peer *peer, char *detail)
{
	struct sync_link *link = find_or_add(context, peer->id);

	(void)detail;
	if (!link)
		return BUS_REFUSED_BUSY;
	close_theirs(link);
	link->theirs = channel;
	touch(link);
	bus_channel_set_handlers(channel, &handlers, link);
	return BUS_ACCEPTED;
}

/* ---- opening ---- */

static void open_own(struct sync_link *link)
{
	struct sync_links *links = link->links;
	struct node_address address;

	link->is_wanted = false;
	if (links->host.find_address(links->host.context, link->node, &address))
		link->own = bus_transport_open(links->transport, &address, SYNC_LINKS_SERVICE,
					       &handlers, link);
	if (!link->own)
		retry_later(link);
}

static void want(struct sync_link *link)
{
	if (link->own)
		return;
	if (world_now_ms(link->links->world) >= link->retry_at_ms)
		open_own(link);
	else
		link->is_wanted = true;
}

void sync_links_send(struct sync_links *links, uint64_t node, const uint8_t *bytes, size_t size)
{
	struct sync_link *link = find_or_add(links, node);
	struct bus_channel *channel = link ? channel_of(link) : NULL;

	if (link)
		touch(link);
	if (channel && bus_channel_send(channel, bytes, size) == 0)
		return;
	links->counters.lost++;
	if (link && !channel)
		want(link);
}

/* ---- time ---- */

static void tick(struct sync_link *link, uint64_t now_ms)
{
	bool is_idle = now_ms - link->used_ms >= SYNC_LINKS_IDLE_MS;

	if (is_idle)
		link->is_wanted = false;
	if (is_idle && link->own)
		close_own(link);
	if (link->is_wanted && !link->own && now_ms >= link->retry_at_ms)
		open_own(link);
}

void sync_links_tick(struct sync_links *links)
{
	uint64_t now_ms = world_now_ms(links->world);

	for (struct sync_link *link = links->first; link; link = link->next)
		tick(link, now_ms);
}

void sync_links_reset(struct sync_links *links, uint64_t node)
{
	struct sync_link *link = find(links, node);

	if (!link)
		return;
	close_own(link);
	close_theirs(link);
	link->is_wanted = false;
	link->retry_at_ms = 0;
	link->retry_ms = SYNC_LINKS_RETRY_MS;
}

/* ---- life ---- */

int sync_links_create(struct sync_links **links, struct bus_transport *transport,
		      const struct world *world, const struct sync_links_host *host)
{
	struct sync_links *new = calloc(1, sizeof(*new));

	if (!new)
		return -ENOMEM;
	new->transport = transport;
	new->world = world;
	new->host = *host;
	if (bus_transport_serve(transport, SYNC_LINKS_SERVICE, accept_link, new) != 0) {
		free(new);
		return -ENOMEM;
	}
	*links = new;
	return 0;
}

void sync_links_destroy(struct sync_links *links)
{
	if (!links)
		return;
	while (links->first) {
		struct sync_link *link = links->first;

		links->first = link->next;
		close_own(link);
		close_theirs(link);
		free(link);
	}
	free(links);
}

size_t sync_links_pending(const struct sync_links *links)
{
	size_t pending = 0;

	for (const struct sync_link *link = links->first; link; link = link->next) {
		const struct bus_channel *channel = channel_of(link);

		pending += channel ? bus_channel_pending(channel) : 0;
	}
	return pending;
}

const struct sync_links_counters *sync_links_counters(const struct sync_links *links)
{
	return &links->counters;
}
