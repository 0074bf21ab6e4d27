"""Makers on a small city of our own: pipes that hold together and fall, cells without gaps, the same every time."""

from __future__ import annotations

from functools import cache
from typing import Any

import geopandas as gpd
import networkx as nx
import numpy as np
import pandas as pd
import pytest
import shapely

from data.frames import frame_of
from data.junctions import StreetNames, cluster
from data.makers import flooding, grid, mobility, pipe_routes, pipes, street_graph, terrain
from data.makers.pipe_kinds import KINDS, frost_m
from data.makers.pipe_profiles import fall
from gis_core import crs

METRIC = "EPSG:32719"
CORNER = np.array([280_000.0, 6_690_000.0])
BLOCK_M, BLOCKS, SEED = 130.0, 12, 7
GRAVITY = {name for name, kind in KINDS.items() if kind.gravity}


def lonlat(shapes: Any) -> Any:
    return crs.to_lonlat(np.asarray(shapes, object), crs.declare(METRIC))


@cache
def town() -> gpd.GeoDataFrame:
    """A town of square blocks, a diagonal, an expressway passing over, and a tunnel; rows of the layer `roads`."""
    rows: list[dict[str, Any]] = []

    def add(a: tuple[float, float], b: tuple[float, float], name: str, rank: int, **more: Any) -> None:
        line = shapely.LineString([CORNER + np.array(p) * BLOCK_M for p in (a, b)])
        ends = {"from_node": f"{a[0]:g},{a[1]:g}", "to_node": f"{b[0]:g},{b[1]:g}"}
        rows.append({"line": line, "name": name, "rank": rank, "lanes": None, "tunnel": False, **ends, **more})

    for i in range(BLOCKS + 1):
        for j in range(BLOCKS):
            add((j, i), (j + 1, i), f"Calle {i}", 3 if i % 6 == 0 else 6)
            add((i, j), (i, j + 1), f"Avenida {i}", 4 if i % 4 == 0 else 6)
    add((-1, -0.5), (BLOCKS + 1, BLOCKS + 0.3), "Ruta 5", 1)
    add((2, 9), (3, 10), "Túnel", 5, tunnel=True)
    table = pd.DataFrame(rows)
    return frame_of(lonlat(table.pop("line")), {str(name): table[name] for name in table})


@cache
def zones() -> gpd.GeoDataFrame:
    """Two zones that share a border which runs through blocks; rows of the layer `admin_areas`."""
    size = BLOCK_M * (BLOCKS + 2)
    low, cut = CORNER - BLOCK_M, CORNER[0] + 5.37 * BLOCK_M
    areas = [shapely.box(*low, cut, low[1] + size), shapely.box(cut, low[1], low[0] + size, low[1] + size)]
    codes = ["990009001001", "990009001002"]
    return frame_of(lonlat(areas), {"code": codes, "name": ["West", "East"], "level": 3, "population": [9000, 14000]})


@cache
def site() -> tuple[pipe_routes.Site, terrain.Heights]:
    graph = street_graph.build(town(), METRIC)
    shore = shapely.LineString([CORNER + np.array(p) for p in ((-300, -500), (-300, 3000))])
    heights = terrain.simulate(terrain.Slope(shore, 3.0, 0.012, 3.0, SEED))
    areas = crs.to_metric(zones().geometry.to_numpy(), METRIC)
    people = pipe_routes.people_along(graph, areas, np.array([9000.0, 14000.0]))
    centre = CORNER + BLOCK_M * BLOCKS / 2
    return pipe_routes.Site(graph, people, heights(graph.nodes), centre, 45.0, SEED), heights


@cache
def networks() -> dict[str, pipes.Network]:
    made, heights = site()
    return {n.segments["pipe_class"].iloc[0]: n for n in pipes.make_pipes(made, heights)}


def test_streets_become_chains_without_tunnels_and_motorways() -> None:
    graph = street_graph.build(town(), METRIC)
    assert "Ruta 5" not in graph.name
    assert "Túnel" not in graph.name
    assert graph.length_m.sum() == pytest.approx(2 * BLOCKS * (BLOCKS + 1) * BLOCK_M, rel=1e-3)
    step = graph.nodes[graph.end] - graph.nodes[graph.start]
    assert (step.sum(axis=1) > 0).all(), "streets run eastward or northward"


def test_a_tree_leads_every_node_to_a_root() -> None:
    graph = street_graph.build(town(), METRIC)
    tree = graph.tree(np.array([0]), graph.length_m, graph.length_m)
    assert tree.reached.all()
    assert tree.gather(np.ones(len(graph.nodes)))[0] == len(graph.nodes)
    inward = tree.inward()
    assert (tree.distance[tree.parent[inward]] < tree.distance[inward]).all()
    ends = np.column_stack([graph.start, graph.end])[tree.street[inward]]
    assert (np.sort(ends) == np.sort(np.column_stack([inward, tree.parent[inward]]))).all()


