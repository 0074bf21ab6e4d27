"""A tiny city in a folder of its own, for tests of the whole product."""

from __future__ import annotations

from pathlib import Path

WEST, SOUTH, EAST, NORTH = 24.9, 60.1, 25.0, 60.2
FACTS = f"""
name = "tinytown"
bounds = [{WEST}, {SOUTH}, {EAST}, {NORTH}]
simulate = false
[title]
zh = "小城"
en = "Tiny town"
"""
BAYS = "code,name,kind,bays,lon,lat\n"


def make_town(folder: Path, **rows: int) -> Path:
    """A city in a folder of its own: a file of points for each layer."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "city.toml").write_text(FACTS, encoding="utf-8")
    for layer, count in rows.items():
        (folder / f"{layer}.csv").write_text(table(layer[0].upper(), count), encoding="utf-8")
    return folder


def table(letter: str, count: int, name: str = "of the pack") -> str:
    """So many points of any layer, within the town."""
    lines = (
        f"{letter}{i},{name},surface,{i % 90 + 1},{WEST + i % 300 / 3000},{SOUTH + i % 71 / 710}\n"
        for i in range(count)
    )
    return BAYS + "".join(lines)
