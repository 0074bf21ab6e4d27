"""A graph straight from OpenStreetMap: restrictions, barriers, access and one-ways kept, like ways joined."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data.osm import read_roads
from routing import permits
from routing.extracts import read_segments
from routing.graph import build
from routing.segments import ALL
from routing.vehicles import MOTOR, Mode

# A crossing at node 5: south 1-2-5 (two ways, one street), north 5-6, east 5-8, west 5-7; a gate at 9 on 8-9-10.
MAP = """<osm version="0.6">
{nodes}
<node id="2" lon="116.4" lat="39.699"><tag k="highway" v="traffic_signals"/></node>
<node id="9" lon="116.403" lat="39.7"><tag k="barrier" v="gate"/><tag k="access" v="private"/></node>
<way id="100"><nd ref="1"/><nd ref="2"/>{street}</way>
<way id="101"><nd ref="2"/><nd ref="5"/>{street}</way>
<way id="102"><nd ref="5"/><nd ref="6"/>{street}</way>
<way id="103"><nd ref="5"/><nd ref="7"/>{street}<tag k="oneway" v="yes"/></way>
<way id="104"><nd ref="5"/><nd ref="8"/>{street}<tag k="maxheight" v="3.2"/></way>
<way id="105"><nd ref="8"/><nd ref="9"/><nd ref="10"/>{street}<tag k="maxspeed" v="20"/></way>
<relation id="200"><member type="way" ref="101" role="from"/><member type="node" ref="5" role="via"/>
<member type="way" ref="102" role="to"/><tag k="type" v="restriction"/>
<tag k="restriction" v="no_straight_on"/></relation>
<relation id="201"><member type="way" ref="102" role="from"/><member type="node" ref="5" role="via"/>
<member type="way" ref="103" role="to"/><tag k="type" v="restriction"/>
<tag k="restriction" v="only_right_turn"/><tag k="except" v="bicycle"/></relation>
</osm>"""
PLACES = {1: (0, -2), 5: (0, 0), 6: (0, 1), 7: (-1, 0), 8: (1, 0), 10: (4, 0)}


@pytest.fixture
def extract(tmp_path: Path) -> Path:
    nodes = "".join(
        f'<node id="{n}" lon="{116.4 + x / 1000}" lat="{39.7 + y / 1000}"/>' for n, (x, y) in PLACES.items()
    )
    path = tmp_path / "town.osm"
    path.write_text(MAP.format(nodes=nodes, street='<tag k="highway" v="residential"/>'), encoding="utf-8")
    return path


def test_ways_become_segments_with_what_holds_on_them(extract: Path) -> None:
    segments = read_segments(extract)
    ways = [segments.ways[a:b].tolist() for a, b in zip(segments.way_first[:-1], segments.way_first[1:], strict=True)]
    assert sorted(ways) == [[100, 101], [102], [103], [104], [105], [105]], "a barrier keeps its node"
    street, oneway, low = (ways.index(w) for w in ([100, 101], [103], [104]))
    assert segments.signals[street].tolist() == [1, 1]
    assert segments.length_m[street] == pytest.approx(2 * 111.195, rel=1e-3)
    assert segments.ahead[oneway] == ALL
    assert segments.back[oneway] == int(Mode.foot)
    assert segments.height_m[low] == 3.2
    assert segments.speed_kmh[ways.index([105])] == 20
    assert segments.blocked.tolist().count(ALL & ~int(Mode.emergency)) == 1


def test_restrictions_close_turns_to_those_whom_they_bind(extract: Path) -> None:
    segments = read_segments(extract)
    graph = build(segments)

    def may(begin: int, end: int) -> int:
        """Who may turn from one way onto another."""
        begins, ends = (set(graph.arcs_of(graph.segments_of_way(w)).tolist()) for w in (begin, end))
        bits = graph.may[np.isin(graph.turn_from, list(begins)) & np.isin(graph.onto, list(ends))]
        return int(np.bitwise_or.reduce(bits)) if len(bits) else 0

    assert may(101, 102) == int(Mode.emergency)
    assert may(101, 104) == int(MOTOR)
    assert may(102, 103) == int(MOTOR)
    assert may(102, 104) == int(Mode.emergency), "only the right turn"


@pytest.mark.shared
def test_the_real_extract_has_one_great_network(shared: Path) -> None:
    found = read_roads(shared / "roads" / "porto.osm.pbf")
    assert len(found.restrictions) > 300
    assert len(found.ways) > 50_000


@pytest.mark.parametrize(
    ("tags", "ahead", "back"),
    [
        ({"highway": "residential"}, ALL, ALL),
        ({"highway": "motorway"}, int(MOTOR), 0),
        ({"highway": "residential", "oneway": "-1"}, int(Mode.foot), ALL),
        ({"highway": "residential", "oneway": "yes", "oneway:bicycle": "no"}, ALL, int(Mode.foot | Mode.bicycle)),
        ({"highway": "service", "access": "private"}, int(Mode.emergency), int(Mode.emergency)),
        ({"highway": "service", "access": "no", "foot": "yes", "emergency": "no"}, 16, 16),
        ({"highway": "footway"}, 16, 16),
        ({"highway": "footway", "access": "yes", "bicycle": "yes"}, 24, 24),
        ({"highway": "primary", "hgv": "no"}, ALL & ~4, ALL & ~4),
        ({"highway": "residential", "junction": "roundabout"}, ALL, int(Mode.foot)),
    ],
)
def test_access_is_read_from_the_general_to_the_special(tags: dict[str, str], ahead: int, back: int) -> None:
    assert permits.on_way(tags) == (ahead, back)


@pytest.mark.parametrize(
    ("text", "limit"),
    [("3.5", 3.5), ("3,5 m", 3.5), ("7.5 t", 7.5), ("12'6\"", 3.81), ("below", np.inf), (None, np.inf)],
)
def test_limits_are_read_as_osm_writes_them(text: str | None, limit: float) -> None:
    assert permits.limit(text) == pytest.approx(limit)
