"""Clear distances in three dimensions: every pair of pipes that lies nearer than GB 50289-2016 allows.

Side by side, distances count in plan between outer edges (table 4.1.9); where pipes cross, they count between the one's
lower and the other's upper edge (table 4.1.14), or in space where that is less. Pipes that share a node are one line
and are left out. A rule whose figure was not read in the official text only warns.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from data.codes import clearances as codes
from data.codes.clearances import Clearance
from gis_core import crs

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

GRAVITY: Final = ("storm", "sewage", "combined")
FLEXIBLE: Final = ("power", "telecom")
WATER: Final = "water"
X3: Final = Clearance(
    "X3", "sewer", "water", 0.0, 0.0, "GB 50289", "2016", "4.1.12",
    "from memory of the text, to be checked against the printed standard", "M",
)  # fmt: skip
"""A sewer that crosses above a water main, unless one of them is cased."""
_HORIZONTAL, _VERTICAL, _CROSSES, _FIRST_ABOVE, _OVER_WATER = 1, 2, 4, 8, 16
"""Bits of `closeness`, and one more that is found here."""
_SLANT: Final = 0.87
"""Cosine of 30 degrees: pipes less alike in direction than this leave each other quickly behind a crossing."""
_USUAL_CELL_M: Final = 30.0
_LONGEST_IN_CELLS: Final = 8


@dataclass(frozen=True)
class Pipes:
    """Pipes as flat arrays: n pipes of m straight pieces, in the metres of one plane system.

    `plan` (m, 4) is x0, y0, x1, y1 of each piece; `level` (m, 2) the elevation of the axis at both ends, NaN where it
    is not known; `depth` (m, 2) that of the axis below the ground; `half` (m, 2) half the outer width and height; `of`
    (m) the pipe of each piece. Of each pipe: `node` (n, 2) its end nodes by number, -1 where not known, `kinds` (n) the
    bits of `clearances.possible`, `pipe_class`, `size_mm`, and whether it is `shielded` by a casing or a plate.
    """

    plan: Floats
    level: Floats
    depth: Floats
    half: Floats
    of: Ints
    node: Ints
    kinds: Ints
    pipe_class: npt.NDArray[np.object_]
    size_mm: Floats
    shielded: Mask


@dataclass(frozen=True)
class Conflicts:
    """Pairs that offend a rule, by the smaller pipe number. All arrays have one entry a finding, in metres.

    `gap` is what there is and `need` what is asked for: in plan if `horizontal`, else at the crossing. `x`, `y` is the
    nearest place. `rule` is a place in `rules`. `certain` is False where an attribute that decides between kinds was
    missing and the strictest was taken. `yields` is 0 or 1 for the first or second pipe, -1 for neither (X4).
    `beside_crossing` marks a distance in plan that is short only because the next piece of the same line crosses.
    """

    a: Ints
    b: Ints
    horizontal: Mask
    gap: Floats
    need: Floats
    space_gap: Floats
    x: Floats
    y: Floats
    depth_a: Floats
    depth_b: Floats
    rule: Ints
    certain: Mask
    yields: Ints
    beside_crossing: Mask
    rules: tuple[Clearance, ...]
    unruled: int

    def __len__(self) -> int:
        """How many findings there are."""
        return len(self.a)

    @cached_property
    def warns_only(self) -> Mask:
        """Which findings may not count as errors: the figure is from memory, or an attribute was missing."""
        verified = np.array([rule.verified for rule in self.rules], np.bool_)
        return ~(verified[self.rule] & self.certain) if len(self) else np.zeros(0, np.bool_)


def pipes_of(frame: pd.DataFrame, lines: npt.NDArray[np.object_]) -> Pipes:
    """The pipes of a frame with the columns of the layer `pipe_segments`; `lines` are its geometries in metres.

    A depth that is not known counts as 1 m; a missing size as 0. Pipes of one class whose ends lie within a centimetre
    of each other count as joined where their points are not named.
    """
    size, height = _number(frame, "diameter_mm"), _number(frame, "height_mm")
    wall = np.nan_to_num(_number(frame, "wall_mm"))
    width = np.where(np.isnan(_number(frame, "width_mm")), size, _number(frame, "width_mm"))
    height = np.where(np.isnan(height), size, height)
    half = np.nan_to_num(np.stack([width, height], 1)) / 2000 + wall[:, None] / 1000
    up = codes.Column(_words(frame, "depth_reference")).among(frozenset({"invert"}))
    to_axis = np.where(up, -1.0, 1.0) * np.nan_to_num(height) / 2000
    depth = np.stack([_number(frame, "start_depth_m"), _number(frame, "end_depth_m")], 1)
    depth = np.where(np.isnan(depth), 1.0, depth) + to_axis[:, None]
    level = np.stack([_number(frame, "start_level_m"), _number(frame, "end_level_m")], 1) - to_axis[:, None]
    classes = codes.Column(_words(frame, "pipe_class")).texts()
    plan, of, share = _pieces(lines)
    return Pipes(
        plan=plan,
        level=_between(level, of, share),
        depth=_between(depth, of, share),
        half=np.ascontiguousarray(half[of]),
        of=of,
        node=_nodes(frame, lines, classes),
        kinds=codes.possible(
            _words(frame, "pipe_class"),
            subclass=_words(frame, "subclass"),
            diameter_mm=size,
            pressure_class=_words(frame, "pressure_class"),
            laying=_words(frame, "laying"),
            voltage_kv=_number(frame, "voltage_kv"),
        ),
        pipe_class=classes,
        size_mm=np.nan_to_num(size),
        shielded=~codes.Column(_words(frame, "protection")).missing,
    )


def find_conflicts(pipes: Pipes) -> Conflicts:
    """Every pair of pipes nearer than the tables allow; none is missed, whatever the lengths and positions.

    Takes about a second for 100,000 pipes of a dense street network, on one core.
    """
    group, masks = pd.factorize(pipes.kinds)
    beside = codes.needs(masks.tolist(), codes.horizontal())
    above = codes.needs(masks.tolist(), codes.vertical())
    pairs, figures = _search(_cut(pipes), group, beside.metres, above.metres, above.protected_metres)
    worst = _one_a_pair(pairs, figures)
    pairs, figures = pairs[worst], figures[worst]
    told = _told(_over_water(pipes, pairs))
    a, b, bits, figures = pairs[told[0], 0], pairs[told[0], 1], told[1], figures[told[0]]
    near = _beside_crossing(pipes, pairs, a, b, figures)
    side = bits == _HORIZONTAL
    ga, gb = group[a], group[b]
    protected = pipes.shielded[a] | pipes.shielded[b]
    lying_above = np.where(protected, above.protected_metres[ga, gb], above.metres[ga, gb])
    rules = (*codes.horizontal(), *codes.vertical(), X3)
    rule = np.where(side, beside.rule[ga, gb], above.rule[ga, gb] + len(codes.horizontal()))
    return Conflicts(
        a=a,
        b=b,
        horizontal=side,
        gap=np.where(side, figures[:, 0], np.minimum(figures[:, 1], figures[:, 2])),
        need=np.where(side, beside.metres[ga, gb], np.where(bits == _OVER_WATER, 0.0, lying_above)),
        space_gap=figures[:, 2],
        x=figures[:, 3],
        y=figures[:, 4],
        depth_a=figures[:, 5],
        depth_b=figures[:, 6],
        rule=np.where(bits == _OVER_WATER, len(rules) - 1, rule),
        certain=np.where(side, beside.certain[ga, gb], above.certain[ga, gb]) | (bits == _OVER_WATER),
        yields=who_yields(pipes, a, b),
        beside_crossing=near & side,
        rules=rules,
        unruled=int((pipes.kinds == 0).sum()),
    )


def who_yields(pipes: Pipes, a: Ints, b: Ints) -> Ints:
    """Which of two pipes gives way: 0 the first, 1 the second, -1 undecided (GB 50289-2016 3.0.4).

    Pressure gives way to gravity, what bends to what does not, the small to the large.
    """
    result = np.full(len(a), -1, np.int64)
    ranks = (_among(pipes, GRAVITY).astype(float), -_among(pipes, FLEXIBLE).astype(float), pipes.size_mm)
    for stays in ranks:
        open_still = result < 0
        result[open_still & (stays[a] < stays[b])] = 0
        result[open_still & (stays[a] > stays[b])] = 1
    return result


def _search(pipes: Pipes, group: Ints, beside: Floats, above: Floats, above_shielded: Floats) -> tuple[Ints, Floats]:
    """Candidates by a grid whose cells hold what may touch there, and exact distances within each cell."""
    from twin.pipes import closeness  # noqa: PLC0415  numba takes long to load

    if not len(pipes.plan):
        return np.zeros((0, 3), np.int64), np.zeros((0, 10))
    plan = pipes.plan
    box = np.concatenate([np.minimum(plan[:, :2], plan[:, 2:]), np.maximum(plan[:, :2], plan[:, 2:])], 1)
    reach = pipes.half[:, :1] + beside.max(initial=0.0) / 2 + 1e-6
    size = _USUAL_CELL_M
    origin = box[:, :2].min(axis=0) - reach.max()
    low = ((box[:, :2] - reach - origin) // size).astype(np.int64)
    high = ((box[:, 2:] + reach - origin) // size).astype(np.int64)
    columns = int(high[:, 0].max()) + 1
    # In the order of place, so that what is compared lies together in memory.
    order = np.argsort(low[:, 1] * columns + low[:, 0], kind="stable")
    low, high, box = low[order], high[order], box[order]
    cell, piece = closeness.cells_of(low, high, columns)
    by_cell = np.argsort(cell, kind="stable")
    cell, piece = cell[by_cell], piece[by_cell]
    room = 2 * len(plan) + 1000
    while True:
        pairs, figures = np.empty((room, 3), np.int64), np.empty((room, 10))
        found = closeness.near_pairs(
            cell, piece, low, columns, box, plan[order], pipes.level[order], pipes.depth[order], pipes.half[order],
            pipes.of[order], pipes.node, group.astype(np.int64), pipes.shielded,
            beside, above, above_shielded, pairs, figures,
        )  # fmt: skip
        if found <= room:
            return pairs[:found], figures[:found]
        room = found


def _one_a_pair(pairs: Ints, figures: Floats) -> Ints:
    """The entry of each pair of pipes that tells most: crossings before the rest, then the smallest gap.

    Bits of the other entries are added to it, so that a pair of bent pipes is either crossing or side by side.
    """
    crossing = (pairs[:, 2] & _CROSSES) > 0
    least = np.where(crossing, np.minimum(figures[:, 1], figures[:, 2]), figures[:, 0])
    order = np.lexsort((least, ~crossing, pairs[:, 1], pairs[:, 0]))
    if not len(order):
        return order
    sorted_pairs = pairs[order]
    fresh = np.r_[True, (sorted_pairs[1:, :2] != sorted_pairs[:-1, :2]).any(axis=1)]
    first = order[fresh]
    pairs[first, 2] = np.bitwise_or.reduceat(sorted_pairs[:, 2], np.flatnonzero(fresh))
    return first


def _over_water(pipes: Pipes, pairs: Ints) -> Ints:
    """The bits of pairs, with one more where a sewer crosses above a water main and neither is shielded."""
    a, b, bits = pairs.T
    sewer, water = _among(pipes, GRAVITY), _among(pipes, (WATER,))
    first_above = (bits & _FIRST_ABOVE) > 0
    over = np.where(first_above, sewer[a] & water[b], sewer[b] & water[a])
    over &= ((bits & _CROSSES) > 0) & ~(pipes.shielded[a] | pipes.shielded[b])
    return np.asarray(bits | np.where(over, _OVER_WATER, 0))


def _among(pipes: Pipes, classes: Sequence[str]) -> Mask:
    return codes.Column(pipes.pipe_class).among(frozenset(classes))


def _told(bits: Ints) -> tuple[Ints, Ints]:
    """Pairs that offend, one entry a rule: their places and the rule's bit, by pair."""
    crossing = (bits & _CROSSES) > 0
    offends = [
        (bits & _HORIZONTAL > 0) & ~crossing,
        bits & _VERTICAL > 0,
        bits & _OVER_WATER > 0,
    ]
    places = [np.flatnonzero(mask) for mask in offends]
    which = [np.full(len(p), bit) for p, bit in zip(places, (_HORIZONTAL, _VERTICAL, _OVER_WATER), strict=True)]
    place, bit = np.concatenate(places), np.concatenate(which).astype(np.int64)
    order = np.lexsort((bit, place))
    return place[order], bit[order]


