"""OGC API - Features: collections, pages, coordinate systems, selections; what is not there for whom."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import shapely
import sqlalchemy as sa
import uvicorn
from fastapi.testclient import TestClient
from owslib.ogcapi.features import Features

from gis_core.database import Database
from gis_core.ingest import Source, ingest_frame
from gis_core.queries import PARAMETERS
from gis_core.settings import Settings
from gis_core.spec import Layer
from gis_core.tokens import Door
from tests.integration.serving.conftest import FACTS, PIPES, SECRET, Headers, frames, pipes
from web_map.service import create_app

Sign = Callable[..., Headers]
HYPHENED = {name.replace("-", "_"): name for name in PARAMETERS}
EPSG = "http://www.opengis.net/def/crs/EPSG/0/"
PATH = "/ogc/collections/pipe_segments"


def get(client: TestClient, path: str, headers: Headers | None = None, **query: Any) -> Any:
    answer = client.get(path, headers=headers, params={HYPHENED.get(name, name): v for name, v in query.items()})
    assert answer.status_code == 200, answer.text
    return answer.json()


def codes(answer: Any) -> set[str]:
    return {feature["properties"]["code"] for feature in answer["features"]}


def pages(client: TestClient, headers: Headers, **query: Any) -> Iterator[Any]:
    address: str | None = f"{PATH}/items"
    while address:
        answer = client.get(address, headers=headers, params=query or None)
        assert answer.status_code == 200, answer.text
        yield (page := answer.json())
        query = {}
        address = next((link["href"] for link in page["links"] if link["rel"] == "next"), None)


def test_landing_page_leads_everywhere(client: TestClient) -> None:
    links = {link["rel"]: link["href"] for link in get(client, "/ogc")["links"]}
    for relation in ("self", "conformance", "data", "service-desc"):
        assert client.get(links[relation]).status_code == 200
    assert any(c.endswith("ogcapi-features-1/1.0/conf/core") for c in get(client, "/ogc/conformance")["conformsTo"])


def test_collections_are_those_that_the_viewer_may_see(client: TestClient, signed: Sign) -> None:
    def names(headers: Headers | None) -> set[str]:
        return {c["id"] for c in get(client, "/ogc/collections", headers)["collections"]}

    assert {"parking", "roads", "grid_cells"} <= names(None)
    assert not {"pipe_segments", "pipe_points", "cameras"} & names(None)
    assert {"pipe_segments", "cameras"} <= names(signed("wall"))
    assert "cameras" not in names(signed("utility", "A"))
    for part in ("", "/items", "/items/1", "/queryables", "/schema", "/tiles"):
        assert client.get(f"/ogc/collections/cameras{part}").status_code == 403
        assert client.get(f"/ogc/collections/nothing{part}").status_code == 404


def test_features_come_as_they_went_in(client: TestClient, signed: Sign) -> None:
    answer = get(client, f"{PATH}/items", signed("operator"), limit=10_000)
    assert answer["numberReturned"] == answer["numberMatched"] == len(answer["features"]) == PIPES
    frame = frames()["pipe_segments"].set_index("code")
    for feature in answer["features"]:
        row = frame.loc[feature["properties"]["code"]]
        assert shapely.equals_exact(shapely.from_geojson(json.dumps(feature["geometry"])), row.geometry, 1e-7)
        assert feature["properties"]["pipe_class"] == row["pipe_class"]
        assert feature["properties"]["built_year"] == (None if np.isnan(row["built_year"]) else row["built_year"])
        assert feature["properties"]["simulated"] is True
        assert feature["properties"]["source"] == "pipe_segments of the test"
    one = get(client, f"{PATH}/items/{answer['features'][3]['id']}", signed("operator"))
    assert one["properties"] == answer["features"][3]["properties"]
    assert one["geometry"] == answer["features"][3]["geometry"]


@pytest.mark.parametrize("row", [0, 10**9, 2**63, -1])
def test_a_feature_that_is_not_there_is_404(client: TestClient, signed: Sign, row: int) -> None:
    assert client.get(f"{PATH}/items/{row}", headers=signed("wall")).status_code == 404


@pytest.mark.parametrize("sortby", ["", "code", "-diameter_mm,pipe_class", "built_year", "-built_year,road_name"])
def test_pages_hold_every_feature_once_and_in_order(client: TestClient, signed: Sign, sortby: str) -> None:
    query = {"limit": 37, **({"sortby": sortby} if sortby else {})}
    found = [f for page in pages(client, signed("operator"), **query) for f in page["features"]]
    assert len({f["id"] for f in found}) == len(found) == PIPES
    for key in (sortby.split(",", maxsplit=1)[0].lstrip("-"),) if sortby else ():
        values = [f["properties"][key] for f in found]
        known = [v for v in values if v is not None]
        assert known == sorted(known, reverse=sortby.startswith("-"))
        assert values[: len(known)] == known, "what is not known comes last"


def test_rows_that_come_in_between_neither_repeat_nor_hide_others(
    database: Database, all_layers: dict[str, Layer]
) -> None:
    random = np.random.default_rng(1)
    stored = pipes(200, random)
    ingest_frame(database, all_layers["pipe_segments"], stored, source=Source("first"))
    token = {"Authorization": f"Bearer {Door(database).make('wall')}"}
    with TestClient(create_app(Settings(home=Path("unused"), detail_limit_km2=1000), database, FACTS)) as client:
        seen: list[str] = []
        for number, page in enumerate(pages(client, token, limit=20, sortby="-code")):
            seen += [f["properties"]["code"] for f in page["features"]]
            late = pipes(15, random)
            late["code"] = [f"P{i * 13:05}x{number}" for i in range(15)]
            ingest_frame(database, all_layers["pipe_segments"], late, source=Source("late"))
            with database.writing() as connection:  # rows that were passed already go away
                gone = sa.text("DELETE FROM pipe_segments WHERE code = any(:codes)")
                connection.execute(gone, {"codes": seen[:3]})
    assert len(seen) == len(set(seen))
    assert set(stored["code"]) <= set(seen)


def test_axis_order_is_what_the_system_promises(client: TestClient, signed: Sign) -> None:
    def first(crs: str | None) -> tuple[Any, str]:
        query = {"limit": 1, "sortby": "code", **({"crs": crs} if crs else {})}
        answer = client.get(f"{PATH}/items", headers=signed("wall"), params=query)
        return answer.json()["features"][0]["geometry"]["coordinates"], answer.headers["Content-Crs"]

    (lonlat, said) = first(None)
    assert said == "<http://www.opengis.net/def/crs/OGC/1.3/CRS84>"
    flipped = [[lat, lon] for lon, lat in lonlat]
    for number in (4326, 4490):  # CGCS2000 agrees with WGS 84 to a decimetre
        coordinates, said = first(f"{EPSG}{number}")
        assert coordinates == flipped
        assert said == f"<{EPSG}{number}>"
    line = gpd.GeoSeries([shapely.LineString(lonlat)], crs="EPSG:4326")
    mercator, _ = first(f"{EPSG}3857")
    assert np.allclose(mercator, shapely.get_coordinates(line.to_crs(3857).iloc[0]), atol=0.02)
    metric, _ = first(f"{EPSG}4548")  # its first axis points north
    wanted = shapely.get_coordinates(line.to_crs(4548).iloc[0])[:, ::-1]
    assert np.allclose(metric, wanted, atol=0.02)
    assert metric[0][0] > 4_000_000


def test_a_box_holds_what_touches_it_in_any_system(client: TestClient, signed: Sign) -> None:
    frame = frames()["pipe_segments"]
    box = shapely.box(116.33, 39.63, 116.36, 39.66)
    wanted = set(frame["code"][frame.intersects(box)])
    assert 20 < len(wanted) < PIPES / 2
    metric = gpd.GeoSeries([box], crs="EPSG:4326").to_crs(4548)
    west, south, east, north = metric.total_bounds
    inside = frame.to_crs(4548).intersects(shapely.box(west, south, east, north))
    headers = signed("wall")
    ask = {"limit": 10_000, "properties": "code"}
    assert codes(get(client, f"{PATH}/items", headers, bbox="116.33,39.63,116.36,39.66", **ask)) == wanted
    assert codes(get(client, f"{PATH}/items", headers, bbox="116.33,39.63,0,116.36,39.66,99", **ask)) == wanted
    turned = get(client, f"{PATH}/items", headers, bbox="39.63,116.33,39.66,116.36", bbox_crs=f"{EPSG}4326", **ask)
    assert codes(turned) == wanted
    corner = f"{south},{west},{north},{east}"
    assert codes(get(client, f"{PATH}/items", headers, bbox=corner, bbox_crs=f"{EPSG}4548", **ask)) == set(
        frame["code"][inside]
    )
    lit = "S_INTERSECTS(geom, BBOX(39.63,116.33,39.66,116.36))"
    assert codes(get(client, f"{PATH}/items", headers, filter=lit, filter_crs=f"{EPSG}4326", **ask)) == wanted
    assert get(client, f"{PATH}/items", headers, bbox="170,39,-170,40")["features"] == []


def test_selections_by_time_property_and_count(client: TestClient, signed: Sign) -> None:
    headers = signed("wall")

    def matched(**query: Any) -> int:
        return int(get(client, f"{PATH}/items", headers, limit=1, number_matched="true", **query)["numberMatched"])

    assert matched() == PIPES
    assert matched(datetime="2020-01-01/..") == PIPES
    assert matched(datetime="../2020-01-01T00:00:00Z") == 0
    assert matched(owner="B") == (np.arange(PIPES) % 3 == 1).sum()
    assert matched(diameter_mm="300") == PIPES / 4
    assert matched(simulated="false") == 0
    assert matched(owner="B", filter="diameter_mm > 300", bbox="116,39,117,40") < PIPES / 3
    assert "numberMatched" not in get(client, f"{PATH}/items", headers, limit=1), "counting is only done when asked"


def test_only_the_properties_asked_for_are_sent(client: TestClient, signed: Sign) -> None:
    answer = get(client, f"{PATH}/items", signed("wall"), properties="code,owner", limit=3)
    assert all(f["properties"].keys() == {"code", "owner"} for f in answer["features"])


@pytest.mark.parametrize(
    "query",
    [
        "foo=1", "limit=0", "limit=-1", "limit=abc", "limit=1e3", "limit=1&limit=2", "bbox=1,2,3", "bbox=a,b,c,d",
        "bbox=nan,1,2,3", "bbox=1,5,2,3", "bbox=1e999,0,1,1", "bbox=500,0,600,1", "crs=EPSG:2154", "crs=x",
        "bbox-crs=file:///etc/passwd", "datetime=yesterday", "datetime=2026-02-30", "datetime=../..",
        "datetime=2026-01-02/2026-01-01", "datetime=2026-01-01T00:00:00", "sortby=material", "sortby=geom",
        "sortby=pg_sleep(9)", "sortby=code,code", "properties=shape", "properties=material", "material=x",
        "diameter_mm=wide", "diameter_mm=nan", "simulated=perhaps", "updated_at=now", "cursor=x", "cursor=%00",
        "cursor=WyIiLCJ4Il0", "cursor=bnVsbA", "filter=", "filter=code", "filter-lang=sql&filter=1", "f=html",
        "code=%00", "number-matched=2", "geom=1", "shape=1", "cell=1", "dataset_id=1",
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_in_words(client: TestClient, signed: Sign, query: str) -> None:
    answer = client.get(f"{PATH}/items?{query}", headers=signed("wall"))
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json().keys() >= {"type", "title", "status", "detail"}
    assert len(answer.json()["detail"]) > 10


def test_a_large_limit_means_the_largest(client: TestClient, signed: Sign) -> None:
    for limit in ("10001", "9" * 400):
        assert get(client, f"{PATH}/items", signed("wall"), limit=limit)["numberReturned"] == PIPES


def test_schema_and_queryables_tell_units_and_codes(client: TestClient, signed: Sign) -> None:
    schema = get(client, f"{PATH}/schema", signed("operator"))["properties"]
    assert schema["diameter_mm"] | {"type": "number", "x-ogc-unit": "mm", "maximum": 6000} == schema["diameter_mm"]
    assert schema["diameter_mm"]["x-title"] == {"zh": "管径", "en": "Diameter"}
    assert "gas" in schema["pipe_class"]["enum"]
    assert schema["geom"]["x-ogc-role"] == "primary-geometry"
    queryables = get(client, f"{PATH}/queryables", signed("operator"))["properties"]
    features = get(client, f"{PATH}/items", signed("operator"), limit=1)["features"]
    assert queryables.keys() - {"id", "geom"} == features[0]["properties"].keys() - {"source"}
    for name in queryables.keys() - {"geom"}:
        assert client.get(f"{PATH}/items?filter={name} IS NULL", headers=signed("operator")).status_code == 200, name


@pytest.mark.parametrize(("layer", "column"), [("pipe_segments", "material"), ("grid_cells", "steward")])
def test_a_hidden_column_is_nowhere(client: TestClient, signed: Sign, layer: str, column: str) -> None:
    path = f"/ogc/collections/{layer}"
    blind = signed("wall") if layer == "pipe_segments" else {}
    seeing = signed("operator")
    for part in ("/items?limit=10000", "/items/1", "/queryables", "/schema"):
        assert column in client.get(path + part, headers=seeing).text
        found = client.get(path + part, headers=blind)
        assert found.status_code == 200
        assert column not in found.text
        assert SECRET not in found.text
    for query in (
        f"filter={column} IS NULL", f"filter={column} LIKE '%25'", f"filter=casei({column})='x'", f"sortby={column}",
        f"properties={column}", f"{column}={SECRET}",
        f"filter-lang=cql2-json&filter={json.dumps({'op': 'isNull', 'args': [{'property': column}]})}",
    ):  # fmt: skip
        assert client.get(f"{path}/items?{query}", headers=seeing).status_code == 200, query
        assert client.get(f"{path}/items?{query}", headers=blind).status_code == 400, query


def test_an_owner_sees_its_own_rows_only(client: TestClient, signed: Sign) -> None:
    headers = signed("utility", "B")
    answer = get(client, f"{PATH}/items", headers, limit=10_000, number_matched="true")
    assert {f["properties"]["owner"] for f in answer["features"]} == {"B"}
    assert answer["numberMatched"] == (np.arange(PIPES) % 3 == 1).sum()
    others = get(client, f"{PATH}/items", signed("wall"), owner="A", limit=1)["features"][0]["id"]
    assert client.get(f"{PATH}/items/{others}", headers=headers).status_code == 404
    for escape in ("owner = 'A'", "owner = 'A' OR true", "NOT (owner = 'B')"):
        found = get(client, f"{PATH}/items", headers, filter=escape, limit=10_000)
        assert {f["properties"]["owner"] for f in found["features"]} <= {"B"}


@contextmanager
def listening(database: Database) -> Iterator[str]:
    """The application on a real socket, as other programs meet it."""
    app = create_app(Settings(home=Path("unused")), database, FACTS)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", ws="none"))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    thread = Thread(target=server.run)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            thread.join(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def test_owslib_and_gdal_read_it(city: Database, tmp_path: Path) -> None:
    with listening(city) as address:
        service = Features(f"{address}/ogc")
        assert "parking" in service.feature_collections()
        assert service.collection_queryables("parking")["properties"]["bays"]["type"] == "integer"
        found = service.collection_items("parking", limit=5, bbox=[116, 39, 117, 40])
        assert found["numberReturned"] == 5
        # GDAL keeps Python's lock while it waits for us, so it reads in a process of its own.
        read = "import pyogrio, sys; pyogrio.read_dataframe(sys.argv[1], layer='parking').to_file(sys.argv[2])"
        file = tmp_path / "read.gpkg"
        subprocess.run([sys.executable, "-c", read, f"OAPIF:{address}/ogc", str(file)], check=True, timeout=120)
        frame = pyogrio.read_dataframe(file)
        given = frames()["parking"].set_index("code")
        assert len(frame) == len(given) > 100, "GDAL follows the next links"
        for code, shape in zip(frame["code"], frame.geometry, strict=True):
            assert shapely.equals_exact(shape, given.geometry[code], 1e-7)
