# SPDX-License-Identifier: BSD-3-Clause
"""Sends bus packets that no member sent. Usage: bus_forge.py INTERFACE NODE_ADDRESS PORT

Waits for a genuine datagram to the node on the bridge's interface, then sends it again as it was, changed, cut, of another
version, of another cluster, of another key, and garbage, 20 of each. Prints what it sent, "replayed=20 forged=20 ..."."""
import socket
import sys

COUNT = 20
HEADER_SIZE, MAC_SIZE = 40, 16
interface, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])


def genuine():
    """The payload of a UDP datagram to the node."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003)) as sniffer:
        sniffer.bind((interface, 0))
        sniffer.settimeout(20)
        while True:
            frame = sniffer.recv(2000)
            if frame[12:14] != b"\x08\x00" or frame[23] != 17 or socket.inet_ntoa(frame[30:34]) != address:
                continue
            udp = frame[14 + (frame[14] & 15) * 4:]
            if int.from_bytes(udp[2:4], "big") == port and udp[8:10] == b"GB":
                return udp[8:int.from_bytes(udp[4:6], "big")]


def changed(packet, at):
    return packet[:at] + bytes([packet[at] ^ 0x55]) + packet[at + 1:]


packet = genuine()
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    sent = {"replayed": 0, "forged": 0, "truncated": 0, "wrong_version": 0, "wrong_cluster": 0, "wrong_key": 0}
    for i in range(COUNT):
        kinds = {
            "replayed": [packet],
            "forged": [changed(packet, HEADER_SIZE + i), changed(packet, len(packet) - 1 - i % MAC_SIZE),
                       changed(packet, 32 + i % 8), packet[:-1]],
            "truncated": [packet[:i + 20], b"GB", b"", bytes(range(i)), packet + bytes(1400)],
            "wrong_version": [changed(packet, 2)],
            "wrong_cluster": [changed(packet, 4 + i % 8)],
            "wrong_key": [changed(packet, 12 + i % 4)],
        }
        for kind, packets in kinds.items():
            for one in packets:
                sender.sendto(one[:1472], (address, port))
                sent[kind] += 1
print(" ".join(f"{kind}={count}" for kind, count in sent.items()))
