# SPDX-License-Identifier: BSD-3-Clause
"""What a node must do with any frame: the one counter it raises and the answer it gets. Written from docs/protocol.md, as
a second opinion on the C code."""

import socket
import struct

import frame as eth
import wire
from wire import HEADER

WINDOW = 1024
ANSWER_KINDS = {wire.HELLO: wire.HELLO_REPLY, wire.REQUEST: wire.REPLY, wire.MAP_REQUEST: wire.MAP_REPLY, wire.PING: wire.PONG}
# Bytes after the header that a kind needs at least.
BODY_SIZE_MIN = {wire.HELLO: 64, wire.HELLO_REPLY: 64, wire.REQUEST: 0, wire.REPLY: 0, wire.FORWARD: 48,
                 wire.FORWARD_REPLY: 48, wire.MAP_REQUEST: 8, wire.MAP_REPLY: 8, wire.PING: 0, wire.PONG: 0}
# Opcode: flags allowed, flags needed, sizes of value (None = any).
RULES = {1: (0, 0, (0,)), 2: (2, 0, None), 3: (1, 0, (0,)), 4: (2, 0, None), 5: (2, 0, None), 6: (3, 1, None),
         7: (2, 0, (8, 16)), 8: (0, 0, None), 9: (2, 2, (0,)), 10: (2, 2, (0,)), 11: (0, 0, (0,)), 12: (0, 0, (0,))}
READS = (1, 11, 12)
WITH_NUMBER = (7, 12)


class Fate:
    """One counter; 'kind' of the answer datagram, or "arp", "icmp", or None for silence."""

    def __init__(self, counter, kind=None, proven=False, statuses=None, same_as=None):
        self.counter = counter
        self.kind = kind
        self.proven = proven  # its sender has proved its address
        self.statuses = statuses  # of a REPLY: (opcode, status) of each; status None = whatever it may be
        self.same_as = same_as  # the Fate of the request it is a copy of
        self.answer = None  # the payload it got
        self.forgotten = False  # the node has no room to remember what it answered
        self.unsure = False  # whether there is an answer depends on the node's pace

    def __repr__(self):
        return f"{self.counter}, answer {self.kind}, statuses {self.statuses}"


def drop(reason):
    return Fate("drop_" + reason)


class Session:
    def __init__(self, session_id, token):
        self.session_id = session_id
        self.token = token
        self.window = {}  # sequence % WINDOW -> (sequence, Fate)


