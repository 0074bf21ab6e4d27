"""WHAT is in the city: every module in this folder is one layer, and says so by its LAYER."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType

from gis_core import Layer


@cache
def load() -> MappingProxyType[str, Layer]:
    """All layers by name, in the order of their groups and titles. This is the only discovery there is."""
    modules = (import_module(f"layers.{m.name}") for m in iter_modules(__path__) if not m.name.startswith("_"))
    found: list[Layer] = sorted((m.LAYER for m in modules), key=lambda la: (la.group.order, la.name))
    return MappingProxyType({layer.name: layer for layer in found})
