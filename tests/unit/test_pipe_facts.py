"""What made pipes say of themselves: levels, codes, wells, valves, pressures and customers that agree."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pandas as pd
import pytest

from data import codes
from data.makers import pipe_facts, pipe_routes, pipes
from data.makers.pipe_kinds import KINDS
from gis_core.spec import Layer
from tests.unit.test_makers import GRAVITY, networks, site

PRESSURE = sorted(set(KINDS) - GRAVITY)
VALVED = ("water", "gas", "heat", "industrial")
each = pytest.mark.parametrize("name", KINDS)


def at_ends(name: str, column: str) -> tuple[np.ndarray, np.ndarray]:
    """A column of the points at each segment's start and end."""
    network = networks()[name]
    known = network.points.set_index("code")[column]
    return tuple(known.loc[network.segments[f"{end}_point"]].to_numpy() for end in ("start", "end"))


@each
def test_levels_are_ground_less_depth(name: str) -> None:
    segments = networks()[name].segments
    for end, ground in zip(("start", "end"), at_ends(name, "ground_m"), strict=True):
        assert np.allclose(ground - segments[f"{end}_depth_m"], segments[f"{end}_level_m"], atol=0.002)
    assert set(segments["depth_reference"]) == {"crown"}
    if name in GRAVITY:
        assert set(segments["flow"]) == {"forward"}
        assert (segments["start_level_m"] - segments["end_level_m"] > -0.003).all()
    else:
        assert "flow" not in segments


@each
def test_values_are_such_as_the_layers_take(name: str, all_layers: dict[str, Layer]) -> None:
    for layer, frame in (("pipe_points", networks()[name].points), ("pipe_segments", networks()[name].segments)):
        for column in set(frame.columns) - {"shape"}:
            known, values = all_layers[layer].fields[column], frame[column].dropna()
            if known.within:
                assert values.astype(float).between(*known.within).all(), column
            if listed := all_layers[layer].codes(column):
                assert set(values) <= set(listed.__members__), column
            if known.pattern:
                assert values.str.fullmatch(known.pattern).all(), column


@each
def test_codes_agree_with_classes_and_kinds(name: str) -> None:
    network = networks()[name]
    for frame in (network.points, network.segments):
        assert {codes.minor_classes()[letters].pipe_class for letters in frame["subclass"]} == {name}
    for frame, shape in ((network.points, "point"), (network.segments, "line")):
        for letters, code in frame[["subclass", "feature_code"]].dropna().itertuples(index=False):
            known = codes.feature_codes()[code]
            assert (known.minor, known.shape) == (letters, shape)
    for kind, code in network.points[["kind", "feature_code"]].dropna().itertuples(index=False):
        said = codes.point_kinds()[codes.feature_codes()[code].name].kind
        assert said == kind
    catalogued = name in GRAVITY | {"water"}
    assert network.segments["feature_code"].notna().all() == catalogued


@each
def test_wells_are_deeper_than_every_pipe_in_them(name: str) -> None:
    segments, points = networks()[name].segments, networks()[name].points
    for end, depth in zip(("start", "end"), at_ends(name, "well_depth_m"), strict=True):
        bottom = segments[f"{end}_depth_m"] + segments["diameter_mm"] / 1000
        assert (np.isnan(depth) | (depth > bottom)).all()
    wells = points.dropna(subset="well_depth_m")
    assert np.allclose(wells["ground_m"] - wells["well_depth_m"], wells["invert_m"], atol=0.002)
    assert points.loc[points["kind"].isin(["manhole", "valve"]), "well_depth_m"].notna().all()


@pytest.mark.parametrize("name", VALVED)
def test_valves_stand_between_two_pipes_and_leave_nobody_dry(name: str) -> None:
    segments, points = networks()[name].segments, networks()[name].points.set_index("code")
    graph = nx.Graph(list(zip(segments["start_point"], segments["end_point"], strict=True)))
    valves = points[points["kind"] == "valve"]
    assert len(valves)
    assert {graph.degree(code) for code in valves.index} == {2}
    others = points[points["kind"] != "valve"]
    for column in ("valve_open", "operable", "accessible"):
        assert valves[column].isin([True, False]).all()
        assert others[column].isna().all()
    sources = set(points.index[points["kind"] == "source"])
    graph.remove_nodes_from(valves.index[valves["valve_open"] == False])  # noqa: E712  a column of objects
    supplied = set().union(*(nx.node_connected_component(graph, source) for source in sources))
    assert supplied == set(graph)


