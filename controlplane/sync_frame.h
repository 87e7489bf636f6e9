/* SPDX-License-Identifier: BSD-3-Clause */
/* The frames of a sync connection: where one ends, of what kind it is, whether it is intact. */
#ifndef CONTROLPLANE_SYNC_FRAME_H
#define CONTROLPLANE_SYNC_FRAME_H

#include <stddef.h>
#include <stdint.h>

/* A frame, numbers in network byte order:
 *
 *      0              4         5      6          8                 16
 *      +--------------+---------+------+----------+-----------------+=========+
 *      | payload size | version | kind | reserved | checksum        | payload |
 *      +--------------+---------+------+----------+-----------------+=========+
 *
 * The checksum is XXH3-64 of the payload, seeded with the first 8 bytes: it guards the whole frame
 * against faulty memory and faulty code between the two stores. Forgery is the bus's matter.
 */
#define SYNC_FRAME_VERSION 1u
#define SYNC_FRAME_HEADER_SIZE 16u
#define SYNC_PAYLOAD_SIZE_MAX (1024u * 1024u)
#define SYNC_FRAME_SIZE_MAX (SYNC_FRAME_HEADER_SIZE + SYNC_PAYLOAD_SIZE_MAX)

enum sync_frame_kind {
	SYNC_FRAME_CONTROL = 1, /* sync_message.h */
	SYNC_FRAME_BATCH = 2,   /* sync_record.h: what a scan found */
	SYNC_FRAME_DELTA = 3,   /* sync_record.h: writes behind the cursor */
};

struct sync_frame {
	enum sync_frame_kind kind;
	uint32_t size; /* bytes of the payload */
	const uint8_t *payload;
};

/* Thread safety: pure functions. */

/* How long the frame is whose first 'size' bytes are at 'bytes'. 0, and '*frame_size' is set;
 * -EAGAIN while fewer than SYNC_FRAME_HEADER_SIZE bytes are there; -EPROTO for another version;
 * -EMSGSIZE for a payload over the limit. After -EPROTO and -EMSGSIZE the stream is lost.
 */
int sync_frame_measure(const uint8_t *bytes, size_t size, size_t *frame_size);

/* Checks one whole frame. 0, and '*frame' points into 'bytes'; errors of sync_frame_measure();
 * -EINVAL when 'size' is not the frame's or the kind is unknown; -EBADMSG for a wrong checksum.
 */
int sync_frame_decode(struct sync_frame *frame, const uint8_t *bytes, size_t size);

/* Writes the header in front of a payload that already stands at 'bytes' +
 * SYNC_FRAME_HEADER_SIZE; 'payload_size' is at most SYNC_PAYLOAD_SIZE_MAX. Returns the frame's
 * size.
 */
size_t sync_frame_seal(uint8_t *bytes, enum sync_frame_kind kind, size_t payload_size);

#endif
