/* SPDX-License-Identifier: BSD-3-Clause */
/* What one worker core counts: one table, from which the enum, the names and the help texts come. */
#ifndef DATAPLANE_CORE_COUNTERS_H
#define DATAPLANE_CORE_COUNTERS_H

#include <assert.h>
#include <stdint.h>

#include "dataplane/counter_table.h"
#include "dataplane/drop_reason.h"
#include "dataplane/wire_format.h"

/* X(CONSTANT, name, help). The drop reasons of drop_reason.h follow, each as drop_<name>. Every frame received ends as exactly one
 * of: answered (frames_transmitted), a drop, or drop_tx_full.
 */
#define CORE_COUNTERS(X)                                                                           \
	X(FRAMES_RECEIVED, frames_received, "frames taken from the port")                          \
	X(FRAMES_TRANSMITTED, frames_transmitted, "frames the port took")                          \
	X(BYTES_RECEIVED, bytes_received, "bytes of the frames taken from the port")               \
	X(BYTES_TRANSMITTED, bytes_transmitted, "bytes of the frames the port took")               \
	X(ARP_REQUESTS, arp_requests, "ARP requests answered")                                     \
	X(ARP_QUESTIONS, arp_questions, "ARP requests sent to reach other nodes")                  \
	X(ARP_LEARNED, arp_learned, "ARP replies of other nodes")                                  \
	X(ICMP_ECHOES, icmp_echoes, "ICMP echo requests answered")                                 \
	X(HELLOS_CHALLENGED, hellos_challenged, "HELLOs answered with a challenge")                \
	X(HELLOS_GRANTED, hellos_granted, "HELLOs answered with a session")                        \
	X(NEED_HELLOS, need_hellos, "requests without a valid session told so")                    \
	X(PINGS, pings, "PINGs answered")                                                          \
	X(MAP_REQUESTS, map_requests, "MAP_REQUESTs answered")                                     \
	X(REQUESTS, requests, "REQUESTs executed")                                                 \
	X(REQUESTS_REFUSED, requests_refused, "REQUESTs answered BAD_REQUEST as a whole")          \
	X(REQUESTS_REPEATED, requests_repeated, "copies of a write answered with the first reply") \
	X(FORWARDS_SENT, forwards_sent, "requests forwarded to the node that owns their keys")     \
	X(FORWARDS_RECEIVED, forwards_received, "requests that other nodes forwarded to this one") \
	X(FORWARDS_STALE, forwards_stale, "of those, by an ownership that is over or yet to come") \
	X(FORWARD_REPLIES, forward_replies, "answers of other nodes passed on to clients")         \
	X(REQUESTS_PARKED, requests_parked, "requests that waited for the end of a migration")     \
	X(PARKED_REFUSED, parked_refused, "of those, answered RETRY: too many, or for too long")   \
	X(LOCAL_ANSWERS, local_answers, "answers to requests of the node's own control thread")    \
	X(HANDED_TO_PORT, handed_to_port, "datagrams passed to the worker of their UDP port")      \
	X(HANDED_TO_OWNER, handed_to_owner, "writes passed to the worker of their partition")      \
	X(HANDED_TO_QUEUE, handed_to_queue, "replies passed to a worker that has a queue")         \
	X(HANDED_RECEIVED, handed_received, "packets received from other workers and control")                 \
	X(OP_GET, op_get, "GETs executed")                                                         \
	X(OP_SET, op_set, "SETs executed")                                                         \
	X(OP_DELETE, op_delete, "DELETEs executed")                                                \
	X(OP_ADD, op_add, "ADDs executed")                                                         \
	X(OP_REPLACE, op_replace, "REPLACEs executed")                                             \
	X(OP_CAS, op_cas, "CASes executed")                                                        \
	X(OP_INCREMENT, op_increment, "INCREMENTs executed")                                       \
	X(OP_APPEND, op_append, "APPENDs executed")                                                \
	X(OP_TOUCH, op_touch, "TOUCHes executed")                                                  \
	X(OP_GET_AND_TOUCH, op_get_and_touch, "GET_AND_TOUCHes executed")                          \
	X(OP_EXISTS, op_exists, "EXISTSes executed")                                               \
	X(OP_TTL, op_ttl, "TTLs executed")                                                         \
	X(GET_MISSES, get_misses, "GETs and GET_AND_TOUCHes that found nothing")                   \
	X(STATUS_OK, status_ok, "operations answered OK")                                          \
	X(STATUS_NOT_FOUND, status_not_found, "operations answered NOT_FOUND")                     \
	X(STATUS_EXISTS, status_exists, "operations answered EXISTS")                              \
	X(STATUS_VERSION_MISMATCH, status_version_mismatch,                                        \
	  "operations answered VERSION_MISMATCH")                                                  \
	X(STATUS_NOT_A_NUMBER, status_not_a_number, "operations answered NOT_A_NUMBER")            \
	X(STATUS_TOO_LARGE, status_too_large, "operations answered TOO_LARGE")                     \
	X(STATUS_NO_SPACE, status_no_space, "operations answered NO_SPACE: memory is full")        \
	X(STATUS_BAD_REQUEST, status_bad_request, "operations answered BAD_REQUEST")               \
	X(STATUS_UNSUPPORTED, status_unsupported, "operations answered UNSUPPORTED")               \
	X(STATUS_NOT_OWNER, status_not_owner, "operations answered NOT_OWNER")                     \
	X(STATUS_RETRY, status_retry, "operations answered RETRY")                                 \
	X(STATUS_UNAVAILABLE, status_unavailable, "operations answered UNAVAILABLE")               \
	X(HEARTBEATS, heartbeats, "turns of the polling loop")                                     \
	X(BUSY_TURNS, busy_turns, "turns that found a packet")                                     \
	X(SLEEPS, sleeps, "short sleeps for want of packets")

