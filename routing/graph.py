"""A turn-expanded road graph in flat arrays: every direction of a segment is a vertex (an arc), every turn an edge.

The cost of a turn from arc a to arc b is that of turning and of b as a whole, so that a way from a to b costs what it
takes from the end of a to the end of b. Arcs say which modes may use them and turns who may take them; what that costs
is the vehicle's and the hour's, and is made in `weights`. Method: arcs as vertices as in Winter, "Modeling Costs of
Turns in Route Planning", GeoInformatica 6 (2002).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from gis_core.errors import NotFound, Unprocessable
from routing.segments import Floats, Masks, Rows, Segments
from routing.vehicles import MOTOR, Mode, Vehicle

Ints: TypeAlias = npt.NDArray[np.int32]

FAMILIES: Final = {"motor": int(MOTOR), "bicycle": int(Mode.bicycle), "foot": int(Mode.foot)}
"""Modes whose vehicles share one graph: what one of them may use is an arc, at no finite cost for the others."""

INFINITE: Final = 1_000_000_000
"""No way: in milliseconds eleven days; two of it still fit into int32."""

ON, NEAR, ACROSS, BACK = 0, 1, 2, 3
_STRAIGHT_DEG: Final = 35.0
_ROUND_DEG: Final = 165.0
_STEP_M: Final = 12.0
_SLOWEST_KMH: Final = 1.0
_FASTEST_KMH: Final = 200.0
_WORTH_MAPPING: Final = 1 << 16
_FOLDER_VERSION: Final = 1


class NoGraph(NotFound):
    """There is no saved road graph here."""


class BadSpeeds(Unprocessable):
    """Some speeds cannot be."""


@dataclass(frozen=True, eq=False)
class Graph:
    """Arcs and turns over segments.

    Arc i runs along segment `segment[i]`, against its direction where `back[i]`, from node `tail[i]` to `head[i]`;
    `modes[i]` may use it and for `main[i]` it lies where one can get from everywhere to everywhere. The turns from arc
    i are `first[i]` to `first[i + 1]`: `onto` says which arc, `kind` how (ON, NEAR, ACROSS, BACK), `may` for whom.
    Those onto arc i are `into[into_first[i]:into_first[i + 1]]`. `arc_of[s]` are segment s's two arcs, or -1.
    `turn_deg` is the angle, to the right positive.
    """

    family: str
    segments: Segments
    segment: Ints
    back: npt.NDArray[np.bool_]
    tail: Ints
    head: Ints
    modes: Masks
    main: Masks
    first: Rows
    onto: Ints
    kind: npt.NDArray[np.int8]
    may: Masks
    turn_deg: npt.NDArray[np.int16]
    into_first: Rows
    into: Ints
    arc_of: Ints

    def __len__(self) -> int:
        """How many arcs."""
        return len(self.segment)

    @cached_property
    def turn_from(self) -> Ints:
        """The arc that each turn leaves."""
        return np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.first))

    @cached_property
    def lines(self) -> npt.NDArray[np.object_]:
        """The segments as LineStrings (lon, lat)."""
        s = self.segments
        return np.asarray(shapely.linestrings(s.xy, indices=np.repeat(np.arange(len(s)), np.diff(s.first))), object)

    @cached_property
    def tree(self) -> shapely.STRtree:
        """An index of `lines`."""
        return shapely.STRtree(self.lines)

    @cached_property
    def _by_way(self) -> tuple[Rows, Rows]:
        order = np.argsort(self.segments.ways, kind="stable")
        row = np.repeat(np.arange(len(self.segments)), np.diff(self.segments.way_first))
        return self.segments.ways[order], row[order]

    @cached_property
    def _by_key(self) -> dict[str, int]:
        return {key: i for i, key in enumerate(self.segments.key.tolist())}

    def arcs_of(self, segments: npt.ArrayLike) -> Ints:
        """The arcs along some segments (their numbers), in both directions where there are two."""
        arcs = self.arc_of[np.asarray(segments, np.int64).ravel()].ravel()
        return np.asarray(arcs[arcs >= 0])

    def segments_of_way(self, way: int) -> Rows:
        """The numbers of the segments that an OSM way is part of."""
        ways, rows = self._by_way
        return np.unique(rows[np.searchsorted(ways, way) : np.searchsorted(ways, way, side="right")])

    def segment_of_key(self, key: str) -> int | None:
        """The number of the segment of that code (of a layer's row), if there is one."""
        return self._by_key.get(key)

    def arc_ms(self, vehicle: Vehicle, speed_kmh: Floats | None = None) -> Ints:
        """Milliseconds that each arc takes a vehicle, INFINITE where it may not go.

        `speed_kmh` (segments, 2), where finite, is what is driven now along and against each segment instead of what
        is usual. Raises BadSpeeds for speeds that are negative or absurd.
        """
        s = self.segments
        usual = vehicle.speeds_kmh(s.speed_kmh, s.road_class)[self.segment]
        if speed_kmh is not None:
            now = speed_kmh[self.segment, self.back.astype(np.int64)]
            _check_speeds(now[np.isfinite(now)])
            usual = np.where(np.isfinite(now), np.clip(now, _SLOWEST_KMH, vehicle.top_kmh), usual)
        signals = s.signals[self.segment, self.back.astype(np.int64)]
        seconds = s.length_m[self.segment] / usual * 3.6 + signals * vehicle.signal_s
        fits = (vehicle.height_m <= s.height_m) & (vehicle.weight_t <= s.weight_t)
        allowed = (self.modes & int(vehicle.mode) != 0) & fits[self.segment]
        milliseconds = np.clip(np.rint(seconds * 1000), 1, INFINITE)
        return np.where(allowed, milliseconds, INFINITE).astype(np.int32)

    def turn_ms(self, vehicle: Vehicle) -> Ints:
        """Milliseconds that each turn costs a vehicle besides the arc it leads onto; INFINITE where it may not."""
        cost = np.array([0.0, vehicle.near_s, vehicle.cross_s, vehicle.back_s]) * 1000
        milliseconds = cost.round().astype(np.int32)[self.kind]
        return np.where(self.may & int(vehicle.mode) != 0, milliseconds, INFINITE).astype(np.int32)

    def save(self, folder: Path) -> None:
        """Write the arrays, one file each, so that they can be mapped into memory."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in self._arrays().items():
            np.save(folder / f"{name}.npy", array)
        (folder / "family").write_text(f"{_FOLDER_VERSION} {self.family}\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Graph:
        """A saved graph, its arrays mapped from disk. Raises NoGraph."""
        try:
            version, family = (folder / "family").read_text(encoding="utf-8").split()
            if int(version) != _FOLDER_VERSION:
                raise NoGraph(f"The road graph in {folder.name} is of an older kind; build it again.")
            held = {p.stem: mapped(p) for p in folder.glob("*.npy")}
            segments = Segments(**{f.name: held[f"segments_{f.name}"] for f in fields(Segments)})
            return cls(family, segments, **{f.name: held[f.name] for f in fields(cls)[2:]})
        except (OSError, ValueError, KeyError) as error:
            raise NoGraph(f"There is no whole road graph in {folder.name}.") from error

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        own = {f.name: getattr(self, f.name) for f in fields(self)[2:]}
        return own | {f"segments_{name}": array for name, array in self.segments.arrays().items()}


def mapped(path: Path) -> npt.NDArray[Any]:
    """An array mapped from disk, in a form for which compiled code is the same as for one in memory."""
    return np.asarray(np.load(path, mmap_mode="c" if path.stat().st_size > _WORTH_MAPPING else None))


def build(segments: Segments, family: str = "motor", *, drives_on: str = "right") -> Graph:
    """The graph of a family of modes over segments.

    Back onto the same segment one may turn only where there is no other way on for that mode, such as at a dead end.
    """
    bits = FAMILIES[family]
    count = len(segments)
    ahead, against = np.flatnonzero(segments.ahead & bits), np.flatnonzero(segments.back & bits)
    segment = np.concatenate([ahead, against])
    back = np.repeat([False, True], [len(ahead), len(against)])
    order = np.lexsort((back, segment))
    segment, back = segment[order], back[order]
    tail = np.where(back, segments.head[segment], segments.tail[segment])
    head = np.where(back, segments.tail[segment], segments.head[segment])
    modes = np.where(back, segments.back[segment], segments.ahead[segment]) & np.uint8(bits)
    arc_of = np.full((count, 2), -1, np.int32)
    arc_of[segment, back.astype(np.int64)] = np.arange(len(segment))
    begin, onto = _meetings(tail, head, segments.nodes)
    may = _permitted(segments, segment, modes, head, begin, onto)
    angle = _angles(segments, segment, back, begin, onto)
    kept = may != 0
    begin, onto, may, angle = begin[kept], onto[kept], may[kept], angle[kept]
    turned_back = segment[begin] == segment[onto]
    kind = _kinds(angle, turned_back, 1 if drives_on == "right" else -1)
    arcs = len(segment)
    into = np.argsort(onto, kind="stable")
    return Graph(
        family=family,
        segments=segments,
        segment=segment.astype(np.int32),
        back=back,
        tail=tail.astype(np.int32),
        head=head.astype(np.int32),
        modes=modes.astype(np.uint8),
        main=_main(arcs, begin, onto, may, modes, bits),
        first=np.searchsorted(begin, np.arange(arcs + 1)).astype(np.int64),
        onto=onto.astype(np.int32),
        kind=kind,
        may=may.astype(np.uint8),
        turn_deg=angle.round().astype(np.int16),
        into_first=np.searchsorted(onto[into], np.arange(arcs + 1)).astype(np.int64),
        into=into.astype(np.int32),
        arc_of=arc_of,
    )


def _meetings(tail: Rows, head: Rows, nodes: int) -> tuple[Rows, Rows]:
    """Every arc with every arc that begins where it ends, by the first; an arc is no turn onto itself."""
    leaving = np.argsort(tail, kind="stable")
    at = np.searchsorted(tail[leaving], np.arange(nodes + 1))
    many = at[head + 1] - at[head]
    begin = np.repeat(np.arange(len(head)), many)
    place = np.arange(len(begin)) - np.repeat(np.cumsum(many) - many, many)
    onto = leaving[at[head][begin] + place]
    other = begin != onto
    return begin[other], onto[other]


def _permitted(segments: Segments, segment: Rows, modes: Masks, head: Rows, begin: Rows, onto: Rows) -> Masks:
    """The bits of those who may take each turn."""
    may = modes[begin] & modes[onto]
    turned_back = segment[begin] == segment[onto]
    may &= np.where(turned_back, np.uint8(255), ~segments.blocked[head[begin]])
    if len(segments.bans):
        number = (segment[begin].astype(np.int64) * segments.nodes + head[begin]) * len(segments) + segment[onto]
        come, node, gone, bits = segments.bans.T
        banned = (come * segments.nodes + node) * len(segments) + gone
        order = np.argsort(number, kind="stable")
        low = np.searchsorted(number[order], banned)
        high = np.searchsorted(number[order], banned, side="right")
        for start, end, mask in zip(low.tolist(), high.tolist(), bits.tolist(), strict=True):
            may[order[start:end]] &= np.uint8(255 & ~mask)
    # Whoever can go on must not turn round; where a mode has no other way, it may.
    onward = np.zeros(len(segment), np.uint8)
    np.bitwise_or.at(onward, begin[~turned_back], may[~turned_back])
    return np.where(turned_back, may & ~onward[begin], may).astype(np.uint8)


def _angles(segments: Segments, segment: Rows, back: npt.NDArray[np.bool_], begin: Rows, onto: Rows) -> Floats:
    """The angle of each turn in degrees, to the right positive, from -180 to 180, as seen some metres off."""
    starts, ends = _bearings(segments)
    out_deg = np.where(back, ends[segment] + 180, starts[segment])
    in_deg = np.where(back, starts[segment] + 180, ends[segment])
    return np.asarray((out_deg[onto] - in_deg[begin] + 540) % 360 - 180)


def _bearings(segments: Segments) -> tuple[Floats, Floats]:
    """The direction (degrees from north) in which each segment leaves its first node, and comes to its last."""
    lon, lat = np.radians(segments.xy).T
    wide = np.cos(lat)
    first, last = segments.first[:-1], segments.first[1:] - 1
    reach = np.radians(_STEP_M / 111_195.0)

    def beyond(node: Rows, step: int, stop: Rows) -> Floats:
        """From `node`, the first vertex at least some metres off, or the last there is."""
        at = node + step
        for _ in range(4):
            near = np.hypot((lon[at] - lon[node]) * wide[node], lat[at] - lat[node]) < reach
            at = np.where(near & (at != stop), at + step, at)
        return np.asarray(
            np.degrees(np.arctan2((lon[at] - lon[node]) * wide[node] * step, (lat[at] - lat[node]) * step))
        )

    return beyond(first, 1, last), beyond(last, -1, first)


def _kinds(angle: Floats, turned_back: npt.NDArray[np.bool_], near_side: int) -> npt.NDArray[np.int8]:
    """ON, NEAR (to the side one drives on), ACROSS the other stream, or BACK."""
    toward = angle * near_side
    kind = np.full(len(angle), ON, np.int8)
    kind[toward > _STRAIGHT_DEG] = NEAR
    kind[toward < -_STRAIGHT_DEG] = ACROSS
    kind[turned_back | (np.abs(angle) > _ROUND_DEG)] = BACK
    return kind


def _main(arcs: int, begin: Rows, onto: Rows, may: Masks, modes: Masks, family: int) -> Masks:
    """For whom each arc lies in the largest part in which one gets from everywhere to everywhere."""
    main = np.zeros(arcs, np.uint8)
    for bit in (int(m) for m in Mode if m & family):
        mine = may & bit != 0
        net = coo_array((np.ones(int(mine.sum()), np.int8), (begin[mine], onto[mine])), shape=(arcs, arcs))
        _, part = connected_components(net.tocsr(), directed=True, connection="strong")
        usable = modes & bit != 0
        if usable.any():
            main[usable & (part == np.bincount(part[usable]).argmax())] |= bit
    return main


def _check_speeds(speeds: Floats) -> None:
    """Refuse what no road sees. Raises BadSpeeds."""
    wrong = (speeds < 0) | (speeds > _FASTEST_KMH)
    if wrong.any():
        raise BadSpeeds(
            f"{int(wrong.sum())} speeds are not within 0 and {_FASTEST_KMH:g} km/h, such as {speeds[wrong][0]:g}."
        )