def _beside_crossing(pipes: Pipes, pairs: Ints, a: Ints, b: Ints, figures: Floats) -> Mask:
    """Which near pairs meet at a node beyond which the same lines cross, at more than 30 degrees."""
    crossing = pairs[(pairs[:, 2] & _CROSSES) > 0][:, :2]
    if not len(crossing) or not len(a):
        return np.zeros(len(a), np.bool_)
    many = int(pipes.node.max()) + 2
    ends = np.concatenate([pipes.node[crossing[:, 0]], pipes.node[crossing[:, 1]]], 1)
    known = np.concatenate(
        [
            *(_key(0, ends[:, k], crossing[:, 1], many) for k in (0, 1)),
            *(_key(0, ends[:, k], crossing[:, 0], many) for k in (2, 3)),
            *(_key(1, ends[:, k], ends[:, m], many) for k in (0, 1) for m in (2, 3)),
        ]
    )
    node_a, node_b = _node_at(pipes.node[a], figures[:, 7]), _node_at(pipes.node[b], figures[:, 8])
    asked = (_key(0, node_a, b, many), _key(0, node_b, a, many), _key(1, node_a, node_b, many))
    turned = [_key(1, ends[:, m], ends[:, k], many) for k in (0, 1) for m in (2, 3)]
    # Sorted and searched: numpy's own isin hashes, and such keys fall upon each other there.
    known = np.sort(np.concatenate([known, *turned]))
    met = np.zeros(len(a), np.bool_)
    for keys, there in zip(asked, (node_a >= 0, node_b >= 0, (node_a >= 0) & (node_b >= 0)), strict=True):
        at = np.minimum(np.searchsorted(known, keys), len(known) - 1)
        met |= (known[at] == keys) & there
    return met & (figures[:, 9] < _SLANT)


