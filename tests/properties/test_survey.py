"""Whatever is thrown at the survey: a report, never a trace; what is read comes back; rules do not mind the order."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gis_core.errors import Unprocessable
from tests.survey_maker import CRS, make
from twin.survey import Facts, Table, examine, mapping, read_survey, spreadsheet
from twin.survey.fields import BY_TABLE
from twin.survey.findings import ERROR

QUICK = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
LIKELY = st.sampled_from(
    ["JP000001", "给水", "YS", "300", "1200X800", "1.5", "-3", "", " ", "=1+1", "1e400", "2024-01-01", "９", "\ufffd",
     "检查井", "阀门", "4395000", "440000", "nan", "39440000", "0", "混凝土", "{}", "{0.__class__}"]
)  # fmt: skip
CELLS = st.one_of(LIKELY, st.text(max_size=12), st.floats().map(str), st.integers().map(str))
STARTS = [b"", b"PK\x03\x04", b"SQLite format 3\0" + bytes(52) + b"GPKG", b"  0\nSECTION\n", b"\x03\x7e\x0b\x16", b"{"]
ENDINGS = ["xlsx", "xls", "csv", "txt", "dbf", "zip", "gpkg", "geojson", "dxf", "shp", "parquet", "pdf", ""]
FIELDS = {table: [f.label.zh for f in BY_TABLE[table]] for table in Table}
MADE = make(185).frames()


@QUICK
@given(start=st.sampled_from(STARTS), rest=st.binary(max_size=200), ending=st.sampled_from(ENDINGS))
def test_any_bytes_are_a_report(start: bytes, rest: bytes, ending: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"s.{ending}"
        path.write_bytes(start + rest)
        examination = examine(read_survey(path, datum=CRS, owner="A"))
        assert examination.faulty
        json.dumps(examination.as_json())


@QUICK
@given(data=st.data())
def test_any_cells_are_a_report(data: st.DataObject) -> None:
    frames = {}
    for table in Table:
        columns = data.draw(st.lists(st.sampled_from(FIELDS[table]), min_size=2, unique=True))
        rows = data.draw(st.lists(st.lists(CELLS, min_size=len(columns), max_size=len(columns)), max_size=6))
        frames[table] = pd.DataFrame(rows, columns=columns)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{table}.csv" for table in Table]
        for path, frame in zip(paths, frames.values(), strict=True):
            path.write_bytes(frame.to_csv(index=False).encode("utf-8", "replace"))
        examination = examine(read_survey(*paths, datum=CRS, owner="A"), Facts(bounds=(115, 39, 118, 41)))
        report = json.loads(json.dumps(examination.as_json()))
        examination.geojson()
        examination.to_excel(Path(folder) / "out.xlsx")
    assert report["problems_total"] == len(examination.problems)
    assert report["errors"] == sum(i.severity == ERROR for i in examination.problems)
    for table in Table:
        bad = {i.row for i in examination.problems if i.table == table and i.row and i.severity == ERROR}
        frame = examination.net.points if table is Table.points else examination.net.lines
        assert set(frame["row"][examination.bad_rows(table)]) == bad


@QUICK
@given(
    rows=st.lists(st.integers(0, len(MADE[0]) - 1), max_size=5, unique=True),
    header=st.sampled_from(list(MADE[0].columns)),
    cell=CELLS,
)
def test_a_spoilt_cell_never_spoils_the_reading(rows: list[int], header: str, cell: str) -> None:
    points, lines = MADE[0].copy(), MADE[1]
    points.loc[rows, header] = cell.replace("\0", "")
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder) / "p.csv", Path(folder) / "l.csv"
        for path, frame in zip(paths, (points, lines), strict=True):
            path.write_bytes(frame.to_csv(index=False).encode("utf-8", "replace"))
        survey = read_survey(*paths, datum=CRS, owner="A")
    assert len(survey.points) <= len(points) + len(rows)
    others = ~survey.points["row"].isin([r + 1 for r in rows])
    if len(survey.points) == len(points):
        assert (survey.points["point_no"][others] == points["物探点号"][others.to_numpy()].to_numpy()).all()
    examine(survey)


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=20).map(str.strip)


@QUICK
@given(
    cells=st.lists(
        st.tuples(TEXTS, st.floats(-1e9, 1e9).map(lambda v: round(v, 3)), st.integers(0, 10**12)),
        min_size=1,
        max_size=30,
    )
)
def test_a_workbook_gives_back_what_it_was_given(cells: list[tuple[str, float, int]]) -> None:
    from twin.survey import workbook

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "o.xlsx"
        spreadsheet.write(path, [("表", ["道路名称", "X坐标", "用户数"], ((list(row), "") for row in cells))])
        (raw,) = workbook.read(path)
    said, east, users = (column.to_pylist() for column in raw.columns.values())
    assert east == [row[1] for row in cells]
    assert users == [float(row[2]) for row in cells]
    legal = [spreadsheet._ILLEGAL.sub("", row[0]) for row in cells]
    assert [(s or "").strip() for s in said] == [text.strip() for text in legal]


@QUICK
@given(order=st.permutations(range(len(MADE[1]))), flips=st.integers(0, 2**20))
def test_rules_do_not_mind_the_order_of_rows(order: list[int], flips: int) -> None:
    points, lines = MADE[0].copy(), MADE[1].copy()
    lines.loc[5, "终点高程"] = "9"
    lines.loc[9, "终点点号"] = "没有"
    points.loc[3, "密级"] = ""
    points = points.sample(frac=1, random_state=flips)
    mixed = lines.iloc[list(order)]
    found = []
    for p, q in ((MADE[0].assign(密级=points["密级"].sort_index()), lines), (points, mixed)):
        with tempfile.TemporaryDirectory() as folder:
            paths = Path(folder) / "p.csv", Path(folder) / "l.csv"
            p.to_csv(paths[0], index=False)
            q.to_csv(paths[1], index=False)
            examination = examine(read_survey(*paths, datum=CRS, owner="A"))
        numbers: dict[str, Any] = {
            "points": p["物探点号"].to_numpy(),
            "lines": (q["起点点号"] + q["终点点号"]).to_numpy(),
        }
        # A part without a source is told at its first row, which is another one in another order.
        told = [i for i in examination.problems if i.rule != "T4"]
        found.append(sorted((i.rule, "" if i.row is None else numbers[i.table][i.row - 1]) for i in told))
    assert found[0] == found[1]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["north", "X", "point_no"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["columns", "column", "field", "X"]), inner)
    ),
    max_leaves=8,
)


@QUICK
@given(given_=st.dictionaries(st.sampled_from(["columns", "X", "Y", "点号"]), JSON, max_size=3))
def test_any_mapping_is_read_or_refused(given_: dict[str, Any]) -> None:
    columns = ["点号", "X", "Y", "高程"]
    try:
        found = mapping.apply(Table.points, columns, given_)
    except Unprocessable as error:
        problems = error.problems
        found = None
    if found is None:
        assert problems
        return
    assert set(found.columns.values()) | set(found.unused) == set(columns)
    assert mapping.apply(Table.points, columns, json.loads(json.dumps(found.as_json()))).columns == found.columns


@pytest.mark.parametrize("table", list(Table))
def test_every_known_header_finds_its_field(table: Table) -> None:
    from twin.survey.fields import headers

    for name, options in headers(table).items():
        for option in options[:-1]:
            assert name in mapping.find(table, [option]).columns, option


def test_the_same_survey_gives_the_same_report_twice() -> None:
    reports = []
    for _ in range(2):
        with tempfile.TemporaryDirectory() as folder:
            made = make(185)
            made.lines[4]["终点高程"] = "1"
            examination = examine(read_survey(*made.write_csv(Path(folder)), datum=CRS, owner="A"), made.facts())
            reports.append(json.dumps(examination.as_json()))
    assert reports[0] == reports[1]
