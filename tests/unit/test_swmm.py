"""SWMM models: the text runs in SWMM itself, water is kept, files come back as rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import shapely
from swmm.toolkit import solver

from gis_core import crs
from gis_core.errors import Unprocessable
from twin.pipes import swmm, swmm_reading
from twin.pipes.reading import Seen

Run = Callable[[str], str]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run an input file in SWMM; its report. SWMM raises where it finds an error."""

    def ran(text: str) -> str:
        paths = [str(tmp_path / name) for name in ("model.inp", "model.rpt", "model.out")]
        Path(paths[0]).write_text(text, encoding="utf-8")
        solver.swmm_run(*paths)
        return Path(paths[1]).read_text(encoding="utf-8", errors="replace")

    return ran


def line(**changes: dict[str, Any]) -> tuple[Seen, Seen]:
    """Four manholes of a storm sewer that falls 0.3 m every 40 m to an outfall; `changes` by code."""
    names = ["W 1", "W2", "W3", "W4", "OUT"]
    kinds = ["inlet", "manhole", "manhole", "manhole", "outfall"]
    points = [{"code": c, "kind": k, "ground_m": 30.0} for c, k in zip(names, kinds, strict=True)]
    pipes = [
        {
            "code": f"S{k}", "pipe_class": "storm", "start_point": names[k], "end_point": names[k + 1],
            "flow": "forward", "diameter_mm": 600.0, "start_depth_m": 1.5 + 0.3 * k, "end_depth_m": 1.8 + 0.3 * k,
            "start_level_m": 28.5 - 0.3 * k, "end_level_m": 28.2 - 0.3 * k, "length_m": 40.0, "material": "混凝土",
        }
        for k in range(4)
    ]  # fmt: skip
    for row in (*points, *pipes):
        row.update(changes.get(str(row["code"]), {}))
    places = [shapely.Point(500_000 + 40 * k, 4_400_000) for k in range(5)]
    lines = [shapely.LineString([places[k], places[k + 1]]) for k in range(4)]
    return (
        Seen(pd.DataFrame(points), np.array(places, dtype=object)),
        Seen(pd.DataFrame(pipes), np.array(lines, dtype=object)),
    )


def continuity(report: str) -> list[float]:
    """Errors of continuity in percent: of runoff and of routing."""
    return [float(x) for x in re.findall(r"Continuity Error \(%\) \.+\s+(-?[\d.]+)", report)]


def test_a_made_model_runs_and_keeps_its_water(run: Run) -> None:
    report = run(swmm.as_inp(*line()))
    assert "ERROR" not in report
    assert len(continuity(report)) == 2
    assert all(abs(error) < 2 for error in continuity(report))
    outflow = float(re.findall(r"External Outflow \.+\s+[\d.]+\s+([\d.]+)", report)[0])
    # Four inlets of 0.15 ha get 62 mm; two thirds are paved: 250 to 372 m3 go out, in units of 1,000 m3.
    assert 0.22 < outflow < 0.38


def test_levels_and_directions_are_those_of_the_pipes() -> None:
    found = swmm_reading.sections_of(swmm.as_inp(*line(S2={"flow": "backward"})))
    junctions = {row[0]: row for row in found["JUNCTIONS"]}
    assert float(junctions["W_1"][1]) == pytest.approx(28.5 - 0.6)
    assert float(junctions["W_1"][2]) == pytest.approx(30 - 27.9)
    conduits = {row[0]: row for row in found["CONDUITS"]}
    assert conduits["S0"][1:3] == ["W_1", "W2"]
    assert conduits["S2"][1:3] == ["W4", "W3"], "as the flow says"
    assert found["OUTFALLS"][0][0] == "OUT"
    assert ["THREADS", "1"] in found["OPTIONS"]
    assert [row[1] for row in found["SUBCATCHMENTS"]] == ["RAIN"] * 4


@pytest.mark.parametrize(
    "changes",
    [
        {"OUT": {"kind": "manhole"}},
        {"W3": {"kind": "outfall"}},
        {"S1": {"start_level_m": None}},
        {"S1": {"section": "rectangular", "width_mm": 1200.0, "height_mm": 800.0}},
        {"S1": {"pipe_class": "sewage"}},
        {"S1": {"start_point": None, "end_point": None}},
    ],
)
def test_odd_networks_run_as_well(run: Run, changes: dict[str, dict[str, Any]]) -> None:
    report = run(swmm.as_inp(*line(**changes)))
    assert "ERROR" not in report


