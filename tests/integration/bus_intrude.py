# SPDX-License-Identifier: BSD-3-Clause
"""Opens bus channels that no member opened. Usage: bus_intrude.py record INTERFACE NODE_ADDRESS PORT FILE
                                                     bus_intrude.py send NODE_ADDRESS PORT FILE

record: waits for a member that opens a channel to the node, and writes what it says first: its hello and its first message.
send: says the same again on connections of its own, then with another version, cluster, key, length, cut in the middle, and
nothing at all, 20 of each. Prints what the node must count, "refused_forged=20 ..."."""
import socket
import sys

COUNT = 20
HELLO_SIZE = 16
MESSAGE = HELLO_SIZE + 4  # behind the length


def tcp_of(frame, address, port):
    """(source port, sequence number, payload) of a TCP segment to the node, or None."""
    if frame[12:14] != b"\x08\x00" or frame[23] != 6 or socket.inet_ntoa(frame[30:34]) != address:
        return None
    ip_size = (frame[14] & 15) * 4
    tcp = frame[14 + ip_size:14 + int.from_bytes(frame[16:18], "big")]
    if int.from_bytes(tcp[2:4], "big") != port:
        return None
    return int.from_bytes(tcp[0:2], "big"), int.from_bytes(tcp[4:8], "big"), tcp[(tcp[12] >> 4) * 4:]


def greeting_size(stream):
    """Of the hello and the first message; None while that is not known."""
    if len(stream) < MESSAGE:
        return None
    return MESSAGE + int.from_bytes(stream[HELLO_SIZE:MESSAGE], "big")


def record(interface, address, port, file):
    connections = {}  # source port -> bytes so far, and the next sequence number
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003)) as sniffer:
        sniffer.bind((interface, 0))
        sniffer.settimeout(30)
        print("recording", flush=True)
        while True:
            segment = tcp_of(sniffer.recv(65536), address, port)
            if not segment or not segment[2]:
                continue
            source, sequence, payload = segment
            stream, expected = connections.get(source, (b"", sequence))
            if sequence == expected:
                connections[source] = stream = stream + payload, sequence + len(payload)
                size = greeting_size(stream[0])
                if size and len(stream[0]) >= size:
                    break
    with open(file, "wb") as out:
        out.write(stream[0][:size])


def changed(greeting, at):
    return greeting[:at] + bytes([greeting[at] ^ 0x55]) + greeting[at + 1:]


def say(address, port, words):
    """Opens a connection, says that, and reads until the node has closed it, or is known to wait for more."""
    with socket.create_connection((address, port), timeout=10) as connection:
        connection.sendall(words)
        connection.shutdown(socket.SHUT_WR)
        try:
            while connection.recv(4096):
                pass
        except ConnectionError:
            pass


def send(address, port, file):
    with open(file, "rb") as recorded:
        greeting = recorded.read()
    expected = dict.fromkeys(("refused_forged", "refused_wrong_version", "refused_wrong_cluster", "refused_wrong_key",
                              "refused_truncated", "connections_refused"), 0)
    for i in range(COUNT):
        for counter, words in (("refused_forged", greeting),
                               ("refused_wrong_version", changed(greeting, MESSAGE + 2)),
                               ("refused_wrong_cluster", changed(greeting, MESSAGE + 4 + i % 8)),
                               ("refused_wrong_key", changed(greeting, MESSAGE + 12 + i % 4)),
                               ("refused_truncated", changed(greeting, HELLO_SIZE + i % 2)),
                               ("refused_truncated", greeting[:1 + i]),
                               ("refused_truncated", greeting[:-1 - i]),
                               ("connections_refused", b"")):
            say(address, port, words)
            expected[counter] += 1
    print(" ".join(f"{counter}={count}" for counter, count in expected.items()))


if __name__ == "__main__":
    if sys.argv[1] == "record":
        record(sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5])
    else:
        send(sys.argv[2], int(sys.argv[3]), sys.argv[4])
