/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames of fuzzed bytes made plausible: headers, lengths and checksums that fit one another. */
#ifndef TESTS_FUZZ_FRAME_H
#define TESTS_FUZZ_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "dataplane/packet_parse.h"

/* The node that frames are for: 02:47:00:00:00:01, 10.1.1.1, ports 7700..7703. */
void fuzz_local_init(struct packet_local *local);

enum fuzz_frame_kind {
	FUZZ_FRAME_DATAGRAM,
	FUZZ_FRAME_ICMP,
	FUZZ_FRAME_ARP,
	FUZZ_FRAME_KINDS,
};

/* Makes a frame for the node of the 'size' bytes at 'frame', at most 'size_max': what of it judges whether the frame is for
 * the node is overwritten, all else stays. Returns its size, which may have grown to that of the headers.
 */
size_t fuzz_frame_repair(uint8_t *frame, size_t size, size_t size_max, enum fuzz_frame_kind kind);

/* Makes lengths and checksums of an IPv4 frame fit its size. */
void fuzz_frame_seal(uint8_t *frame, size_t size);

#endif