def test_what_was_assumed_stands_in_the_title() -> None:
    text = swmm.as_inp(*line(OUT={"kind": "manhole"}, S1={"start_level_m": None}), rain=swmm.Rain(hectares=0.3))
    head = text.partition("[OPTIONS]")[0]
    assert "lowest point OUT was taken" in head
    assert "0.3 ha" in head
    assert "depths below a level ground" in head


def test_nothing_and_nonsense_are_refused() -> None:
    points, segments = line()
    with pytest.raises(Unprocessable, match="no drains"):
        swmm.as_inp(points, Seen(segments.frame.assign(pipe_class="gas"), segments.shapes))
    with pytest.raises(Unprocessable, match="no SWMM"):
        swmm_reading.read_inp("[PIPES]\n a b c\n", "EPSG:4548", "D")
    with pytest.raises(Unprocessable, match="no number"):
        swmm_reading.read_inp("[CONDUITS]\nc a b x\n[COORDINATES]\na 1 wide\n", "EPSG:4548", "D")
    with pytest.raises(Unprocessable, match="no pipes"):
        swmm_reading.read_inp("[CONDUITS]\nc a b 10\n[COORDINATES]\na 1 2\n", "EPSG:4548", "D")


def test_feet_become_metres_and_offsets_levels() -> None:
    text = """[OPTIONS]\nFLOW_UNITS CFS\n[JUNCTIONS]\na 100 10\nb 99 10 ; comment\n[OUTFALLS]\no 90 FREE
[CONDUITS]\nc a b 100 0.013 1 2 0\nd b o 50 0.013 0 0\n[XSECTIONS]\nc CIRCULAR 2 0 0 0\nd RECT_CLOSED 3 4 0 0
[COORDINATES]\na 500000 4400000\nb 500030 4400000\no 500045 4400000\n[PUMPS]\np a b x ON\n"""
    found = swmm_reading.read_inp(text, "EPSG:4548", "D")
    first, second = (found.segments.iloc[k] for k in (0, 1))
    assert first["length_m"] == pytest.approx(30.48)
    assert first["diameter_mm"] == pytest.approx(609.6)
    assert (first["start_level_m"], first["end_level_m"]) == pytest.approx((101 * 0.3048, 101 * 0.3048))
    assert first["start_depth_m"] == pytest.approx(9 * 0.3048)
    assert (second["section"], second["width_mm"], second["height_mm"]) == (
        "rectangular",
        pytest.approx(1219.2),
        pytest.approx(914.4),
    )
    assert found.points.set_index("code").loc["D/o", "kind"] == "outfall"
    assert found.notes == ("1 pumps are no pipes and were left out",)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "metric", "points", "pipes"),
    [
        ("bellinge_small", "EPSG:32632", 16, 15),
        ("bantian_shenzhen_rebuilt", "EPSG:4547", 553, 461),
        ("swmm_nrtest_user3", "EPSG:3857", 141, 134),
    ],
)
def test_a_real_model_goes_there_and_back_and_runs(
    shared: Path, run: Run, name: str, metric: str, points: int, pipes: int
) -> None:
    text = (shared / "drainage" / f"{name}.inp").read_text(encoding="utf-8", errors="replace")
    frames = swmm_reading.read_inp(text, metric, "D")
    assert (len(frames.points), len(frames.segments)) == (points, pipes)
    made = swmm.as_inp(
        *(
            Seen(pd.DataFrame(frame.drop(columns="geometry")), crs.to_metric(frame.geometry.to_numpy(), metric))
            for frame in (frames.points, frames.segments)
        )
    )
    report = run(made)
    assert "ERROR" not in report
    assert abs(continuity(report)[0]) < 2
    again = swmm_reading.read_inp(made, metric, "D").segments.set_index("code")
    for _, pipe in frames.segments.iterrows():
        back = again.loc[f"D/{pipe['code']}"]
        assert back["length_m"] == pytest.approx(max(pipe["length_m"], 0.3), abs=1e-3)
        levels = sorted((pipe["start_level_m"], pipe["end_level_m"]))
        assert sorted((back["start_level_m"], back["end_level_m"])) == pytest.approx(levels, abs=2e-4)
