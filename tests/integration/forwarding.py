# SPDX-License-Identifier: BSD-3-Clause
"""A client that knows one node of a cluster and nothing of maps, and a forger who has a tap on the cluster's switch. Usage:
forwarding.py CASE ENTRY [ARGUMENT...]; ENTRY is a node's address. Written from docs/protocol.md."""

import json
import socket
import struct
import sys
import time

import frame as eth
import wire
from wire import operation

BODY = struct.Struct(">4sHH6sBBII")
AT_BODY = wire.HEADER.size
AT_INSIDE = AT_BODY + BODY.size
WRITES = 1


def say(**found):
    """What the test reads."""
    print(json.dumps(found), flush=True)


def tally(replies):
    count = {}
    for reply in replies:
        count[reply.status] = count.get(reply.status, 0) + 1
    return count


# ---- clients ----

def store(entry, count):
    """Keys over all partitions."""
    client = wire.Client(entry).open()
    keys = [b"key:%d" % i for i in range(int(count))]
    batches = [[operation("SET", key, b"value of " + key)] for key in keys]
    say(**tally(reply for replies in client.pipeline(batches) for reply in replies))


def check(entry, count):
    """What store() stored, asked of any node."""
    client = wire.Client(entry).open()
    keys = [b"key:%d" % i for i in range(int(count))]
    replies = client.pipeline([[operation("GET", key)] for key in keys])
    wrong = sum(reply.status != "OK" or reply.value != b"value of " + key for key, (reply,) in zip(keys, replies))
    say(wrong=wrong, **tally(reply for replies in replies for reply in replies))


def count(entry, total, name):
    """Increments, each until it is answered; then the sum."""
    client = wire.Client(entry).open()
    one = struct.pack(">qq", 1, 1)
    keys = [f"{name}:{i}".encode() for i in range(32)]
    replies = client.pipeline([[operation("INCREMENT", keys[i % len(keys)], one)] for i in range(int(total))])
    sums = client.pipeline([[operation("GET", key)] for key in keys])
    say(sum=sum(int(reply.value) for (reply,) in sums), **tally(reply for (reply,) in replies))


def outcomes(entry, seconds):
    """One increment after the other, none of them repeated: what a client is told while the owner is lost."""
    client = wire.Client(entry, timeout=0.05).open()
    end = time.monotonic() + float(seconds)
    heard = {"silence": 0}
    last = None
    while time.monotonic() < end:
        datagram = client.request(operation("INCREMENT", b"lost", struct.pack(">qq", 1, 1)))
        client.send(datagram)
        try:
            last = wire.parse_replies(client.receive())[0].status
            heard[last] = heard.get(last, 0) + 1
        except socket.timeout:
            last = "silence"
            heard["silence"] += 1
        time.sleep(0.02)
    say(last=last, **heard)


def copies(entry):
    """Sends a write when it is told to, and copies of it when it is told to again."""
    client = wire.Client(entry, timeout=0.1).open()
    datagram = client.request(operation("INCREMENT", b"bound", struct.pack(">qq", 1, 1)))
    say(ready=1)
    sys.stdin.readline()
    client.send(datagram)
    say(sent=1)
    sys.stdin.readline()
    heard = []
    for _ in range(20):
        client.send(datagram)
        try:
            heard += [reply.status for reply in wire.parse_replies(client.receive())]
        except socket.timeout:
            pass
    say(heard=heard)


def mixed(entry, pairs):
    """Two keys in a datagram, often of two nodes: what is not done is told whom to ask, and is done there."""
    entry = wire.Client(entry).open()
    others = {}
    done = redirected = lost = 0
    for i in range(int(pairs)):
        keys = [b"mixed:%d" % (2 * i), b"mixed:%d" % (2 * i + 1)]
        for key, reply in zip(keys, entry.pipeline([[operation("SET", key, key) for key in keys]])[0]):
            if reply.status == "NOT_OWNER":
                ipv4, port, _, epoch = struct.unpack(">4sHHI", reply.value)
                assert epoch > 0
                owner = others.setdefault((ipv4, port), None) or wire.Client(socket.inet_ntoa(ipv4), port).open()
                others[ipv4, port] = owner
                reply = owner.do("SET", key, key)
                redirected += 1
            done += reply.status == "OK"
            lost += reply.status != "OK"
    keys = [b"mixed:%d" % i for i in range(2 * int(pairs))]
    replies = entry.pipeline([[operation("GET", key)] for key in keys])
    say(done=done, redirected=redirected, lost=lost,
        read=sum(reply.value == key for key, (reply,) in zip(keys, replies)))


# ---- a forger ----

