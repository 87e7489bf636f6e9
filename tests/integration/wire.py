# SPDX-License-Identifier: BSD-3-Clause
"""The data-plane protocol over a kernel UDP socket, written from docs/protocol.md alone: a second opinion on the C code."""

import random
import socket
import struct
import time

HEADER = struct.Struct(">BBBBIQII")
HELLO, HELLO_REPLY, REQUEST, REPLY, FORWARD, FORWARD_REPLY, MAP_REQUEST, MAP_REPLY, PING, PONG = range(1, 11)
OPCODES = {name: number for number, name in enumerate(
    "GET SET DELETE ADD REPLACE CAS INCREMENT APPEND TOUCH GET_AND_TOUCH EXISTS TTL".split(), 1)}
STATUSES = ("OK NOT_FOUND EXISTS VERSION_MISMATCH NOT_A_NUMBER TOO_LARGE NO_SPACE BAD_REQUEST UNSUPPORTED "
            "NOT_OWNER RETRY UNAVAILABLE").split()
HAS_VERSION, HAS_TTL = 1, 2
TTL_NEVER = 2**64 - 1


def header(kind, op_count=0, session=0, token=0, sequence=0, map_version=0, magic=0x47, version=1):
    return HEADER.pack(magic, version, kind, op_count, session, token, sequence, map_version)


def hello(nonce, challenge=0):
    return header(HELLO) + struct.pack(">QQ48x", nonce, challenge)


def operation(name, key, value=b"", ttl_ms=None, version=None, flags=None):
    """The bytes of one request operation."""
    extra = b""
    bits = 0
    if version is not None:
        bits |= HAS_VERSION
        extra += struct.pack(">Q", version)
    if ttl_ms is not None:
        bits |= HAS_TTL
        extra += struct.pack(">I", ttl_ms)
    opcode = OPCODES.get(name, name)
    return struct.pack(">BBHI", opcode, bits if flags is None else flags, len(key), len(value)) + extra + key + value


class Reply:
    """One reply operation."""

    def __init__(self, opcode, status, version, value):
        self.opcode = opcode
        self.status = STATUSES[status]
        self.version = version
        self.value = value

    def number(self):
        return struct.unpack(">q", self.value)[0]

    def __repr__(self):
        return f"{self.status} version={self.version} value={self.value[:40]!r}"


def parse_replies(datagram):
    """The replies in a REPLY datagram; every byte must be accounted for."""
    kind, count = datagram[2], datagram[3]
    assert kind == REPLY, f"kind {kind}"
    at = HEADER.size
    replies = []
    for _ in range(count):
        opcode, status, zero, size, version = struct.unpack_from(">BBHIQ", datagram, at)
        assert zero == 0
        at += 16
        assert at + size <= len(datagram)
        replies.append(Reply(opcode, status, version, datagram[at:at + size]))
        at += size
    assert at == len(datagram), "bytes behind the last reply"
    return replies


class NeedHello(Exception):
    """The node does not know the session."""


class Client:
    """One session with one node."""

    def __init__(self, address, port=7700, timeout=2.0):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(timeout)
        self.address = (address, port)
        self.sequence = 0
        self.session = self.token = 0

    def send(self, datagram, port=None):
        self.socket.sendto(datagram, (self.address[0], port or self.address[1]))

    def receive(self):
        return self.socket.recvfrom(65536)[0]

    def ask(self, datagram, port=None, tries=5):
        """Sends until something answers, as UDP may lose."""
        for attempt in range(tries):
            self.send(datagram, port)
            try:
                return self.receive()
            except socket.timeout:
                if attempt + 1 == tries:
                    raise
        return None

    def open(self):
        """HELLO twice; returns self."""
        nonce = random.getrandbits(64)
        challenge = 0
        for stage in (1, 2):
            head, body = self.greet(nonce, challenge, stage)
            challenge = body[1]
        self.session, self.token = head[4], head[5]
        self.worker_count, self.partition_count, self.value_size_max, self.datagram_size_max = body[4:8]
        self.boot_id = body[8]
        return self

    def greet(self, nonce, challenge, stage, tries=10):
        """Header and body of the answer to a HELLO; answers to copies of an earlier one may come first."""
        for _ in range(tries):
            answer = self.ask(hello(nonce, challenge))
            head = HEADER.unpack_from(answer)
            assert head[2] == HELLO_REPLY
            body = struct.unpack_from(">QQBBHHHIQHHI", answer, HEADER.size)
            assert body[0] == nonce
            if body[2] == stage:
                return head, body
        raise AssertionError(f"stage {body[2]} instead of {stage}")

    def request(self, *operations, sequence=None):
        """The bytes of a REQUEST; takes the next sequence unless one is given."""
        if sequence is None:
            self.sequence += 1
            sequence = self.sequence
        return header(REQUEST, len(operations), self.session, self.token, sequence) + b"".join(operations)

    def execute(self, *operations, port=None):
        """The replies to operations in one datagram."""
        answer = self.ask(self.request(*operations), port)
        if answer[3] == 0:
            raise NeedHello()
        return parse_replies(answer)

    def pipeline(self, batches, in_flight=64):
        """The replies to many datagrams, each a list of operations, with some of them in flight at once. Sends the same bytes
        again when no answer comes, or RETRY."""
        batches = list(batches)
        replies = [None] * len(batches)
        waiting = {}  # sequence -> [index, datagram, when to send again]
        begun = 0
        while begun < len(batches) or waiting:
            # what is unanswered must stay in the node's window
            while begun < len(batches) and len(waiting) < in_flight and self.sequence - min(waiting, default=self.sequence) < 1000:
                datagram = self.request(*batches[begun])
                waiting[self.sequence] = [begun, datagram, 0.0]
                begun += 1
            self.send_due(waiting)
            self.take_answer(waiting, replies)
        return replies

    def send_due(self, waiting):
        now = time.monotonic()
        for entry in waiting.values():
            if now >= entry[2]:
                self.send(entry[1])
                entry[2] = now + 0.3

    def take_answer(self, waiting, replies):
        self.socket.settimeout(0.02)
        try:
            answer = self.receive()
        except (socket.timeout, BlockingIOError):
            return
        entry = waiting.get(struct.unpack_from(">I", answer, 16)[0])
        if entry is None:
            return  # an answer to a copy
        if answer[3] == 0:
            raise NeedHello()
        parsed = parse_replies(answer)
        if all(reply.status == "RETRY" for reply in parsed):
            entry[2] = time.monotonic() + 0.002
            return
        replies[entry[0]] = parsed
        del waiting[struct.unpack_from(">I", answer, 16)[0]]

    def do(self, name, key, value=b"", port=None, **options):
        """The reply to one operation."""
        return self.execute(operation(name, key, value, **options), port=port)[0]
