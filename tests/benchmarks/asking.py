"""Asks a server for tiles over a number of connections: where there is no wrk, and to warm a cache.

    SERVER PATH Z X0 X1 Y0 Y1 CONNECTIONS SECONDS TOKEN [each]

Prints how many came per second. With `each`, every tile of the area is asked for once instead.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Iterator
from itertools import repeat
from urllib.parse import urlsplit

import uvloop


async def _ask(address: str, paths: Iterator[str], token: str) -> int:
    """One connection that asks for one path after the other; how many answers came. Refusals raise."""
    place = urlsplit(address)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    shown = f"Authorization: Bearer {token}\r\n" if token else ""
    came = 0
    for path in paths:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {place.netloc}\r\n{shown}\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        if status not in {200, 204}:
            raise RuntimeError(head.decode("latin-1"))
        length = next(
            (int(v) for k, _, v in (h.partition(b":") for h in head.split(b"\r\n")) if k == b"content-length"), 0
        )
        if length:
            await reader.readexactly(length)
        came += 1
    writer.close()
    return came


async def main(server: str, path: str, numbers: list[int], token: str, each: bool) -> None:
    """Share the work among the connections."""
    z, x0, x1, y0, y1, connections, seconds = numbers

    def made(x: int, y: int) -> str:
        return path.format(z=z, x=x, y=y)

    end = time.perf_counter() + seconds

    def drawn() -> Iterator[str]:
        for _ in repeat(None):
            if time.perf_counter() > end:
                return
            yield made(random.randint(x0, x1), random.randint(y0, y1))  # noqa: S311  no secret

    every = (made(x, y) for x in range(x0, x1 + 1) for y in range(y0, y1 + 1))
    began = time.perf_counter()
    came = await asyncio.gather(*(_ask(server, every if each else drawn(), token) for _ in range(connections)))
    print(sum(came) / (time.perf_counter() - began))  # noqa: T201  what it was asked


if __name__ == "__main__":
    server, path, *numbers, token = sys.argv[1:11]
    uvloop.run(main(server, path, [int(n) for n in numbers], token, "each" in sys.argv[11:]))
