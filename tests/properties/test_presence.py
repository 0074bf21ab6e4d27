"""Presence keeps the topology: what hangs together lies in hexagons that hang together, the same whoever asks when."""

from __future__ import annotations

from itertools import pairwise

import h3
import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gis_core import hexgrid
from gis_core.hexagons import FINEST_PRESENCE

steps = st.lists(
    st.tuples(st.floats(-0.02, 0.02), st.floats(-0.02, 0.02)).filter(lambda step: abs(step[0]) + abs(step[1]) > 1e-5),
    min_size=1,
    max_size=12,
)


def cells_of(lines: list[shapely.LineString]) -> list[set[str]]:
    """The hexagons in which each line is told to be."""
    rows, cells, _ = hexgrid.cover_lines(np.array(lines, dtype=object))
    names = np.array(hexgrid.to_hex_strings(hexgrid.parent(cells, FINEST_PRESENCE)))
    return [set(names[rows == n]) for n in range(len(lines))]


def hang_together(cells: set[str]) -> bool:
    reached, front = set(), {min(cells)}
    while front:
        reached |= front
        front = ({near for cell in front for near in h3.grid_disk(cell, 1)} & cells) - reached
    return reached == cells


@given(start=st.tuples(st.floats(-170, 170), st.floats(-60, 60)), walk=steps, branch=steps)
@settings(max_examples=150, deadline=None)
def test_a_network_that_hangs_together_does_so_in_hexagons(
    start: tuple[float, float], walk: list[tuple[float, float]], branch: list[tuple[float, float]]
) -> None:
    nodes = np.cumsum([start, *walk], axis=0)
    side = np.cumsum([nodes[len(nodes) // 2], *branch], axis=0)
    lines = [shapely.LineString(pair) for path in (nodes, side) for pair in pairwise(path)]
    found = cells_of(lines)
    assert all(hang_together(cells) for cells in found)
    assert hang_together(set().union(*found))
    for (one, other), (first, second) in zip(pairwise(lines), pairwise(found), strict=True):
        if one.touches(other):
            near = {cell for shared in first for cell in h3.grid_disk(shared, 1)}
            assert near & second, "pipes that meet are told in the same or neighbouring hexagons"
    backwards = [shapely.LineString(line.coords[::-1]) for line in lines]
    assert cells_of(lines) == found
    assert set().union(*cells_of(lines[::-1])) == set().union(*found)
    assert len(cells_of(backwards)) == len(found)
