/* SPDX-License-Identifier: BSD-3-Clause */
/* Every byte of the data-plane protocol, version 1: offsets, sizes, numbers. Big-endian throughout. */
#ifndef DATAPLANE_WIRE_FORMAT_H
#define DATAPLANE_WIRE_FORMAT_H

#include <assert.h>
#include <stdint.h>

/* UDP, one port per worker core: WIRE_PORT_DEFAULT + worker index. */
#define WIRE_PORT_DEFAULT 7700u

/* A datagram is one header and op_count operations; for some kinds a fixed body instead of operations.
 *
 *      0       1         2      3          4            8       16         20            24
 *      +-------+---------+------+----------+------------+-------+----------+-------------+------------------
 *      | magic | version | kind | op_count | session_id | token | sequence | map_version | operations / body
 *      +-------+---------+------+----------+------------+-------+----------+-------------+------------------
 */
#define WIRE_MAGIC 0x47u /* 'G' */
#define WIRE_VERSION 1u
#define WIRE_HEADER_SIZE 24u
#define WIRE_OP_COUNT_MAX 255u

enum wire_header_offset {
	WIRE_AT_MAGIC = 0,       /* u8 */
	WIRE_AT_VERSION = 1,     /* u8 */
	WIRE_AT_KIND = 2,        /* u8, enum wire_kind */
	WIRE_AT_OP_COUNT = 3,    /* u8, 1..255 in REQUEST; 0 where there are no operations */
	WIRE_AT_SESSION_ID = 4,  /* u32, 0 = none yet */
	WIRE_AT_TOKEN = 8,       /* u64 */
	WIRE_AT_SEQUENCE = 16,   /* u32, per session, starts at 1; echoed in the reply */
	WIRE_AT_MAP_VERSION = 20 /* u32, the map the sender routed by; in replies the node's own */
};

enum wire_kind {
	WIRE_HELLO = 1,
	WIRE_HELLO_REPLY = 2,
	WIRE_REQUEST = 3,
	WIRE_REPLY = 4, /* op_count 0 means NEED_HELLO: no session; token and sequence are the request's */
	WIRE_FORWARD = 5,
	WIRE_FORWARD_REPLY = 6,
	WIRE_MAP_REQUEST = 7,
	WIRE_MAP_REPLY = 8,
	WIRE_PING = 9, /* no session needed; PONG is the same bytes with another kind */
	WIRE_PONG = 10,
};

/* HELLO and HELLO_REPLY have a body of the same size, so an answer is never longer than the question.
 *
 * HELLO:       0 client_nonce u64 | 8 challenge u64 (0 at first) | 16 zeros
 * HELLO_REPLY: 0 client_nonce u64 | 8 challenge u64 | 16 stage u8 | 17 version_max u8 | 18 worker_count u16 |
 *              20 partition_count u16 | 22 value_size_max u16 | 24 datagram_size_max u32 (UDP payload bytes) |
 *              28 boot_id u64 | 36 base_port u16 | 38 worker_index u16 | 40 replay_window u32 (sequences) | 44 zeros
 *
 * stage 1: 'challenge' is to be echoed in a second HELLO from the same address and port.
 * stage 2: the header carries the granted session_id and token.
 */
#define WIRE_HELLO_BODY_SIZE 64u
enum wire_hello_stage {
	WIRE_HELLO_CHALLENGE = 1,
	WIRE_HELLO_GRANTED = 2,
};

/* Request operation:
 *
 *      0        1       2          4            8
 *      +--------+-------+----------+------------+---------------+--------------+-----+-------+
 *      | opcode | flags | key_size | value_size | [version u64] | [ttl_ms u32] | key | value |
 *      +--------+-------+----------+------------+---------------+--------------+-----+-------+
 */
#define WIRE_REQUEST_OP_SIZE 8u

enum wire_request_flag {
	WIRE_HAS_VERSION = 0x01,
	WIRE_HAS_TTL = 0x02, /* ttl_ms 0 = never expires */
};
#define WIRE_REQUEST_FLAGS_KNOWN 0x03u

