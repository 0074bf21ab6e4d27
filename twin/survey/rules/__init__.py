"""Every rule of a pipe survey: one small function each, registered with its clause, its evidence and its words.

A rule of evidence grade M (from memory) may only warn. A survey records what lies in the ground: what breaks a figure
for new pipes is told, and does not keep the survey out; what cannot be so, or says nothing, is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Final, TypeAlias

from twin.survey.findings import ERROR, WARNING, Found
from twin.survey.network import Network

Check: TypeAlias = Callable[[Network], Iterable[Found]]

OWN: Final = "Chengtu"
"""The standard of a check of form that no norm has to ask for."""
FAMILIES: Final = {
    "A": ("属性", "Attributes"),
    "P": ("管点", "Points"),
    "L": ("管线", "Lines"),
    "T": ("拓扑", "Topology"),
    "G": ("重力流", "Gravity flow"),
    "C": ("覆土", "Cover"),
    "X": ("净距", "Clearance"),
    "K": ("坐标与高程", "Coordinates and heights"),
}
_ROOMS: Final = ("attributes", "points", "lines", "topology", "gravity", "cover", "crossing", "place")


@dataclass(frozen=True)
class Rule:
    """One rule: its id, what asks for it and where, how sure that is (V or M), how grave a breach is, its words.

    `needs` are the facts of the city without which it cannot run.
    """

    id: str
    standard: str
    clause: str
    grade: str
    severity: str
    zh: str
    en: str
    check: Check
    needs: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        """The family's letter."""
        return self.id[0]


_KNOWN: Final[dict[str, Rule]] = {}


def rule(
    number: str,
    zh: str,
    en: str,
    *,
    standard: str = OWN,
    clause: str = "",
    grade: str = "V",
    severity: str = ERROR,
    needs: tuple[str, ...] = (),
) -> Callable[[Check], Check]:
    """Register the function below as a rule. Raises ValueError for a rule that stands already, or an M that refuses."""
    if grade not in {"V", "M"} or severity not in {ERROR, WARNING} or (grade == "M" and severity == ERROR):
        raise ValueError(f"{number}: an unverified rule may only warn")

    def register(check: Check) -> Check:
        if number in _KNOWN:
            raise ValueError(f"{number} stands already")
        _KNOWN[number] = Rule(number, standard, clause, grade, severity, zh, en, check, needs)
        return check

    return register


def all_rules() -> dict[str, Rule]:
    """Every rule by its id, families in their order, numbers rising."""
    for room in _ROOMS:
        import_module(f"twin.survey.rules.{room}")
    order = list(FAMILIES)
    return dict(sorted(_KNOWN.items(), key=lambda item: (order.index(item[0][0]), int(item[0][1:]))))


def as_markdown() -> str:
    """All rules as Markdown tables, one a family, for the documentation."""
    parts = []
    for letter, (zh, en) in FAMILIES.items():
        rows = [
            f"### {letter} {zh} {en}",
            "",
            "| id | 规则 rule | source | evidence | severity |",
            "|---|---|---|---|---|",
        ]
        for known in all_rules().values():
            if known.family == letter:
                source = f"{known.standard} {known.clause}".strip()
                rows.append(f"| {known.id} | {known.zh}<br>{known.en} | {source} | {known.grade} | {known.severity} |")
        parts.append("\n".join(rows))
    return "\n\n".join(parts) + "\n"
