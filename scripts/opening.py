"""Opening a city: cluster up, tables and guards up to date, the pack loaded. Every command begins here."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import layers
from data.packs import Pack, open_pack
from gis_core.cluster import Cluster
from gis_core.database import Database
from gis_core.settings import Settings
from gis_core.tokens import Door, areas_of
from scripts import loading, schema

DEFAULT_CITY = "coquimbo"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OpenCity:
    """A city that is ready to be read and written."""

    settings: Settings
    facts: Mapping[str, Any]
    database: Database
    door: Door


@contextmanager
def city(settings: Settings, *, reload: bool = False) -> Iterator[OpenCity]:
    """The city of these settings, loaded if it was not; closed again at the end."""
    pack = pack_of(settings)
    with database(settings, pack) as opened:
        facts = loading.facts_of(opened)
        if facts is None or reload or not loading.is_loaded(opened, pack, settings):
            facts = loading.load(opened, pack, settings)
        yield OpenCity(settings, facts, opened, Door(opened, areas_of(opened, layers.load()["admin_areas"])))


@contextmanager
def database(settings: Settings, pack: Pack | None = None) -> Iterator[Database]:
    """The city's database with tables and guards in place: external, or in the private cluster, which is left after."""
    name = (pack or pack_of(settings)).facts.name
    if settings.database_url:
        yield from _ready(settings.database_url)
        return
    cluster = Cluster(settings.home / "postgres")
    cluster.start()
    try:
        cluster.create_database(f"chengtu_{name}")
        yield from _ready(cluster.url(f"chengtu_{name}"))
    finally:
        cluster.leave()


def pack_of(settings: Settings) -> Pack:
    """The pack that these settings name; an extract alone is a pack of its own."""
    city = settings.city or ("" if settings.osm else DEFAULT_CITY)
    return open_pack(city, home=settings.home, data=settings.data, osm=settings.osm)


def _ready(url: str) -> Iterator[Database]:
    opened = Database(url)
    try:
        for note in schema.upgrade(opened):
            log.warning("%s", note)
        yield opened
    finally:
        opened.close()
