/* SPDX-License-Identifier: BSD-3-Clause */
/* The frames of a sync connection: header and checksum. */
#include "controlplane/sync_frame.h"

#include <assert.h>
#include <errno.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "dataplane/wire_codec.h"

enum frame_offset {
	AT_SIZE = 0,
	AT_VERSION = 4,
	AT_KIND = 5,
	AT_RESERVED = 6,
	AT_CHECKSUM = 8,
};
static_assert((unsigned)AT_CHECKSUM + sizeof(uint64_t) == SYNC_FRAME_HEADER_SIZE,
	      "the payload follows the checksum");

static uint64_t checksum(const uint8_t *bytes, size_t payload_size)
{
	return XXH3_64bits_withSeed(bytes + SYNC_FRAME_HEADER_SIZE, payload_size,
				    wire_get_u64(bytes));
}

int sync_frame_measure(const uint8_t *bytes, size_t size, size_t *frame_size)
{
	uint32_t payload_size;

	if (size < SYNC_FRAME_HEADER_SIZE)
		return -EAGAIN;
	if (bytes[AT_VERSION] != SYNC_FRAME_VERSION)
		return -EPROTO;
	payload_size = wire_get_u32(bytes + AT_SIZE);
	if (payload_size > SYNC_PAYLOAD_SIZE_MAX)
		return -EMSGSIZE;
	*frame_size = SYNC_FRAME_HEADER_SIZE + (size_t)payload_size;
	return 0;
}

int sync_frame_decode(struct sync_frame *frame, const uint8_t *bytes, size_t size)
{
	size_t frame_size;
	int result = sync_frame_measure(bytes, size, &frame_size);

	if (result != 0)
		return result;
	if (size != frame_size || bytes[AT_KIND] < SYNC_FRAME_CONTROL ||
	    bytes[AT_KIND] > SYNC_FRAME_DELTA)
		return -EINVAL;
	frame->kind = (enum sync_frame_kind)bytes[AT_KIND];
	frame->size = (uint32_t)(frame_size - SYNC_FRAME_HEADER_SIZE);
	frame->payload = bytes + SYNC_FRAME_HEADER_SIZE;
	if (wire_get_u64(bytes + AT_CHECKSUM) != checksum(bytes, frame->size))
		return -EBADMSG;
	return 0;
}

size_t sync_frame_seal(uint8_t *bytes, enum sync_frame_kind kind, size_t payload_size)
{
	assert(payload_size <= SYNC_PAYLOAD_SIZE_MAX);
	wire_put_u32(bytes + AT_SIZE, (uint32_t)payload_size);
	bytes[AT_VERSION] = SYNC_FRAME_VERSION;
	bytes[AT_KIND] = (uint8_t)kind;
	wire_put_u16(bytes + AT_RESERVED, 0);
	wire_put_u64(bytes + AT_CHECKSUM, checksum(bytes, payload_size));
	return SYNC_FRAME_HEADER_SIZE + payload_size;
}
