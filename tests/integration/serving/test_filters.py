"""CQL2 over HTTP: what it finds, against a reckoning in Python, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
import sqlalchemy as sa
from fastapi.testclient import TestClient

from gis_core.access import READER, Role, Viewer
from gis_core.crs.uris import CRS84, find
from gis_core.database import Database
from gis_core.features import conditions
from gis_core.filters import parse
from gis_core.queries import Query
from gis_core.spec import Layer
from tests.integration.serving.conftest import PIPES, Headers, frames

Sign = Callable[..., Headers]
ITEMS = "/ogc/collections/pipe_segments/items"
AREA = "POLYGON((116.32 39.62,116.38 39.62,116.38 39.68,116.32 39.68,116.32 39.62))"
SHAPE = shapely.from_wkt(AREA)


def ask(client: TestClient, headers: Headers, text: str, language: str = "cql2-text") -> Any:
    query = {"filter": text, "filter-lang": language, "limit": "10000", "properties": "code"}
    return client.get(ITEMS, headers=headers, params=query)


FINDS: list[tuple[str, Callable[[gpd.GeoDataFrame], Any]]] = [
    ("diameter_mm >= 600 AND pipe_class = 'gas'", lambda f: (f.diameter_mm >= 600) & (f.pipe_class == "gas")),
    ("NOT (owner = 'A') OR diameter_mm < 200", lambda f: (f.owner != "A") | (f.diameter_mm < 200)),
    ("diameter_mm BETWEEN 100 AND 300", lambda f: f.diameter_mm.between(100, 300)),
    ("diameter_mm NOT BETWEEN 100 AND 300", lambda f: ~f.diameter_mm.between(100, 300)),
    ("pipe_class IN ('water','sewage')", lambda f: f.pipe_class.isin(["water", "sewage"])),
    ("built_year IN (1990, 1991)", lambda f: f.built_year.isin([1990, 1991])),
    ("built_year IS NULL", lambda f: f.built_year.isna()),
    ("built_year IS NOT NULL AND built_year <> 1990", lambda f: f.built_year.notna() & (f.built_year != 1990)),
    ("code LIKE 'P000%'", lambda f: f.code.str.startswith("P000")),
    ("code LIKE 'P_0012'", lambda f: f.code == "P00012"),
    ("code LIKE 'p000%'", lambda f: f.code == ""),
    ("CASEI(code) LIKE CASEI('p000%')", lambda f: f.code.str.startswith("P000")),
    ("ACCENTI(road_name) = 'Cafe 路 3'", lambda f: f.road_name == "Café 路 3"),
    ("road_name = 'Café 路 3'", lambda f: f.road_name == "Café 路 3"),
    ("diameter_mm * 2 + 100 > 700 / 2 - -50", lambda f: f.diameter_mm * 2 + 100 > 400),
    ("diameter_mm ^ 2 = 90000", lambda f: f.diameter_mm == 300),
    ("diameter_mm % 200 = 100", lambda f: f.diameter_mm % 200 == 100),
    ("diameter_mm DIV 250 = 2", lambda f: f.diameter_mm // 250 == 2),
    ("1 / (diameter_mm - 300) > 0", lambda f: f.diameter_mm > 300),
    ("start_depth_m > end_depth_m", lambda f: f.start_depth_m > f.end_depth_m),
    ("simulated", lambda f: f.code != ""),
    ("simulated = FALSE", lambda f: f.code == ""),
    (f"S_INTERSECTS(geom, {AREA})", lambda f: f.intersects(SHAPE)),
    (f"S_INTERSECTS({AREA}, geometry)", lambda f: f.intersects(SHAPE)),
    (f"S_DISJOINT(geom, {AREA})", lambda f: f.disjoint(SHAPE)),
    (f"S_WITHIN(geom, {AREA})", lambda f: f.within(SHAPE)),
    (f"S_CONTAINS({AREA}, geom)", lambda f: f.within(SHAPE)),
    (f"S_CROSSES(geom, {AREA})", lambda f: f.crosses(SHAPE)),
    (f"S_TOUCHES(geom, {AREA})", lambda f: f.touches(SHAPE)),
    ("S_INTERSECTS(geom, BBOX(116.32,39.62,116.38,39.68))", lambda f: f.intersects(SHAPE)),
    ("T_AFTER(updated_at, DATE('2020-01-01'))", lambda f: f.code != ""),
    ("T_BEFORE(updated_at, TIMESTAMP('2020-01-01T00:00:00Z'))", lambda f: f.code == ""),
    ("T_DURING(updated_at, INTERVAL('2020-01-01','..'))", lambda f: f.code != ""),
    ("T_INTERSECTS(updated_at, INTERVAL('..','2020-01-01'))", lambda f: f.code == ""),
    ("T_DISJOINT(updated_at, INTERVAL('2020-01-01','2020-12-31'))", lambda f: f.code != ""),
    ("updated_at > TIMESTAMP('2020-01-01T08:00:00+08:00')", lambda f: f.code != ""),
    ("code = 'it''s' OR code = ''", lambda f: f.code == ""),
]


@pytest.mark.parametrize(("text", "wanted"), FINDS, ids=[text[:50] for text, _ in FINDS])
def test_a_filter_finds_what_python_finds(
    client: TestClient, signed: Sign, text: str, wanted: Callable[[gpd.GeoDataFrame], Any]
) -> None:
    frame = frames()["pipe_segments"]
    answer = ask(client, signed("operator"), text)
    assert answer.status_code == 200, answer.text
    assert {f["properties"]["code"] for f in answer.json()["features"]} == set(frame["code"][wanted(frame)])
    tree = json.dumps(parse(text))
    assert ask(client, signed("operator"), tree, "cql2-json").json()["features"] == answer.json()["features"]


MALICIOUS = [
    "pg_read_file('/etc/passwd') = 'x'",
    "pg_ls_dir('.') = 'x'",
    "lo_import('/etc/passwd') = 1",
    "set_config('chengtu.scope', '*', false) = '*'",
    "current_setting('chengtu.scope') LIKE '%'",
    "dblink('host=evil', 'select 1') = 'x'",
    "pg_sleep(10) IS NULL",
    "query_to_xml('select * from token', true, true, '') = 'x'",
    "CASEI(pg_read_file('/etc/passwd')) = 'x'",
    "code IN (current_user())",
    "version() = version()",
    "owner = 'B'; DROP TABLE pipe_segments",
    "owner = 'B' -- ",
    "owner = 'B' UNION SELECT digest FROM token",
    "owner = 'B' /* */ OR 1=1",
    "(SELECT 1) = 1",
    '"owner"" = \'A\' OR ""1" = 1',
    "\"pg_catalog.version\" = 'x'",
    "token.digest IS NULL",
    "shape IS NULL",
    "cell > 0",
    "dataset_id > 0",
    "ctid = 'x'",
    "xmin = 1",
    "S_INTERSECTS(geom, ST_MakeValid(geom))",
    "S_DWITHIN(geom, POINT(1 1), 5)",
    "S_INTERSECTS(geom, geom)",
    "S_INTERSECTS(POINT(1 1), POINT(1 1))",
    "S_INTERSECTS(code, POINT(1 1))",
    "S_INTERSECTS(geom, POINT(500 95))",
    "S_INTERSECTS(geom, POLYGON((0 0,1 1,0 1,1 0,0 0)))",
    "S_INTERSECTS(geom, GEOMETRYCOLLECTION(POINT(1 1)))",
    "S_INTERSECTS(geom, 'POINT(1 1)')",
    "T_AFTER(code, DATE('2020-01-01'))",
    "T_AFTER(updated_at, DATE('yesterday'))",
    "T_NOSUCH(updated_at, DATE('2020-01-01'))",
    "A_CONTAINS(code, ('a'))",
    "updated_at = TIMESTAMP('99999-01-01T00:00:00Z')",
    "code = 1",
    "diameter_mm = 'wide'",
    "diameter_mm LIKE '1%'",
    "simulated > TRUE",
    "code = NULL",
    "code IN ()",
    "diameter_mm = 1e999",
    "diameter_mm ^ 99999 = 1",
    "code LIKE 'P\\",
    "code = '\0'",
    "diameter_mm + code = 1",
    "geom = POINT(1 1)",
    "1",
    "'x'",
    "((((",
    "(" * 5000 + "code = 'x'" + ")" * 5000,
    "NOT " * 5000 + "simulated",
    "-" * 5000 + "diameter_mm = 1",
    "diameter_mm = 1" + " + 1" * 5000,
    "simulated" + " OR simulated" * 2500,
    "CASEI(" * 200 + "code" + ")" * 200 + " = 'x'",
    "code = '" + "x" * 3000 + "'",
    "x" * 40_000,
]


@pytest.mark.parametrize("text", MALICIOUS, ids=[text[:40] for text in MALICIOUS])
def test_what_a_filter_may_not_ask_is_refused(client: TestClient, signed: Sign, text: str) -> None:
    answer = ask(client, signed("utility", "B"), text)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert "psycopg" not in answer.text
    assert "pipe_segments." not in answer.text


TREES: list[Any] = [
    {"op": "pg_read_file", "args": ["/etc/passwd"]},
    {"op": "=", "args": [{"op": "set_config", "args": ["role", "chengtu", False]}, "x"]},
    {"op": "=", "args": [{"function": {"name": "version", "args": []}}, "x"]},
    {"op": "=", "args": [{"property": ["owner"]}, "B"]},
    {"op": "=", "args": [{"property": "owner"}]},
    {"op": "=", "args": "x"},
    {"op": ["="], "args": [1, 1]},
    {"op": "s_intersects", "args": [{"property": "geom"}, {"type": "Point", "coordinates": ["a", 1]}]},
    {"op": "s_intersects", "args": [{"property": "geom"}, {"type": "Point", "coordinates": [1e400, 1]}]},
    {"op": "s_intersects", "args": [{"property": "geom"}, {"bbox": [1, 2, 3]}]},
    {"op": "t_during", "args": [{"property": "updated_at"}, {"interval": ["2020-01-01"]}]},
    {"op": "and", "args": []},
    {"op": "in", "args": [{"property": "code"}, ["a", 1]]},
    [], 1, None, {}, "x",
]  # fmt: skip


@pytest.mark.parametrize("tree", TREES, ids=[json.dumps(tree)[:60] for tree in TREES])
def test_no_strange_tree_passes(client: TestClient, signed: Sign, tree: Any) -> None:
    assert ask(client, signed("utility", "B"), json.dumps(tree), "cql2-json").status_code == 400


def test_deep_json_is_refused(client: TestClient, signed: Sign) -> None:
    deep = '{"op":"not","args":[' * 300 + "true" + "]}" * 300
    assert ask(client, signed("wall"), deep, "cql2-json").status_code == 400
    wide = json.dumps({"op": "or", "args": [True] * 4200})
    assert ask(client, signed("wall"), wide, "cql2-json").status_code == 400


def test_the_service_still_stands(client: TestClient, signed: Sign) -> None:
    assert len(ask(client, signed("wall"), "TRUE").json()["features"]) == PIPES


def test_without_the_gate_the_second_lock_holds(city: Database) -> None:
    """A query that forgot the owner altogether, in the reader's role: row-level security keeps the others' rows."""
    every = sa.text("SELECT owner, count(*) FROM pipe_segments GROUP BY 1")
    with city.reading(Viewer(Role.utility, owner="B")) as connection:
        assert connection.scalar(sa.text("SELECT current_user")) == READER
        ((owner, mine),) = connection.execute(every).all()
        assert (owner, mine) == ("B", (np.arange(PIPES) % 3 == 1).sum())
    with city.reading(Viewer(Role.wall)) as connection:
        assert sum(count for _, count in connection.execute(every)) == PIPES
    for escape in (
        "UPDATE pipe_segments SET owner = 'B'",
        "SELECT digest FROM token",
        "COPY pipe_segments TO '/tmp/x'",
    ):
        with city.reading(Viewer(Role.wall)) as connection, pytest.raises(sa.exc.DBAPIError):
            connection.execute(sa.text(escape))


def test_row_security_keeps_the_spatial_index(city: Database, all_layers: dict[str, Layer]) -> None:
    viewer = Viewer(Role.utility, owner="B")
    lonlat = find(CRS84, None)
    tree = parse("S_INTERSECTS(geom, BBOX(116.32,39.62,116.321,39.621))")
    rows, wanted = conditions(all_layers["pipe_segments"], viewer, Query(lonlat, filter=tree, filter_crs=lonlat))
    query = sa.select(rows.c.id).where(*wanted)
    with city.reading(viewer) as connection:
        connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
        compiled = query.compile(connection)
        plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN {compiled}", compiled.params).scalars())
    assert "InitPlan" in plan, "the policy is in force"
    assert "ix_pipe_segments_geom" in plan
