"""Water under pressure, by EPANET: what an isolation costs, and where a burst is likely by what sensors say."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from gis_core.errors import Unprocessable
from twin.pipes.epanet import wntr_of

Floats = npt.NDArray[np.float64]

LEAST_PRESSURE_M: Final = 14.0
"""Head at the ground below which a tap on the second floor runs dry; 0.14 MPa is what Chinese utilities promise."""
_PRESSURE, _BASE_DEMAND, _DEMAND = 11, 1, 9
_LITRES_A_SECOND: Final = 1000.0
_QUIET: Final = 1e-9


@dataclass(frozen=True)
class PressureLoss:
    """Heads above the nodes in metres, before and after something was closed, by node in the order of `nodes`.

    `cut_off` are nodes that no source reaches any more: their head is 0. `below` are those that had the least pressure
    before and have it no longer.
    """

    nodes: tuple[str, ...]
    before_m: Floats
    after_m: Floats
    cut_off: npt.NDArray[np.bool_]
    below: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Sensitivity:
    """How far the head at each sensor falls when each node leaks `leak_m3h`: rows are nodes, columns sensors (m)."""

    nodes: tuple[str, ...]
    sensors: tuple[str, ...]
    leak_m3h: float
    falls_m: Floats


def pressure_loss(network: Any, closed: Collection[str], *, least_m: float = LEAST_PRESSURE_M) -> PressureLoss:
    """What closing links (by name) costs in pressure, steady, at the model's first hour.

    Demands fall with the pressure (Wagner), as taps do. Source: EPANET 2.2 through wntr.

    Raises:
        Unprocessable: a link is not in the model, or EPANET finds no solution.
    """
    known = set(network.link_name_list)
    if missing := [name for name in closed if name not in known]:
        raise Unprocessable(f"the model has no link {missing[0]!r}")
    nodes = tuple(network.node_name_list)
    before = _heads(network, ())
    after = _heads(network, closed)
    cut = _cut_off(network, set(closed))
    after = np.where(cut, 0.0, np.maximum(after, 0.0))
    junction = np.isin(nodes, network.junction_name_list)
    below = junction & (before >= least_m) & (after < least_m)
    return PressureLoss(nodes, before, after, cut, below)


def sensitivity(network: Any, sensors: Sequence[str], leak_m3h: float) -> Sensitivity:
    """The column of falls for a leak at each junction: one steady solution each, about a millisecond.

    Raises:
        Unprocessable: a sensor is not in the model, or EPANET finds no solution.
    """
    junctions = tuple(network.junction_name_list)
    if missing := [name for name in sensors if name not in set(network.node_name_list)]:
        raise Unprocessable(f"the model has no node {missing[0]!r} for a sensor")
    with _opened(network) as solver:
        places = [solver.ENgetnodeindex(name) for name in sensors]
        quiet = _solved(solver, places)
        falls = np.empty((len(junctions), len(sensors)))
        leak = leak_m3h / 3600 * _LITRES_A_SECOND
        for row, name in enumerate(junctions):
            node = solver.ENgetnodeindex(name)
            base = solver.ENgetnodevalue(node, _BASE_DEMAND)
            solver.ENsetnodevalue(node, _BASE_DEMAND, base + leak)
            falls[row] = quiet - _solved(solver, places)
            solver.ENsetnodevalue(node, _BASE_DEMAND, base)
    return Sensitivity(junctions, tuple(sensors), leak_m3h, falls)


def localise(known: Sensitivity, fall_m: Floats) -> list[tuple[str, float]]:
    """Nodes by how well their falls match the measured ones: cosine of the angle, 1 the best, the likeliest first.

    `fall_m` is expected minus measured head at each sensor. Source: the projection method of burst localisation
    (Casillas et al. 2013, Sensors 13(11)).
    """
    length = np.linalg.norm(known.falls_m, axis=1) * np.linalg.norm(fall_m)
    cosine = np.where(length > _QUIET, known.falls_m @ np.asarray(fall_m) / np.maximum(length, _QUIET), 0.0)
    order = np.argsort(-cosine, kind="stable")
    return [(known.nodes[k], float(cosine[k])) for k in order]


def _heads(network: Any, closed: Collection[str]) -> Floats:
    """Head above each node in metres, with links closed."""
    wntr = wntr_of()
    saved = {name: network.get_link(name).initial_status for name in closed}
    options, duration = network.options, network.options.time.duration
    model = options.hydraulic.demand_model
    least = options.hydraulic.required_pressure
    try:
        for name in closed:
            network.get_link(name).initial_status = "CLOSED"
        options.time.duration = 0
        options.hydraulic.demand_model = "PDD"
        options.hydraulic.required_pressure = max(least, LEAST_PRESSURE_M)
        with tempfile.TemporaryDirectory(prefix="chengtu-epanet-") as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = wntr.sim.EpanetSimulator(network).run_sim(file_prefix=str(Path(folder) / "run"))
    except Exception as error:  # the library raises its own kinds and plain ones
        raise Unprocessable(f"EPANET finds no solution: {error}") from error
    finally:
        for name, status in saved.items():
            network.get_link(name).initial_status = status
        options.time.duration, options.hydraulic.demand_model = duration, model
        options.hydraulic.required_pressure = least
    pressure = found.node["pressure"].iloc[0]
    return np.asarray(pressure[network.node_name_list], dtype=np.float64)


def _cut_off(network: Any, closed: set[str]) -> npt.NDArray[np.bool_]:
    """Which nodes no source reaches through links that are open."""
    number = {name: place for place, name in enumerate(network.node_name_list)}
    ends = [
        (number[link.start_node_name], number[link.end_node_name])
        for name, link in network.links()
        if name not in closed and str(link.initial_status) != "Closed"
    ]
    start, end = np.array(ends, dtype=np.int64).reshape(-1, 2).T
    shape = (len(number), len(number))
    _, part = connected_components(coo_matrix((np.ones(len(start)), (start, end)), shape=shape), directed=False)
    sources = [number[name] for name in (*network.reservoir_name_list, *network.tank_name_list)]
    return ~np.isin(part, part[sources])


@contextmanager
def _opened(network: Any) -> Iterator[Any]:
    """The network in EPANET's own solver, in litres a second and metres, open for steady solutions."""
    wntr = wntr_of()
    with tempfile.TemporaryDirectory(prefix="chengtu-epanet-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        paths = [str(Path(folder) / name) for name in ("run.inp", "run.rpt", "run.bin")]
        wntr.network.write_inpfile(network, paths[0], units="LPS")
        solver = wntr.epanet.toolkit.ENepanet(version=2.2)
        solver.ENopen(*paths)
        try:
            solver.ENopenH()
            yield solver
            solver.ENcloseH()
        finally:
            solver.ENclose()


def _solved(solver: Any, places: Sequence[int]) -> Floats:
    solver.ENinitH(0)
    solver.ENrunH()
    return np.array([solver.ENgetnodevalue(place, _PRESSURE) for place in places])


def as_rows(loss: PressureLoss, codes: Mapping[str, str]) -> list[dict[str, Any]]:
    """The nodes that lose the least pressure or all of it, worst first, by the codes of our points."""
    names = {name: code for code, name in codes.items()}
    hit = np.flatnonzero(loss.below | loss.cut_off)
    order = hit[np.argsort(loss.after_m[hit] - loss.before_m[hit], kind="stable")]
    return [
        {
            "code": names.get(loss.nodes[k], loss.nodes[k]),
            "before_m": round(float(loss.before_m[k]), 2),
            "after_m": round(float(loss.after_m[k]), 2),
            "cut_off": bool(loss.cut_off[k]),
        }
        for k in order
    ]
