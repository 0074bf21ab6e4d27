"""Which streets have which pipes, from where they are served or whither they drain, and how much they carry."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import shapely
from scipy.spatial import cKDTree

from data.makers.pipe_kinds import Kind
from data.makers.street_graph import Floats, Ints, Mask, StreetGraph, Tree
from data.makers.terrain import Rolling

MAIN, DISTRIBUTOR = 4, 5
_CLIMB_COST: Final = 60.0
_BY_RANK: Final = np.array([1, 1, 0.85, 0.7, 0.75, 0.85, 1.0])
_PATCH_M: Final = 1400.0
# Which share of residential streets has the class, as a level of a smooth field with spread 1 (-9: every street).
_RESIDENTIAL_FROM: Final = {
    "water": -9.0, "sewage": -9.0, "storm": 1.1, "gas": 0.6, "power": 1.4, "telecom": 1.2, "heat": 0.3,
}  # fmt: skip
_OLD_TOWN_M, _CAMPUS_M, _HARBOUR_M = 650.0, 900.0, 800.0
_DISTRICT_SHARE: Final = 0.3  # of the city's breadth: old town, campus and harbour are no larger
_NEIGHBOURHOOD_M, _SPARSE_KM_PER_KM2 = 300.0, 8.0
_WARM_LATITUDE: Final = 35.0
_SPREAD_M: Final = {"sewage": 4500.0, "storm": 700.0, "combined": 500.0}
_OUTFALLS: Final = {"sewage": 4, "storm": 60, "combined": 2}
_SOURCES: Final = {"water": 3, "gas": 2, "power": 6, "telecom": 4, "heat": 1, "industrial": 1}
_PEOPLE_PER_M: Final = 0.5


@dataclass(frozen=True)
class Site:
    """What routes are chosen by: the streets, their people, the ground, the middle of the city and its latitude."""

    graph: StreetGraph
    people: Floats
    node_height_m: Floats
    centre: Floats
    latitude: float
    seed: int


@dataclass(frozen=True)
class Routes:
    """The streets that have one class.

    `tree` leads to the roots (sources or outfalls), `laid` marks streets with a pipe, `branch` those of them that are
    in the tree, `load` is what each street's pipe carries (people served, or metres of street drained).
    """

    kind: Kind
    tree: Tree
    roots: Ints
    laid: Mask
    branch: Mask
    load: Floats


def seed_of(seed: int, *words: str) -> int:
    """A seed of its own for each thing that is made, so that adding one does not change another."""
    return zlib.crc32("/".join((str(seed), *words)).encode())


def people_along(graph: StreetGraph, zones: npt.NDArray[np.object_], people: Floats) -> Floats:
    """People per street: each zone's population shared out by length of residential and lesser streets."""
    length = graph.length_m * np.where(graph.rank >= DISTRIBUTOR, 1.0, 0.5)
    if not len(zones):
        return length * _PEOPLE_PER_M
    tree = shapely.STRtree(zones)
    street, zone = tree.query(shapely.points(graph.middle), predicate="within")
    share = np.zeros(len(graph))
    street, at = np.unique(street, return_index=True)
    zone = zone[at]
    total = np.bincount(zone, length[street], minlength=len(people))
    share[street] = people[zone] * length[street] / total[zone]
    return share


def choose(kind: Kind, site: Site) -> Routes | None:
    """The routes of a class; None where the city has none of it."""
    graph = site.graph
    wanted = _wanted(kind, site)
    if not wanted.any():
        return None
    toward_start, toward_end = _costs(kind, site)
    component_roots = _roots(kind, site, wanted)
    tree = graph.tree(component_roots, toward_start, toward_end)
    wanted &= tree.reached[graph.start] & tree.reached[graph.end]
    laid, branch = _connect(kind, graph, tree, wanted)
    own = graph.length_m if kind.drains_streets else site.people
    return Routes(kind, tree, component_roots, laid, branch, _load(graph, tree, laid, branch, own))


def _wanted(kind: Kind, site: Site) -> Mask:
    """Streets whose houses have the class of their own right, not for passing through."""
    graph, middle = site.graph, site.graph.middle
    away = np.hypot(*(middle - site.centre).T)
    limit = _DISTRICT_SHARE * float(np.sqrt(np.prod(np.ptp(graph.nodes, axis=0))))
    if kind.name == "combined":
        return np.asarray(away < min(_OLD_TOWN_M, limit))
    if kind.name == "industrial":
        low = graph.nodes[np.argmin(site.node_height_m)]
        return np.asarray(np.hypot(*(middle - low).T) < min(_HARBOUR_M, limit))
    if kind.name == "heat" and abs(site.latitude) < _WARM_LATITUDE:
        return np.asarray(away < min(_CAMPUS_M, limit)) & (graph.rank >= DISTRIBUTOR)
    field = Rolling(seed_of(site.seed, kind.name), _PATCH_M)(middle)
    through = MAIN if kind.name in {"power", "telecom", "storm"} else DISTRIBUTOR
    wanted = (graph.rank <= through) | (field > _RESIDENTIAL_FROM[kind.name])
    if kind.name == "storm":
        wanted &= away >= min(_OLD_TOWN_M, limit)
    if kind.name != "water":  # country lanes have water and a septic tank
        wanted &= _street_density(graph) > _SPARSE_KM_PER_KM2
    return np.asarray(wanted)


