"""Foreign column names: found whatever their case, width and language, and each only once."""

from __future__ import annotations

import pytest

from gis_core.ingest.columns import accepted_names, fold, match, targets
from gis_core.spec import Layer


@pytest.mark.parametrize(
    "headers",
    [
        ["code", "pipe_class", "diameter_mm"],
        ["GXBH", "gxlx", "Gj"],
        ["管段编号", " 管类 ", "管 径"],
        ["ＧＸＢＨ", "Pipe Class", "DIAMETER-MM"],
        ["\ufeff管线编号", "管线类型", "dn"],
        ["Segment code", "Class", "diameter_m"],
    ],
)
def test_a_field_is_found_under_all_its_names(all_layers: dict[str, Layer], headers: list[str]) -> None:
    plan = match(all_layers["pipe_segments"], headers)
    assert {k: plan.columns[k] for k in ("code", "pipe_class", "diameter_mm")} == dict(
        zip(("code", "pipe_class", "diameter_mm"), headers, strict=True)
    )
    assert plan.unused == ()


def test_the_fields_own_name_goes_before_an_alias_and_no_column_counts_twice(all_layers: dict[str, Layer]) -> None:
    plan = match(all_layers["pipe_segments"], ["dn", "diameter_mm", "code", "管段编号", "fid", "remark"])
    assert plan.columns["diameter_mm"] == "diameter_mm"
    assert plan.unused == ("dn", "管段编号", "remark")
    assert len(set(plan.columns.values())) == len(plan.columns)


def test_names_that_a_dbase_table_cut_are_found(all_layers: dict[str, Layer]) -> None:
    layer = all_layers["pipe_segments"]
    cut = [name.encode()[:10].decode() for name in ("start_depth_m", "end_depth_m", "built_year")]
    assert set(match(layer, cut).columns) == {"start_depth_m", "end_depth_m", "built_year"}
    assert match(layer, ["管段编", "起点埋"]).columns == {"code": "管段编", "start_depth_m": "起点埋"}


def test_required_fields_without_a_default_are_missed(all_layers: dict[str, Layer]) -> None:
    plan = match(all_layers["charging_piles"], ["power_kw"])
    assert [t.name for t in plan.missing] == ["serial"]
    assert {t.name for t in plan.written} == {"kind", "power_kw"}


def test_every_layer_can_be_filled_from_a_file_with_its_own_names(all_layers: dict[str, Layer]) -> None:
    for layer in all_layers.values():
        plan = match(layer, list(layer.fields))
        assert plan.columns == {name: name for name in layer.fields}
        assert not plan.missing
        for target in targets(layer):
            assert {fold(n) for n in accepted_names(layer, target.name)} >= {fold(target.field.label.zh)}
