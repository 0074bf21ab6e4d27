"""Geometries that a city cannot store are named row by row; what only looks different is brought into shape."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from shapely import LineString, MultiLineString, MultiPoint, MultiPolygon, Point, Polygon

from gis_core import geometry
from gis_core.geometry import Limits, conform, duplicates, faults, hilbert, hilbert_order, spiked

SQUARE = Polygon([(0, 0), (1, 0), (1, 1), (0, 1)])
with np.errstate(invalid="ignore"):  # shapely warns of the NaN that is meant
    NAN_LINE = LineString([(0, 0), (1, np.nan)])


def _array(*geoms: shapely.Geometry | None) -> geometry.Geometries:
    result = np.empty(len(geoms), dtype=object)
    result[:] = geoms
    return result


def _told(geoms: geometry.Geometries, kind: str, limits: Limits | None = None) -> dict[str, list[int]]:
    return {f.why: f.rows.tolist() for f in faults(geoms, kind, limits)}


@pytest.mark.parametrize(
    ("given", "kind", "expected"),
    [
        (SQUARE, "MULTIPOLYGON", "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 1, 0 0)))"),
        (MultiPolygon([SQUARE]), "MULTIPOLYGON", "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 1, 0 0)))"),
        (MultiPolygon([SQUARE]), "POLYGON", "POLYGON ((0 0, 1 0, 1 1, 0 1, 0 0))"),
        (MultiLineString([[(0, 0), (1, 1)]]), "LINESTRING", "LINESTRING (0 0, 1 1)"),
        (LineString([(0, 0, 5), (1, 1, 6)]), "LINESTRING", "LINESTRING (0 0, 1 1)"),
        (LineString([(0, 0), (1, 1)]), "MULTILINESTRING", "MULTILINESTRING ((0 0, 1 1))"),
        (MultiPoint([(2, 3)]), "POINT", "POINT (2 3)"),
        (shapely.GeometryCollection([SQUARE]), "MULTIPOLYGON", "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 1, 0 0)))"),
        (MultiPoint([(2, 3), (4, 5)]), "POINT", "MULTIPOINT ((2 3), (4 5))"),
        (Point(2, 3), "LINESTRING", "POINT (2 3)"),
        (Point(), "POINT", "POINT EMPTY"),
    ],
)
def test_brings_into_the_layers_type(given: shapely.Geometry, kind: str, expected: str) -> None:
    shaped = conform(_array(None, given), kind)
    assert shaped[0] is None
    assert shapely.equals_exact(shaped[1], shapely.from_wkt(expected), 0)
    assert shaped[1].geom_type.upper() == expected.split(" ", maxsplit=1)[0]
    assert not shapely.has_z(shaped[1])


def test_names_every_fault_of_lines() -> None:
    rows = _array(
        LineString([(0, 0), (1, 0)]),
        None,
        LineString(),
        NAN_LINE,
        Point(0, 0),
        MultiLineString([[(0, 0), (1, 1)], [(2, 2), (3, 3)]]),
        LineString([(1, 1), (1, 1)]),
        LineString([(0, 0), (1, 1), (1, 0), (0, 1)]),
        LineString([(0, 0), (0.001, 0), (50, 50), (0.002, 0), (0.003, 0)]),
    )
    assert _told(rows, "LINESTRING") == {
        "has no geometry": [1],
        "the geometry is empty": [2],
        "a coordinate is not a finite number": [3],
        "is a POINT, not a LINESTRING": [4],
        "is a MULTILINESTRING, not a LINESTRING": [5],
        "the line has no length": [6],
        "has absurd spikes": [8],
        "the line crosses itself": [7],
    }
    assert [f.severity for f in faults(rows, "LINESTRING")].count("warning") == 1


def test_names_every_fault_of_areas() -> None:
    rows = _array(
        SQUARE,
        Polygon([(0, 0), (1, 1), (1, 0), (0, 1)]),
        Polygon([(0, 0), (1, 0), (0, 0)]),
        Polygon([(0, 0), (4, 0), (4, 4), (0, 4)], [[(5, 5), (6, 5), (6, 6)]]),
        Polygon([(0, 0), (0.001, 0), (0.001, 0.001), (90, 90), (0.0005, 0.001), (0, 0.001)]),
        SQUARE.buffer(1, quad_segs=50),
    )
    told = _told(conform(rows, "MULTIPOLYGON"), "MULTIPOLYGON", Limits(vertices=100))
    assert told == {
        "has more than 100 vertices": [5],
        "is an invalid polygon: self-intersection": [1],
        "is an invalid polygon: too few points in geometry component": [2],
        "is an invalid polygon: hole lies outside shell": [3],
        "has absurd spikes": [4],
    }


def test_points_have_few_faults() -> None:
    rows = _array(Point(1, 2), MultiPoint([(1, 2), (3, 4)]), SQUARE)
    assert _told(conform(rows, "POINT"), "POINT") == {
        "is a MULTIPOINT, not a POINT": [1],
        "is a POLYGON, not a POINT": [2],
    }
    assert faults(_array(), "POINT") == []


def test_a_comb_of_ten_thousand_teeth_is_absurd() -> None:
    comb = np.column_stack([np.arange(10_000) * 1e-6, np.tile([0.0, 1.0], 5_000)])
    assert spiked(_array(LineString(comb))).tolist() == [True]


def test_real_shapes_are_not_spiked() -> None:
    rng = np.random.default_rng(4)
    zigzag = LineString(np.column_stack([np.arange(60), np.tile([0.0, 0.8], 30)]))
    there_and_back = LineString([(0, 0), (10, 0), (20, 0.2), (10, 0.4), (0, 0.4)])
    walk = LineString(np.cumsum(rng.normal(size=(500, 2)), axis=0))
    sliver = Polygon([(0, 0), (100, 0), (100, 1), (0, 1)])
    wedge = Polygon([(0, 0), (100, 1), (100, -1)])
    bend = LineString([(0, 0), (100, 0), (0, 1)])
    rows = _array(zigzag, there_and_back, walk, sliver, wedge, bend, SQUARE, Point(0, 0), None)
    assert not spiked(rows).any()


def test_a_spike_at_a_rings_first_vertex_counts() -> None:
    ring = Polygon([(90, 90), (0.0005, 0.001), (0, 0.001), (0, 0), (0.001, 0), (0.001, 0.001)])
    assert spiked(_array(ring)).tolist() == [True]


def test_duplicates_whatever_their_direction() -> None:
    rows = _array(
        LineString([(0, 0), (1, 2), (3, 3)]),
        LineString([(3, 3), (1, 2), (0, 0)]),
        LineString([(1, 2), (0, 0), (3, 3)]),
        None,
        None,
        SQUARE,
        Polygon([(1, 1), (0, 1), (0, 0), (1, 0)]),
        Point(0.0, 0),
        Point(-0.0, 0),
        Point(),
        Point(),
        LineString([(0, 0), (1, 2), (3, 3)]),
    )
    assert duplicates(rows).tolist() == [-1, 0, -1, -1, -1, -1, 5, -1, 7, -1, -1, 0]
    assert duplicates(_array()).tolist() == []
    assert duplicates(_array(None)).tolist() == [-1]


def test_hilbert_keys_walk_the_plane_without_a_jump() -> None:
    side = 64
    cell_x, cell_y = 360 / (1 << 24), 180 / (1 << 24)
    x, y = (v.ravel() for v in np.meshgrid(np.arange(side), np.arange(side)))
    lon, lat = -180 + (x + 0.5) * cell_x, -90 + (y + 0.5) * cell_y
    order = hilbert_order(lon, lat)
    steps = np.abs(np.diff(x[order])) + np.abs(np.diff(y[order]))
    assert steps.tolist() == [1] * (side * side - 1)
    assert np.array_equal(np.sort(hilbert(lon, lat)), np.arange(side * side))


def test_hilbert_keys_keep_neighbours_near_and_put_nan_last() -> None:
    rng = np.random.default_rng(2)
    lon, lat = rng.uniform(116, 117, 5_000), rng.uniform(39, 40, 5_000)
    order = hilbert_order(lon, lat)
    jumps = np.hypot(np.diff(lon[order]), np.diff(lat[order]))
    assert np.median(jumps) < 0.05 * np.median(np.hypot(np.diff(lon), np.diff(lat)))
    assert hilbert_order(np.array([np.nan, 180.0, -180.0]), np.array([0.0, 90.0, -90.0])).tolist()[-1] == 0


def test_an_unknown_type_is_a_mistake_of_the_program() -> None:
    with pytest.raises(KeyError):
        conform(_array(SQUARE), "CIRCLE")


def test_a_spike_in_a_part_far_from_the_others_counts() -> None:
    spike = [(0, 0), (0.001, 0), (0.5, 0.5), (0.002, 0), (0.003, 0)]
    assert spiked(_array(MultiLineString([spike, [(80, 0), (81, 0)]]))).tolist() == [True]
