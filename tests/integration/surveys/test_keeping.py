"""Surveys outlive the process that reads them; what nobody needs is swept; the command line does as the page does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import layers
from gis_core.access import Role, Viewer
from gis_core.database import Database
from gis_core.errors import NotFound, TooManyRequests
from tests.integration.surveys.conftest import FACTS, GAS, WATER
from tests.survey_maker import CRS, Made
from twin.survey import register
from twin.survey.desk import Desk
from twin.survey.examiners import Examiners
from twin.survey.examining import Task
from twin.survey.register import READING, Kept, Register

CLERK = Viewer(Role.utility, owner=WATER, name="surveyor")
_PATIENCE_S = 120.0


@pytest.fixture
def desk(database: Database, home: Path) -> Iterator[Desk]:
    opened = Desk(database, layers.load(), FACTS, home)
    yield opened
    opened.close()


def take(desk: Desk, made: Made, folder: Path, viewer: Viewer = CLERK) -> Kept:
    points, lines = made.write_csv(folder)
    with points.open("rb") as first, lines.open("rb") as second:
        return desk.take(viewer, [(points.name, first), (lines.name, second)], datum=CRS)


def wait(desk: Desk, survey: str) -> Kept:
    until = time.monotonic() + _PATIENCE_S
    while (kept := desk.find(CLERK, survey)).state == READING and time.monotonic() < until:
        time.sleep(0.1)
    return kept


def begun(database: Database, survey: str) -> int:
    with database.engine.connect() as connection:
        return int(connection.scalar(sa.text("SELECT begun FROM survey WHERE id = :id"), {"id": survey}) or 0)


def test_what_was_being_read_is_read_again(database: Database, home: Path, town: Made, tmp_path: Path) -> None:
    first = Desk(database, layers.load(), FACTS, home)
    kept = take(first, town, tmp_path)
    until = time.monotonic() + _PATIENCE_S
    while not begun(database, kept.id) and time.monotonic() < until:
        time.sleep(0.05)
    first.close()
    assert first.find(CLERK, kept.id).state == READING
    second = Desk(database, layers.load(), FACTS, home)
    second.start()
    found = wait(second, kept.id)
    second.close()
    assert (found.state, found.report["counts"]["points"]) == ("examined", len(town.points))


def test_what_was_cut_off_twice_has_failed(
    database: Database, desk: Desk, town: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Examiners, "add", lambda *_: None)  # as if the process had died at once
    kept = take(desk, town, tmp_path)
    with database.writing() as connection:
        connection.execute(sa.text("UPDATE survey SET begun = 2"))
    desk.start()
    told = desk.find(CLERK, kept.id)
    assert told.state == "failed"
    assert told.why_not is not None
    assert told.why_not["en"] == "it was cut off twice; split the files"


def test_a_survey_of_another_process_is_left_to_it(
    database: Database, desk: Desk, home: Path, town: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []
    monkeypatch.setattr(Examiners, "add", lambda _, kept: taken.append(kept.id))
    kept = take(desk, town, tmp_path)
    taken.clear()
    folder = Register(database, home).folder(kept.id)
    words = "import fcntl,os,sys; fcntl.flock(os.open(sys.argv[1], 0), 2); print('held', flush=True); sys.stdin.read()"
    other = subprocess.Popen(
        [sys.executable, "-c", words, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        desk.start()
        assert taken == []
        other.communicate()
    desk.start()
    assert taken == [kept.id]


def test_removing_a_survey_ends_its_examination(desk: Desk, home: Path, town: Made, tmp_path: Path) -> None:
    kept = take(desk, town, tmp_path)
    desk.remove(CLERK, kept.id)
    with pytest.raises(NotFound):
        desk.find(CLERK, kept.id)
    desk.close()
    assert not list((home / "surveys").rglob(kept.id))


def test_an_examination_ends_with_whoever_wants_its_answer(database: Database, town: Made, tmp_path: Path) -> None:
    """A server that is killed leaves no process behind."""
    files = [{"kept": path.name, "name": path.name} for path in town.write_csv(tmp_path)]
    task = Task(database.url, str(tmp_path), 1, WATER, files, CRS, None, {}, "extent", FACTS["bounds"], None)
    process = subprocess.Popen(
        [sys.executable, "-m", "twin.survey.examining"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(asdict(task)) + "\n")
        process.stdin.flush()
        assert "progress" in json.loads(process.stdout.readline())
        process.stdin.close()
        assert process.wait(_PATIENCE_S) == 1


def test_old_surveys_and_folders_without_a_row_are_swept(
    database: Database, desk: Desk, home: Path, town: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Examiners, "add", lambda *_: None)
    old, new = take(desk, town, tmp_path), take(desk, town, tmp_path)
    with database.writing() as connection:
        change = "UPDATE survey SET state = 'examined', touched_at = now() - interval '31 days' WHERE id = :id"
        connection.execute(sa.text(change), {"id": old.id})
    shelf = Register(database, home)
    for name in ("left", old.id):
        shelf.folder(name).mkdir(exist_ok=True)
        os.utime(shelf.folder(name), (0, 0))
    shelf.folder("just-begun").mkdir()
    assert shelf.sweep() == 2
    assert sorted(path.name for path in shelf.root.iterdir()) == sorted(["just-begun", new.id])
    assert [(kept.id, kept.state) for kept in desk.listed(CLERK)] == [(new.id, "reading")]
    with database.writing() as connection:
        connection.execute(sa.text("UPDATE survey SET touched_at = now() - interval '2 days'"))
    assert shelf.sweep() == 0
    assert [kept.state for kept in desk.listed(CLERK)] == ["failed"]


def test_one_owner_does_not_crowd_out_others(
    desk: Desk, town: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Examiners, "add", lambda *_: None)
    monkeypatch.setattr(register, "MOST_WAITING", 2)
    take(desk, town, tmp_path)
    take(desk, town, tmp_path)
    with pytest.raises(TooManyRequests):
        take(desk, town, tmp_path)
    take(desk, town, tmp_path, Viewer(Role.utility, owner=GAS, name="surveyor"))


def test_owners_are_examined_in_turn(database: Database, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A third survey of the same owner waits for one of another owner that came later."""
    order: list[str] = []
    examiners = Examiners(database, Register(database, home), FACTS)

    def told(owner: str, number: int) -> Any:
        values = dict.fromkeys(Kept.__dataclass_fields__)
        return Kept(**{**values, "id": f"{owner}{number}", "owner": owner})  # type: ignore[arg-type]

    monkeypatch.setattr(Examiners, "_examine", lambda _, kept: order.append(kept.id))
    monkeypatch.setattr("threading.Thread.start", lambda _: None)
    for owner, number in (("a", 1), ("a", 2), ("a", 3), ("b", 1)):
        examiners.add(told(owner, number))
    examiners._busy["a"] = 1
    chosen = examiners._next()
    assert chosen is not None
    assert chosen.id == "b1"
    examiners._workers.clear()


def test_a_results_folder_that_is_gone_is_said(desk: Desk, home: Path, town: Made, tmp_path: Path) -> None:
    kept = wait(desk, take(desk, town, tmp_path).id)
    shutil.rmtree(Register(desk._database, home).folder(kept.id))
    with pytest.raises(NotFound, match="files are gone"):
        desk.problems(CLERK, kept.id, None, None, 0, 10)
