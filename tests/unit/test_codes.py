"""The code tables of pipeline surveys: whole, of known origin, and never mixed up with one another."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from data import codes
from gis_core.spec import Layer
from layers._pipes import LAYING_WORDS, WORDS, Laying, PipeClass, Status
from layers.pipe_points import PointKind

TABLES = {
    "classes": codes.minor_classes, "features": codes.feature_codes, "kinds": codes.point_kinds,
    "materials": codes.materials, "layings": codes.layings, "statuses": codes.statuses,
}  # fmt: skip


@pytest.mark.parametrize("name", [*TABLES, "appurtenances"])
def test_every_row_says_where_it_was_read(name: str) -> None:
    rows = list(TABLES[name]().values()) if name in TABLES else codes.appurtenances()
    assert rows
    for row in rows:
        origin = row.origin
        assert origin.grade in {"V", "M"}
        assert origin.verified == (origin.grade == "V")
        assert origin.standard
        assert origin.source
        assert not origin.verified or (origin.edition and origin.clause)
        for field in fields(row):
            value = getattr(row, field.name)
            assert not isinstance(value, str) or value == value.strip()


def test_the_catalogue_has_the_form_that_the_expression_says() -> None:
    catalogue = codes.feature_codes()
    assert len(catalogue) == 375
    for code, known in catalogue.items():
        assert codes.has_form(code), code
        assert codes.catalogued(code)
        minor = codes.minor_of(code)
        assert (minor.letters if minor else "") == known.minor
        assert minor is None or minor.major == known.major
        assert (known.shape == "point") == (known.role != "")
    assert catalogue["51021000"].shape == "line"
    assert (catalogue["52012204"].name, catalogue["52012204"].role) == ("雨水箅", "appurtenance")
    assert (catalogue["52012105"].name, catalogue["52012105"].role) == ("出水口", "feature")
    assert catalogue["51013000"].shape == "area"


@pytest.mark.parametrize("code", [
    "", "5102100", "510210000", "61021000", "59021000", "50021000", "51024000", "51022401", "51021101", "51020100",
    "5102100O", "５１０２１０００", " 51021000", "51021000\n",
])  # fmt: skip
def test_what_is_no_feature_code(code: str) -> None:
    assert not codes.has_form(code)
    assert codes.minor_of(code) is None
    assert not codes.catalogued(code)


def test_codes_of_classes_that_could_not_be_read_have_the_form_only() -> None:
    assert codes.has_form("53032203")
    assert not codes.catalogued("53032203")
    assert codes.minor_of("53032203") == codes.minor_classes()["TR"]


def test_letters_that_mean_two_things_are_kept_apart() -> None:
    minors, materials, layings = codes.minor_classes(), codes.materials(), codes.layings()
    assert (minors["ZS"].zh, materials["ZS"].zh) == ("中水", "砖石")
    assert (minors["GG"].zh, layings["GG"].zh) == ("广告", "管沟")
    assert (minors["ZH"].zh, layings["ZH"].zh) == ("综合管沟", "综合管廊")
    assert (materials["G"].zh, materials["GX"].zh) == ("钢", "光纤")
    assert (WORDS["ZS"], WORDS["GG"], WORDS["ZH"]) == (PipeClass.water, PipeClass.power, PipeClass.other)
    assert (LAYING_WORDS["GG"], LAYING_WORDS["ZH"]) == (Laying.trench, Laying.gallery)
    assert "PS" not in WORDS, "drainage may be storm water, sewage or both"


def test_minor_classes_are_numbered_within_their_major_class() -> None:
    minors = list(codes.minor_classes().values())
    assert len({(m.digit, m.digits) for m in minors}) == len(minors) == 37
    assert {m.major for m in minors} == {"JS", "PS", "RQ", "RL", "DL", "TX", "GY", "QT"}
    assert {m.pipe_class for m in minors} == set(PipeClass.__members__)
    assert codes.minor_classes()["HS"].rgb == (76, 57, 38)


def test_tables_and_code_lists_of_the_layers_have_the_same_members() -> None:
    assert {known.name for known in codes.layings().values()} == set(Laying.__members__)
    assert {known.name for known in codes.statuses().values()} == set(Status.__members__)
    assert {known.kind for known in codes.point_kinds().values()} == set(PointKind.__members__)
    allowed = frozenset().union(*(m.pipe_classes for m in codes.materials().values()))
    assert allowed <= set(PipeClass.__members__)
    assert codes.materials()["ZT"].pipe_classes == {"water"}
    assert not {"heat", "industrial"} & codes.materials()["PE"].pipe_classes


def test_every_word_of_a_catalogue_has_a_kind() -> None:
    words = codes.point_kinds()
    for known in codes.feature_codes().values():
        if known.shape == "point":
            assert words[known.name].role == known.role
    for known in codes.appurtenances():
        assert known.name in words
        assert known.asks in {"", "well_depth_m", "depth_m", "height_m"}
        assert not known.origin.verified, "a local scheme of old may only warn"


def test_a_vent_is_no_valve_to_close() -> None:
    kinds = {word: known.kind for word, known in codes.point_kinds().items()}
    assert kinds["阀门井"] == "valve"
    assert {kinds[word] for word in ("排气阀", "排污阀", "止回阀")} == {"other"}


def test_the_layers_take_the_code_form_as_their_pattern(all_layers: dict[str, Layer]) -> None:
    for name in ("pipe_points", "pipe_segments"):
        pattern = all_layers[name].fields["feature_code"].pattern
        assert pattern == codes.FEATURE_CODE
        assert re.fullmatch(pattern or "", "52012204")
