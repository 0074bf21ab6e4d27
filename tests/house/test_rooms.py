"""The house stays readable: every room says what it is for, stays small, names no other host and no machine."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLOORS = ("gis_core", "data", "layers", "routing", "twin", "web_map", "scripts")
LONGEST = 400
BANNED_NAMES = ("utils", "util", "helpers", "helper", "manager", "base", "common", "misc")


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def rooms() -> list[Path]:
    own = [p for p in tracked("*.py") if p.relative_to(ROOT).parts[0] in FLOORS]
    return [p for p in own if "versions" not in p.parts]


@pytest.mark.parametrize("room", rooms(), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_room_says_what_it_is_for_and_stays_small(room: Path) -> None:
    text = room.read_text(encoding="utf-8")
    doc = ast.get_docstring(ast.parse(text))
    assert doc, "the first line says what the room is for"
    assert text.startswith('"""'), "the docstring comes first"
    assert len(text.splitlines()) <= LONGEST, "over 400 lines: two rooms"
    assert room.stem not in BANNED_NAMES, "a name that says nothing"


def test_the_floors_are_the_ones_of_the_plan() -> None:
    packages = {p.parent.name for p in ROOT.glob("*/__init__.py")}
    assert packages == {*FLOORS, "tests"}


def test_locked_versions_carry_no_address() -> None:
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!-]+", line), line
    for lock in tracked("*package-lock.json"):
        assert '"resolved"' not in lock.read_text(encoding="utf-8"), lock


def test_no_file_knows_a_machine_or_a_registry() -> None:
    machine = re.compile(r"(?<![A-Za-z0-9_.\-])/(?:work|root|farm)/")
    registry = re.compile(r"(?:pypi|pythonhosted|npmjs|deb\.debian)\.(?:org|com)")
    for path in tracked("*.py", "*.ts", "*.sh", "*.toml", "*.txt", "*.json", "*.md", "scripts/*", ".ci/*"):
        if path == Path(__file__):
            continue
        text = path.read_text(encoding="utf-8")
        assert not machine.search(text), path
        assert not registry.search(text), path


def test_the_doors_name_no_other_host() -> None:
    allowed = re.compile(r"https?://(?:127\.0\.0\.1|localhost|www\.opengis\.net|www\.w3\.org|json-schema\.org|\{|\$)")
    address = re.compile(r"https?://[^\s\"'`)>]+")
    for path in tracked("web_map/*.py", "web_map/app/src/*", "web_map/app/*.html", "gis_core/*.py"):
        for found in address.findall(path.read_text(encoding="utf-8")):
            assert allowed.match(found), f"{path.relative_to(ROOT)}: {found}"


def test_no_large_file_is_kept() -> None:
    for path in tracked():
        assert path.stat().st_size < 1_000_000, path