class Tap:
    """Hears what a node sends, at its port of the switch; sends whatever it likes from any address."""

    def __init__(self, device):
        self.wire = eth.Wire(device)
        self.out = eth.Wire("data")

    def hear(self, kind, provoke):
        """The frame of that kind which the node sends once provoke() was called."""
        for _ in range(50):
            provoke()
            end = time.monotonic() + 0.2
            while time.monotonic() < end:
                frame = self.wire.receive(0.05)
                if frame and eth.word(frame, 12) == eth.IPV4 and frame[23] == eth.UDP and frame[42:43] == b"\x47" \
                        and frame[44] == kind:
                    return frame
        raise AssertionError(f"no datagram of kind {kind}")

    def send(self, like, payload, source=None, to=None):
        """A datagram from the sender of the frame 'like', or from 'source', to its receiver; 'to' = (MAC, address)."""
        mac, address = to or (like[:6], socket.inet_ntoa(like[30:34]))
        sender = source or socket.inet_ntoa(like[26:30])
        packet = eth.udp(payload, sender, address, eth.word(like, 34), eth.word(like, 36))
        self.out.send(eth.ethernet(packet, mac, like[6:12]))


def payload_of(frame):
    return frame[42:34 + eth.word(frame, 38)]


def with_token(payload, token):
    return payload[:8] + token.to_bytes(8, "big") + payload[16:]


def with_body(payload, at, value):
    return payload[:AT_BODY + at] + value + payload[AT_BODY + at + len(value):]


def token_of(payload):
    return int.from_bytes(payload[8:16], "big")


def forge(entry, entry_port, owner_port):
    """Listens to a SET on its way from the entry to the owner and back, then sends variations. Says how many of each."""
    client = wire.Client(entry).open()
    set_it = [0]

    def write():
        set_it[0] += 1
        client.send(client.request(operation("SET", b"forged", b"unharmed")))

    there = Tap(entry_port).hear(wire.FORWARD, write)
    back = Tap(owner_port).hear(wire.FORWARD_REPLY, write)
    tap = Tap(entry_port)
    forward = payload_of(there)
    harm = forward[:AT_INSIDE] + forward[AT_INSIDE:].replace(b"unharmed", b"harmed!!")
    harm = harm[:AT_INSIDE + 16] + (10**6).to_bytes(4, "big") + harm[AT_INSIDE + 20:]  # a sequence of its own
    time.sleep(0.3)  # the client's own writes have passed
    say(foreign=forge_foreign(tap, there, harm, token_of(payload_of(back))),
        bad=forge_bad(tap, there, harm),
        late=forge_late(tap, back))
    read = wire.Client(entry).open().do("GET", b"forged")
    say(value=read.value.decode())


def forge_foreign(tap, there, harm, token_back):
    """Tokens and addresses that do not belong together."""
    token = token_of(harm)
    for bit in range(64):
        tap.send(there, with_token(harm, token ^ 1 << bit))
    for other in (0, 2**64 - 1, token_back):
        tap.send(there, with_token(harm, other))
    for source in ("10.77.0.3", "10.77.0.254", "10.77.0.99", "10.78.0.2"):
        tap.send(there, harm, source)
    return 64 + 3 + 4


def forge_bad(tap, there, harm):
    """From the right node, as far as one can tell, but a second hop, or no request inside."""
    hops = [with_body(harm, 14, bytes([hop])) for hop in (0, 2, 3, 255)]
    kinds = [harm[:AT_INSIDE + 2] + bytes([kind, 0]) + harm[AT_INSIDE + 4:] for kind in range(1, 12) if kind != wire.REQUEST]
    others = [harm[:AT_INSIDE] + bytes(wire.HEADER.size), harm[:AT_INSIDE] + b"\x47\x02" + harm[AT_INSIDE + 2:]]
    for payload in hops + kinds + others:
        tap.send(there, payload)
    return len(hops + kinds + others)


def forge_late(tap, back):
    """Replies to a write that has its reply."""
    answer = payload_of(back)
    assert answer[AT_BODY + 15] & WRITES
    for _ in range(5):
        tap.send(back, answer)
    return 5


def second_hop(entry, entry_port, owner_port):
    """A FORWARD to a node that does not own the key, as from the owner: it is told so and goes no further."""
    client = wire.Client(entry).open()
    ask = lambda: client.send(client.request(operation("GET", b"hop")))
    back = Tap(owner_port).hear(wire.FORWARD_REPLY, ask)
    there = Tap(entry_port).hear(wire.FORWARD, ask)
    inside = payload_of(there)[AT_INSIDE:]
    body = BODY.pack(there[26:30], 7700, 7700, bytes(6), 1, 0, 1, 0)
    Tap(entry_port).send(back, wire.header(wire.FORWARD, 0, 0, token_of(payload_of(back))) + body + inside)
    say(sent=1)


def tap_token(entry, entry_port, owner_port):
    """A right FORWARD of a write, kept until 'go' is read, when one end of its session has started anew."""
    client = wire.Client(entry).open()
    there = Tap(entry_port).hear(wire.FORWARD, lambda: client.send(client.request(operation("SET", b"old", b"life"))))
    say(heard=1)
    sys.stdin.readline()
    tap = Tap(entry_port)
    to = (tap.out.resolve("10.77.0.254", socket.inet_ntoa(there[30:34])), socket.inet_ntoa(there[30:34]))
    for _ in range(5):
        tap.send(there, payload_of(there), to=to)
    say(sent=5)


globals()[sys.argv[1]](*sys.argv[2:])
