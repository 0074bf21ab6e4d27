"""Parameters of OGC requests: systems by their names, boxes, intervals, cursors."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
import shapely

import layers
from gis_core.access import Role, Viewer
from gis_core.crs.uris import CRS84, UnknownCrsName, as_lonlat, bounds_of, box, find, served
from gis_core.errors import BadInput
from gis_core.filters.queryables import kinds
from gis_core.filters.times import read_interval, read_moment
from gis_core.queries import MOST_FEATURES, read_cursor, read_query, write_cursor
from gis_core.tiles.plans import appearance, check_address, make_plan, tile_fields

LAYER = layers.load()["pipe_segments"]
WALL = Viewer(Role.wall)


def query(**given: str) -> Any:
    return read_query([(name.replace("_", "-"), value) for name, value in given.items()], LAYER, WALL, "EPSG:4548")


@pytest.mark.parametrize(
    "name",
    ["http://www.opengis.net/def/crs/EPSG/0/4326", "urn:ogc:def:crs:EPSG::4326", "EPSG:4326", "[EPSG:4326]",
     "https://www.opengis.net/def/crs/EPSG/0/4326"],
)  # fmt: skip
def test_a_system_has_many_names_and_one_axis_order(name: str) -> None:
    assert find(name, None).north_first
    assert find(name, None).srid == 4326


def test_which_axis_is_first_comes_from_the_registry() -> None:
    assert [(c.srid, c.north_first) for c in served("EPSG:4548")] == [
        (4326, False), (4326, True), (4490, True), (3857, False), (4548, True),
    ]  # fmt: skip
    assert not find("EPSG:32719", "EPSG:32719").north_first
    with pytest.raises(UnknownCrsName):
        find("EPSG:32719", "EPSG:4548")


def test_boxes_are_read_in_the_order_of_their_system() -> None:
    lonlat, latlon = find(CRS84, None), find("EPSG:4326", None)
    assert shapely.equals(box("116,39,117,40", lonlat), box("39,116,40,117", latlon))
    assert shapely.bounds(box("170,-10,-170,10", lonlat)).tolist() == [-180, -10, 180, 10]
    assert isinstance(box("116,39,116,39", lonlat), shapely.Point)
    assert isinstance(box("116,39,116,40", lonlat), shapely.LineString)
    assert bounds_of("116,39,117,40") == (116, 39, 117, 40)
    for wrong in ("170,-10,-170,10", "1,1,1,1", "1,2,3", "400,0,401,1"):
        with pytest.raises(BadInput):
            bounds_of(wrong)


def test_a_metric_box_follows_its_edges_over_the_globe() -> None:
    metric = find("EPSG:4548", "EPSG:4548")
    there = box("4380000,440000,4420000,500000", metric)
    assert np.allclose(shapely.centroid(there).coords[0], (116.65, 39.73), atol=0.1)
    assert shapely.get_num_coordinates(there) > 20
    with pytest.raises(BadInput):
        as_lonlat(shapely.Point(1e30, 1e30), metric)


def test_intervals() -> None:
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 23, 59, 59, 999999, tzinfo=UTC)
    assert read_interval("2026-01-01") == (start, end)
    assert read_interval("2026-01-01/..") == (start, None)
    assert read_interval("/2026-01-01") == (None, end)
    assert read_moment("2026-01-01T08:00:00+08:00") == start
    for wrong in ("", "..", "/", "../..", "a/b/c", "2026-01-01T00:00:00", "0000-01-01", "2026-13-01"):
        with pytest.raises(BadInput):
            read_interval(wrong)


def test_a_cursor_leads_on_in_its_own_order_only() -> None:
    known = kinds(LAYER, WALL)
    order = (("diameter_mm", True), ("road_name", False), ("updated_at", False))
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    text = write_cursor(order, [300.5, None, moment, 7])
    assert read_cursor(text, order, known) == (300.5, None, moment, 7)
    for other in ((), order[:2], (("diameter_mm", False), *order[1:])):
        with pytest.raises(BadInput):
            read_cursor(text, other, known)
    for values in (
        [1, 2, 3],
        ["x", None, moment, 7],
        [300.5, "a\0", moment, 7],
        [300.5, None, "soon", 7],
        [1, None, 3, True],
    ):
        with pytest.raises(BadInput):
            read_cursor(write_cursor(order, values), order, known)


def test_defaults_and_limits() -> None:
    plain = query()
    assert (plain.limit, plain.crs.uri, plain.after, plain.properties, plain.filter) == (100, CRS84, None, None, None)
    assert query(limit="99999999999").limit == MOST_FEATURES
    assert query(limit="007").limit == 7
    assert query(sortby="-diameter_mm, +code").sortby == (("diameter_mm", True), ("code", False))
    with pytest.raises(BadInput, match="material"):
        query(properties="material")


def test_each_zoom_has_its_rule() -> None:
    assert appearance(LAYER, 10) is None
    assert [appearance(LAYER, z).zoom for z in (11, 12, 13, 14, 22)] == [11, 11, 13, 14, 14]  # type: ignore[union-attr]
    with pytest.raises(BadInput):
        check_address(3, 8, 0)


@pytest.mark.parametrize("layer", layers.load().values(), ids=lambda layer: layer.name)
def test_a_plan_depends_on_what_the_viewer_sees_and_on_nothing_else(layer: Any) -> None:
    admin, other, operator = (Viewer(Role[r], name=n) for r, n in (("admin", "a"), ("admin", "b"), ("operator", "c")))
    one, two, three = (make_plan(layer, viewer, 16) for viewer in (admin, other, operator))
    assert one is not None
    assert two is not None
    assert three is not None
    assert one.digest == two.digest
    # An operator is not cleared for what is marked secret, where a layer has such marks.
    assert (one.digest == three.digest) == (layer.access.secrecy is None)
    if layer.access.owner is not None:
        bound = make_plan(layer, Viewer(Role.utility, owner="it's $1 {x} :y %s \\"), 16)
        assert bound is not None
        assert bound.digest != one.digest
        assert "it''s $1 {x} :y %s \\" in bound.text
    assert not {name for name in tile_fields(layer) if layer.fields[name].live}