def _key(kind: int, node: Ints, other: Ints, many: int) -> Ints:
    """One number for a node and a pipe (kind 0) or two nodes (kind 1); a node of -1 makes none that is asked for."""
    return (node + 1) + (other.astype(np.int64) + 1) * (many + 1) * 2 + kind * (many + 1)


def _node_at(node: Ints, along: Floats) -> Ints:
    return np.where(along <= 0.0, node[:, 0], np.where(along >= 1.0, node[:, 1], -1))


def _cut(pipes: Pipes) -> Pipes:
    """The same pipes with very long pieces cut, so that no piece fills the grid."""
    length = np.hypot(pipes.plan[:, 2] - pipes.plan[:, 0], pipes.plan[:, 3] - pipes.plan[:, 1])
    parts = np.maximum(np.ceil(length / (_USUAL_CELL_M * _LONGEST_IN_CELLS)), 1).astype(np.int64)
    if not len(parts) or parts.max() == 1:
        return pipes
    row = np.repeat(np.arange(len(parts)), parts)
    number = np.arange(len(row)) - np.repeat(np.cumsum(parts) - parts, parts)
    share = np.stack([number / parts[row], (number + 1) / parts[row]], 1)
    start, end = pipes.plan[row, :2], pipes.plan[row, 2:]
    cut = [np.where(share[:, [k]] >= 1, end, start + share[:, [k]] * (end - start)) for k in (0, 1)]
    changed = {
        "plan": np.concatenate(cut, 1),
        "level": _between(pipes.level, row, share),
        "depth": _between(pipes.depth, row, share),
        "half": pipes.half[row],
        "of": pipes.of[row],
    }
    return Pipes(**{**vars(pipes), **changed})


