"""The tables of a survey in every format and disguise: read alike, or refused in a sentence."""

from __future__ import annotations

import json
import warnings
import zipfile
from pathlib import Path
from typing import Any

import ezdxf
import geopandas as gpd
import numpy as np
import openpyxl
import pandas as pd
import pyogrio
import pytest
import shapely

from gis_core.errors import Unprocessable
from tests.survey_maker import CRS, Made, make
from twin.survey import Examination, Survey, Table, examine, mapping, read_survey, spreadsheet
from twin.survey.fields import BY_TABLE, headers

FIRST = 185


@pytest.fixture(scope="module")
def made() -> Made:
    return make(FIRST)


@pytest.fixture(scope="module")
def expected(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Survey:
    return read(*made.write_csv(tmp_path_factory.mktemp("csv")))


def read(points: Path, lines: Path | None = None, **more: Any) -> Survey:
    return read_survey(points, lines, **({"datum": CRS, "owner": "A"} | more))


def same(survey: Survey, expected: Survey) -> None:
    for got, want in ((survey.points, expected.points), (survey.lines, expected.lines)):
        assert list(got.columns) == list(want.columns)
        pd.testing.assert_frame_equal(got, want, check_dtype=False, atol=1e-9)
    assert survey.found == ()
    assert survey.source is not None


def refused(survey: Survey) -> str:
    """The sentence of the one problem with a file that could not be read."""
    examination = examine(survey)
    assert examination.faulty
    assert {i.rule for i in examination.problems} <= {"A1"}
    return " ".join(i.en for i in examination.problems)


def test_frames_have_the_canonical_columns(expected: Survey) -> None:
    assert expected.points["point_no"].iloc[0] == "JP000000"
    assert expected.points["pipe_class"].unique().tolist() == [
        "water", "gas", "power", "heat", "telecom", "sewage", "storm",
    ]  # fmt: skip
    assert expected.points["subclass"].iloc[0] == "JP"
    assert expected.points["kind"].iloc[:3].tolist() == ["pump_station", "joint", "tee"]
    first = expected.lines.iloc[0]
    assert first["laying"] == "direct"
    assert first["material"] == "QM"
    assert first["diameter_mm"] == 300
    assert first["depth_reference"] == "crown"
    assert expected.lines.loc[expected.lines["subclass"] == "WS", "depth_reference"].unique().tolist() == ["invert"]
    assert expected.lines.loc[expected.lines["subclass"] == "TR", "pressure_class"].unique().tolist() == ["medium_a"]
    assert str(expected.points["surveyed_on"].iloc[0].date()) == "2025-06-01"
    assert expected.points["row"].tolist() == list(range(1, len(expected.points) + 1))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16"])
def test_csv_in_any_usual_encoding(encoding: str, made: Made, expected: Survey, tmp_path: Path) -> None:
    same(read(*made.write_csv(tmp_path, encoding)), expected)


def test_one_workbook_with_two_sheets(made: Made, expected: Survey, tmp_path: Path) -> None:
    same(read(made.write_excel(tmp_path)), expected)


def test_a_workbook_of_another_program_with_titles_above_the_headers(
    made: Made, expected: Survey, tmp_path: Path
) -> None:
    book = openpyxl.Workbook()
    for name, frame in zip(("管点成果表", "管线成果表"), made.frames(), strict=True):
        sheet = book.create_sheet(name)
        sheet.append([f"大兴区{name}"])
        sheet.append([])
        sheet.append(list(frame.columns))
        for row in frame.itertuples(index=False):
            sheet.append(list(row))
    del book["Sheet"]
    book.save(tmp_path / "survey.xlsx")
    same(read(tmp_path / "survey.xlsx"), expected)


def test_a_formula_without_a_value_is_a_problem_and_one_with_a_value_is_its_value(made: Made, tmp_path: Path) -> None:
    points, lines = made.frames()
    points.to_csv(tmp_path / "p.csv", index=False)
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(list(lines.columns))
    for row in lines.itertuples(index=False):
        sheet.append(list(row))
    depth = list(lines.columns).index("起点埋深") + 1
    sheet.cell(5, depth).value = "=1+1"
    sheet.cell(6, depth).value = '=HYPERLINK("http://x")'
    book.save(tmp_path / "l.xlsx")
    survey = read(tmp_path / "p.csv", tmp_path / "l.xlsx")
    assert np.isnan(survey.lines["start_depth_m"].iloc[[3, 4]]).all()
    told = [(i.rule, i.row, i.field) for i in examine(survey).problems if "formula" in i.en]
    assert told == [("A3", 4, "start_depth_m"), ("A3", 5, "start_depth_m")]


@pytest.mark.parametrize("far", ["XFD1048576", "A1048576", "ZZ90000"])
def test_a_sheet_with_a_cell_far_away_does_not_fill_the_memory(far: str, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["点号", "X", "Y"])
    sheet[far] = 1
    book.save(tmp_path / "s.xlsx")
    assert "far away" in refused(read(tmp_path / "s.xlsx"))


def test_old_excel_is_refused_with_words(tmp_path: Path) -> None:
    (tmp_path / "s.xls").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
    assert "save it as .xlsx" in refused(read(tmp_path / "s.xls"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("s.xlsx", b"not a zip"),
        ("s.xlsx", b"PK\x03\x04 cut off"),
        ("s.csv", b"PK\x03\x04"),
        ("s.csv", b""),
        ("s.dbf", b"\x03"),
        ("s.gpkg", b"SQLite format 3\0"),
        ("s.geojson", b"{"),
        ("s.dxf", b"%PDF-1.7"),
        ("s.dxf", b"AC1032\0\0"),
        ("s.dxf", b"  0\nSECTION\n  2\nENTITIES\n"),
        ("s.zip", b"PK\x05\x06" + bytes(18)),
        ("s.zip", b"hello"),
        ("s.exe", b"MZ"),
        ("noending", b"a,b"),
    ],
)
def test_a_file_that_is_not_what_its_ending_says_is_a_report(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert refused(read(tmp_path / name))
    assert str(tmp_path) not in refused(read(tmp_path / name))


def test_a_zip_that_would_climb_out_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        archive.writestr("../管点.csv", "a,b\n1,2\n")
    assert "climbs out" in refused(read(tmp_path / "s.zip"))


def test_two_tables_in_one_zip(made: Made, expected: Survey, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        for path in made.write_csv(tmp_path, "gbk"):
            archive.write(path, f"成果/{path.name}")
    same(read(tmp_path / "s.zip"), expected)


def test_dbf_tables(made: Made, expected: Survey, tmp_path: Path) -> None:
    paths = []
    for name, frame in zip(("管点", "管线"), made.frames(), strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of long names
            pyogrio.write_dataframe(frame, tmp_path / f"{name}.dbf", driver="ESRI Shapefile", encoding="GBK")
        paths.append(next(tmp_path.glob(f"{name}.dbf")))
    survey = read(*paths)
    assert survey.lines["start_depth_m"].tolist() == expected.lines["start_depth_m"].tolist()
    assert survey.points["point_no"].tolist() == expected.points["point_no"].tolist()
    assert survey.points["pipe_class"].tolist() == expected.points["pipe_class"].tolist()


def shaped(made: Made) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    points, lines = made.frames()
    xy = {p["物探点号"]: (float(p["Y坐标"]), float(p["X坐标"])) for p in made.points}
    dots = [shapely.Point(xy[n]) for n in points["物探点号"]]
    strokes = [shapely.LineString([xy[a], xy[b]]) for a, b in zip(lines["起点点号"], lines["终点点号"], strict=True)]
    return (
        gpd.GeoDataFrame(points.drop(columns=["X坐标", "Y坐标"]), geometry=dots, crs=CRS),
        gpd.GeoDataFrame(lines, geometry=strokes, crs=CRS),
    )


def clean(survey: Survey, made: Made) -> Examination:
    examination = examine(survey, made.facts())
    assert examination.problems == ()
    return examination


def test_geopackage_with_two_layers(made: Made, tmp_path: Path) -> None:
    for name, frame in zip(("管点", "管线"), shaped(made), strict=True):
        frame.to_file(tmp_path / "s.gpkg", layer=name)
    assert clean(read(tmp_path / "s.gpkg", datum=None), made).skipped == {}


def test_a_file_that_says_another_system_than_was_declared_is_told(made: Made, tmp_path: Path) -> None:
    for name, frame in zip(("管点", "管线"), shaped(made), strict=True):
        frame.to_file(tmp_path / "s.gpkg", layer=name)
    clean(read(tmp_path / "s.gpkg", datum="CGCS2000 CM 117E"), made)
    told = [i for i in examine(read(tmp_path / "s.gpkg", datum="EPSG:4547"), made.facts()).problems if i.row is None]
    assert [(i.rule, i.severity) for i in told] == [("K1", "error")]
    assert "4548" in told[0].en


def test_geojson_with_points_and_lines_in_degrees(made: Made, tmp_path: Path) -> None:
    points, lines = (frame.to_crs(4326) for frame in shaped(made))
    mixed = pd.concat([points, lines], ignore_index=True)
    mixed.to_file(tmp_path / "s.geojson", driver="GeoJSON", COORDINATE_PRECISION=9)
    clean(read(tmp_path / "s.geojson", datum="CGCS2000"), made)


def test_a_zip_with_two_shapefiles(made: Made, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        for name, frame in zip(("POINT", "LINE"), shaped(made), strict=True):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of long names
                frame.to_file(tmp_path / f"{name}.shp", encoding="GBK")
            for part in tmp_path.glob(f"{name}.*"):
                archive.write(part, part.name)
    survey = read(tmp_path / "s.zip", datum=None)
    assert len(survey.points) == len(made.points)
    assert not [i for i in examine(survey, made.facts()).problems if i.rule not in {"A1", "A4", "A12"}]


def test_a_drawing_says_what_it_lacks(made: Made, tmp_path: Path) -> None:
    drawing = ezdxf.new()
    space = drawing.modelspace()
    xy = {p["物探点号"]: (float(p["Y坐标"]), float(p["X坐标"]), float(p["地面高程"])) for p in made.points}
    for p in made.points:
        space.add_point(xy[p["物探点号"]], dxfattribs={"layer": f"{p['管线小类']}_POINT"})
    for row in made.lines:
        ends = [(*xy[row[f"{end}点号"]][:2], float(row[f"{end}高程"])) for end in ("起点", "终点")]
        space.add_line(*ends, dxfattribs={"layer": f"{row['管线小类']}_LINE"})
    drawing.saveas(tmp_path / "s.dxf")
    survey = read(tmp_path / "s.dxf")
    assert any("no attributes" in note for note in survey.notes)
    assert survey.lines["pipe_class"].unique().tolist() == survey.points["pipe_class"].unique().tolist()
    assert survey.lines["start_level_m"].tolist() == [float(r["起点高程"]) for r in made.lines]
    assert survey.lines["start_point"].str.startswith("N").all()
    told = {i.rule for i in examine(survey, made.facts()).problems}
    assert "A1" in told
    assert not told & {"L1", "P6", "K2", "K3", "K4"}


def test_points_without_lines_and_lines_without_points(made: Made, tmp_path: Path) -> None:
    points, lines = made.write_csv(tmp_path)
    alone = examine(read(points), made.facts())
    assert alone.faulty
    assert [i.en for i in alone.problems] == ["there is no line table"]
    other = examine(read(lines), made.facts())
    assert other.faulty
    assert {i.rule for i in other.problems} == {"A1", "L1"}
    assert sum(i.rule == "L1" for i in other.problems) == 2 * len(made.lines)


def test_files_given_the_wrong_way_round(made: Made, expected: Survey, tmp_path: Path) -> None:
    points, lines = made.write_csv(tmp_path)
    same(read(lines, points), expected)


def test_two_point_tables_are_told(made: Made, tmp_path: Path) -> None:
    points, _ = made.write_csv(tmp_path)
    assert any("more than one point table" in i.en for i in examine(read(points, points)).problems)


def test_headers_are_recognised_in_pinyin_and_with_remarks() -> None:
    found = mapping.find(Table.points, ["WTDH", "TZ", "FSW", "X（米）", "Y（米）", "DMGC", "随便", "  密 级 "])
    assert {m.column: m.field for m in found.matches} == {
        "WTDH": "point_no", "TZ": "feature", "FSW": "appurtenance", "X（米）": "north", "Y（米）": "east",
        "DMGC": "ground_m", "  密 级 ": "secrecy",
    }  # fmt: skip
    assert found.unused == ("随便",)
    confidence = {m.column: m.confidence for m in found.matches}
    assert confidence["WTDH"] == 1.0
    assert confidence["X（米）"] < 1.0
    assert {f.name for f in found.missing} == {"road_name", "owner"}


def test_a_mapping_is_json_and_can_be_corrected_and_kept() -> None:
    columns = ["编号甲", "X", "Y", "高程"]
    found = mapping.find(Table.points, columns)
    assert "point_no" not in found.columns
    kept = json.loads(json.dumps(found.as_json()))
    kept["columns"].append({"column": "编号甲", "field": "point_no"})
    kept["columns"].append({"column": "不在此表", "field": "kind"})
    corrected = mapping.apply(Table.points, columns, kept)
    assert corrected.columns == {"point_no": "编号甲", "north": "X", "east": "Y", "ground_m": "高程"}
    turned = mapping.apply(Table.points, columns, {"X": "east", "Y": "north", "高程": None})
    assert turned.columns == {"east": "X", "north": "Y"}
    assert "高程" in turned.unused


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"X": "altitude"}, "no field"),
        ({"X": 5}, "no field"),
        ({"X": "north", "Y": "north"}, "more than one column"),
        ({"": "north"}, "no column's name"),
        ({"columns": ["nonsense"]}, "no column's name"),
        ({"columns": [{"column": ["x"], "field": "north"}]}, "no column's name"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused(given: dict[str, Any], why: str, tmp_path: Path) -> None:
    with pytest.raises(Unprocessable) as caught:
        read(tmp_path / "p.csv", mapping={"points": given})
    assert why in caught.value.problems[0].why


def test_a_corrected_mapping_reads_a_foreign_table(made: Made, expected: Survey, tmp_path: Path) -> None:
    points, lines = made.frames()
    strange = {"物探点号": "甲", "X坐标": "乙", "Y坐标": "丙", "地面高程": "丁"}
    points.rename(columns=strange).to_csv(tmp_path / "p.csv", index=False)
    lines.to_csv(tmp_path / "l.csv", index=False)
    corrections = {"points": {"甲": "point_no", "乙": "north", "丙": "east", "丁": "ground_m"}}
    same(read(tmp_path / "p.csv", tmp_path / "l.csv", mapping=corrections), expected)


def test_no_header_means_two_fields() -> None:
    for table in Table:
        meanings: dict[str, str] = {}
        for name, options in headers(table).items():
            for option in options[:-1]:
                assert meanings.setdefault(option.casefold(), name) == name, option
        assert set(headers(table)) == {f.name for f in BY_TABLE[table]}


def test_sizes_in_the_ways_people_write_them(made: Made, tmp_path: Path) -> None:
    points, lines = made.frames()
    said = ["DN300", "Φ300", "３００", "300mm", "1200X800", "1200×800", "1200*800", "d300", "300.0"]
    lines.loc[: len(said) - 1, "管径或断面尺寸"] = said
    points.to_csv(tmp_path / "p.csv", index=False)
    lines.to_csv(tmp_path / "l.csv", index=False)
    got = read(tmp_path / "p.csv", tmp_path / "l.csv").lines
    assert got["diameter_mm"].iloc[: len(said)].tolist() == [300, 300, 300, 300, 1200, 1200, 1200, 300, 300]
    assert got["height_mm"].iloc[4:7].tolist() == [800, 800, 800]
    assert got["section"].iloc[3:6].tolist() == ["round", "round", "round"], "what the table says counts"


def test_drainage_without_a_minor_class_is_told(made: Made, tmp_path: Path) -> None:
    points, lines = made.frames()
    for frame in (points, lines):
        frame["管线小类"] = frame["要素代码"] = ""
    points["物探点号"] = "P" + points["物探点号"]
    points["图上点号"] = points["物探点号"]
    lines["起点点号"], lines["终点点号"] = "P" + lines["起点点号"], "P" + lines["终点点号"]
    points.to_csv(tmp_path / "p.csv", index=False)
    lines.to_csv(tmp_path / "l.csv", index=False)
    told = [i for i in examine(read(tmp_path / "p.csv", tmp_path / "l.csv"), made.facts()).problems if i.rule == "A4"]
    drains = sum(p["管线类别"] == "排水" for p in made.points)
    assert sum(i.table == "points" for i in told) == drains
    assert "storm, sewage or combined" in told[0].en


def test_the_report_goes_out_as_json_geojson_and_excel(made: Made, tmp_path: Path) -> None:
    points, lines = made.frames()
    points.loc[7, "密级"] = ""
    points.loc[8, "权属单位"] = "=cmd|' /C calc'!A0"
    lines.loc[3, "终点埋深"] = "-2"
    points.to_csv(tmp_path / "p.csv", index=False)
    lines.to_csv(tmp_path / "l.csv", index=False)
    examination = examine(read(tmp_path / "p.csv", tmp_path / "l.csv"), made.facts())
    report = json.loads(json.dumps(examination.as_json(), ensure_ascii=False))
    assert report["errors"] == examination.errors > 0
    assert {c["rule"] for c in report["counts"]} == {"A14", "L5", "L6"}
    assert report["rows"] == {"points": len(points), "lines": len(lines)}
    assert sum(c["rows"] for c in report["counts"]) == report["problems_total"] == len(report["problems"])
    drawn = examination.geojson()
    assert len(drawn["features"]) == report["problems_total"]
    assert all(115 < f["geometry"]["coordinates"][0] < 118 for f in drawn["features"])
    examination.to_excel(tmp_path / "out.xlsx")
    book = openpyxl.load_workbook(tmp_path / "out.xlsx")
    assert book.sheetnames == ["管点表", "管线表", "统计"]
    sheet = book["管点表"]
    assert sheet.cell(1, sheet.max_column).value == "备注"
    assert sheet.cell(9, sheet.max_column).value == "[A14] 未标密级"
    owner = list(points.columns).index("权属单位") + 1
    assert sheet.cell(10, owner).value == "=cmd|' /C calc'!A0"
    assert sheet.cell(10, owner).data_type == "s", "a text, not a formula"
    assert sheet.cell(9, 1).fill.fgColor.rgb == "FFF8CBAD"
    assert "[L5]" in book["管线表"].cell(5, book["管线表"].max_column).value
    again = read(tmp_path / "out.xlsx")
    assert len(again.points) == len(points)


def test_a_workbook_keeps_numbers_texts_and_odd_characters(tmp_path: Path) -> None:
    rows: list[tuple[list[Any], str]] = [
        ([1, 2.5, "007", None, "a<b&c>\x01\n中"], "error"), ([float("nan"), True, "", " x ", "=1+1"], "")
    ]  # fmt: skip
    spreadsheet.write(tmp_path / "o.xlsx", [('a/b"<', list("甲乙丙丁戊"), rows)])
    sheet = openpyxl.load_workbook(tmp_path / "o.xlsx").active
    assert sheet is not None
    assert sheet.title == 'a b"<'
    got = [[cell.value for cell in row] for row in sheet.iter_rows()]
    assert got == [
        list("甲乙丙丁戊"),
        [1, 2.5, "007", None, "a<b&c>\n中"],
        [None, "True", None, " x ", "=1+1"],
    ]


def test_progress_rises_to_one(made: Made, tmp_path: Path) -> None:
    shares: list[float] = []
    points, lines = made.write_csv(tmp_path)
    survey = read(points, lines, progress=lambda share, _: shares.append(share))
    examine(survey, made.facts(), progress=lambda share, _: shares.append(share))
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_files_are_called_by_the_names_their_giver_gave_them(made: Made, expected: Survey, tmp_path: Path) -> None:
    points, lines = made.write_csv(tmp_path)
    bare = points.rename(tmp_path / "a1"), lines.rename(tmp_path / "a2")
    same(read(*bare, names=("管点.csv", "管线.csv")), expected)
