"""Networks read from PostGIS, and kept new by the feed while people ask."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from gis_core.database import Database
from gis_core.spec import Layer
from tests.conftest import ROOT
from tests.integration.pipes.street import OURS, PIPES, POINTS, THEIRS, fill, pipes, points, store
from twin.feed import Feed
from twin.pipes.graph import BACKWARD, CLOSED, METER, SOURCE, UNKNOWN, VALVE
from twin.pipes.networks import Key, Network, Networks, read
from twin.pipes.traces import Start

PATIENCE_S = 30


@pytest.fixture
def networks(database: Database, all_layers: dict[str, Layer]) -> Iterator[Networks]:
    fill(database, all_layers)
    feed = Feed(database)
    feed.start()
    made = Networks(database, all_layers, feed)
    yield made
    made.close()
    feed.stop()


def until(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    return holds()


def ids(database: Database, layer: Layer) -> dict[str, int]:
    table = layer.model.__table__
    with database.writing() as connection:
        return {row.code: row.id for row in connection.execute(table.select())}


def test_points_and_pipes_are_those_of_the_layers(
    networks: Networks, database: Database, all_layers: dict[str, Layer]
) -> None:
    graph = networks.of("water").graph
    point, pipe = ids(database, all_layers["pipe_points"]), ids(database, all_layers["pipe_segments"])
    assert (graph.points, graph.pipes) == (len(POINTS), len(PIPES))
    for code, (begin, finish) in PIPES.items():
        number = graph.pipe_number(pipe[code])
        assert number is not None
        assert graph.point_ids[graph.start[number]] == point[begin]
        assert graph.point_ids[graph.end[number]] == point[finish]
        assert graph.length_m[number] == 100
    told = {code: int(graph.bits[graph.point_number(id_)]) for code, id_ in point.items()}
    assert told == {
        "S1": SOURCE, "T1": 0, "V1": VALVE, "T2": 0, "V2": VALVE, "M1": METER, "V3": VALVE, "M2": METER,
    }  # fmt: skip
    assert graph.customers[graph.point_number(point["M1"])] == 120


def test_a_class_without_pipes_is_an_empty_network(networks: Networks) -> None:
    network = networks.of("gas")
    assert (network.graph.points, network.graph.pipes) == (0, 0)


def test_an_owners_network_has_that_owners_pipes(networks: Networks) -> None:
    assert networks.of("water", OURS).graph.pipes == 5
    assert networks.of("water", THEIRS).graph.pipes == 2
    # T2 is ours: to them it is a point that is named and not seen, and it still joins.
    assert networks.of("water", THEIRS).graph.points == 3


def test_missing_points_lengths_and_directions(database: Database, all_layers: dict[str, Layer]) -> None:
    store(database, all_layers["pipe_points"], points(("S1", "T1")))
    frame = pipes(("a", "b", "c", "d", "e"))
    frame["length_m"] = [None, 100.0, 100.0, 100.0, 100.0]
    frame["flow"] = ["backward", "none", None, None, None]
    frame["status"] = [None, "in_use", "other", "abandoned", "empty"]
    frame.loc[2, "end_point"] = None
    store(database, all_layers["pipe_segments"], frame)
    graph, _ = read(database, all_layers, Key("water"))
    at = {code: graph.pipe_number(id_) for code, id_ in ids(database, all_layers["pipe_segments"]).items()}
    assert (at["d"], at["e"]) == (None, None)
    assert (graph.pipes, graph.points) == (3, 4)
    assert (graph.point_ids > 0).sum() == 2
    assert graph.length_m[at["a"]] == pytest.approx(85.7, abs=0.5)
    assert [graph.flow[at[code]] for code in "abc"] == [BACKWARD, UNKNOWN, UNKNOWN]
    # b and c meet at V1, which was never surveyed.
    assert graph.end[at["b"]] == graph.start[at["c"]]


def test_a_change_brings_a_new_network_and_nobody_waits_for_it(
    networks: Networks, database: Database, all_layers: dict[str, Layer]
) -> None:
    before = networks.of("water")
    store(database, all_layers["pipe_points"], points(("V1",), valve_open=False))
    asked: list[Network] = []

    def is_new() -> bool:
        asked.append(networks.of("water"))
        return asked[-1].generation != before.generation

    assert until(is_new)
    number = int(np.flatnonzero(asked[-1].graph.bits & CLOSED)[0])
    assert asked[-1].graph.bits[number] & VALVE
    assert {network.generation for network in asked} == {before.generation, asked[-1].generation}
    assert not (before.graph.bits & CLOSED).any()


def test_the_feed_alone_brings_a_new_network(
    networks: Networks, database: Database, all_layers: dict[str, Layer]
) -> None:
    first = networks.of("water")

    async def wait() -> None:
        following = asyncio.create_task(networks.follow())
        await asyncio.sleep(0)
        await asyncio.to_thread(store, database, all_layers["pipe_segments"], pipes(("g",), status="abandoned"))
        assert await asyncio.to_thread(until, lambda: networks._resident[Key("water")] is not first)
        following.cancel()

    asyncio.run(asyncio.wait_for(wait(), PATIENCE_S))
    assert networks._resident[Key("water")].graph.pipes == len(PIPES) - 1


def test_a_service_starts_without_the_compiler() -> None:
    told = "import sys, web_map.service; print('numba' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ran.stdout.strip() == "False"


def test_many_threads_get_the_same_answers(networks: Networks) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def ask(number: int) -> tuple[int, int]:
        network = networks.of("water")
        found = network.traces.connected(Start((number % network.graph.points,)))
        return len(found.points), len(found.pipes)

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(ask, range(200))) == {(len(POINTS), len(PIPES))}