def _pieces(lines: npt.NDArray[np.object_]) -> tuple[Floats, Ints, Floats]:
    """The straight pieces of lines (m, 4), the line of each, and the shares of its length at both ends (m, 2)."""
    xy, row = shapely.get_coordinates(lines, return_index=True)
    if len(xy) == 2 * len(lines) and (row[::2] == row[1::2]).all():  # straight lines, as surveys have them
        return xy.reshape(-1, 4), row[::2].astype(np.int64), np.tile([0.0, 1.0], (len(lines), 1))
    inner = np.flatnonzero(row[1:] == row[:-1])
    plan = np.concatenate([xy[inner], xy[inner + 1]], 1)
    of = row[inner].astype(np.int64)
    length = np.hypot(plan[:, 2] - plan[:, 0], plan[:, 3] - plan[:, 1])
    run = np.concatenate([[0.0], np.cumsum(length)])
    begin = np.searchsorted(of, np.arange(len(lines)))
    end = np.searchsorted(of, np.arange(len(lines)), side="right")
    whole = np.maximum(run[end] - run[begin], 1e-9)[of]
    share = np.stack([run[:-1] - run[begin][of], run[1:] - run[begin][of]], 1) / whole[:, None]
    return plan, of, np.clip(share, 0.0, 1.0)


