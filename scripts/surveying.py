"""A pipe survey from the command line: examined, told rule by rule, and published if asked, as on the page `/pipes`."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import layers
from gis_core.access import Role, Viewer
from scripts.opening import OpenCity
from twin.survey.desk import Desk
from twin.survey.difference import Scope
from twin.survey.register import READING, Kept

_CLERK: Final = Viewer(Role.admin, name="command line")
_LOOK_S: Final = 0.2


def survey(
    city: OpenCity,
    points: Path,
    lines: Path | None,
    *,
    owner: str,
    datum: str | None,
    encoding: str | None,
    scope: str,
    publish: bool,
    accept_warnings: bool,
    say: Callable[[str], None],
) -> bool:
    """Hand a survey in, say what is wrong with it, and publish it if asked; whether all that was asked was done.

    The survey stays on the desk, so that its owner sees it on the page too.

    Raises:
        CityError: it cannot be handed in, or not be published.

    """
    desk = Desk(city.database, layers.load(), city.facts, city.settings.home)
    try:
        with ExitStack() as opened:
            files = [(path.name, opened.enter_context(path.open("rb"))) for path in (points, lines) if path]
            kept = desk.take(_CLERK, files, owner=owner, datum=datum, encoding=encoding, scope=Scope(scope))
        kept = _examined(desk, kept)
        for line in _told(kept.as_json(), desk.problems(_CLERK, kept.id, None, None, 0, 50) if kept.report else {}):
            say(line)
        if not publish or kept.why_not is not None:
            return kept.why_not is None
        done = desk.publish(_CLERK, kept.id, accept_warnings=accept_warnings)
        say(f"published as version {done.version} of {owner}: {done.stored} rows")
    finally:
        desk.close()
    return True


def _examined(desk: Desk, kept: Kept) -> Kept:
    while kept.state == READING:
        time.sleep(_LOOK_S)
        kept = desk.find(_CLERK, kept.id)
    return kept


def _told(survey: dict[str, Any], problems: dict[str, Any]) -> list[str]:
    """What was found, in lines: first problems, counts by rule, what publishing would change."""
    lines = [
        f"{p['severity']}: {p['table']}, row {p['row'] or '-'}, {p['field']}: {p['rule']} {p['message']['en']}"
        for p in problems.get("problems", ())
    ]
    lines += [f"{r['id']:4} {r['severity']:8} {r['count']:8}  {r['title']['en']}" for r in survey["rules"]]
    counts, change = survey["counts"], survey["difference"]
    lines.append("{points} points, {lines} lines: {errors} errors, {warnings} warnings".format(**counts))
    if change is not None:
        lines.append("publishing: {added} added, {removed} removed, {moved} moved, {changed} changed".format(**change))
    if survey["why_not"] is not None:
        lines.append(f"cannot be published: {survey['why_not']['en']}")
    return lines
