"""Points and plain lines as one flat array of vertices: what most files hold, without an object for each feature.

Building a GEOS geometry costs more than all that is asked of a pipe of two vertices. What is not wholly plain is left
to `geometry`, which knows everything; here is only what arrays can tell for sure.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import shapely

from gis_core.geometry import Limits

Floats: TypeAlias = npt.NDArray[np.float64]
Geometries: TypeAlias = npt.NDArray[np.object_]
Mask: TypeAlias = npt.NDArray[np.bool_]
Rows: TypeAlias = npt.NDArray[np.int64]

_TYPES: Final = {"POINT": 0, "LINESTRING": 1}
# WKB: a byte for the byte order, four for the type, for a line four for the count of its vertices, then the vertices.
_HEAD_BYTES: Final = {"POINT": 5, "LINESTRING": 9}
_TYPE_BYTES: Final = 5
_VERTEX_BYTES: Final = 16
_PLAIN: Final = {kind: np.array([1, number + 1, 0, 0, 0], np.uint8) for kind, number in _TYPES.items()}
_STRAIGHT: Final = 2
_SPIKED: Final = 4


@dataclass(frozen=True)
class Vertices:
    """Features of one kind, POINT or LINESTRING, each with as many finite vertices as it needs.

    `xy` has shape (n, 2); feature i has the vertices `first[i]` to `first[i + 1]` of it.
    """

    kind: str
    xy: Floats
    first: Rows

    def __len__(self) -> int:
        """How many features."""
        return len(self.first) - 1

    @cached_property
    def counts(self) -> Rows:
        """How many vertices each feature has."""
        return np.diff(self.first)

    @cached_property
    def row(self) -> Rows:
        """The feature that each vertex belongs to."""
        return np.repeat(np.arange(len(self)), self.counts)

    @cached_property
    def bounds(self) -> Floats:
        """The west, south, east and north of each feature, of shape (rows, 4)."""
        if self.kind == "POINT":
            return np.column_stack([self.xy, self.xy])
        if self._ends is not None:
            return np.column_stack([np.minimum(*self._ends), np.maximum(*self._ends)])
        at = self.first[:-1]
        return np.column_stack([np.minimum.reduceat(self.xy, at), np.maximum.reduceat(self.xy, at)])

    @property
    def inner(self) -> Floats:
        """A point on each feature, of shape (rows, 2): of a line, the middle of its middle piece."""
        if self.kind == "POINT":
            return self.xy
        if self._ends is not None:
            before, after = self._ends
        else:
            at = self.first[:-1] + self.counts // 2
            before, after = self.xy[at - 1], self.xy[at]
        middle: Floats = (before + after) / 2
        return middle

    def any_of(self, of_vertex: Mask) -> Mask:
        """Which features have a vertex for which that holds."""
        if not of_vertex.any():
            return np.zeros(len(self), bool)
        return np.bincount(self.row[of_vertex], minlength=len(self)) > 0

    def doubtful(self, limits: Limits | None = None) -> Rows:
        """Features that may have a fault and want a closer look by `geometry.faults`; the others have none.

        A line whose x, or whose y, always grows or always falls cannot cross itself. A spike takes four vertices and
        makes a line long for its extent (see `geometry.spiked`); a comb takes more vertices than it has teeth.
        """
        limits = limits or Limits()
        if self.kind == "POINT":
            return np.empty(0, np.int64)
        if self._ends is not None:
            start, end = self._ends
            return np.flatnonzero((start[:, 0] == end[:, 0]) & (start[:, 1] == end[:, 1]))
        at = self.first[:-1]
        step = np.diff(self.xy, axis=0, prepend=self.xy[:1])
        step[at] = 0
        leads = np.ones(len(self.xy), bool)
        leads[at] = False
        onwards = np.zeros(len(self), bool)
        for sign in (1, -1):
            # To the first vertex of a line leads no step.
            onwards |= np.logical_and.reduceat((step * sign > 0) | ~leads[:, None], at).any(axis=1)
        extent = np.hypot(*(self.bounds[:, 2:] - self.bounds[:, :2]).T)
        winding = np.add.reduceat(np.hypot(*step.T), at) * (0.5 + 2.5 / limits.detour) >= extent
        return np.flatnonzero(~onwards | (winding & (self.counts >= _SPIKED)) | (self.counts > limits.teeth))

    def at(self, xy: Floats) -> Vertices:
        """The same features with other coordinates."""
        return Vertices(self.kind, xy, self.first)

    def take(self, rows: Rows) -> Vertices:
        """Some of the features."""
        if len(rows) == len(self):
            return self
        counts = self.counts[rows]
        first = np.concatenate([[0], np.cumsum(counts)])
        at = np.arange(first[-1]) + np.repeat(self.first[rows] - first[:-1], counts)
        return Vertices(self.kind, self.xy[at], first)

    def geometries(self) -> Geometries:
        """The features as shapely's geometries."""
        if self.kind == "POINT":
            return np.asarray(shapely.points(self.xy), object)
        return np.asarray(shapely.linestrings(self.xy, indices=self.row), object)

    def wkb(self) -> pa.Array:
        """The features as WKB, `large_binary`."""
        head = _HEAD_BYTES[self.kind]
        heads = np.empty((len(self), head), np.uint8)
        heads[:, :_TYPE_BYTES] = _PLAIN[self.kind]
        if head > _TYPE_BYTES:
            heads[:, _TYPE_BYTES:] = self.counts.astype("<u4")[:, None].view(np.uint8)
        places = self.first * _VERTEX_BYTES + np.arange(len(self) + 1) * head
        data = np.empty(int(places[-1]), np.uint8)
        vertices = np.ascontiguousarray(self.xy, "<f8").view(np.uint8)
        if len(self) and (self.counts == self.counts[0]).all():
            rows = data.reshape(len(self), -1)
            rows[:, :head] = heads
            rows[:, head:] = vertices.reshape(len(self), -1)
        else:
            is_head = np.zeros(len(data), bool)
            is_head[places[:-1, None] + np.arange(head)] = True
            data[is_head] = heads.ravel()
            data[~is_head] = vertices.ravel()
        return pa.Array.from_buffers(
            pa.large_binary(), len(self), [None, pa.py_buffer(places.astype(np.int64)), pa.py_buffer(data)]
        )

    @cached_property
    def _ends(self) -> tuple[Floats, Floats] | None:
        """The first and last vertices of the lines where all have two: most often so, and quick to work with."""
        if len(self.xy) == _STRAIGHT * len(self) and (self.counts == _STRAIGHT).all():
            return self.xy[::2], self.xy[1::2]
        return None


