"""How often one client may come with a wrong token: counted in memory, a bounded number of clients."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict

MOST_FAILURES = 20
WINDOW_S = 60.0
_MOST_CLIENTS = 10_000


class Throttle:
    """Failures per client within the last minute or so; a network of IPv6 counts as one client."""

    def __init__(self, most: int = MOST_FAILURES, window_s: float = WINDOW_S) -> None:
        """Let each client fail `most` times in `window_s` seconds."""
        self._most = most
        self._window_s = window_s
        self._failures: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._lock = threading.Lock()

    def wait_s(self, address: str) -> int:
        """For how many seconds this client has to wait; 0 for nearly everybody."""
        if not self._failures:
            return 0
        began, count = self._failures.get(_client(address), (0.0, 0))
        left_s = began + self._window_s - time.monotonic()
        return int(left_s) + 1 if count >= self._most and left_s > 0 else 0

    def fail(self, address: str) -> None:
        """Count one failure."""
        client, now = _client(address), time.monotonic()
        with self._lock:
            began, count = self._failures.pop(client, (now, 0))
            self._failures[client] = (now, 1) if now - began > self._window_s else (began, count + 1)
            if len(self._failures) > _MOST_CLIENTS:
                self._failures.popitem(last=False)


def _client(address: str) -> str:
    """The address, or of IPv6 the /64 network, which one client has for itself."""
    if ":" not in address:
        return address
    try:
        return str(ipaddress.ip_network((address.partition("%")[0], 64), strict=False))
    except ValueError:
        return address
