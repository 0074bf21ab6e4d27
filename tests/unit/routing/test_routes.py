"""Routes, steps, matrices and reach on small towns: the quickest way, rightly told, or why there is none."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from gis_core.errors import CityError
from routing.closures import Closure, StaleGeneration
from routing.matrices import MatrixTooLarge, NoPlaces, matrix, nearest, snap_all
from routing.network import Network
from routing.reach import BadReach, find_reach
from routing.routes import InsideClosure, NoRoute, TooManyAlternatives, find_routes
from routing.segments import from_rows
from routing.stops import OffRoads, snap
from routing.vehicles import vehicle
from tests.road_maker import grid, place, roads

CAR, FOOT = vehicle("car"), vehicle("foot")
# A long block: A and F on the ends of a street that a square way round joins too.
PLACES = {"A": (0, 0), "B": (1, 0), "C": (2, 0), "D": (1, 2), "E": (2, 2), "F": (3, 0)}
LINKS = {
    "AB": {"name": "西大街"},
    "BC": {"name": "主街"},
    "CF": {"name": "东大街"},
    "BD": {"name": "北路"},
    "DE": {"name": "环路"},
    "EC": {"name": "东路"},
}


@pytest.fixture
def town() -> Network:
    return Network.build(from_rows(roads(PLACES, LINKS)))


def at(x: float, y: float) -> tuple[float, float]:
    return place(200 * x, 200 * y)


WEST, EAST = at(0.5, 0.02), at(2.5, -0.02)


def test_the_quickest_way_its_time_shape_and_steps(town: Network) -> None:
    (route,) = find_routes(town, (WEST, EAST), CAR)
    assert route.metres == pytest.approx(400, rel=0.01)
    assert route.seconds == pytest.approx(400 / (10 * 0.78), rel=0.02)
    assert sum(s.seconds for s in route.steps) == pytest.approx(route.seconds, abs=0.01)
    assert sum(s.metres for s in route.steps) == pytest.approx(route.metres)
    assert np.allclose(route.shape[[0, -1]], [at(0.5, 0), at(2.5, 0)], atol=1e-6)
    assert [s.turn for s in route.steps] == ["depart", "on", "on", "arrive"]
    assert [s.zh for s in route.steps][:2] == ["出发，沿西大街行驶100米", "继续直行，进入主街，行驶200米"]
    assert route.steps[1].en == "Continue onto 主街, 200 m"
    assert not route.avoided


def test_a_flood_sends_it_round_and_says_why(town: Network) -> None:
    town.put([Closure("f1", segments=("BC",), depth_m=0.4, zh="积水", en="flooded")])
    (route,) = find_routes(town, (WEST, EAST), CAR)
    assert [s.turn for s in route.steps] == ["depart", "left", "left", "arrive"], "a bend is no turn"
    assert [s.zh for s in route.steps][1] == "左转进入北路，行驶1.0公里"
    assert route.generation == 1
    assert route.seconds > route.free_s + 60
    assert [(a.name, a.closures[0].id) for a in route.avoided] == [("主街", "f1")]
    (truck,) = find_routes(town, (WEST, EAST), vehicle("fire_engine"))
    assert truck.metres == pytest.approx(400, rel=0.01), "it wades"


def test_alternatives_are_other_ways_and_not_much_longer() -> None:
    network = Network.build(from_rows(grid(14, 14, 2)))
    random = np.random.default_rng(4)
    several = 0
    for _ in range(30):
        ends = tuple(place(*random.uniform(0, 2600, 2)) for _ in range(2))
        try:
            routes = find_routes(network, ends, CAR, alternatives=3)
        except NoRoute:
            continue
        best = routes[0]
        several += len(routes) > 2
        assert len(routes) <= 4
        for i, route in enumerate(routes):
            assert best.seconds <= route.seconds <= 1.4 * best.seconds + 1e-6
            assert len(set(route.arcs.tolist())) == len(route.arcs)
            if i:
                ms = network.graph.arc_ms(CAR)[route.arcs]
                assert ms[np.isin(route.arcs, best.arcs)].sum() <= 0.7 * ms.sum()
            line = shapely.LineString(route.shape) if len(route.shape) > 1 else None
            assert line is None or line.is_valid
    assert several > 5
    with pytest.raises(TooManyAlternatives):
        find_routes(network, ends, CAR, alternatives=4)


def test_behind_on_the_same_one_way_street_one_goes_round() -> None:
    square = {"A": (0, 0), "B": (1, 0), "C": (1, 1), "D": (0, 1)}
    links = {"AB": {"oneway": True}, "BC": {"oneway": True}, "CD": {"oneway": True}, "DA": {"oneway": True}}
    network = Network.build(from_rows(roads(square, links)))
    ahead, behind = at(0.7, 0), at(0.3, 0)
    assert find_routes(network, (behind, ahead), CAR)[0].metres == pytest.approx(80, rel=0.02)
    (route,) = find_routes(network, (ahead, behind), CAR)
    assert route.metres == pytest.approx(720, rel=0.02)
    assert route.steps[-1].turn == "arrive"
    stops = snap_all(network, [ahead, behind], CAR)
    times, _ = matrix(network, stops, stops, CAR)
    assert times[0, 1] == pytest.approx(route.seconds, abs=0.01)
    assert times[0, 0] == 0


def test_the_side_on_which_one_arrives(town: Network) -> None:
    graph = town.graph
    row = graph.segment_of_key("BC")
    north, south = snap(graph, *at(1.5, 0.1), CAR, side=1), snap(graph, *at(1.5, -0.1), CAR, side=1)
    assert graph.back[north.arcs[0]], "driving on the right, what lies to the north is on the right going west"
    assert not graph.back[south.arcs[0]]
    assert north.arcs == (graph.arc_of[row, 1],)
    assert len(snap(graph, *at(1.5, 0.1), CAR).arcs) == 2


def test_roundabouts_count_their_exits() -> None:
    circle = {n: (np.cos(a) / 5, np.sin(a) / 5) for n, a in zip("SENW", np.radians([-90, 0, 90, 180]), strict=True)}
    arms = {"s": (0, -1), "e": (1, 0), "n": (0, 1), "w": (-1, 0)}
    ring = {code: {"oneway": True, "roundabout": True} for code in ("SE", "EN", "NW", "WS")}
    links = ring | {"sS": {"name": "南路"}, "eE": {"name": "东路"}, "nN": {"name": "北路"}, "wW": {"name": "西路"}}
    network = Network.build(from_rows(roads(circle | arms, links)))
    (route,) = find_routes(network, (at(0, -0.8), at(0, 0.8)), CAR)
    assert [s.turn for s in route.steps] == ["depart", "roundabout", "arrive"]
    assert route.steps[1].exit == 2
    assert route.steps[1].zh.startswith("进入环岛，从第2出口驶出，进入北路")
    (back,) = find_routes(network, (at(0, -0.9), at(0, -0.3)), CAR)
    assert back.metres == pytest.approx(120, rel=0.05)


@pytest.mark.parametrize(
    ("ends", "error", "said"),
    [
        ((at(0, 9), EAST), OffRoads, "No road for a car lies within"),
        ((WEST, (float("nan"), 39.0)), OffRoads, "no place"),
        ((WEST, at(6.5, 6)), NoRoute, "cannot reach the other roads"),
        ((WEST, (0.0, 0.0)), OffRoads, "No road"),
    ],
)
def test_where_there_is_no_way_it_says_why(ends: tuple[tuple[float, float], ...], error: type, said: str) -> None:
    network = Network.build(from_rows(roads(PLACES | {"I": (6, 6), "J": (7, 6)}, LINKS | {"IJ": {"name": "岛"}})))
    with pytest.raises(error, match=said):
        find_routes(network, ends, CAR)


def test_closures_that_shut_one_in_are_named(town: Network) -> None:
    town.put([Closure("wall", segments=("BC", "EC"), en="under water")])
    with pytest.raises(NoRoute, match=r"under water \(wall\)"):
        find_routes(town, (WEST, EAST), CAR)
    with pytest.raises(InsideClosure, match=r"start is on 主街.*wall"):
        find_routes(town, (at(1.5, 0), EAST), CAR)
    with pytest.raises(StaleGeneration):
        find_routes(town, (WEST, at(1, 1)), CAR, generation=0)


def test_a_matrix_says_what_routes_say() -> None:
    network = Network.build(from_rows(grid(9, 9, 6)))
    random = np.random.default_rng(6)
    places = [place(*xy) for xy in random.uniform(0, 1600, (7, 2))]
    stops = snap_all(network, places, CAR)
    times, generation = matrix(network, stops, stops, CAR)
    assert generation == 0
    for i, a in enumerate(places):
        for j, b in enumerate(places):
            try:
                took = find_routes(network, (a, b), CAR)[0].seconds
            except NoRoute:
                took = np.inf
            assert times[i, j] == pytest.approx(took), (i, j)
    lost = snap_all(network, [(0.0, 0.0)], CAR)
    assert np.isinf(matrix(network, stops[:1], lost, CAR)[0]).all()
    with pytest.raises(NoPlaces):
        matrix(network, [], stops, CAR)
    with pytest.raises(MatrixTooLarge):
        matrix(network, stops * 400, stops * 400, CAR)


def test_the_nearest_that_will_do(town: Network) -> None:
    parks = snap_all(town, [at(0.9, 0), at(2.1, 0), at(1, 1), (0.0, 0.0)], CAR)
    here = snap(town.graph, *at(1.5, 0), CAR)
    order = nearest(town, here, parks, CAR, count=9)
    assert [i for i, _ in order] == [0, 1, 2]
    assert nearest(town, here, parks, CAR, admits=lambda i, _: i == 2)[0][0] == 2
    town.put([Closure("x", segments=("AB",))])
    assert [i for i, _ in nearest(town, here, parks, CAR, count=9, to_place=True)] == [1, 2]


def test_reach_as_area_and_cells(town: Network) -> None:
    start = snap(town.graph, *at(0.5, 0), CAR)
    reach = find_reach(town, [start], CAR, 40)
    far = reach.places[:, 0].max()
    assert far == pytest.approx(at(0.5 + 40 * 7.8 / 200, 0)[0], abs=1e-5)
    area = reach.polygon(40)
    assert area.is_valid
    assert area.covers(shapely.Point(at(1.5, 0)))
    assert not area.covers(shapely.Point(at(2.9, 0)))
    assert reach.polygon(10).within(area.buffer(1e-4))
    cells, seconds = reach.cells(11)
    assert len(cells) == len(seconds) == len(np.unique(cells))
    assert seconds.max() <= 40
    town.put([Closure("f", segments=("BC",))])
    assert find_reach(town, [start], CAR, 40).places[:, 0].max() < far
    for wrong in (0, -5, float("nan"), 1e6):
        with pytest.raises(BadReach):
            find_reach(town, [start], CAR, wrong)
    with pytest.raises(BadReach):
        find_reach(town, [], CAR, 60)
    town.put([Closure("home", segments=("AB",))])
    with pytest.raises(InsideClosure):
        find_reach(town, [start], CAR, 60)


def test_reach_backward_is_from_where_one_is_reached() -> None:
    square = {"A": (0, 0), "B": (1, 0), "C": (1, 1), "D": (0, 1)}
    links = {code: {"oneway": True} for code in ("AB", "BC", "CD", "DA")}
    network = Network.build(from_rows(roads(square, links)))
    stop = snap(network.graph, *at(0.5, 0), CAR)
    on, back = (find_reach(network, [stop], CAR, 20, backward=b).places for b in (False, True))
    assert on[:, 0].min() >= at(0.5, 0)[0] - 1e-6
    assert back[:, 0].max() <= at(0.5, 0)[0] + 1e-6
    assert back[:, 1].max() > at(0, 0)[1] + 1e-5, "down the street from D"


def test_every_error_is_the_citys_own() -> None:
    for error in (NoRoute, InsideClosure, OffRoads, BadReach, MatrixTooLarge):
        assert issubclass(error, CityError)
        assert error.title()
