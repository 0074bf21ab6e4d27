"""`chengtu serve`: one process that holds cluster, feeds and doors, says when it is ready, and stops all of it."""

from __future__ import annotations

import signal
import socket
import sys
from types import FrameType
from typing import NoReturn

import uvicorn

from gis_core.errors import CityError
from gis_core.settings import Settings
from scripts import opening
from web_map.connections import OnePiece
from web_map.service import create_app

_LINK_HOURS = 12
_STOP_S = 5


class _Server(uvicorn.Server):
    """uvicorn that says when it answers, and ends the event streams before it waits for its connections."""

    def __init__(self, config: uvicorn.Config, address: str) -> None:
        super().__init__(config)
        self._address = address

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            print(f"ready {self._address}", flush=True)  # noqa: T201 (the contract's line on standard output)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        application = self.config.app
        application.state.city.feed.release()  # type: ignore[union-attr]
        super().handle_exit(sig, frame)


def serve(settings: Settings) -> None:
    """Serve the city of these settings until a signal comes.

    Raises:
        CityError: the port is taken, or the city could not be opened.
    """
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, _end)
    # Bound before the city is opened: a port that is taken is said at once, not after minutes of loading.
    listening = _bind(settings.host, settings.port)
    with listening, opening.city(settings, watched=True) as city:
        app = create_app(settings, city.database, city.facts)
        config = uvicorn.Config(
            app,
            http=OnePiece,
            loop="uvloop" if sys.platform != "win32" else "asyncio",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_STOP_S,
        )
        host, port = listening.getsockname()[:2]
        key = city.door.make("admin", hours=_LINK_HOURS, once=True, name="link printed at start")
        _Server(config, f"http://{host}:{port}/?token={key}").run(sockets=[listening])


def _end(sign: int, frame: FrameType | None) -> NoReturn:
    """Leave through every `finally`, so that the cluster is stopped too; uvicorn raises its signal again at its end."""
    del sign, frame
    sys.exit(0)


def _bind(host: str, port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise CityError(
            f"port {port} of {host} cannot be used ({error.strerror}); choose another with --port, or 0"
        ) from error
    return listening
