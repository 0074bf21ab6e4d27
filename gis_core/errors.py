"""What can go wrong, in the city's own words: a small tree whose docstrings are the default messages.

    CityError
    ├── BadInput          400  something given cannot be read or is not allowed
    │   └── Unprocessable 422  it was read, and it is wrong; `problems` says where
    ├── NotSignedIn       401
    ├── Forbidden         403
    ├── NotFound          404
    ├── Conflict          409
    ├── TooLarge          413
    ├── TooManyRequests   429
    └── Unavailable       503  a part this needs is not there now

The HTTP status is a property of the kind of mistake, so the doors map it without knowing any single error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class Problem:
    """One thing wrong with one row or field of what was given.

    `row` counts from 1 as a person would in the file (None: the file as a whole). A `warning` is told and does
    not keep the row out.
    """

    row: int | None
    field: str
    why: str
    severity: str = "error"

    def as_json(self) -> dict[str, Any]:
        """The problem as the browser and the report file get it."""
        return {"row": self.row, "field": self.field, "why": self.why, "severity": self.severity}


class CityError(Exception):
    """Something went wrong."""

    status: ClassVar[int] = 500

    def __init__(
        self,
        detail: str | None = None,
        *,
        problems: Iterable[Problem] = (),
        **more: Any,
    ) -> None:
        """Keep the sentence for a person (default: the class's docstring) and the places at fault."""
        self.detail = detail or self.title()
        self.problems = tuple(problems)
        self.more: Mapping[str, Any] = more
        super().__init__(self.detail)

    @classmethod
    def title(cls) -> str:
        """The kind of mistake in one sentence: the docstring's first line."""
        return (cls.__doc__ or "").strip().splitlines()[0]

    @classmethod
    def slug(cls) -> str:
        """The kind of mistake as a stable name, used for the problem's `type`."""
        return "".join("-" + c.lower() if c.isupper() else c for c in cls.__name__).lstrip("-")


class BadInput(CityError):
    """What was given cannot be read."""

    status = 400


class Unprocessable(BadInput):
    """What was given was read, and it is wrong."""

    status = 422


class NotSignedIn(CityError):
    """This needs a valid token."""

    status = 401


class Forbidden(CityError):
    """This viewer may not do that."""

    status = 403


class NotFound(CityError):
    """There is no such thing here."""

    status = 404


class Conflict(CityError):
    """This contradicts what stands."""

    status = 409


class TooLarge(CityError):
    """This is larger than is accepted."""

    status = 413


class TooManyRequests(CityError):
    """This was tried too often; wait a minute."""

    status = 429


class Unavailable(CityError):
    """A part that this needs is not available now."""

    status = 503
