# SPDX-License-Identifier: BSD-3-Clause
"""Cases of the data-plane protocol against a real node. Usage: protocol.py CASE [ARGUMENT...]; see test_protocol.sh."""

import json
import random
import socket
import struct
import sys
import time
import urllib.request

import wire
from wire import Client, operation

NODE = "10.77.0.2"
ADMIN = "http://127.0.0.1:7780"


def counters():
    with urllib.request.urlopen(ADMIN + "/v1/counters", timeout=5) as reply:
        return {c["name"]: c["value"] for c in json.load(reply)["counters"]}


def changes(before, after=None):
    """The counters that grew since 'before', without those that grow by themselves."""
    after = after or counters()
    quiet = ("heartbeats", "busy_turns", "sleeps")
    return {name: after[name] - before[name] for name in after if after[name] != before[name] and name not in quiet}


def wait_for(condition, seconds=5):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def equal(what, actual, expected):
    assert actual == expected, f"{what}: expected {expected!r}, not {actual!r}"


def operations():
    """Every operation and its outcomes, each with the counters it moves."""
    client = Client(NODE).open()

    def check(name, key, status, value=b"", **options):
        before = counters()
        reply = client.do(name, key, value, **options)
        equal(f"{name} {key!r}", reply.status, status)
        delta = changes(before)
        equal(f"op_{name.lower()}", delta.get("op_" + name.lower()), 1)
        equal(f"status of {name}", delta.get("status_" + status.lower()), 1)
        equal("requests", delta.get("requests"), 1)
        return reply

    check("GET", b"k", "NOT_FOUND")
    first = check("SET", b"k", "OK", b"one")
    got = check("GET", b"k", "OK")
    equal("value", (got.value, got.version), (b"one", first.version))
    check("ADD", b"k", "EXISTS", b"x")
    second = check("REPLACE", b"k", "OK", b"two")
    assert second.version > first.version
    check("REPLACE", b"absent", "NOT_FOUND", b"x")
    check("CAS", b"k", "VERSION_MISMATCH", b"x", version=first.version)
    check("CAS", b"k", "OK", b"three", version=second.version)
    check("CAS", b"absent", "NOT_FOUND", b"x", version=1)
    check("APPEND", b"k", "OK", b"+more")
    equal("appended", check("GET", b"k", "OK").value, b"three+more")
    check("APPEND", b"absent", "NOT_FOUND", b"x")
    check("INCREMENT", b"k", "NOT_A_NUMBER", struct.pack(">q", 1))
    check("INCREMENT", b"n", "NOT_FOUND", struct.pack(">q", 1))
    equal("initial", check("INCREMENT", b"n", "OK", struct.pack(">qq", 1, 40)).number(), 40)
    equal("sum", check("INCREMENT", b"n", "OK", struct.pack(">q", -42)).number(), -2)
    equal("text", check("GET", b"n", "OK").value, b"-2")
    check("SET", b"n", "OK", str(2**63 - 1).encode())
    check("INCREMENT", b"n", "NOT_A_NUMBER", struct.pack(">q", 1))
    check("EXISTS", b"k", "OK")
    check("EXISTS", b"absent", "NOT_FOUND")
    equal("ttl", struct.unpack(">Q", check("TTL", b"k", "OK").value)[0], wire.TTL_NEVER)
    check("TOUCH", b"k", "OK", ttl_ms=60000)
    left = struct.unpack(">Q", check("TTL", b"k", "OK").value)[0]
    assert 50000 < left <= 60000, left
    equal("touched value", check("GET_AND_TOUCH", b"k", "OK", ttl_ms=0).value, b"three+more")
    check("DELETE", b"k", "VERSION_MISMATCH", version=1)
    check("DELETE", b"k", "OK")
    check("DELETE", b"k", "NOT_FOUND")
    check("SET", b"big", "TOO_LARGE" if client.value_size_max < 1400 else "OK", b"v" * 1400)
    equal("unknown opcode", client.execute(operation(99, b"k"))[0].status, "UNSUPPORTED")
    equal("unknown flag", client.execute(operation("GET", b"k", flags=0x40))[0].status, "UNSUPPORTED")


