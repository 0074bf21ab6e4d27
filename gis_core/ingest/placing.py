"""Foreign geometries onto the map: read safely, brought to longitude and latitude, checked, given their cells.

A hostile geometry must not reach GEOS, whose WKB reader recurses until the stack is gone, so its first bytes are
looked at before it is parsed.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from gis_core import crs, geometry, hexgrid, vertices
from gis_core.access import Viewer
from gis_core.crs import Bounds
from gis_core.crs import faults as crs_faults
from gis_core.crs.faults import Finding
from gis_core.ingest.copying import Cover
from gis_core.ingest.report import Rows, Tally
from gis_core.spec import Layer
from gis_core.vertices import Vertices

Geometries: TypeAlias = npt.NDArray[np.object_]
Mask: TypeAlias = npt.NDArray[np.bool_]
Floats: TypeAlias = npt.NDArray[np.float64]
Shapes: TypeAlias = Geometries | Vertices
"""Some rows' geometries: as one array of vertices where all are plain (see `vertices`), else one object each."""

GEOMETRY: Final = "geometry"
"""The name under which problems speak of a row's geometry."""
_MENDED: Final = frozenset({"swapped-axes", "zone-prefix", "no-zone-prefix", "degrees-not-metres"})
"""Mistakes that have one reading; the others (a wrong zone or projection) are told and refused, for two neighbouring
systems may both put a city into its bounds, kilometres apart."""
_SIMPLE: Final = frozenset({1, 2, 3, 4, 5, 6})
_MULTI: Final = 4
_DEEP_BYTES: Final = 9_000
_PREFIX: Final = 5
_WKB: Final = {"POINT": 1, "LINESTRING": 2, "POLYGON": 3, "MULTIPOINT": 4, "MULTILINESTRING": 5, "MULTIPOLYGON": 6}
_POINT: Final = 1
_LINE: Final = 2
_EXTENDED: Final = 0xE0000000
_HAS_Z: Final = 0x80000000
_HAS_M: Final = 0x40000000
_HAS_SRID: Final = 0x20000000


@dataclass
class Piece:
    """Some rows on their way: values, row numbers in the file, which are bad, their geometries and problems.

    `shapes` are as the file has them until they were brought to longitude and latitude; `wkb` is there before that
    where the file's own can be stored as it is. Bad rows have no geometry, or one that must not be used.
    """

    values: pa.RecordBatch
    rows: Rows
    bad: Mask
    shapes: Shapes | None
    tally: Tally
    wkb: pa.Array | None = None
    cell: npt.NDArray[np.int64] | None = None
    order: geometry.Keys | None = None
    cover: Cover | None = None


@dataclass(frozen=True)
class Read:
    """Geometries as they were read; which rows are bad; the file's WKB where it has the layer's type throughout."""

    shapes: Shapes
    bad: Mask
    wkb: pa.Array | None