def test_every_class_is_made() -> None:
    assert set(networks()) == set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_pipes_hold_together_and_end_at_points(name: str) -> None:
    network = networks()[name]
    segments, points = network.segments, network.points.set_index("code")
    assert segments["code"].is_unique
    assert points.index.is_unique
    assert (segments["start_point"] != segments["end_point"]).all()
    for column, position in (("start_point", 0), ("end_point", -1)):
        there = points.loc[segments[column], "shape"].to_numpy()
        here = shapely.get_point(segments["shape"].to_numpy(), position)
        assert shapely.distance(here, there).max() < 1e-6
    graph = nx.Graph(list(zip(segments["start_point"], segments["end_point"], strict=True)))
    assert set(graph) == set(points.index), "no point without a pipe"
    roots = points[points["kind"].isin(["source", "outfall"])].index
    for part in nx.connected_components(graph):
        assert part & set(roots), "every part has a source or an outfall"
    if name not in GRAVITY:
        assert max(map(len, nx.connected_components(graph))) == len(graph)
    else:
        assert nx.is_forest(graph), "sewers have no loops"


@pytest.mark.parametrize("name", sorted(GRAVITY))
def test_sewers_fall_and_grow(name: str) -> None:
    network = networks()[name]
    ground = network.points.set_index("code")["ground_m"]
    s = network.segments
    begin = ground.loc[s["start_point"]].to_numpy() - s["start_depth_m"].to_numpy()
    end = ground.loc[s["end_point"]].to_numpy() - s["end_depth_m"].to_numpy()
    assert (begin - end > -0.002).all(), "no sewer runs uphill"
    pipes_only = s[s["start_depth_m"] > 1]
    assert pipes_only["start_depth_m"].between(1.9, KINDS[name].deep_m + 1.5).all()
    assert s["length_m"].max() < 60, "manholes stand near enough to be cleaned between"
    onward = pipes_only.set_index("start_point")["diameter_mm"]
    assert onward.index.is_unique, "one way out of each manhole"
    after = onward.reindex(pipes_only["end_point"]).to_numpy()
    assert (np.isnan(after) | (after >= pipes_only["diameter_mm"].to_numpy())).all()


def test_pressure_pipes_lie_at_usual_depths() -> None:
    for name in set(KINDS) - GRAVITY:
        kind, depth = KINDS[name], networks()[name].points["depth_m"]
        frost = frost_m(45.0) if name == "water" else 0.0
        assert depth.between(kind.shallow_m + frost - 0.001, kind.deep_m + frost + 0.001).all(), name


def test_pipes_lie_beside_one_another_in_order() -> None:
    graph, _ = site()[0].graph, None
    width = np.array([7.0])
    across = {name: float(kind.offset_m(width)[0]) for name, kind in KINDS.items()}
    order = ["telecom", "gas", "industrial", "combined", "sewage", "storm", "heat", "water", "power"]
    assert sorted(across, key=lambda n: -across[n]) == order
    gaps = -np.diff([across[name] for name in order])
    assert gaps.min() >= 0.75
    assert len(graph)


def test_pipes_follow_their_streets() -> None:
    graph = site()[0].graph
    tree = shapely.STRtree(graph.lines)
    for name, network in networks().items():
        middle = shapely.centroid(network.segments["shape"].to_numpy())
        _, far = tree.query_nearest(middle, return_distance=True, all_matches=False)
        assert far.max() < graph.half_width_m.max() + 3, name


def test_water_mains_are_wider_than_the_lanes_they_feed() -> None:
    segments = networks()["water"].segments
    assert segments["diameter_mm"].max() >= 300
    assert (segments["diameter_mm"] == 100).mean() > 0.4


def test_the_same_seed_gives_the_same_city_and_another_does_not() -> None:
    made, heights = site()
    again = {n.segments["pipe_class"].iloc[0]: n for n in pipes.make_pipes(made, heights)}
    for name, network in networks().items():
        pd.testing.assert_frame_equal(network.points, again[name].points)
        pd.testing.assert_frame_equal(network.segments, again[name].segments)
    other = pipe_routes.Site(made.graph, made.people, made.node_height_m, made.centre, made.latitude, SEED + 1)
    gas = next(n for n in pipes.make_pipes(other, heights) if n.segments["pipe_class"].iloc[0] == "gas")
    assert not gas.segments["built_year"].equals(networks()["gas"].segments["built_year"])


def test_a_sewer_too_deep_is_lifted() -> None:
    along, ground = np.arange(0, 2000, 40.0), np.full(50, 10.0)
    arriving, leaving, lifted = fall(along, ground, np.full(50, 2.0), np.inf, 0.004, 5.0)
    assert lifted.sum() == 2
    assert (leaving[:-1] - arriving[1:] >= 0.004 * 40 - 1e-9).all()
    assert np.allclose(leaving[lifted], 8.0)
    assert (10 - leaving[~lifted] <= 5.2).all()


