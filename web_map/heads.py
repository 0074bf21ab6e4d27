"""HEAD: the head of what GET answers, without its body. Every HTTP server owes it (RFC 9110, 9.1); probes ask so."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Heads:
    """ASGI middleware that asks `app` to GET and keeps the body back."""

    def __init__(self, app: ASGIApp) -> None:
        """Answer HEAD by what `app` answers to GET."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, as a GET if it is a HEAD."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        ended = endless = False

        async def headless(message: Message) -> None:
            nonlocal ended, endless
            if message["type"] == "http.response.start":
                endless = any(value.startswith(b"text/event-stream") for _, value in message["headers"])
                await send(message)
            elif not ended:
                ended = True
                await send({"type": "http.response.body", "body": b""})
            if ended and endless:  # as if the client had left, so that the stream ends too
                raise OSError

        await self._app({**scope, "method": "GET"}, receive, headless)
