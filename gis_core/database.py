"""The only place that opens PostGIS: one engine for reads and writes, each read under the second lock."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
import sqlalchemy as sa

from gis_core.access import READER
from gis_core.errors import BadInput, Unavailable

if TYPE_CHECKING:
    from gis_core.access import Viewer

READ_LIMIT_S = 20.0
"""The longest that one statement of a read may take, and that its transaction may lie idle."""
_LISTEN_S = 0.5
"""How long a listener waits before it looks whether it should stop."""
_PATIENCE_S = 10
_RETRY_S = 2
"""When it is worth asking again; the private server, killed, is back within a second or two."""
_NO_ADDRESS = "this is no address of a PostgreSQL database; one looks like postgresql://USER:PASSWORD@HOST:5432/NAME"
log = logging.getLogger(__name__)


class Database:
    """One city's PostGIS. `url` is a libpq address (`postgresql://...`) without a driver's name."""

    def __init__(self, url: str, *, pool_size: int = 8) -> None:
        """Prepare the engine; nothing is opened yet. Raises BadInput if this is no such address."""
        self.url = url
        self.engine = sa.create_engine(
            _address(url).set(drivername="postgresql+psycopg"),
            pool_size=pool_size,
            max_overflow=8,
            pool_pre_ping=True,
        )
        self._has_reader = False

    def reach(self) -> None:
        """Connect once and say in the server's own words why that fails, for whoever wrote the address.

        Raises:
            Unavailable: nobody answers there, or we are not let in.
            BadInput: the address cannot be read.
        """
        try:
            psycopg.connect(self.url, connect_timeout=_PATIENCE_S).close()
        except psycopg.OperationalError as error:
            words = str(error).strip().splitlines()[0]
            password = self.engine.url.password
            raise Unavailable(words.replace(str(password), "***") if password else words) from None
        except (psycopg.Error, ValueError, UnicodeError):
            raise BadInput(_NO_ADDRESS) from None

    @contextmanager
    def alone(self, task: str) -> Iterator[None]:
        """Wait until no other process does this task in this city, and keep others waiting; it ends with the process.

        Raises:
            Unavailable: the database is down or full.
        """
        lock = ["chengtu.task", task]
        with _spoken(), psycopg.connect(self.url, autocommit=True) as holder:
            held = holder.execute("SELECT pg_try_advisory_lock(hashtext(%s), hashtext(%s))", lock).fetchone()
            if held == (False,):
                log.info("waiting for another process that does the same (%s)", task)
                holder.execute("SELECT pg_advisory_lock(hashtext(%s), hashtext(%s))", lock)
            yield

    @contextmanager
    def reading(self, viewer: Viewer, *, limit_s: float = READ_LIMIT_S) -> Iterator[sa.Connection]:
        """A read-only transaction of the reader role, bound to the viewer, so that row-level security holds.

        Raises:
            Unavailable: the database is down or full, or a statement took longer than `limit_s`.
            BadInput: a text given to a statement is none that PostgreSQL knows.
        """
        with _spoken(), self.engine.connect() as connection, connection.begin():
            limit = f"{limit_s:.3f}s"
            bound = {"scope": viewer.scope, "clearance": viewer.clearance, "role": self._reader(connection)}
            connection.execute(_BIND, {**bound, "limit": limit})
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction of the service itself, which owns the tables: ingest, registers, audit.

        Raises:
            Unavailable: the database is down or full.
            BadInput: a text given to a statement is none that PostgreSQL knows.
        """
        with _spoken(), self.engine.begin() as connection:
            yield connection

    def _reader(self, connection: sa.Connection) -> str:
        """The role for reads; `none` on a server that gave us no such role (`guards.install` says how to mend it)."""
        if not self._has_reader:
            self._has_reader = connection.scalar(_FIND_READER, {"role": READER}) is not None
            if not self._has_reader:
                log.warning("reads run without row-level security: there is no role %s for this user", READER)
        return READER if self._has_reader else "none"

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

    def describe(self) -> dict[str, str]:
        """Which PostgreSQL and PostGIS answer.

        Raises:
            Unavailable: none does.
        """
        with self.writing() as connection:
            server, postgis = connection.execute(_VERSIONS).one()
        return {"postgresql": server, "postgis": postgis}

    def close(self) -> None:
        """Give all connections back to the server."""
        self.engine.dispose()


def _address(url: str) -> sa.URL:
    # The errors of the parsers quote the address with its password.
    try:
        address = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise BadInput(_NO_ADDRESS) from None
    if address.drivername not in {"postgresql", "postgres"}:
        raise BadInput(_NO_ADDRESS)
    return address


@contextmanager
def _spoken() -> Iterator[None]:
    """What the server or the pool could not do, in words without its address."""
    try:
        yield
    except UnicodeEncodeError as error:
        raise BadInput("a text holds half of a surrogate pair, which is no character") from error
    except (sa.exc.DBAPIError, psycopg.OperationalError) as error:
        cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        if isinstance(cause, psycopg.errors.QueryCanceled):
            raise Unavailable("the question took too long to answer; ask for less at once") from error
        if isinstance(cause, _AWAY):
            raise Unavailable("the database does not answer now", retry_after=_RETRY_S) from error
        if isinstance(cause, psycopg.DataError) and cause.sqlstate is None and "NUL" in str(cause):
            raise BadInput("a text holds the character NUL, which cannot be stored or looked for") from error
        raise
    except sa.exc.TimeoutError as error:
        raise Unavailable("too many questions are asked of the database at once") from error


_AWAY = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.IdleInTransactionSessionTimeout)
# The role is taken last: what comes before is the connecting user's to set.
_BIND = sa.text(
    "select set_config('chengtu.scope', :scope, true), set_config('chengtu.clearance', :clearance, true),"
    " set_config('statement_timeout', :limit, true),"
    " set_config('idle_in_transaction_session_timeout', :limit, true),"
    " set_config('transaction_read_only', 'on', true), set_config('role', :role, true)"
)
_VERSIONS = sa.text("select current_setting('server_version'), postgis_lib_version()")
_FIND_READER = sa.text("SELECT 1 FROM pg_roles WHERE rolname = :role AND pg_has_role(current_user, oid, 'MEMBER')")
