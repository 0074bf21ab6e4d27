"""EPANET models: made of our rows, read from files, there and back; pressure after closing; where a burst is likely."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import shapely

from gis_core import crs
from gis_core.errors import Unprocessable
from twin.pipes import epanet, hydraulics
from twin.pipes.frames import Frames
from twin.pipes.reading import Seen

METRIC = "EPSG:4548"


def street(**changes: dict[str, Any]) -> tuple[Seen, Seen]:
    """A source, two pipes, a valve between them, and a house that takes 36 m3 an hour; then a dead end."""
    points = [
        {"code": "水厂 1", "kind": "source", "ground_m": 40.0, "depth_m": 1.0},
        {"code": "V", "kind": "valve", "ground_m": 35.0, "depth_m": 1.0, "valve_open": True},
        {"code": "H", "kind": "entry", "ground_m": 30.0, "depth_m": 1.0, "demand_m3h": 36.0},
        {"code": "E", "kind": "cap", "ground_m": 30.0, "depth_m": 1.0},
    ]
    for point in points:
        point.update(changes.get(str(point["code"]), {}))
    names = [str(point["code"]) for point in points]
    pipes = [
        {
            "code": f"P{k}", "pipe_class": "water", "start_point": names[k], "end_point": names[k + 1],
            "diameter_mm": 200.0, "material": "球墨铸铁", "start_depth_m": 1.0, "end_depth_m": 1.0, "length_m": 100.0,
        }
        for k in range(3)
    ]  # fmt: skip
    places = [shapely.Point(500_000 + 100 * k, 4_400_000) for k in range(4)]
    lines = [shapely.LineString([places[k], places[k + 1]]) for k in range(3)]
    return (
        Seen(pd.DataFrame(points), np.array(places, dtype=object)),
        Seen(pd.DataFrame(pipes), np.array(lines, dtype=object)),
    )


def seen(frames: Frames, metric: str) -> tuple[Seen, Seen]:
    """Frames as a database would give them back."""
    parts = (frames.points, frames.segments)
    return tuple(
        Seen(pd.DataFrame(f.drop(columns="geometry")), crs.to_metric(f.geometry.to_numpy(), metric)) for f in parts
    )  # type: ignore[return-value]


def test_a_street_has_the_pressure_that_hazen_and_williams_say() -> None:
    """40 m above the ground at 40 m: 80 m. Lost on 100 m DN200, C 130, 10 l/s: 10.67 q^1.852 L / (C^1.852 d^4.871)."""
    model = epanet.model_of(*street())
    loss = 10.67 * 0.01**1.852 * 100 / (130**1.852 * 0.2**4.871)
    found = hydraulics.pressure_loss(model.network, [])
    heads = dict(zip(found.nodes, found.before_m, strict=True))
    assert heads[model.nodes["H"]] == pytest.approx(80 - 2 * loss - 29, abs=0.02)
    assert heads[model.nodes["V"]] == pytest.approx(80 - loss - 34, abs=0.02)
    assert not found.cut_off.any()


def test_names_that_epanet_cannot_hold_are_kept_as_tags() -> None:
    model = epanet.model_of(*street())
    assert model.nodes["水厂 1"] == "N1"
    assert model.network.get_node("N1").tag == "水厂%201"
    assert model.nodes["H"] == "H"


def test_a_closed_valve_cuts_off_what_lies_behind() -> None:
    model = epanet.model_of(*street(V={"valve_open": False}))
    assert "V: closed valve" in model.notes
    found = hydraulics.pressure_loss(model.network, [])
    cut = {name for name, off in zip(found.nodes, found.cut_off, strict=True) if off}
    assert cut == {"H", "E"}


def test_isolation_is_told_by_our_codes_and_the_model_is_left_as_it_was() -> None:
    model = epanet.model_of(*street())
    found = hydraulics.pressure_loss(model.network, ["P1"])
    rows = hydraulics.as_rows(found, model.nodes)
    assert {row["code"] for row in rows} == {"H", "E"}
    assert all(row["cut_off"] and row["after_m"] == 0 for row in rows)
    again = hydraulics.pressure_loss(model.network, [])
    assert again.after_m == pytest.approx(found.before_m)
    with pytest.raises(Unprocessable, match="no link 'nowhere'"):
        hydraulics.pressure_loss(model.network, ["nowhere"])


def test_a_part_without_a_source_gets_one_that_is_told() -> None:
    model = epanet.model_of(*street(**{"水厂 1": {"kind": "joint"}}))
    assert any("1 of 1 parts have no known source" in note for note in model.notes)
    assert model.network.num_reservoirs == 1
    assert not hydraulics.pressure_loss(model.network, []).cut_off.any()


def test_what_is_missing_is_missing_and_not_a_name() -> None:
    """Frames of a database hold NaN for what is not there: no valve is closed by it, and no two ends are joined."""
    points, segments = street(V={"valve_open": None})
    frame = segments.frame.astype({"start_point": "str", "end_point": "str"})
    frame["start_point"] = frame["start_point"].where(frame.index != 2)
    frame["end_point"] = frame["end_point"].where(frame.index != 2)
    model = epanet.model_of(points, Seen(frame, segments.shapes))
    assert not any("closed valve" in note for note in model.notes)
    assert "nan" not in model.nodes
    assert model.network.num_links == 4, "three pipes, and the feed of the part that is not joined"


def test_made_names_never_meet_real_ones() -> None:
    points, segments = street()
    frame = segments.frame.assign(start_point=["水厂 1", "N1", "H"], end_point=["N1", "H", "E"])
    model = epanet.model_of(points, Seen(frame, segments.shapes))
    assert len(set(model.nodes.values())) == len(model.nodes) == 4
    abandoned = Seen(frame.assign(status="abandoned"), segments.shapes)
    with pytest.raises(Unprocessable, match="out of use"):
        epanet.model_of(points, abandoned)


def test_no_water_is_said() -> None:
    points, segments = street()
    with pytest.raises(Unprocessable, match="no water pipes"):
        epanet.model_of(points, Seen(segments.frame.assign(pipe_class="gas"), segments.shapes))
    with pytest.raises(Unprocessable, match="no water pipes"):
        epanet.model_of(points, Seen(pd.DataFrame(), np.array([], dtype=object)))


def test_what_is_no_input_file_is_refused() -> None:
    with pytest.raises(Unprocessable):
        epanet.read_inp("[JUNCTIONS]\n 1 x y\n[PIPES]\n 1 2", METRIC, "W")
    parts = {
        "JUNCTIONS": "1 10",
        "RESERVOIRS": "2 50",
        "PIPES": "p 1 2 100 200 130",
        "OPTIONS": "UNITS LPS\n HEADLOSS H-W",
    }
    placeless = "".join(f"[{name}]\n {row}\n" for name, row in parts.items())
    with pytest.raises(Unprocessable, match="coordinates"):
        epanet.read_inp(placeless, METRIC, "W")


def test_a_street_comes_back_from_its_own_file() -> None:
    model = epanet.model_of(*street())
    frames = epanet.read_inp(epanet.as_inp(model), METRIC, "W")
    assert set(frames.points["code"]) == {"水厂 1", "W/V", "W/H", "W/E"}
    found = frames.segments.set_index("code")
    assert found["length_m"].tolist() == pytest.approx([100, 100, 100])
    assert found["diameter_mm"].tolist() == pytest.approx([200, 200, 200])
    house = frames.points.set_index("code").loc["W/H"]
    assert (house["kind"], house["demand_m3h"]) == ("entry", pytest.approx(36))
    assert house["ground_m"] - house["depth_m"] == pytest.approx(29)


@pytest.mark.shared
@pytest.mark.parametrize(("name", "nodes", "pipes"), [("Net3", 97, 119), ("ky4", 964, 1158)])
def test_a_real_network_goes_there_and_back(shared: Path, name: str, nodes: int, pipes: int) -> None:
    text = gzip.decompress((shared / "water" / f"{name}.inp.gz").read_bytes()).decode()
    original = epanet.read_model(text)
    # Its coordinates are feet of somewhere; Mercator takes any figures.
    frames = epanet.read_inp(text, "EPSG:3857", "W")
    assert (len(frames.points), len(frames.segments)) == (nodes, pipes)
    model = epanet.model_of(*seen(frames, "EPSG:3857"))
    again = epanet.read_model(epanet.as_inp(model))
    assert (again.num_nodes, again.num_links) == (nodes, pipes)
    for node_name, node in original.junctions():
        ours = again.get_node(model.nodes[f"W/{node_name}"])
        assert ours.elevation == pytest.approx(node.elevation, abs=0.01)
        assert ours.base_demand == pytest.approx(max(node.base_demand, 0), abs=1e-6)
    for link_name, pipe in original.pipes():
        ours = again.get_link(model.links[f"W/{link_name}"])
        assert ours.length == pytest.approx(pipe.length, abs=0.06)
        assert ours.diameter == pytest.approx(pipe.diameter, abs=1e-4)
        assert {ours.start_node_name, ours.end_node_name} == {
            model.nodes[f"W/{pipe.start_node_name}"], model.nodes[f"W/{pipe.end_node_name}"]
        }  # fmt: skip


@pytest.mark.shared
def test_a_burst_is_found_by_its_column_and_near_it_with_noise(shared: Path) -> None:
    network = epanet.read_model(gzip.decompress((shared / "water" / "ky4.inp.gz").read_bytes()).decode())
    sensors = network.junction_name_list[::40]
    known = hydraulics.sensitivity(network, sensors, 60.0)
    assert known.falls_m.shape == (959, len(sensors))
    bigger = hydraulics.sensitivity(network, sensors, 75.0)
    random = np.random.default_rng(1)
    places = {name: np.array(node.coordinates) * 0.3048 for name, node in network.nodes()}
    felt = [row for row in range(0, 959, 31) if np.linalg.norm(known.falls_m[row]) > 0.5]
    assert len(felt) >= 10
    near = 0
    for row in felt:
        measured = bigger.falls_m[row] + random.normal(0, 0.01, len(sensors))
        best, score = hydraulics.localise(known, measured)[0]
        assert score > 0.9
        near += float(np.linalg.norm(places[best] - places[known.nodes[row]])) < 300
    assert near / len(felt) > 0.6, "most bursts of another size than the columns' are found within 300 m"
