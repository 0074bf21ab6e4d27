"""The city's pipe networks, kept in memory: one per class, or per class and owner, and always that of some version.

A network is read from PostGIS by binary COPY, built aside by one thread and then put in the place of the old one, so
nobody who asks ever waits for a change; only the first who asks for a network waits until there is one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import sqlalchemy as sa

from gis_core.access import Role, Viewer, visible
from gis_core.database import Database
from gis_core.errors import Unavailable
from gis_core.records import Change
from gis_core.rows import as_text, bare, spatial
from gis_core.spec import Layer
from layers.pipe_points import PointKind
from twin.feed import Feed
from twin.pipes import graph as bits
from twin.pipes.graph import Graph

if TYPE_CHECKING:
    from twin.pipes.alarms import Branches
    from twin.pipes.criticality import Criticality
    from twin.pipes.isolation import Isolator
    from twin.pipes.traces import Traces

SEGMENTS: Final = "pipe_segments"
POINTS: Final = "pipe_points"
GRAVITY: Final = frozenset({"storm", "sewage", "combined"})
"""Classes that flow by themselves, to an outfall; all others are driven from a source."""

_PATIENCE_S: Final = 60.0
_READING_S: Final = 300.0
_MOST_RESIDENT: Final = 24
_IN_USE: Final = ("in_use", "other")
_PIPE: Final = np.dtype(
    [("n", ">i2"), ("s0", ">i4"), ("id", ">i8"), ("s1", ">i4"), ("start", ">i8"), ("s2", ">i4"), ("end", ">i8"),
     ("s3", ">i4"), ("length_m", ">f8"), ("s4", ">i4"), ("flow", ">i4")]
)  # fmt: skip
_POINT: Final = np.dtype(
    [("n", ">i2"), ("s0", ">i4"), ("id", ">i8"), ("s1", ">i4"), ("bits", ">i4"), ("s2", ">i4"), ("customers", ">i4")]
)
_COPY_HEAD, _COPY_TAIL = 19, 2
_LOW_BITS: Final[Any] = sa.literal_column("4611686018427387903")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Key:
    """Which network: a class of pipes, of all owners or of one."""

    pipe_class: str
    owner: str | None = None


@dataclass(frozen=True)
class Network:
    """One network at one moment. `generation` names the versions of the two layers that it was read from."""

    key: Key
    versions: tuple[int, int]
    graph: Graph
    traces: Traces
    isolator: Isolator

    @property
    def generation(self) -> str:
        """The same for two processes that read the same rows."""
        return f"{self.versions[0]}.{self.versions[1]}"

    @property
    def gravity(self) -> bool:
        """Whether it flows by itself."""
        return self.key.pipe_class in GRAVITY

    @cached_property
    def criticality(self) -> Criticality:
        """How much every section matters."""
        from twin.pipes.criticality import tell  # noqa: PLC0415  numba takes long to load

        return tell(self.isolator.partition, self.isolator.supply)

    @cached_property
    def branches(self) -> Branches:
        """Which alarms belong together."""
        from twin.pipes.alarms import Branches  # noqa: PLC0415

        return Branches(self.traces)

    def as_json(self) -> dict[str, Any]:
        """What an answer says of the network that it was found in."""
        graph = self.graph
        return {
            "pipe_class": self.key.pipe_class,
            "generation": self.generation,
            "points": graph.points,
            "pipes": graph.pipes,
            "sources": len(graph.sinks if self.gravity else graph.sources),
        }


class Networks:
    """All networks of a city that somebody asked for."""

    def __init__(self, database: Database, layers: Mapping[str, Layer], feed: Feed) -> None:
        """Prepare; nothing is read before somebody asks."""
        self._database = database
        self._layers = layers
        self._feed = feed
        self._resident: dict[Key, Network] = {}
        self._coming: dict[Key, Future[Network]] = {}
        self._lock = threading.Lock()
        self._builder: ThreadPoolExecutor | None = None
        self._is_warm = False

    def of(self, pipe_class: str, owner: str | None = None) -> Network:
        """The network as it is known here; if it has changed, a newer one is on its way. Those of no pipes are empty.

        Raises:
            Unavailable: it is asked for the first time, and does not come in time.

        """
        key = Key(pipe_class, owner)
        with self._lock:
            known = self._resident.pop(key, None)
            if known is not None:
                self._resident[key] = known  # asked for last
                if self._is_old(known):
                    self._order(key)
                return known
            coming = self._order(key)
        try:
            return coming.result(_PATIENCE_S)
        except TimeoutError as error:
            raise Unavailable(f"The network of {pipe_class} pipes is still being read.", retry_after=5) from error
        except CancelledError as error:
            raise Unavailable("The service stops.", retry_after=5) from error

    def refresh(self) -> None:
        """Order anew whatever is older than the newest version that the feed knows."""
        with self._lock:
            for key, network in self._resident.items():
                if self._is_old(network):
                    self._order(key)

    async def follow(self) -> None:
        """Keep the networks new for as long as the feed tells of changes."""
        with self._feed.subscribe() as changes:
            while (change := await changes.get()) is not None:
                if change.layer in (SEGMENTS, POINTS):
                    self.refresh()

    def close(self) -> None:
        """Wait for what is being read, and leave what waits for its turn."""
        with self._lock:
            builder, self._builder = self._builder, None
        if builder is not None:
            builder.shutdown(cancel_futures=True)

    def _is_old(self, network: Network) -> bool:
        newest = (self._feed.version(SEGMENTS), self._feed.version(POINTS))
        return any(known < told for known, told in zip(network.versions, newest, strict=True))

    def _order(self, key: Key) -> Future[Network]:
        """Have a network built unless it is being built already; to be called under the lock."""
        coming = self._coming.get(key)
        if coming is None or coming.cancelled():
            if self._builder is None:
                self._builder = ThreadPoolExecutor(1, thread_name_prefix="pipes")
            coming = self._coming[key] = self._builder.submit(self._build, key)
        return coming

    def _build(self, key: Key) -> Network:
        began = time.perf_counter()
        try:
            if not self._is_warm:
                warm_up()
                self._is_warm = True
            network = build(key, *read(self._database, self._layers, key))
        except BaseException:
            log.warning("the network of %s could not be read", key, exc_info=True)
            with self._lock:
                del self._coming[key]
            raise
        log.info("read the network of %s: %d pipes in %.1f s", key, network.graph.pipes, time.perf_counter() - began)
        with self._lock:
            del self._coming[key]
            self._resident[key] = network
            if len(self._resident) > _MOST_RESIDENT:
                del self._resident[next(iter(self._resident))]
            if self._is_old(network) and self._builder is not None:
                self._order(key)
        return network


def build(key: Key, graph: Graph, versions: tuple[int, int]) -> Network:
    """A network with all that its questions need."""
    from twin.pipes.isolation import Isolator  # noqa: PLC0415  numba takes long to load
    from twin.pipes.traces import Traces  # noqa: PLC0415

    return Network(key, versions, graph, Traces(graph, gravity=key.pipe_class in GRAVITY), Isolator(graph))


def warm_up() -> None:
    """Ask a tiny network everything, so that all of it is compiled, or read from disk, before somebody waits for it."""
    from twin.pipes.isolation import Burst  # noqa: PLC0415  numba takes long to load
    from twin.pipes.traces import Start  # noqa: PLC0415

    known = [bits.SOURCE, bits.VALVE, 0, bits.VALVE | bits.CLOSED, 0]
    tiny = build(
        Key("water"), bits.build(range(4), range(4), range(1, 5), [1.0] * 4, point_ids=range(5), bits=known), (0, 0)
    )
    tiny.traces.loops(Start((0,)))
    tiny.traces.shortest(Start((0,)), Start((2,)))
    tiny.isolator.compare(Burst(pipes=(0,)), Burst(pipes=(2,)))
    _ = tiny.branches


def read(database: Database, layers: Mapping[str, Layer], key: Key) -> tuple[Graph, tuple[int, int]]:
    """A network's arrays from PostGIS, through the gate, and the versions of segments and points that they show.

    Pipes that are abandoned or empty are left out. Points are those that the segments name by code; one that is named
    and does not exist still joins the pipes that name it, and an end without a name is a point of its own.

    Raises:
        Unavailable: the database is down.

    """
    reader = (
        Viewer(Role.admin, name="chengtu") if key.owner is None else Viewer(Role.utility, key.owner, name="chengtu")
    )
    with database.reading(reader, limit_s=_READING_S) as connection:
        # Read first: rows that change meanwhile raise a version that is newer than these.
        told = {row.layer: row.version for row in connection.execute(sa.select(Change.layer, Change.version))}
        with database.raw(connection) as driver:
            pipes = _copied(driver, as_text(_pipes(layers, reader, key.pipe_class)), _PIPE)
            points = _copied(driver, as_text(_points(layers, reader, key.pipe_class)), _POINT)
    start, end = pipes["start"].astype(np.int64), pipes["end"].astype(np.int64)
    for ends, first in ((start, -1), (end, -1 - len(pipes))):
        nameless = np.flatnonzero(ends == 0)
        ends[nameless] = first - nameless
    network = bits.build(
        pipes["id"],
        start,
        end,
        pipes["length_m"],
        flow=pipes["flow"],
        point_ids=points["id"],
        bits=points["bits"],
        customers=points["customers"],
    )
    return network, (told.get(SEGMENTS, 0), told.get(POINTS, 0))


def _pipes(layers: Mapping[str, Layer], reader: Viewer, pipe_class: str) -> Any:
    columns = ("id", "pipe_class", "start_point", "end_point", "length_m", "flow", "status", "geom")
    rows = visible(layers[SEGMENTS], reader, columns)
    ends = [visible(layers[POINTS], reader, ("id", "code")).alias(name) for name in ("begin", "finish")]
    length = sa.func.coalesce(rows.c.length_m, spatial("ST_Length", spatial("geography", bare(rows.c.geom))))
    flow = sa.case((rows.c.flow == "forward", bits.FORWARD), (rows.c.flow == "backward", bits.BACKWARD), else_=0)
    chosen = sa.select(
        sa.cast(rows.c.id, sa.BigInteger),
        _point_id(ends[0].c.id, rows.c.start_point),
        _point_id(ends[1].c.id, rows.c.end_point),
        sa.cast(length, sa.Double),
        sa.cast(flow, sa.Integer),
    )
    joined = rows.outerjoin(ends[0], ends[0].c.code == rows.c.start_point)
    joined = joined.outerjoin(ends[1], ends[1].c.code == rows.c.end_point)
    used = sa.or_(rows.c.status.is_(None), rows.c.status.in_(_IN_USE))
    return chosen.select_from(joined).where(rows.c.pipe_class == pipe_class, used)


def _point_id(known: Any, code: Any) -> Any:
    """The id of a point; for one that is named and not there, a number of -2**62 or less made of its name; else 0."""
    made: Any = sa.literal_column("-4611686018427387904") - sa.func.hashtextextended(code, 0).op("&")(_LOW_BITS)
    return sa.cast(sa.func.coalesce(known, made, 0), sa.BigInteger)


def _points(layers: Mapping[str, Layer], reader: Viewer, pipe_class: str) -> Any:
    columns = ("id", "pipe_class", "kind", "valve_open", "operable", "accessible", "customers")
    rows = visible(layers[POINTS], reader, columns)
    parts = [
        (rows.c.kind == PointKind.valve, bits.VALVE),
        (rows.c.valve_open.is_(False), bits.CLOSED),
        (rows.c.operable.is_(False), bits.STUCK),
        (rows.c.accessible.is_(False), bits.UNREACHABLE),
        (rows.c.kind == PointKind.source, bits.SOURCE),
        (rows.c.kind == PointKind.outfall, bits.SINK),
        (rows.c.kind.in_((PointKind.meter, PointKind.entry)), bits.METER),
        (rows.c.kind.in_((PointKind.pump_station, PointKind.regulator)), bits.STATION),
    ]
    told: Any = sa.literal(0)
    for holds, bit in parts:
        told += sa.case((holds, bit), else_=0)
    customers = sa.func.coalesce(rows.c.customers, 0)
    chosen = sa.select(sa.cast(rows.c.id, sa.BigInteger), sa.cast(told, sa.Integer), sa.cast(customers, sa.Integer))
    return chosen.where(rows.c.pipe_class == pipe_class)


def _copied(driver: Any, query: str, row: np.dtype[Any]) -> Any:
    """All rows of a query whose columns are of fixed width and never NULL, as a structured array."""
    with driver.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT binary)") as copy:
        content = b"".join(copy)
    return np.frombuffer(
        content, row, offset=_COPY_HEAD, count=(len(content) - _COPY_HEAD - _COPY_TAIL) // row.itemsize
    )
