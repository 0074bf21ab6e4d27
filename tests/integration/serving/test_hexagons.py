"""Hexagons: numbers that agree with a reckoning in Python, add up at any resolution, and show nobody too much."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import geopandas as gpd
import h3
import numpy as np
import pytest
import shapely
import sqlalchemy as sa
from fastapi.testclient import TestClient

from gis_core import hexagons, hexgrid
from gis_core.access import Role, Viewer
from gis_core.database import Database
from gis_core.guards import QUIET
from gis_core.spec import Combine, Layer, Measure
from tests.integration.serving.conftest import Headers, frames

Sign = Callable[..., Headers]


def ask(client: TestClient, layer: str, headers: Headers | None = None, **query: Any) -> Any:
    answer = client.get(f"/api/hexagons/{layer}", headers=headers, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def cells(frame: gpd.GeoDataFrame, resolution: int) -> list[str]:
    # H3's cells do not lie exactly within their parents: what counts is the parent of the fine cell.
    return [h3.cell_to_parent(h3.latlng_to_cell(p.y, p.x, hexgrid.FINEST), resolution) for p in frame.geometry]


@pytest.mark.parametrize("resolution", [4, 7, 9, 11])
def test_points_count_in_the_cell_they_lie_in(client: TestClient, resolution: int) -> None:
    frame = frames()["parking"]
    told = ask(client, "parking", resolution=resolution, measure="bays")
    wanted = frame.groupby(cells(frame, resolution))["bays"].sum()
    assert dict(zip(told["cells"], told["values"], strict=True)) == wanted.to_dict()
    assert (told["resolution"], told["unit"], told["simulated"]) == (resolution, "个", False)
    assert (told["min"], told["max"]) == (wanted.min(), wanted.max())
    assert told["breaks"] == sorted(set(told["breaks"]))
    assert len(told["breaks"]) <= 6
    assert (told["breaks"][0], told["breaks"][-1]) == (wanted.min(), wanted.max())


@pytest.mark.parametrize(("layer", "measure"), [("pipe_segments", "length"), ("buildings", "footprint")])
def test_sums_of_lines_and_areas_add_up_at_any_resolution(
    client: TestClient, signed: Sign, layer: str, measure: str
) -> None:
    frame = frames()[layer]
    column, factor = {"length": ("length_m", 1e-3), "footprint": ("footprint_m2", 1e-4)}[measure]
    totals = []
    for resolution in range(4, 11):
        told = ask(client, layer, signed("wall"), resolution=resolution, measure=measure)
        totals.append(sum(told["values"]))
        assert told["simulated"] is True
        assert {h3.get_resolution(c) for c in told["cells"]} == {resolution}
    assert np.allclose(totals, frame[column].sum() * factor, rtol=1e-4)
    counts = ask(client, layer, signed("wall"), resolution=9, measure={"length": "segments"}.get(measure, "buildings"))
    assert sum(counts["values"]) == pytest.approx(len(frame), rel=1e-4)


def test_means_weigh_by_share_and_extremes_do_not(client: TestClient, signed: Sign) -> None:
    frame = frames()["pipe_segments"]
    rows, found, shares = hexgrid.cover_lines(np.asarray(frame.geometry, object), 10)
    parents = hexgrid.parent(found, 8)
    diameter = frame["diameter_mm"].to_numpy()[rows]
    year = frame["built_year"].to_numpy(float)[rows]
    names = hexgrid.to_hex_strings(np.unique(parents))
    mean = ask(client, "pipe_segments", signed("operator"), resolution=8, measure="diameter")
    oldest = ask(client, "pipe_segments", signed("operator"), resolution=8, measure="oldest")
    told = dict(zip(mean["cells"], mean["values"], strict=True))
    years = dict(zip(oldest["cells"], oldest["values"], strict=True))
    assert told.keys() == set(names)
    for name, cell in zip(names, np.unique(parents), strict=True):
        here = parents == cell
        assert told[name] == pytest.approx(np.average(diameter[here], weights=shares[here]), rel=1e-4)
        if not np.isnan(year[here]).all():
            assert years[name] == np.nanmin(year[here])


def test_a_finer_cell_than_is_stored_is_answered_at_the_finest(client: TestClient, signed: Sign) -> None:
    told = ask(client, "pipe_segments", signed("wall"), resolution=11, measure="length")
    assert told["resolution"] == 10
    assert {h3.get_resolution(c) for c in told["cells"]} == {10}


@pytest.mark.parametrize("layer", ["parking", "pipe_segments"])
def test_a_box_takes_every_cell_that_it_touches_whole(client: TestClient, signed: Sign, layer: str) -> None:
    measure = {"parking": "bays", "pipe_segments": "length"}[layer]
    every = ask(client, layer, signed("wall"), resolution=9, measure=measure)
    box = (116.33, 39.63, 116.35, 39.65)
    part = ask(client, layer, signed("wall"), resolution=9, measure=measure, bbox=",".join(map(str, box)))
    known = dict(zip(every["cells"], every["values"], strict=True))
    outline = {c: shapely.Polygon([(x, y) for y, x in h3.cell_to_boundary(c)]) for c in known}
    wanted = {c: v for c, v in known.items() if outline[c].intersects(shapely.box(*box))}
    assert dict(zip(part["cells"], part["values"], strict=True)) == wanted
    assert 0 < len(wanted) < len(known)


def test_nobody_sees_more_in_hexagons_than_in_features(client: TestClient, signed: Sign) -> None:
    assert ask(client, "pipe_segments", signed("wall"), measure="oldest")["cells"] == [], "the year is hidden"
    assert ask(client, "pipe_segments", signed("operator"), measure="oldest")["cells"]
    frame = frames()["pipe_segments"]
    for owner in ("A", "B"):
        told = ask(client, "pipe_segments", signed("utility", owner), resolution=6, measure="length")
        assert sum(told["values"]) == pytest.approx(frame["length_m"][frame["owner"] == owner].sum() / 1e3, rel=1e-4)
    assert ask(client, "pipe_segments", resolution=11)["presence"], "the public is told presence only"
    assert client.get("/api/hexagons/cameras").status_code == 403
    assert client.get("/api/hexagons/cameras", headers=signed("utility", "A")).status_code == 403


def test_a_viewer_of_an_area_counts_within_it(city: Database, all_layers: dict[str, Layer]) -> None:
    frame = frames()["parking"]
    area = shapely.box(116.3, 39.6, 116.34, 39.64)
    viewer = Viewer(Role.wall, area="part", area_wkb=shapely.to_wkb(area))
    layer = all_layers["parking"]
    with city.reading(viewer) as connection:
        found = hexagons.aggregate(connection, layer, viewer, hexagons.find_measure(layer, "bays"), 7, None)
    assert found.values.sum() == frame["bays"][frame.intersects(area)].sum()


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("resolution=3", 400), ("resolution=12", 400), ("resolution=x", 400), ("measure=nothing", 404),
        ("bbox=1,2,3", 400), ("bbox=116,39,116,39", 400), ("bbox=170,0,-170,1", 400), ("bbox=nan,0,1,1", 400),
        ("t=2026-01-01T00:00:00Z", 400),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_refused(client: TestClient, query: str, status: int) -> None:
    answer = client.get(f"/api/hexagons/parking?{query}")
    assert answer.status_code in {status, 422 if status == 400 else status}, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_now_is_a_time(client: TestClient) -> None:
    assert ask(client, "parking", t="now") == ask(client, "parking")


def test_live_values_are_not_kept_for_long(client: TestClient, city: Database) -> None:
    layer = client.app.state.city.layers["parking"]
    free = hexagons.find_measure(layer, "free")
    assert hexagons.is_live(layer, free)
    assert not hexagons.is_live(layer, hexagons.find_measure(layer, "bays"))
    assert not hexagons.is_live(layer, hexagons.find_measure(layer, "car_parks"))
    with city.writing() as connection:
        connection.execute(sa.text(f"SET LOCAL {QUIET} = 'on'"))
        connection.execute(sa.text("UPDATE parking SET free = 7"))
    with city.reading(Viewer()) as connection:
        found = hexagons.aggregate(connection, layer, Viewer(), free, 6, None)
    assert found.values.sum() == 7 * len(frames()["parking"])


def test_a_count_of_a_value_counts_what_is_known(city: Database, all_layers: dict[str, Layer]) -> None:
    layer = all_layers["pipe_segments"]
    column = layer.model.__table__.c.built_year
    measure = Measure("known", layer.title, Combine.count, column)
    viewer = Viewer(Role.operator)
    with city.reading(viewer) as connection:
        found = hexagons.aggregate(connection, layer, viewer, measure, 6, None)
    assert found.values.sum() == pytest.approx(frames()["pipe_segments"]["built_year"].notna().sum(), rel=1e-4)
