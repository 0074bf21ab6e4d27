"""The printable dig-permit sheet (PDF): plan, section, table, owners to ask. reportlab stands behind this file.

Chinese is set in a font that readers of PDF bring with them (Adobe's STSong), so that neither the server nor the file
needs one.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gis_core.model import Codes
from twin.pipes.dig import Examination, Neighbour, Verdict
from twin.pipes.paper import LIGHT, Disc, Drawing, Patch, Point, Stroke, Words

_PAGE: Final = (210.0, 297.0)
_LEFT, _WIDTH, _FOOT = 14.0, 182.0, 24.0
_ROW: Final = 5.4
_MOST_ROWS: Final = 400
_MM: Final = 72 / 25.4
_HAN: Final = "STSong-Light"
_LATIN: Final = ("Helvetica", "Helvetica-Bold")
_FILLED, _FILLED_AND_DRAWN = 0, 2
_INK, _SOFT, _LINE, _ACCENT = LIGHT.ink, LIGHT.soft, "#c9d0d8", LIGHT.accent
_COLUMNS: Final = (
    ("", "#", 7.0), ("管类", "class", 17.0), ("规格", "size", 17.0),
    ("编号", "code", 32.0), ("权属单位", "owner", 38.0), ("管顶埋深", "cover m", 16.0),
    ("与开挖关系", "relation", 30.0), ("净距", "gap m", 12.0), ("规定", "needed m", 13.0),
)  # fmt: skip


@dataclass(frozen=True)
class Heading:
    """What stands at the head of a sheet: the city, who asked, when, for which work, and the sheet's number."""

    city: str
    asked_by: str
    at: datetime
    purpose: str
    number: str
    attribution: tuple[str, ...] = ()


def print_sheet(found: Examination, heading: Heading, classes: type[Codes], plan: Drawing, section: Drawing) -> bytes:
    """The sheet as one PDF file, A4 upright, with as many pages as its table needs."""
    return _Sheet(found, heading, classes).printed(plan, section)


