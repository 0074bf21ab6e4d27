"""What every door asks first: which city, who asks, which layer."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from gis_core.access import Viewer, may_read
from gis_core.errors import Forbidden, NotFound
from gis_core.spec import Layer
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
    return found


AskedLayer = Annotated[Layer, Depends(layer_of)]
