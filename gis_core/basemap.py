"""The dark base map as a MapLibre style: ground, boundaries, streets and names, all from our own tiles.

There is no `glyphs` and no `sprite` key: the browser draws every letter from its own fonts, so nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gis_core.scene import MAX_TILE_ZOOM
from gis_core.spec import Layer
from gis_core.style import LABELS, UNKNOWN_COLOUR, Boundary, By, Colour, Ground, Street

Json = dict[str, Any]

BACKGROUND = "#0a111f"
HALO = "#0a111f"
_RANKS = (
    # rank, colour, casing, width in pixels at zoom 10, 14 and 18
    (1, "#c98b3c", "#3b2a12", 2.2, 5.0, 26),
    (2, "#b5813f", "#33260f", 1.8, 4.2, 22),
    (3, "#7d7f8c", "#1c2230", 1.2, 3.4, 20),
    (4, "#64708a", "#1a2131", 0.8, 2.6, 16),
    (5, "#4d5a76", "#172033", 0.4, 1.8, 13),
    (6, "#3a4763", "#141c2d", 0.2, 1.1, 10),
    (7, "#2f3b55", "#121a2a", 0.1, 0.8, 6),
    (8, "#2f4d52", "#121a2a", 0.1, 0.6, 3),
)


def style(layers: Iterable[tuple[Layer, str]]) -> Json:
    """The style document for those of the layers that belong to the base map; each comes with its tiles' URL."""
    own = [(layer, url) for layer, url in layers if isinstance(layer.style, Street | Ground | Boundary)]
    ordered = sorted(own, key=lambda pair: (Ground, Boundary, Street).index(type(pair[0].style)))
    return {
        "version": 8,
        "name": "chengtu-dark",
        "sources": {layer.name: _source(layer, url) for layer, url in ordered},
        "layers": [
            {"id": "background", "type": "background", "paint": {"background-color": BACKGROUND}},
            *(drawn for layer, _ in ordered for drawn in _shapes(layer)),
            *(drawn for layer, _ in reversed(ordered) for drawn in _names(layer)),
        ],
    }


def _source(layer: Layer, url: str) -> Json:
    return {"type": "vector", "tiles": [url], "minzoom": layer.min_zoom, "maxzoom": MAX_TILE_ZOOM}


def _shapes(layer: Layer) -> list[Json]:
    match layer.style:
        case Ground(colour=colour):
            return [_drawn(layer, "fill", {"fill-color": _colour(colour), "fill-antialias": True})]
        case Boundary(colour=colour, level=level):
            outer = ["==", ["get", level.key], 1]
            paint = {
                "line-color": colour,
                "line-width": ["case", outer, 2.2, 1],
                "line-opacity": ["case", outer, 0.9, 0.5],
                "line-dasharray": [4, 2],
            }
            return [_drawn(layer, "line", paint)]
        case Street(rank=rank):
            ends = {"line-cap": "round", "line-join": "round", "line-sort-key": ["-", 10, ["get", rank.key]]}
            casing = {"line-color": _by_rank(rank.key, 2), "line-width": _width(rank.key, extra=2)}
            body = {"line-color": _by_rank(rank.key, 1), "line-width": _width(rank.key, extra=0)}
            return [_drawn(layer, "casing", casing, ends), _drawn(layer, "line", body, ends)]
        case _:
            return []


def _names(layer: Layer) -> list[Json]:
    match layer.style:
        case Street(rank=rank, name=name):
            layout = {
                "symbol-placement": "line",
                "text-field": ["get", name.key],
                "text-size": ["interpolate", ["linear"], ["zoom"], 12, 11, 18, 15],
                "symbol-sort-key": ["get", rank.key],
                "symbol-spacing": 320,
                "text-padding": 8,
            }
            return [_drawn(layer, "label", _ink("#b9c6e0"), layout)]
        case Boundary(name=name, level=level):
            outer = ["case", ["<=", ["get", level.key], 2], ["get", name.key], ""]
            layout = {
                "text-field": ["step", ["zoom"], outer, 12.8, ["get", name.key]],
                "text-size": ["case", ["==", ["get", level.key], 1], 18, 13],
                "text-letter-spacing": 0.08,
                "symbol-sort-key": ["get", level.key],
            }
            names = _drawn(layer, "label", _ink("#8fb0de"), layout)
            return [names | {"source-layer": layer.name + LABELS, "maxzoom": 14}]
        case _:
            return []


def _drawn(layer: Layer, kind: str, paint: Json, layout: Json | None = None) -> Json:
    shape = {"label": "symbol", "casing": "line"}.get(kind, kind)
    return {
        "id": f"{layer.name}-{kind}",
        "type": shape,
        "source": layer.name,
        "source-layer": layer.name,
        "paint": paint,
        "layout": layout or {},
    }


def _ink(colour: str) -> Json:
    return {"text-color": colour, "text-halo-color": HALO, "text-halo-width": 1.6}


def _colour(colour: Colour) -> str | list[Any]:
    if not isinstance(colour, By):
        return colour
    pairs = [x for code in colour.codes for x in (code.name, code.colour)]
    return ["match", ["get", colour.field], *pairs, UNKNOWN_COLOUR]


def _by_rank(column: str, place: int) -> list[Any]:
    pairs = [x for row in _RANKS[:-1] for x in (row[0], row[place])]
    return ["match", ["get", column], *pairs, _RANKS[-1][place]]


def _width(column: str, extra: float) -> list[Any]:
    def at(place: int) -> list[Any]:
        pairs = [x for row in _RANKS[:-1] for x in (row[0], float(row[place]) + extra)]
        return ["match", ["get", column], *pairs, float(_RANKS[-1][place]) + extra]

    return ["interpolate", ["exponential", 1.6], ["zoom"], 10, at(3), 14, at(4), 18, at(5)]
