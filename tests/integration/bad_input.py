# SPDX-License-Identifier: BSD-3-Clause
"""Thousands of kinds of bad input against a real node, each with the fate that fate.py foretells: exactly one counter, and the
right answer or none. Usage: bad_input.py DEVICE WORKERS CASE...; the cases are run in their order against one node."""

import http.client
import json
import random
import socket
import struct
import subprocess
import sys
import time
from collections import Counter

import fate as fates
import frame as eth
import wire
from wire import operation

NODE = "10.77.0.2"
BATCH = 64  # frames between two looks at the counters; fewer than the interface queues
ANSWERED = ("arp_requests", "icmp_echoes", "hellos_challenged", "hellos_granted", "need_hellos", "pings", "map_requests",
            "requests", "requests_refused", "requests_repeated")
WITNESSES = {b"witness:%d" % i: b"unharmed %d " % i * (i % 60) for i in range(200)}


class Admin:
    """The node's status, over one HTTP connection."""

    def __init__(self):
        self.connection = http.client.HTTPConnection("127.0.0.1", 7780, timeout=20)

    def get(self, path):
        self.connection.request("GET", path)
        return json.load(self.connection.getresponse())

    def counters(self):
        return {c["name"]: c["value"] for c in self.get("/v1/counters")["counters"]}


