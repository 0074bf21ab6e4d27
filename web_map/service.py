"""The service put together: one city, every door, one place where errors become answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

import layers
from gis_core.allowance import Allowance
from gis_core.audit import Trail
from gis_core.database import Database
from gis_core.settings import Settings
from gis_core.tiles import Tiles
from gis_core.tokens import Door, areas_of
from twin.feed import Feed
from twin.pipes.networks import Networks
from twin.survey.desk import Desk
from web_map import (
    audit,
    catalogue,
    changes,
    exports,
    headers,
    heads,
    health,
    hexagons,
    incidents,
    metrics,
    ogc,
    pages,
    pipe_checks,
    pipe_models,
    pipe_networks,
    problems,
    scenes,
    session,
    survey_words,
    surveys,
    tile_answers,
    tiles,
    uploads,
)
from web_map.city import City

ROOMS = (
    health, metrics, catalogue, scenes, ogc, tiles, hexagons, exports, uploads, changes, pipe_networks,
    pipe_checks, pipe_models, survey_words, surveys, incidents, session, audit, pages,
)  # fmt: skip
"""Every room with doors; each has a `router`."""


def create_app(settings: Settings, database: Database, facts: Mapping[str, Any]) -> FastAPI:
    """The ASGI application of one city whose tables and guards stand.

    Nothing is opened before the application starts, and all of it is closed when it stops.
    """
    known = layers.load()
    feed = Feed(database)
    city = City(
        settings=settings,
        facts=facts,
        database=database,
        layers=known,
        feed=feed,
        networks=Networks(database, known, feed),
        surveys=Desk(database, known, facts, settings.home),
        tiles=Tiles(database.url, cache_mb=settings.tile_cache_mb),
        door=Door(database, areas_of(database, known["admin_areas"])),
        trail=Trail(database),
        allowance=Allowance(database, settings.detail_limit_km2),
    )
    app = FastAPI(
        title="Chengtu 城图",
        summary="One map on which a city is seen, run and decided.",
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        responses=problems.RESPONSES,
        # Nothing is sent to another host, whatever the environment says; and asking each time costs each tile.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.city = city
    app.state.metrics = metrics.Book()
    for room in ROOMS:
        app.include_router(room.router)
    pages.mount(app)
    session.install(app)
    app.add_middleware(tile_answers.TileDoor, city=city)
    problems.install(app)
    app.add_middleware(heads.Heads)
    app.add_middleware(headers.Headers)
    app.add_middleware(metrics.Measured, book=app.state.metrics)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    city: City = app.state.city
    city.feed.start()
    await city.tiles.open()
    await asyncio.to_thread(city.surveys.start)
    following = asyncio.create_task(city.networks.follow())
    try:
        yield
    finally:
        await city.tiles.close()
        city.feed.stop()
        following.cancel()
        city.networks.close()
        await asyncio.to_thread(city.surveys.close)
        city.trail.close()
