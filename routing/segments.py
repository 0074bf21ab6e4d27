"""Road segments as arrays: what a road graph is built from, be it rows of the layer `roads` or an OSM extract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from gis_core.errors import Problem, Unprocessable
from routing.vehicles import CLASSES, MOTOR, Mode

Floats: TypeAlias = npt.NDArray[np.float64]
Rows: TypeAlias = npt.NDArray[np.int64]
Masks: TypeAlias = npt.NDArray[np.uint8]

ALL: Final = int(MOTOR | Mode.bicycle | Mode.foot)
FREE: Final = np.inf
_EARTH_M: Final = 6_371_008.8
_USUAL_KMH: Final = (100.0, 80.0, 60.0, 50.0, 50.0, 40.0, 20.0, 5.0)
_SPEED_LIMITS: Final = (3.0, 140.0)
# About a centimetre: ends of rows that name no nodes meet when they agree to this.
_NODE_DIGITS: Final = 7
_FAST: Final = CLASSES.index("motorway")
_PATH: Final = CLASSES.index("path")
_NAMED_ROWS: Final = 20


class BadRoads(Unprocessable):
    """Some road segments cannot be travelled."""


@dataclass(frozen=True, eq=False)
class Segments:
    """n segments between m nodes.

    Vertices `first[i]` to `first[i + 1]` of `xy` (lon, lat) are segment i's, from node `tail[i]` to `head[i]`. `ahead`
    and `back` say by bits of Mode who may travel along and against it; `signals` (n, 2) how many traffic signals are
    met that way. `height_m` and `weight_t` are limits (infinite: none). The ways of OSM that segment i is made of are
    `ways[way_first[i]:way_first[i + 1]]`. `bans` (k, 4): from segment, node, to segment, and the bits of those that
    must not turn so. `blocked` (m) are the bits of those who cannot pass a node.
    """

    key: npt.NDArray[np.str_]
    xy: Floats
    first: Rows
    tail: npt.NDArray[np.int32]
    head: npt.NDArray[np.int32]
    length_m: Floats
    road_class: npt.NDArray[np.int8]
    speed_kmh: Floats
    lanes: npt.NDArray[np.int8]
    level: npt.NDArray[np.int8]
    roundabout: npt.NDArray[np.bool_]
    ahead: Masks
    back: Masks
    signals: npt.NDArray[np.int16]
    height_m: Floats
    weight_t: Floats
    name: npt.NDArray[np.int32]
    names: npt.NDArray[np.str_]
    way_first: Rows
    ways: Rows
    bans: Rows
    blocked: Masks

    def __len__(self) -> int:
        """How many segments."""
        return len(self.key)

    @property
    def nodes(self) -> int:
        """How many nodes."""
        return len(self.blocked)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays by name, as they are saved."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


def from_rows(roads: pd.DataFrame, bans: Sequence[tuple[str, str, int]] = ()) -> Segments:
    """Segments from rows of the layer `roads`: `code`, `geometry` (LineString, lon/lat), and what else of its columns.

    Without `from_node` and `to_node`, segments meet where their ends agree to a centimetre and their level is not
    asked: a bridge has no vertex in common with what it crosses. `bans` are turns: code of the segment come from, code
    of the one gone to, and bits of Mode that must not. One-way holds for all but those on foot. Raises BadRoads.
    """
    geometry = np.asarray(roads["geometry"], dtype=object)
    _check(roads, geometry)
    count = len(roads)
    xy, row = shapely.get_coordinates(geometry, return_index=True)
    first = np.searchsorted(row, np.arange(count + 1))
    tail, head, nodes = _nodes(roads, xy, first)
    road_class = np.array([CLASSES.index(c) for c in _texts(roads, "road_class", "residential")], np.int8)
    speed = _numbers(roads, "speed_kmh", np.nan)
    speed = np.where(np.isfinite(speed), np.clip(speed, *_SPEED_LIMITS), np.array(_USUAL_KMH)[road_class])
    names, name = np.unique(_texts(roads, "name", ""), return_inverse=True)
    ahead = _usual_masks(road_class)
    oneway = _flags(roads, "oneway")
    back = np.where(oneway, ahead & np.uint8(Mode.foot), ahead)
    key = np.asarray(roads["code"].astype(str), np.str_)
    at = {code: i for i, code in enumerate(key.tolist())}
    way = [int(w) if w.isdigit() else -1 for w in _texts(roads, "osm_id", "")]
    return Segments(
        key=key,
        xy=xy,
        first=first.astype(np.int64),
        tail=tail,
        head=head,
        length_m=lengths_m(xy, first),
        road_class=road_class,
        speed_kmh=speed,
        lanes=np.nan_to_num(_numbers(roads, "lanes", 0.0)).astype(np.int8),
        level=_flags(roads, "bridge").astype(np.int8) - _flags(roads, "tunnel").astype(np.int8),
        roundabout=_flags(roads, "roundabout"),
        ahead=ahead,
        back=back.astype(np.uint8),
        signals=np.zeros((count, 2), np.int16),
        height_m=_numbers(roads, "height_limit_m", FREE),
        weight_t=_numbers(roads, "weight_limit_t", FREE),
        name=name.astype(np.int32),
        names=names.astype(np.str_),
        way_first=np.arange(count + 1, dtype=np.int64),
        ways=np.array(way, np.int64),
        bans=_bans([(at[a], at[b], mask) for a, b, mask in bans if a in at and b in at], tail, head),
        blocked=np.zeros(nodes, np.uint8),
    )


def lengths_m(xy: Floats, first: Rows) -> Floats:
    """Lengths (m) of lines on a sphere, flat from vertex to vertex; as good as a thousandth."""
    lon, lat = np.radians(xy).T
    step = np.hypot(np.diff(lat), np.diff(lon) * np.cos((lat[1:] + lat[:-1]) / 2)) * _EARTH_M
    total = np.concatenate([[0.0], np.cumsum(step)])
    return np.asarray(total[first[1:] - 1] - total[first[:-1]])


def _usual_masks(road_class: npt.NDArray[np.int8]) -> Masks:
    """Who may use a road of a class where nothing else is said."""
    mask = np.full(len(road_class), ALL, np.uint8)
    mask[road_class == _FAST] = int(MOTOR)
    mask[road_class == _PATH] = int(Mode.bicycle | Mode.foot)
    return mask


def _bans(pairs: list[tuple[int, int, int]], tail: npt.NDArray[np.int32], head: npt.NDArray[np.int32]) -> Rows:
    """Bans of turns with the nodes at which the segments meet."""
    rows = [
        (a, node, b, mask)
        for a, b, mask in pairs
        for node in sorted({int(tail[a]), int(head[a])} & {int(tail[b]), int(head[b])})
    ]
    return np.array(rows, np.int64).reshape(-1, 4)


def _check(roads: pd.DataFrame, geometry: npt.NDArray[np.object_]) -> None:
    """Refuse rows without code or line. Raises BadRoads naming them."""
    wrong = (shapely.get_type_id(geometry) != 1) | (shapely.length(geometry) == 0) | shapely.is_empty(geometry)
    wrong |= ~np.isfinite(shapely.bounds(geometry)).all(axis=1) if len(geometry) else False
    unknown = ~np.isin(_texts(roads, "road_class", "residential"), CLASSES)
    twice = roads["code"].duplicated().to_numpy()
    problems = [
        Problem(int(r) + 1, field, why)
        for field, why, rows in (
            ("geometry", "is no line with a length", np.flatnonzero(wrong)),
            ("road_class", f"is none of {', '.join(CLASSES)}", np.flatnonzero(unknown)),
            ("code", "stands twice", np.flatnonzero(twice)),
        )
        for r in rows[:_NAMED_ROWS]
    ]
    if problems:
        raise BadRoads(
            f"{int((wrong | unknown | twice).sum())} of {len(roads)} roads cannot be used.", problems=problems
        )


def _nodes(roads: pd.DataFrame, xy: Floats, first: Rows) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], int]:
    """The node at each end, numbered from 0, and how many there are."""
    if {"from_node", "to_node"} <= set(roads.columns) and roads[["from_node", "to_node"]].notna().all(axis=None):
        ends = np.concatenate([_texts(roads, "from_node", ""), _texts(roads, "to_node", "")])
        known, number = np.unique(ends, return_inverse=True)
    else:
        places = np.concatenate([xy[first[:-1]], xy[first[1:] - 1]]).round(_NODE_DIGITS)
        known, number = np.unique(places, axis=0, return_inverse=True)
    at: npt.NDArray[np.int32] = number.astype(np.int32).ravel()
    return at[: len(roads)], at[len(roads) :], len(known)


def _texts(roads: pd.DataFrame, column: str, missing: str) -> npt.NDArray[np.str_]:
    if column not in roads:
        return np.full(len(roads), missing)
    values = roads[column].astype(object)
    return np.asarray(values.where(values.notna(), missing).astype(str), np.str_)


def _numbers(roads: pd.DataFrame, column: str, missing: float) -> Floats:
    if column not in roads:
        return np.full(len(roads), missing)
    return np.asarray(pd.to_numeric(roads[column], errors="coerce").astype(float).fillna(missing), np.float64)


def _flags(roads: pd.DataFrame, column: str) -> npt.NDArray[np.bool_]:
    if column not in roads:
        return np.zeros(len(roads), bool)
    values = roads[column].astype(object)
    return np.asarray(values.where(values.notna(), False).astype(bool), np.bool_)
