"""The change feed: a committed change is heard, a lost connection is found again, and nothing stays wrong for good."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable

import psycopg

from gis_core.cluster import Cluster
from gis_core.database import Database
from twin.feed import Feed, Version

STATION = (
    "insert into bike_stations (code, docks, geom, cell) "
    "values (%s, 10, ST_SetSRID(ST_Point(24.94, 60.17), 4326), 626740321835319295)"
)
PATIENCE_S = 30


def until(holds: Callable[[], bool]) -> bool:
    """Wait for a condition, at most PATIENCE_S."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    return holds()


def add_station(database: Database, code: str) -> None:
    with psycopg.connect(database.url) as connection:
        connection.execute(STATION, (code,))


def test_a_subscriber_hears_of_a_committed_change_and_of_the_end(database: Database) -> None:
    feed = Feed(database)
    feed.start()
    assert until(lambda: feed.alive)

    async def listen() -> tuple[Version | None, Version | None]:
        with feed.subscribe() as queue:
            await asyncio.to_thread(add_station, database, "A1")
            heard = await asyncio.wait_for(queue.get(), PATIENCE_S)
            feed.release()
            return heard, await asyncio.wait_for(queue.get(), PATIENCE_S)

    heard, end = asyncio.run(listen())
    feed.stop()
    assert heard is not None
    assert (heard.layer, heard.number) == ("bike_stations", feed.version("bike_stations"))
    assert heard.changed_at.tzinfo is not None
    assert end is None


def test_what_is_rolled_back_is_not_told(database: Database) -> None:
    feed = Feed(database)
    feed.start()
    before = feed.version("bike_stations")
    with psycopg.connect(database.url) as connection:
        connection.execute(STATION, ("A1",))
        connection.rollback()
    add_station(database, "A2")
    assert until(lambda: feed.version("bike_stations") == before + 1)
    feed.stop()


def test_versions_are_right_again_after_the_server_was_killed(cluster: Cluster, database: Database) -> None:
    feed = Feed(database)
    feed.start()
    assert until(lambda: feed.alive)
    with psycopg.connect(database.url) as connection:
        (listener,) = connection.execute(
            "select pid from pg_stat_activity where query ilike 'listen%%' and datname = current_database()"
        ).fetchone() or (None,)
    assert listener is not None
    os.kill(listener, signal.SIGKILL)  # the postmaster answers this by restarting every backend
    assert until(lambda: not feed.alive)
    cluster.ensure()
    database.engine.dispose()
    add_station(database, "A3")
    assert until(lambda: feed.alive and feed.version("bike_stations") == 1)
    feed.stop()