class Prober:
    """Sends frames and compares what happens with what must happen."""

    def __init__(self, device, workers):
        self.device = device
        self.wire = eth.Wire(device)
        self.admin = Admin()
        self.rng = random.Random(7700)
        self.node = fates.Node(self.wire.resolve("198.19.255.255", NODE), NODE, workers=workers)
        self.bytes_in = Counter()  # of senders that have not proved their address, by it
        self.bytes_out = Counter()
        self.sent = 0
        self.addresses = 0

    # ---- frames ----

    def sender(self):
        """An address and port nobody had before."""
        self.addresses += 1
        return f"198.18.{self.addresses >> 8 & 255}.{self.addresses & 255}", self.rng.randrange(1024, 65536)

    def ethernet(self, packet, ethertype=eth.IPV4):
        return eth.ethernet(packet, self.node.mac, self.wire.mac, ethertype)

    def datagram(self, payload, sender=None, port=None):
        ipv4, source_port = sender or self.sender()
        port = port or 7700 + self.rng.randrange(self.node.workers)
        return self.ethernet(eth.udp(payload, ipv4, NODE, source_port, port))

    def echo(self, size=20):
        return self.ethernet(eth.icmp_echo(self.rng.randbytes(size), self.sender()[0], NODE))

    def arp(self, **fields):
        return self.ethernet(eth.arp(fields.pop("operation", 1), self.wire.mac, self.sender()[0],
                                     fields.pop("target", NODE), **fields), eth.ARP)

    def ping(self, size=16):
        return self.datagram(wire.header(wire.PING, 0, 1, 2, 3) + self.rng.randbytes(size))

    def hello(self):
        return self.datagram(wire.hello(self.rng.getrandbits(64)))

    def stranger(self):
        """A request whose session nobody was given."""
        return self.datagram(wire.header(wire.REQUEST, 1, self.rng.getrandbits(32), self.rng.getrandbits(64), 1) +
                             operation("SET", b"witness:1", b"harmed", ttl_ms=1))

    # ---- exchanges ----

    def send(self, what, frames):
        """Sends frames in batches and checks the fate of each; returns their Fates."""
        batch, judged = [], []
        for frame in frames:
            batch.append(frame)
            if len(batch) == BATCH:
                judged += self.exchange(what, batch)
                batch = []
        return judged + (self.exchange(what, batch) if batch else [])

    def exchange(self, what, batch):
        before = self.admin.counters()
        judged = [self.node.judge(frame) for frame in batch]
        for frame, fate in zip(batch, judged):
            # a copy may overtake the execution of the first, and is then dropped
            fate.unsure = fate.same_as in judged
            self.bytes_in[frame[26:30]] += 0 if fate.proven else len(frame)
            self.wire.send(frame)
        waiting = self.collect(what, batch, judged)
        after = self.settle(before, len(batch))
        overtaken = len(waiting)
        expected = Counter(fate.counter for fate in judged)
        actual = Counter({n: after[n] - before[n] for n in after if n in ANSWERED or n.startswith("drop_")})
        actual.subtract(drop_replay_in_progress=overtaken, requests_repeated=-overtaken)
        wrong = {n for n in {*actual, *expected} if actual[n] != expected[n]}
        suspects = "".join(f"\n{frame.hex()[:400]}\n    {fate}" for frame, fate in zip(batch, judged) if fate.counter in wrong)
        assert not wrong, f"{what}: expected {expected}, not {+actual} with {overtaken} overtaken; it is among{suspects}"
        self.sent += len(batch)
        return judged

    def settle(self, before, count):
        """The counters when the node has dealt with 'count' frames since 'before'."""
        end = time.monotonic() + 20
        while True:
            after = self.admin.counters()
            received = after["frames_received"] - before["frames_received"]
            drops = sum(after[n] - before[n] for n in after if n.startswith("drop_"))
            if received == count == after["frames_transmitted"] - before["frames_transmitted"] + drops:
                return after
            assert received <= count, f"{received} frames where {count} were sent: who else sends here?"
            assert time.monotonic() < end, f"{received} of {count} frames arrived, {drops} dropped"
            time.sleep(0.001)

    def collect(self, what, batch, judged):
        """Reads and checks the answers; returns the questions that are left, of which none is sure to get one."""
        waiting = [(frame, fate) for frame, fate in zip(batch, judged) if fate.kind]
        while waiting:
            is_sure = any(not fate.unsure for _, fate in waiting)
            answer = self.wire.receive(10 if is_sure else 0.05)
            if answer is None:
                break
            key = fates.answer_key(answer)
            asked = [question for question in waiting if fates.question_key(question[0]) == key]
            problems = [(fates.problem(self.node, *question, answer), question) for question in asked]
            assert asked, f"{what}: nobody asked for {answer.hex()[:400]}"
            good = next((question for problem, question in problems if not problem), None)
            assert good, f"{what}: {answer.hex()[:400]}: " + "".join(
                f"\n{problem}: to {frame.hex()[:400]}\n    {fate}" for problem, (frame, fate) in problems)
            waiting.remove(good)
            self.note(what, *good, answer)
        silent = "".join(f"\n{frame.hex()[:400]}\n    {fate}" for frame, fate in waiting if not fate.unsure)
        assert not silent, f"{what}: no answer to {silent}"
        return waiting

    def note(self, what, frame, fate, answer):
        """Remembers what an answer tells."""
        if fate.kind not in ("arp", "icmp"):
            fate.answer = answer[42:34 + eth.word(answer, 38)]
        if fate.kind == wire.HELLO_REPLY:
            self.node.learn(fates.sender_of(frame), eth.word(frame, 36), fate.answer)
        if not fate.proven:
            self.bytes_out[frame[26:30]] += len(answer)
            assert self.bytes_out[frame[26:30]] <= self.bytes_in[frame[26:30]], f"{what}: more out than in"

    def open_session(self, sender=None, port=7700):
        """A session of a sender by two HELLOs; the Session."""
        sender = sender or self.sender()
        nonce = self.rng.getrandbits(64)
        first, = self.send("HELLO", [self.datagram(wire.hello(nonce), sender, port)])
        challenge = struct.unpack_from(">Q", first.answer, 32)[0]
        self.send("HELLO", [self.datagram(wire.hello(nonce, challenge), sender, port)])
        session = self.node.sessions[socket.inet_aton(sender[0]), sender[1]]
        session.sender, session.sequence = sender, 0
        return session

    def request(self, session, operations, op_count=1, sequence=None):
        """A datagram of a session; 'operations' are bytes."""
        if sequence is None:
            session.sequence += 1
            sequence = session.sequence
        return self.datagram(wire.header(wire.REQUEST, op_count, session.session_id, session.token, sequence) + operations,
                             session.sender)


