"""The cells of a survey's tables as typed columns under their canonical names, and what was wrong with the cells.

A frame has one column for each field of its table (empty where the file has none), `row` (its number in the file) and
in points `x`, `y` (as the file has them). Text is without outer blanks, full-width letters and digits made half-width;
numbers are float64 with NaN for none; codes are those of the layers.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from data import codes
from gis_core.ingest import values
from gis_core.ingest.columns import Target, fold_word
from gis_core.ingest.values import Fault
from gis_core.model import Field, Label
from twin.survey import words
from twin.survey.fields import BY_TABLE, Kind, Known, Table
from twin.survey.findings import ERROR, WARNING, Found, each, where
from twin.survey.mapping import Mapping
from twin.survey.tables import Raw

_FULL_WIDTH: Final = r"[０-９Ａ-Ｚａ-ｚ．－]"
_BROKEN: Final = r"\x{FFFD}|锟斤拷|烫烫烫|屯屯屯"
_SIZE: Final = re.compile(
    r"(?:\d+\s*[-*X×]\s*(?=[DΦφØФ]))?(?:DN|D|Φ|φ|Ø|Ф|d)?\s*(?P<a>\d+(?:\.\d+)?)\s*(?:MM)?(?:\s*[X×*]\s*(?P<b>\d+(?:\.\d+)?)\s*(?:MM)?)?"
)
_YEAR: Final = re.compile(r"((?:1[789]|20)\d\d)(?:[-/.年].*|\d{4}|\d\d)?|\d{1,4}")
_LETTERS: Final = r"^([A-Z]{2})(?=[^A-Z]|$)"
_CODE_FIELDS: Final = frozenset({"point_no", "map_no", "start_point", "end_point", "offset_point", "feature_code",
                                 "subclass", "size"})  # fmt: skip
_WHYS: Final = {
    "is not a number": "不是数字",
    "is not a whole number": "不是整数",
    "is not a date": "不是日期",
    "is neither yes nor no": "不是“是”或“否”",
    "is too large": "数值过大",
    "is not a finite number": "不是有限数",
    "is not text in the file's encoding": "不是文件编码的文字",
}  # fmt: skip
_ARROW: Final = {Kind.number: pa.float64(), Kind.whole: pa.float64(), Kind.date: pa.date32(), Kind.flag: pa.bool_()}


def _target(kind: pa.DataType) -> Target:
    return Target("value", Field(Label("值", "Value")), kind, required=False, default=None, indexed=False, longest=500)


def _flat(given: pa.Array) -> pa.Array:
    """A column without dictionaries and large types."""
    if pa.types.is_dictionary(given.type):
        given = given.dictionary_decode()
    return (
        pc.cast(given, pa.string()) if pa.types.is_large_string(given.type) or pa.types.is_null(given.type) else given
    )


def _as_text(given: pa.Array) -> pa.Array:
    """A column as trimmed text, null where it is empty; whole numbers without a decimal point."""
    read = values.convert(given, _target(pa.string()))
    return read.values  # noqa: PD011  an Arrow column


def _texts(values: Any) -> pd.Series:
    return pd.Series(values, dtype="str")


def _class_of_letters(letters: str) -> str | None:
    """The class that two letters before a point's number say."""
    minor = words.minors().get(letters.casefold())
    return minor[0] if minor else words.table("pipe_class").get(letters.casefold())


