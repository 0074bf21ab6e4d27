"""Files read and checked without a database: systems, mistakes in them, hostile geometries, tables of every kind."""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyogrio
import pytest
import shapely

from gis_core import crs
from gis_core.errors import BadInput, Problem, TooLarge, Unprocessable
from gis_core.ingest.batches import Batch, ahead
from gis_core.ingest.columns import match
from gis_core.ingest.foreign import open_foreign
from gis_core.ingest.intake import Intake
from gis_core.ingest.unpacking import Unreadable
from gis_core.spec import Layer

CITY = (116.2, 39.5, 116.6, 39.8)


def taken(layer: Layer, path: Path, datum: str | None = None, **options: Any) -> tuple[Intake, dict[str, Any]]:
    """A file taken in; the intake, and the geometries and cells of its good rows by key."""
    with open_foreign(path, **options) as foreign:
        declared = crs.declare(datum or foreign.crs)
        intake = Intake(layer, match(layer, foreign.columns), declared, bounds=CITY, zone="Asia/Shanghai")
        for note in foreign.notes:
            intake.tally.note(note)
        good = {}
        for run in intake.runs(ahead(foreign.read(foreign.columns))):
            for batch in run.batches():
                keys = batch.column(layer.key).to_pylist()
                good |= dict(zip(keys, shapely.from_wkb(batch.column("geom").to_pylist()), strict=True))
        bad = set(intake.finish().tolist())
        assert intake.rows == intake.good + len(refused(intake)) or max(c.rows for c in intake.tally.counts) > 1_000
        assert bad <= set(range(1, intake.rows + 1))
    return intake, good


def refused(intake: Intake) -> set[int | None]:
    return {p.row for p in intake.tally.problems if p.severity == "error"}


def said(intake: Intake) -> list[tuple[int | None, str]]:
    return [(p.row, p.field) for p in intake.tally.problems]


def cameras(path: Path, points: Any, encoding: str = "utf-8", header: str = "code,name,lon,lat") -> Path:
    """A table of camera points."""
    lines = [f"C{i},摄像头{i},{x},{y}" for i, (x, y) in enumerate(points)]
    path.write_text("\n".join([header, *lines]), encoding=encoding)
    return path


POINTS = np.array([(116.30, 39.60), (116.31, 39.61), (116.32, 39.62)])


def metric(code: str) -> Any:
    transformed = gpd.GeoSeries(gpd.points_from_xy(*POINTS.T), crs=4490).to_crs(code)
    return np.column_stack([transformed.x, transformed.y])


def near(good: dict[str, Any], metres: float = 1.0) -> None:
    """The points came to lie where they are."""
    there = np.array([(good[f"C{i}"].x, good[f"C{i}"].y) for i in range(len(POINTS))])
    assert np.abs(there - POINTS).max() < metres / 111_000


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "utf-16"])
@pytest.mark.parametrize("header", ["code,name,lon,lat", "点位编号,名称,经度,纬度", "code,name,X坐标,Y坐标"])
def test_tables_in_every_encoding(all_layers: dict[str, Layer], tmp_path: Path, encoding: str, header: str) -> None:
    intake, good = taken(all_layers["cameras"], cameras(tmp_path / "a.csv", POINTS, encoding, header), "CGCS2000")
    assert intake.tally.problems == ()
    near(good)


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_tables_with_other_delimiters_quotes_and_short_lines(
    all_layers: dict[str, Layer], tmp_path: Path, delimiter: str
) -> None:
    lines = ["code,name,lon,lat", 'a,"两\n行",116.3,39.6', "", "b,short", 'c,"x""y",116.3,39.6', "d,e,f,39.6", "e,f,,"]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(lines).replace(",", delimiter), encoding="utf-8")
    intake, good = taken(all_layers["cameras"], path, "WGS84")
    assert set(good) == {"a", "c"}
    assert said(intake) == [(2, "row"), (4, "lon"), (5, "geometry")]


def test_wkt_in_a_table_keeps_collections_and_other_systems_out(all_layers: dict[str, Layer], tmp_path: Path) -> None:
    deep = "GEOMETRYCOLLECTION(" * 100_000
    cells = ["POINT(116.3 39.6)", "SRID=4326;POINT Z (116.3 39.6 7)", "SRID=3857;POINT(1 2)", deep, "POINT(1", "", "x"]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["code,name,wkt", *(f'{i},n,"{cell}"' for i, cell in enumerate(cells))]))
    intake, good = taken(all_layers["cameras"], path, "WGS84")
    assert set(good) == {"0", "1"}
    assert not good["1"].has_z
    assert refused(intake) == {3, 4, 5, 6, 7}


