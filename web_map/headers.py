"""What every answer says to the browser about security: one ASGI layer outside all others, its bytes made once."""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:;"
    " worker-src 'self' blob:; connect-src 'self' ws: wss:; font-src 'self'; frame-ancestors 'none';"
    " base-uri 'none'; object-src 'none'"
)
"""Nothing comes from another host. Styles may stand in the page because MapLibre and deck.gl set them on elements."""

SECURITY: Final = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    # A token may stand in the address of the first page; no other page is to learn it.
    "referrer-policy": "no-referrer",
    # An emergency team's tablet shows where it is.
    "permissions-policy": "camera=(), microphone=(), payment=(), usb=(), geolocation=(self), fullscreen=(self)",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_BYTES: Final = [(name.encode(), value.encode()) for name, value in SECURITY.items()]


class Headers:
    """ASGI middleware that adds the security headers to every HTTP answer, errors and files included."""

    def __init__(self, app: ASGIApp) -> None:
        """Add to the answers of `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; add to the head of its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_BYTES]
            await send(message)

        await self._app(scope, receive, secured)