def _street_density(graph: StreetGraph) -> Floats:
    """Kilometres of street per square kilometre around the middle of each street."""
    middle, length = graph.middle, np.minimum(graph.length_m, 2 * _NEIGHBOURHOOD_M)
    tree = cKDTree(middle)
    pairs = tree.query_pairs(_NEIGHBOURHOOD_M, output_type="ndarray")
    total = length.copy()
    np.add.at(total, pairs[:, 0], length[pairs[:, 1]])
    np.add.at(total, pairs[:, 1], length[pairs[:, 0]])
    return np.asarray(total / 1e3 / (np.pi * (_NEIGHBOURHOOD_M / 1e3) ** 2), np.float64)


def _costs(kind: Kind, site: Site) -> tuple[Floats, Floats]:
    """Costs of laying along each street toward its start and its end; for sewers climbing is dear."""
    graph = site.graph
    length = graph.length_m * _BY_RANK[graph.rank]
    if not kind.gravity:
        return length, length
    rise = site.node_height_m[graph.end] - site.node_height_m[graph.start]
    return length + _CLIMB_COST * np.maximum(-rise, 0), length + _CLIMB_COST * np.maximum(rise, 0)


def _roots(kind: Kind, site: Site, wanted: Mask) -> Ints:
    """Outfalls at low nodes of great streets, sources at high ones, well apart; at least one in each connected part."""
    graph = site.graph
    ends = np.unique(np.concatenate([graph.start[wanted], graph.end[wanted]]))
    height = site.node_height_m[ends]
    order = ends[np.argsort(height if kind.gravity else -height, kind="stable")]
    count = _OUTFALLS.get(kind.name) or _SOURCES[kind.name]
    apart = _SPREAD_M.get(kind.name, 2500.0)
    eligible = order[: max(len(order) // 8, 1)]
    roots: list[int] = []
    for node in eligible:
        if len(roots) >= count:
            break
        if not roots or np.hypot(*(graph.nodes[roots] - graph.nodes[node]).T).min() >= apart:
            roots.append(int(node))
    flat = np.ones(len(graph))
    while True:
        lost = order[~graph.tree(np.array(roots, np.int64), flat, flat).reached[order]]
        if not len(lost):
            return np.array(roots, np.int64)
        roots.append(int(lost[0]))


def _connect(kind: Kind, graph: StreetGraph, tree: Tree, wanted: Mask) -> tuple[Mask, Mask]:
    """Wanted streets, and the streets by which they reach a root."""
    needed = np.zeros(len(graph.nodes), bool)
    in_tree = np.zeros(len(graph), bool)
    in_tree[tree.street[tree.parent >= 0]] = True
    chord = wanted & ~in_tree
    if kind.gravity:
        needed[lower_end(graph, tree)[chord]] = True
    else:
        needed[graph.start[chord]] = needed[graph.end[chord]] = True
    branch = np.zeros(len(graph), bool)
    for node in tree.inward():
        street = tree.street[node]
        if wanted[street] or needed[node]:
            branch[street] = True
            needed[tree.parent[node]] = True
    return chord | branch, branch


def lower_end(graph: StreetGraph, tree: Tree) -> Ints:
    """The end of each street that is nearer to a root: whither a street beside the tree drains."""
    nearer = tree.distance[graph.start] <= tree.distance[graph.end]
    return np.where(nearer, graph.start, graph.end)


def _load(graph: StreetGraph, tree: Tree, laid: Mask, branch: Mask, own: Floats) -> Floats:
    """What each laid street carries: its own, and for streets of the tree all that comes from beyond."""
    own = np.where(laid, own, 0.0)
    at_node = np.zeros(len(graph.nodes))
    np.add.at(at_node, lower_end(graph, tree)[laid & ~branch], own[laid & ~branch])
    child = np.flatnonzero(tree.parent >= 0)
    child = child[branch[tree.street[child]]]
    at_node[child] += own[tree.street[child]]
    through = tree.gather(at_node)
    load = own.copy()
    load[tree.street[child]] = through[child]
    return load
