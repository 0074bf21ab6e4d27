"""Connections that send head and body in one piece: over a real uvicorn and real sockets."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from web_map.connections import OnePiece

_PIECE = bytes(range(256)) * 128
_PIECES = 40


async def _app(scope: Any, receive: Any, send: Any) -> None:
    """`/long` streams without a length, `/slow` pauses between head and body, all else answers a few bytes."""
    if scope["type"] != "http":
        return
    await receive()
    long = scope["path"] == "/long"
    headers = [] if long else [(b"content-length", b"5")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if scope["path"] == "/slow":
        await asyncio.sleep(0.3)
    for _ in range(_PIECES if long else 0):
        await send({"type": "http.response.body", "body": _PIECE, "more_body": True})
    await send({"type": "http.response.body", "body": b"" if long else b"hello"})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(_app, http=OnePiece, log_level="warning", access_log=False, lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()


def _ask(port: int, *paths: str) -> bytes:
    """All that is answered to some requests sent at once, the last of which ends the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        last = len(paths) - 1
        for i, path in enumerate(paths):
            end = "Connection: close\r\n" if i == last else ""
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{end}\r\n".encode())
        told = b""
        while more := client.recv(65_536):
            told += more
        return told


def test_an_answer_is_whole(port: int) -> None:
    head, body = _ask(port, "/").split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 200")
    assert body == b"hello"


def test_answers_to_requests_sent_at_once_come_in_order(port: int) -> None:
    told = _ask(port, "/slow", "/", "/long", "/")
    assert told.count(b"HTTP/1.1 200") == 4
    first, second, long, last = told.split(b"HTTP/1.1 200")[1:]
    assert first.endswith(b"hello")
    assert second.endswith(b"hello")
    assert last.endswith(b"hello")
    assert long.count(_PIECE) == _PIECES
    assert long.endswith(b"0\r\n\r\n")


def test_the_head_does_not_wait_for_a_slow_body(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        told = client.recv(65_536)
        assert told.startswith(b"HTTP/1.1 200")
        assert b"hello" not in told
        assert client.recv(65_536) == b"hello"


def test_a_client_that_leaves_harms_nothing(port: int, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        for path in ("/slow", "/long"):
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        time.sleep(0.6)
        assert _ask(port, "/").endswith(b"hello")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