/* Reply operation:
 *
 *      0        1        2          4            8         16
 *      +--------+--------+----------+------------+---------+-------+
 *      | opcode | status | reserved | value_size | version | value |
 *      +--------+--------+----------+------------+---------+-------+
 *
 * Replies stand in the order of the operations. 'version' is the item's (after a write: the new one), 0 when there is none.
 */
#define WIRE_REPLY_OP_SIZE 16u

/* key  = 1..250 bytes.  "ttl" = HAS_TTL allowed.  Absent and expired are the same.
 *
 * GET            value of the key: OK, NOT_FOUND. TOO_LARGE with the item's version and no value when the value does not
 *                fit beside the other replies of its datagram: ask for it alone.
 * SET            stores value; ttl (without: never expires): OK, TOO_LARGE, NO_SPACE
 * DELETE         OK, NOT_FOUND; with HAS_VERSION only that version: VERSION_MISMATCH
 * ADD            SET if absent: OK, EXISTS;  ttl
 * REPLACE        SET if present: OK, NOT_FOUND;  ttl
 * CAS            SET if the item's version is 'version' (HAS_VERSION needed): OK, NOT_FOUND, VERSION_MISMATCH;  ttl
 * INCREMENT      value = delta i64 [initial i64], 8 or 16 bytes. The stored value is decimal text of a signed 64-bit number; the reply
 *                value is the new number, i64. Absent: NOT_FOUND, or stored as 'initial' when that is given (ttl applies then).
 *                NOT_A_NUMBER when the stored value is none or the sum overflows. Keeps the expiry of an existing item.
 * APPEND         adds value's bytes at the end: OK, NOT_FOUND, TOO_LARGE. Keeps the expiry.
 * TOUCH          sets the expiry by ttl (HAS_TTL needed): OK, NOT_FOUND
 * GET_AND_TOUCH  both
 * EXISTS         OK (with the version, no value), NOT_FOUND
 * TTL            reply value = remaining milliseconds u64, or WIRE_TTL_NEVER: OK, NOT_FOUND
 */
enum wire_opcode {
	WIRE_GET = 1,
	WIRE_SET = 2,
	WIRE_DELETE = 3,
	WIRE_ADD = 4,
	WIRE_REPLACE = 5,
	WIRE_CAS = 6,
	WIRE_INCREMENT = 7,
	WIRE_APPEND = 8,
	WIRE_TOUCH = 9,
	WIRE_GET_AND_TOUCH = 10,
	WIRE_EXISTS = 11,
	WIRE_TTL = 12,
	WIRE_OPCODE_COUNT = 13,
};
#define WIRE_TTL_NEVER UINT64_MAX

#define WIRE_KEY_SIZE_MAX 250u

enum wire_status {
	WIRE_OK = 0,
	WIRE_NOT_FOUND = 1,
	WIRE_EXISTS_ALREADY = 2,
	WIRE_VERSION_MISMATCH = 3,
	WIRE_NOT_A_NUMBER = 4,
	WIRE_TOO_LARGE = 5,
	WIRE_NO_SPACE = 6,
	WIRE_BAD_REQUEST = 7,
	WIRE_UNSUPPORTED = 8,
	WIRE_NOT_OWNER = 9,    /* value = owner: ipv4 u32, port u16, reserved u16, epoch u32 (WIRE_OWNER_SIZE bytes) */
	WIRE_RETRY = 10,       /* value = microseconds to wait, u32 */
	WIRE_UNAVAILABLE = 11, /* no owner may answer now */
	WIRE_NEED_HELLO = 12,  /* never on the wire as a status: a REPLY with op_count 0 */
	WIRE_STATUS_COUNT = 13,
};
#define WIRE_OWNER_SIZE 12u

/* The replies of a request must fit one datagram: a REQUEST with
 * WIRE_HEADER_SIZE + op_count * WIRE_REPLY_OP_SIZE (+ 8 per INCREMENT and TTL) > datagram_size_max is BAD_REQUEST as a whole.
 * The values of NOT_OWNER and RETRY are left out when they do not fit beside the other replies: the client then asks for the map, or
 * chooses how long to wait.
 *
 * A REQUEST that a valid session sent but that cannot be parsed (an operation overruns, a bad key size, trailing bytes) is refused
 * whole: one reply operation with opcode 0 and BAD_REQUEST. An unknown opcode or flag: UNSUPPORTED for that operation alone.
 */