# ---- ways to be wrong ----

def truncated(frame):
    for size in range(eth.ETHERNET_SIZE, len(frame)):
        yield frame[:size]
        yield eth.repaired(shortened(frame[:size]))


def shortened(frame):
    """A cut frame whose lengths say that it is whole."""
    fixed = bytearray(frame)
    if len(frame) >= eth.AT_L4:
        fixed[16:18] = (len(frame) - 14).to_bytes(2, "big")
    if len(frame) >= eth.AT_PAYLOAD:
        fixed[38:40] = (len(frame) - 34).to_bytes(2, "big")
    return bytes(fixed)


def changed(rng, frame, end=None):
    """Each byte up to 'end' changed in five ways, with checksums as they were and made right."""
    for at in range(min(end or len(frame), len(frame))):
        for value in {0, 255, frame[at] ^ 1, frame[at] ^ 0x80, rng.randrange(256)} - {frame[at]}:
            wrong = frame[:at] + bytes([value]) + frame[at + 1:]
            yield wrong
            yield eth.repaired(wrong)


def with_field(frame, at, size, values):
    for value in values:
        yield eth.repaired(frame[:at] + (value % (1 << 8 * size)).to_bytes(size, "big") + frame[at + size:])


# ---- cases ----

def link_layer(p):
    """Ethernet, VLAN, IPv6, ARP."""
    packet = eth.udp(wire.header(wire.PING), "198.18.0.1", NODE, 4000, 7700)
    others = [eth.BROADCAST, bytes(6), p.wire.mac, eth.mac("01:00:5e:00:00:01"), eth.mac("33:33:00:00:00:01"),
              eth.mac("02:00:00:00:00:01")]
    frames = [eth.ethernet(packet, m, p.wire.mac) for m in others]
    frames += [eth.ethernet(packet, p.node.mac, m) for m in others]
    frames += [p.ethernet(packet, t) for t in (*range(0, 0x10000, 257), eth.VLAN, eth.QINQ, eth.IPV6, 0x88cc, 1500, 46)]
    tag = struct.pack(">HH", 7, eth.IPV4)
    frames += [p.ethernet(tag + packet, t) for t in (eth.VLAN, eth.QINQ)]
    frames += [p.ethernet(struct.pack(">IHBB", 6 << 28, len(packet) - 20, eth.UDP, 64) + bytes(32) + packet[20:], eth.IPV6)]
    frames += [p.ethernet(b"")[:14], p.ethernet(b"", eth.ARP), p.ethernet(b"", eth.VLAN), p.ethernet(b"", 0)]
    frames += [p.arp(operation=o) for o in range(20)] + [p.arp(hardware=h) for h in (0, 1, 6, 65535)]
    frames += [p.arp(protocol=t) for t in (0, eth.IPV6, 0x0800)] + [p.arp(sizes=s) for s in (0, 0x0604, 0x0406, 0xffff)]
    frames += [p.arp(target=t) for t in ("10.77.0.3", "0.0.0.0", "255.255.255.255")]
    frames += [p.ethernet(eth.arp(o, p.wire.mac, s, NODE), eth.ARP) for o in (1, 2) for s in ("0.0.0.0", NODE, "224.0.0.1")]
    frames += [p.arp() + bytes(n) for n in (1, 18, 400)]  # padded, as Ethernet does
    p.send("link layer", frames)
    p.send("ARP truncated", (p.arp()[:n] for n in range(14, 42)))
    p.send("ARP changed", changed(p.rng, p.arp()))