class Reader:
    """Reads one table into its frame; what is wrong with cells gathers in `found`."""

    def __init__(self, raw: Raw, mapping: Mapping) -> None:
        """Start on a table whose columns are mapped."""
        self.raw, self.mapping, self.table = raw, mapping, mapping.table
        self.found: list[Found] = []

    def frame(self) -> pd.DataFrame:
        """The typed columns."""
        self._faults_of_reading()
        columns: dict[str, Any] = {"row": self.raw.numbers}
        for known in BY_TABLE[self.table]:
            given = self._given(known)
            columns |= self._empty(known) if given is None else self._read(known, given)
        frame = pd.DataFrame(columns, copy=False)
        self._classes(frame)
        if self.table is Table.points:
            self._kinds(frame)
        else:
            self._references(frame)
        return frame

    def _given(self, known: Known) -> pa.Array | None:
        column = self.mapping.columns.get(known.name)
        return None if column is None else _flat(self.raw.columns[column])

    def _empty(self, known: Known) -> dict[str, Any]:
        nothing: Any = np.full(len(self.raw), np.nan)
        if known.kind in {Kind.text, Kind.word}:
            nothing = pd.Series(None, index=range(len(self.raw)), dtype="str")
        elif known.kind is Kind.date:
            nothing = np.full(len(self.raw), np.datetime64("NaT", "s"))
        elif known.kind is Kind.size:
            return {name: np.full(len(self.raw), np.nan) for name in ("diameter_mm",)}
        return {known.name: nothing}

    def _read(self, known: Known, given: pa.Array) -> dict[str, Any]:
        self._characters(known, given)
        match known.kind:
            case Kind.text:
                text = self._text(known, given)
                return {known.name: text}
            case Kind.word:
                return {known.name: self._word(known, given)}
            case Kind.size:
                return self._size(known, given)
            case Kind.year:
                return {known.name: self._year(known, given)}
            case _:
                return {known.name: self._plain(known, given)}

    def _plain(self, known: Known, given: pa.Array) -> Any:
        """Numbers, dates, yes and no."""
        read = values.convert(given, _target(_ARROW[known.kind]))
        self._add("A3", known, read.faults)
        if known.kind is Kind.date:
            return pc.cast(read.values, pa.timestamp("s")).to_numpy(zero_copy_only=False)
        numbers = pc.fill_null(pc.cast(read.values, pa.float64()), float("nan")).to_numpy(zero_copy_only=False)
        if known.kind is Kind.whole:
            odd = numbers != np.floor(numbers)
            self._say("A3", known, where(odd & ~np.isnan(numbers)), "不是整数", "is not a whole number", numbers)
        if known.within is not None:
            low, high = known.within
            outside = (numbers < low) | (numbers > high)
            zh = f"不在 {low:g} 至 {high:g}{known.unit} 之间"
            self._say(
                "A4", known, where(outside), zh, f"is not within {low:g} to {high:g} {known.unit}".strip(), numbers
            )
            # What cannot be is not reckoned with.
            numbers = np.where(outside, np.nan, numbers)
        return numbers

    def _text(self, known: Known, given: pa.Array) -> pd.Series:
        read = values.convert(given, _target(pa.string()))
        self._add("A3", known, [f for f in read.faults if f.mask.any()])
        text = read.values  # noqa: PD011  an Arrow column
        if known.name in _CODE_FIELDS:
            text = pc.utf8_normalize(text, "NFKC")
        found: pd.Series = text.to_pandas().astype("str")
        return found

    def _word(self, known: Known, given: pa.Array) -> pd.Series:
        """Codes by their words; each different word is looked at once."""
        meanings = words.table(known.name)
        encoded = pc.dictionary_encode(_as_text(given))
        said = encoded.dictionary.to_pylist()
        codes_found = [meanings.get(fold_word(word)) for word in said]
        bad = [
            code is None and word.strip() not in {"", "-", "/", "无"}
            for word, code in zip(said, codes_found, strict=True)
        ]
        if any(bad):
            mask = pc.fill_null(pc.take(pa.array(bad), encoded.indices), fill_value=False).to_numpy(
                zero_copy_only=False
            )
            rows = where(mask.astype(bool))
            # What stands at a point is told by many words; the others are believed or not stored at all.
            severity = WARNING if known.name == "kind" else None
            names = pc.take(encoded.dictionary, encoded.indices).to_numpy(zero_copy_only=False)[rows]
            self._say("A4", known, rows, "不是已知代码", "is not a known code", names, taken=True, severity=severity)
        taken = pc.take(pa.array(codes_found, pa.string()), encoded.indices)
        found: pd.Series = taken.to_pandas().astype("str")
        return found

    def _year(self, known: Known, given: pa.Array) -> Any:
        encoded = pc.dictionary_encode(_as_text(given))
        said = [unicodedata.normalize("NFKC", word).strip() for word in encoded.dictionary.to_pylist()]
        matched = [_YEAR.fullmatch(word) for word in said]
        years = [float(m[1] or m[0]) if m else None for m in matched]
        bad = [m is None and word not in {"", "-", "/", "无", "不详"} for word, m in zip(said, matched, strict=True)]
        numbers = pc.fill_null(pc.take(pa.array(years, pa.float64()), encoded.indices), float("nan"))
        mask = pc.fill_null(pc.take(pa.array(bad, pa.bool_()), encoded.indices), fill_value=False)
        rows = where(mask.to_numpy(zero_copy_only=False).astype(bool))
        names = pc.take(pa.array(said, pa.string()), encoded.indices).to_numpy(zero_copy_only=False)[rows]
        self._say("A3", known, rows, "不是年份", "is not a year", names, taken=True)
        return numbers.to_numpy(zero_copy_only=False)

    def _size(self, known: Known, given: pa.Array) -> dict[str, Any]:
        """A diameter, or width X height, in millimetres; each different text is looked at once."""
        encoded = pc.dictionary_encode(_as_text(given))
        said = encoded.dictionary.to_pylist()
        read = [_SIZE.fullmatch(unicodedata.normalize("NFKC", word).strip().upper()) for word in said]
        first = pa.array([float(m["a"]) if m else None for m in read], pa.float64())
        second = pa.array([float(m["b"]) if m and m["b"] else None for m in read], pa.float64())
        bad = pa.array(
            [m is None and word.strip() not in {"", "-", "/"} for m, word in zip(read, said, strict=True)], pa.bool_()
        )
        mask = pc.fill_null(pc.take(bad, encoded.indices), fill_value=False).to_numpy(zero_copy_only=False).astype(bool)
        rows = where(mask)
        names = pc.take(encoded.dictionary, encoded.indices).to_numpy(zero_copy_only=False)[rows]
        zh, en = "不是管径（整数毫米）或“宽X高”", "is neither a diameter in mm nor width X height"
        self._say("A9", known, rows, zh, en, names, taken=True)
        wide, high = (
            pc.fill_null(pc.take(part, encoded.indices), float("nan")).to_numpy(zero_copy_only=False)
            for part in (first, second)
        )
        flat = np.isnan(high)
        return {"diameter_mm": wide, "_width": np.where(flat, np.nan, wide), "_height": high}

    def _characters(self, known: Known, given: pa.Array) -> None:
        """Full-width letters and digits in numbers and codes, and characters that a wrong encoding leaves."""
        if not pa.types.is_string(given.type):
            return
        data = given.buffers()[2]
        if data is None or memoryview(data).tobytes().isascii():
            return
        broken = pc.match_substring_regex(given, _BROKEN)
        if pc.any(broken).as_py():
            rows = where(pc.fill_null(broken, fill_value=False).to_numpy(zero_copy_only=False).astype(bool))
            self._say("A13", known, rows, "含乱码", "has characters of a wrong encoding", given, severity=ERROR)
        if known.kind in {Kind.number, Kind.whole, Kind.year, Kind.size} or known.name in _CODE_FIELDS:
            wide = pc.fill_null(pc.match_substring_regex(given, _FULL_WIDTH), fill_value=False)
            rows = where(wide.to_numpy(zero_copy_only=False).astype(bool))
            zh, en = "含全角字符，已按半角读取", "has full-width characters, read as half-width"
            self._say("A13", known, rows, zh, en, given, severity=WARNING)

    def _classes(self, frame: pd.DataFrame) -> None:
        """The class by its own column, the minor class, the feature code, the letters before the number."""
        minors = words.minors()
        sub = frame["subclass"].str.strip()
        rows = where(each(sub, lambda word: fold_word(word) not in minors, nothing=False).astype(bool))
        if len(rows):
            zh, en = "管线小类“{}”不是已知代码", "minor class {} is not a known code"
            self.found.append(Found(self.table, rows, "subclass", zh, en, (sub.to_numpy()[rows],), rule="A4"))
        own = frame["pipe_class"]
        by_minor = _texts(each(sub, lambda word: minors.get(fold_word(word), (None, None))[0]))
        letters = _texts(each(sub, lambda word: minors.get(fold_word(word), (None, None))[1]))
        vague = (own == words.DRAINAGE).fillna(value=False) | own.isna()
        best = own.mask(vague, by_minor)
        if letters.isna().any():
            coded = each(frame["feature_code"], codes.minor_of)
            best = best.fillna(_texts([known and known.pipe_class for known in coded]))
            letters = letters.fillna(_texts([known and known.letters for known in coded]))
        if best.isna().any():
            numbers = frame["point_no" if self.table is Table.points else "start_point"]
            best = best.fillna(_texts(each(numbers.str.extract(_LETTERS, expand=False), _class_of_letters)))
        clash = own.notna() & ~vague & by_minor.notna() & (own != by_minor)
        rows = where(clash.to_numpy(bool))
        if len(rows):
            zh, en = "管线小类“{}”不属于管线类别 {}", "minor class {} is not of class {}"
            said = (sub.to_numpy()[rows], own.to_numpy()[rows])
            self.found.append(Found(self.table, rows, "subclass", zh, en, said, rule="A4"))
        best = best.mask((best == words.DRAINAGE).fillna(value=False), None)
        unknown = (own == words.DRAINAGE).fillna(value=False) & best.isna()
        rows = where(unknown.to_numpy(bool))
        if len(rows):
            zh, en = "排水管线未注明雨水、污水或合流", "drainage does not say storm, sewage or combined"
            self.found.append(Found(self.table, rows, "pipe_class", zh, en, rule="A4"))
        frame["pipe_class"], frame["subclass"] = best, letters

    def _kinds(self, frame: pd.DataFrame) -> None:
        """What stands at a point: by its own column, else the appurtenance, else the feature."""
        meanings = words.table("kind")
        kind = frame["kind"]
        for name in ("appurtenance", "feature"):
            said = frame[name]
            kind = kind.fillna(_texts(each(said, lambda word: meanings.get(fold_word(word), "other"))))
            rows = where(each(said, lambda word: fold_word(word) not in meanings, nothing=False).astype(bool))
            if len(rows):
                zh, en = "“{}”不是已知的特征或附属物", "{} is no known feature or appurtenance"
                self.found.append(
                    Found(self.table, rows, name, zh, en, (said.to_numpy()[rows],), severity=WARNING, rule="A4")
                )
        frame["kind"] = kind

    def _references(self, frame: pd.DataFrame) -> None:
        """Sizes of sections in their columns; what depths are of where it is not said; material letters."""
        for name in ("width", "height"):
            given = frame.pop(f"_{name}") if f"_{name}" in frame else np.nan
            frame[f"{name}_mm"] = frame[f"{name}_mm"].fillna(given)
        flat = frame["diameter_mm"].isna()
        frame["diameter_mm"] = frame["diameter_mm"].mask(flat, frame["width_mm"])
        square = frame["section"].isna() & frame["height_mm"].notna() & (frame["height_mm"] > 0)
        frame["section"] = frame["section"].mask(square, "rectangular")
        gravity = frame["pipe_class"].isin(words.GRAVITY)
        frame["depth_reference"] = frame["depth_reference"].fillna(
            pd.Series(np.where(gravity, "invert", "crown"), dtype="str")
        )
        letters = words.materials()
        said = frame["material"]
        rows = where(each(said, lambda word: fold_word(word) not in letters, nothing=False).astype(bool))
        if len(rows):
            zh, en = "材质“{}”不是已知代码", "material {} is not a known code"
            values_said = (said.to_numpy()[rows],)
            self.found.append(Found(self.table, rows, "material", zh, en, values_said, severity=WARNING, rule="A4"))
        frame["material"] = _texts(each(said, lambda word: letters.get(fold_word(word), word)))
        gas = (frame["pipe_class"] == "gas").fillna(value=False)
        by_value = _texts(each(frame["pressure_mpa"], words.pressure_class)).where(gas, None)
        frame["pressure_class"] = frame["pressure_class"].fillna(by_value)

    def _faults_of_reading(self) -> None:
        by_column = {column: name for name, column in self.mapping.columns.items()}
        for column, fault in self.raw.faults:
            name = by_column.get(column, column)
            zh = (
                "为没有值的公式，请在 Excel 中打开后保存，或粘贴为数值"
                if "formula" in fault.why
                else "行读取有误：" + fault.why
            )
            rows = where(fault.mask)
            self.found.append(
                Found(self.table, rows, name, f"{name} {zh}", f"{name} {fault.why}", rule="A3", severity=ERROR)
            )

    def _add(self, rule: str, known: Known, faults: list[Fault]) -> None:
        for fault in faults:
            rows = where(fault.mask)
            if len(rows):
                self._say(rule, known, rows, _WHYS.get(fault.why, fault.why), fault.why, fault.values)

    def _say(
        self,
        rule: str,
        known: Known,
        rows: Any,
        zh: str,
        en: str,
        given: Any = None,
        *,
        taken: bool = False,
        severity: str | None = None,
    ) -> None:
        """One finding on a field; `given` are the column's values, of the rows alone if `taken`."""
        if not len(rows):
            return
        said: tuple[Any, ...] = ()
        if given is not None:
            chosen = (
                given
                if taken
                else given.take(pa.array(rows)).to_pylist()
                if isinstance(given, pa.Array)
                else given[rows]
            )
            said = (chosen,)
            zh, en = f"{{}} {zh}", f"{{}} {en}"
        self.found.append(
            Found(
                self.table,
                rows,
                known.name,
                f"{known.label.zh} {zh}",
                f"{known.label.en} {en}",
                said,
                severity,
                rule=rule,
            )
        )
