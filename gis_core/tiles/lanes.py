"""One connection that makes tiles: in the reader's role, read-only, bound to one owner at a time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg

from gis_core.access import READER
from gis_core.guards import CLEARANCE, SCOPE

if TYPE_CHECKING:
    from gis_core.tiles import Job
    from gis_core.tiles.plans import TilePlan

_TIMEOUT_S: Final = 30
_CONNECT_TIMEOUT_S: Final = 10
_SETTINGS: Final = {
    "application_name": "chengtu tiles",
    "default_transaction_read_only": "on",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    # The arrays of addresses tell the planner nothing: planning anew each time would only cost.
    "plan_cache_mode": "force_generic_plan",
    "statement_timeout": str(_TIMEOUT_S * 1000),
}

_MOST_PREPARED: Final = 100
_BIND: Final = "SELECT set_config($1, $2, false), set_config($3, $4, false)"
_FIND_READER: Final = "SELECT true FROM pg_roles WHERE rolname = $1 AND pg_has_role(current_user, oid, 'MEMBER')"
_FOR_LIBPQ_ALONE: Final = frozenset(
    {
        "channel_binding", "connect_timeout", "fallback_application_name", "gssdelegation", "gssencmode", "hostaddr",
        "keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval", "load_balance_hosts",
        "require_auth", "requirepeer", "requiressl", "sslcertmode", "sslcompression", "sslcrldir", "sslsni",
        "tcp_user_timeout",
    }
)  # fmt: skip


class Lane:
    """A connection that is opened when first needed and again after it broke. For one task at a time.

    `jobs` are those under way, `scope` and `clearance` what the connection is bound to.
    """

    def __init__(self, url: str) -> None:
        """Note where the database is."""
        self._url = _address(url)
        self._connection: Any = None
        self._prepared: OrderedDict[TilePlan, Any] = OrderedDict()
        self.scope = self.clearance = ""
        self.jobs: Sequence[Job] = ()

    async def fetch(self, plan: TilePlan, addresses: Sequence[Sequence[int]]) -> list[bytes]:
        """The tiles at the addresses (z, x, y), in their order. A connection that broke meanwhile is opened again.

        Raises:
            asyncpg.PostgresError: the statement failed.
            OSError, TimeoutError, asyncpg.InterfaceError: there is no server.

        """
        if self._connection is not None:
            try:
                return await self._fetch(plan, addresses)
            except (
                OSError,
                asyncpg.InterfaceError,
                asyncpg.PostgresConnectionError,
                asyncpg.OperatorInterventionError,
            ):
                if not self._connection.is_closed():
                    raise
            except asyncpg.InvalidCachedStatementError:
                pass  # the table has changed under the statement: prepare it anew
        await self._connect()
        return await self._fetch(plan, addresses)

    async def close(self) -> None:
        """End the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await connection.close(timeout=2)

    def serves(self, plan: TilePlan) -> bool:
        """Whether the connection is bound as the plan asks; one that asks for nothing is served by any."""
        return not plan.scope or (plan.scope == self.scope and plan.clearance == self.clearance)

    async def _fetch(self, plan: TilePlan, addresses: Sequence[Sequence[int]]) -> list[bytes]:
        if not self.serves(plan):
            self.scope = self.clearance = ""
            await self._connection.execute(_BIND, SCOPE, plan.scope, CLEARANCE, plan.clearance)
            self.scope, self.clearance = plan.scope, plan.clearance
        statement = self._prepared.get(plan) or await self._prepare(plan)
        tiles = [b""] * len(addresses)
        for place, tile in await statement.fetch(*zip(*addresses, strict=True)):
            tiles[place - 1] = tile or b""
        return tiles

    async def _prepare(self, plan: TilePlan) -> Any:
        statement = self._prepared[plan] = await self._connection.prepare(plan.text)
        if len(self._prepared) > _MOST_PREPARED:
            self._prepared.popitem(last=False)
        return statement

    async def _connect(self) -> None:
        await self.close()
        self._prepared.clear()
        self.scope = self.clearance = ""
        connection = await asyncpg.connect(
            self._url,
            timeout=_CONNECT_TIMEOUT_S,
            server_settings=_SETTINGS,
            # Without a cache of its own asyncpg would give our statements no name, and the server would plan each time.
            statement_cache_size=10,
        )
        # A server that gave us no such role has told so when its guards were installed; the gate holds there alone.
        if await connection.fetchval(_FIND_READER, READER):
            await connection.execute(f"SET ROLE {READER}")
        self._connection = connection


def _address(url: str) -> str:
    """The address without what libpq alone understands: asyncpg would send it to the server, which refuses it."""
    parts = urlsplit(url)
    said = [(name, value) for name, value in parse_qsl(parts.query) if name not in _FOR_LIBPQ_ALONE]
    return urlunsplit(parts._replace(query=urlencode(said)))