def network_layer(p):
    """IPv4, ICMP and UDP headers."""
    ping, echo = p.ping(), p.echo()
    p.send("versions", with_field(ping, 14, 1, range(256)))
    p.send("IPv4 lengths", with_field(ping, 16, 2, [*range(0, 100), 1500, 65535]))
    p.send("fragments", with_field(ping, 20, 2, [1 << b for b in range(16)] + [0x2001, 0x1fff, 0x3fff, 0xffff, 0xc000]))
    p.send("protocols", with_field(ping, 23, 1, range(256)))
    p.send("sources", with_field(ping, 26, 1, range(256)))
    p.send("own address as source", with_field(ping, 26, 4, [int.from_bytes(socket.inet_aton(NODE), "big"), 0, 2**32 - 1]))
    p.send("destinations", with_field(ping, 33, 1, range(256)))
    p.send("source ports", with_field(ping, 34, 2, (0, 1, 53, 7700, 65535)))
    p.send("ports", with_field(ping, 36, 2, [0, 1, 7699, *range(7700, 7720), 65535]))
    p.send("UDP lengths", with_field(ping, 38, 2, [*range(0, 80), 1480, 65535]))
    p.send("checksums", [ping[:at] + v.to_bytes(2, "big") + ping[at + 2:]
                         for at in (24, 40) for v in (0, 1, 0xfffe, 0xffff, *range(3, 0x10000, 4099))])
    p.send("options", [p.ethernet(eth.ipv4(bytes(8), p.sender()[0], NODE, options=bytes(4 * n))) for n in range(11)])
    p.send("ICMP", [eth.repaired(echo[:34] + bytes((t, c)) + echo[36:]) for t in range(0, 45) for c in (0, 1, 255)])
    p.send("padded", [frame + bytes(n) for frame in (p.ping(), p.echo()) for n in (1, 2, 60, 700)])
    p.send("sizes", [p.ping(n) for n in (0, 1, 2, 500, 1447, 1448)] + [p.echo(n) for n in (0, 1, 2, 1471, 1472)])
    for frame in (ping, echo, p.hello(), p.stranger()):
        p.send("truncated", truncated(frame))
        p.send("changed", changed(p.rng, frame, 110))


def without_session(p):
    """Datagrams of all kinds from senders that have not proved their address."""
    p.send("kinds", [p.datagram(wire.header(k, c) + bytes(n)) for k in range(256) for c, n in ((0, 0), (0, 64), (1, 64))])
    p.send("sizes", [p.datagram((wire.header(k) + bytes(1448))[:n]) for k in range(12) for n in (*range(0, 120, 3), 1472)])
    p.send("op_count", [p.datagram(wire.header(wire.REQUEST, c) + operation("GET", b"k") * c) for c in range(0, 150, 7)])
    p.send("FORWARD", [p.datagram(wire.header(k) + struct.pack(">4sHH6sBBII", bytes((10, 77, 0, 1)), 4000, 7700, bytes(6), hops, 1, 1, 0) +
                                  wire.header(wire.REQUEST, 1, 1, 2, 3) + operation("SET", b"witness:1", b"harmed"))
                       for k in (wire.FORWARD, wire.FORWARD_REPLY) for hops in (0, 1, 2, 255)])
    p.send("noise", [p.datagram(p.rng.randbytes(p.rng.randrange(1473))) for _ in range(300)])