enum core_counter {
#define CORE_COUNTER_ENUM(constant, name, help) COUNT_##constant,
	CORE_COUNTERS(CORE_COUNTER_ENUM)
#undef CORE_COUNTER_ENUM
		COUNT_DROP_FIRST, /* COUNT_DROP_FIRST + enum drop_reason - 1 */
	CORE_COUNTER_COUNT = COUNT_DROP_FIRST + DROP_REASON_COUNT - 1,
};

/* Counters by opcode and by status stand in the order of their numbers. */
static_assert(COUNT_OP_GET + WIRE_TTL - WIRE_GET == COUNT_OP_TTL,
	      "op_* in the order of enum wire_opcode");
static_assert(COUNT_STATUS_OK + WIRE_UNAVAILABLE == COUNT_STATUS_UNAVAILABLE,
	      "status_* in the order of enum wire_status");

/* Thread safety: the owner core adds; any thread reads single counters, which are naturally atomic. */
struct core_counters {
	_Alignas(64) uint64_t values[CORE_COUNTER_COUNT];
};

static inline void core_count_add(struct core_counters *counters, uint32_t counter, uint64_t count)
{
	__atomic_store_n(&counters->values[counter], counters->values[counter] + count,
			 __ATOMIC_RELAXED);
}

static inline void core_count(struct core_counters *counters, uint32_t counter)
{
	core_count_add(counters, counter, 1);
}

/* 'opcode' is a known one. */
static inline void core_count_op(struct core_counters *counters, uint8_t opcode)
{
	core_count(counters, COUNT_OP_GET + (uint32_t)opcode - WIRE_GET);
}

/* 'reason' is not DROP_NONE. */
static inline void core_count_drop(struct core_counters *counters, enum drop_reason reason)
{
	core_count(counters, COUNT_DROP_FIRST + (uint32_t)reason - 1);
}

static inline uint64_t core_counter_read(const struct core_counters *counters, uint32_t counter)
{
	return __atomic_load_n(&counters->values[counter], __ATOMIC_RELAXED);
}

/* Of struct core_counters; its rows stand in the order of enum core_counter. */
extern const struct counter_table core_counter_table;

#endif