@dataclass
class Placer:
    """Brings pieces of one file to the map. `bounds` are the city's, if they are known. Threads may share it."""

    layer: Layer
    source: crs.Source
    bounds: Bounds | None
    viewer: Viewer | None

    def read(self, given: pa.Array | Geometries, rows: Rows, known: Mask, tally: Tally) -> Read:
        """What can be used of geometries, given as WKB or as objects; `known` rows are bad already."""
        kind, is_wkb = self.layer.geometry, not isinstance(given, np.ndarray)
        plain = vertices.read_wkb(given, kind) if is_wkb else vertices.of_geometries(given, kind)
        if plain is not None:
            return Read(plain, self._doubted(plain, rows, known, tally), given if is_wkb else None)
        return self._parsed(given, rows, known, tally) if is_wkb else self._usable(given, rows, known, tally)

    def _parsed(self, wkb: pa.Array, rows: Rows, known: Mask, tally: Tally) -> Read:
        """WKB of any kind, by GEOS."""
        kinds = _kinds(wkb)
        strange = _strange(wkb, kinds)
        tally.add(rows[strange], GEOMETRY, "is not a point, line or polygon, or is nested too deeply")
        safe = pc.if_else(pa.array(strange), pa.scalar(None, wkb.type), wkb) if strange.any() else wkb
        geoms = np.asarray(shapely.from_wkb(safe.to_numpy(zero_copy_only=False), on_invalid="ignore"))
        broken = shapely.is_missing(geoms) & _mask(pc.is_valid(safe))
        tally.add(rows[broken], GEOMETRY, "cannot be read")
        fits = bool((kinds == _WKB[self.layer.geometry]).all())
        read = self._usable(geoms, rows, known | strange | broken, tally, fits=fits)
        return Read(read.shapes, read.bad, wkb if fits else None)

    def _usable(self, geoms: Geometries, rows: Rows, known: Mask, tally: Tally, *, fits: bool = False) -> Read:
        """The same geometries in the layer's type, None where they are unusable whatever they are measured in.

        `fits` says that all have the type and two dimensions.
        """
        shaped = geoms if fits else geometry.conform(geoms, self.layer.geometry)
        bad = known.copy()
        for fault in geometry.faults(shaped, self.layer.geometry):
            found = fault.rows[~known[fault.rows]]
            tally.add(rows[found], GEOMETRY, fault.why, severity=fault.severity)
            if fault.severity == "error":
                bad[found] = True
        shaped[bad] = None
        return Read(shaped, bad, None)

    def _doubted(self, plain: Vertices, rows: Rows, known: Mask, tally: Tally, *, again: bool = False) -> Mask:
        """Which rows of plain geometries are bad: those known to be, and those that a closer look finds at fault.

        `again` tells of errors only: warnings were told when the rows were read.
        """
        bad = known.copy()
        doubtful = plain.doubtful()
        doubtful = doubtful[~known[doubtful]]
        if len(doubtful):
            for fault in geometry.faults(plain.take(doubtful).geometries(), plain.kind):
                found = doubtful[fault.rows]
                if fault.severity == "error":
                    bad[found] = True
                if fault.severity == "error" or not again:
                    tally.add(rows[found], GEOMETRY, fault.why, severity=fault.severity)
        return bad

    def place(self, piece: Piece) -> bool:
        """Bring a piece to the map if all of it lies where it should as declared; else leave it for `settle`."""
        shapes = piece.shapes
        if not isinstance(shapes, Vertices):
            assert shapes is not None  # noqa: S101
            if crs_faults.diagnose(shapes, self.source, self.bounds):
                return False
            lost = crs.unreachable(shapes, self.source)
            self._lose(lost, piece.rows, piece.bad, piece.tally)
            shapes[lost] = None
            self._finish(piece, shapes if self.source.plain else crs.to_lonlat(shapes, self.source))
            return True
        boxes = np.where(piece.bad[:, None], np.nan, shapes.bounds) if piece.bad.any() else shapes.bounds
        if crs_faults.diagnose_bounds(boxes, self.source, self.bounds):
            return False
        lon, lat = crs.convert(shapes.xy[:, 0], shapes.xy[:, 1], self.source)
        self._lose(shapes.any_of(np.isnan(lon)), piece.rows, piece.bad, piece.tally)
        self._finish(piece, shapes if self.source.plain else shapes.at(np.column_stack([lon, lat])))
        return True

    def settle(self, pieces: list[Piece], tally: Tally, *, others: bool) -> None:
        """Bring the pieces to the map of which some rows do not lie where they should as declared.

        `others` says whether the file has other pieces, which do.

        A mistake that explains every row of the file and has one reading is mended and noted, and so are swapped
        axes of single rows, with a warning for each; all else is an error of its row.
        """
        if not pieces:
            return
        geoms = np.concatenate([_objects(piece) for piece in pieces])
        rows = np.concatenate([piece.rows for piece in pieces])
        bad = np.concatenate([piece.bad for piece in pieces])
        there = ~shapely.is_missing(geoms)
        mended: list[Finding] = []
        for finding in crs_faults.diagnose(geoms, self.source, self.bounds):
            entire = not others and len(finding.rows) == int(there.sum())
            if entire and finding.kind in _MENDED:
                tally.note(finding.zh + " " + finding.en)
                mended.append(finding)
            elif finding.kind == "swapped-axes":
                tally.add(rows[finding.rows], GEOMETRY, "the axes were swapped and put right", severity="warning")
                mended.append(finding)
            else:
                tally.add(rows[finding.rows], GEOMETRY, _refusal(finding, entire=entire))
                bad[finding.rows] = True
                geoms[finding.rows] = None
        lost = crs.unreachable(geoms, self.source)
        for finding in mended:
            assert finding.source is not None  # noqa: S101
            turned = crs.rewrite(geoms[finding.rows], _swap) if finding.swapped else geoms[finding.rows]
            lost[finding.rows] = crs.unreachable(turned, finding.source)
        self._lose(lost, rows, bad, tally)
        geoms[lost] = None
        placed = crs_faults.mend(geoms, self.source, mended).geoms
        start = 0
        for piece in pieces:
            stop = start + len(piece.rows)
            piece.bad, piece.wkb = bad[start:stop], None
            self._finish(piece, placed[start:stop])
            start = stop

    def _lose(self, lost: Mask, rows: Rows, bad: Mask, tally: Tally) -> None:
        tally.add(rows[lost & ~bad], GEOMETRY, f"has a coordinate that does not exist in {self.source.tag}")
        bad |= lost

    def _recheck(self, placed: Shapes, piece: Piece) -> None:
        """What became of good geometries on their way into degrees: rarely, an outline touches itself there."""
        if isinstance(placed, Vertices):
            piece.bad = self._doubted(placed, piece.rows, piece.bad, piece.tally, again=True)
            return
        good = np.flatnonzero(~piece.bad)
        for fault in geometry.faults(placed[good], self.layer.geometry):
            if fault.severity == "error":
                piece.tally.add(piece.rows[good[fault.rows]], GEOMETRY, fault.why)
                piece.bad[good[fault.rows]] = True

    def _finish(self, piece: Piece, placed: Shapes) -> None:
        """Last checks, then what is stored of the geometries: WKB, cell, cover and place in Hilbert order."""
        if not self.source.plain:
            self._recheck(placed, piece)
        if self.viewer is not None and self.viewer.area_wkb is not None:
            self._keep_inside(self.viewer.area_wkb, placed, piece)
        rows, good = piece.rows, np.flatnonzero(~piece.bad)
        placed = placed.take(good) if isinstance(placed, Vertices) else placed[good]
        lon, lat = _inner_points(placed, self.layer.geometry)
        piece.cell = hexgrid.cells_of(lon, lat)
        piece.order = geometry.hilbert(lon, lat)
        if piece.wkb is None:
            made = placed.wkb() if isinstance(placed, Vertices) else pa.array(shapely.to_wkb(placed), pa.large_binary())
            piece.wkb = made
        else:
            kept = piece.wkb if len(good) == len(rows) else piece.wkb.take(pa.array(good))
            piece.wkb = pc.cast(kept, pa.large_binary())
        if self.layer.model.cover is not None:
            row, cell, share = self._covered(placed)
            piece.cover = Cover(rows[good][row], cell, share.astype(np.float32))
        if len(good) < len(rows):
            piece.values = piece.values.take(pa.array(good))
        piece.rows = rows[good]
        piece.shapes = None

    def _keep_inside(self, area_wkb: bytes, placed: Shapes, piece: Piece) -> None:
        """Refuse rows outside the area that the viewer may change."""
        area = shapely.from_wkb(area_wkb)
        shapely.prepare(area)
        geoms = placed.geometries() if isinstance(placed, Vertices) else placed
        outside = ~shapely.intersects(area, geoms) & ~shapely.is_missing(geoms)
        piece.tally.add(piece.rows[outside & ~piece.bad], GEOMETRY, "lies outside the area you may change")
        piece.bad |= outside

    def _covered(self, placed: Shapes) -> hexgrid.Cover:
        if isinstance(placed, Vertices):
            return hexgrid.cover_vertices(placed)
        return (hexgrid.cover_lines if self.layer.geometry == "LINESTRING" else hexgrid.cover_areas)(placed)