@pytest.mark.parametrize(
    ("points", "datum", "kind"),
    [
        (POINTS[:, ::-1], "WGS84", "the axes are swapped"),
        (metric("EPSG:4527"), "EPSG:4548", "begin with a zone number"),
        (metric("EPSG:4527"), "CGCS2000", "begin with a zone number"),
        (metric("EPSG:4527")[:, ::-1], "EPSG:4527", "the axes are swapped"),
        (metric("EPSG:4548"), "EPSG:4527", "have no zone number"),
        (POINTS, "EPSG:4548", "these are degrees"),
    ],
)
def test_a_mistake_of_the_whole_file_with_one_reading_is_mended_and_said(
    all_layers: dict[str, Layer], tmp_path: Path, points: Any, datum: str, kind: str
) -> None:
    intake, good = taken(all_layers["cameras"], cameras(tmp_path / "a.csv", points), datum)
    assert intake.tally.problems == ()
    assert any(kind in note for note in intake.tally.notes)
    near(good)


def test_a_mistake_with_several_readings_is_refused_and_the_likely_one_named(
    all_layers: dict[str, Layer], tmp_path: Path
) -> None:
    intake, good = taken(all_layers["cameras"], cameras(tmp_path / "a.csv", metric("EPSG:4548")), "CGCS2000")
    assert not good
    assert all("EPSG:4548" in p.why for p in intake.tally.problems)


def test_rows_in_another_system_than_their_file_are_problems(all_layers: dict[str, Layer], tmp_path: Path) -> None:
    points = [*POINTS, metric("EPSG:4548")[0], (39.6, 116.3), (2.3, 48.9)]
    intake, good = taken(all_layers["cameras"], cameras(tmp_path / "a.csv", points), "WGS84")
    assert set(good) == {"C0", "C1", "C2", "C4"}
    assert [(p.row, p.severity) for p in intake.tally.problems] == [(4, "error"), (5, "warning"), (6, "error")]
    assert "another system than the rest" in intake.tally.problems[0].why


