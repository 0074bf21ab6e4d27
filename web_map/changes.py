"""`/api/changes`: a stream of server-sent events that says which layer has a new version."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import orjson
from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from gis_core.access import Viewer, may_read
from web_map.asking import Asker, TheCity
from web_map.city import City

router = APIRouter(tags=["live"])

_HEARTBEAT_S = 15.0
"""An event this often keeps proxies from closing a quiet stream, and tells the browser that the line still stands:
one that hears nothing for three of them connects anew (a comment line would not reach its script)."""


@router.get("/api/changes", response_class=StreamingResponse)
async def changes(city: TheCity, viewer: Asker) -> StreamingResponse:
    """Tell every change of a layer this viewer may see, as `event: changed`."""
    return StreamingResponse(
        _events(city, viewer), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
    )


async def _events(city: City, viewer: Viewer) -> AsyncIterator[bytes]:
    with city.feed.subscribe() as queue:
        yield b"retry: 2000\n\n"
        while True:
            try:
                version = await asyncio.wait_for(queue.get(), _HEARTBEAT_S)
            except TimeoutError:
                yield b"event: alive\ndata: {}\n\n"
                continue
            if version is None:
                return
            if version.layer in city.layers and may_read(city.layers[version.layer], viewer):
                told = {"layer": version.layer, "version": version.number, "updated_at": version.changed_at}
                yield b"event: changed\ndata: " + orjson.dumps(told) + b"\n\n"