def _between(ends: Floats, row: Ints, share: Floats) -> Floats:
    """Values at shares of the way between those at both ends."""
    start, end = ends[row, 0], ends[row, 1]
    return np.asarray(start[:, None] + share * (end - start)[:, None])


def _nodes(frame: pd.DataFrame, lines: npt.NDArray[np.object_], classes: npt.NDArray[np.object_]) -> Ints:
    """The end nodes of pipes by number: the named points, else places of one class to the centimetre."""
    both = pd.concat([_words(frame, "start_point"), _words(frame, "end_point")], ignore_index=True)
    number, different = pd.factorize(both.where(both != ""))
    bare = np.flatnonzero(number < 0)
    if len(bare):
        xy, row = shapely.get_coordinates(lines, return_index=True)
        first = np.searchsorted(row, np.arange(len(lines)))
        last = np.searchsorted(row, np.arange(len(lines)), side="right") - 1
        ends = xy[np.concatenate([first, last])][bare]
        key = pd.factorize(np.concatenate([classes, classes])[bare])[0].astype(np.int64)
        for axis in (0, 1):
            place, places = pd.factorize(np.round(ends[:, axis] * 100).astype(np.int64))
            key = key * len(places) + place
        number[bare] = len(different) + pd.factorize(key)[0]
    return np.ascontiguousarray(number.astype(np.int64).reshape(2, -1).T)


def _number(frame: pd.DataFrame, name: str) -> Floats:
    if name not in frame:
        return np.full(len(frame), np.nan)
    return np.asarray(pd.to_numeric(frame[name]), dtype=np.float64)


def _words(frame: pd.DataFrame, name: str) -> pd.Series:
    """A column of words; where there is none, one in which all are missing, that costs nothing to look up."""
    if name in frame:
        return frame[name]
    return pd.Series(pd.Categorical.from_codes(np.full(len(frame), -1), categories=pd.Index(["-"])))


def in_metres(geometries: Iterable[Any], metric_crs: str) -> npt.NDArray[np.object_]:
    """Geometries of EPSG:4326 in metres, as `pipes_of` takes them."""
    return crs.to_metric(np.asarray(list(geometries), dtype=object), metric_crs)
