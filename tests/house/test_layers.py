"""The rules every layer keeps; a new layer is tested the moment its file exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

import layers
from gis_core import basemap, scene
from gis_core.access import PUBLIC, RIGHTS, Role, Viewer, hidden, may_read, owned, visible
from gis_core.errors import Forbidden
from gis_core.secrecy import LEVELS
from gis_core.spec import Layer
from gis_core.style import Basemap, By, colour_of

KNOWN = layers.load()
FILES = {p.stem for p in Path(layers.__file__).parent.glob("*.py") if not p.stem.startswith("_")}
ALL_RIGHTS = frozenset().union(*RIGHTS.values())
each = pytest.mark.parametrize("layer", KNOWN.values(), ids=KNOWN.keys())


def test_every_file_is_one_layer_of_its_own_name() -> None:
    assert set(KNOWN) == FILES


@each
def test_people_can_read_its_names_in_both_languages(layer: Layer) -> None:
    labels = [layer.title, layer.group.label, *(f.label for f in layer.fields.values())]
    labels += [m.label for m in layer.measures]
    labels += [c.label for name in layer.fields for c in layer.codes(name) or ()]
    for label in labels:
        assert re.search(r"[\u4e00-\u9fff]|OSM", label.zh), label
        assert label.en, label
        assert label.en.isascii(), label


@each
def test_it_has_one_key_that_is_always_there(layer: Layer) -> None:
    keys = [name for name, f in layer.fields.items() if f.key]
    assert len(keys) == 1
    assert not layer.model.__table__.c[keys[0]].nullable
    assert layer.model.__table__.c[keys[0]].unique


@each
def test_the_gate_reads_null_where_a_column_is_hidden(layer: Layer) -> None:
    for role in Role:
        viewer = Viewer(role)
        if not may_read(layer, viewer):
            with pytest.raises(Forbidden):
                visible(layer, viewer)
            continue
        sql = str(sa.select(visible(layer, viewer)).compile(dialect=postgresql.dialect()))
        for name in hidden(layer, viewer):
            assert f"{layer.name}.{name} AS" not in sql
            assert f"{layer.name}.{name}," not in sql.partition("FROM")[2]
            assert re.search(rf"CAST\(NULL AS [A-Z0-9() ]+\) AS {name}\b", sql)


OWNED = {name: layer for name, layer in KNOWN.items() if layer.access.owner is not None}


@pytest.mark.parametrize("layer", OWNED.values(), ids=OWNED.keys())
def test_an_owner_sees_its_own_rows_only(layer: Layer) -> None:
    sql = str(visible(layer, Viewer(Role.utility, owner="A")).compile(dialect=postgresql.dialect()))
    assert f"WHERE {layer.name}.{owned(layer)} = " in sql


@each
def test_its_marks_of_secrecy_are_those_that_clearances_know(layer: Layer) -> None:
    if layer.access.secrecy is None:
        assert not any(measure.presence for measure in layer.measures)
        return
    codes = layer.codes(layer.access.secrecy.key)
    assert codes is not None
    assert tuple(code.name for code in codes) == LEVELS
    assert any(measure.presence for measure in layer.measures), "others are told that something is there"


@each
def test_the_rights_it_asks_for_exist(layer: Layer) -> None:
    assert {layer.access.read, *layer.access.hide.values()} <= ALL_RIGHTS
    assert layer.access.write in ALL_RIGHTS


@each
def test_what_its_style_needs_travels_in_its_tiles(layer: Layer) -> None:
    carried = {a.key for a in layer.tile_fields} if layer.tile_fields is not None else set(layer.fields)
    for name, attribute in vars(layer.style).items():
        if name == "colour" and isinstance(attribute, By):
            assert attribute.field in carried
        elif hasattr(attribute, "key"):
            assert attribute.key in carried
    assert not any(layer.fields[name].live for name in carried if layer.tile_fields is not None)


@each
def test_it_appears_from_far_to_near(layer: Layer) -> None:
    zooms = [a.zoom for a in layer.appears]
    assert zooms == sorted(set(zooms))
    assert zooms[-1] <= scene.MAX_TILE_ZOOM
    assert layer.appears[-1].where is None, "close enough, everything is shown"


@each
def test_it_can_be_drawn_and_its_legend_tells_the_same_colours(layer: Layer) -> None:
    colour = colour_of(layer.style)
    rows = scene.legend(layer)
    assert [r["colour"] for r in rows] == ([c.colour for c in colour.codes] if isinstance(colour, By) else [colour])
    assert all(re.fullmatch(r"#[0-9a-f]{6}", str(r["colour"])) for r in rows)
    url = f"/{layer.name}/{{z}}/{{y}}/{{x}}"
    if isinstance(layer.style, Basemap):
        drawn = basemap.style([(layer, url)])
        assert any(entry.get("source") == layer.name for entry in drawn["layers"])
        assert "glyphs" not in drawn
    else:
        composed = scene.compose(scene.Camera(116.3, 39.7, 11), "/api/styles/dark", [(layer, url)])
        entry = next(e for e in composed["layers"] if e["id"] == layer.name)
        assert entry["data"] == url
        assert entry["beforeId"] == scene.LABELS_FROM


@each
def test_its_measures_have_distinct_names_and_a_value_where_one_is_combined(layer: Layer) -> None:
    names = [m.name for m in layer.measures]
    assert names, "a hexagon view needs at least one measure"
    assert len(names) == len(set(names))
    for measure in layer.measures:
        assert (measure.value is None) == (measure.combine.value == "count")
        assert not measure.presence or measure.combine.value in {"count", "sum"}


@each
def test_no_foreign_column_name_means_two_things(layer: Layer) -> None:
    meanings: dict[str, str] = {name.casefold(): name for name in layer.fields}
    for attribute, aliases in layer.ingest.aliases.items():
        for alias in aliases:
            assert meanings.setdefault(alias.casefold(), attribute.key) == attribute.key, alias


def test_the_public_sees_no_pipes_and_no_cameras() -> None:
    unseen = {name for name, layer in KNOWN.items() if not may_read(layer, PUBLIC)}
    assert unseen == {"pipe_points", "pipe_segments", "cameras"}
