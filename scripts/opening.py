"""Opening a city: cluster up, tables and guards up to date, the pack loaded. Every command begins here."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import layers
from data.packs import Pack, open_pack
from gis_core.cluster import Cluster
from gis_core.database import Database
from gis_core.errors import BadInput
from gis_core.settings import Settings
from gis_core.tokens import Door, areas_of
from scripts import loading, schema
from scripts.scratch import scratch
from scripts.watch import Watch

DEFAULT_CITY = "coquimbo"
_PREFIX = "chengtu_"
"""What the names of cities' databases begin with."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OpenCity:
    """A city that is ready to be read and written."""

    settings: Settings
    facts: Mapping[str, Any]
    database: Database
    door: Door


@contextmanager
def city(settings: Settings, *, reload: bool = False, watched: bool = False) -> Iterator[OpenCity]:
    """The city of these settings, loaded as its pack and files are now; closed again at the end.

    Of several processes that find it not loaded, one loads it while the others wait. `watched`: the private server
    is started again whenever it dies meanwhile.
    """
    pack = pack_of(settings)
    with database(settings, pack, watched=watched) as opened:
        if reload or not loading.is_loaded(opened, pack, settings):
            with opened.alone("load"):
                if reload or not loading.is_loaded(opened, pack, settings):
                    loading.load(opened, pack, settings)
        yield _open_city(settings, opened)


@contextmanager
def standing_city(settings: Settings) -> Iterator[OpenCity]:
    """The city as it stands, whatever files it was loaded from; loaded only if it never was."""
    with database(settings) as opened:
        if loading.facts_of(opened) is None:
            pack = pack_of(settings)
            with opened.alone("load"):
                if loading.facts_of(opened) is None:
                    loading.load(opened, pack, settings)
        yield _open_city(settings, opened)


@contextmanager
def database(settings: Settings, pack: Pack | None = None, *, watched: bool = False) -> Iterator[Database]:
    """The city's database with tables and guards in place: external, or in the private cluster, which is left after.

    Where neither a pack is given nor a city named, it is the default city's, or that of the only one there is.

    Raises:
        CityError: no PostgreSQL, none that lets us in, or a database that is somebody else's.
    """
    if pack is None and (settings.city is not None or settings.osm is not None):
        pack = pack_of(settings)
    if settings.database_url:
        with scratch(settings.home), _opened(settings.database_url) as external:
            external.reach()
            _prepare(external, pack)
            yield external
        return
    cluster = Cluster(settings.home / "postgres")
    try:
        cluster.start()
        name = _PREFIX + (pack.facts.name if pack is not None else _only_city(cluster))
        cluster.create_database(name)
        with (
            scratch(settings.home),
            _opened(cluster.url(name)) as private,
            Watch(cluster, private) if watched else nullcontext(),
        ):
            _prepare(private, pack)
            yield private
    finally:
        cluster.leave()


def pack_of(settings: Settings) -> Pack:
    """The pack that these settings name; an extract alone is a pack of its own."""
    city = settings.city or ("" if settings.osm else DEFAULT_CITY)
    return open_pack(city, home=settings.home, data=settings.data, osm=settings.osm)


def _open_city(settings: Settings, opened: Database) -> OpenCity:
    facts = loading.facts_of(opened) or {}
    return OpenCity(settings, facts, opened, Door(opened, areas_of(opened, layers.load()["admin_areas"])))


def _only_city(cluster: Cluster) -> str:
    """The default city, or where that was never loaded the one that was. Raises BadInput if there are several."""
    names = [name.removeprefix(_PREFIX) for name in cluster.databases() if name.startswith(_PREFIX)]
    if not names or DEFAULT_CITY in names:
        return DEFAULT_CITY
    if len(names) > 1:
        raise BadInput(f"there are several cities here: {', '.join(names)}; say which with --city")
    return names[0]


@contextmanager
def _opened(url: str) -> Iterator[Database]:
    opened = Database(url)
    try:
        yield opened
    finally:
        opened.close()


def _prepare(opened: Database, pack: Pack | None) -> None:
    for note in schema.upgrade(opened):
        log.warning("%s", note)
    if pack is not None:
        loading.require_own(opened, pack.facts.name)
