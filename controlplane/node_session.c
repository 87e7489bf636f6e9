/* SPDX-License-Identifier: BSD-3-Clause */
/* The receiver's secret is the key, so that who learns of a sender's tokens can forge for nobody else. */
#include "controlplane/node_session.h"

#include <endian.h>
#include <string.h>

#include "dataplane/siphash.h"

static bool has_secret(const struct node *node)
{
	static const uint8_t none[NODE_SECRET_SIZE];

	return memcmp(node->session_secret, none, sizeof(none)) != 0;
}

uint64_t node_session_token(const struct node *from, const struct node *to)
{
	const uint64_t ids[2] = { htole64(from->id), htole64(to->id) };
	uint8_t message[sizeof(ids) + NODE_SECRET_SIZE];
	uint64_t token;

	if (!has_secret(from) || !has_secret(to))
		return 0;
	memcpy(message, ids, sizeof(ids));
	memcpy(message + sizeof(ids), from->session_secret, NODE_SECRET_SIZE);
	token = siphash(siphash_key_load(to->session_secret), message, sizeof(message));
	return token ? token : 1;
}