def batches():
    """Many operations in a datagram: one reply each, in their order, and they see each other."""
    client = Client(NODE).open()
    replies = client.execute(*[operation("SET", b"b%d" % i, b"v%d" % i) for i in range(40)])
    equal("statuses", {r.status for r in replies}, {"OK"})
    replies = client.execute(*[operation("GET", b"b%d" % i) for i in range(40)])
    equal("values", [r.value for r in replies], [b"v%d" % i for i in range(40)])
    replies = client.execute(operation("SET", b"x", b"1"), operation("GET", b"x"), operation("DELETE", b"x"),
                             operation("GET", b"x"))
    equal("order", [(r.opcode, r.status) for r in replies], [(2, "OK"), (1, "OK"), (3, "OK"), (1, "NOT_FOUND")])
    too_many = (client.datagram_size_max - 24) // 16 + 1
    replies = client.execute(*[operation("EXISTS", b"e")] * too_many)
    equal("too many replies", [(r.opcode, r.status) for r in replies], [(0, "BAD_REQUEST")])
    client.do("SET", b"large", b"v" * 1200)
    replies = client.execute(operation("GET", b"large"), operation("GET", b"large"))
    equal("values that do not fit together", [(r.status, len(r.value)) for r in replies],
          [("OK", 1200), ("TOO_LARGE", 0)])


def writes_once():
    """A copy of a write is answered like the first and not executed."""
    client = Client(NODE).open()
    request = client.request(operation("INCREMENT", b"c", struct.pack(">qq", 1, 1)))
    first = client.ask(request)
    before = counters()
    for _ in range(20):
        equal("copy", client.ask(request), first)
    equal("counted", changes(before).get("requests_repeated"), 20)
    equal("executed", client.do("INCREMENT", b"c", struct.pack(">q", 1)).number(), 2)
    # Behind the window of 1,024 a copy gets no answer.
    for _ in range(1100):
        client.execute(operation("SET", b"w", b"v"))
    before = counters()
    client.send(request)
    wait_for(lambda: changes(before).get("drop_replay_old") == 1)
    equal("value", client.do("GET", b"c").value, b"2")


def sessions():
    """Only who proved its address is served; an answer to others is never longer than what they sent."""
    client = Client(NODE).open()
    stranger = Client(NODE)
    stranger.session, stranger.token = client.session, client.token
    request = stranger.request(operation("GET", b"k"))
    answer = stranger.ask(request)
    equal("stolen session", (answer[2], answer[3]), (wire.REPLY, 0))
    assert len(answer) <= len(request)
    equal("echoed", answer[4:20], request[4:20])
    client.token ^= 1
    answer = client.ask(client.request(operation("SET", b"k", b"v")))
    equal("wrong token", (answer[2], answer[3]), (wire.REPLY, 0))
    client.token ^= 1
    equal("right token", client.do("GET", b"k").status, "NOT_FOUND")
    # A guessed challenge is answered with a new one.
    answer = stranger.ask(wire.hello(5, 12345))
    equal("stage", answer[wire.HEADER.size + 16], 1)
    ping = wire.header(wire.PING, session=7, token=8, sequence=9) + b"payload"
    pong = stranger.ask(ping)
    equal("pong", pong[:2] + bytes([wire.PING]) + pong[3:], ping)


def after_restart(old):
    """Usage: after_restart FILE, which the case `before_restart` wrote: its session is told NEED_HELLO."""
    with open(old, encoding="ascii") as file:
        port, session, token = map(int, file.read().split())
    client = Client(NODE)
    client.socket.bind(("10.77.0.1", port))
    client.session, client.token = session, token
    try:
        client.do("GET", b"k")
        raise AssertionError("the session outlived its node")
    except wire.NeedHello:
        pass
    equal("after HELLO", client.open().do("GET", b"k").status, "NOT_FOUND")


