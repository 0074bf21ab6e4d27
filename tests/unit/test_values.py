"""Foreign values: what becomes of text, numbers, yes and no, times and codes, and what is said of the others."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from gis_core import Codes
from gis_core.ingest.columns import Target, fold_word
from gis_core.ingest.values import check, convert, fill
from gis_core.model import Field, Label


class Colour(Codes):
    """A code list."""

    red = "红", "Red", "#ff0000"
    blue = "蓝", "Blue", "#0000ff"


WORDS = {fold_word(w): c.name for c in Colour for w in (c.name, c.label.zh, c.label.en)} | {"rot": "red", "无": "blue"}


def target(kind: pa.DataType, *, required: bool = False, codes: type[Codes] | None = None, **known: Any) -> Target:
    field = Field(Label("值", "Value"), **known)
    return Target("value", field, kind, required, None, indexed=False, longest=20, codes=codes, words=WORDS)


def read(given: Any, wanted: Target, zone: str = "UTC") -> tuple[list[Any], dict[str, list[int]]]:
    """The values, and the rows (from 0) of each fault."""
    array = given if isinstance(given, pa.Array) else pa.array(given)
    done = convert(array, wanted, zone)
    assert done.values.type == wanted.type
    assert len(done.values) == len(array)
    faults = {f.why: np.flatnonzero(f.mask).tolist() for f in done.faults if f.mask.any()}
    return done.values.to_pylist(), faults


@pytest.mark.parametrize(
    ("given", "values"),
    [
        (["1.5", " 2 ", "１２．５", "-3e2", ".5", "1,234.5", "+7"], [1.5, 2, 12.5, -300, 0.5, 1234.5, 7]),
        (["", None, "无", "NULL", "-", "NaN"], [None] * 6),
        (pa.array([1, None], pa.int16()), [1, None]),
        (pa.array([Decimal("1.5")]), [1.5]),
        (pa.array([True, False]), [1, 0]),
        (pa.array([float("nan"), 1.0]), [None, 1]),
        (pa.array(["7", "7"]).dictionary_encode(), [7, 7]),
        (pa.array(["1"], pa.large_string()), [1]),
        (pa.array([b"1"]), [1]),
        (pa.nulls(2), [None, None]),
    ],
)
def test_numbers_are_read_as_people_write_them(given: Any, values: list[Any]) -> None:
    assert read(given, target(pa.float64())) == (values, {})


def test_what_is_no_number_is_a_fault_with_its_row() -> None:
    values, faults = read(["DN300", "1", "1,2", "0x10", "1e9999", "٣"], target(pa.float64()))
    assert faults["is not a number"] == [0, 2, 3, 5]
    assert faults["is not a finite number"] == [4]
    assert values[1] == 1
    assert read(pa.array([float("inf")]), target(pa.float64()))[1] == {"is not a finite number": [0]}
    assert read(pa.array([date(2024, 1, 1)]), target(pa.float64()))[1] == {"is not a number": [0]}
    assert read([[1], None], target(pa.float64()))[1] == {"is a list or an object, not a single value": [0]}


def test_whole_numbers_stay_whole_and_in_range() -> None:
    whole = target(pa.int32())
    assert read(["12", "12.0", "-7"], whole) == ([12, 12, -7], {})
    assert read([1.0, float("nan")], whole) == ([1, None], {})
    assert read(["1.5", "1e3"], whole)[1] == {"is not a whole number": [0, 1]}
    assert read([1.5, float("inf"), 2.0**60], whole)[1] == {"is not a whole number": [0, 1, 2]}
    assert read(["2147483648", "-2147483649", "2147483647"], whole)[1] == {"is too large": [0, 1]}
    assert read(["9" * 40], whole)[1] == {"is not a whole number": [0]}
    assert read(pa.array([2**64 - 1, 5], pa.uint64()), target(pa.int64())) == ([None, 5], {"is too large": [0]})


def test_text_is_trimmed_valid_and_without_nul() -> None:
    text = target(pa.string())
    assert read([" 给水 ", "", "=1+1", "007"], text) == (["给水", None, "=1+1", "007"], {})
    assert read([110115.0, 1.5, float("nan")], text) == (["110115", "1.5", None], {})
    assert read([110115, None], text) == (["110115", None], {})
    assert read(["a\0b", "c"], text) == ([None, "c"], {"contains a NUL character": [0]})
    assert read([b"\xff\xfe", "好".encode()], text) == ([None, "好"], {"is not text in the file's encoding": [0]})
    assert read(["x" * 21, "好" * 20], text)[1] == {"is longer than 20 characters": [0]}


def test_yes_and_no_in_two_languages() -> None:
    assert read(["是", "否", "Y", "no", "1", "0", "", "TRUE"], target(pa.bool_())) == (
        [True, False, True, False, True, False, None, True],
        {},
    )
    assert read(["maybe"], target(pa.bool_()))[1] == {"is neither yes nor no": [0]}
    assert read([1, 0], target(pa.bool_())) == ([True, False], {})


def test_codes_by_name_label_and_foreign_word() -> None:
    wanted = target(pa.string(), codes=Colour)
    assert read(["红", "BLUE", "ｒｅｄ", " rot ", None, "无"], wanted) == (
        ["red", "blue", "red", "red", None, "blue"],
        {},
    )
    done = convert(pa.array(["green"]), wanted)
    (fault,) = done.faults
    assert fault.why == "is not a known code"
    assert "red (红)" in fault.hint


def test_times_hang_on_the_citys_clock() -> None:
    wanted = target(pa.timestamp("us", "UTC"))
    moment = datetime(2024, 7, 1, 0, 30, tzinfo=UTC)
    ways = [
        "2024-07-01 08:30",
        "2024/7/1 8:30",
        "2024年7月1日 8时30分",
        "2024-07-01T00:30:00Z",
        "2024-07-01T08:30+08:00",
    ]
    assert read(ways, wanted, "Asia/Shanghai") == ([moment] * 5, {})
    naive = pa.array([datetime(2024, 7, 1, 8, 30)])  # noqa: DTZ001  the case itself
    assert read(naive, wanted, "Asia/Shanghai") == ([moment], {})
    assert read(["yesterday", "2024-13-01", "2024-02-30"], wanted)[1] == {"is not a date and time": [0, 1, 2]}
    assert read(["20240701", "2024-7-1"], target(pa.date32())) == ([date(2024, 7, 1)] * 2, {})


def test_checks_name_what_is_missing_out_of_range_or_of_another_form() -> None:
    numbers = pa.array([1.0, 5.0, None, 9.0])
    wanted = target(pa.float64(), required=True, within=(2, 6), unit="m")
    assert {f.why: np.flatnonzero(f.mask).tolist() for f in check(numbers, wanted)} == {
        "is required": [2],
        "is not within 2 to 6 m": [0, 3],
    }
    (fault,) = check(pa.array(["12", "12x", None]), target(pa.string(), pattern=r"\d+"))
    assert np.flatnonzero(fault.mask).tolist() == [1]
    assert fill(pa.array([None, 2]), 7).to_pylist() == [7, 2]
