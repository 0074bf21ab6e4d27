"""The weights of one vehicle, held twice: one is asked while the other is brought up to date; then they change places.

Who asks leases what is in front; a change waits for nobody, since it takes weights that nobody holds.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from routing.closures import StaleGeneration, joined
from routing.graph import Ints
from routing.hierarchy import Changer, Hierarchy, Weights, customize

# Where more arcs change at once, customizing all anew is quicker than following each change up.
MOST_IN_PART: Final = 250


@dataclass(eq=False)
class _Buffer:
    weights: Weights
    readers: int = 0
    behind: list[Ints] = field(default_factory=list)


class Metric:
    """Times of one vehicle on one hierarchy. Any thread may lease; changes are made by one thread at a time."""

    def __init__(self, hierarchy: Hierarchy, turn_ms: Ints, arc_ms: Ints, generation: int) -> None:
        """Customize for these times."""
        self._hierarchy, self._turn_ms = hierarchy, turn_ms
        self._arc_ms = arc_ms.copy()
        self._generation = generation
        self._changer: Changer | None = None
        self._lock, self._changing = threading.Lock(), threading.Lock()
        self._front = self._new()
        self._back: list[_Buffer] = []

    @contextmanager
    def lease(self, generation: int | None = None) -> Iterator[Weights]:
        """The weights in front, unchanged while held. Raises StaleGeneration if they are of another `generation`."""
        with self._lock:
            buffer = self._front
            now = buffer.weights.generation
            if generation is not None and generation != now:
                raise StaleGeneration(f"This was asked of generation {generation}; the roads are at {now}.")
            buffer.readers += 1
        try:
            yield buffer.weights
        finally:
            with self._lock:
                buffer.readers -= 1

    def change(self, arcs: Ints, arc_ms: Ints, generation: int) -> None:
        """From now on these arcs take `arc_ms`, and the weights are of this generation."""
        with self._changing:
            moved = self._arc_ms[arcs] != arc_ms
            arcs, arc_ms = arcs[moved], arc_ms[moved]
            self._arc_ms[arcs] = arc_ms
            self._generation = generation
            with self._lock:
                for buffer in (self._front, *self._back):
                    if len(arcs):
                        buffer.behind.append(arcs)
                spare = next((b for b in self._back if not b.readers), None)
                if spare:
                    self._back.remove(spare)
            if spare:
                self._catch_up(spare)
            else:
                spare = self._new()
            with self._lock:
                self._back.append(self._front)
                self._front = spare
                idle = next((b for b in self._back if not b.readers), None)
                if idle:
                    self._back.remove(idle)
                    # Two are enough when nobody asks; more came of slow readers.
                    self._back = [b for b in self._back if b.readers]
            if idle:
                self._catch_up(idle)
                with self._lock:
                    self._back.append(idle)

    def _new(self) -> _Buffer:
        h = self._hierarchy
        w = np.empty((len(h.high), 2), np.int32)
        held = self._arc_ms.copy()
        customize(h, w, self._turn_ms, held)
        return _Buffer(Weights(h, w, held, self._turn_ms, self._generation))

    def _catch_up(self, buffer: _Buffer) -> None:
        """Bring weights that nobody holds to the present."""
        old = buffer.weights
        arcs = joined(buffer.behind)
        buffer.behind = []
        old.arc_ms[arcs] = self._arc_ms[arcs]
        if len(arcs) > MOST_IN_PART:
            customize(self._hierarchy, old.w, self._turn_ms, old.arc_ms)
        elif len(arcs):
            self._changer = self._changer or Changer(self._hierarchy)
            self._changer.update(arcs, old.w, self._turn_ms, old.arc_ms)
        buffer.weights = Weights(self._hierarchy, old.w, old.arc_ms, self._turn_ms, self._generation)
