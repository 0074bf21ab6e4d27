"""Hexagons: cells equal to h3-py's, covers equal to brute force, and the same parents in numpy and in SQL."""

from __future__ import annotations

import h3.api.basic_int as h3
import numpy as np
import pytest
import shapely
from sqlalchemy import BigInteger, Column, MetaData, Table, select
from sqlalchemy.dialects import postgresql

from gis_core import hexgrid
from gis_core.hexgrid import NoSuchPlace, NoSuchResolution, TooManyCells

CITY = (116.2, 39.45, 116.7, 39.85)


def _lines(count: int, size_deg: float) -> hexgrid.Geometries:
    rng = np.random.default_rng(5)
    start = rng.uniform(CITY[:2], CITY[2:], (count, 1, 2))
    return np.asarray(shapely.linestrings(start + np.cumsum(rng.normal(0, size_deg, (count, 4, 2)), axis=1)))


@pytest.mark.parametrize("count", [1, 500, 40_000])
@pytest.mark.parametrize("resolution", [0, 7, 11, 15])
def test_cells_are_h3s(count: int, resolution: int) -> None:
    rng = np.random.default_rng(1)
    lon, lat = rng.uniform(-180, 180, count), rng.uniform(-90, 90, count)
    cells = hexgrid.cells_of(lon, lat, resolution)
    assert cells.dtype == np.int64
    loop = [h3.latlng_to_cell(y, x, resolution) for x, y in zip(lon.tolist(), lat.tolist(), strict=True)]
    assert cells.tolist() == loop


@pytest.mark.parametrize(("lon", "lat"), [(np.nan, 0), (0, np.inf), (181, 0), (0, -90.001)])
def test_odd_coordinates_are_refused_by_row(lon: float, lat: float) -> None:
    with pytest.raises(NoSuchPlace) as refused:
        hexgrid.cells_of([116.4, lon], [39.9, lat])
    assert [p.row for p in refused.value.problems] == [2]
    with np.errstate(invalid="ignore"):  # shapely warns of the NaN that is meant
        lines = np.array([None, shapely.LineString([(0, 0), (lon, lat)])], dtype=object)
    for cover in (hexgrid.cover_lines, hexgrid.cover_areas):
        with pytest.raises(NoSuchPlace) as refused:
            cover(lines)
        assert [p.row for p in refused.value.problems] == [2]


def test_resolutions_out_of_range_are_refused() -> None:
    cell = h3.latlng_to_cell(39.9, 116.4, 9)
    for call in (
        lambda: hexgrid.cells_of([0.0], [0.0], 16),
        lambda: hexgrid.parent(cell, -1),
        lambda: hexgrid.parent(cell, 10),
        lambda: hexgrid.child_range(cell, 8),
        lambda: hexgrid.cells_in_bbox(CITY, 99),
    ):
        with pytest.raises(NoSuchResolution):
            call()


def test_parent_of_a_column_is_the_same_arithmetic_and_groups() -> None:
    table = Table("points", MetaData(), Column("cell", BigInteger))
    expression = hexgrid.parent(table.c.cell, 7)
    sql = str(select(expression).group_by(expression).compile(dialect=postgresql.dialect()))
    cell = h3.latlng_to_cell(39.9, 116.4, 11)
    mask, level = (int(text.split(")")[0]) for text in sql.split(" GROUP BY ")[1].split("(")[-2:])
    assert (cell & mask) | level == h3.cell_to_parent(cell, 7)
    assert sql.count("%(") == 0


def test_covers_of_lines_match_fine_sampling() -> None:
    lines = _lines(60, 0.002)
    index, cell, share = hexgrid.cover_lines(lines, 10)
    ours = {(i, c): s for i, c, s in zip(index.tolist(), cell.tolist(), share.tolist(), strict=True)}
    flat = shapely.transform(lines, lambda c: c * [np.cos(np.radians(39.65)), 1])
    error_m = 75.9 / 16
    for row, (line, length) in enumerate(zip(flat, shapely.length(flat) * 111_195, strict=True)):
        along = (np.arange(20_000) + 0.5) / 20_000
        at = shapely.get_coordinates(shapely.line_interpolate_point(line, along, normalized=True))
        fine = hexgrid.cells_of(at[:, 0] / np.cos(np.radians(39.65)), at[:, 1], 10)
        cells, counts = np.unique(fine, return_counts=True)
        for c, n in zip(cells.tolist(), counts.tolist(), strict=True):
            crossings = 2 * np.count_nonzero(np.diff((fine == c).astype(int)))
            assert abs(ours.get((row, c), 0.0) - n / 20_000) * length <= error_m * crossings + 1


def test_covers_of_lines_are_deterministic_and_ordered() -> None:
    lines = _lines(30_000, 0.0004)
    first, second = hexgrid.cover_lines(lines), hexgrid.cover_lines(lines)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    index, cell, share = first
    assert np.array_equal(np.lexsort((cell, index)), np.arange(len(index)))
    assert np.abs(np.bincount(index, share) - 1).max() < 1e-12
    assert np.unique(np.column_stack([index, cell]), axis=0).shape[0] == len(index)


