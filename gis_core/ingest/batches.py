"""Some rows of a foreign file as every reader hands them on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gis_core.ingest.values import Fault

T = TypeVar("T")
ROW: Final = "row"
"""The name under which problems speak of a row as a whole."""
_WAIT_S: Final = 0.2


@dataclass(frozen=True)
class Batch:
    """Columns by their names in the file, geometries as WKB or as objects, and what reading itself found wrong."""

    columns: Mapping[str, pa.Array]
    geometries: pa.Array | npt.NDArray[np.object_]
    faults: tuple[tuple[str, Fault], ...] = ()


def ahead(items: Iterator[T], depth: int = 2) -> Generator[T, None, None]:
    """The same items, made by a thread that runs `depth` ahead; it ends when the asker does."""
    ready: queue.Queue[tuple[bool, Any]] = queue.Queue(depth)
    stop = threading.Event()

    def offer(item: tuple[bool, Any]) -> bool:
        while not stop.is_set():
            try:
                ready.put(item, timeout=_WAIT_S)
            except queue.Full:
                continue
            return True
        return False

    def make() -> None:
        try:
            for item in items:
                if not offer((True, item)):
                    return
            offer((False, None))
        except BaseException as error:  # noqa: BLE001  handed to the asker
            offer((False, error))

    thread = threading.Thread(target=make, name="reading ahead", daemon=True)
    thread.start()
    try:
        while True:
            more, item = ready.get()
            if more:
                yield item
            elif item is None:
                return
            else:
                raise item
    finally:
        stop.set()
        thread.join()