def _objects(piece: Piece) -> Geometries:
    """A piece's geometries as objects, None where bad."""
    if isinstance(piece.shapes, Vertices):
        geoms = piece.shapes.geometries()
        geoms[piece.bad] = None
        return geoms
    assert piece.shapes is not None  # noqa: S101
    return piece.shapes


def count_vertices(shapes: Shapes) -> int:
    """How many vertices some geometries have."""
    return len(shapes.xy) if isinstance(shapes, Vertices) else int(shapely.get_num_coordinates(shapes).sum())


def sample_points(geometries: pa.Array | Geometries, most: int = 1_000) -> Floats:
    """Some finite vertices of the first rows, as the file has them."""
    if isinstance(geometries, np.ndarray):
        geoms = geometries[:most]
    else:
        head = geometries.slice(0, most)
        safe = pc.if_else(pa.array(_strange(head, _kinds(head))), pa.scalar(None, head.type), head)
        with np.errstate(all="ignore"):
            geoms = np.asarray(shapely.from_wkb(safe.to_numpy(zero_copy_only=False), on_invalid="ignore"))
    xy: Floats = shapely.get_coordinates(geoms)[:most]
    return xy[np.isfinite(xy).all(axis=1)]


def _inner_points(shapes: Shapes, kind: str) -> tuple[Floats, Floats]:
    """The longitude and latitude of one point on each geometry: of a line, the middle of its middle piece."""
    if isinstance(shapes, Vertices):
        inner = shapes.inner
    elif kind == "LINESTRING":
        count = shapely.get_num_coordinates(shapes)
        inner = Vertices(kind, shapely.get_coordinates(shapes), np.concatenate([[0], np.cumsum(count)])).inner
    else:
        inner = shapely.get_coordinates(shapely.point_on_surface(shapes) if kind.endswith("POLYGON") else shapes)
    return inner[:, 0].copy(), inner[:, 1].copy()


