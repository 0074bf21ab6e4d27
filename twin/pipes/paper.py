"""Drawings as plain marks on paper, in millimetres from the upper left corner: SVG here, PDF in `sheet.py`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal
from xml.sax.saxutils import escape, quoteattr

Point = tuple[float, float]
Anchor = Literal["start", "middle", "end"]
FONTS: Final = (
    "'Noto Sans CJK SC','Source Han Sans SC','Microsoft YaHei','PingFang SC','WenQuanYi Micro Hei',sans-serif"
)
_WIDE_FROM: Final = 0x2E80
_NARROW_EM: Final = 0.54
_MM_TO_PX: Final = 96 / 25.4


@dataclass(frozen=True)
class Theme:
    """The colours of a drawing but for those of the pipes."""

    paper: str
    ink: str
    soft: str
    grid: str
    earth: str
    earth_line: str
    accent: str
    halo: str


LIGHT: Final = Theme("#ffffff", "#1b2431", "#66717f", "#e3e7ec", "#f3ede2", "#7a5b36", "#c2410c", "#ffffff")
DARK: Final = Theme("#0b1220", "#e6edf7", "#8fa3c4", "#1d2a40", "#182335", "#b7966a", "#ffb454", "#0b1220")


@dataclass(frozen=True)
class Stroke:
    """A line through points; `dash` are the lengths of strokes and gaps."""

    points: Sequence[Point]
    colour: str
    width: float = 0.25
    dash: tuple[float, ...] = ()


@dataclass(frozen=True)
class Patch:
    """A filled polygon, perhaps with an outline."""

    points: Sequence[Point]
    fill: str
    stroke: str | None = None
    width: float = 0.2
    opacity: float = 1.0


@dataclass(frozen=True)
class Disc:
    """A filled ellipse with an outline."""

    x: float
    y: float
    rx: float
    ry: float
    fill: str
    stroke: str
    width: float = 0.25


@dataclass(frozen=True)
class Words:
    """A line of text; `y` is its baseline, `turn` degrees anticlockwise, `halo` a colour to stand out from lines."""

    x: float
    y: float
    text: str
    size: float
    colour: str
    anchor: Anchor = "start"
    bold: bool = False
    turn: float = 0.0
    halo: str | None = None


Mark = Stroke | Patch | Disc | Words


@dataclass(frozen=True)
class Drawing:
    """A sheet of `width` x `height` mm with marks, the first at the bottom; `title` is what it is, for who listens."""

    width: float
    height: float
    title: str
    paper: str
    marks: list[Mark] = field(default_factory=list)

    def add(self, *marks: Mark) -> None:
        """Put marks on top."""
        self.marks.extend(marks)


def width_of(text: str, size: float) -> float:
    """About how wide a text stands, in the unit of its size."""
    return size * sum(1.0 if ord(letter) >= _WIDE_FROM else _NARROW_EM for letter in text)


def box(x: float, y: float, width: float, height: float) -> list[Point]:
    """The corners of a rectangle."""
    return [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]


def spread(wanted: Sequence[float], least: float, low: float, high: float) -> list[float]:
    """Places as near as may be to the wanted ones (ascending), `least` apart, within low and high.

    What is too near is gathered to a group that stands evenly about its mean; if there is no room for all, they stand
    evenly over the whole.
    """
    if len(wanted) * least > high - low:
        step = (high - low) / max(len(wanted), 1)
        return [low + step * (place + 0.5) for place in range(len(wanted))]
    groups: list[tuple[float, int]] = []
    for place in wanted:
        middle, count = float(place), 1
        while True:
            reach = (count - 1) * least / 2
            middle = min(max(middle, low + least / 2 + reach), high - least / 2 - reach)
            if not groups or middle - reach - groups[-1][0] - (groups[-1][1] - 1) * least / 2 >= least - 1e-9:
                break
            before, size = groups.pop()
            middle = (before * size + middle * count) / (size + count)
            count += size
        groups.append((middle, count))
    return [middle + (k - (count - 1) / 2) * least for middle, count in groups for k in range(count)]


def as_svg(drawing: Drawing) -> str:
    """The drawing as one SVG text that needs nothing from elsewhere."""
    width, height = _n(drawing.width), _n(drawing.height)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{_n(drawing.width * _MM_TO_PX)}" '
        f'height="{_n(drawing.height * _MM_TO_PX)}" viewBox="0 0 {width} {height}" font-family={quoteattr(FONTS)}>'
        f"<title>{escape(drawing.title)}</title>"
        f'<rect width="{width}" height="{height}" fill="{drawing.paper}"/>'
    )
    return head + "".join(_svg(drawing.marks)) + "</svg>"


def _svg(marks: Iterable[Mark]) -> Iterable[str]:
    for mark in marks:
        if isinstance(mark, Stroke):
            dash = f' stroke-dasharray="{" ".join(map(_n, mark.dash))}"' if mark.dash else ""
            yield (
                f'<polyline points="{_points(mark.points)}" fill="none" stroke="{mark.colour}" '
                f'stroke-width="{_n(mark.width)}" stroke-linejoin="round" stroke-linecap="round"{dash}/>'
            )
        elif isinstance(mark, Patch):
            line = f' stroke="{mark.stroke}" stroke-width="{_n(mark.width)}"' if mark.stroke else ""
            clear = f' fill-opacity="{_n(mark.opacity)}"' if mark.opacity < 1 else ""
            yield f'<polygon points="{_points(mark.points)}" fill="{mark.fill}"{clear}{line}/>'
        elif isinstance(mark, Disc):
            yield (
                f'<ellipse cx="{_n(mark.x)}" cy="{_n(mark.y)}" rx="{_n(mark.rx)}" ry="{_n(mark.ry)}" '
                f'fill="{mark.fill}" stroke="{mark.stroke}" stroke-width="{_n(mark.width)}"/>'
            )
        else:
            yield _svg_words(mark)


def _svg_words(words: Words) -> str:
    more = ' font-weight="600"' if words.bold else ""
    more += f' text-anchor="{words.anchor}"' if words.anchor != "start" else ""
    more += f' transform="rotate({_n(-words.turn)} {_n(words.x)} {_n(words.y)})"' if words.turn else ""
    if words.halo:
        width = _n(words.size * 0.28)
        more += f' stroke="{words.halo}" stroke-width="{width}" paint-order="stroke" stroke-linejoin="round"'
    return (
        f'<text x="{_n(words.x)}" y="{_n(words.y)}" font-size="{_n(words.size)}" fill="{words.colour}"{more}>'
        f"{escape(words.text)}</text>"
    )


def _points(points: Sequence[Point]) -> str:
    return " ".join(f"{_n(x)},{_n(y)}" for x, y in points)


def _n(value: float) -> str:
    """A number as short as a hundredth of a millimetre allows."""
    return f"{value:.2f}".rstrip("0").rstrip(".") or "0"
