"""The only place that opens PostGIS: one engine for reads and writes, each read under the second lock."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
import sqlalchemy as sa

from gis_core.access import READER

if TYPE_CHECKING:
    from gis_core.access import Viewer

_LISTEN_S = 0.5
"""How long a listener waits before it looks whether it should stop."""


class Database:
    """One city's PostGIS. `url` is a libpq address (`postgresql://...`) without a driver's name."""

    def __init__(self, url: str, *, pool_size: int = 8) -> None:
        """Prepare the engine; nothing is opened yet."""
        self.url = url
        self.engine = sa.create_engine(
            sa.make_url(url).set(drivername="postgresql+psycopg"),
            pool_size=pool_size,
            max_overflow=8,
            pool_pre_ping=True,
        )

    @contextmanager
    def reading(self, viewer: Viewer) -> Iterator[sa.Connection]:
        """A read-only transaction under the reader role and the viewer's scope, so that row-level security holds."""
        with self.engine.connect() as connection, connection.begin():
            connection.execute(_BIND, {"scope": viewer.scope, "role": READER})
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction of the service itself, which owns the tables: ingest, registers, audit."""
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def raw(self, connection: sa.Connection) -> Iterator[psycopg.Connection[Any]]:
        """The driver's own connection under a SQLAlchemy transaction, for COPY."""
        driver: Any = connection.connection.driver_connection
        yield driver

    def notices(self, channel: str, stopping: threading.Event) -> Iterator[str | None]:
        """What is NOTIFYed on a channel, until `stopping` is set; first None, once the channel is listened to.

        Raises:
            ConnectionError: the server went away; what was said meanwhile is lost to this listener.
        """
        try:
            with psycopg.connect(self.url, autocommit=True) as listener:
                listener.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(channel)))
                yield None
                while not stopping.is_set():
                    for notice in listener.notifies(timeout=_LISTEN_S):
                        yield notice.payload
        except psycopg.OperationalError as error:
            raise ConnectionError(str(error)) from error

    def close(self) -> None:
        """Give all connections back to the server."""
        self.engine.dispose()


_BIND = sa.text(
    "select set_config('chengtu.scope', :scope, true), set_config('transaction_read_only', 'on', true),"
    " set_config('role', :role, true)"
)
