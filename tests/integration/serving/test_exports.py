"""Exports: three kinds of file that hold what the viewer may see, and nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely
import sqlalchemy as sa
from fastapi.testclient import TestClient

from gis_core import export
from gis_core.access import Viewer
from gis_core.crs.uris import CRS84, find
from gis_core.database import Database
from gis_core.export import Format
from gis_core.queries import Query
from gis_core.spec import Layer
from tests.integration.serving.conftest import PIPES, SECRET, Headers, frames

Sign = Callable[..., Headers]


def take(client: TestClient, layer: str, kind: str, headers: Headers | None = None, **query: Any) -> Any:
    answer = client.get(f"/api/export/{layer}", headers=headers, params={"format": kind, **query})
    assert answer.status_code == 200, answer.text
    return answer


def opened(answer: Any, kind: str, folder: Path) -> gpd.GeoDataFrame:
    file = folder / f"taken.{kind}"
    file.write_bytes(answer.content)
    if kind == "gpkg":
        return pyogrio.read_dataframe(file)
    return gpd.read_parquet(file)


@pytest.mark.parametrize("kind", ["gpkg", "geoparquet"])
@pytest.mark.parametrize("layer", ["pipe_segments", "parking", "buildings"])
def test_a_file_holds_what_went_in(client: TestClient, signed: Sign, tmp_path: Path, layer: str, kind: str) -> None:
    answer = take(client, layer, kind, signed("operator"))
    found = opened(answer, kind, tmp_path).set_index("code")
    given = frames()[layer].set_index("code")
    assert found.crs.to_epsg() == 4326 or found.crs.to_string() == "OGC:CRS84"
    assert set(found.index) == set(given.index)
    for code, row in given.iterrows():
        geometry = found.geometry[code]
        assert geometry.equals(row.geometry), "an area comes back as one of several parts"
    for name in given.columns.difference(["geometry"]):
        ours, theirs = found[name].reindex(given.index), given[name]
        assert ((ours == theirs) | (ours.isna() & theirs.isna())).all(), name
    assert (found["simulated"] == (layer != "parking")).all()
    assert set(found["source"]) == {f"{layer} of the test"}
    name = answer.headers["content-disposition"]
    assert ("_simulated." in name) == (layer != "parking"), "the name says that all of it is made up"


def test_metadata_say_what_is_simulated(client: TestClient, signed: Sign, tmp_path: Path) -> None:
    file = tmp_path / "pipes.parquet"
    file.write_bytes(take(client, "pipe_segments", "geoparquet", signed("operator")).content)
    told = json.loads(pq.read_schema(file).metadata[b"chengtu"])
    assert (told["rows"], told["simulated_rows"]) == (PIPES, PIPES)
    assert "模拟" in told["note"]
    package = tmp_path / "pipes.gpkg"
    package.write_bytes(take(client, "pipe_segments", "gpkg", signed("operator")).content)
    with sqlite3.connect(package) as connection:
        ((told_here,),) = connection.execute("SELECT description FROM gpkg_contents").fetchall()
    connection.close()
    assert json.loads(told_here)["simulated_rows"] == PIPES


def test_a_spreadsheet_reads_the_table_and_runs_nothing(client: TestClient) -> None:
    answer = take(client, "parking", "csv")
    assert answer.content.startswith(b"\xef\xbb\xbf"), "spreadsheet programs know UTF-8 by its mark"
    rows = {r["code"]: r for r in csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")))}
    frame = frames()["parking"].set_index("code")
    assert rows.keys() == set(frame.index)
    for code, row in rows.items():
        assert float(row["lon"]) == pytest.approx(frame.geometry[code].x, abs=1e-7)
        assert float(row["lat"]) == pytest.approx(frame.geometry[code].y, abs=1e-7)
        assert int(row["bays"]) == frame["bays"][code]
        assert not row["name"].startswith(("=", "+", "-", "@"))
    assert rows["K0000"]["name"] == "'=1+1"
    assert rows["K0005"]["name"] == "停车场 5"
    assert rows["K0000"]["fee"] == "5 元/h, 20 元 max"
    assert rows["K0001"]["fee"] == ""


def test_lines_go_into_a_table_as_text(client: TestClient, signed: Sign) -> None:
    text = take(client, "pipe_segments", "csv", signed("operator")).content.decode("utf-8-sig")
    row = next(csv.DictReader(io.StringIO(text)))
    given = frames()["pipe_segments"].set_index("code").geometry[row["code"]]
    assert shapely.equals_exact(shapely.from_wkt(row["wkt"]), given, 1e-7)


def test_a_selection_is_exported(client: TestClient, signed: Sign, tmp_path: Path) -> None:
    frame = frames()["pipe_segments"]
    query = {"bbox": "116.33,39.63,116.36,39.66", "filter": "diameter_mm >= 600"}
    found = opened(take(client, "pipe_segments", "geoparquet", signed("operator"), **query), "geoparquet", tmp_path)
    box = shapely.box(116.33, 39.63, 116.36, 39.66)
    assert set(found["code"]) == set(frame["code"][frame.intersects(box) & (frame["diameter_mm"] >= 600)])


@pytest.mark.parametrize("kind", list(Format))
def test_an_empty_selection_is_a_file_with_its_columns(client: TestClient, tmp_path: Path, kind: Format) -> None:
    answer = take(client, "parking", kind, filter="bays > 100000")
    if kind is Format.csv:
        assert answer.content.decode("utf-8-sig").replace('"', "").startswith("id,code,name")
    else:
        found = opened(answer, kind, tmp_path)
        assert len(found) == 0
        assert "bays" in found


def test_who_may_not_take_does_not_take(client: TestClient, signed: Sign) -> None:
    assert client.get("/api/export/parking?format=csv").status_code == 200, "what is public is everyone's"
    for headers in ({}, signed("wall"), signed("emergency"), signed("auditor")):
        assert client.get("/api/export/pipe_segments", headers=headers).status_code == 403
    assert client.get("/api/export/cameras", headers=signed("wall")).status_code == 403
    assert client.get("/api/export/cameras", headers=signed("planner")).status_code == 200
    assert client.get("/api/export/nothing").status_code == 404
    for query in ("format=exe", "filter=pg_sleep(1)=1", "bbox=1", "limit=5", "filter=geom"):
        answer = client.get(f"/api/export/parking?{query}")
        assert answer.status_code in {400, 422}, query
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("kind", list(Format))
def test_hidden_columns_and_other_owners_stay_at_home(
    client: TestClient, signed: Sign, tmp_path: Path, kind: Format
) -> None:
    blind = take(client, "pipe_segments", kind, signed("planner"))
    assert SECRET.encode() not in blind.content
    assert b"material" not in blind.content
    mine = take(client, "pipe_segments", kind, signed("utility", "B"))
    if kind is not Format.csv:
        assert set(opened(mine, kind, tmp_path)["owner"]) == {"B"}
    assert mine.headers["x-rows"] == str((np.arange(PIPES) % 3 == 1).sum())
    assert SECRET.encode() not in take(client, "grid_cells", kind).content


def test_rows_come_in_blocks(
    city: Database, all_layers: dict[str, Layer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_BLOCK", 7)
    query = Query(find(CRS84, None))
    for kind in Format:
        with city.reading(Viewer()) as connection:
            made = export.export(connection, all_layers["parking"], Viewer(), query, kind, tmp_path)
        assert made.rows == len(frames()["parking"])
        if kind is Format.geoparquet:
            assert pq.ParquetFile(made.path).metadata.num_rows == made.rows
            assert pq.ParquetFile(made.path).metadata.num_row_groups > 10
        elif kind is Format.gpkg:
            assert len(pyogrio.read_dataframe(made.path)) == made.rows
        else:
            assert len(made.path.read_text(encoding="utf-8-sig").splitlines()) == made.rows + 1


def test_nothing_stays_behind(client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    take(client, "parking", "gpkg")
    client.get("/api/export/parking?filter=bays ^ 99999 > 1")
    assert list(tmp_path.iterdir()) == []


def test_the_count_in_the_name_is_of_the_rows_in_the_file(city: Database) -> None:
    with city.reading(Viewer()) as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM parking WHERE simulated")) == 0
