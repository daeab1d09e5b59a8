"""The slowest answer of a hub to a request that costs it nothing, until standard input closes.

A process of its own: the one that stops notebooks is busy too, and would measure itself.
"""

import http.client
import select
import sys
import time

host, port, path = sys.argv[1:]
connection = http.client.HTTPConnection(host, int(port), timeout=120)
worst = 0.0
while not select.select([sys.stdin], [], [], 0.02)[0]:
    began = time.monotonic()
    connection.request("GET", path)
    connection.getresponse().read()
    worst = max(worst, time.monotonic() - began)
print(worst)