class Node:
    """A model of one node and of what it has granted."""

    def __init__(self, mac, address, base_port=7700, workers=1, payload_size_max=1472):
        self.mac = mac
        self.address = socket.inet_aton(address)
        self.base_port = base_port
        self.workers = workers
        self.payload_size_max = payload_size_max  # of a frame
        self.datagram_size_max = payload_size_max - 48  # room to forward it
        self.sessions = {}  # (ipv4, port) -> Session
        self.sessions_max = 2**24
        self.challenges = set()  # (ipv4, port, worker port, nonce, challenge)

    # ---- frames ----

    def judge(self, frame):
        if len(frame) > self.payload_size_max + 42:
            return drop("frame_oversized")
        ethertype = eth.word(frame, 12)
        if frame[:6] != self.mac and not (ethertype == eth.ARP and frame[:6] == eth.BROADCAST):
            return drop("foreign_mac")
        if frame[6] & 1:
            return drop("bad_source_mac")
        if ethertype in (eth.VLAN, eth.QINQ):
            return drop("vlan")
        if ethertype == eth.IPV4:
            return self.judge_ipv4(frame)
        if ethertype == eth.ARP:
            return self.judge_arp(frame)
        return drop("foreign_ethertype")

    def judge_arp(self, frame):
        if len(frame) < 42:
            return drop("short_frame")
        operation = eth.word(frame, 20)
        if frame[14:20] != b"\0\1\x08\0\6\4" or operation not in (1, 2):
            return drop("arp_bad")
        if frame[38:42] != self.address:
            return drop("arp_foreign_address")
        return Fate("arp_requests", "arp") if operation == 1 else drop("arp_unasked")

    def judge_ipv4(self, frame):
        if len(frame) < 34:
            return drop("short_frame")
        if not 0x45 <= frame[14] <= 0x4f:
            return drop("ipv4_bad_header")
        if frame[14] != 0x45:
            return drop("ipv4_options")
        size = eth.word(frame, 16)
        if size < 20 or size > len(frame) - 14:
            return drop("ipv4_bad_length")
        if eth.checksum(frame[14:34]):
            return drop("ipv4_bad_checksum")
        if frame[30:34] != self.address:
            return drop("foreign_address")
        if frame[26] in (0, 127) or frame[26] >= 224 or frame[26:30] == self.address:
            return drop("ipv4_bad_source")
        if eth.word(frame, 20) & 0x3fff:
            return drop("ipv4_fragment")
        if frame[23] == eth.UDP:
            return self.judge_udp(frame, size - 20)
        if frame[23] == eth.ICMP:
            return self.judge_icmp(frame[34:14 + size])
        return drop("foreign_protocol")

    @staticmethod
    def judge_icmp(message):
        if len(message) < 8:
            return drop("icmp_short")
        if eth.checksum(message):
            return drop("icmp_bad_checksum")
        if message[:2] != b"\x08\0":
            return drop("icmp_not_echo")
        return Fate("icmp_echoes", "icmp")

    def judge_udp(self, frame, room):
        size = eth.word(frame, 38) if room >= 8 else 0
        if not 8 <= size <= room:
            return drop("udp_bad_length")
        if frame[40:42] != b"\0\0" and eth.udp_checksum(frame[14:], size):
            return drop("udp_bad_checksum")
        if not self.base_port <= eth.word(frame, 36) < self.base_port + self.workers:
            return drop("udp_foreign_port")
        if eth.word(frame, 34) == 0:
            return drop("udp_no_source_port")
        return self.judge_datagram(frame[42:34 + size], (frame[26:30], eth.word(frame, 34)), eth.word(frame, 36))

    # ---- datagrams ----

    def judge_datagram(self, payload, sender, port):
        if len(payload) < HEADER.size:
            return drop("wire_short")
        if payload[0] != 0x47:
            return drop("wire_bad_magic")
        if payload[1] != 1:
            return drop("wire_bad_version")
        kind = payload[2]
        if kind not in BODY_SIZE_MIN:
            return drop("wire_unknown_kind")
        if len(payload) < HEADER.size + BODY_SIZE_MIN[kind]:
            return drop("wire_short")
        if payload[3] and kind not in (wire.REQUEST, wire.REPLY):
            return drop("wire_bad_op_count")
        if kind in (wire.FORWARD, wire.FORWARD_REPLY):
            return drop("forward_foreign")
        if kind not in ANSWER_KINDS:
            return drop("wire_unexpected_kind")
        if kind == wire.PING:
            return Fate("pings", wire.PONG)
        if kind == wire.HELLO:
            nonce, challenge = struct.unpack_from(">QQ", payload, HEADER.size)
            known = (*sender, port, nonce, challenge) in self.challenges
            if known and sender not in self.sessions and len(self.sessions) >= self.sessions_max:
                return drop("session_table_full")
            return Fate("hellos_granted" if known else "hellos_challenged", wire.HELLO_REPLY)
        session = self.sessions.get(sender)
        if not session or payload[4:16] != struct.pack(">IQ", session.session_id, session.token):
            return Fate("need_hellos", wire.REPLY, statuses=[])
        if kind == wire.MAP_REQUEST:
            return Fate("map_requests", wire.MAP_REPLY, proven=True)
        return self.judge_request(payload, session)

    def judge_request(self, payload, session):
        operations = read_operations(payload)
        if not operations or HEADER.size + sum(16 + 8 * (o in WITH_NUMBER) for o, _ in operations) > self.datagram_size_max:
            return Fate("requests_refused", wire.REPLY, proven=True, statuses=[(0, "BAD_REQUEST")])
        fate = Fate("requests", wire.REPLY, proven=True, statuses=operations)
        if all(opcode in READS or opcode not in RULES for opcode, _ in operations):
            return fate
        sequence = struct.unpack_from(">I", payload, 16)[0]
        newest, first = session.window.get(sequence % WINDOW, (0, None))
        if sequence == 0 or sequence < newest:
            return drop("replay_old")
        if sequence == newest and first.forgotten:
            return drop("replay_forgotten")
        if sequence == newest:
            return Fate("requests_repeated", wire.REPLY, proven=True, same_as=first)
        session.window[sequence % WINDOW] = (sequence, fate)
        return fate

    # ---- what answers tell ----

    def learn(self, sender, port, answer):
        """A HELLO_REPLY that came from the node's 'port' for 'sender'."""
        nonce, challenge = struct.unpack_from(">QQ", answer, HEADER.size)
        if answer[HEADER.size + 16] == 1:
            self.challenges.add((*sender, port, nonce, challenge))
            return
        session_id, token = struct.unpack_from(">IQ", answer, 4)
        held = self.sessions.get(sender)
        if not held or held.token != token:
            self.sessions[sender] = Session(session_id, token)


