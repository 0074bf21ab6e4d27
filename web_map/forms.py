"""Multipart forms with files, counted as they come, so that one that is too large is refused before it is all here."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import Request
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser

from gis_core.errors import BadInput, TooLarge


async def read_form(request: Request, limit_mb: int, *, files: int = 1) -> FormData:
    """The form of a request; the caller closes it, which removes its files.

    Raises:
        TooLarge: it has more bytes than the limit; no more of it is read.
        BadInput: it is no multipart form, or cannot be read.

    """
    limit = limit_mb * 2**20
    words = f"An upload may have {limit_mb} MB."
    stated = request.headers.get("content-length", "")
    if stated.isdecimal() and int(stated) > limit:
        raise TooLarge(words)
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise BadInput("Send a multipart form (multipart/form-data).")

    async def counted() -> AsyncIterator[bytes]:
        came = 0
        async for chunk in request.stream():
            came += len(chunk)
            if came > limit:
                raise TooLarge(words)
            yield chunk

    try:
        return await MultiPartParser(request.headers, counted(), max_files=files, max_fields=20).parse()  # type: ignore[arg-type]
    except (MultiPartException, KeyError, ValueError) as error:
        raise BadInput(f"The form cannot be read: {getattr(error, 'message', error)}") from error
