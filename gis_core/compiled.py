"""Loops over arrays as machine code: numba stands behind this one file, with one thread and no interpreter lock.

Import this only where a graph is at hand: numba takes a second to load. What is compiled is kept on disk, so that
only the first run of an installation pays for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """The function as machine code; it may take arrays and numbers only."""
    return cast("Function", numba.njit(cache=True, nogil=True)(function))


def inlined(function: Function) -> Function:
    """The same for a small function that other compiled ones are made of."""
    return cast("Function", numba.njit(cache=True, nogil=True, inline="always")(function))
