"""Pipe points and segments as surveys know them: Chinese tables in, heights out, secrets kept, old homes brought up."""

from __future__ import annotations

import csv
import uuid
from datetime import date
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
import sqlalchemy as sa
from alembic import command

from gis_core.access import Role, Viewer, hidden, visible
from gis_core.cluster import Cluster
from gis_core.database import Database
from gis_core.ingest import Mode, Source, ingest_file, ingest_frame
from gis_core.spec import Layer
from layers.pipe_segments import line_3d
from scripts import schema

SOURCE = Source("普查")
POINTS = """
物探点号 | A/JS1 | A/JS2 | A/YS1
图上点号 | JS1 | JS2 | YS1
管线类型 | 给水 | JS | 雨水
小类 | JP | JP | YS
附属物 | 阀门井 | 水表 | 雨篦
要素代码 | 51042205 | 51042207 | 52012204
地面高程 | 31.2 | 31.0 | 31.1
埋深 | １.５ | 1.4 | 0.8
井底高程 | 29.1 |  |
井深 | 2.1 |  |
井盖材质 | 铸铁 |  |
偏心距 | 0.3 |  |
所在道路 | 兴华路 | 兴华路 | 兴华路
权属单位 | A | A | A
探测日期 | 2024年7月1日 | 2024-07-02 | 20240703
管点类别 | 明显点 | 隐蔽 | 明显点
平面中误差 | 0.02 | 0.05 |
使用状态 | 在用 | 0 | 废弃
密级 | 内部 | 公开 | 秘密
阀门状态 | 开 |  |
可操作 | 是 |  |
可到达 | 否 |  |
用户数 |  | 42 |
用水量 |  | 3.5 |
lon | 116.35 | 116.351 | 116.352
lat | 39.65 | 39.65 | 39.65
"""
LINES = """
管线编号 | A/1 | A/2 | A/3 | A/4 | A/5
管线类型 | 给水 | YS | 燃气 | 电力 | RL
小类 | JP | YS | TR | GD | RS
要素代码 | 51041000 | 52011000 |  |  |
起点点号 | A/JS1 | A/YS1 | A/R1 | A/D1 | A/H1
终点点号 | A/JS2 | A/YS2 | A/R2 | A/D2 | A/H2
材质 | QM | T | PE | TZ | G
埋设方式 | ZM | 管沟 | 顶管 | 上架 | GG
断面形状 | 圆 | 方沟 | 圆形 |  |
管径 | 300 | 1200 | 200 | 150 | 500
壁厚 | 9.2 |  |  |  |
起点埋深 | 1.5 | 2.5 | 1.2 | 0.9 | 1.3
终点埋深 | 1.4 | 2.7 | 1.2 | -6.0 | 1.3
起点高程 | 29.7 | 28.6 |  |  |
终点高程 | 29.6 | 28.4 |  |  |
埋深基准 | 管顶 | 管内底 | 外顶 |  |
流向 |  | 0 | 2 |  |
压力 | 0.3 |  | 0.3 |  | 1.6
压力级别 |  |  | 中压A |  |
电压 |  |  |  | 10 |
电缆条数 |  |  |  | 3 |
总孔数 |  |  |  | 12 |
已用孔数 |  |  |  | 3 |
供回水 |  |  |  |  | 回
埋设年代 | 2003 | 1998 | 2015 | 2011 | 2012
设计年限 | 50 |  |  |  |
道路名称 | 兴华路 | 兴华路 |  |  |
权属单位 | A | A | A | A | A
探测单位 | 甲院 |  |  |  |
使用状态 | 在用 | 废弃 | 0 | 空管 | 在用
密级 | 内部 | 公开 | 秘密 | 机密 | 公开
缺陷等级 | 2 |  |  |  |
检测日期 | 2024-05-06 |  |  |  |
"""
WAYS = ("116.35 39.65,116.3504 39.65,116.351 39.65", "116.352 39.65,116.353 39.65", "116.354 39.65,116.355 39.65",
        "116.356 39.65,116.3561 39.65", "116.357 39.65,116.358 39.65")  # fmt: skip
