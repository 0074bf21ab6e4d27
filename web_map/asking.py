"""What every door asks first: which city, who asks, which layer."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from gis_core.access import Viewer, is_guarded, may_read
from gis_core.errors import Forbidden, NotFound
from gis_core.spec import Layer
from web_map import sight
from web_map.city import City
from web_map.session import viewer_of


def city_of(request: Request) -> City:
    """The city this service shows."""
    city: City = request.app.state.city
    return city


TheCity = Annotated[City, Depends(city_of)]
Asker = Annotated[Viewer, Depends(viewer_of)]


def layer_of(layer: str, city: TheCity, viewer: Asker) -> Layer:
    """The layer named in the path, if there is one and the viewer may see it."""
    found = city.layers.get(layer)
    if found is None:
        raise NotFound(f"there is no layer {layer!r}; the layers are {', '.join(city.layers)}")
    if not may_read(found, viewer):
        raise Forbidden(f"role {viewer.role} may not see the layer {layer}")
    sight.note(city, viewer, found)
    return found


AskedLayer = Annotated[Layer, Depends(layer_of)]


def present_layer_of(layer: str, city: TheCity, viewer: Asker) -> Layer:
    """The same where its presence is told to everybody: a layer that marks how secret its rows are counts as seen."""
    found = city.layers.get(layer)
    return found if found is not None and is_guarded(found) else layer_of(layer, city, viewer)


PresentLayer = Annotated[Layer, Depends(present_layer_of)]
