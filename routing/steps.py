"""What to tell the driver: the arcs of a route as steps, in Chinese and English, with road names and distances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from routing.graph import BACK, Graph, Ints

_SLIGHT_DEG: Final = 35
_SHARP_DEG: Final = 125
_LONG_M: Final = 1000
_ROUND_TO_M: Final = 10

_SAYS: Final = {
    "depart": ("出发", "Start"),
    "on": ("继续直行", "Continue"),
    "right": ("右转", "Turn right"),
    "left": ("左转", "Turn left"),
    "sharp_right": ("向右急转", "Turn sharply right"),
    "sharp_left": ("向左急转", "Turn sharply left"),
    "back": ("掉头", "Make a U-turn"),
    "arrive": ("到达目的地", "Arrive"),
}


@dataclass(frozen=True)
class Step:
    """One thing to do, then to go on for some metres and seconds. `at` is the place (lon, lat) where to do it."""

    turn: str
    zh: str
    en: str
    name: str
    metres: float
    seconds: float
    at: tuple[float, float]
    exit: int = 0


def describe(
    graph: Graph, arcs: Ints, metres: list[float], seconds: list[float], ends: list[tuple[float, float]]
) -> list[Step]:
    """The steps of a route over `arcs`, each of some metres and seconds; `ends` are its first and last place.

    Going on under the same name, or where no other road leads on, is no step of its own. At a roundabout the exits that
    are passed are counted.
    """
    s = graph.segments
    rows = graph.segment[arcs]
    names = [str(s.names[n]) for n in s.name[rows]]
    starts = [0]
    turns = ["depart"]
    exits = [0]
    circling, passed = False, 0
    for i in range(1, len(arcs)):
        inside = bool(s.roundabout[rows[i]])
        if inside:
            if not circling:
                circling, passed = True, 0
                starts.append(i)
                turns.append("roundabout")
                exits.append(0)
            elif _leaves(graph, int(arcs[i - 1])):
                passed += 1
            continue
        if circling:
            circling = False
            exits[-1] = passed + 1
            # The road taken after the circle belongs to the same step.
            names[starts[-1]] = names[i]
            continue
        turn = _turn(graph, int(arcs[i - 1]), int(arcs[i]))
        if (turn == "on" and names[i] == names[i - 1]) or _only_way(graph, int(arcs[i - 1]), turn):
            continue
        starts.append(i)
        turns.append(turn)
        exits.append(0)
    found = []
    for k, start in enumerate(starts):
        end = starts[k + 1] if k + 1 < len(starts) else len(arcs)
        far = sum(metres[start:end])
        zh, en = _said(turns[k], names[start], far, exits[k])
        place = ends[0] if k == 0 else _begin(graph, int(arcs[start]))
        found.append(Step(turns[k], zh, en, names[start], far, sum(seconds[start:end]), place, exits[k]))
    zh, en = _SAYS["arrive"]
    return [*found, Step("arrive", zh, en, names[-1] if names else "", 0.0, 0.0, ends[1])]


def _turn(graph: Graph, begin: int, onto: int) -> str:
    """What one does from one arc onto the next."""
    for t in range(int(graph.first[begin]), int(graph.first[begin + 1])):
        if graph.onto[t] == onto:
            if graph.kind[t] == BACK:
                return "back"
            angle = int(graph.turn_deg[t])
            if abs(angle) <= _SLIGHT_DEG:
                return "on"
            sharp = "sharp_" if abs(angle) > _SHARP_DEG else ""
            return f"{sharp}{'right' if angle > 0 else 'left'}"
    return "on"


def _only_way(graph: Graph, begin: int, turn: str) -> bool:
    """Whether there is nothing to decide after an arc."""
    return turn != "back" and int(graph.first[begin + 1] - graph.first[begin]) == 1


def _leaves(graph: Graph, begin: int) -> bool:
    """Whether one could have left the roundabout after an arc."""
    onto = graph.onto[graph.first[begin] : graph.first[begin + 1]]
    return not graph.segments.roundabout[graph.segment[onto]].all()


def _begin(graph: Graph, arc: int) -> tuple[float, float]:
    """The place where an arc begins."""
    s, row = graph.segments, int(graph.segment[arc])
    lon, lat = s.xy[s.first[row + 1] - 1] if graph.back[arc] else s.xy[s.first[row]]
    return float(lon), float(lat)


def _said(turn: str, name: str, metres: float, way_out: int) -> tuple[str, str]:
    """A step in both languages."""
    zh_far, en_far = _far(metres)
    if turn == "roundabout":
        zh = f"进入环岛，从第{way_out}出口驶出" if way_out else "进入环岛"
        en = f"At the roundabout, take exit {way_out}" if way_out else "Enter the roundabout"
        return (
            f"{zh}{f'，进入{name}' if name else ''}，行驶{zh_far}",
            f"{en}{f' onto {name}' if name else ''}, {en_far}",
        )
    zh, en = _SAYS[turn]
    if turn == "depart":
        return f"出发，沿{name or '道路'}行驶{zh_far}", f"Start on {name or 'the road'}, {en_far}"
    if turn == "on":
        return (
            f"继续直行{f'，进入{name}' if name else ''}，行驶{zh_far}",
            f"Continue{f' onto {name}' if name else ''}, {en_far}",
        )
    return f"{zh}{f'进入{name}' if name else ''}，行驶{zh_far}", f"{en}{f' onto {name}' if name else ''}, {en_far}"


def _far(metres: float) -> tuple[str, str]:
    """A distance in both languages, as exact as a driver needs it."""
    rounded = max(round(metres / _ROUND_TO_M) * _ROUND_TO_M, _ROUND_TO_M)
    if rounded >= _LONG_M:
        return f"{metres / 1000:.1f}公里", f"{metres / 1000:.1f} km"
    return f"{rounded}米", f"{rounded} m"