LINES += "WKT | " + " | ".join(f"LINESTRING({way})" for way in WAYS)


def table(columns: str) -> list[list[str]]:
    """The rows of a table that is written with a line for each column: the header, then its values."""
    parts = [[cell.strip() for cell in line.split("|")] for line in columns.strip().splitlines()]
    return [list(row) for row in zip(*parts, strict=True)]


def write(file: Path, rows: list[list[str]], encoding: str = "gbk") -> Path:
    with file.open("w", encoding=encoding, newline="") as out:
        csv.writer(out).writerows(rows)
    return file


def ask(database: Database, question: str) -> list[Any]:
    with database.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(question))]


@pytest.fixture
def city(database: Database, all_layers: dict[str, Layer], tmp_path: Path) -> Database:
    """The two tables above, as surveyors write them, in GBK."""
    for layer, text in (("pipe_points", POINTS), ("pipe_segments", LINES)):
        rows = table(text)
        file = write(tmp_path / f"{layer}.csv", rows)
        report = ingest_file(database, all_layers[layer], file, source=SOURCE, datum="CGCS2000")
        assert [p for p in report.problems if p.severity == "error"] == []
        assert not [p for p in report.problems if "no place for" in p.why], report.problems
        assert report.stored == len(rows) - 1
    return database


def test_points_of_a_survey_arrive_with_all_they_say(city: Database) -> None:
    found = ask(
        city,
        "SELECT point_no, pipe_class, subclass, kind, feature_code, ground_m, depth_m, invert_m, well_depth_m,"
        " cover_material, offset_m, road_name, surveyed_on, survey_kind, position_rmse_m, status, secrecy, valve_open,"
        " operable, accessible, customers, demand_m3h FROM pipe_points ORDER BY code",
    )
    assert found == [
        ("JS1", "water", "JP", "valve", "51042205", 31.2, 1.5, 29.1, 2.1, "铸铁", 0.3, "兴华路", date(2024, 7, 1),
         "exposed", 0.02, "in_use", "internal", True, True, False, None, None),
        ("JS2", "water", "JP", "meter", "51042207", 31.0, 1.4, None, None, None, None, "兴华路", date(2024, 7, 2),
         "hidden", 0.05, "in_use", "open", None, None, None, 42, 3.5),
        ("YS1", "storm", "YS", "inlet", "52012204", 31.1, 0.8, None, None, None, None, "兴华路", date(2024, 7, 3),
         "exposed", None, "abandoned", "restricted", None, None, None, None, None),
    ]  # fmt: skip


def test_segments_of_a_survey_arrive_with_all_they_say(city: Database) -> None:
    found = ask(
        city,
        "SELECT pipe_class, subclass, feature_code, start_point, material, laying, section, diameter_mm, wall_mm,"
        " end_depth_m, depth_reference, flow, pressure_mpa, pressure_class, voltage_kv, cable_count, hole_count,"
        " holes_used, heat_side, built_year, design_life_years, status, secrecy, defect_grade, inspected_on"
        " FROM pipe_segments ORDER BY code",
    )
    blank = (None,) * 2
    assert found == [
        ("water", "JP", "51041000", "A/JS1", "QM", "direct", "round", 300, 9.2, 1.4, "crown", None, 0.3, None, None,
         *blank, None, None, 2003, 50, "in_use", "internal", 2, date(2024, 5, 6)),
        ("storm", "YS", "52011000", "A/YS1", "T", "trench", "rectangular", 1200, None, 2.7, "invert", "forward",
         None, None, None, *blank, None, None, 1998, None, "abandoned", "open", *blank),
        ("gas", "TR", None, "A/R1", "PE", "trenchless", "round", 200, None, 1.2, "crown", "none", 0.3, "medium_a",
         None, *blank, None, None, 2015, None, "in_use", "restricted", *blank),
        ("power", "GD", None, "A/D1", "TZ", "riser", None, 150, None, -6.0, None, None, None, None, 10, 3, 12, 3,
         None, 2011, None, "empty", "secret", *blank),
        ("heat", "RS", None, "A/H1", "G", "trench", None, 500, None, 1.3, None, None, 1.6, None, None, *blank, None,
         "return", 2012, None, "in_use", "open", *blank),
    ]  # fmt: skip


