"""H3 hexagons without a database extension: cells of points, shares of lines and areas, parents by bit arithmetic.

A point stores its cell at FINEST. A line or area stores the cells it lies in, with the share in each, so that lengths,
areas and counts add up to the whole at any coarser resolution. Coarser cells are bit arithmetic, the same in Python,
numpy and SQL. Cells are int64: H3 leaves the sign bit free, and PostgreSQL's bigint is signed.
h3ronpy (MIT; the Rust h3o underneath) stands behind this one file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, Final, TypeAlias, overload

import h3ronpy
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import shapely
from h3ronpy import ContainmentMode, vector
from sqlalchemy import BigInteger, ColumnElement, literal_column

from gis_core.errors import Problem, TooLarge, Unprocessable
from gis_core.vertices import Vertices

Floats: TypeAlias = npt.NDArray[np.float64]
Cells: TypeAlias = npt.NDArray[np.int64]
Rows: TypeAlias = npt.NDArray[np.int64]
Geometries: TypeAlias = npt.NDArray[np.object_]
Mask: TypeAlias = npt.NDArray[np.bool_]
Cover: TypeAlias = tuple[Rows, Cells, Floats]

FINEST: Final = 11
COVER_RESOLUTION: Final = 10
MOST_CELLS: Final = 2_000_000

# Mean hexagon edge (m) and area (m2) at resolution 0; each step divides the edge by sqrt 7 and the area by 7.
# Source: h3geo.org, table of cell statistics.
_EDGE_0_M: Final = 1_281_256.011
_AREA_0_M2: Final = 4_357_449_416_078.4
_PARTS_PER_EDGE: Final = 8
_DEGREE_M: Final = 111_195.0
_RESOLUTION_BIT: Final = 52
_COARSEST_TO_FINEST: Final = 15
_RESOLUTION_MASK: Final = ~(0b1111 << _RESOLUTION_BIT)
_THREADS: Final = min(os.cpu_count() or 1, 4)
_WORTH_A_THREAD: Final = 20_000
_LINE_BLOCK: Final = 250_000
_AREA_BLOCK: Final = 50_000
_EAST, _NORTH = 180.0, 90.0
_NAMED_ROWS: Final = 20


class NoSuchPlace(Unprocessable):
    """Some coordinates are no longitude and latitude."""


class TooManyCells(TooLarge):
    """This area has too many hexagons at this resolution."""


class NoSuchResolution(Unprocessable):
    """H3 has no such resolution here."""


def cells_of(lon: npt.ArrayLike, lat: npt.ArrayLike, resolution: int = FINEST) -> Cells:
    """The cell of each point (degrees). Long arrays are split over a few threads, which h3ronpy lets run.

    Raises NoSuchPlace naming the rows that are not finite or outside +-180 and +-90 degrees.
    """
    _check_resolution(resolution)
    x, y = (np.ascontiguousarray(np.atleast_1d(v), np.float64) for v in (lon, lat))
    wrong = _nowhere(x, y)
    if wrong.any():
        bad = np.flatnonzero(wrong).tolist()
        raise NoSuchPlace(
            f"{len(bad)} of {len(x)} coordinates are no longitude and latitude.",
            problems=[Problem(r + 1, "geometry", f"lon {x[r]:g}, lat {y[r]:g}") for r in bad[:_NAMED_ROWS]],
        )
    if len(x) < _WORTH_A_THREAD:
        return _cells(x, y, resolution)
    steps = np.linspace(0, len(x), _THREADS + 1).astype(int).tolist()
    parts = (slice(*pair) for pair in pairwise(steps))
    with ThreadPoolExecutor(_THREADS) as pool:
        return np.concatenate(list(pool.map(lambda part: _cells(x[part], y[part], resolution), parts)))


@overload
def parent(cell: int, resolution: int) -> int: ...
@overload
def parent(cell: Cells, resolution: int) -> Cells: ...
@overload
def parent(cell: ColumnElement[int], resolution: int) -> ColumnElement[int]: ...
def parent(cell: Any, resolution: int) -> Any:
    """The ancestor of a cell at a coarser (or the same) resolution: of an int, an int64 array or a SQL column.

    The constants are written into the SQL, so that SELECT and GROUP BY see the same expression. Raises
    NoSuchResolution for a resolution out of range, and for numbers also where it is finer than the cell.
    """
    _check_resolution(resolution)
    digits = (1 << 3 * (_COARSEST_TO_FINEST - resolution)) - 1
    level = (resolution << _RESOLUTION_BIT) | digits
    if isinstance(cell, ColumnElement) or hasattr(cell, "__clause_element__"):
        mask, wanted = (literal_column(f"({n})::bigint", BigInteger) for n in (_RESOLUTION_MASK, level))
        return cell.bitwise_and(mask).bitwise_or(wanted)
    if np.any(resolution_of(cell) < resolution):
        raise NoSuchResolution(f"A cell has no parent at the finer resolution {resolution}.")
    return (cell & _RESOLUTION_MASK) | level


def resolution_of(cell: Any) -> Any:
    """The resolution of a cell, or of each in an array."""
    return (cell >> _RESOLUTION_BIT) & 0b1111


def child_range(cell: int, resolution: int = FINEST) -> tuple[int, int]:
    """The least and greatest number that a descendant of `cell` at `resolution` can have, for an index's BETWEEN.

    No cell outside `cell` at that resolution lies between. Raises NoSuchResolution if `resolution` is coarser.
    """
    _check_resolution(resolution)
    own = int(resolution_of(cell))
    if resolution < own:
        raise NoSuchResolution(f"A cell of resolution {own} has no children at {resolution}.")
    free = (1 << 3 * (_COARSEST_TO_FINEST - own)) - 1
    unused = (1 << 3 * (_COARSEST_TO_FINEST - resolution)) - 1
    low = (cell & _RESOLUTION_MASK & ~free) | (resolution << _RESOLUTION_BIT) | unused
    return low, low | free


def cover_lines(geoms: Geometries, resolution: int = COVER_RESOLUTION) -> Cover:
    """The share of each line's length in each cell: arrays of row (from 0), cell and share, by row and cell.

    Lines are longitude/latitude LineStrings or MultiLineStrings. A straight piece with both ends in one cell is
    wholly in it (cells are convex). Any other is cut into equal parts no longer than an eighth of the mean cell edge
    (9.5 m at resolution 10), each counting wholly for the cell of its midpoint; so where a line crosses a border, at
    most a sixteenth of an edge (4.7 m) goes to the wrong side. The same lines always give the same result. A row's
    shares sum to 1 (within 1e-12). A line of no length counts wholly for the cell of its first vertex; None and
    empty lines have no rows. Raises NoSuchPlace, NoSuchResolution, TooManyCells.
    """
    _check_places(geoms)
    xy, row = shapely.get_coordinates(geoms, return_index=True)
    leads = np.ones(len(xy), bool)
    counts = shapely.get_num_coordinates(shapely.get_parts(geoms))
    leads[np.cumsum(counts)[counts > 0] - 1] = False
    return _cover(xy, row, leads, resolution)


def cover_vertices(lines: Vertices, resolution: int = COVER_RESOLUTION) -> Cover:
    """The same of LineStrings given as vertices in longitude and latitude. Raises as `cover_lines`."""
    wrong = lines.any_of(_nowhere(lines.xy[:, 0], lines.xy[:, 1]))
    if wrong.any():
        raise _nowhere_in(np.flatnonzero(wrong), len(lines))
    leads = np.ones(len(lines.xy), bool)
    leads[lines.first[1:] - 1] = False
    return _cover(lines.xy, lines.row, leads, resolution)


def cover_areas(geoms: Geometries, resolution: int = COVER_RESOLUTION) -> Cover:
    """The share of each polygon's area in each cell: arrays of row (from 0), cell and share, by row and cell.

    Polygons are in longitude and latitude; invalid ones are repaired first. A polygon whose vertices all lie in one
    cell is wholly in it (cells are convex). Cells inside a polygon count whole; those on its outline are
    intersected. Areas are compared in degrees, each weighted by the cosine of its cell's latitude (error under 1e-5
    at resolution 10). A row's shares sum to 1 (within 1e-12). A polygon of no area counts wholly for the cell of its
    first vertex; None and empty have no rows. Raises NoSuchPlace, NoSuchResolution, TooManyCells.
    """
    _check_resolution(resolution)
    _check_places(geoms)
    xy, row = shapely.get_coordinates(geoms, return_index=True)
    if not len(row):
        return _joined([])
    cell = cells_of(xy[:, 0], xy[:, 1], resolution)
    at = np.flatnonzero(np.r_[True, row[1:] != row[:-1]])
    rows, first = row[at], cell[at]
    whole = np.minimum.reduceat(cell, at) == np.maximum.reduceat(cell, at)
    spread = rows[~whole]
    shapes = np.array(geoms[spread], dtype=object)
    broken = ~shapely.is_valid(shapes)
    shapes[broken] = shapely.make_valid(shapes[broken], method="structure", keep_collapsed=False)
    likely = _likely_cells(shapes, resolution)
    _refuse_too_many(int(likely.max(initial=0)), resolution)
    found = [(rows[whole], first[whole], np.ones(int(whole.sum())))]
    with ThreadPoolExecutor(_THREADS) as pool:
        blocks = _blocks(likely, _AREA_BLOCK)
        found += pool.map(lambda s: _intersected(spread[s], shapes[s], resolution), blocks)
    index, cells, share = _joined(found)
    lost = np.setdiff1d(rows, index)
    index = np.concatenate([index, lost])
    cells = np.concatenate([cells, first[np.searchsorted(rows, lost)]])
    return _by_row_and_cell(index, cells, np.concatenate([share, np.ones(len(lost))]))


def cells_in_bbox(bounds: tuple[float, float, float, float], resolution: int) -> Cells:
    """Every cell that touches west, south, east, north (degrees), sorted. Raises TooManyCells, NoSuchPlace."""
    _check_resolution(resolution)
    box = np.array([shapely.box(*bounds)], dtype=object)
    _check_places(box)
    _refuse_too_many(int(_likely_cells(box, resolution)[0]), resolution)
    return np.unique(_touched(box, resolution)[1])


def boundaries(cells: Cells) -> Geometries:
    """The cells' outlines as polygons in longitude and latitude."""
    outlines = pa.array(vector.cells_to_wkb_polygons(pa.array(_unsigned(cells))))
    result: Geometries = np.asarray(shapely.from_wkb(outlines.to_numpy(zero_copy_only=False)))
    return result


