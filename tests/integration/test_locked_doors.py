"""Every door of the whole service, tried by those who may not: nothing of another owner comes out, and it is noted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import geopandas as gpd
import pytest
import shapely
from fastapi import FastAPI
from fastapi.testclient import TestClient

from gis_core import audit
from gis_core.access import RIGHTS, Role
from gis_core.database import Database
from gis_core.ingest import Mode, Source, ingest_frame
from gis_core.settings import Settings
from gis_core.spec import Layer
from web_map import headers
from web_map.service import create_app

FACTS: dict[str, Any] = {
    "name": "test",
    "title": {"zh": "测试", "en": "Test"},
    "center": [-71.25, -29.95],
    "zoom": 12,
    "bounds": [-71.4, -30.1, -71.1, -29.8],
    "datum": "WGS 84",
    "metric_crs": "EPSG:32719",
    "time_zone": "America/Santiago",
    "attribution": [],
    "adcode": None,
}
PIPES = "pipe_segments"
TILE = f"/ogc/collections/{PIPES}/tiles/WebMercatorQuad/14/9621/4949"
GAS_ONLY = re.compile(rb"gas board|GAS-\d|inconel", re.IGNORECASE)
"""What stands in the gas board's rows and nowhere else."""


def lay_pipes(database: Database, layer: Layer) -> None:
    """Thirty pipes of the water works and twenty of the gas board, side by side."""
    rows = [
        {
            "code": f"{'GAS' if i < 20 else 'WAT'}-{i}",
            "pipe_class": "gas" if i < 20 else "water",
            "diameter_mm": 900.0,
            "material": "inconel" if i < 20 else "iron",
            "start_depth_m": 1.0,
            "end_depth_m": 2.0,
            "length_m": 100.0,
            "owner": "gas board" if i < 20 else "water works",
            "geometry": shapely.LineString([(-71.25, -29.95 + i / 1e5), (-71.249, -29.95 + i / 1e5)]),
        }
        for i in range(50)
    ]
    frame = gpd.GeoDataFrame(rows, geometry="geometry", crs=4326)
    report = ingest_frame(database, layer, frame, source=Source("test"), mode=Mode.all_or_nothing)
    assert report.stored == 50, report.problems


@pytest.fixture
def app(database: Database, all_layers: dict[str, Layer]) -> FastAPI:
    lay_pipes(database, all_layers[PIPES])
    return create_app(Settings(), database, FACTS)


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, follow_redirects=False, raise_server_exceptions=False) as opened:
        yield opened


def as_role(client: TestClient, role: str, owner: str | None = None) -> dict[str, str]:
    return {"Authorization": f"Bearer {client.app.state.city.door.make(role, owner=owner)}"}  # type: ignore[attr-defined]


def doors(app: FastAPI) -> list[str]:
    """Every address that answers to GET and ends, with the pipes where a layer is asked for."""
    ends = [p for p, operations in app.openapi()["paths"].items() if "get" in operations and p != "/api/changes"]
    filled = {"layer": PIPES, "feature_id": "1", "z": "14", "y": "9621", "x": "4949", "name": "wall", "upload_id": "u"}
    paths = [re.sub(r"\{(\w+)\}", lambda m: filled.get(m[1], "1"), path) for path in ends]
    assert TILE in paths
    more = [
        f"/ogc/collections/{PIPES}/items?limit=1000",
        f"/ogc/collections/{PIPES}/items?filter=owner='gas board'",
        f"/ogc/collections/{PIPES}/items?filter=code LIKE 'GAS%'",
        f"/ogc/collections/{PIPES}/items?filter=material='inconel'",
        f"/ogc/collections/{PIPES}/items?sortby=-material",
        "/api/search?q=GAS-1",
        *(f"/api/export/{PIPES}?format={kind}" for kind in ("gpkg", "geoparquet", "csv")),
        *(f"/api/hexagons/{PIPES}?resolution=7&measure={m}" for m in ("length", "segments", "diameter", "oldest")),
    ]
    return [*paths, *more]


