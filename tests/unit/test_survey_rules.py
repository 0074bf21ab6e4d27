"""Every rule of a pipe survey finds what was planted for it, and says nothing of a survey that keeps them all."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import shapely

from gis_core import crs
from gis_core.crs import LocalGrid
from gis_core.crs.china import wgs84_to_gcj02
from tests.survey_defects import PLANTERS, ROWLESS, Planter, plant_all, streets_needed
from tests.survey_maker import CRS, Made, Plane, make
from twin.survey import Examination, Facts, Table, examine, read_survey
from twin.survey.findings import ERROR, WARNING
from twin.survey.rules import FAMILIES, all_rules, as_markdown, rule

FIRST = 185
ONE_EACH = [(name, planter) for name, planters in PLANTERS.items() for planter in planters]
Said = set[tuple[str, str, int | None]]


def examined(made: Made, folder: Path, facts: Facts | None = None, **more: Any) -> Examination:
    points, lines = made.write_csv(folder)
    survey = read_survey(points, lines, **({"datum": CRS, "owner": "自来水集团"} | more))
    return examine(survey, facts or made.facts())


def said(examination: Examination) -> Said:
    return {(issue.rule, issue.table, issue.row) for issue in examination.problems}


def whole(examination: Examination) -> set[str]:
    return {issue.rule for issue in examination.problems if issue.row is None}


def wanted(made: Made) -> tuple[Said, Said]:
    """What must be said, and what may be."""
    must: Said = {(d.rule, *row) for d in made.defects for row in d.rows}
    may: Said = {(name, *row) for d in made.defects for name in {d.rule} | d.also for row in d.touched}
    return must, must | may


def test_there_are_all_rules_of_the_eight_families() -> None:
    counts = {"A": 14, "P": 8, "L": 9, "T": 10, "G": 7, "C": 3, "X": 4, "K": 7}
    assert list(all_rules()) == [f"{letter}{i}" for letter, many in counts.items() for i in range(1, many + 1)]
    assert list(counts) == list(FAMILIES)


def test_a_rule_from_memory_may_only_warn() -> None:
    assert {known.severity for known in all_rules().values() if known.grade == "M"} == {WARNING}
    with pytest.raises(ValueError, match="may only warn"):
        rule("X9", "试", "Try", grade="M", severity=ERROR)
    with pytest.raises(ValueError, match="stands already"):
        rule("A1", "试", "Try")(lambda _: ())


def test_every_rule_says_in_both_languages_what_it_wants() -> None:
    for known in all_rules().values():
        assert any("\u4e00" <= c <= "\u9fff" for c in known.zh)
        assert known.en.isascii()
        assert known.check.__doc__


def test_the_rules_are_listed_as_markdown() -> None:
    text = as_markdown()
    for known in all_rules().values():
        assert f"| {known.id} | {known.zh}<br>{known.en} |" in text
    assert "### G 重力流 Gravity flow" in text


def test_every_rule_has_a_defect_or_a_test_of_its_own() -> None:
    assert set(PLANTERS) | ROWLESS == set(all_rules())


def test_a_clean_survey_breaks_no_rule(tmp_path: Path) -> None:
    examination = examined(make(FIRST * 2, seed=4), tmp_path)
    assert examination.problems == ()
    assert not examination.faulty
    assert set(examination.skipped) == {"L9"}


@pytest.mark.parametrize(("name", "planter"), ONE_EACH, ids=[f"{n}-{p.__name__}" for n, p in ONE_EACH])
def test_a_rule_finds_its_planted_defect(name: str, planter: Planter, tmp_path: Path) -> None:
    made = make(FIRST)
    planter(made, 0, 9)
    examination = examined(made, tmp_path)
    must, may = wanted(made)
    assert must <= said(examination)
    assert said(examination) <= may
    assert {r for r, _, _ in must} == {name}
    placed = [i for i in examination.problems if i.rule == name and i.lon is not None]
    assert placed or name == "K4", "every problem is on the map"


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_recall_is_whole_and_precision_98_of_100(seed: int, tmp_path: Path) -> None:
    made = make(FIRST * (streets_needed() + 1), seed)
    plant_all(made, seed)
    found = said(examined(made, tmp_path))
    must, may = wanted(made)
    assert len(must) > 75
    assert must <= found, must - found
    assert len(found - may) <= 0.02 * len(found), found - may


def test_severity_follows_the_evidence(tmp_path: Path) -> None:
    made = make(FIRST * (streets_needed() + 1), 3)
    plant_all(made, 3)
    examination = examined(made, tmp_path)
    rules = all_rules()
    assert all(i.severity == WARNING for i in examination.problems if rules[i.rule].grade == "M")
    assert examination.errors == sum(i.severity == ERROR for i in examination.problems)
    assert examination.warnings == sum(i.severity == WARNING for i in examination.problems)
    bad = {i.row for i in examination.problems if i.severity == ERROR and i.table == "lines"}
    mask = examination.bad_rows(Table.lines)
    assert set(examination.net.lines["row"][mask]) == bad


def column(made: Made, table: str, header: str, change: Any) -> None:
    for row in getattr(made, table):
        row[header] = change(row)


def test_a1_names_missing_and_repeated_headers(tmp_path: Path) -> None:
    made = make(FIRST)
    points, lines = made.frames()
    points.drop(columns="X坐标").to_csv(tmp_path / "p.csv", index=False)
    lines["起点 埋深"] = "1"
    lines.drop(columns="权属单位").to_csv(tmp_path / "l.csv", index=False)
    survey = read_survey(tmp_path / "p.csv", tmp_path / "l.csv", datum=CRS, owner="A")
    told = [i for i in examine(survey).problems if i.rule == "A1"]
    assert {(i.table, i.field, i.severity) for i in told} == {
        ("points", "north", ERROR),
        ("lines", "起点埋深", ERROR),
        ("lines", "owner", WARNING),
    }
    assert "X坐标" in told[0].zh


def test_a14_refuses_a_survey_without_a_column_of_secrecy(tmp_path: Path) -> None:
    made = make(FIRST)
    for row in (*made.points, *made.lines):
        del row["密级"]
    examination = examined(made, tmp_path)
    assert examination.faulty
    assert [(i.rule, i.table) for i in examination.problems] == [("A14", "points"), ("A14", "lines")]


def test_a8_knows_what_year_it_is(tmp_path: Path) -> None:
    made = make(FIRST)
    made.points[3] |= {"建设年代": "2030年", "探测日期": "2031/5/1"}
    facts = made.facts()
    early = Facts(**(vars(facts) | {"today": date(2029, 1, 1)}))
    late = Facts(**(vars(facts) | {"today": date(2031, 1, 1)}))
    assert said(examined(made, tmp_path, early)) == {("A8", "points", 4)}
    assert said(examined(made, tmp_path, late)) == set()


@pytest.mark.parametrize("datum", [None, "", "火星历法"])
def test_k1_an_undeclared_or_unknown_system_is_refused(datum: str | None, tmp_path: Path) -> None:
    examination = examined(make(FIRST), tmp_path, datum=datum)
    assert examination.faulty
    assert whole(examination) == {"K1"}
    assert all(i.lon is None for i in examination.problems)


def test_k1_metres_declared_as_degrees(tmp_path: Path) -> None:
    assert {"K1"} == {r for r, _, _ in said(examined(make(FIRST), tmp_path, datum="CGCS2000"))} - {"K7"}


def test_k2_a_whole_table_with_x_and_y_swapped_is_told_and_drawn_in_its_place(tmp_path: Path) -> None:
    made = make(FIRST)
    for row in made.points:
        row["X坐标"], row["Y坐标"] = row["Y坐标"], row["X坐标"]
    examination = examined(made, tmp_path)
    assert {r for r, _, _ in said(examination)} == {"K2"}
    assert len(examination.problems) == len(made.points)
    assert examination.problems[0].lon == pytest.approx(116.30, abs=0.02)
    assert examination.problems[0].lat == pytest.approx(39.69, abs=0.02)


def test_k3_a_zone_number_that_was_not_declared_or_is_missing(tmp_path: Path) -> None:
    made = make(FIRST)
    column(made, "points", "Y坐标", lambda row: "39" + row["Y坐标"])
    assert {r for r, _, _ in said(examined(made, tmp_path))} == {"K3"}
    assert said(examined(made, tmp_path, datum="EPSG:4527")) == set()
    assert {r for r, _, _ in said(examined(make(FIRST), tmp_path, datum="EPSG:4527"))} == {"K3"}


@pytest.mark.parametrize("datum", ["EPSG:4547", "CGCS2000 6-degree zone 19"])
def test_k4_another_zone(datum: str, tmp_path: Path) -> None:
    examination = examined(make(FIRST), tmp_path, datum=datum)
    told = [i for i in examination.problems if i.rule in {"K3", "K4"}]
    assert {i.row for i in told} == set(range(1, FIRST + 1))
    assert examination.faulty
    if datum == "EPSG:4547":
        assert {i.rule for i in told} == {"K4"}
        assert "4548" in told[0].en


def test_k5_a_local_grid_comes_through_its_named_affine_or_not_at_all(tmp_path: Path) -> None:
    made = make(FIRST)
    column(made, "points", "X坐标", lambda row: f"{float(row['X坐标']) - 4_100_000:.3f}")
    column(made, "points", "Y坐标", lambda row: f"{float(row['Y坐标']) + 60_000:.3f}")
    lost = examined(made, tmp_path)
    assert {r for r, _, _ in said(lost)} == {"K5"}
    assert lost.faulty
    grid = LocalGrid("大兴地方坐标系", 1, 0, -60_000, 0, 1, 4_100_000, CRS)
    kept = examined(made, tmp_path, datum="大兴地方坐标系", grids={"大兴地方坐标系": grid})
    assert whole(kept) == {"K5"}
    assert said(kept) == {("K5", "points", None)}
    assert not kept.faulty


def test_k5_warns_of_datums_without_published_parameters(tmp_path: Path) -> None:
    examination = examined(make(FIRST), tmp_path, datum="Beijing54 CM 117E")
    assert ("K5", "points", None) in said(examination)


def test_k6_finds_a_hidden_shift_by_the_streets(tmp_path: Path) -> None:
    made = make(FIRST * 3)
    facts = made.facts()
    xy = np.array([[float(p["Y坐标"]), float(p["X坐标"])] for p in made.points])
    lon, lat = crs.convert(xy[:, 0], xy[:, 1], crs.declare(CRS))
    for plain in (True, False):
        x, y = (lon, lat) if plain else wgs84_to_gcj02(lon, lat)
        for row, a, b in zip(made.points, x, y, strict=True):
            row["Y坐标"], row["X坐标"] = f"{a:.9f}", f"{b:.9f}"
        rules = {r for r, _, _ in said(examined(made, tmp_path, facts, datum="CGCS2000"))}
        assert ("K6" in rules) is not plain
    assert "K6" in {r for r, _, _ in said(examined(made, tmp_path, facts, datum="GCJ-02"))}


def test_k7_a_height_datum_of_its_own(tmp_path: Path) -> None:
    made = make(FIRST)
    declared = Facts(**(vars(made.facts()) | {"heights": "北京地方高程"}))
    assert said(examined(made, tmp_path, declared)) == {("K7", "points", None)}

    class Higher(Plane):
        def sample_m(self, lon: Any, lat: Any) -> Any:
            return super().sample_m(lon, lat) + 2.0

    shifted = Facts(**(vars(made.facts()) | {"elevation": Higher()}))
    assert said(examined(made, tmp_path, shifted)) == {("K7", "points", None)}


def drawn(made: Made, folder: Path, bend: dict[int, list[tuple[float, float]]]) -> Examination:
    """The survey as GeoJSON whose lines have shapes; those in `bend` other ones, from their starts."""
    import geopandas as gpd

    points, lines = made.frames()
    xy = {p["物探点号"]: (float(p["Y坐标"]), float(p["X坐标"])) for p in made.points}
    shapes = []
    for i, row in enumerate(made.lines):
        (x0, y0), end = xy[row["起点点号"]], xy[row["终点点号"]]
        path = [(x0 + dx, y0 + dy) for dx, dy in bend.get(i, [])]
        shapes.append(shapely.LineString([(x0, y0), *path, end] if i not in bend else path))
    dots = [shapely.Point(xy[n]) for n in points["物探点号"]]
    gpd.GeoDataFrame(points, geometry=dots, crs=CRS).to_file(folder / "s.gpkg", layer="points")
    gpd.GeoDataFrame(lines, geometry=shapes, crs=CRS).to_file(folder / "s.gpkg", layer="lines")
    return examine(read_survey(folder / "s.gpkg", datum=None, owner="A"), made.facts())


def test_l8_and_l9_look_at_shapes(tmp_path: Path) -> None:
    made = make(FIRST)
    twisted = [(0, 0), (20, 1), (20, -1), (10, 2), (40, 0)]
    off = [(0.2, 0), (40, 0)]
    examination = drawn(made, tmp_path, {5: twisted, 40: off})
    assert said(examination) == {("L8", "lines", 6), ("L9", "lines", 41)}
    assert examination.skipped == {}


def test_t1_lets_a_sewer_begin_at_a_manhole_and_end_nowhere(tmp_path: Path) -> None:
    made = make(FIRST)
    last = made.point("WS", 0, 24)
    made.points[last] |= {"特征": "", "附属物": "检查井"}
    found = said(examined(made, tmp_path))
    assert ("T1", "points", last + 1) in found
    assert ("T1", "points", made.point("WS", 0, 0) + 1) not in found


def test_t7_allows_a_smaller_pipe_at_a_steepening(tmp_path: Path) -> None:
    made = make(FIRST)
    with_size = {"管径或断面尺寸": "500"}
    made.new_island()
    wells = [(0, 0, 2.0, "检查井"), (40, 0, 2.2, "检查井")]
    found = made.add_island("YS", wells)
    out = made.add_island("YS", [(80, 0, 3.2, "出水口")])
    made.add_line("YS", found[1], out[0], **with_size)
    assert said(examined(made, tmp_path)) == set()


def test_l1_knows_a_point_of_another_class(tmp_path: Path) -> None:
    made = make(FIRST)
    line = made.line("JP", 0, 23)
    made.lines[line]["终点点号"] = made.points[made.point("TR", 0, 24)]["物探点号"]
    found = [i for i in examined(made, tmp_path).problems if i.rule == "L1"]
    assert [i.row for i in found] == [line + 1]
    assert "gas" in found[0].en


def test_c1_asks_for_more_cover_under_a_carriageway(tmp_path: Path) -> None:
    made = make(FIRST)
    made.new_island()
    made.add_island("WS", [(0, 0, 1.05, "检查井"), (40, 0, 1.25, "出水口")])
    facts = made.facts()
    assert {r for r, _, _ in said(examined(made, tmp_path, facts))} == {"C3"}
    everywhere = Facts(**(vars(facts) | {"carriageways": np.array([facts.area], object)}))
    assert ("C1", "lines", len(made.lines)) in said(examined(made, tmp_path, everywhere))


def test_ten_percent_broken_rows_are_a_report(tmp_path: Path) -> None:
    made = make(FIRST * 3)
    points, lines = made.write_csv(tmp_path)
    text = points.read_text("utf-8").splitlines()
    random = np.random.default_rng(8)
    broken = random.choice(np.arange(1, len(text)), len(text) // 10, replace=False)
    for i in broken:
        text[i] = random.choice([text[i][:30], "垃圾", text[i] + ",多,余", "\ufffd" * 9 + text[i]])
    points.write_text("\n".join(text), "utf-8")
    examination = examine(read_survey(points, lines, datum=CRS, owner="A"), made.facts())
    told = {i.row for i in examination.problems if i.table == "points"}
    assert set((broken).tolist()) <= told
    assert examination.faulty


def test_an_examination_of_nothing_says_so(tmp_path: Path) -> None:
    for name in ("p.csv", "l.csv"):
        pd.DataFrame({"a": [], "b": []}).to_csv(tmp_path / name, index=False)
    examination = examine(read_survey(tmp_path / "p.csv", tmp_path / "l.csv", datum=CRS, owner="A"))
    assert {i.rule for i in examination.problems} == {"A1"}
    assert examination.faulty