/* What the replay window remembers. RETRY, NOT_OWNER and UNAVAILABLE say that this operation was not executed.
 * When every write of a datagram was answered RETRY, nothing is remembered: the client waits and sends the same bytes again. Any other reply
 * to a datagram with a write is remembered for its sequence, and the client asks the refused operations again under a new sequence; so
 * neither a late duplicate nor a new question executes a write twice. That holds for NOT_OWNER too: a copy that arrives when the node owns
 * the partition again, or forwards, gets the same NOT_OWNER.
 */

/* Of replies of writes that are longer than one operation with a number, a node remembers the last so many bytes for each session at
 * least. A client keeps those that may be asked for again within them, and within replay_window sequences.
 */
#define WIRE_REPLAY_BYTES_MIN 24576u
#define WIRE_REPLAY_SMALL_REPLY_SIZE (WIRE_REPLY_OP_SIZE + 8u)

/* A client sends a request again, with the same sequence, no later than this after the first time: as long as a node keeps an idle
 * session's window at least.
 */
#define WIRE_RETRANSMIT_MS_MAX 25000u

/* FORWARD and FORWARD_REPLY, between nodes only. The header has the token of the two nodes' session and session_id 0, sequence 0; the body
 * says for whom, and is sent back as it came but for the flags; the client's datagram, or the one for the client, follows.
 *
 *      0              4             6            8            14          15      16              20         24
 *      +--------------+-------------+------------+------------+-----------+-------+---------------+----------+-----------
 *      | client_ipv4  | client_port | entry_port | client_mac | hop_count | flags | ownership u32 | reserved | datagram
 *      +--------------+-------------+------------+------------+-----------+-------+---------------+----------+-----------
 *
 * entry_port is the port that the client sent to, client_mac the station that its frame came from. hop_count is 1: nobody forwards twice.
 * ownership is the sum of the epochs by which the sender routed, one for each operation. The receiver executes writes only if it owns all
 * their partitions at epochs of the same sum.
 */
#define WIRE_FORWARD_BODY_SIZE 24u
/* What forwarding adds to a datagram: the largest that a node takes leaves room for it in a frame. */
#define WIRE_FORWARD_SIZE (WIRE_HEADER_SIZE + WIRE_FORWARD_BODY_SIZE)

enum wire_forward_flag {
	WIRE_FORWARD_WRITES = 0x01,            /* an operation writes */
	WIRE_FORWARD_CHECKSUM_ABSENT = 0x02,   /* the client gave no UDP checksum */
	WIRE_FORWARD_OPEN = 0x04,              /* in replies: nothing is remembered, the same bytes may come again */
};

/* MAP_REQUEST body: 0 first_partition u16 | 2 zeros to WIRE_MAP_REQUEST_BODY_SIZE. Needs a session.
 * MAP_REPLY body:   0 partition_count u16 | 2 first_partition u16 | 4 owner_count u16 | 6 node_count u16 |
 *                   8 node_count x { ipv4 u32, base_port u16, worker_count u16 } | owner_count x u16 index into the nodes
 * As many partitions as fit; ask again from first_partition + owner_count. The index WIRE_MAP_NO_OWNER means nobody owns it.
 * Partition p of a node is served best at port base_port + p % worker_count.
 */
#define WIRE_MAP_REQUEST_BODY_SIZE 8u
#define WIRE_MAP_REPLY_BODY_SIZE 8u
#define WIRE_MAP_NODE_SIZE 8u
#define WIRE_MAP_NO_OWNER 0xffffu

static_assert(WIRE_AT_MAP_VERSION + 4 == WIRE_HEADER_SIZE, "the header ends with map_version");
static_assert(WIRE_HELLO_BODY_SIZE >= 44, "HELLO_REPLY needs 44 bytes");

#endif
