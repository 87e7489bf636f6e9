/* SPDX-License-Identifier: BSD-3-Clause */
/* HELLO bodies; wire_format.h draws them. */
#include "dataplane/wire_hello.h"

#include <string.h>

#include "dataplane/wire_codec.h"

enum hello_offset {
	AT_CLIENT_NONCE = 0,
	AT_CHALLENGE = 8,
	AT_STAGE = 16,
	AT_VERSION_MAX = 17,
	AT_WORKER_COUNT = 18,
	AT_PARTITION_COUNT = 20,
	AT_VALUE_SIZE_MAX = 22,
	AT_DATAGRAM_SIZE_MAX = 24,
	AT_BOOT_ID = 28,
	AT_BASE_PORT = 36,
	AT_WORKER_INDEX = 38,
	AT_REPLAY_WINDOW = 40,
	AT_END = 44,
};
static_assert(AT_END <= WIRE_HELLO_BODY_SIZE, "the fields fit the body");

void wire_hello_write(uint8_t *body, const struct wire_hello *hello)
{
	memset(body, 0, WIRE_HELLO_BODY_SIZE);
	wire_put_u64(body + AT_CLIENT_NONCE, hello->client_nonce);
	wire_put_u64(body + AT_CHALLENGE, hello->challenge);
}

bool wire_hello_read(const uint8_t *body, size_t size, struct wire_hello *hello)
{
	if (size < WIRE_HELLO_BODY_SIZE)
		return false;
	hello->client_nonce = wire_get_u64(body + AT_CLIENT_NONCE);
	hello->challenge = wire_get_u64(body + AT_CHALLENGE);
	return true;
}

void wire_hello_reply_write(uint8_t *body, const struct wire_hello_reply *reply)
{
	memset(body, 0, WIRE_HELLO_BODY_SIZE);
	wire_put_u64(body + AT_CLIENT_NONCE, reply->client_nonce);
	wire_put_u64(body + AT_CHALLENGE, reply->challenge);
	body[AT_STAGE] = reply->stage;
	body[AT_VERSION_MAX] = reply->version_max;
	wire_put_u16(body + AT_WORKER_COUNT, reply->worker_count);
	wire_put_u16(body + AT_PARTITION_COUNT, reply->partition_count);
	wire_put_u16(body + AT_VALUE_SIZE_MAX, reply->value_size_max);
	wire_put_u32(body + AT_DATAGRAM_SIZE_MAX, reply->datagram_size_max);
	wire_put_u64(body + AT_BOOT_ID, reply->boot_id);
	wire_put_u16(body + AT_BASE_PORT, reply->base_port);
	wire_put_u16(body + AT_WORKER_INDEX, reply->worker_index);
	wire_put_u32(body + AT_REPLAY_WINDOW, reply->replay_window_size);
}

bool wire_hello_reply_read(const uint8_t *body, size_t size, struct wire_hello_reply *reply)
{
	if (size < WIRE_HELLO_BODY_SIZE)
		return false;
	reply->client_nonce = wire_get_u64(body + AT_CLIENT_NONCE);
	reply->challenge = wire_get_u64(body + AT_CHALLENGE);
	reply->stage = body[AT_STAGE];
	reply->version_max = body[AT_VERSION_MAX];
	reply->worker_count = wire_get_u16(body + AT_WORKER_COUNT);
	reply->partition_count = wire_get_u16(body + AT_PARTITION_COUNT);
	reply->value_size_max = wire_get_u16(body + AT_VALUE_SIZE_MAX);
	reply->datagram_size_max = wire_get_u32(body + AT_DATAGRAM_SIZE_MAX);
	reply->boot_id = wire_get_u64(body + AT_BOOT_ID);
	reply->base_port = wire_get_u16(body + AT_BASE_PORT);
	reply->worker_index = wire_get_u16(body + AT_WORKER_INDEX);
	reply->replay_window_size = wire_get_u32(body + AT_REPLAY_WINDOW);
	return true;
}
