"""Roads that answer: a graph, its hierarchy, what is on the roads now, and weights for each vehicle that has asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np

from gis_core.errors import Unprocessable
from routing import graph as graphs
from routing import hierarchy as hierarchies
from routing.closures import BadClosure, Closure
from routing.graph import FAMILIES, Graph, Ints
from routing.hierarchy import Hierarchy, Weights
from routing.metric import Metric
from routing.overlay import Overlay, State
from routing.segments import Floats, Segments
from routing.vehicles import Vehicle, vehicle

_GRAPH: Final = "graph"
_HIERARCHY: Final = "hierarchy"


class OtherRoads(Unprocessable):
    """This vehicle does not go by these roads."""


class Network:
    """The roads of one family of modes. Any thread may ask; changes follow one another and make no reader wait."""

    def __init__(self, graph: Graph, hierarchy: Hierarchy, rhythm: Floats | None = None) -> None:
        """Take what was built or loaded; weights are made for a vehicle when it first asks."""
        self.graph, self.hierarchy = graph, hierarchy
        self._overlay = Overlay(graph, rhythm)
        self._metrics: dict[tuple[Vehicle, bool], Metric] = {}
        self._changing = threading.RLock()

    @classmethod
    def build(cls, segments: Segments, family: str = "motor", *, drives_on: str = "right") -> Network:
        """Roads from segments; takes some seconds for a city."""
        graph = graphs.build(segments, family, drives_on=drives_on)
        return cls(graph, hierarchies.build(graph))

    @classmethod
    def load(cls, folder: Path, rhythm: Floats | None = None) -> Network:
        """Roads that were saved, mapped from disk. Raises NoGraph."""
        return cls(Graph.load(folder / _GRAPH), Hierarchy.load(folder / _HIERARCHY), rhythm)

    def save(self, folder: Path) -> None:
        """Write what does not change."""
        self.graph.save(folder / _GRAPH)
        self.hierarchy.save(folder / _HIERARCHY)

    @property
    def state(self) -> State:
        """The closures in force, and the generation."""
        return self._overlay.state

    @property
    def generation(self) -> int:
        """The number of changes so far."""
        return self._overlay.state.generation

    @contextmanager
    def weights(self, vehicle: Vehicle, generation: int | None = None, *, free: bool = False) -> Iterator[Weights]:
        """The times of a vehicle as they are now; `free`: as if there were no closures, live speeds or hours.

        Raises OtherRoads for one that does not go here, StaleGeneration for another `generation`.
        """
        with self._metric(vehicle, free=free).lease(generation) as weights:
            yield weights

    def put(self, closures: Iterable[Closure]) -> int:
        """Add or replace closures, all or none. Gives the generation. Raises BadClosure."""
        several = list(closures)
        if len({c.id for c in several}) < len(several):
            raise BadClosure("Two closures have the same id.")
        return self._change(lambda: self._overlay.put(several))

    def drop(self, ids: Sequence[str]) -> int:
        """Take closures away. Gives the generation. Raises NoSuchClosure."""
        return self._change(lambda: self._overlay.drop(ids))

    def advance(self, at: datetime) -> int:
        """It is `at` now (aware). Gives the generation."""
        return self._change(lambda: self._overlay.advance(at))

    def drive(self, segments: Ints, speed_kmh: Floats) -> int:
        """Live speeds (k, 2) along and against segments; NaN: as usual. Gives the generation. Raises BadSpeeds."""
        return self._change(lambda: self._overlay.drive(segments, speed_kmh))

    def warm(self, names: Iterable[str] = ("car",)) -> None:
        """Compile what is not, and make the weights of some vehicles, so that nobody who asks waits for it."""
        for name in names:
            with self.weights(vehicle(name)) as now, self.weights(vehicle(name), free=True):
                if not len(self.graph):
                    continue
                nothing, first = np.zeros(1, np.int32), np.zeros(1, np.int32)
                now.path(0, len(self.graph) - 1)
                now.meetings(0, 0, 0)
                now.sweep(first, nothing)
                now.many(np.array([0, 1]), first, nothing, first)
                arc_ms, w = now.arc_ms.copy(), now.w.copy()
                hierarchies.Changer(self.hierarchy).update(first, w, now.turn_ms, arc_ms)

    def _metric(self, vehicle: Vehicle, *, free: bool) -> Metric:
        found = self._metrics.get((vehicle, free))
        if found is not None:
            return found
        if not FAMILIES[self.graph.family] & int(vehicle.mode):
            raise OtherRoads(f"A {vehicle.en} does not go by the roads of {self.graph.family} traffic.")
        with self._changing:
            if (vehicle, free) not in self._metrics:
                every = np.arange(len(self.graph), dtype=np.int32)
                arc_ms = self.graph.arc_ms(vehicle) if free else self._overlay.costs_ms(vehicle, every)
                generation = 0 if free else self.generation
                self._metrics[vehicle, free] = Metric(self.hierarchy, self.graph.turn_ms(vehicle), arc_ms, generation)
            return self._metrics[vehicle, free]

    def _change(self, make: Callable[[], Ints]) -> int:
        """Change the overlay, and every vehicle's weights where it touched them."""
        with self._changing:
            before = self.generation
            arcs = make()
            if len(arcs) or self.generation != before:
                for (each, free), metric in self._metrics.items():
                    if not free:
                        metric.change(arcs, self._overlay.costs_ms(each, arcs), self.generation)
            return self.generation
