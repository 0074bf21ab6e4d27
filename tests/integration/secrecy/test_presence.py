"""Presence by hexagon: the same coarse numbers for everybody, and no question that tells more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import h3
import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gis_core import hexgrid
from gis_core.cluster import Cluster
from gis_core.database import Database
from tests.integration.secrecy.conftest import FRAMES, PIPES, POINTS, SIGHTS, copy_of, header, served

STEPS = [s * 10**e for e in range(6) for s in (1, 2, 5)]


@pytest.fixture(scope="module")
def city(cluster: Cluster, filled: str) -> Iterator[Database]:
    yield from copy_of(cluster, filled)


@pytest.fixture(scope="module")
def client(city: Database) -> Iterator[TestClient]:
    with served(city) as opened:
        yield opened


def ask(client: TestClient, layer: str = PIPES, sent: dict[str, str] | None = None, **query: Any) -> dict[str, Any]:
    way = client.get(f"/api/hexagons/{layer}", headers=sent or {}, params={"presence": "true", **query})
    assert way.status_code == 200, way.text
    told: dict[str, Any] = way.json()
    return told


def by_cell(told: dict[str, Any]) -> dict[str, float]:
    return dict(zip(told["cells"], told["values"], strict=True))


def rounded_up(value: float) -> float:
    return next(step for step in STEPS if step >= max(value, 1) - 1e-6)


def told_to_a_wall(layer: str) -> Any:
    frame = FRAMES[layer]
    return frame[frame["secrecy"].isna() | frame["secrecy"].isin(["open", "internal"])].reset_index(drop=True)


def test_lines_count_by_share_and_numbers_are_coarse(client: TestClient) -> None:
    frame = told_to_a_wall(PIPES)
    rows, cells, shares = hexgrid.cover_lines(np.asarray(frame.geometry, object), 10)
    names = np.array(hexgrid.to_hex_strings(hexgrid.parent(cells, 8)))
    for measure, value in (("segments", shares), ("length", shares * frame["length_m"].to_numpy()[rows] / 1000)):
        told = by_cell(ask(client, measure=measure, resolution=8))
        assert told == {name: rounded_up(value[names == name].sum()) for name in np.unique(names)}


def test_points_count_in_their_cell(client: TestClient) -> None:
    names = [h3.cell_to_parent(h3.latlng_to_cell(p.y, p.x, 11), 8) for p in told_to_a_wall(POINTS).geometry]
    told = by_cell(ask(client, POINTS, measure="points"))
    assert told == {name: rounded_up(names.count(name)) for name in set(names)}


def test_everybody_is_told_the_same(city: Database, client: TestClient) -> None:
    first = ask(client)
    for sight in SIGHTS:
        assert ask(client, sent=header(city, sight.role, sight.owner)) == first
    team = client.get(f"/api/hexagons/{PIPES}", headers=header(city, "emergency")).json()
    assert team == first, "presence is what an emergency team sees at first"
    assert client.get(f"/api/hexagons/{PIPES}").json() == first


@given(
    resolution=st.integers(4, 11),
    corner=st.tuples(st.floats(116.2, 116.42), st.floats(39.55, 39.72)),
    size=st.tuples(st.floats(1e-6, 0.1), st.floats(1e-6, 0.1)),
)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_no_box_and_no_resolution_tells_more(
    client: TestClient, resolution: int, corner: tuple[float, float], size: tuple[float, float]
) -> None:
    finest = by_cell(ask(client, resolution=8))
    box = f"{corner[0]},{corner[1]},{corner[0] + size[0]},{corner[1] + size[1]}"
    told = ask(client, resolution=resolution, bbox=box)
    assert told["resolution"] == min(resolution, 8)
    for cell, value in by_cell(told).items():
        parts = [v for c, v in finest.items() if h3.cell_to_parent(c, told["resolution"]) == cell]
        assert value == rounded_up(sum(parts)), "a coarse number is made of those that are told anyway"


def test_only_counts_and_sums_are_told_so(city: Database, client: TestClient) -> None:
    for layer, measure in ((PIPES, "diameter"), (PIPES, "oldest"), (PIPES, "depth"), (POINTS, "deepest")):
        for sent in ({}, header(city, "emergency")):
            way = client.get(f"/api/hexagons/{layer}?measure={measure}", headers=sent)
            assert (way.status_code, way.headers["content-type"]) == (403, "application/problem+json")
    assert client.get(f"/api/hexagons/{PIPES}?presence=false").status_code == 403
    assert client.get("/api/hexagons/parking?presence=true").status_code == 400
    assert client.get("/api/hexagons/cameras?presence=true").status_code in {400, 403}
    catalog = client.get("/api/catalog", headers=header(city, "emergency")).json()
    measures = {la["name"]: [m["name"] for m in la["measures"]] for la in catalog["layers"]}
    assert measures[PIPES] == ["length", "segments"]
