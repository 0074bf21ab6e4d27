"""A cache of byte strings that keeps to a size: what was not asked for longest goes first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

_ENTRY_BYTES: Final = 300
"""What key and bookkeeping of one entry take, roughly, so that a million empty tiles are not free."""


class ByteCache:
    """Byte strings by key, together no larger than `limit` bytes. Safe to use from any thread."""

    def __init__(self, limit: int) -> None:
        """An empty cache of `limit` bytes; 0 keeps nothing."""
        self._limit = limit
        self._entries: OrderedDict[Hashable, bytes] = OrderedDict()
        self._lock = threading.Lock()
        self.size = 0

    def __len__(self) -> int:
        """How many entries there are."""
        return len(self._entries)

    def get(self, key: Hashable) -> bytes | None:
        """What is kept under the key; it is then the last to go."""
        with self._lock:
            found = self._entries.get(key)
            if found is not None:
                self._entries.move_to_end(key)
            return found

    def put(self, key: Hashable, value: bytes) -> None:
        """Keep a value, and let go of the oldest ones that no longer fit; one larger than a quarter is not kept."""
        cost = len(value) + _ENTRY_BYTES
        if cost > self._limit // 4:
            return
        with self._lock:
            replaced = self._entries.pop(key, None)
            if replaced is not None:
                self.size -= len(replaced) + _ENTRY_BYTES
            self._entries[key] = value
            self.size += cost
            while self.size > self._limit:
                _, dropped = self._entries.popitem(last=False)
                self.size -= len(dropped) + _ENTRY_BYTES
