"""The temporal part of CQL2: dates, timestamps and intervals, and the sixteen ways in which two of them may stand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

import sqlalchemy as sa

from gis_core.errors import BadInput
from gis_core.filters.queryables import Kind

_OPEN: Final = {"", ".."}
_DAY: Final = timedelta(days=1) - timedelta(microseconds=1)
Times = tuple[Any, Any]


class BadTime(BadInput):
    """This is no date, no time with its zone, and no interval of two of them."""


def read_moment(text: str, *, end_of_day: bool = False) -> datetime:
    """RFC 3339 as a moment; a bare date is its first moment in UTC, or its last. Raises BadTime."""
    try:
        if len(text) <= len("2026-01-01"):
            day = datetime.combine(date.fromisoformat(text), time(), UTC)
            return day + _DAY if end_of_day else day
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise BadTime(f"{text[:40]!r} does not say its time zone, such as Z or +08:00")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadTime(f"{text[:40]!r} is no date and no RFC 3339 time") from error


def read_interval(text: str) -> tuple[datetime | None, datetime | None]:
    """`2026-01-01`, `a/b`, `../b`, `a/..`: the first and the last moment, None where it is open. Raises BadTime."""
    parts = text.split("/")
    if len(parts) == 1:
        return read_moment(text), read_moment(text, end_of_day=True)
    if len(parts) != 2 or set(parts) <= _OPEN:  # noqa: PLR2004
        raise BadTime(f"{text[:60]!r} is no moment and no interval such as 2026-01-01/..")
    start = None if parts[0] in _OPEN else read_moment(parts[0])
    end = None if parts[1] in _OPEN else read_moment(parts[1], end_of_day=True)
    if start is not None and end is not None and start > end:
        raise BadTime("the interval ends before it starts")
    return start, end


def is_time(node: Any) -> bool:
    """Whether a node is a date or timestamp literal."""
    return isinstance(node, dict) and len(node) == 1 and bool(node.keys() & {"date", "timestamp"})


def instant_of(node: Any) -> Any:
    """A date or timestamp literal as one moment."""
    (text,) = node.values()
    return _moment(text)


def times_of(node: Any, term: Callable[[Any], Any]) -> Times:
    """First and last moment of a literal, an interval or a property. `term` compiles anything else."""
    if isinstance(node, dict) and node.keys() == {"interval"}:
        ends = node["interval"]
        if not isinstance(ends, list) or len(ends) != 2:  # noqa: PLR2004
            raise BadTime("an interval has two ends")
        return _end(ends[0], "-infinity", term), _end(ends[1], "infinity", term, last=True)
    if is_time(node):
        (text,) = node.values()
        return _moment(text), _moment(text, end_of_day="date" in node)
    if isinstance(node, str):
        return _moment(node), _moment(node, end_of_day=True)
    found = term(node)
    if found.kind is not Kind.time:
        raise BadTime(f"times are compared with times, not with a {found.kind}")
    return found.sql, found.sql


def compare_times(op: str, both: Sequence[Times]) -> Any:
    """The condition of a `t_` operator of CQL2 (OGC 21-065r2, table 7, after Allen)."""
    relation = _RELATIONS.get(op)
    if relation is None:
        raise BadTime(f"the function {op[:60]!r} is not available in filters")
    (start, end), (other_start, other_end) = both
    return relation(start, end, other_start, other_end)


def _end(node: Any, endless: str, term: Callable[[Any], Any], *, last: bool = False) -> Any:
    if isinstance(node, str):
        return sa.literal_column(f"'{endless}'::timestamptz") if node in _OPEN else _moment(node, end_of_day=last)
    return times_of(node, term)[last]


def _moment(text: Any, *, end_of_day: bool = False) -> Any:
    if not isinstance(text, str):
        raise BadTime("a date or timestamp is written as text")
    moment = read_moment(text, end_of_day=end_of_day)
    return sa.cast(sa.literal(moment, sa.DateTime(timezone=True)), sa.DateTime(timezone=True))


_RELATIONS: Final[dict[str, Callable[[Any, Any, Any, Any], Any]]] = {
    "t_after": lambda s, e, t, f: s > f,  # noqa: ARG005
    "t_before": lambda s, e, t, f: e < t,  # noqa: ARG005
    "t_contains": lambda s, e, t, f: sa.and_(s < t, e > f),
    "t_disjoint": lambda s, e, t, f: sa.or_(s > f, e < t),
    "t_during": lambda s, e, t, f: sa.and_(s > t, e < f),
    "t_equals": lambda s, e, t, f: sa.and_(s == t, e == f),
    "t_finishedby": lambda s, e, t, f: sa.and_(s < t, e == f),
    "t_finishes": lambda s, e, t, f: sa.and_(s > t, e == f),
    "t_intersects": lambda s, e, t, f: sa.and_(s <= f, e >= t),
    "t_meets": lambda s, e, t, f: e == t,  # noqa: ARG005
    "t_metby": lambda s, e, t, f: s == f,  # noqa: ARG005
    "t_overlappedby": lambda s, e, t, f: sa.and_(s > t, s < f, e > f),
    "t_overlaps": lambda s, e, t, f: sa.and_(s < t, e > t, e < f),
    "t_startedby": lambda s, e, t, f: sa.and_(s == t, e > f),
    "t_starts": lambda s, e, t, f: sa.and_(s == t, e < f),
}