def to_hex_strings(cells: Cells) -> list[str]:
    """The cells as the hexadecimal text that JSON and deck.gl use: a JavaScript number cannot hold them."""
    names: list[str] = pa.array(h3ronpy.cells_to_string(pa.array(_unsigned(cells)))).to_pylist()
    return names


def _check_resolution(resolution: int) -> None:
    if not 0 <= resolution <= _COARSEST_TO_FINEST:
        raise NoSuchResolution(f"H3 resolutions are 0 to {_COARSEST_TO_FINEST}, not {resolution}.")


def _refuse_too_many(count: int, resolution: int) -> None:
    if count > MOST_CELLS:
        raise TooManyCells(f"About {count:,} cells of resolution {resolution}; at most {MOST_CELLS:,} are made.")


def _signed(cells: Any) -> Cells:
    result: Cells = cells.to_numpy().view(np.int64)
    return result


def _unsigned(cells: Cells) -> npt.NDArray[np.uint64]:
    return np.ascontiguousarray(cells, np.int64).view(np.uint64)


def _nowhere(lon: Floats, lat: Floats) -> npt.NDArray[np.bool_]:
    """Which coordinates are no longitude and latitude; NaN is none."""
    fine: npt.NDArray[np.bool_] = (np.abs(lon) <= _EAST) & (np.abs(lat) <= _NORTH)
    return ~fine


