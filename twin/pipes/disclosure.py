"""What a viewer may open of what was found in a network: the rest is told as counts, never as ids or places.

A network knows every pipe of its class. Each answer passes here on its way out: the gate is asked which of the ids
found are visible, and only those are named, drawn, and added up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import orjson
import sqlalchemy as sa

from gis_core.access import Viewer, hidden, visible
from gis_core.allowance import RESOLUTION
from gis_core.errors import NotFound, Unprocessable
from gis_core.hexgrid import parent
from gis_core.model import Codes
from gis_core.rows import bare, spatial
from gis_core.spec import Layer
from twin.pipes.graph import METER, Graph, Ids, Ints
from twin.pipes.networks import POINTS, SEGMENTS, Network

Kind = Literal["pipe_points", "pipe_segments"]
Mask = npt.NDArray[np.bool_]
_DIGITS: Final = 7


@dataclass(frozen=True)
class Thing:
    """A point or pipe that somebody named and may open."""

    layer: Kind
    id: int
    code: str
    pipe_class: str


@dataclass(frozen=True)
class Sums:
    """Figures of what a viewer may open, and how many features of each kind they may not.

    `customers` and `meters` are None for a viewer who may not see whom a point serves.
    """

    points: int
    pipes: int
    length_m: float
    customers: int | None
    meters: int | None
    hidden_points: int
    hidden_pipes: int

    def as_json(self) -> dict[str, Any]:
        """The figures as an answer tells them."""
        return {
            "points": self.points,
            "pipes": self.pipes,
            "length_m": round(self.length_m, 2),
            "customers": self.customers,
            "meters": self.meters,
            "hidden": {"points": self.hidden_points, "pipes": self.hidden_pipes},
        }


class Disclosure:
    """The gate for one viewer within one reading transaction."""

    def __init__(self, connection: sa.Connection, layers: Mapping[str, Layer], viewer: Viewer) -> None:
        """Ask nothing yet. `cells` grows by the ground of what is drawn (H3 cells of the day's allowance)."""
        self._connection = connection
        self._layers = layers
        self._viewer = viewer
        self.cells: set[int] = set()
        unseen = hidden(layers[POINTS], viewer)
        self.sees_customers = "customers" not in unseen
        self.sees_valves = not unseen & {"valve_open", "operable", "accessible"}

    def find_all(self, asked: Iterable[tuple[Kind, str]]) -> list[Thing]:
        """What carries these codes.

        Raises:
            NotFound: nothing that the viewer may see carries one of them.

        """
        asked = list(asked)
        known: dict[tuple[Kind, str], Thing] = {}
        for layer in (POINTS, SEGMENTS):
            codes = sorted({code for kind, code in asked if kind == layer})
            if codes:
                rows = visible(self._layers[layer], self._viewer, ("id", "code", "pipe_class"))
                named = sa.func.unnest(sa.bindparam("codes", codes, sa.ARRAY(sa.Text)))
                query = sa.select(rows.c.id, rows.c.code, rows.c.pipe_class).where(rows.c.code.in_(sa.select(named)))
                for row in self._connection.execute(query):
                    known[layer, row.code] = Thing(layer, row.id, row.code, row.pipe_class.name)
        for layer, code in asked:
            if (layer, code) not in known:
                raise NotFound(f"{layer} has nothing with the code {code[:80]!r} that you may see")
        return [known[one] for one in asked]

    def among(self, layer: Kind, ids: Ids) -> Mask:
        """Which of these ids the viewer may open."""
        if not len(ids):
            return np.zeros(0, bool)
        rows = visible(self._layers[layer], self._viewer, ("id",))
        query = sa.select(rows.c.id).where(rows.c.id.in_(sa.select(_listed(np.unique(ids).tolist()))))
        opened = np.array(self._connection.scalars(query).all(), np.int64)
        return np.isin(ids, opened)

    def of_class(self, layer: Kind, pipe_class: str, ids: Ids) -> Ints:
        """The places in `ids`, ascending, of all rows of a class that the viewer may open."""
        rows = visible(self._layers[layer], self._viewer, ("id", "pipe_class"))
        opened = self._connection.scalars(sa.select(rows.c.id).where(rows.c.pipe_class == pipe_class)).all()
        return np.flatnonzero(np.isin(ids, np.array(opened, np.int64))).astype(np.int32)

    def codes(self, layer: Kind, ids: Ids, numbers: Ints) -> dict[int, str]:
        """The codes of points or pipes by number, of those that may be opened; `ids` are those of the network."""
        if not len(numbers):
            return {}
        rows = visible(self._layers[layer], self._viewer, ("id", "code"))
        number = dict(zip(ids[numbers].tolist(), numbers.tolist(), strict=True))
        query = sa.select(rows.c.id, rows.c.code).where(rows.c.id.in_(sa.select(_listed(list(number)))))
        return {number[row.id]: row.code for row in self._connection.execute(query)}

    def sums(self, graph: Graph, points: Ints, pipes: Ints, opened: tuple[Mask, Mask] | None = None) -> Sums:
        """Figures of some points and pipes, by number. `opened` says which of them may be opened, if that is known."""
        see_points, see_pipes = opened or self.opened(graph, points, pipes)
        shown, tubes = points[see_points], pipes[see_pipes]
        customers = int(graph.customers[shown].sum()) if self.sees_customers else None
        meters = int(((graph.bits[shown] & METER) > 0).sum()) if self.sees_customers else None
        length = float(graph.length_m[tubes].sum())
        # A point that only a pipe names was never surveyed, so it is hidden from nobody.
        surveyed = int((graph.point_ids[points] > 0).sum())
        return Sums(len(shown), len(tubes), length, customers, meters, surveyed - len(shown), len(pipes) - len(tubes))

    def opened(self, graph: Graph, points: Ints, pipes: Ints) -> tuple[Mask, Mask]:
        """Which of these points and pipes, by number, may be opened."""
        return self.among(POINTS, graph.point_ids[points]), self.among(SEGMENTS, graph.pipe_ids[pipes])

    def features(self, layer: Kind, ids: Sequence[int], more: Mapping[int, Mapping[str, Any]]) -> list[dict[str, Any]]:
        """GeoJSON features in the order of the ids; those not to be seen are left out. `more` adds properties by id."""
        if not len(ids):
            return []
        known = self._layers[layer]
        names = [a.key for a in known.tile_fields or ()]
        rows = visible(known, self._viewer, ("id", "geom", "cell", *names))
        shape = spatial("ST_AsGeoJSON", bare(rows.c.geom), _DIGITS, 0, type_=sa.Text)
        query = sa.select(rows.c.id, rows.c.cell, shape.label("shape"), *(rows.c[name] for name in names))
        found = {
            row.id: row for row in self._connection.execute(query.where(rows.c.id.in_(sa.select(_listed(list(ids))))))
        }
        self.cells.update(
            np.unique(parent(np.array([row.cell for row in found.values()], np.int64), RESOLUTION)).tolist()
        )
        return [
            {
                "type": "Feature",
                "id": f"{layer}/{id_}",
                "geometry": orjson.Fragment(found[id_].shape),
                "properties": {
                    "layer": layer,
                    **{name: _plain(found[id_]._mapping[name]) for name in names},  # noqa: SLF001  SQLAlchemy's way
                    **more.get(id_, {}),
                },
            }
            for id_ in map(int, ids)
            if id_ in found
        ]


def class_of(things: Sequence[Thing]) -> str:
    """The class that all these are of.

    Raises:
        Unprocessable: they are of different classes, which do not hang together.

    """
    classes = sorted({thing.pipe_class for thing in things})
    if len(classes) != 1:
        raise Unprocessable(f"these are of different classes, which do not hang together: {', '.join(classes)}")
    return classes[0]


def number_of(network: Network, thing: Thing) -> int:
    """The number of a thing in its network.

    Raises:
        NotFound: it is not in it, as it is out of use, or came after this network was read.

    """
    graph = network.graph
    number = graph.point_number(thing.id) if thing.layer == POINTS else graph.pipe_number(thing.id)
    if number is None:
        raise NotFound(
            f"{thing.code[:80]!r} is not in the network of {thing.pipe_class} pipes: it is out of use, or newer than it"
        )
    return number


def _listed(ids: Sequence[int]) -> Any:
    """The ids as rows of one bound array, however many they are."""
    return sa.func.unnest(sa.bindparam("ids", ids, sa.ARRAY(sa.BigInteger)))


def _plain(value: Any) -> Any:
    return value.name if isinstance(value, Codes) else value