def test_levels_become_heights_along_the_line(city: Database, all_layers: dict[str, Layer]) -> None:
    rows = visible(all_layers["pipe_segments"], Viewer(Role.operator))
    with city.engine.connect() as connection:
        shapes = sa.func.ST_AsBinary(line_3d(rows), type_=sa.LargeBinary)
        found = {code: made and shapely.from_wkb(bytes(made)) for code, made in connection.execute(
            sa.select(rows.c.code, shapes))}  # fmt: skip
        kind = sa.select(sa.func.ST_SRID(line_3d(rows)), sa.func.ST_NDims(line_3d(rows))).where(rows.c.code == "A/1")
        assert connection.execute(kind).one() == (4326, 3)
    assert shapely.get_coordinates(found["A/1"], include_z=True) == pytest.approx(
        np.array([[116.35, 39.65, 29.7], [116.3504, 39.65, 29.66], [116.351, 39.65, 29.6]])
    )
    assert shapely.get_coordinates(found["A/2"], include_z=True)[:, 2] == pytest.approx([28.6, 28.4])
    assert found["A/3"] is None, "no levels, no heights"


def test_heights_are_worked_out_as_shapely_would(database: Database, all_layers: dict[str, Layer]) -> None:
    random = np.random.default_rng(3)
    lines, levels = [], random.uniform(-20, 900, (60, 2))
    for _ in range(60):
        steps = random.uniform(-0.0004, 0.0004, (random.integers(2, 9), 2))
        lines.append(shapely.LineString(np.array([116.4, 39.7]) + np.cumsum(steps, axis=0)))
    frame = gpd.GeoDataFrame(
        {"code": [f"P{i}" for i in range(60)], "pipe_class": "water", "diameter_mm": 300.0, "start_depth_m": 1.0,
         "end_depth_m": 1.0, "owner": "A", "start_level_m": levels[:, 0], "end_level_m": levels[:, 1]},
        geometry=lines, crs="EPSG:4326",
    )  # fmt: skip
    report = ingest_frame(database, all_layers["pipe_segments"], frame, source=SOURCE)
    assert report.stored == 60
    question = "SELECT code, ST_AsBinary(chengtu_line_3d(geom, start_level_m, end_level_m)) FROM pipe_segments"
    for code, made in ask(database, question):
        number = int(code[1:])
        at = [lines[number].project(shapely.Point(p), normalized=True) for p in lines[number].coords]
        made_z = shapely.get_coordinates(shapely.from_wkb(bytes(made)), include_z=True)[:, 2]
        start, end = levels[number]
        assert made_z[[0, -1]] == pytest.approx([start, end])
        if lines[number].is_simple:  # where it crosses itself a point has two distances
            assert made_z == pytest.approx(start + np.array(at) * (end - start), abs=1e-6)


def test_only_what_is_laid_aloft_lies_above_the_ground(database: Database, all_layers: dict[str, Layer]) -> None:
    frame = gpd.GeoDataFrame(
        {"code": ["a", "b", "c", "d"], "pipe_class": "power", "diameter_mm": 100.0, "owner": "A",
         "start_depth_m": [0.8, 0.8, -0.5, -8.0], "end_depth_m": [-7.0, -7.0, 1.0, -8.0],
         "laying": ["SJ", "ZM", None, "架空"]},
        geometry=[shapely.LineString([(116.3, 39.6), (116.301, 39.6 + i / 1e4)]) for i in range(4)], crs="EPSG:4326",
    )  # fmt: skip
    report = ingest_frame(database, all_layers["pipe_segments"], frame, source=SOURCE, mode=Mode.good_rows)
    assert {(p.row, p.field) for p in report.problems} == {(2, "end_depth_m"), (3, "start_depth_m")}
    assert ask(database, "SELECT code FROM pipe_segments ORDER BY 1") == [("a",), ("d",)]


