"""What a benchmark answers: rows with a ratio and a goal; and how they are printed."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import asdict, dataclass

_COMPARE = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}


@dataclass(frozen=True)
class Row:
    """One figure against its peer: `ratio` is ours / peer, turned round where less is better, as the goal reads it."""

    bench: str
    name: str
    ours: float
    unit: str
    peer: str
    peer_value: float
    ratio: float
    goal: str

    @property
    def met(self) -> bool:
        """Whether the ratio reaches the goal, such as `>= 4`."""
        sign, figure = self.goal.split()
        return bool(_COMPARE[sign](self.ratio, float(figure)))

    def as_json(self) -> dict[str, object]:
        """The row as the contract has it."""
        return asdict(self) | {"met": self.met}


def table(rows: Iterable[Row]) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| bench | what | ours | peer | ratio | goal | met |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        ours, peer = f"{r.ours:,.4g} {r.unit}", f"{r.peer}: {r.peer_value:,.4g} {r.unit}"
        met = "yes" if r.met else "**no**"
        lines.append(f"| {r.bench} | {r.name} | {ours} | {peer} | {r.ratio:.2f} | {r.goal} | {met} |")
    return "\n".join(lines)