def _swap(coordinates: Floats) -> Floats:
    return np.column_stack([coordinates[:, 1], coordinates[:, 0], *coordinates.T[2:]])


def _mask(condition: pa.Array) -> Mask:
    return np.asarray(condition.to_numpy(zero_copy_only=False), bool)


def _refusal(finding: Finding, *, entire: bool) -> str:
    """Why rows are refused: the better reading, if there is one, and whether the file mixes systems."""
    if finding.source is None:
        return "lies far outside the city as declared"
    said = finding.en.split(": ", 1)[1].rstrip(".")
    return f"{said}; declare that" if entire else f"is in another system than the rest of the file: {said}"


def _kinds(wkb: pa.Array) -> npt.NDArray[np.int64]:
    """The type code of each WKB value as its header has it, 0 for none, negative where it is big-endian."""
    kinds = np.zeros(len(wkb), np.int64)
    wide = pa.types.is_large_binary(wkb.type)
    offsets = np.frombuffer(wkb.buffers()[1], np.int64 if wide else np.int32)[wkb.offset : wkb.offset + len(wkb) + 1]
    there = np.flatnonzero((np.diff(offsets) >= _PREFIX) & _mask(pc.is_valid(wkb)))
    if len(there):
        data = np.frombuffer(wkb.buffers()[2], np.uint8)
        head = data[offsets[there, None].astype(np.int64) + np.arange(_PREFIX)]
        codes = np.ascontiguousarray(head[:, 1:])
        low, high = codes.view("<u4").ravel().astype(np.int64), codes.view(">u4").ravel().astype(np.int64)
        kinds[there] = np.where(head[:, 0] == 1, low, np.where(head[:, 0] == 0, -high, 0))
    return kinds


def _strange(wkb: pa.Array, kinds: npt.NDArray[np.int64]) -> Mask:
    """Which WKB values must not reach a parser: no simple feature type by the header, or many headers within."""
    base = (np.abs(kinds) & ~_EXTENDED) % 1000
    strange: Mask = _mask(pc.is_valid(wkb)) & ((kinds == 0) | ~np.isin(base, list(_SIMPLE)))
    sizes = pc.fill_null(pc.binary_length(wkb), 0).to_numpy(zero_copy_only=False)
    for row in np.flatnonzero((base >= _MULTI) & (sizes > _DEEP_BYTES) & ~strange).tolist():
        strange[row] = _is_deep(wkb[row].as_py())
    return strange


def _is_deep(wkb: bytes) -> bool:
    """Whether a multi-geometry has members of another kind than it must have, such as multi-geometries again."""
    try:
        base, _, parts, at = _header(wkb, 0)
        for _ in range(parts):
            kind, size, count, after = _header(wkb, at)
            if kind != base - _MULTI + 1:
                return True
            if kind == _POINT:
                at = after - 4 + size
            elif kind == _LINE:
                at = after + count * size
            else:
                at = after
                for _ in range(count):
                    at += 4 + size * struct.unpack_from("<I" if wkb[0] else ">I", wkb, at)[0]
    except (struct.error, IndexError):
        return True
    return False


def _header(wkb: bytes, at: int) -> tuple[int, int, int, int]:
    """A geometry's base type, bytes per vertex, count of parts or vertices, and where what follows begins."""
    order = "<" if wkb[at] else ">"
    (code,) = struct.unpack_from(f"{order}I", wkb, at + 1)
    after = at + 9 + (4 if code & _HAS_SRID else 0)
    (count,) = struct.unpack_from(f"{order}I", wkb, after - 4)
    thousands, base = divmod(code & ~_EXTENDED, 1000)
    extra = (bool(code & _HAS_Z) or thousands in {1, 3}) + (bool(code & _HAS_M) or thousands in {2, 3})
    return base, 8 * (2 + extra), count, after
