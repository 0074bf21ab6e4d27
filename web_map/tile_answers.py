"""One tile as an HTTP answer, and the short way to it.

`TileDoor` stands before the router and answers tile requests of somebody who was recognised a moment ago, without
routing, dependencies or threads; all else, and whatever is not plainly right, takes the ordinary way.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from gis_core.access import may_read
from gis_core.tiles.plans import MAX_ZOOM
from web_map import sight
from web_map.session import VIEWER, recognised

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from gis_core.access import Viewer
    from gis_core.spec import Layer
    from gis_core.tiles import Key
    from web_map.city import City

MVT: Final = "application/vnd.mapbox-vector-tile"
Headers = list[tuple[bytes, bytes]]
Answer = tuple[int, Headers, bytes]

_PATH: Final = re.compile(r"/ogc/collections/([a-z_0-9]+)/tiles/WebMercatorQuad/(\d{1,2})/(\d{1,7})/(\d{1,7})")
_PATIENCE_S: Final = 0.1
"""A tile that takes longer is watched: if the client leaves, the query is cancelled."""
_WORTH_GZIP: Final = 4_096
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "testclient"})
_ALWAYS: Final[Headers] = [
    # Each viewer may see other rows, and a row may change at any time: keep it, but ask each time.
    (b"cache-control", b"private, no-cache"),
    (b"vary", b"Authorization, Cookie, Accept-Encoding"),
]
_UNKEPT: Final[Headers] = [(b"cache-control", b"private, no-store"), _ALWAYS[1]]
_TYPE: Final = (b"content-type", MVT.encode())
_GONE: Final[Answer] = (499, [], b"")


async def answer(
    city: City, layer: Layer, viewer: Viewer, address: tuple[int, int, int], scope: Scope, receive: Receive
) -> Answer:
    """Status, headers and body for one tile (z, x, y, already checked).

    Raises:
        Forbidden: the viewer may not see the layer.
        Unavailable: the database is down, or the tile took too long.

    """
    z, x, y = address
    plan = city.tiles.plan(layer, viewer, z)
    if plan is None:
        return 204, _ALWAYS, b""
    version, changed_at = city.feed.version(layer.name), city.feed.changed_at(layer.name)
    stamp = int(changed_at.timestamp() * 1e6) if changed_at is not None else 0
    tag = f"{plan.digest}-{version}-{stamp:x}".encode()
    seen, accepts = _asked_with(scope)
    # What an incident shows ends with the hour: such a tile is made each time, and no client is told to keep its own.
    if not plan.fleeting and (tag in seen or seen == b"*"):
        return 304, [*_ALWAYS, (b"etag", b'"%s"' % tag)], b""
    key: Key = (plan, version, z, x, y)
    body = None if plan.fleeting else city.tiles.cache.get(key)
    if body is None:
        waiting = city.tiles.ask(key)
        body = await _patiently(waiting, receive)
        if body is None:
            return _GONE
    if plan.fleeting:
        return (200, [*_UNKEPT, _TYPE, (b"content-length", b"%d" % len(body))], body) if body else (204, _UNKEPT, b"")
    if not body:
        return 204, [*_ALWAYS, (b"etag", b'"%s"' % tag)], b""
    headers = [*_ALWAYS, _TYPE]
    if b"gzip" in accepts and len(body) >= _WORTH_GZIP and _is_far(scope):
        body = await _compressed(city, key, body)
        tag += b"-gz"
        headers.append((b"content-encoding", b"gzip"))
    headers += ((b"etag", b'"%s"' % tag), (b"content-length", b"%d" % len(body)))
    return 200, headers, body


class TileDoor:
    """ASGI middleware: the short way to tiles."""

    def __init__(self, app: ASGIApp, city: City) -> None:
        """Stand before `app`."""
        self._app = app
        self._city = city

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a tile request, or pass it on."""
        if scope["type"] == "http" and scope["method"] == "GET" and (match := _PATH.fullmatch(scope["path"])):
            layer, viewer = self._city.layers.get(match[1]), recognised(scope)
            z, y, x = int(match[2]), int(match[3]), int(match[4])
            if viewer is not None and layer is not None and may_read(layer, viewer) and _exists(z, x, y):
                await self._serve(layer, viewer, (z, x, y), scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _serve(
        self, layer: Layer, viewer: Viewer, address: tuple[int, int, int], scope: Scope, receive: Receive, send: Send
    ) -> None:
        scope[VIEWER] = viewer
        sight.note(self._city, viewer, layer)
        status, headers, body = await answer(self._city, layer, viewer, address, scope, receive)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _exists(z: int, x: int, y: int) -> bool:
    return z <= MAX_ZOOM and x < 1 << z and y < 1 << z


def _asked_with(scope: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """If-None-Match and Accept-Encoding."""
    seen = accepts = b""
    for name, value in scope["headers"]:
        if name == b"if-none-match":
            seen = value
        elif name == b"accept-encoding":
            accepts = value
    return seen, accepts


def _is_far(scope: Mapping[str, Any]) -> bool:
    """Whether the client is on another machine: here compressing would only cost time."""
    client = scope.get("client")
    return client is not None and client[0] not in _LOOPBACK


async def _compressed(city: City, key: Key, body: bytes) -> bytes:
    kept = city.tiles.cache.get((key, "gzip"))
    if kept is None:
        # The compressor lets other threads run meanwhile.
        kept = await asyncio.get_running_loop().run_in_executor(None, _gzip, body)
        city.tiles.cache.put((key, "gzip"), kept)
    return kept


def _gzip(body: bytes) -> bytes:
    packer = zlib.compressobj(level=1, wbits=zlib.MAX_WBITS | 16)
    return packer.compress(body) + packer.flush()


async def _patiently(waiting: asyncio.Future[bytes], receive: Receive) -> bytes | None:
    """Wait for a tile; after a while watch whether the client still does. None if it left."""
    watchers: list[asyncio.Task[None]] = []
    loop = waiting.get_loop()

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        waiting.cancel()

    timer = loop.call_later(_PATIENCE_S, lambda: watchers.append(loop.create_task(watch())))
    try:
        return await waiting
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        return None
    finally:
        timer.cancel()
        for watcher in watchers:
            watcher.cancel()