def read_operations(payload):
    """[(opcode, status or None)] of a REQUEST, or None when it cannot be read."""
    at = HEADER.size
    operations = []
    for _ in range(payload[3]):
        if at + 8 > len(payload):
            return None
        opcode, flags, key_size, value_size = struct.unpack_from(">BBHI", payload, at)
        at += 8 + 8 * (flags & 1) + 2 * (flags & 2) + key_size + value_size
        if not 1 <= key_size <= 250 or at > len(payload):
            return None
        operations.append((opcode, status_of(opcode, flags, value_size)))
    return operations if at == len(payload) else None


def status_of(opcode, flags, value_size):
    if opcode not in RULES or flags & ~3:
        return "UNSUPPORTED"
    allowed, needed, sizes = RULES[opcode]
    if flags & ~allowed or needed & ~flags or (sizes is not None and value_size not in sizes):
        return "BAD_REQUEST"
    return None


# ---- answers ----

def sender_of(frame):
    return frame[26:30], eth.word(frame, 34)


def answer_key(frame):
    """What tells to which question an answer belongs."""
    if eth.word(frame, 12) == eth.ARP:
        return frame[:6], eth.ARP, frame[38:42]
    return frame[:6], frame[23], frame[30:34], eth.word(frame, 36) if frame[23] == eth.UDP else 0


def question_key(frame):
    """answer_key() of the answer to this frame."""
    if eth.word(frame, 12) == eth.ARP:
        return frame[6:12], eth.ARP, frame[28:32]
    return frame[6:12], frame[23], frame[26:30], eth.word(frame, 34) if frame[23] == eth.UDP else 0


def problem(node, frame, fate, answer):
    """What is wrong with the answer to a frame, "" when nothing is."""
    if not fate.proven and len(answer) > len(frame):
        return f"{len(answer)} bytes for {len(frame)}"
    if answer[6:12] != node.mac:
        return "a foreign source MAC"
    if fate.kind == "arp":
        good = answer[12:20] == frame[12:20] and answer[20:22] == b"\0\2" and answer[22:28] == node.mac \
            and answer[28:32] == node.address and answer[32:38] == frame[22:28]
        return "" if good and len(answer) >= 42 else "a bad ARP reply"
    if answer[14] != 0x45 or eth.checksum(answer[14:34]) or answer[26:34] != node.address + frame[26:30]:
        return "a bad IPv4 header"
    if fate.kind == "icmp":
        end = 14 + eth.word(frame, 16)
        good = answer[34:36] == b"\0\0" and not eth.checksum(answer[34:end]) and answer[38:end] == frame[38:end]
        return "" if good and eth.word(answer, 16) == end - 14 else "a bad echo reply"
    return udp_problem(frame, fate, answer)


def udp_problem(frame, fate, answer):
    size = eth.word(answer, 38)
    if answer[34:38] != frame[36:38] + frame[34:36] or eth.word(answer, 16) != size + 20 or len(answer) < size + 34:
        return "bad ports or lengths"
    if (answer[40:42] == b"\0\0") != (frame[40:42] == b"\0\0"):
        return "a checksum where there was none, or none"
    if answer[40:42] != b"\0\0" and eth.udp_checksum(answer[14:], size):
        return "a bad UDP checksum"
    return datagram_problem(frame[42:34 + eth.word(frame, 38)], fate, answer[42:34 + size])


def datagram_problem(payload, fate, answer):
    if answer[:3] != bytes((0x47, 1, fate.kind)):
        return f"kind {answer[2]}"
    if fate.kind == wire.PONG:
        return "" if answer[3:] == payload[3:] else "another payload"
    if answer[16:20] != payload[16:20]:
        return "another sequence"
    if fate.kind == wire.HELLO_REPLY:
        stage = 2 if fate.counter == "hellos_granted" else 1
        return "" if answer[24:32] == payload[24:32] and answer[40] == stage and len(answer) == 88 else "a bad HELLO_REPLY"
    if answer[4:16] != payload[4:16]:
        return "another session"
    if fate.kind == wire.MAP_REPLY:
        return ""
    if fate.same_as:
        return "" if fate.same_as.answer in (None, answer) else "another reply than the first"
    replies = [(r.opcode, r.status) for r in wire.parse_replies(answer)]
    good = len(replies) == len(fate.statuses) and all(
        opcode == o and status in (s, s or status) for (o, s), (opcode, status) in zip(fate.statuses, replies))
    return "" if good else f"replies {replies}"