def _check_places(geoms: Geometries) -> None:
    """Raise NoSuchPlace naming rows with coordinates that are no longitude and latitude."""
    xy, row = shapely.get_coordinates(geoms, return_index=True)  # bounds would pass over NaN
    wrong = _nowhere(xy[:, 0], xy[:, 1])
    if wrong.any():
        raise _nowhere_in(np.unique(row[wrong]), len(geoms))


def _nowhere_in(rows: Rows, of: int) -> NoSuchPlace:
    return NoSuchPlace(
        f"{len(rows)} of {of} geometries have coordinates that are no longitude and latitude.",
        problems=[Problem(r + 1, "geometry", "no longitude and latitude") for r in rows[:_NAMED_ROWS].tolist()],
    )


def _cells(lon: Floats, lat: Floats, resolution: int) -> Cells:
    """Cells of coordinates known to be good."""
    return _signed(vector.coordinates_to_cells(pa.array(lat), pa.array(lon), resolution))


def _blocks(sizes: npt.NDArray[Any], most: int) -> Iterator[slice]:
    """Consecutive slices of about `most` pieces of work each, so that memory stays bounded."""
    edges = np.flatnonzero(np.diff(np.cumsum(sizes) // most)) + 1
    for low, high in pairwise([0, *edges.tolist(), len(sizes)]):
        if high > low:
            yield slice(low, high)


def _cover(xy: Floats, row: Rows, leads: Mask, resolution: int) -> Cover:
    """Shares of lines: `row` is each vertex's line, in order; from those in `leads` a piece goes to the next one."""
    _check_resolution(resolution)
    if not len(xy):
        return _joined([])
    cell = cells_of(xy[:, 0], xy[:, 1], resolution)
    first = np.flatnonzero(np.r_[True, row[1:] != row[:-1]])
    # Most lines lie in one cell, and cells are convex.
    whole = np.minimum.reduceat(cell, first) == np.maximum.reduceat(cell, first)
    counts = np.diff(np.r_[first, len(xy)])
    spread = np.flatnonzero(np.repeat(~whole, counts))
    found = [(row[first[whole]], cell[first[whole]], np.ones(int(whole.sum())))]
    if len(spread):
        found.append(_divided(xy[spread], row[spread], leads[spread], cell[spread], resolution))
    index, cells, share = _joined(found)
    order = np.argsort(index, kind="stable")
    return index[order], cells[order], share[order]


def _divided(xy: Floats, row: Rows, leads: Mask, cell: Cells, resolution: int) -> Cover:
    """Shares of lines that lie in several cells, some lines at a time."""
    part_m = _EDGE_0_M / 7 ** (resolution / 2) / _PARTS_PER_EDGE
    start = np.flatnonzero(leads)
    step = xy[start + 1] - xy[start]
    length_m = np.hypot(step[:, 0] * np.cos(np.radians(xy[start, 1] + step[:, 1] / 2)), step[:, 1]) * _DEGREE_M
    crossing = cell[start] != cell[start + 1]
    pieces = np.where(crossing, np.maximum(np.ceil(length_m / part_m), 1), 1).astype(np.int64)
    _refuse_too_many(int(np.bincount(row[start], pieces).max() / _PARTS_PER_EDGE), resolution)

    def sampled(part: slice) -> Cover:
        begin, count, cut = start[part], pieces[part], crossing[part]
        cells, index = np.repeat(cell[begin], count), np.repeat(row[begin], count)
        piece = np.repeat(np.flatnonzero(cut), count[cut])
        nth = np.arange(len(piece)) - np.repeat(np.cumsum(count[cut]) - count[cut], count[cut])
        at = xy[begin[piece]] + step[part][piece] * ((nth + 0.5) / count[piece])[:, None]
        cells[np.repeat(cut, count)] = _cells(at[:, 0], at[:, 1], resolution)
        metres = np.repeat(length_m[part] / count, count)
        long = metres > 0
        return _runs(index[long], cells[long], metres[long])

    with ThreadPoolExecutor(_THREADS) as pool:
        found = list(pool.map(sampled, _blocks(pieces, _LINE_BLOCK)))
    return _by_row_and_cell(*_joined(found))


def _intersected(rows: Rows, shapes: Geometries, resolution: int) -> Cover:
    """Weighted areas of each polygon in each cell that it touches."""
    which, cell = _touched(shapes, resolution)
    cells, back = np.unique(cell, return_inverse=True)
    outlines = boundaries(cells)
    bounds = shapely.bounds(outlines)
    weight = np.cos(np.radians((bounds[:, 1] + bounds[:, 3]) / 2))
    shapely.prepare(shapes)
    area = shapely.area(outlines)[back]
    edge = np.flatnonzero(~shapely.contains_properly(shapes[which], outlines[back]))
    area[edge] = shapely.area(shapely.intersection(shapes[which[edge]], outlines[back[edge]]))
    shapely.destroy_prepared(shapes)
    kept = area > 0
    return rows[which[kept]], cell[kept], (area * weight[back])[kept]


def _touched(shapes: Geometries, resolution: int) -> tuple[Rows, Cells]:
    """Pairs of shape and cell that share any point."""
    found = pa.array(
        vector.wkb_to_cells(
            pa.array(shapely.to_wkb(shapes), pa.binary()), resolution, containment_mode=ContainmentMode.Covers
        )
    )
    counts = np.diff(found.offsets.to_numpy())
    cells: Cells = found.values.to_numpy(zero_copy_only=False).astype(np.uint64).view(np.int64)
    return np.repeat(np.arange(len(shapes)), counts), cells


def _likely_cells(shapes: Geometries, resolution: int) -> Floats:
    """About how many cells each shape touches, by area and outline: for limits and for dividing the work."""
    edge_m, area_m2 = _EDGE_0_M / 7 ** (resolution / 2), _AREA_0_M2 / 7**resolution
    bounds = np.nan_to_num(shapely.bounds(shapes))
    across = np.cos(np.radians((bounds[:, 1] + bounds[:, 3]) / 2))
    surface = shapely.area(shapes) * _DEGREE_M**2 * across / area_m2
    outline: Floats = shapely.length(shapes) * _DEGREE_M / edge_m
    return np.asarray(surface + outline + 1)


def _summed(index: Rows, cell: Cells, amount: Floats) -> Cover:
    """One entry for each row and cell, by row and cell, amounts added in the order given."""
    index, cell, amount = _runs(index, cell, amount)
    order = np.lexsort((cell, index))
    return _runs(index[order], cell[order], amount[order])


def _runs(index: Rows, cell: Cells, amount: Floats) -> Cover:
    """Neighbouring entries of the same row and cell made one: cheap, and leaves little to sort."""
    if not len(index):
        return index, cell, amount
    new = np.flatnonzero(np.r_[True, (index[1:] != index[:-1]) | (cell[1:] != cell[:-1])])
    return index[new], cell[new], np.add.reduceat(amount, new)


def _joined(found: list[Cover]) -> Cover:
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    index, cell, share = (np.concatenate(part) for part in zip(*found, strict=True))
    return index, cell, share


def _by_row_and_cell(index: Rows, cell: Cells, amount: Floats) -> Cover:
    """Amounts as shares of each row's total."""
    if not len(index):
        return index, cell, amount
    index, cell, amount = _summed(index, cell, amount)
    total = np.bincount(index, amount)
    return index, cell, amount / total[index]