def hellos(p):
    """Challenges that are forged, stolen or old; sessions that are guessed, stolen or used from elsewhere."""
    sender, nonce = p.sender(), p.rng.getrandbits(64)
    first, = p.send("HELLO", [p.datagram(wire.hello(nonce), sender, 7700)])
    challenge = struct.unpack_from(">Q", first.answer, 32)[0]
    p.send("guessed challenges", [p.datagram(wire.hello(nonce, challenge ^ 1 << bit), sender, 7700) for bit in range(64)])
    p.send("other nonces", [p.datagram(wire.hello(nonce ^ 1 << bit, challenge), sender, 7700) for bit in range(64)])
    p.send("challenges of others", [p.datagram(wire.hello(nonce, challenge), (sender[0], port), 7700)
                                    for port in (1, sender[1] ^ 1, 65535)])
    p.send("challenges of others", [p.datagram(wire.hello(nonce, challenge), (p.sender()[0], sender[1]), 7700)] * 2)
    p.send("sizes", [p.datagram((wire.hello(nonce, challenge) + bytes(200))[:n], p.sender()) for n in range(0, 288, 5)])
    p.send("grant", [p.datagram(wire.hello(nonce, challenge) + bytes(n), sender, 7700) for n in (0, 0, 100, 1384)])
    session = p.open_session(sender)
    request = wire.header(wire.REQUEST, 1, session.session_id, session.token, 1) + operation("SET", b"witness:2", b"harmed")
    p.send("stolen", [p.datagram(request, thief) for thief in ((sender[0], sender[1] ^ 1), p.sender(), (sender[0], 1))])
    p.send("guessed tokens", [p.datagram(request[:8] + (session.token ^ 1 << b).to_bytes(8, "big") + request[16:], sender)
                              for b in range(64)])
    p.send("guessed tokens", [p.datagram(request[:8] + t.to_bytes(8, "big") + request[16:], sender) for t in (0, 2**64 - 1)])
    p.send("guessed sessions", [p.datagram(request[:4] + (session.session_id ^ 1 << b).to_bytes(4, "big") + request[8:], sender)
                                for b in range(32)])
    old = wire.header(wire.REQUEST, 1, session.session_id, session.token, 1) + operation("GET", b"k")
    renewed = p.open_session(sender)
    assert renewed.token != session.token
    p.send("replaced session", [p.datagram(old, sender)])
    p.send("the new one", [p.request(renewed, operation("GET", b"k"))])


def in_session(p):
    """Requests of a valid session that cannot be read, or ask what is not allowed."""
    s = p.open_session()
    good = {name: operation(name, b"victim", *arguments) for name, arguments in {
        "GET": (), "SET": (b"value", 1000), "CAS": (b"value", 1000, 7), "INCREMENT": (bytes(8), 1000), "TOUCH": (b"", 1000),
        "DELETE": (b"", None, 7), "TTL": ()}.items()}
    for name, op in good.items():
        p.send(f"{name} truncated", [p.request(s, op[:n]) for n in range(len(op))])
        p.send(f"{name} after another, truncated", [p.request(s, operation("SET", b"victim", b"x") + op[:n], 2)
                                                    for n in range(len(op))])
        p.send(f"{name} changed", [p.request(s, wrong) for wrong in changed_operation(p.rng, op)])
    p.send("opcodes and flags", [p.request(s, operation(o, b"victim", v, flags=f)) for o in (*range(20), 127, 255)
                                 for f in (0, 1, 2, 3, 4, 128, 255) for v in (b"", bytes(12), bytes(16), bytes(28))])
    p.send("op_count", [p.request(s, operation("GET", b"k") * 9, c) for c in range(256)])
    p.send("replies that do not fit", [p.request(s, operation(o, b"k") * c, c) for c in (60, 61, 90, 91, 120, 130)
                                       for o in ("GET", "EXISTS", "TTL", "DELETE")])
    p.send("key sizes", [p.request(s, struct.pack(">BBHI", o, 0, k, v) + bytes(n)) for o in (1, 2, 7)
                         for k in (0, 1, 249, 250, 251, 255, 256, 65535)
                         for v in (0, 1, 8, 1000, 65535, 2**31 - 1, 2**31, 2**32 - 256, 2**32 - 1) for n in (k % 1400, 300)])
    p.send("bytes left behind", [p.request(s, op + bytes(n)) for op in good.values() for n in (1, 8, 9, 700)])
    p.send("nothing", [p.request(s, b"", 0), p.request(s, bytes(1), 0), p.request(s, bytes(8), 0)])
    p.send("map", [p.datagram(wire.header(wire.MAP_REQUEST, 0, s.session_id, s.token, 5) + first.to_bytes(2, "big") +
                              bytes(n), s.sender) for first in (0, 1, 63, 64, 65, 65535) for n in (0, 5, 6, 7, 1000)])
    p.send("kinds", [p.datagram(wire.header(k, c, s.session_id, s.token, 9) + bytes(70), s.sender)
                     for k in (*range(32), 255) for c in (0, 1)])


