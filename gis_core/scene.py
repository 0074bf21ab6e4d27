"""The wall's scene: the layers' symbology told to deck.gl, through pydeck and nothing else of pydeck.

Python says what is shown (layers, sources by URL, styling, camera); data never travels in a scene.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pydeck as pdk
from pydeck.types import String

from gis_core.spec import Layer
from gis_core.style import (
    UNKNOWN_COLOUR,
    Basemap,
    By,
    Circle,
    Colour,
    Extrusion,
    Fill,
    Ground,
    Line,
    Underground,
    colour_of,
)

LABELS_FROM = "roads-label"
"""The basemap's first label layer: every overlay is drawn below it, so that names stay readable."""

EXAGGERATION = 6
"""How many times deeper than true a pipe is drawn; the screen says so."""

MAX_TILE_ZOOM = 16
"""Tiles are cut down to this zoom; closer views stretch them, since one unit is then 15 cm."""

_MARKS = {Circle: "circle", Line: "line", Underground: "line", Fill: "fill", Ground: "fill", Extrusion: "extrusion"}

Settings = dict[str, Any]


@dataclass(frozen=True)
class Camera:
    """Where the viewer stands: degrees, zoom, pitch and bearing in degrees."""

    longitude: float
    latitude: float
    zoom: float
    pitch: float = 0
    bearing: float = 0


def compose(
    camera: Camera, style_url: str, layers: Iterable[tuple[Layer, str]], *, hexagons: bool = True
) -> dict[str, Any]:
    """The scene as deck.gl's JSON: one entry a layer that is not part of the basemap, and one for hexagons.

    `layers` pairs each layer with the URL template of its tiles; `hexagons` says whether they show at start.
    """
    drawn = [pdk.Layer(**overlay(layer, url)) for layer, url in layers if not isinstance(layer.style, Basemap)]
    deck = pdk.Deck(
        layers=[*drawn, _hexagons(visible=hexagons)],
        initial_view_state=pdk.ViewState(**vars(camera)),
        map_provider="maplibre",
        map_style=style_url,
    )
    scene: dict[str, Any] = json.loads(deck.to_json())
    del scene["views"]  # the browser owns the map's one view
    return scene


def overlay(layer: Layer, url: str) -> Settings:
    """What pydeck is told of one layer."""
    given: Settings = {
        "id": layer.name,
        "data": String(url),
        "min_zoom": layer.min_zoom,
        "max_zoom": MAX_TILE_ZOOM,
        "visible": layer.visible,
        "pickable": True,
        "auto_highlight": True,
        "highlight_color": [255, 255, 255, 90],
        "before_id": String(LABELS_FROM),
    }
    return given | _mark(layer)


def _mark(layer: Layer) -> Settings:
    match layer.style:
        case Circle(colour=colour, radius=radius):
            return {
                "type": "MVTLayer",
                "get_fill_color": rgba(colour, 235),
                "get_point_radius": radius,
                "point_radius_units": String("pixels"),
                "stroked": True,
                "get_line_color": [8, 14, 26, 230],
                "get_line_width": 1,
                "line_width_units": String("pixels"),
            }
        case Line(colour=colour, width=width):
            return {
                "type": "MVTLayer",
                "get_line_color": rgba(colour, 235),
                "get_line_width": width,
                "line_width_units": String("pixels"),
            }
        case Fill(colour=colour, opacity=opacity, outline=outline):
            return {
                "type": "MVTLayer",
                "get_fill_color": rgba(colour, round(opacity * 255)),
                "get_line_color": rgba(colour, 150),
                "stroked": outline > 0,
                "get_line_width": outline,
                "line_width_units": String("pixels"),
            }
        case Extrusion(colour=colour, height=height):
            return {
                "type": "MVTLayer",
                "extruded": True,
                "get_elevation": f"properties.{height.key}",
                "get_fill_color": rgba(colour, 235),
            }
        case Underground(colour=colour, width=width_column, start_depth=start, end_depth=end):
            return {
                "type": "UndergroundLayer",
                "get_color": rgba(colour, 235),
                "get_width": f"properties.{width_column.key} / 1000",
                "start_depth": String(start.key),
                "end_depth": String(end.key),
                "exaggeration": EXAGGERATION,
                "width_min_pixels": 1.5,
                "parameters": {"depthCompare": "always"},
            }
        case other:
            msg = f"{layer.name}: the mark {type(other).__name__} has no place in a scene"
            raise TypeError(msg)


def _hexagons(*, visible: bool) -> pdk.Layer:
    return pdk.Layer(
        "H3HexagonLayer",
        id="hexagons",
        data=[],
        visible=visible,
        pickable=True,
        filled=True,
        stroked=False,
        extruded=False,
        opacity=0.7,
        before_id=String(LABELS_FROM),
    )


def rgba(colour: Colour, alpha: int) -> list[int] | str:
    """A colour as deck.gl takes it: `[r, g, b, a]`, or an expression that picks by the column's code."""
    if not isinstance(colour, By):
        return [*channels(colour), alpha]
    expression = str([*channels(UNKNOWN_COLOUR), alpha])
    for code in reversed(list(colour.codes)):
        expression = f"properties.{colour.field} == '{code.name}' ? {[*channels(code.colour), alpha]} : ({expression})"
    return expression


def channels(colour: str) -> tuple[int, int, int]:
    """Red, green and blue 0..255 of `#rrggbb`."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def legend(layer: Layer) -> list[Mapping[str, Any]]:
    """The rows of the layer's legend: one per code where the colour follows one, else the layer itself."""
    mark = _MARKS.get(type(layer.style), "line")
    colour = colour_of(layer.style)
    if isinstance(colour, By):
        return [
            {"label": c.label.as_json(), "colour": c.colour, "mark": mark, "value": c.name, "field": colour.field}
            for c in colour.codes
        ]
    return [{"label": layer.title.as_json(), "colour": colour, "mark": mark, "value": None, "field": None}]
