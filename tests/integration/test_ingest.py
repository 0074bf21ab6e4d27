"""Rows in: what is stored of a frame, what is refused and why, who may replace what; a refusal leaves nothing."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread
from typing import Any

import geopandas as gpd
import numpy as np
import psycopg
import pytest
import shapely
import sqlalchemy as sa

from gis_core.access import Role, Viewer
from gis_core.cluster import Cluster
from gis_core.database import Database
from gis_core.errors import Forbidden, Unavailable, Unprocessable
from gis_core.ingest import Mode, Source, ingest_frame
from gis_core.ingest.copying import WORTH_REBUILDING
from gis_core.spec import Layer
from scripts import schema

SOURCE = Source("survey", licence="CC0", simulated=True)


def pipes(count: int, **columns: Any) -> gpd.GeoDataFrame:
    """Straight pipes near Daxing, good in every respect."""
    random = np.random.default_rng(count)
    x, y = 116.3 + random.random(count) * 0.1, 39.6 + random.random(count) * 0.1
    values = {
        "code": [f"P{i}" for i in range(count)],
        "pipe_class": "water",
        "diameter_mm": 300.0,
        "start_depth_m": 1.5,
        "end_depth_m": 2.0,
        "owner": "A",
    }
    ends = np.stack([np.column_stack([x, y]), np.column_stack([x + 0.001, y])], axis=1)
    return gpd.GeoDataFrame(values | columns, index=range(count), geometry=shapely.linestrings(ends), crs="EPSG:4326")


def rows(database: Database, question: str) -> list[Any]:
    with database.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(question))]


@pytest.mark.parametrize("count", [3, WORTH_REBUILDING + 10], ids=["staged", "filled"])
def test_rows_come_out_as_they_went_in(database: Database, all_layers: dict[str, Layer], count: int) -> None:
    frame = pipes(count)
    layer = all_layers["pipe_segments"]
    indexes = rows(database, "SELECT indexdef FROM pg_indexes WHERE tablename LIKE 'pipe_seg%' ORDER BY 1")
    keys = rows(database, "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint ORDER BY 1, 2")
    report = ingest_frame(database, layer, frame, source=SOURCE)
    assert (report.rows, report.accepted, report.stored, report.problems) == (count, count, count, ())
    columns = "code, pipe_class, diameter_mm, owner, simulated, dataset_id"
    spatial = "ST_AsBinary(geom), ST_SRID(geom), ST_SRID(shape), updated_at IS NOT NULL"
    found = rows(database, f"SELECT {columns}, {spatial} FROM pipe_segments")
    assert len(found) == count
    wkb = dict(zip(frame["code"], shapely.to_wkb(frame.geometry.to_numpy()), strict=True))
    for code, *values, geom, srid, shape_srid, dated in found:
        assert values == ["water", 300.0, "A", True, report.dataset_id]
        assert (bytes(geom), srid, shape_srid, dated) == (wkb[code], 4326, 3857, True)
    (shares,) = rows(database, "SELECT count(DISTINCT feature_id), sum(share::float8) FROM pipe_segments_cells")
    assert shares[0] == count
    assert shares[1] == pytest.approx(count, rel=1e-6)
    assert rows(database, "SELECT indexdef FROM pg_indexes WHERE tablename LIKE 'pipe_seg%' ORDER BY 1") == indexes
    assert rows(database, "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint ORDER BY 1, 2") == keys
    (dataset,) = rows(database, "SELECT layer, title, licence, simulated, stored, datum FROM dataset")
    assert dataset == ("pipe_segments", "survey", "CC0", True, count, "WGS 84")


def test_a_row_with_a_known_key_replaces_that_row_and_keeps_what_the_file_lacks(
    database: Database, all_layers: dict[str, Layer]
) -> None:
    layer = all_layers["pipe_segments"]
    ingest_frame(database, layer, pipes(WORTH_REBUILDING, material="PE"), source=SOURCE)
    before = rows(database, "SELECT id FROM pipe_segments WHERE code = 'P1'")
    moved = pipes(2, diameter_mm=600.0)
    report = ingest_frame(database, layer, moved, source=SOURCE)
    assert report.stored == 2
    after = rows(database, "SELECT id, diameter_mm, material, ST_AsBinary(geom) FROM pipe_segments WHERE code = 'P1'")
    assert after[0][:3] == (before[0][0], 600.0, "PE")
    assert bytes(after[0][3]) == shapely.to_wkb(moved.geometry[1])
    assert rows(database, "SELECT count(*) FROM pipe_segments") == [(WORTH_REBUILDING,)]
    lost = "SELECT id FROM pipe_segments EXCEPT SELECT feature_id FROM pipe_segments_cells"
    assert rows(database, lost) == []
    sums = "SELECT abs(sum(share::float8) - 1) < 1e-6 FROM pipe_segments_cells GROUP BY feature_id"
    assert set(rows(database, sums)) == {(True,)}


def test_bad_rows_keep_all_out_or_themselves(database: Database, all_layers: dict[str, Layer]) -> None:
    layer = all_layers["pipe_segments"]
    frame = pipes(6)
    frame.loc[0, "pipe_class"] = "moon cheese"
    frame["diameter_mm"] = frame["diameter_mm"].astype(object)
    frame.loc[1, "diameter_mm"] = "wide"
    frame.loc[2, "code"] = "P5"
    frame.loc[3, "start_depth_m"] = 99.0
    refused = ingest_frame(database, layer, frame, source=SOURCE, mode=Mode.all_or_nothing)
    assert (refused.stored, refused.accepted, refused.dataset_id) == (0, 2, None)
    assert [(p.row, p.field) for p in refused.problems] == [
        (1, "pipe_class"), (2, "diameter_mm"), (4, "start_depth_m"), (6, "code"),
    ]  # fmt: skip
    assert "water (给水)" in refused.problems[0].why
    assert rows(database, "SELECT count(*) FROM pipe_segments") == [(0,)]
    assert rows(database, "SELECT count(*) FROM dataset") == [(0,)]
    taken = ingest_frame(database, layer, frame, source=SOURCE, mode=Mode.good_rows)
    assert (taken.stored, taken.refused) == (2, 4)
    assert rows(database, "SELECT code FROM pipe_segments ORDER BY 1") == [("P4",), ("P5",)]


def test_a_dry_run_stores_nothing(database: Database, all_layers: dict[str, Layer]) -> None:
    report = ingest_frame(database, all_layers["pipe_segments"], pipes(5), source=SOURCE, dry_run=True)
    assert (report.accepted, report.stored) == (5, 0)
    assert rows(database, "SELECT count(*) FROM pipe_segments") == [(0,)]


def test_an_owner_writes_its_own_rows_only(database: Database, all_layers: dict[str, Layer]) -> None:
    layer = all_layers["pipe_segments"]
    viewer = Viewer(Role.utility, owner="B", name="B's surveyor")
    ingest_frame(database, layer, pipes(3), source=SOURCE)
    others = ingest_frame(database, layer, pipes(3, owner="A"), source=SOURCE, viewer=viewer)
    assert (others.stored, {p.field for p in others.problems}) == (0, {"owner"})
    without = pipes(5).drop(columns="owner")
    stolen = ingest_frame(database, layer, without, source=SOURCE, viewer=viewer)
    assert (stolen.stored, [(p.row, p.field) for p in stolen.problems]) == (0, [(1, "code"), (2, "code"), (3, "code")])
    tried = ingest_frame(database, layer, without, source=SOURCE, viewer=viewer, mode=Mode.good_rows, dry_run=True)
    assert (tried.stored, tried.accepted) == (0, 2)
    assert rows(database, "SELECT count(*) FROM pipe_segments") == [(3,)]
    good = ingest_frame(database, layer, without, source=SOURCE, viewer=viewer, mode=Mode.good_rows)
    assert (good.stored, good.accepted) == (2, 2)
    assert rows(database, "SELECT owner, count(*) FROM pipe_segments GROUP BY 1 ORDER BY 1") == [("A", 3), ("B", 2)]
    (audited,) = rows(database, "SELECT who, role, action, target, allowed FROM audit")
    assert audited == ("B's surveyor", "utility", "ingest", "pipe_segments", True)


def test_a_token_without_an_owner_or_the_right_changes_no_owned_rows(
    database: Database, all_layers: dict[str, Layer]
) -> None:
    for viewer in (Viewer(Role.utility), Viewer(Role.planner), Viewer()):
        with pytest.raises(Forbidden):
            ingest_frame(database, all_layers["pipe_segments"], pipes(1), source=SOURCE, viewer=viewer)


def test_whoever_is_bound_to_an_area_changes_nothing_outside_it(
    database: Database, all_layers: dict[str, Layer]
) -> None:
    layer = all_layers["cameras"]
    here = shapely.points([[116.31, 39.61], [116.9, 39.9]])
    frame = gpd.GeoDataFrame({"code": ["a", "b"], "name": ["A", "B"]}, geometry=here, crs="EPSG:4326")
    ingest_frame(database, layer, frame.assign(geometry=here[::-1]).loc[[0]], source=SOURCE)
    area = shapely.to_wkb(shapely.box(116.3, 39.6, 116.4, 39.7))
    viewer = Viewer(Role.operator, area_wkb=area)
    report = ingest_frame(database, layer, frame, source=SOURCE, viewer=viewer, mode=Mode.good_rows)
    assert (report.stored, [(p.row, p.field) for p in report.problems]) == (0, [(1, "code"), (2, "geometry")])


def test_a_missing_required_column_is_said_with_the_names_it_may_have(
    database: Database, all_layers: dict[str, Layer]
) -> None:
    with pytest.raises(Unprocessable) as refusal:
        ingest_frame(database, all_layers["pipe_segments"], pipes(2).drop(columns="diameter_mm"), source=SOURCE)
    (problem,) = refusal.value.problems
    assert (problem.row, problem.field) == (None, "diameter_mm")
    assert "管径" in problem.why


def test_two_loads_of_the_same_rows_at_once_end_well(database: Database, all_layers: dict[str, Layer]) -> None:
    frame = pipes(WORTH_REBUILDING)
    with ThreadPoolExecutor(2) as pool:
        loads = [pool.submit(ingest_frame, database, all_layers["pipe_segments"], frame, source=SOURCE) for _ in "ab"]
        assert [load.result().stored for load in loads] == [WORTH_REBUILDING] * 2
    (shares,) = rows(database, "SELECT count(DISTINCT feature_id), sum(share::float8) FROM pipe_segments_cells")
    assert shares[0] == WORTH_REBUILDING
    assert shares[1] == pytest.approx(WORTH_REBUILDING, rel=1e-6)


def test_a_server_killed_in_the_middle_leaves_what_stood_before(
    all_layers: dict[str, Layer],
) -> None:
    home = Path(tempfile.mkdtemp(prefix="chengtu-test-"))
    home.chmod(0o755)
    cluster = Cluster(home / "postgres")
    cluster.start()
    cluster.create_database("city")
    city = Database(cluster.url("city"), pool_size=2)
    try:
        schema.upgrade(city)
        cameras = gpd.GeoDataFrame(
            {"code": ["a"], "name": ["A"]}, geometry=shapely.points([[116, 39]]), crs="EPSG:4326"
        )
        assert ingest_frame(city, all_layers["cameras"], cameras, source=SOURCE).stored == 1
        killer = Thread(target=_kill_when_copying, args=(cluster,))
        killer.start()
        with pytest.raises(Unavailable):
            ingest_frame(city, all_layers["pipe_segments"], pipes(300_000), source=SOURCE)
        killer.join()
        city.close()
        assert cluster.ensure()
        assert rows(city, "SELECT count(*) FROM pipe_segments") == [(0,)]
        assert rows(city, "SELECT count(*) FROM pipe_segments_cells") == [(0,)]
        assert rows(city, "SELECT code FROM cameras") == [("a",)]
        assert rows(city, "SELECT layer, stored FROM dataset") == [("cameras", 1)]
        again = ingest_frame(city, all_layers["pipe_segments"], pipes(WORTH_REBUILDING), source=SOURCE)
        assert again.stored == WORTH_REBUILDING
    finally:
        city.close()
        cluster.stop()
        shutil.rmtree(home, ignore_errors=True)


def _kill_when_copying(cluster: Cluster) -> None:
    """Kill the server the hard way as soon as rows come in."""
    question = "SELECT count(*) FROM pg_stat_progress_copy WHERE tuples_processed > 10000"
    deadline = time.monotonic() + 120
    with psycopg.connect(cluster.url("city"), autocommit=True) as connection:
        while connection.execute(question).fetchone() == (0,) and time.monotonic() < deadline:
            pass
    os.kill(int((cluster.place / "data" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)


def test_areas_and_points_are_stored_too(database: Database, all_layers: dict[str, Layer]) -> None:
    square = shapely.box(116.3, 39.6, 116.301, 39.601)
    frame = gpd.GeoDataFrame(
        {"code": ["110115001001001", "12"], "面积": ["１２，０００.5", "5"]}, geometry=[square, square], crs="EPSG:4326"
    )
    report = ingest_frame(database, all_layers["grid_cells"], frame, source=SOURCE, mode=Mode.good_rows)
    assert [(p.row, p.field) for p in report.problems] == [(2, "code")]
    (found,) = rows(database, "SELECT code, area_m2, GeometryType(geom) FROM grid_cells")
    assert found == ("110115001001001", 12000.5, "MULTIPOLYGON")
    (shares,) = rows(database, "SELECT sum(share::float8) FROM grid_cells_cells")
    assert shares[0] == pytest.approx(1, rel=1e-6)
