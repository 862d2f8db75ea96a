"""Load for a server, from a process of its own: connections that ask one request after another.

    bench_load.py PORT PATH SECONDS CONNECTIONS BODIES    (a file of JSON bodies, one a line)

It prints how many were answered, how many of them badly, and how long they took.
"""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path


class Client(asyncio.Protocol):
    """One connection, which asks again as soon as it is answered."""

    def __init__(self, requests: Sequence[bytes], first: int, until: float) -> None:
        self.requests = requests
        self.number = first
        self.until = until
        self.took: list[float] = []
        self.failed = 0
        self.done = asyncio.get_running_loop().create_future()
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask first."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._ask()

    def _ask(self) -> None:
        self.number += 1
        self.began = time.perf_counter()
        self.transport.write(self.requests[self.number % len(self.requests)])

    def data_received(self, data: bytes) -> None:
        """Take an answer, whole or in parts, and ask again."""
        self.buffer += data
        head, end, body = self.buffer.partition(b"\r\n\r\n")
        if not end:
            return
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if len(body) < int(length):
            return
        self.buffer = b""
        now = time.perf_counter()
        self.took.append(now - self.began)
        self.failed += not head.startswith(b"HTTP/1.1 200")
        if now < self.until:
            self._ask()
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """End; before its time that counts as a failure."""
        self.failed += time.perf_counter() < self.until
        self.done.set_result(None)


async def load(port: int, path: str, seconds: float, connections: int, bodies: list[bytes]) -> None:
    """Ask, and print what came of it."""
    requests = [
        b"POST %s HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (path.encode(), len(body), body)
        for body in bodies
    ]
    loop = asyncio.get_running_loop()
    until = time.perf_counter() + seconds
    clients = [Client(requests, 7 * n, until) for n in range(connections)]
    for client in clients:
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)
    for client in clients:
        await client.done
    took = sorted(one for client in clients for one in client.took)
    said = {
        "requests": len(took),
        "failed": sum(client.failed for client in clients),
        "rate": len(took) / seconds,
        "p50": took[len(took) // 2] * 1000,
        "p99": took[len(took) * 99 // 100] * 1000,
    }
    print(json.dumps(said))


if __name__ == "__main__":
    port, path, seconds, connections, file = sys.argv[1:]
    lines = Path(file).read_bytes().splitlines()
    asyncio.run(load(int(port), path, float(seconds), int(connections), lines))
