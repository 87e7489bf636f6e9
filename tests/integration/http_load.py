# SPDX-License-Identifier: BSD-3-Clause
"""Counts by HTTP while a cluster changes. Usage: http_load.py KEYS STOP_FILE

Adds 1 to one counter after the other at the node of 127.0.0.1, each by a GET and a PUT of that version, until the file is there; a version
that another writer changed meanwhile is read again. Fails on every answer but 200 and 409 (and 404 for a counter's first GET).
Prints how often it added."""
import http.client
import os
import sys

keys, stop_file = int(sys.argv[1]), sys.argv[2]
connection = http.client.HTTPConnection("127.0.0.1", 7780, timeout=20)


def ask(method, key, body=None, **headers):
    connection.request(method, f"/v1/items/{key}", body, {name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    return response.status, response.getheader("ETag"), response.read()


def add(key):
    """True when it was added; False when another one was faster."""
    status, version, value = ask("GET", key)
    if status == 404:
        status, version, answer = ask("PUT", key, b"1", If_None_Match="*")
    else:
        assert status == 200, (status, value)
        status, version, answer = ask("PUT", key, str(int(value) + 1).encode(), If_Match=version)
    assert status in (200, 409), (status, answer)
    return status == 200


added = 0
while not os.path.exists(stop_file):
    for number in range(keys):
        while not add(f"counter-{number}"):
            pass
        added += 1
print(added)