def test_some_valves_are_closed_stuck_or_buried() -> None:
    valves = pd.concat([n.points[n.points["kind"] == "valve"] for n in networks().values()])
    for column, share in (("valve_open", 0.05), ("operable", 0.08), ("accessible", 0.08)):
        wrong = (valves[column] == False).mean()  # noqa: E712
        assert 0 < wrong < share, column


@pytest.mark.parametrize("name", PRESSURE)
def test_pipes_end_where_somebody_is_served(name: str) -> None:
    segments, points = networks()[name].segments, networks()[name].points.set_index("code")
    graph = nx.Graph(list(zip(segments["start_point"], segments["end_point"], strict=True)))
    ends = [code for code in graph if graph.degree(code) == 1]
    assert set(points.loc[ends, "kind"]) <= {"entry", "transformer", "cabinet", "source", "regulator"}
    if name in VALVED:
        assert all(graph.degree(c) == 3 for c in points.index[points["kind"] == "tee"])
        assert all(graph.degree(c) > 3 for c in points.index[points["kind"] == "cross"])


def test_every_household_is_served_once() -> None:
    people = site()[0].people.sum()
    for name, habit in pipe_facts.HABITS.items():
        points = networks()[name].points
        if not habit.households:
            assert "customers" not in points
            continue
        assert (points["customers"].dropna() > 0).all()
        assert 0 < points["customers"].sum() <= people * habit.households / 2.7 + 1
    water = networks()["water"].points
    assert water["customers"].sum() == pytest.approx(people / 2.7, rel=0.01), "all streets have water"
    assert (water["demand_m3h"].notna() == water["customers"].notna()).all()


def test_houses_hang_on_meters_and_tees_rather_than_on_valves() -> None:
    gas = networks()["gas"].points
    each_kind = gas["customers"].fillna(0).groupby(gas["kind"]).mean()
    assert each_kind["valve"] < 0.2 * each_kind["tee"]
    heat = networks()["heat"].points
    assert heat.loc[heat["kind"] == "entry", "customers"].mean() > 0


def test_gas_changes_its_pressure_at_regulators_only() -> None:
    town, heights = site()
    crowded = pipe_routes.Site(
        town.graph, town.people * 8, town.node_height_m, town.centre, town.latitude, town.seed
    )  # fmt: skip
    gas = next(n for n in pipes.make_pipes(crowded, heights) if n.segments["pipe_class"].iloc[0] == "gas")
    segments, points = gas.segments, gas.points.set_index("code")
    both = pd.concat([segments.set_index(f"{end}_point")["pressure_class"] for end in ("start", "end")])
    change = both.groupby(level=0).nunique()
    kinds = points.loc[change.index[change > 1], "kind"]
    assert set(kinds) <= {"regulator", "source"}
    assert set(points.index[points["kind"] == "regulator"]) <= set(kinds.index)
    assert set(segments["pressure_class"]) == {"medium_a", "medium_b"}
    by_class = segments.groupby("pressure_class")["pressure_mpa"].agg(["min", "max"])
    assert by_class.loc["medium_b", "max"] <= 0.2 < by_class.loc["medium_a", "min"] <= 0.4


def test_cables_fit_into_their_holes() -> None:
    for name in ("power", "telecom"):
        segments = networks()[name].segments
        assert (segments["holes_used"] <= segments["hole_count"]).all()
        assert (segments["holes_used"] >= 1).all()
        assert ("voltage_kv" in segments) == (name == "power")
    assert set(networks()["power"].segments["voltage_kv"]) <= {10.0, 35.0}


def test_channels_are_as_wide_as_they_say() -> None:
    segments = networks()["combined"].segments
    square = segments["section"] == "rectangular"
    assert (segments["diameter_mm"] > 600).equals(square)
    assert segments.loc[square, "width_mm"].equals(segments.loc[square, "diameter_mm"])
    assert segments.loc[~square, "width_mm"].isna().all()