def test_parts_of_a_multilinestring_are_not_joined() -> None:
    west, east = [(116.30, 39.6), (116.3001, 39.6)], [(116.40, 39.6), (116.4001, 39.6)]
    index, cell, share = hexgrid.cover_lines(np.array([shapely.MultiLineString([west, east])]))
    ends = hexgrid.cells_of([116.30005, 116.40005], [39.6, 39.6], 10)
    assert set(cell.tolist()) == set(ends.tolist())
    assert share.tolist() == pytest.approx([0.5, 0.5])
    assert index.tolist() == [0, 0]


def test_rows_without_extent() -> None:
    point = shapely.LineString([(116.4, 39.6), (116.4, 39.6)])
    spot = shapely.Polygon([(116.4, 39.6), (116.4, 39.6), (116.4, 39.6)])
    home = hexgrid.cells_of([116.4], [39.6], 10).tolist()
    for cover, flat, empty in (
        (hexgrid.cover_lines, point, shapely.LineString()),
        (hexgrid.cover_areas, spot, shapely.Polygon()),
    ):
        index, cell, share = cover(np.array([None, empty, flat], dtype=object))
        assert (index.tolist(), cell.tolist(), share.tolist()) == ([2], home, [1.0])
        assert [len(part) for part in cover(np.array([], dtype=object))] == [0, 0, 0]
        assert [len(part) for part in cover(np.array([None], dtype=object))] == [0, 0, 0]


def test_covers_of_areas_are_the_intersections() -> None:
    rng = np.random.default_rng(8)
    corner = rng.uniform(CITY[:2], CITY[2:], (300, 2))
    size = rng.uniform(1e-5, 4e-3, (300, 2))
    shapes = np.asarray(shapely.box(*corner.T, *(corner + size).T))
    index, cell, share = hexgrid.cover_areas(shapes, 10)
    assert np.abs(np.bincount(index, share, minlength=300) - 1).max() < 1e-12
    exact = shapely.area(shapely.intersection(shapes[index], hexgrid.boundaries(cell))) / shapely.area(shapes[index])
    assert np.abs(exact - share).max() < 1e-4


def test_a_big_district_adds_up_to_its_area() -> None:
    district = shapely.box(116.2, 39.45, 116.55, 39.75).difference(shapely.Point(116.4, 39.6).buffer(0.02))
    index, cell, share = hexgrid.cover_areas(np.array([district]), 9)
    inside = shapely.contains_properly(district, hexgrid.boundaries(cell))
    areas = np.array([h3.cell_area(c, "m^2") for c in cell[inside].tolist()])
    assert share.sum() == pytest.approx(1, abs=1e-12)
    whole_m2 = areas / share[inside]
    assert whole_m2.max() / whole_m2.min() - 1 < 1e-4
    assert set(index.tolist()) == {0}


def test_a_crossed_polygon_is_repaired_first() -> None:
    bow = shapely.Polygon([(116.3, 39.5), (116.31, 39.51), (116.31, 39.5), (116.3, 39.51)])
    _, cell, share = hexgrid.cover_areas(np.array([bow]))
    assert share.sum() == pytest.approx(1, abs=1e-12)
    assert len(cell) > 20


def test_cells_in_a_box_are_all_that_touch_it() -> None:
    box = shapely.box(116.4, 39.6, 116.41, 39.61)
    cells = hexgrid.cells_in_bbox(box.bounds, 10)
    assert shapely.intersects(box, hexgrid.boundaries(cells)).all()
    around = np.unique(np.concatenate([h3.grid_disk(c, 1) for c in cells.tolist()]).astype(np.int64))
    outside = np.setdiff1d(around, cells)
    assert not shapely.intersects(box, hexgrid.boundaries(outside)).any()
    assert cells.dtype == np.int64


def test_too_much_is_refused() -> None:
    with pytest.raises(TooManyCells):
        hexgrid.cells_in_bbox((73.0, 18.0, 135.0, 53.0), 10)
    with pytest.raises(TooManyCells):
        hexgrid.cover_areas(np.array([shapely.box(73, 18, 135, 53)]), 10)
    with pytest.raises(TooManyCells):
        hexgrid.cover_lines(np.array([shapely.LineString([(-170, 0), (170, 0)])]), 13)


def test_hex_strings_and_outlines_are_h3s() -> None:
    cells = hexgrid.cells_of([116.4, -71.3], [39.9, -29.9], 9)
    assert hexgrid.to_hex_strings(cells) == [f"{c:x}" for c in cells.tolist()]
    ring = shapely.get_coordinates(hexgrid.boundaries(cells)[0])[:, ::-1]
    assert np.abs(np.sort(ring[:-1], axis=0) - np.sort(h3.cell_to_boundary(int(cells[0])), axis=0)).max() < 1e-9
    assert hexgrid.to_hex_strings(cells[:0]) == []
