"""Surveys over HTTP: examined, told row by row, shown to their owner alone, published and taken back."""

from __future__ import annotations

from collections.abc import Callable

from tests.integration.surveys.conftest import Office
from tests.survey_maker import Made

Change = Callable[[Callable[[Made], None]], Made]


def test_a_survey_is_examined_and_published(office: Office, town: Made) -> None:
    told = office.examined(town, name="Street 1")
    assert (told["counts"]["points"], told["counts"]["lines"]) == (len(town.points), len(town.lines))
    assert (told["counts"]["errors"], told["publishable"], told["why_not"]) == (0, True, None), told["rules"]
    assert told["difference"]["added"] == len(town.points) + len(town.lines)
    west, south, east, north = told["bounds"]
    assert 116 < west < east < 117
    assert 39 < south < north < 40
    done = office.publish(told["id"])
    assert done["version"] == 1
    assert done["stored"] == len(town.points) + len(town.lines)
    assert office.rows() == len(town.points)
    assert office.rows("pipe_segments") == len(town.lines)
    assert office.get(f"/{told['id']}")["state"] == "published"