def changed_operation(rng, op):
    for at in range(len(op)):
        for value in {0, 1, 250, 255, op[at] ^ 1, op[at] ^ 0x80, rng.randrange(256)} - {op[at]}:
            yield op[:at] + bytes([value]) + op[at + 1:]


def replays(p):
    """Copies of writes, in every order, and sequences that were or never will be."""
    s = p.open_session()
    count = operation("INCREMENT", b"replayed", struct.pack(">qq", 1, 1))
    frames = [p.request(s, count) for _ in range(200)]
    copies = frames * 5
    p.rng.shuffle(copies)
    judged = p.send("writes", frames) + p.send("copies", copies)
    judged += p.send("doubled", [frame for frame in [p.request(s, count) for _ in range(100)] for _ in range(3)])
    judged += p.send("sequence 0", [p.request(s, count, sequence=0)] * 3)
    judged += p.send("ahead", [p.request(s, count, sequence=n) for n in (10**5, 2**31, 2**32 - 1, 2**31, 10**5, 2**32 - 1)])
    judged += p.send("behind", frames[:3] + [p.request(s, count, sequence=n) for n in range(301, 3000, 90)] + frames)
    read, = p.send("sum", [p.request(s, operation("GET", b"replayed"))])
    executed = sum(fate.counter == "requests" for fate in judged)
    value = int(wire.parse_replies(read.answer)[0].value)
    assert value == executed, f"{value} increments, {executed} requests executed"


def forgotten(p):
    """Long replies are kept for the last ones alone: a copy of an older write gets silence, not another execution."""
    s = p.open_session()
    frames = [p.request(s, operation("DELETE", b"absent") * 40, 40) for _ in range(60)]
    for fate in p.send("long replies", frames)[:5]:
        fate.forgotten = True  # 55 replies of 640 bytes came after it; 32 KB are kept
    p.send("old copies", frames[:5])
    p.send("new copies", frames[-40:])


def full_table(p):
    """Every session is in use (of --set data.sessions=16 the client has one): nobody else gets one, nobody loses his."""
    p.node.sessions_max = 15
    sessions = [p.open_session() for _ in range(15)]
    late, nonce = p.sender(), 5
    first, = p.send("HELLO", [p.datagram(wire.hello(nonce), late, 7700)])
    p.send("one too many", [p.datagram(wire.hello(nonce, struct.unpack_from(">Q", first.answer, 32)[0]), late, 7700)] * 9)
    p.send("those who have one", [p.request(s, operation("GET", b"k")) for s in sessions])


def rx_missed(p):
    return p.admin.get("/v1/status")["data"]["port"]["rx_missed"]


def jumbo(p):
    """Frames larger than the node's buffers, as only a misconfigured network delivers them."""
    subprocess.run(["ip", "link", "set", p.device, "mtu", "9000"], check=True)
    p.send("jumbo frames", [p.ping(size) for size in (1448, 1449, 1500, 1981, 1982)])
    before = rx_missed(p)
    for size in (1983, 4000, 8900):  # beyond the buffers, the device refuses and counts
        p.wire.send(p.ping(size))
    p.send("the next one", [p.ping(100)])
    deadline = time.monotonic() + 5  # the node asks its device now and then
    while rx_missed(p) < before + 3 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert rx_missed(p) == before + 3, f"rx_missed went from {before} to {rx_missed(p)}"


