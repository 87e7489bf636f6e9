/* SPDX-License-Identifier: BSD-3-Clause */
/* The bodies of HELLO and HELLO_REPLY between bytes and structs. */
#ifndef DATAPLANE_WIRE_HELLO_H
#define DATAPLANE_WIRE_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/wire_format.h"

struct wire_hello {
	uint64_t client_nonce; /* random, chosen by the client for this session */
	uint64_t challenge;    /* 0 at first; then what HELLO_REPLY brought */
};

struct wire_hello_reply {
	uint64_t client_nonce; /* the HELLO's */
	uint64_t challenge;
	uint64_t boot_id; /* of this run of the node: another run has forgotten all sessions */
	uint8_t stage;    /* enum wire_hello_stage */
	uint8_t version_max;
	uint16_t worker_count;
	uint16_t partition_count;
	uint16_t value_size_max;     /* bytes */
	uint32_t datagram_size_max;  /* bytes of UDP payload */
	uint16_t base_port;          /* worker w listens on base_port + w */
	uint16_t worker_index;       /* who answered */
	uint32_t replay_window_size; /* sequences */
};

/* Writers fill WIRE_HELLO_BODY_SIZE bytes. Readers return false when 'size' is less, and judge
 * nothing else: bytes behind the body and unused bytes in it are ignored, so that a later version
 * may fill them. Pure; any thread.
 */
void wire_hello_write(uint8_t *body, const struct wire_hello *hello);
bool wire_hello_read(const uint8_t *body, size_t size, struct wire_hello *hello);
void wire_hello_reply_write(uint8_t *body, const struct wire_hello_reply *reply);
bool wire_hello_reply_read(const uint8_t *body, size_t size, struct wire_hello_reply *reply);

#endif