@pytest.mark.parametrize(("column", "value"), [
    ("要素代码", "12345678"), ("小类", "雨"), ("埋设方式", "悬浮"), ("密级", "随便"), ("缺陷等级", "9"), ("压力", "-1"),
    ("检测日期", "去年"), ("已用孔数", "三"),
])  # fmt: skip
def test_a_wrong_value_is_told_with_its_row(
    database: Database, all_layers: dict[str, Layer], tmp_path: Path, column: str, value: str
) -> None:
    head, row, *_ = table(LINES)
    row[head.index(column)] = value
    layer = all_layers["pipe_segments"]
    file = write(tmp_path / "lines.csv", [head, row], "utf-8")
    report = ingest_file(database, layer, file, source=SOURCE, datum="CGCS2000", mode=Mode.good_rows)
    (problem,) = (p for p in report.problems if p.severity == "error")
    assert problem.row == 1
    assert layer.fields[problem.field].label.zh in {column, "检测日期"}
    assert report.stored == 0


def test_a_planner_sees_where_pipes_lie_and_not_what_is_in_them(city: Database, all_layers: dict[str, Layer]) -> None:
    for name, secret in (
        ("pipe_segments", {"material", "pressure_mpa", "voltage_kv", "holes_used", "secrecy", "defect_grade"}),
        ("pipe_points", {"valve_open", "customers", "demand_m3h", "secrecy", "built_year"}),
    ):
        layer = all_layers[name]
        assert secret <= hidden(layer, Viewer(Role.planner))
        assert not hidden(layer, Viewer(Role.utility, owner="A"))
        for role, owner in ((Role.planner, None), (Role.utility, "A")):
            rows = visible(layer, Viewer(role, owner=owner))
            filled = [sa.func.count(rows.c[column]) for column in sorted(secret - {"built_year"})]
            with city.engine.connect() as connection:
                counts = connection.execute(sa.select(*filled)).one()
            assert all((count > 0) == (owner is not None) for count in counts)


def test_a_home_of_the_first_revision_is_brought_up_with_its_rows(cluster: Cluster) -> None:
    name = f"t_{uuid.uuid4().hex[:12]}"
    cluster.create_database(name)
    opened = Database(cluster.url(name))
    line = "ST_GeomFromText('LINESTRING(116.3 39.6,116.301 39.6)', 4326)"
    try:
        with opened.writing() as connection:
            connection.execute(sa.text("CREATE EXTENSION IF NOT EXISTS postgis"))
            command.upgrade(schema._config(connection), "520431e09e24")
            connection.execute(sa.text(
                "INSERT INTO pipe_segments"
                " (code, pipe_class, diameter_mm, start_depth_m, end_depth_m, owner, cell, geom)"
                f" VALUES ('old', 'water', 300, 1, 1, 'A', 1, {line})"
            ))  # fmt: skip
        with opened.writing() as connection:
            command.upgrade(schema._config(connection), "8f1ad486ddb8")
            command.downgrade(schema._config(connection), "520431e09e24")
        assert ask(opened, "SELECT code FROM pipe_segments") == [("old",)]
        schema.upgrade(opened)
        schema.check(opened)
        assert ask(
            opened, "SELECT code, laying, chengtu_line_3d(geom, start_level_m, end_level_m) FROM pipe_segments"
        ) == [("old", None, None)]
        assert ask(opened, f"SELECT ST_ZMax(chengtu_line_3d({line}, 4, 9))") == [(9.0,)]
    finally:
        opened.close()
        cluster.drop_database(name)