def every_reason(p):
    """The cases before this one have raised every counter of a drop that a sender alone can raise. forward_bad, _late and _no_peer
    take another node: see forwarding.py."""
    quiet = {name[5:] for name, value in p.admin.counters().items() if name.startswith("drop_") and value == 0}
    assert quiet == {"frame_segmented", "frame_oversized", "need_hello_limited", "session_table_full", "replay_in_progress",
                     "replay_forgotten", "replay_old", "forward_bad", "forward_late", "forward_no_peer", "forward_no_room",
                     "mailbox_full", "local_full", "tx_full"}, quiet


def mixed(p, count=3000):
    """Random changes on top of each other."""
    s = p.open_session() if p.node.workers == 1 else None
    makers = [p.ping, p.hello, p.stranger, p.echo, p.arp]
    if s:
        makers += [lambda: p.request(s, operation("SET", b"mixed", b"v"), sequence=p.rng.randrange(1, 5000)),
                   lambda: p.request(s, operation("GET", b"mixed") * 3, 3)]
    p.send("mixed", (spoiled(p.rng, p.rng.choice(makers)()) for _ in range(count)))


def spoiled(rng, frame):
    for _ in range(rng.randrange(4)):
        way = rng.randrange(4)
        at = rng.randrange(12, len(frame))
        if way == 0:
            frame = frame[:at] + rng.randbytes(1) + frame[at + 1:]
        elif way == 1:
            frame = frame[:max(at, 14)]
        elif way == 2:
            frame = frame[:at] + rng.randbytes(rng.randrange(1, 30)) + frame[at:]
        else:
            frame = shortened(frame) if eth.word(frame, 12) == eth.IPV4 else frame
        frame = eth.repaired(frame) if rng.randrange(2) else frame
        if len(frame) == 14:
            break
    return frame


def limited(p):
    """NEED_HELLO answers have a limit; what is beyond it is dropped and counted."""
    before = p.admin.counters()
    start = time.monotonic()
    total = 4000
    for sent in range(0, total, 250):
        for _ in range(250):
            p.wire.send(p.stranger())
        p.settle(before, sent + 250)
    milliseconds = (time.monotonic() - start) * 1000
    after = p.admin.counters()
    answered = after["need_hellos"] - before["need_hellos"]
    refused = after["drop_need_hello_limited"] - before["drop_need_hello_limited"]
    assert answered + refused == total, (answered, refused)
    assert answered <= 1000 + 10 * (milliseconds + 10), (answered, milliseconds)
    while p.wire.receive(0.05) is not None:
        answered -= 1
    assert answered == 0, f"{answered} answers lost"
    p.sent += total


def witnesses(p, client):
    """An ordinary client is served, and nothing of what it stored before has changed."""
    for key, value in WITNESSES.items():
        reply = client.do("GET", key)
        assert (reply.status, reply.value) == ("OK", value), (key, reply)
    assert client.do("GET", b"victim").status in ("OK", "NOT_FOUND")
    print(f"{p.sent} frames, {sum(p.bytes_in.values())} bytes in and {sum(p.bytes_out.values())} out of unproven senders")


def main():
    prober = Prober(sys.argv[1], int(sys.argv[2]))
    # otherwise the kernel asks again now and then, and is counted
    subprocess.run(["ip", "neighbor", "replace", NODE, "dev", sys.argv[1], "lladdr", prober.node.mac.hex(":"), "nud",
                    "permanent"], check=True)
    client = wire.Client(NODE).open()
    for key, value in WITNESSES.items():
        assert client.do("SET", key, value).status == "OK"
    while prober.wire.receive(0) is not None:
        pass  # what the client was answered
    for case in sys.argv[3:]:
        start = time.monotonic()
        globals()[case](prober)
        print(f"{case}: {prober.sent} frames so far, {time.monotonic() - start:.1f} s", flush=True)
    witnesses(prober, client)


if __name__ == "__main__":
    main()
