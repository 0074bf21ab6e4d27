"""Who examines surveys: a few at once, each in a process of its own, owners in turn; what a dead one left is redone."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from gis_core.database import Database
from gis_core.errors import CityError, Unavailable
from twin.survey.examining import Task
from twin.survey.register import EXAMINED, FAILED, Kept, Register

AT_ONCE: Final = 2
_MOST_STARTS: Final = 2
"""An examination that was cut off so often is not begun again: it may be what kills the process."""
_LONGEST_S: Final = 900.0
_PATIENCE_S: Final = 60.0
_TOLD_EVERY_S: Final = 0.3
_ROOT: Final = Path(__file__).resolve().parents[2]
_ONE_THREAD: Final = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
_CUT_OFF: Final = {"zh": "检查两次中断，请拆分文件后重新上传", "en": "it was cut off twice; split the files"}
_BROKEN: Final = {"zh": "检查时发生内部错误", "en": "the examination broke off; it is our mistake and is logged"}
_TOO_LONG: Final = {"zh": "检查超时，请拆分文件后重新上传", "en": "it took too long; split the files"}
log = logging.getLogger(__name__)


class Examiners:
    """A queue and its few workers, which begin with the first survey."""

    def __init__(self, database: Database, register: Register, facts: Mapping[str, Any]) -> None:
        """Prepare; nothing runs yet."""
        self._database = database
        self._register = register
        self._facts = facts
        self._waiting: list[Kept] = []
        self._running: dict[str, subprocess.Popen[str] | None] = {}
        self._busy: Counter[str] = Counter()
        self._held: dict[str, int] = {}
        self._changed = threading.Condition()
        self._workers: list[threading.Thread] = []
        self._closing = False
        self._writing = threading.BoundedSemaphore(AT_ONCE)

    def start(self) -> None:
        """Take up what was being examined, or was waiting, when an earlier process ended."""
        for kept in self._register.reading():
            if not self._register.folder(kept.id).is_dir() or not self._hold(kept.id):
                continue  # another process of this city has it
            if kept.begun >= _MOST_STARTS:
                self._register.say(kept, state=FAILED, step=_CUT_OFF)
                self._let_go(kept.id)
            else:
                self.add(kept)

    def add(self, kept: Kept) -> None:
        """Have a survey examined when its turn comes."""
        self._hold(kept.id)
        with self._changed:
            self._waiting.append(kept)
            if len(self._workers) < AT_ONCE:
                worker = threading.Thread(target=self._work, name="survey", daemon=True)
                self._workers.append(worker)
                worker.start()
            self._changed.notify_all()

    def stop(self, survey: str) -> None:
        """End the examination of a survey that is being removed or examined anew."""
        with self._changed:
            self._waiting = [kept for kept in self._waiting if kept.id != survey]
            process = self._running.get(survey)
        if process is not None:
            process.kill()

    def close(self) -> None:
        """End all examinations; the next process takes them up."""
        with self._changed:
            self._closing = True
            running = [process for process in self._running.values() if process is not None]
            workers, self._workers = self._workers, []
            self._changed.notify_all()
        for process in running:
            process.kill()
        for worker in workers:
            worker.join()
        for survey in list(self._held):
            self._let_go(survey)
        with self._changed:
            self._closing = False
            self._waiting.clear()

    def remarks(self, kept: Kept) -> Path:
        """The workbook of a survey with its remarks, written when it is first asked for. Raises Unavailable."""
        target = self._register.results(kept).folder / "remarks.xlsx"
        if target.is_file():
            return target
        if not self._writing.acquire(timeout=_PATIENCE_S):
            raise Unavailable("Other workbooks are being written; ask again in a while.", retry_after=30)
        try:
            return self._remarks(kept, target)
        finally:
            self._writing.release()

    def _remarks(self, kept: Kept, target: Path) -> Path:
        with self._changed:
            self._changed.wait_for(lambda: kept.id not in self._running, _LONGEST_S)
            if target.is_file():
                return target
            self._running[kept.id] = None
        try:
            outcome = self._ask(kept, remarks=True)
        finally:
            self._done(kept)
        if outcome is None or not target.is_file():
            raise Unavailable("The workbook could not be written.", retry_after=30)
        return target

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._next() is not None)
                kept = self._next()
                if self._closing or kept is None:
                    return
                self._waiting.remove(kept)
                self._running[kept.id] = None
                self._busy[kept.owner] += 1
            try:
                self._examine(kept)
            except CityError as error:
                log.warning("survey %s: %s", kept.id, error)
            except Exception:
                log.exception("survey %s", kept.id)
                with suppress(CityError):
                    self._register.say(kept, state=FAILED, step=_BROKEN)
            finally:
                with self._changed:
                    self._busy[kept.owner] -= 1
                self._done(kept)

    def _next(self) -> Kept | None:
        """The survey whose turn it is: of the owner who keeps the fewest workers busy, the one that waits longest."""
        free = [kept for kept in self._waiting if kept.id not in self._running]
        return min(free, key=lambda kept: self._busy[kept.owner], default=None)

    def _done(self, kept: Kept) -> None:
        with self._changed:
            self._running.pop(kept.id, None)
            again = any(other.id == kept.id for other in self._waiting)
            self._changed.notify_all()
        if not again and not self._closing:
            self._let_go(kept.id)

    def _examine(self, kept: Kept) -> None:
        if not self._register.begin(kept):
            return
        outcome = self._ask(kept)
        if self._closing:
            self._register.say(kept, begun=0)
            return
        if outcome is None:
            self._register.say(kept, state=FAILED, step=_BROKEN)
        elif "failed" in outcome:
            self._register.say(kept, state=FAILED, step=outcome["failed"])
        else:
            report = outcome["done"]
            step = {"zh": "检查完成", "en": "Examined"}
            difference = report.pop("difference")
            self._register.say(kept, state=EXAMINED, step=step, progress=1.0, report=report, difference=difference)
        self._tidy(kept)

    def _tidy(self, kept: Kept) -> None:
        """Remove what earlier rounds left."""
        for folder in self._register.folder(kept.id).glob("round-*"):
            number = folder.name.removeprefix("round-")
            if number.isdecimal() and int(number) < kept.round:
                shutil.rmtree(folder, ignore_errors=True)

    def _ask(self, kept: Kept, *, remarks: bool = False) -> dict[str, Any] | None:
        """Run the process; its last word, or None where it had none."""
        task = Task(
            database_url=self._database.url,
            folder=str(self._register.folder(kept.id)),
            round=kept.round,
            owner=kept.owner,
            files=kept.files,
            datum=kept.datum,
            encoding=kept.encoding,
            corrections=kept.corrections,
            scope=kept.scope,
            bounds=list(self._facts["bounds"]) if self._facts.get("bounds") else None,
            area=kept.area.hex() if kept.area else None,
            remarks=remarks,
        )
        process = subprocess.Popen(
            [sys.executable, "-m", "twin.survey.examining"],
            cwd=_ROOT,
            env={**os.environ, **_ONE_THREAD},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        with self._changed:
            self._running[kept.id] = process
            if self._closing:
                process.kill()
        late = threading.Timer(_LONGEST_S, process.kill)
        late.daemon = True
        late.start()
        began = time.monotonic()
        try:
            with process:
                return self._hear(process, kept, json.dumps(asdict(task)), quiet=remarks)
        except (BrokenPipeError, ValueError):
            return None
        finally:
            late.cancel()
            process.kill()
            if time.monotonic() - began >= _LONGEST_S:
                self._register.say(kept, state=FAILED, step=_TOO_LONG)

    def _hear(self, process: subprocess.Popen[str], kept: Kept, task: str, *, quiet: bool) -> dict[str, Any] | None:
        """Pass on what the process says of its progress, until it ends."""
        assert process.stdin is not None  # noqa: S101  both are pipes
        assert process.stdout is not None  # noqa: S101
        process.stdin.write(task + "\n")
        process.stdin.flush()
        told = 0.0
        for line in process.stdout:
            said: dict[str, Any] = json.loads(line)
            if "progress" not in said:
                return said
            if not quiet and time.monotonic() - told >= _TOLD_EVERY_S:
                told = time.monotonic()
                if not self._register.say(kept, progress=said["progress"], step=said["step"]):
                    return None  # removed, or examined anew
        return None

    def _hold(self, survey: str) -> bool:
        """Keep other processes from taking a survey up while this one lives."""
        if survey in self._held:
            return True
        try:
            handle = os.open(self._register.folder(survey), os.O_RDONLY)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            return False
        self._held[survey] = handle
        return True

    def _let_go(self, survey: str) -> None:
        handle = self._held.pop(survey, None)
        if handle is not None:
            os.close(handle)