def read_wkb(wkb: pa.Array, kind: str) -> Vertices | None:
    """Features from WKB if every one is there, plain and finite; else None: `geometry` must look at each.

    Plain is two-dimensional, little-endian, of just this kind, of two or more vertices if it is a line, and of just
    the length that it says. Nothing is parsed recursively, and no count is believed that the length does not bear out.
    """
    if kind not in _TYPES or wkb.null_count or not len(wkb):
        return None
    wide = pa.types.is_large_binary(wkb.type)
    offsets = np.frombuffer(wkb.buffers()[1], np.int64 if wide else np.int32)
    offsets = offsets[wkb.offset : wkb.offset + len(wkb) + 1].astype(np.int64)
    head = _HEAD_BYTES[kind]
    counts, odd = np.divmod(np.diff(offsets) - head, _VERTEX_BYTES)
    if odd.any() or (counts < (_STRAIGHT if kind == "LINESTRING" else 1)).any():
        return None
    data = np.frombuffer(wkb.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    at = offsets[:-1] - offsets[0]
    even = bool((counts == counts[0]).all())
    heads = data.reshape(len(wkb), -1)[:, :head] if even else data[at[:, None] + np.arange(head)]
    if not (heads[:, :_TYPE_BYTES] == _PLAIN[kind]).all():
        return None
    if kind == "POINT":
        if (counts > 1).any():
            return None
    elif (np.ascontiguousarray(heads[:, _TYPE_BYTES:]).view("<u4").ravel() != counts).any():
        return None
    if even:
        vertices = np.ascontiguousarray(data.reshape(len(wkb), -1)[:, head:])
    else:
        is_head = np.zeros(len(data), bool)
        is_head[at[:, None] + np.arange(head)] = True
        vertices = data[~is_head]
    xy = vertices.reshape(-1).view("<f8").reshape(-1, 2)
    return _finite(Vertices(kind, xy, np.concatenate([[0], np.cumsum(counts)])))


def of_geometries(geoms: Geometries, kind: str) -> Vertices | None:
    """Features from shapely's geometries, under the same conditions as `read_wkb`."""
    if kind not in _TYPES or not len(geoms) or (shapely.get_type_id(geoms) != _TYPES[kind]).any():
        return None
    counts = shapely.get_num_coordinates(geoms).astype(np.int64)
    if (counts == 0).any() or (shapely.has_z(geoms) | shapely.has_m(geoms)).any():
        return None
    return _finite(Vertices(kind, shapely.get_coordinates(geoms), np.concatenate([[0], np.cumsum(counts)])))


def _finite(found: Vertices) -> Vertices | None:
    return found if np.isfinite(found.xy).all() else None