def test_a_utility_gets_nothing_of_another_at_any_door(app: FastAPI, client: TestClient) -> None:
    water, gas = as_role(client, "utility", "water works"), as_role(client, "utility", "gas board")
    betrayed = set()
    for path in doors(app):
        answered = client.get(path, headers=water)
        assert answered.status_code < 500, (path, answered.text)
        assert not GAS_ONLY.search(answered.content.replace(path.encode(), b"")), path
        if GAS_ONLY.search(client.get(path, headers=gas).content):
            betrayed.add(path.partition("?")[0])
    # The same doors do show them to their owner: the pattern finds what it looks for.
    assert betrayed >= {TILE, f"/ogc/collections/{PIPES}/items", f"/api/export/{PIPES}"}


def test_numbers_count_ones_own_only(client: TestClient) -> None:
    for role, owner, expected in (("utility", "water works", 30), ("utility", "gas board", 20), ("wall", None, 50)):
        sent = as_role(client, role, owner)
        cells = client.get(f"/api/hexagons/{PIPES}?resolution=6&measure=segments", headers=sent).json()
        assert sum(cells["values"]) == pytest.approx(expected)
        items = client.get(f"/ogc/collections/{PIPES}/items?limit=1000", headers=sent).json()
        assert len(items["features"]) == expected
        told = client.get("/api/catalog", headers=sent).json()
        assert next(la["count"] for la in told["layers"] if la["name"] == PIPES) == expected


@pytest.mark.parametrize("role", [r for r in Role if "pipes.view" not in RIGHTS[r]])
def test_who_may_see_no_pipes_gets_403_and_an_entry(app: FastAPI, client: TestClient, role: Role) -> None:
    sent = {} if role is Role.public else as_role(client, role)
    refused = []
    for path in doors(app):
        answered = client.get(path, headers=sent)
        assert answered.status_code < 500, (path, answered.text)
        assert not GAS_ONLY.search(answered.content.replace(path.encode(), b"")), path
        if f"/api/hexagons/{PIPES}" in path and "diameter" not in path and "oldest" not in path:
            told = answered.json()
            assert (told["presence"], told["resolution"] <= 8) == (True, True), path
        elif PIPES in path.partition("?")[0]:
            assert answered.status_code == 403, path
            refused.append(path.partition("?")[0])
    city = app.state.city
    assert city.trail.flush()
    noted = {entry.target for _, entry in audit.read(city.database, limit=1000) if not entry.allowed}
    assert noted >= set(refused)
    catalog = client.get("/api/catalog", headers=sent).json()
    assert PIPES not in {la["name"] for la in catalog["layers"]}


def test_a_hidden_column_is_not_to_be_had(app: FastAPI, client: TestClient) -> None:
    wall, operator = as_role(client, "wall"), as_role(client, "operator")
    seen = False
    for path in doors(app):
        answered = client.get(path, headers=wall)
        assert b"inconel" not in answered.content.replace(path.encode(), b""), path
        seen = seen or b"inconel" in client.get(path, headers=operator).content
    assert seen


def test_a_withdrawn_token_gets_no_tile(client: TestClient) -> None:
    door = client.app.state.city.door  # type: ignore[attr-defined]
    token = door.make("wall")
    sent = {"Authorization": f"Bearer {token}"}
    assert client.get(TILE, headers=sent).status_code == 200
    door.revoke(token)
    assert client.get(TILE, headers=sent).status_code == 401


def test_every_door_answers_with_the_security_headers(app: FastAPI, client: TestClient) -> None:
    sent = as_role(client, "admin")
    for path in (*doors(app), "/", "/docs", "/openapi.json", "/nowhere", "/assets/nothing.js"):
        for tried in ({}, sent, {"Authorization": "Bearer ct_forged"}):
            answered = client.get(path, headers=tried)
            for name, value in headers.SECURITY.items():
                assert answered.headers.get_list(name) == [value], (path, name)
            if answered.status_code >= 400:
                assert answered.headers["content-type"] == "application/problem+json", path