def test_sewers_that_go_with_the_ground_keep_their_cover() -> None:
    along = np.arange(0, 400, 40.0)
    ground = 50 - 0.02 * along
    arriving, leaving, lifted = fall(along, ground, np.full(10, 2.0), np.inf, 0.003, 6.0)
    assert np.allclose(ground - leaving, 2.0)
    assert np.allclose(arriving, leaving)
    assert not lifted.any()


@cache
def cells() -> gpd.GeoDataFrame:
    return grid.make_grid(town(), zones(), METRIC, grid.DISTRICT, SEED)


def test_cells_are_the_zones_without_gaps_or_overlaps() -> None:
    shapes = crs.to_metric(cells().geometry.to_numpy(), METRIC)
    whole = crs.to_metric(zones().geometry.to_numpy(), METRIC)
    assert shapely.is_valid(shapes).all()
    assert shapely.coverage_is_valid(shapes), "neighbours share their borders exactly"
    assert shapely.area(shapes).sum() == pytest.approx(shapely.area(whole).sum(), rel=1e-5)
    for code, zone in zip(zones()["code"], whole, strict=True):
        mine = shapes[cells()["code"].str.startswith(code).to_numpy()]
        assert shapely.area(mine).sum() == pytest.approx(zone.area, rel=1e-5)


def test_cells_are_numbered_from_north_to_south() -> None:
    codes = cells()["code"]
    assert codes.is_unique
    assert codes.str.fullmatch(r"\d{15}").all()
    for _, group in cells().groupby(codes.str[:12]):
        numbers = group["code"].str[12:].astype(int).tolist()
        assert numbers == list(range(1, len(group) + 1))
        north = group.geometry.bounds["maxy"]
        quarter = len(group) // 4
        assert north.iloc[:quarter].min() > north.iloc[-quarter:].max()


def test_cells_are_of_a_size_a_collector_can_walk() -> None:
    area = cells()["area_m2"]
    assert area.median() == pytest.approx(BLOCK_M**2, rel=0.2)
    assert area.max() <= grid.DISTRICT.country_m2
    assert area.min() > 0.3 * grid.DISTRICT.smallest_m2
    assert (area < grid.DISTRICT.smallest_m2).mean() < 0.02


def test_towns_without_communities_get_numbered_ones() -> None:
    town_zone = zones().dissolve().assign(code="990009002", name="Town", level=2, population=1)
    made = grid.make_grid(town(), town_zone, METRIC, grid.DISTRICT, SEED)
    assert made["code"].str.fullmatch(r"990009002001\d{3}").all()
    county = grid.make_grid(town(), town_zone.assign(code="990009"), METRIC, grid.DISTRICT, SEED)
    assert county["code"].str.fullmatch(r"990009001001\d{3}").all()


def test_water_stands_where_streets_pass_below_and_in_hollows() -> None:
    made, heights = site()
    points = flooding.make_waterlogging_points(made.graph, town(), heights, 23_000, "990009", SEED)
    assert len(points) >= 8
    assert points["code"].is_unique
    assert set(points["risk"]) <= {"red", "orange", "yellow", "blue"}
    assert (points["warn_depth_m"] < points["close_depth_m"]).all()
    below = points["kind"] == flooding.UNDERPASS
    assert below.any()
    assert points.loc[below, "pump_m3s"].notna().all()
    assert points.loc[~below, "pump_m3s"].isna().all()
    crossings = flooding.underpasses(town(), METRIC)
    road = crs.to_metric(town().geometry[town()["name"] == "Ruta 5"].to_numpy(), METRIC)[0]
    assert (shapely.distance(shapely.points(crossings), road) < 1).sum() == len(crossings) - 1, "all but the tunnel"


def test_what_stands_by_the_road_is_named_by_it() -> None:
    made, _ = site()
    around = mobility.Surroundings(
        made.graph, StreetNames(town(), METRIC), made.people, made.centre, "990009", SEED
    )  # fmt: skip
    signals = mobility.make_signals(around)
    assert len(signals) == 3 * 4 - 4, "where Calle 0, 6, 12 meet Avenida 0, 4, 8, 12, but at the town's corners"
    assert signals["name"].str.fullmatch(r"Calle (0|6|12) / Avenida (0|4|8|12)").all()
    cameras = mobility.make_cameras(around, signals, zones())
    assert set(cameras["town"]) <= {"West", "East"}
    piles = mobility.make_charging_piles(around)
    xy = shapely.get_coordinates(crs.to_metric(piles.geometry.to_numpy(), METRIC))
    assert piles["serial"].is_unique
    assert len(np.unique(cluster(xy, 8.0))) == piles["name"].nunique() >= 8, "stations of several piles each"
    parking, bikes = mobility.make_parking(around), mobility.make_bike_stations(around)
    assert parking["code"].is_unique
    assert bikes["docks"].between(12, 40).all()
    pd.testing.assert_frame_equal(pd.DataFrame(parking), pd.DataFrame(mobility.make_parking(around)))


def test_a_town_without_streets_has_no_pipes() -> None:
    graph = street_graph.build(town().iloc[:0], METRIC)
    assert len(graph) == 0