class _Sheet:
    def __init__(self, found: Examination, heading: Heading, classes: type[Codes]) -> None:
        from reportlab.pdfbase import pdfmetrics  # noqa: PLC0415  takes long to load
        from reportlab.pdfbase.cidfonts import UnicodeCIDFont  # noqa: PLC0415
        from reportlab.pdfgen.canvas import Canvas  # noqa: PLC0415

        if _HAN not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(UnicodeCIDFont(_HAN))
        self.measure = pdfmetrics.stringWidth
        self.file = io.BytesIO()
        self.canvas: Any = Canvas(self.file, pagesize=(_PAGE[0] * _MM, _PAGE[1] * _MM), pageCompression=1)
        self.canvas.setTitle(f"开挖管线查询单 {heading.number}")
        self.canvas.setAuthor("Chengtu 城图")
        self.found, self.heading, self.classes = found, heading, classes
        self.page, self.y = 1, 0.0
        rows = min(len(found.neighbours), _MOST_ROWS)
        self.simulated = any(one.simulated for one in found.neighbours[:rows])

    def printed(self, plan: Drawing, section: Drawing) -> bytes:
        self._head()
        self.y = 41.0
        self._facts()
        self.draw(plan, _LEFT, self.y, _WIDTH)
        self.y += plan.height * _WIDTH / plan.width + 3
        self.draw(section, _LEFT, self.y, _WIDTH)
        self.y += section.height * _WIDTH / section.width + 4
        self._owners()
        self._table()
        self._conditions()
        self._foot()
        self.canvas.save()
        return self.file.getvalue()

    def _head(self) -> None:
        self.text(_LEFT, 19, "开挖管线查询单", 7.2, bold=True)
        self.text(_LEFT + 54, 19, "Dig check against underground pipes", 3.4, _SOFT)
        self.text(_LEFT + _WIDTH, 14, f"No. {self.heading.number}", 3.0, _SOFT, "end")
        self.text(_LEFT + _WIDTH, 19, self.heading.city, 3.6, _INK, "end", bold=True)
        self.rule(22.5, _INK, 0.5)
        if self.simulated:
            words = "含模拟数据，不得用于施工 · contains simulated data, not for construction"
            self.text(_LEFT + _WIDTH, 27, words, 3.0, _ACCENT, "end", bold=True)

    def _facts(self) -> None:
        dig = self.found.dig
        met = sum(one.verdict is Verdict.met for one in self.found.neighbours)
        size = f"沟长 {dig.line.length:,.1f} m" if dig.line is not None else f"面积 {dig.outline.area:,.0f} m²"
        when = self.heading.at.strftime("%Y-%m-%d %H:%M %Z")
        self.text(_LEFT, 28, f"用途 Purpose  {self.heading.purpose or '—'}", 3.2)
        self.text(_LEFT, 33, f"查询 Asked by  {self.heading.asked_by}    {when}", 3.2)
        told = f"{size} · 深 {dig.depth_m:g} m · 查询范围 {self.found.near_m:g} m"
        self.text(_LEFT, 38, told, 3.2)
        others = len(self.found.neighbours) - met
        verdict = f"触及管线 {met} 段，邻近 {others} 段" if self.found.neighbours else "可见范围内未发现管线"
        self.text(_LEFT + _WIDTH, 38, verdict, 4.2, _ACCENT if met else _INK, "end", bold=True)

    def _owners(self) -> None:
        self.need(16)
        self.title("开挖前须征询 Ask before digging")
        for owner in self.found.owners:
            self.need(_ROW)
            kinds = "、".join(self.classes[name].label.zh for name in owner.classes)
            told = f"触及 {owner.met} · 邻近 {owner.near} · 最近 {owner.nearest_m:.2f} m"
            self.text(_LEFT + 2, self.y, self.fitted(f"□ {owner.name}（{kinds}）", 108, 3.1), 3.1, bold=owner.met > 0)
            self.text(_LEFT + _WIDTH, self.y, told, 3.1, _ACCENT if owner.met else _SOFT, "end")
            self.y += _ROW
        if self.found.unseen.count:
            self.need(_ROW)
            count = self.found.unseen.count
            words = f"□ 区管线办公室：所在六角格（约 0.7 km²）内另有约 {count} 段您无权查看的管线，务必征询"
            self.text(_LEFT + 2, self.y, words, 3.1, _ACCENT, bold=True)
            self.y += _ROW
        elif not self.found.owners:
            self.text(_LEFT + 2, self.y, "未登记不等于没有管线：请向区管线办公室确认。", 3.1)
            self.y += _ROW
        self.y += 3

    def _table(self) -> None:
        if not self.found.neighbours:
            return
        self.need(24)
        self.title("管线 Pipes")
        self._table_head()
        for number, one in enumerate(self.found.neighbours[:_MOST_ROWS], 1):
            if self.need(_ROW):
                self._table_head()
            self._row(number, one)
        if len(self.found.neighbours) > _MOST_ROWS:
            self.text(_LEFT + 2, self.y, f"另有 {len(self.found.neighbours) - _MOST_ROWS} 段未列出", 3.0, _ACCENT)
            self.y += _ROW
        self.y += 3

    def _table_head(self) -> None:
        x = _LEFT
        for zh, en, wide in _COLUMNS:
            self.text(x + 1, self.y, zh or en, 2.7, _SOFT, bold=True)
            x += wide
        self.rule(self.y + 1.6, _INK, 0.3)
        self.y += _ROW

    def _row(self, number: int, one: Neighbour) -> None:
        colour = self.classes[one.pipe_class].colour
        needed = "—" if math.isnan(one.needed_m) else f"{one.needed_m:.2f}{'' if one.sure else '*'}"
        values = (
            str(number), self.classes[one.pipe_class].label.zh, one.size, one.code, one.owner, f"{one.crown_m:.2f}",
            relation(one), f"{max(one.gap_m, 0.0):.2f}", needed,
        )  # fmt: skip
        danger = one.verdict is Verdict.met or one.short
        x = _LEFT
        for place, (words, (_, _, wide)) in enumerate(zip(values, _COLUMNS, strict=True)):
            if place == 1:
                self.mark(Disc(x + 1.7, self.y - 1, 1.1, 1.1, colour, _INK, 0.1), 0, 0, 1)
            indent = 3.6 if place == 1 else 1.0
            ink = _ACCENT if danger and place in {6, 7} else _INK
            self.text(x + indent, self.y, self.fitted(words, wide - indent, 2.9), 2.9, ink, bold=danger and place == 6)  # noqa: PLR2004
            x += wide
        self.rule(self.y + 1.6, _LINE, 0.12)
        self.y += _ROW

    def _conditions(self) -> None:
        lines = [
            "管线位置来自城图已登记的数据，未登记不等于不存在；开挖前须现场探查，触及及邻近管线须人工开挖。",
            "净距为管外缘之间：旁侧为水平净距，下方为沟底至管顶垂直净距。埋深自地面起算。",
        ]
        if any(not math.isnan(one.needed_m) for one in self.found.neighbours):
            lines.append("规定净距据 GB 50289-2016 表 4.1.9、4.1.14；带 * 者未经官方文本核对或管线属性不全，仅作提示。")
        if self.heading.attribution:
            lines.append("底图 " + "；".join(self.heading.attribution))
        self.need(5 * len(lines) + 24)
        for line in lines:
            self.text(_LEFT, self.y, self.fitted(line, _WIDTH, 2.6), 2.6, _SOFT)
            self.y += 4.4
        self.y += 9
        for place, name in enumerate(("建设单位 Client", "管线权属单位 Owner", "区管线办公室 Pipe office")):
            x = _LEFT + place * _WIDTH / 3
            self.stroke([(x, self.y), (x + _WIDTH / 3 - 6, self.y)], _INK, 0.25)
            self.text(x, self.y + 4, name, 2.7, _SOFT)

    def _foot(self) -> None:
        foot = f"城图 Chengtu · {self.heading.number} · {self.heading.asked_by}"
        self.text(_LEFT, _PAGE[1] - 10, foot, 2.5, _SOFT)
        self.text(_LEFT + _WIDTH, _PAGE[1] - 10, f"第 {self.page} 页", 2.5, _SOFT, "end")

    def need(self, height: float) -> bool:
        """Turn the page unless so many millimetres are left; whether it was turned."""
        if self.y + height <= _PAGE[1] - _FOOT:
            return False
        self._foot()
        self.canvas.showPage()
        self.page += 1
        self._head()
        self.y = 33.0
        return True

    def title(self, words: str) -> None:
        self.text(_LEFT, self.y, words, 3.8, bold=True)
        self.y += 6.2

    def rule(self, y: float, colour: str, width: float) -> None:
        self.stroke([(_LEFT, y), (_LEFT + _WIDTH, y)], colour, width)

    def draw(self, drawing: Drawing, x: float, y: float, width: float) -> None:
        """A drawing, scaled to a width."""
        scale = width / drawing.width
        self.canvas.saveState()
        clip = self.canvas.beginPath()
        low = (_PAGE[1] - y - drawing.height * scale) * _MM
        clip.rect(x * _MM, low, width * _MM, drawing.height * scale * _MM)
        self.canvas.clipPath(clip, stroke=0, fill=0)
        paper = [(0.0, 0.0), (drawing.width, 0.0), (drawing.width, drawing.height), (0.0, drawing.height)]
        for mark in (Patch(paper, drawing.paper), *drawing.marks):
            self.mark(mark, x, y, scale)
        self.canvas.restoreState()

    def mark(self, mark: Stroke | Patch | Disc | Words, x: float, y: float, scale: float) -> None:
        """One mark of a drawing whose corner lies at x, y."""
        if isinstance(mark, Stroke):
            places = [(x + a * scale, y + b * scale) for a, b in mark.points]
            self.stroke(places, mark.colour, mark.width * scale, [d * scale for d in mark.dash])
        elif isinstance(mark, Patch):
            path = self._path([(x + a * scale, y + b * scale) for a, b in mark.points])
            path.close()
            self.canvas.setFillColor(mark.fill, alpha=mark.opacity)
            self.canvas.setStrokeColor(mark.stroke or mark.fill)
            self.canvas.setLineWidth(mark.width * scale * _MM)
            self.canvas.setDash()
            self.canvas.drawPath(path, stroke=int(mark.stroke is not None), fill=1)
        elif isinstance(mark, Disc):
            self.canvas.setFillColor(mark.fill, alpha=1)
            self.canvas.setStrokeColor(mark.stroke)
            self.canvas.setLineWidth(mark.width * scale * _MM)
            self.canvas.setDash()
            corners = [x + (mark.x - mark.rx) * scale, y + (mark.y - mark.ry) * scale]
            far = [x + (mark.x + mark.rx) * scale, y + (mark.y + mark.ry) * scale]
            flat = (corners[0], _PAGE[1] - corners[1], far[0], _PAGE[1] - far[1])
            self.canvas.ellipse(*(v * _MM for v in flat), stroke=1, fill=1)
        else:
            place = x + mark.x * scale, y + mark.y * scale
            if mark.halo:
                self._written(*place, mark, scale, mark.halo, mark.size * scale * 0.3)
            self._written(*place, mark, scale, mark.colour, 0.0)

    def _written(self, x: float, y: float, words: Words, scale: float, colour: str, halo: float) -> None:
        size = words.size * scale
        self.canvas.saveState()
        self.canvas.translate(x * _MM, (_PAGE[1] - y) * _MM)
        self.canvas.rotate(words.turn)
        wide = self.wide(words.text, size, bold=words.bold)
        start = {"start": 0.0, "middle": -wide / 2, "end": -wide}[words.anchor]
        self._runs(start, 0.0, words.text, size, colour, bold=words.bold, halo=halo)
        self.canvas.restoreState()

    def text(
        self, x: float, y: float, words: str, size: float, colour: str = _INK, anchor: str = "start",
        *, bold: bool = False,
    ) -> None:  # fmt: skip
        """A line of text; x, y in millimetres from the page's upper left corner."""
        wide = self.wide(words, size, bold=bold) if anchor != "start" else 0.0
        self._runs(x - wide, _PAGE[1] - y, words, size, colour, bold=bold)

    def _runs(self, x: float, y: float, words: str, size: float, colour: str, *, bold: bool, halo: float = 0.0) -> None:
        for font, run in _fonts(words, bold=bold):
            # A text's way of drawing stays in force behind it unless the state is put back.
            self.canvas.saveState()
            line = self.canvas.beginText(x * _MM, y * _MM)
            line.setFont(font, size * _MM)
            line.setFillColor(colour)
            # The Chinese font has no bold of its own: its outline is drawn as well.
            heavy = halo or (size * 0.035 if bold and font == _HAN else 0.0)
            self.canvas.setStrokeColor(colour)
            self.canvas.setLineWidth(heavy * _MM)
            self.canvas.setDash()
            line.setTextRenderMode(_FILLED_AND_DRAWN if heavy else _FILLED)
            line.textOut(run)
            self.canvas.drawText(line)
            self.canvas.restoreState()
            x += self.measure(run, font, size)

    def wide(self, words: str, size: float, *, bold: bool = False) -> float:
        """How wide a text stands, in millimetres."""
        return float(sum(self.measure(run, font, size) for font, run in _fonts(words, bold=bold)))

    def fitted(self, words: str, room: float, size: float) -> str:
        """A text cut with an ellipsis where it is wider than there is room."""
        if self.wide(words, size) <= room:
            return words
        while words and self.wide(words + "…", size) > room:
            words = words[:-1]
        return words + "…"

    def stroke(self, points: Sequence[Point], colour: str, width: float, dash: Sequence[float] = ()) -> None:
        """A line through points of the page."""
        self.canvas.setStrokeColor(colour)
        self.canvas.setLineWidth(width * _MM)
        self.canvas.setLineCap(1)
        self.canvas.setLineJoin(1)
        self.canvas.setDash([d * _MM for d in dash], 0)
        self.canvas.drawPath(self._path(points), stroke=1, fill=0)

    def _path(self, points: Sequence[Point]) -> Any:
        path = self.canvas.beginPath()
        for place, (x, y) in enumerate(points):
            (path.lineTo if place else path.moveTo)(x * _MM, (_PAGE[1] - y) * _MM)
        return path


def relation(one: Neighbour) -> str:
    """How a pipe lies to the dig, in words."""
    if one.verdict is Verdict.met:
        return "在开挖范围内"
    return "沟底以下" if one.verdict is Verdict.below else "旁侧"


def _fonts(words: str, *, bold: bool) -> Iterator[tuple[str, str]]:
    """A text in runs of one font: Latin where Helvetica has the letters, else the Chinese one."""
    run, font = "", ""
    for letter in words:
        own = _LATIN[bold] if _in_latin(letter) else _HAN
        if own != font and run:
            yield font, run
            run = ""
        run, font = run + letter, own
    if run:
        yield font, run


def _in_latin(letter: str) -> bool:
    try:
        letter.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True
