"""A model's `.inp` file from the command line: its points and pipes stored in the pipe layers, both or neither."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Literal

import layers
from gis_core import audit
from gis_core.access import Role, Viewer
from gis_core.errors import Unprocessable
from gis_core.ingest import Mode, Report, Source, ingest_frame
from scripts.opening import OpenCity
from twin.pipes import epanet, swmm_reading
from twin.pipes.permit import POINTS, SEGMENTS

Kind = Literal["water", "storm", "sewage", "combined"]
_CLERK: Final = Viewer(Role.admin, name="command line")
_SHOWN: Final = 20


def store_model(
    city: OpenCity, file: Path, *, kind: Kind, datum: str, owner: str, say: Callable[[str], None]
) -> Sequence[Report]:
    """Read an EPANET (`water`) or SWMM file and store what it holds as pipes of an owner; the reports of both layers.

    Raises:
        Unprocessable: it cannot be read, or rows of it are refused; then nothing is stored.
        UnknownCrs: nobody knows what its coordinates are in.

    """
    text = file.read_text(encoding="utf-8", errors="replace")
    if kind == "water":
        frames = epanet.read_inp(text, datum, owner)
    else:
        frames = swmm_reading.read_inp(text, datum, owner, pipe_class=kind)
    for note in frames.notes:
        say(note)
    known, reports = layers.load(), []
    source = Source(file.name, datum=datum)
    with city.database.writing() as connection:
        for name, frame in ((POINTS, frames.points), (SEGMENTS, frames.segments)):
            report = ingest_frame(
                city.database, known[name], frame, source=source, mode=Mode.all_or_nothing, connection=connection
            )
            if report.stored < len(frame):
                raise Unprocessable(
                    f"{name}: rows are refused, so nothing is stored", problems=report.problems[:_SHOWN]
                )
            reports.append(report)
        detail = f"{file.name}: {reports[0].stored} points, {reports[1].stored} pipes of {owner}"
        audit.record(connection, _CLERK, "import model", SEGMENTS, detail=detail)
    return reports
