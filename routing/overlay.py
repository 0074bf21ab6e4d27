"""What is on the roads now, over what is always so: closures in force, live speeds, the hour; with a generation number.

It knows no clock: `advance` is told the time. Every change gives the arcs that it touched, so that weights are mended
there and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Final

import numpy as np

from routing.closures import Closure, Held, NoSuchClosure, joined, locate
from routing.graph import INFINITE, BadSpeeds, Graph, Ints
from routing.segments import Floats
from routing.vehicles import CLASSES, Vehicle

_HOURS: Final = 24
_SHARES: Final = (0.05, 2.0)


@dataclass(frozen=True)
class State:
    """What held at one generation: closures by id, and which of them were in force."""

    generation: int
    held: Mapping[str, Held]
    active: frozenset[str]
    at: datetime | None = None

    def on(self, arc: int) -> list[Closure]:
        """The closures in force that touch an arc."""
        return [self.held[i].closure for i in sorted(self.active) if self.held[i].touches(arc)]


class Overlay:
    """The changing part of a graph; for one writer at a time. `state` is never changed, only replaced."""

    def __init__(self, graph: Graph, rhythm: Floats | None = None) -> None:
        """Nothing is closed at first; `rhythm` (24, classes) is the share of a free road's speed by hour.

        Raises BadSpeeds for a rhythm of another shape or with shares not within 0.05 and 2.
        """
        self.graph = graph
        self.state = State(0, MappingProxyType({}), frozenset())
        self._speed_kmh = np.full((len(graph.segments), 2), np.nan)
        self._rhythm = np.ones((_HOURS, len(CLASSES))) if rhythm is None else rhythm
        shape_is_right = self._rhythm.shape == (_HOURS, len(CLASSES))
        if not shape_is_right or not ((self._rhythm >= _SHARES[0]) & (self._rhythm <= _SHARES[1])).all():
            raise BadSpeeds("A rhythm has 24 hours by 8 classes, each a share within 0.05 and 2.")
        self._usual: dict[Vehicle, Ints] = {}
        self._on: dict[int, set[str]] = {}

    def usual_ms(self, vehicle: Vehicle) -> Ints:
        """What arcs take without any closure, at this hour and with live speeds; INFINITE where it may not go."""
        if vehicle not in self._usual:
            self._usual[vehicle] = self._paced(vehicle)
        return self._usual[vehicle]

    def costs_ms(self, vehicle: Vehicle, arcs: Ints) -> Ints:
        """What these arcs (ascending) take now."""
        took = self.usual_ms(vehicle)[arcs].copy()
        if self._on:
            for name in {name for arc in arcs.tolist() for name in self._on.get(arc, ())}:
                held = self.state.held[name]
                at = np.searchsorted(held.arcs, arcs)
                mine = held.arcs[np.minimum(at, len(held.arcs) - 1)] == arcs
                took[mine] = np.maximum(took[mine], held.closure.cost_ms(self.graph, vehicle, arcs[mine]))
        return took

    def put(self, closures: Iterable[Closure]) -> Ints:
        """Add closures, or replace those of the same id; all or none. Gives the arcs touched. Raises BadClosure."""
        new = {c.id: Held(c, locate(self.graph, c)) for c in closures}
        held = {**self.state.held, **new}
        return self._become(held, new.keys(), self.state.at)

    def drop(self, ids: Iterable[str]) -> Ints:
        """Take closures away. Gives the arcs touched. Raises NoSuchClosure, and then takes none away."""
        gone = set(ids)
        if missing := sorted(gone - self.state.held.keys()):
            raise NoSuchClosure(f"There is no closure {', '.join(missing)}.")
        held = {name: each for name, each in self.state.held.items() if name not in gone}
        return self._become(held, gone, self.state.at)

    def advance(self, at: datetime) -> Ints:
        """It is `at` now (aware): closures begin and end, and the hour changes. Gives the arcs touched."""
        before = self.state.at
        touched = self._become(dict(self.state.held), (), at)
        if before is None or before.hour != at.hour:
            paced = self._repace()
            if len(paced):
                self.state = replace(self.state, generation=self.state.generation + 1)
                touched = joined([touched, paced])
        return touched

    def drive(self, segments: Ints, speed_kmh: Floats) -> Ints:
        """On these segments (k) one drives at `speed_kmh` (k, 2) now; NaN as usual. Gives the arcs touched.

        Raises BadSpeeds for speeds that are negative or absurd; then nothing has changed.
        """
        before = self._speed_kmh.copy()
        self._speed_kmh[segments] = speed_kmh
        try:
            touched = self._repace()
        except BadSpeeds:
            self._speed_kmh = before
            raise
        self.state = replace(self.state, generation=self.state.generation + 1)
        return touched

    def _become(self, held: dict[str, Held], changed: Iterable[str], at: datetime | None) -> Ints:
        """Replace the state; `changed` are closures that are new, other, or gone."""
        old = self.state
        active = frozenset(name for name, each in held.items() if each.closure.holds(at))
        ended = (old.active - active) | (old.active & set(changed))
        begun = (active - old.active) | (active & set(changed))
        for name in ended:
            for arc in old.held[name].arcs.tolist():
                here = self._on[arc]
                here.discard(name)
                if not here:
                    del self._on[arc]
        for name in begun:
            for arc in held[name].arcs.tolist():
                self._on.setdefault(arc, set()).add(name)
        moved = bool(ended or begun or held.keys() != old.held.keys())
        self.state = State(old.generation + moved, MappingProxyType(held), active, at)
        return joined([old.held[n].arcs for n in ended] + [held[n].arcs for n in begun])

    def _repace(self) -> Ints:
        """Work out anew what arcs usually take; where that has changed."""
        new = {vehicle: self._paced(vehicle) for vehicle in self._usual}
        touched = [np.flatnonzero(new[v] != was).astype(np.int32) for v, was in self._usual.items()]
        self._usual = new
        return joined(touched)

    def _paced(self, vehicle: Vehicle) -> Ints:
        free = self.graph.arc_ms(vehicle, self._speed_kmh)
        if self.state.at is None:
            return free
        share = self._rhythm[self.state.at.hour][self.graph.segments.road_class[self.graph.segment]]
        # What is measured now has the hour in it already.
        share = np.where(np.isfinite(self._speed_kmh[self.graph.segment, self.graph.back.astype(np.int64)]), 1, share)
        return np.where(free >= INFINITE, INFINITE, np.minimum(np.rint(free / share), INFINITE - 1)).astype(np.int32)
