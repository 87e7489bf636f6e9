# SPDX-License-Identifier: BSD-3-Clause
"""What a real node does with its memory: full, freed, evicted, expired. Usage: memory.py CASE; see test_memory.sh."""

import hashlib
import json
import random
import struct
import sys
import time
import urllib.request

from wire import Client, operation

NODE = "10.77.0.2"
DATAGRAM = 1400


def status():
    with urllib.request.urlopen("http://127.0.0.1:7780/v1/status", timeout=20) as reply:
        return json.load(reply)


def wait_for(what, condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited in vain: {what}; {status()['memory']} {status()['items']}"
        time.sleep(0.05)


def value_of(key, size):
    """Bytes that no other key has."""
    return hashlib.shake_128(key).digest(size)


def batches(name, keys, value_size, **options):
    """Operations on keys, as many in a datagram as fit."""
    per_datagram = max(1, min(60, (DATAGRAM - 24) // (value_size + 50)))
    keys = list(keys)
    for at in range(0, len(keys), per_datagram):
        some = keys[at:at + per_datagram]
        yield some, [operation(name, key, value_of(key, value_size) if name == "SET" else b"", **options) for key in some]


def run(client, name, keys, value_size, **options):
    """{key: Reply} of one operation on many keys; those answered RETRY beside others are asked again."""
    replies = {}
    while keys:
        groups = list(batches(name, keys, value_size, **options))
        answers = client.pipeline(operations for _, operations in groups)
        replies.update({key: reply for (some, _), answer in zip(groups, answers) for key, reply in zip(some, answer)})
        keys = [key for key in keys if replies[key].status == "RETRY"]
    return replies


def expect_all(replies, status_name):
    wrong = {key: reply for key, reply in replies.items() if reply.status != status_name}
    assert not wrong, f"{len(wrong)} of {len(replies)} are not {status_name}: {list(wrong.items())[:3]}"


def fill(client, prefix, size, **options):
    """Stores values of 'size' bytes until there is no space; the keys that were acknowledged."""
    stored = []
    for begin in range(0, 10**6, 3000):
        replies = run(client, "SET", [b"%s:%d" % (prefix, i) for i in range(begin, begin + 3000)], size, **options)
        stored += [key for key, reply in replies.items() if reply.status == "OK"]
        refused = [reply for reply in replies.values() if reply.status != "OK"]
        assert all(reply.status == "NO_SPACE" for reply in refused), refused[:3]
        if len(refused) > 1000:
            return stored
    raise AssertionError("never full")


def expect_values(client, keys, size):
    """Every acknowledged value is there, byte for byte."""
    for key, reply in run(client, "GET", keys, size).items():
        assert (reply.status, reply.value) == ("OK", value_of(key, size)), (key, reply)


def share_used():
    memory = status()["memory"]
    return memory["allocated_bytes"] / memory["limit_bytes"]


def full():
    """Without eviction a full node refuses and loses nothing; what is deleted makes room for values of any size."""
    client = Client(NODE).open()
    large = fill(client, b"large", 1000)
    assert share_used() > 0.9, share_used()
    expect_values(client, large, 1000)
    expect_all(run(client, "DELETE", large[::2], 0), "OK")
    small = fill(client, b"small", 40)
    # half of the memory now holds small values: 24 bytes of item, a key of 10 and the value
    assert len(small) > len(large) * 1000 // 2 // 120, (len(large), len(small))
    assert share_used() > 0.85, share_used()
    expect_values(client, large[1::2], 1000)
    expect_values(client, small, 40)
    random.Random(1).shuffle(small)  # what is left is spread thinly over all the memory
    expect_all(run(client, "DELETE", small[:len(small) * 9 // 10], 0), "OK")
    middle = fill(client, b"middle", 400)
    assert len(middle) > len(large) * 1000 // 2 * 6 // 10 // 460, (len(large), len(middle))
    expect_values(client, large[1::2], 1000)
    expect_values(client, small[len(small) * 9 // 10:], 40)
    expect_values(client, middle, 400)
    print(f"{len(large)} of 1000 bytes, {len(small)} of 40 in half of it, {len(middle)} of 400 where those were")


def only_fill():
    """Leaves the node full of values of 1000 bytes."""
    fill(Client(NODE).open(), b"large", 1000)


def eviction():
    """With eviction a node takes three times what it holds, and keeps what is read meanwhile."""
    client = Client(NODE).open()
    hot = [b"hot:%d" % i for i in range(500)]
    expect_all(run(client, "SET", hot, 500), "OK")
    rounds, new = 60, 1500
    for begin in range(0, rounds * new, new):
        expect_all(run(client, "SET", [b"new:%d" % i for i in range(begin, begin + new)], 500), "OK")
        expect_values(client, hot, 500)
    stored = status()
    assert stored["workers"][0]["evicted"] > 40000, stored["workers"]
    assert stored["items"]["count"] > 16 * 2**20 // 600 * 6 // 10, stored["items"]
    for begin in range(0, 20000, 1000):
        expect_all(run(client, "SET", [b"other:%d" % i for i in range(begin, begin + 1000)], 40), "OK")
        expect_values(client, hot, 500)


def ttl():
    """An item is there for its time and not a millisecond longer; TTL counts down to it."""
    client = Client(NODE).open()
    rng = random.Random(3)
    items = {}
    for i in range(40):
        key, ttl_ms = b"ttl:%d" % i, rng.randrange(30, 700)
        begin = time.monotonic() * 1000
        expect_all({key: client.do("SET", key, b"v", ttl_ms=ttl_ms)}, "OK")
        items[key] = (begin + ttl_ms, time.monotonic() * 1000 + ttl_ms)  # when it expires, at least and at most
    polls = 0
    errors = []  # milliseconds by which an answer was wrong; below 0: it was not
    while items:
        for key, (least, most) in list(items.items()):
            begin = time.monotonic() * 1000
            reply = client.do("TTL", key)
            end = time.monotonic() * 1000
            polls += 1
            if reply.status == "NOT_FOUND":
                errors.append(least - end)
                expect_all({key: client.do("GET", key)}, "NOT_FOUND")
                expect_all({key: client.do("ADD", key, b"w")}, "OK")
                del items[key]
                continue
            left, = struct.unpack(">Q", reply.value)
            errors.append(max(begin - most, begin + left - most, least - end - left))
    assert polls > 200, polls
    # Time is told in whole milliseconds. A node reads its clock once in a turn, and may lose its core before it looks at it.
    assert max(errors) < 1000, max(errors)
    assert sum(error > 2 for error in errors) <= polls / 5, sorted(errors)


def sweep():
    """What has expired gives its memory back although nobody asks for it."""
    client = Client(NODE).open()
    expect_all(run(client, "SET", [b"first:%d" % i for i in range(18000)], 700, ttl_ms=1000), "OK")
    wait_for("expiry", lambda: status()["items"]["count"] == 0)
    wait_for("memory", lambda: share_used() < 0.1)
    assert status()["workers"][0]["expired"] == 18000, status()["workers"]
    second = fill(client, b"second", 200)
    assert share_used() > 0.9, share_used()
    expect_values(client, second, 200)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