def before_restart(new):
    client = Client(NODE)
    client.socket.bind(("10.77.0.1", 0))
    client.open()
    equal("SET", client.do("SET", b"k", b"v").status, "OK")
    with open(new, "w", encoding="ascii") as file:
        file.write(f"{client.socket.getsockname()[1]} {client.session} {client.token}")


def workers(count):
    """Every worker answers for every key, at its own port; what another owns is handed over."""
    client = Client(NODE).open()
    count = int(count)
    equal("workers", client.worker_count, count)
    for i in range(200):
        port = 7700 + i % count
        equal("SET", client.do("SET", b"w%d" % i, b"v%d" % i, port=port).status, "OK")
    for i in range(200):
        for port in range(7700, 7700 + count):
            equal("GET", client.do("GET", b"w%d" % i, port=port).value, b"v%d" % i)
    for _ in range(100):
        client.do("INCREMENT", b"sum", struct.pack(">qq", 1, 1), port=7700 + random.randrange(count))
    equal("sum", client.do("GET", b"sum").value, b"100")
    delta = counters()
    assert delta["handed_to_owner"] > 50, delta["handed_to_owner"]
    equal("received by others", delta["handed_received"] > 50, True)


def mixed_owners():
    """A datagram with writes for two workers: one executes its own and names the other, who then takes all of the rest. A
    datagram whose writes are all of the other one is handed to it whole. Reads are answered anywhere."""
    client = Client(NODE).open()
    equal("workers", client.worker_count, 2)
    keys = [b"mixed:%d" % i for i in range(40)]
    replies = client.execute(*[operation("SET", key, b"of " + key) for key in keys], port=7700)
    equal("statuses", {r.status for r in replies}, {"OK", "NOT_OWNER"})
    refused = [key for key, reply in zip(keys, replies) if reply.status == "NOT_OWNER"]
    for reply in replies:
        if reply.status == "NOT_OWNER":
            ipv4, port, zero, _ = struct.unpack(">4sHHI", reply.value)
            equal("owner", (socket.inet_ntoa(ipv4), port, zero), (NODE, 7701, 0))
    before = counters()
    rest = [operation("SET", key, b"of " + key) for key in refused]
    equal("at the owner", {r.status for r in client.execute(*rest, port=7701)}, {"OK"})
    equal("handed over", changes(before).get("handed_to_owner", 0), 0)
    equal("at the other", {r.status for r in client.execute(*rest, port=7700)}, {"OK"})
    equal("handed over", changes(before).get("handed_to_owner"), 1)
    for port in (7700, 7701):
        replies = client.execute(*[operation("GET", key) for key in keys], port=port)
        equal(f"values at {port}", [r.value for r in replies], [b"of " + key for key in keys])


def count_until_silence(ready):
    """Increments with 32 in flight until the node answers no more: what was acknowledged was executed once each, and at most
    what was in flight is in doubt. Makes the file 'ready' when it has begun."""
    client = Client(NODE, timeout=1.5).open()
    values, in_flight = [], 0
    increment = operation("INCREMENT", b"count", struct.pack(">qq", 1, 1))
    while True:
        try:
            while in_flight < 32:
                client.send(client.request(increment))
                in_flight += 1
            answer = client.receive()
        except OSError:  # silence, or the interface is gone
            break
        replies = wire.parse_replies(answer)
        equal("status", [r.status for r in replies], ["OK"])
        values.append(replies[0].number())
        in_flight -= 1
        if len(values) == 1000:
            with open(ready, "w", encoding="ascii"):
                pass
    equal("numbers given twice", len(values) - len(set(values)), 0)
    assert max(values) <= len(values) + 32, (max(values), len(values))
    print(f"{len(values)} acknowledged, the last was {max(values)}")


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
