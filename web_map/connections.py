"""HTTP connections that send an answer's head and body in one piece, not in two system calls and two packets."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_MOST_HELD: Final = 65_536
"""Bytes; more is sent at once, so that the transport can tell when the client is slower than we are."""


class OnePiece(HttpToolsProtocol):
    """uvicorn's protocol over a transport that holds what is written until the loop comes round."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin on a new connection."""
        super().connection_made(_Holding(transport, self.loop))  # type: ignore[arg-type]


class _Holding:
    """A transport that sends all that one step of a task wrote at once."""

    __slots__ = ("_held", "_loop", "_size", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        if not self._held:
            self._loop.call_soon(self._send)
        self._held.append(data)
        self._size += len(data)
        if self._size > _MOST_HELD:
            self._send()

    def close(self) -> None:
        self._send()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        # What else a transport can do has to do with reading, with addresses, or ends the connection at once.
        return getattr(self._transport, name)

    def _send(self) -> None:
        held, self._held, self._size = self._held, [], 0
        if held and not self._transport.is_closing():
            self._transport.writelines(held)
