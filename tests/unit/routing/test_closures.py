"""Closures: where they hold, for whom, when, and what they leave; and what the weights make of them."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import shapely

from gis_core.errors import CityError
from routing.closures import BadClosure, Closure, NoSuchClosure, StaleGeneration, locate, wading_kmh
from routing.graph import INFINITE, BadSpeeds
from routing.network import Network, OtherRoads
from routing.segments import from_rows
from routing.vehicles import CLASSES, VEHICLES, Mode, vehicle
from tests.road_maker import grid, place, reference, roads

NOON = datetime(2026, 7, 21, 12, tzinfo=UTC)
SQUARE = {"A": (0, 0), "B": (1, 0), "C": (1, 1), "D": (0, 1)}
SIDES = {"AB": {}, "BC": {}, "CD": {}, "DA": {}}
CAR = vehicle("car")


def around(x: float, y: float, reach: float = 60) -> shapely.Polygon:
    """A square about a place in metres."""
    return shapely.box(*place(x - reach, y - reach), *place(x + reach, y + reach))


@pytest.fixture
def square() -> Network:
    return Network.build(from_rows(roads(SQUARE, SIDES)))


def arc(network: Network, code: str, *, back: bool = False) -> int:
    row = network.graph.segment_of_key(code)
    assert row is not None
    return int(network.graph.arc_of[row, int(back)])


def took(network: Network, name: str = "car") -> int:
    """From the end of AB to the end of CD reversed is two sides either way round the square."""
    with network.weights(VEHICLES[name]) as weights:
        return weights.time(arc(network, "AB"), arc(network, "CD"))


def test_a_closed_side_sends_the_way_round(square: Network) -> None:
    before = took(square)
    assert square.put([Closure("flood", area=around(200, 100))]) == 1
    assert took(square) == INFINITE, "who goes from A to B cannot turn round where BC is closed to him"
    square.drop(["flood"])
    assert took(square) == before
    assert square.generation == 2


def test_a_change_is_what_a_new_network_would_say() -> None:
    network = Network.build(from_rows(grid(10, 10, 3)))
    random = np.random.default_rng(3)
    sources = random.integers(0, len(network.graph), 5)
    keys = network.graph.segments.key
    for n in range(12):
        x, y = random.uniform(0, 1800, 2)
        closures = [
            Closure(f"a{n}", area=around(x, y, 150), speed_kmh=4.0 if n % 3 == 0 else None),
            Closure(f"w{n}", segments=(str(random.choice(keys)),), depth_m=0.2),
        ]
        network.put(closures)
        if n > 3:
            network.drop([f"a{n - 3}"])
        for name in ("car", "fire_engine"):
            with network.weights(VEHICLES[name], network.generation) as weights:
                every = np.arange(len(network.graph), dtype=np.int32)
                assert np.array_equal(weights.arc_ms, network._overlay.costs_ms(VEHICLES[name], every))
                truth = reference(network.graph, weights.arc_ms, weights.turn_ms, sources)
                for i, s in enumerate(sources):
                    assert np.array_equal(weights.sweep(np.array([s]), np.zeros(1, np.int32)), truth[i])


def test_water_stops_whoever_cannot_wade_it(square: Network) -> None:
    dry = {name: took(square, name) for name in ("car", "fire_engine")}
    square.put([Closure("water", segments=("BC",), depth_m=0.4)])
    assert took(square, "car") == INFINITE
    assert dry["fire_engine"] < took(square, "fire_engine") < INFINITE
    assert wading_kmh(0, CAR) == np.inf
    assert wading_kmh(0.15, CAR) == pytest.approx(0.0009 * 150**2 - 0.5529 * 150 + 86.9448)
    assert wading_kmh(0.3, CAR) == 0


def test_bridges_stand_above_water() -> None:
    network = Network.build(from_rows(roads(SQUARE, SIDES | {"BC": {"bridge": True}})))
    area = around(200, 100)
    with pytest.raises(BadClosure, match="touches no road"):
        network.put([Closure("water", area=area, depth_m=1.0)])
    network.put([Closure("works", area=area)])
    assert took(network) == INFINITE


def test_a_closure_may_spare_those_in_a_hurry(square: Network) -> None:
    square.put([Closure("police", segments=("BC",), spares=Mode.emergency)])
    assert took(square) == INFINITE
    assert took(square, "ambulance") < INFINITE


def test_it_holds_only_in_its_time(square: Network) -> None:
    square.advance(NOON)
    free = took(square)
    square.put([Closure("race", segments=("BC",), since=NOON + timedelta(hours=1), until=NOON + timedelta(hours=2))])
    assert took(square) == free
    generation = square.advance(NOON + timedelta(hours=1))
    assert took(square) == INFINITE
    assert [c.id for c in square.state.on(arc(square, "BC"))] == ["race"]
    assert square.advance(NOON + timedelta(hours=2)) > generation
    assert took(square) == free


def test_the_hour_and_live_speeds_slow_roads() -> None:
    rhythm = np.ones((24, len(CLASSES)))
    rhythm[8] = 0.5
    network = Network.build(from_rows(roads(SQUARE, SIDES)))
    slow = Network(network.graph, network.hierarchy, rhythm)
    slow.advance(NOON)
    free = took(slow)
    assert free == took(network)
    slow.advance(NOON.replace(hour=8))
    assert took(slow) > 1.7 * free
    row = np.array([network.graph.segment_of_key("BC")], np.int32)
    generation = network.drive(row, np.array([[1.0, np.nan]]))
    assert generation == 1
    assert took(network) > 3 * free
    for absurd in (-5.0, 1000.0):
        with pytest.raises(BadSpeeds):
            network.drive(row, np.array([[absurd, np.nan]]))
    assert network.generation == 1
    with pytest.raises(BadSpeeds):
        Network(network.graph, network.hierarchy, rhythm * 0)


def test_who_asks_of_another_generation_is_told(square: Network) -> None:
    square.put([Closure("x", segments=("AB",))])
    with square.weights(CAR, 1) as weights:
        assert weights.generation == 1
    with pytest.raises(StaleGeneration), square.weights(CAR, 0):
        pass


def test_what_is_leased_does_not_change(square: Network) -> None:
    with square.weights(CAR) as old:
        was = old.w.copy()
        for n in range(5):
            square.put([Closure(f"c{n}", segments=("BC",))])
            square.drop([f"c{n}"])
        square.put([Closure("last", segments=("BC",))])
        assert np.array_equal(old.w, was)
        assert old.generation == 0
    assert took(square) == INFINITE
    with square.weights(CAR) as now:
        assert now.generation == square.generation == 11


def test_readers_and_a_writer_at_once_never_see_a_mixture() -> None:
    network = Network.build(from_rows(grid(8, 8, 5)))
    key = str(network.graph.segments.key[20])
    ends = (3, len(network.graph) - 5)
    right = {}
    for generation in range(2):
        with network.weights(CAR) as weights:
            right[generation] = weights.time(*ends)
        network.put([Closure("c", segments=(key,))])
    network.drop(["c"])
    wrong: list[int] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            with network.weights(CAR) as weights:
                closed = bool(weights.arc_ms[network.graph.arcs_of([20])[0]] == INFINITE)
                if weights.time(*ends) != right[int(closed)]:
                    wrong.append(weights.generation)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(60):
        network.put([Closure("c", segments=(key,))])
        network.drop(["c"])
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Closure("x"), "nothing of where"),
        (lambda: Closure("x", ways=(1,), depth_m=-0.1), "deep is not within"),
        (lambda: Closure("x", ways=(1,), depth_m=float("nan")), "deep is not within"),
        (lambda: Closure("x", ways=(1,), speed_kmh=900), "km/h is not within"),
        (lambda: Closure("x", ways=(1,), since=datetime(2026, 1, 1)), "without its zone"),  # noqa: DTZ001
        (lambda: Closure("x", ways=(1,), since=NOON, until=NOON), "ends before"),
        (lambda: Closure("x", ways=(77,)), "no road is made of OSM way 77"),
        (lambda: Closure("x", segments=("ZZ",)), "no road segment ZZ"),
        (lambda: Closure("x", area=shapely.Point(116, 39)), "must be a polygon"),
        (lambda: Closure("x", area=shapely.Polygon()), "must be a polygon"),
        (lambda: Closure("x", area=shapely.box(0, 0, 1, 1)), "touches no road"),
        (lambda: Closure("x", area=shapely.box(-180, -90, 180, 90)), "100% of all roads"),
        (lambda: Closure("x", area=shapely.Polygon([(116, 39), (117, 40), (117, 39), (116, 40)])), "self-intersection"),
    ],
)
def test_closures_that_cannot_be_are_refused(make: object, said: str) -> None:
    network = Network.build(from_rows(grid(12, 12, 1)))
    with pytest.raises(CityError, match=said):
        network.put([make()])  # type: ignore[operator]
    assert network.generation == 0


def test_all_or_none_of_several(square: Network) -> None:
    with pytest.raises(BadClosure):
        square.put([Closure("good", segments=("AB",)), Closure("bad", segments=("ZZ",))])
    with pytest.raises(BadClosure, match="same id"):
        square.put([Closure("a", segments=("AB",)), Closure("a", segments=("BC",))])
    with pytest.raises(NoSuchClosure):
        square.drop(["good"])
    assert square.generation == 0


def test_roads_are_saved_with_their_hierarchy(square: Network, tmp_path: Path) -> None:
    square.save(tmp_path)
    again = Network.load(tmp_path)
    again.warm()
    assert took(again) == took(square)
    assert locate(again.graph, Closure("x", segments=("AB",))).tolist() == sorted(
        [arc(square, "AB"), arc(square, "AB", back=True)]
    )
    with pytest.raises(OtherRoads), again.weights(vehicle("foot")):
        pass