def test_rows_that_name_another_datum_are_problems(all_layers: dict[str, Layer], tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = [f"{i},n,116.3,39.6,{datum}" for i, datum in enumerate(("WGS84", "CGCS2000", "", "GCJ-02", "moon"))]
    path.write_text("\n".join(["code,name,lon,lat,坐标系", *rows]), encoding="utf-8")
    intake, good = taken(all_layers["cameras"], path, "WGS84")
    assert set(good) == {"0", "1", "2"}
    assert said(intake) == [(4, "坐标系"), (5, "坐标系")]


@pytest.mark.parametrize("datum", ["GCJ-02", "BD-09"])
def test_shifted_datums_are_brought_back(all_layers: dict[str, Layer], tmp_path: Path, datum: str) -> None:
    intake, good = taken(all_layers["cameras"], cameras(tmp_path / "a.csv", POINTS), datum)
    assert intake.source.tag == datum
    there = np.array([(good[f"C{i}"].x, good[f"C{i}"].y) for i in range(len(POINTS))])
    moved = np.hypot(*(there - POINTS).T) * 111_000
    assert (moved > 300).all()
    assert (moved < 2_000).all()


def pipes(**columns: Any) -> gpd.GeoDataFrame:
    ends = [[(x, y), (x + 0.001, y)] for x, y in POINTS]
    values = {"管段编号": ["一", "二", "三"], "管类": ["给水", "YS", "gas"], "GJ": [100, 200.0, 300]}
    depths = {"起点埋深": 1.5, "ZDMS": 2.5, "权属单位": "水务局"}
    return gpd.GeoDataFrame(values | depths | columns, geometry=shapely.linestrings(ends), crs="EPSG:4490")


def shapefile(tmp_path: Path, encoding: str, *without: str) -> Path:
    folder = tmp_path / "parts"
    folder.mkdir()
    frame = pipes().rename(columns={"管段编号": "GXBH", "起点埋深": "QDMS", "权属单位": "QSDW"})
    pyogrio.write_dataframe(frame, folder / "p.shp", driver="ESRI Shapefile", encoding=encoding)
    path = tmp_path / "p.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for part in folder.iterdir():
            if part.suffix not in without:
                archive.write(part, f"管线/{part.name}")
    return path


@pytest.mark.parametrize("encoding", ["GBK", "UTF-8"])
@pytest.mark.parametrize("without", [(), (".cpg",), (".cpg", ".shx")])
def test_shapefiles_in_both_encodings(
    all_layers: dict[str, Layer], tmp_path: Path, encoding: str, without: tuple[str, ...]
) -> None:
    intake, good = taken(all_layers["pipe_segments"], shapefile(tmp_path, encoding, *without))
    assert intake.tally.problems == ()
    assert set(good) == {"一", "二", "三"}
    assert intake.source.tag.startswith("CGCS2000")


def test_a_cpg_file_that_lies_is_not_believed(all_layers: dict[str, Layer], tmp_path: Path) -> None:
    path = shapefile(tmp_path, "GBK", ".cpg")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("管线/p.cpg", "UTF-8")
    intake, good = taken(all_layers["pipe_segments"], path)
    assert set(good) == {"一", "二", "三"}
    assert any(".cpg" in note for note in intake.tally.notes)


WRITERS: dict[str, Callable[[gpd.GeoDataFrame, Path], object]] = {
    "a.gpkg": pyogrio.write_dataframe,
    "a.geojson": lambda frame, path: pyogrio.write_dataframe(frame, path, driver="GeoJSON"),
    "a.ndjson": lambda frame, path: pyogrio.write_dataframe(frame.to_crs(4326), path, driver="GeoJSONSeq"),
    "a.parquet": lambda frame, path: frame.to_parquet(path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_formats_that_say_their_system(all_layers: dict[str, Layer], tmp_path: Path, name: str) -> None:
    WRITERS[name](pipes(), tmp_path / name)
    intake, good = taken(all_layers["pipe_segments"], tmp_path / name)
    assert intake.tally.problems == ()
    assert {key: shapely.to_wkt(line, 3) for key, line in good.items()}["一"] == "LINESTRING (116.3 39.6, 116.301 39.6)"


def test_one_of_several_layers_must_be_named(all_layers: dict[str, Layer], tmp_path: Path) -> None:
    for name in ("new", "old"):
        pyogrio.write_dataframe(pipes(), tmp_path / "a.gpkg", layer=name, append=name == "old")
    with pytest.raises(Unprocessable, match="new"):
        taken(all_layers["pipe_segments"], tmp_path / "a.gpkg")
    assert len(taken(all_layers["pipe_segments"], tmp_path / "a.gpkg", inner="old")[1]) == 3


def test_the_old_crs_member_counts_and_two_of_them_do_not(all_layers: dict[str, Layer], tmp_path: Path) -> None:
    collection = json.loads(pipes().to_crs(4548).to_json())
    collection["crs"] = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::4548"}}
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps(collection))
    assert taken(all_layers["pipe_segments"], path)[0].source.crs == "EPSG:4548"
    collection["features"][0]["crs"] = {"type": "name", "properties": {"name": "EPSG:4490"}}
    path.write_text(json.dumps(collection))
    with pytest.raises(Unprocessable, match="mixes"):
        taken(all_layers["pipe_segments"], path)


def test_geojson_in_gbk_is_read(all_layers: dict[str, Layer], tmp_path: Path) -> None:
    path = tmp_path / "a.geojson"
    path.write_bytes(pipes().to_json(ensure_ascii=False).encode("gbk"))
    assert set(taken(all_layers["pipe_segments"], path)[1]) == {"一", "二", "三"}


def broken(wkb: bytes) -> Any:
    with np.errstate(invalid="ignore"):
        return shapely.from_wkb(wkb)


def test_bad_geometries_of_every_kind_are_told_apart(all_layers: dict[str, Layer]) -> None:
    zigzag = np.column_stack([116.3 + np.arange(10_000) * 1e-9, 39.6 + (np.arange(10_000) % 2) * 0.01])
    geoms = [
        shapely.LineString([(116.3, 39.6), (116.31, 39.6)]),
        None,
        shapely.LineString(),
        broken(struct.pack("<BII4d", 1, 2, 2, 116.3, float("nan"), 116.31, 39.6)),
        shapely.Point(116.3, 39.6),
        shapely.LineString([(116.3, 39.6), (116.3, 39.6)]),
        shapely.LineString(zigzag),
        shapely.MultiLineString([[(116.3, 39.6), (116.31, 39.6)]]),
        shapely.MultiLineString([[(116.3, 39.6), (116.31, 39.6)], [(116.3, 39.7), (116.31, 39.7)]]),
        broken(struct.pack("<BII4d", 1, 2, 2, 116.3, 39.6, float("inf"), 39.6)),
    ]
    layer = all_layers["pipe_segments"]
    columns = {"code": pa.array([str(i) for i in range(len(geoms))]), "pipe_class": pa.array(["gas"] * len(geoms))}
    columns |= {"owner": columns["pipe_class"]}
    columns |= {n: pa.array([20.0] * len(geoms)) for n in ("diameter_mm", "start_depth_m", "end_depth_m")}
    for geometries in (np.array(geoms, object), pa.array(list(shapely.to_wkb(geoms)), pa.binary())):
        intake = Intake(layer, match(layer, list(columns)), crs.declare("WGS84"), bounds=CITY)
        runs = list(intake.runs(iter([Batch(columns, geometries)])))
        assert sorted(runs[0].table["code"].to_pylist()) == ["0", "7"]
        assert refused(intake) == {2, 3, 4, 5, 6, 7, 9, 10}
        assert {p.field for p in intake.tally.problems} == {"geometry"}
        assert "spike" in next(p.why for p in intake.tally.problems if p.row == 7)


def nested(depth: int, kind: int) -> bytes:
    """Multi-geometries within one another: a WKB parser follows them until its stack is gone."""
    return struct.pack("<BII", 1, kind, 1) * depth + struct.pack("<BIdd", 1, 1, 1.0, 2.0)


@pytest.mark.parametrize("kind", [4, 5, 6, 7, 1004, 0x80000004, 0x20000006])
def test_nested_geometries_do_not_reach_the_parser(all_layers: dict[str, Layer], kind: int) -> None:
    layer = all_layers["cameras"]
    good = shapely.to_wkb(shapely.Point(116.3, 39.6))
    hostile = [nested(200_000, kind), b"\1", b"", b"\2\1\0\0\0", good[:-1], b"\1\xff\xff\xff\xff", good]
    # The second member is the nested one.
    members = struct.pack("<BII", 1, 4, 2) + good + nested(200_000, 4)
    wkb = pa.array([*hostile, members], pa.binary())
    columns = {n: pa.array([f"{n}{i}" for i in range(len(wkb))]) for n in ("code", "name")}
    intake = Intake(layer, match(layer, list(columns)), crs.declare("WGS84"))
    (run,) = intake.runs(iter([Batch(columns, wkb)]))
    assert run.table["code"].to_pylist() == ["code6"]
    assert len(refused(intake)) == 7


def test_limits_hold_while_a_file_is_read(all_layers: dict[str, Layer], monkeypatch: pytest.MonkeyPatch) -> None:
    layer = all_layers["cameras"]
    columns = {n: pa.array([f"{n}{i}" for i in range(10)]) for n in ("code", "name")}
    batch = Batch(columns, np.full(10, shapely.Point(116.3, 39.6), object))

    def endless() -> Iterator[Batch]:
        while True:
            yield batch

    for limit in ("MOST_ROWS", "MOST_VERTICES"):
        with monkeypatch.context() as small:
            small.setattr(f"gis_core.ingest.intake.{limit}", 95)
            intake = Intake(layer, match(layer, list(columns)), crs.declare("WGS84"))
            with pytest.raises(TooLarge):
                list(intake.runs(endless()))
            assert intake.rows <= 200


def test_a_repeated_key_is_a_problem_of_the_later_row(all_layers: dict[str, Layer], tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("code,name,lon,lat\n" + "\n".join(f"{c},n,116.3,39.6" for c in ("a", "b", "a", "", "b", "a")))
    intake, _ = taken(all_layers["cameras"], path, "WGS84")
    assert said(intake) == [(3, "code"), (4, "code"), (5, "code"), (6, "code")]
    assert intake.good == 2


def test_a_layers_own_checks_see_good_rows_by_their_number_in_the_file(
    all_layers: dict[str, Layer], tmp_path: Path
) -> None:
    frame = pipes(起点点号=["1", "2", "3"], 终点点号=["1", "2", "4"], GJ=[5, 300, 300])
    pyogrio.write_dataframe(frame, tmp_path / "a.gpkg")
    intake, _ = taken(all_layers["pipe_segments"], tmp_path / "a.gpkg")
    assert said(intake) == [(1, "diameter_mm"), (2, "end_point")]
    assert intake.good == 1


def test_problems_are_counted_beyond_those_that_are_named(all_layers: dict[str, Layer], tmp_path: Path) -> None:
    path = cameras(tmp_path / "a.csv", [(200, 100)] * 2_500)
    intake, _ = taken(all_layers["cameras"], path, "WGS84")
    assert [(c.field, c.rows) for c in intake.tally.counts] == [("geometry", 2_500)]
    assert len(intake.tally.problems) == 1_000
    assert all(isinstance(p, Problem) for p in intake.tally.problems)


def test_truncated_files_are_unreadable_or_tell_their_rows(all_layers: dict[str, Layer], tmp_path: Path) -> None:
    layer = all_layers["pipe_segments"]
    for name, write in WRITERS.items():
        write(pipes(), tmp_path / name)
        whole = (tmp_path / name).read_bytes()
        for part in (0.2, 0.6, 0.95):
            (tmp_path / name).write_bytes(whole[: int(len(whole) * part)])
            with suppress(BadInput):
                intake, good = taken(layer, tmp_path / name)
                assert len(good) + len(refused(intake)) == intake.rows


def test_reading_ahead_hands_errors_on_and_ends_with_its_asker() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise Unreadable("cut off")

    items = ahead(broken())
    assert next(items) == 1
    with pytest.raises(Unreadable):
        next(items)
    closed: list[bool] = []

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.append(True)

    source = endless()
    items = ahead(source)
    next(items)
    items.close()
    source.close()
    assert closed == [True]
