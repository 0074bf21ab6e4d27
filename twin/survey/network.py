"""A survey as its rules see it: whole arrays of points and lines, tied to each other by their numbers.

Positions are rows of the frames; -1 is "no such point". Metres are x east, y north; levels are elevations; a depth is
positive below the ground.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from scipy import sparse
from scipy.sparse import csgraph

from gis_core.crs import Bounds
from twin.pipes import clearance
from twin.pipes.clearance import Conflicts
from twin.survey import words
from twin.survey.fields import Table
from twin.survey.findings import Floats, Found, Mask, Rows
from twin.survey.place import Placed

_FLAT_M: Final = 1e-9
_DRAINS: Final = "drains"


class Heights(Protocol):
    """An elevation model: heights in metres at longitudes and latitudes, NaN where it has none."""

    def sample_m(self, lon: npt.ArrayLike, lat: npt.ArrayLike) -> Floats:
        """Heights at points in degrees."""


@dataclass(frozen=True)
class Facts:
    """What the city knows beside the survey; a rule that needs what is None does not run, and the report says so.

    `bounds` are the city's and `area` the district's outline, in degrees. `roads` are the middles of streets and
    `carriageways` areas on which cars drive, in degrees. `frost_m` overrides the table of frost depths.
    `secrecy` is the label of rows that have none; `heights` names the height datum of all levels.
    """

    bounds: Bounds | None = None
    area: shapely.Geometry | None = None
    elevation: Heights | None = None
    roads: Any = None
    carriageways: Any = None
    buildings: Any = None
    frost_m: float | None = None
    heights: str | None = "1985"
    today: date = field(default_factory=lambda: datetime.now(UTC).date())


@dataclass(frozen=True)
class Network:
    """Points and lines of one survey, where they lie, and what the city knows."""

    points: pd.DataFrame
    lines: pd.DataFrame
    placed: Placed
    facts: Facts
    geometries: npt.NDArray[np.object_] | None = None
    read: tuple[Found, ...] = ()
    columns: Mapping[Table, frozenset[str]] = field(default_factory=lambda: {table: frozenset() for table in Table})

    def said_by_reading(self, rule: str) -> list[Found]:
        """What reading the tables, or placing them, already found against a rule."""
        return [found for found in (*self.read, *self.placed.found) if found.rule == rule]

    @cached_property
    def point_class(self) -> npt.NDArray[np.object_]:
        """The class of each point; None where it is not known."""
        return _objects(self.points["pipe_class"])

    @cached_property
    def line_class(self) -> npt.NDArray[np.object_]:
        """The class of each line; that of its start point where the table does not say it."""
        own = _objects(self.lines["pipe_class"])
        known = self.start >= 0
        missing = pd.isna(own) & known
        own[missing] = self.point_class[self.start[missing]]
        return own

    @cached_property
    def kind(self) -> npt.NDArray[np.object_]:
        """What stands at each point; None where it is not known."""
        return _objects(self.points["kind"])

    @cached_property
    def gravity(self) -> Mask:
        """Lines in which water runs by itself."""
        return np.isin(self.line_class.astype(str), words.GRAVITY)

    @cached_property
    def _ends(self) -> tuple[Rows, Rows, Mask, Mask]:
        """Start and end as positions; which are only there under another class."""
        keys = pd.Index(_keys(self.points["pipe_class"], self.points["point_no"]))
        plain = pd.Index(self.points["point_no"].fillna("").astype("str"))
        first, only = _first(keys), _first(plain)
        found = []
        for name in ("start_point", "end_point"):
            said = self.lines[name]
            at = _position(first, _keys(self.lines["pipe_class"], said))
            loose = _position(only, said.fillna("").astype("str"))
            at = np.where(said.isna(), -1, at)
            loose = np.where(said.isna(), -1, loose)
            unsaid = (
                self.lines["pipe_class"].isna().to_numpy()
                | np.append(self.points["pipe_class"].isna().to_numpy(), True)[loose]
            )
            other = (at < 0) & (loose >= 0)
            found.append((np.where(other, loose, at), other & ~unsaid))
        (start, wrong_start), (end, wrong_end) = found
        return start.astype(np.int64), end.astype(np.int64), wrong_start, wrong_end

    @property
    def start(self) -> Rows:
        """The point at which each line starts; -1 for none."""
        return self._ends[0]

    @property
    def end(self) -> Rows:
        """The point at which each line ends; -1 for none."""
        return self._ends[1]

    @property
    def of_another_class(self) -> tuple[Mask, Mask]:
        """Lines whose start, or end, stands in the point table under another class."""
        return self._ends[2], self._ends[3]

    @cached_property
    def tied(self) -> Mask:
        """Lines between two different points that are there."""
        found: Mask = (self.start >= 0) & (self.end >= 0) & (self.start != self.end)
        return found

    def at(self, values: Floats) -> tuple[Floats, Floats]:
        """A value of points at the start and at the end of each line; NaN where there is no point."""
        padded = np.append(values, np.nan)
        return padded[self.start], padded[self.end]

    def number(self, name: str) -> Floats:
        """A number column of the lines."""
        return self.lines[name].to_numpy(float)

    @cached_property
    def ground(self) -> Floats:
        """Ground elevation at the points."""
        return self.points["ground_m"].to_numpy(float)

    @cached_property
    def depth(self) -> tuple[Floats, Floats]:
        """Depths at start and end."""
        return self.number("start_depth_m"), self.number("end_depth_m")

    @cached_property
    def level(self) -> tuple[Floats, Floats]:
        """Levels of the depth reference at start and end: as given, else from ground and depth."""
        ground = self.at(self.ground)
        given = self.number("start_level_m"), self.number("end_level_m")
        return (
            np.where(np.isnan(given[0]), ground[0] - self.depth[0], given[0]),
            np.where(np.isnan(given[1]), ground[1] - self.depth[1], given[1]),
        )

    @cached_property
    def height_m(self) -> Floats:
        """The inner height of each line: the diameter, or the height of the section; 0 where it is not known."""
        height = self.number("height_mm")
        return np.nan_to_num(np.where(np.isnan(height), self.number("diameter_mm"), height)) / 1000

    @cached_property
    def to_invert(self) -> Mask:
        """Lines whose depths and levels are of the invert."""
        return (self.lines["depth_reference"] == "invert").fillna(value=False).to_numpy(bool)

    @cached_property
    def invert(self) -> tuple[Floats, Floats]:
        """Levels of the invert at start and end."""
        lower = np.where(self.to_invert, 0.0, self.height_m)
        return self.level[0] - lower, self.level[1] - lower

    @cached_property
    def cover(self) -> tuple[Floats, Floats]:
        """Depths of the crown at start and end."""
        upper = np.where(self.to_invert, self.height_m + np.nan_to_num(self.number("wall_mm")) / 1000, 0.0)
        return self.depth[0] - upper, self.depth[1] - upper

    @cached_property
    def ends_xy(self) -> Floats:
        """x0, y0, x1, y1 of each line, between its points."""
        (x0, x1), (y0, y1) = self.at(self.placed.x), self.at(self.placed.y)
        return np.column_stack([x0, y0, x1, y1])

    @cached_property
    def length(self) -> Floats:
        """The length of each line in plan."""
        x0, y0, x1, y1 = self.ends_xy.T
        found: Floats = np.hypot(x1 - x0, y1 - y0)
        return found

    @cached_property
    def length_3d(self) -> Floats:
        """The length of each line in space; in plan where its levels are not known."""
        return np.hypot(self.length, np.nan_to_num(self.level[1] - self.level[0]))

    @cached_property
    def aloft(self) -> Mask:
        """Lines above the ground."""
        return self.lines["laying"].isin(words.ALOFT).to_numpy(bool)

    @cached_property
    def downstream(self) -> tuple[Rows, Rows]:
        """For drains, the points water comes from and goes to; -1 where it is not known or the line is none.

        The stated flow counts; where none is stated, water runs to the lower end.
        """
        said = self.lines["flow"]
        falls = np.nan_to_num(self.invert[0] - self.invert[1])
        back = (said == "backward").fillna(value=False).to_numpy(bool)
        back = back | (said.isna().to_numpy() & (falls < -_FLAT_M))
        still = (said == "none").fillna(value=False).to_numpy(bool) | (
            said.isna().to_numpy() & (np.abs(falls) <= _FLAT_M)
        )
        runs = self.gravity & self.tied & ~still
        return (
            np.where(runs, np.where(back, self.end, self.start), -1),
            np.where(runs, np.where(back, self.start, self.end), -1),
        )

    @cached_property
    def falls(self) -> tuple[Floats, Floats]:
        """For drains, levels of the invert at the upper and the lower end along the flow."""
        turned = (self.downstream[0] == self.end) & (self.downstream[0] >= 0)
        low, high = self.invert
        return np.where(turned, high, low), np.where(turned, low, high)

    @cached_property
    def slope(self) -> Floats:
        """For drains, fall along the flow over length in plan; NaN where it is not known."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found = (self.falls[0] - self.falls[1]) / self.length
        return np.where((self.downstream[0] >= 0) & (self.length > 0), found, np.nan)

    @cached_property
    def branch(self) -> Mask:
        """Drains from a gully: their upper end is an inlet."""
        upper = self.downstream[0]
        found: Mask = (upper >= 0) & (np.append(self.kind.astype(str), "")[upper] == "inlet")
        return found

    @cached_property
    def touching(self) -> tuple[Rows, Rows]:
        """Every end of a tied line: the point, and the line."""
        lines = np.flatnonzero(self.tied).astype(np.int64)
        return np.concatenate([self.start[lines], self.end[lines]]), np.concatenate([lines, lines])

    @cached_property
    def degree(self) -> Rows:
        """How many line ends meet at each point."""
        return np.bincount(self.touching[0], minlength=len(self.points)).astype(np.int64)

    @cached_property
    def parts(self) -> Rows:
        """The connected part that each point is in."""
        count = len(self.points)
        if not count:
            return np.empty(0, np.int64)
        lines = np.flatnonzero(self.tied)
        ones = np.ones(len(lines), np.int8)
        graph = sparse.coo_matrix((ones, (self.start[lines], self.end[lines])), shape=(count, count))
        found: Rows = csgraph.connected_components(graph, directed=False)[1].astype(np.int64)
        return found

    @cached_property
    def shapes(self) -> npt.NDArray[np.object_]:
        """Lines in metres, straight between their points; None where they cannot be drawn."""
        good = np.isfinite(self.ends_xy).all(axis=1) & self.tied
        found = np.full(len(self.lines), None, object)
        found[good] = shapely.linestrings(self.ends_xy[good].reshape(-1, 2, 2))
        return found

    @cached_property
    def tree(self) -> tuple[shapely.STRtree, Rows]:
        """The drawn lines in a tree, and which lines they are."""
        good = np.flatnonzero(~shapely.is_missing(self.shapes)).astype(np.int64)
        return shapely.STRtree(self.shapes[good]), good

    @cached_property
    def height_errors(self) -> Floats:
        """Ground elevation as surveyed minus that of the elevation model; NaN where either is not known."""
        lon, lat = self.placed.lon, self.placed.lat
        off = np.full(len(lon), np.nan)
        good = ~np.isnan(lon)
        if self.facts.elevation is not None and good.any():
            off[good] = self.ground[good] - self.facts.elevation.sample_m(lon[good], lat[good])
        return off

    @cached_property
    def conflicts(self) -> Conflicts:
        """Pairs of buried lines that lie too near, `a` and `b` as positions in the table of lines."""
        rows = np.flatnonzero(~shapely.is_missing(self.shapes) & ~self.aloft & ~pd.isna(self.line_class))
        frame = self.lines.iloc[rows].assign(pipe_class=self.line_class[rows])
        frame["start_level_m"], frame["end_level_m"] = self.level[0][rows], self.level[1][rows]
        # A point's number may stand in each class, its place in the table only once.
        frame["start_point"], frame["end_point"] = self.start[rows].astype(str), self.end[rows].astype(str)
        found = clearance.find_conflicts(clearance.pipes_of(frame, self.shapes[rows]))
        return replace(found, a=rows[found.a], b=rows[found.b])


def _objects(series: pd.Series) -> npt.NDArray[np.object_]:
    values = series.to_numpy(object, copy=True)
    values[series.isna().to_numpy()] = None
    return values


def _keys(classes: pd.Series, numbers: pd.Series) -> pd.Series:
    """Class and number in one: a number may stand once in each class, and all drains are one."""
    family = classes.where(~classes.isin(words.GRAVITY), _DRAINS)
    return family.fillna("") + "\0" + numbers.fillna("")


def _first(index: pd.Index) -> tuple[pd.Index, Rows]:
    keep = np.flatnonzero(~index.duplicated()).astype(np.int64)
    return index[keep], keep


def _position(known: tuple[pd.Index, Rows], wanted: pd.Series) -> Rows:
    index, keep = known
    at = index.get_indexer(pd.Index(wanted))
    if not len(keep):
        return np.full(len(wanted), -1, np.int64)
    return np.where(at >= 0, keep[at], -1).astype(np.int64)
