"""The watch over the private server while the city is served: when it dies under us, it is started again."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Self

from gis_core.errors import CityError

if TYPE_CHECKING:
    from gis_core.cluster import Cluster
    from gis_core.database import Database

_CHANNEL = "chengtu_watch"
"""Nobody speaks on it: the connection that listens is what notices the server's end."""
_SHORTEST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
log = logging.getLogger(__name__)


class Watch:
    """A thread that holds one connection and starts the server when it is cut; a context of the time it runs."""

    def __init__(self, cluster: Cluster, database: Database) -> None:
        """Prepare; nothing runs before the context is entered."""
        self._cluster = cluster
        self._database = database
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> Self:
        """Begin to watch."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it, once a start that is under way has come to its end."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        pause = _SHORTEST_PAUSE_S
        while not self._stopping.is_set():
            try:
                for _ in self._database.notices(_CHANNEL, self._stopping):
                    pause = _SHORTEST_PAUSE_S
            except ConnectionError:
                self._stopping.wait(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_S)
            if not self._stopping.is_set():
                self._revive()

    def _revive(self) -> None:
        try:
            if self._cluster.ensure():
                log.warning("PostgreSQL had died and runs again; no stored row is lost")
        except CityError as error:
            log.error("PostgreSQL does not run: %s", error.detail)  # noqa: TRY400  the sentence says it all
