"""Foreign values to the types of a layer's columns, a column at a time: text, numbers, yes and no, times, codes.

Nothing is guessed: what cannot be read becomes a fault with its value, and the row is kept out by the caller.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gis_core.ingest.columns import Target, fold_word

Mask: TypeAlias = npt.NDArray[np.bool_]

_BLANKS: Final = frozenset(
    {"", "-", "--", "/", "\\", "null", "<null>", "none", "nan", "n/a", "#n/a", "nil", "无", "空"}
)
_TRUE: Final = frozenset({"true", "t", "yes", "y", "1", "是", "有", "对", "真", "开", "开启", "open"})
_FALSE: Final = frozenset({"false", "f", "no", "n", "0", "否", "无", "没有", "不是", "假", "关", "关闭", "closed"})
_NUMBER: Final = r"^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?$"
_WHOLE: Final = r"^[+-]?\d{1,18}(?:\.0*)?$"
_THOUSANDS: Final = r"^[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?$"
_EXACT: Final = float(2**53)
_INT_RANGE: Final = {pa.int16(): 2**15, pa.int32(): 2**31, pa.int64(): 2**63}
_DAY: Final = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?(?:[T ]\s*(.+))?")
_COMPACT: Final = re.compile(r"(\d{4})(\d\d)(\d\d)")


@dataclass(frozen=True)
class Fault:
    """What is wrong with the values where `mask` holds; `values` are the foreign ones (None: not worth saying)."""

    mask: Mask
    why: str
    values: pa.Array | None = None
    hint: str = ""


@dataclass
class Converted:
    """A column in the target's type, null where it could not be read, and what was wrong."""

    values: pa.Array
    faults: list[Fault] = field(default_factory=list)


def convert(given: pa.Array, target: Target, zone: str = "UTC") -> Converted:
    """Foreign values in the target's type. `zone` is where the clock of times without an offset hangs."""
    given = _plain(given)
    faults: list[Fault] = []
    if pa.types.is_nested(given.type):
        mask = _mask(pc.is_valid(given))
        return Converted(pa.nulls(len(given), target.type), [Fault(mask, "is a list or an object, not a single value")])
    if target.codes is not None:
        values = _codes(given, target, faults)
    elif pa.types.is_string(target.type):
        values = _text(given, faults)
        _check_length(values, target, faults)
    elif pa.types.is_boolean(target.type):
        values = _by_word(given, pa.bool_(), _yes_or_no, "is neither yes nor no", faults)
    elif pa.types.is_temporal(target.type):
        values = _times(given, target.type, zone, faults)
    else:
        values = _numbers(given, target.type, faults)
    return Converted(values, faults)


def check(values: pa.Array, target: Target) -> Iterator[Fault]:
    """What is wrong with values that could be read: missing, out of range, not of the form."""
    if target.required:
        yield Fault(_mask(pc.is_null(values)), "is required")
    if target.field.within is not None and not pa.types.is_string(values.type):
        low, high = target.field.within
        numbers = pc.cast(values, pa.float64(), safe=False)
        outside = pc.or_(pc.less(numbers, low), pc.greater(numbers, high))
        unit = f" {target.field.unit}" if target.field.unit else ""
        yield Fault(_mask(outside), f"is not within {low:g} to {high:g}{unit}", values)
    if target.field.pattern is not None and pa.types.is_string(values.type):
        fits = pc.match_substring_regex(values, f"^(?:{target.field.pattern})$")
        yield Fault(_mask(pc.invert(fits)), f"does not have the form {target.field.pattern}", values)


def constant(value: Any, rows: int, kind: pa.DataType) -> pa.Array:
    """A column that holds the same value everywhere."""
    return pa.repeat(pa.scalar(value, kind), rows)


def fill(values: pa.Array, value: Any) -> pa.Array:
    """A column with its gaps filled by a default."""
    return pc.fill_null(values, pa.scalar(value, values.type)) if values.null_count else values


def _plain(given: pa.Array) -> pa.Array:
    """Without dictionaries, views and extensions, text as `string`."""
    if isinstance(given, pa.ChunkedArray):
        given = given.combine_chunks()
    if isinstance(given, pa.ExtensionArray):
        given = given.storage
    if pa.types.is_dictionary(given.type):
        given = given.dictionary_decode()
    kind = given.type
    if pa.types.is_null(kind) or pa.types.is_string_view(kind) or pa.types.is_large_string(kind):
        return pc.cast(given, pa.string())
    if pa.types.is_binary_view(kind) or pa.types.is_fixed_size_binary(kind):
        return pc.cast(given, pa.binary())
    return given


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _text(given: pa.Array, faults: list[Fault]) -> pa.Array:
    """Any column as text that PostgreSQL can hold: valid UTF-8 without NUL, outer blanks gone, empty as null."""
    kind = given.type
    if pa.types.is_floating(kind):
        return _float_text(given)
    if not (pa.types.is_string(kind) or _is_binary(kind)):
        return pc.cast(given, pa.string())
    given = _valid_utf8(given, faults)
    data = given.buffers()[2]
    if data is not None and b"\0" in memoryview(data).tobytes():
        nul = _mask(pc.match_substring(given, "\0"))
        faults.append(Fault(nul, "contains a NUL character"))
        given = _without(given, nul)
    trimmed = pc.utf8_trim_whitespace(given)
    return pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)


def _float_text(given: pa.Array) -> pa.Array:
    """Floats as people write them: a whole number (as spreadsheets store codes) without a decimal point."""
    values = given.to_numpy(zero_copy_only=False).astype(np.float64)
    whole = np.isfinite(values) & (np.abs(values) < _EXACT) & (values == np.floor(values))
    integers = pc.cast(pa.array(np.where(whole, values, 0).astype(np.int64)), pa.string())
    blank = pa.array(~np.isfinite(values))
    said = pc.if_else(pa.array(whole), integers, pc.cast(given, pa.string()))
    return pc.if_else(blank, pa.scalar(None, pa.string()), said)


def _valid_utf8(given: pa.Array, faults: list[Fault]) -> pa.Array:
    """Text in which bytes that are no UTF-8 became a fault."""
    as_text = given.view(pa.string()) if pa.types.is_string(given.type) else _view_text(given)
    try:
        as_text.validate(full=True)
    except pa.ArrowInvalid:
        raw = pc.cast(given, pa.binary(), safe=False)
        good = [value is None or _decodes(value) for value in raw.to_pylist()]
        bad = ~np.array(good, bool)
        faults.append(Fault(bad, "is not text in the file's encoding"))
        return pc.cast(_without(raw, bad), pa.string())
    return as_text


def _view_text(given: pa.Array) -> pa.Array:
    return pc.cast(given, pa.binary(), safe=False).view(pa.string())


def _decodes(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _check_length(values: pa.Array, target: Target, faults: list[Fault]) -> None:
    sizes = pc.binary_length(values)
    if (pc.max(sizes).as_py() or 0) > target.longest:
        long = _mask(pc.greater(pc.utf8_length(values), target.longest))
        faults.append(Fault(long, f"is longer than {target.longest} characters"))


def _numbers(given: pa.Array, kind: pa.DataType, faults: list[Fault]) -> pa.Array:
    """Numbers from numbers, yes and no, or text; whole ones where the column is whole."""
    source = given
    if pa.types.is_boolean(given.type):
        given = pc.cast(given, pa.int8())
    if pa.types.is_string(given.type) or _is_binary(given.type):
        given = _digits(_text(given, faults))
        whole = pa.types.is_integer(kind)
        fits = pc.match_substring_regex(given, _WHOLE if whole else _NUMBER)
        bad = _mask(pc.invert(fits))
        faults.append(Fault(bad, "is not a whole number" if whole else "is not a number", source))
        given = _without(given, bad)
        if whole:
            given = pc.replace_substring_regex(given, r"\.0*$", "")
            given = pc.replace_substring_regex(given, r"^\+", "")
        given = pc.cast(given, pa.int64() if whole else pa.float64())
    elif not (pa.types.is_integer(given.type) or pa.types.is_floating(given.type) or pa.types.is_decimal(given.type)):
        faults.append(Fault(_mask(pc.is_valid(given)), "is not a number", _said(source)))
        return pa.nulls(len(given), kind)
    return _whole(given, source, kind, faults) if pa.types.is_integer(kind) else _real(given, source, kind, faults)


def _digits(given: pa.Array) -> pa.Array:
    """Numbers in text as machines write them: half-width, without separators of thousands; blank words as null."""
    data = given.buffers()[2]
    if data is not None and not memoryview(data).tobytes().isascii():
        given = pc.utf8_trim_whitespace(pc.utf8_normalize(given, "NFKC"))
        given = pc.replace_substring(given, "−", "-")
    blank = pc.is_in(pc.utf8_lower(given), value_set=pa.array(sorted(_BLANKS)))
    given = pc.if_else(blank, pa.scalar(None, pa.string()), given)
    grouped = pc.match_substring_regex(given, _THOUSANDS)
    if pc.any(grouped).as_py():
        given = pc.if_else(grouped, pc.replace_substring(given, ",", ""), given)
    return given


def _whole(given: pa.Array, source: pa.Array, kind: pa.DataType, faults: list[Fault]) -> pa.Array:
    limit = _INT_RANGE[kind]
    if pa.types.is_floating(given.type) or pa.types.is_decimal(given.type):
        values = pc.cast(given, pa.float64(), safe=False)
        numbers = values.to_numpy(zero_copy_only=False)
        blank = np.isnan(numbers)
        bad = ~blank & ~(np.isfinite(numbers) & (numbers == np.floor(numbers)) & (np.abs(numbers) < _EXACT))
        faults.append(Fault(bad, "is not a whole number", source))
        whole = np.where(blank | bad, 0, numbers).astype(np.int64)
        given = pa.array(whole, mask=blank | bad)
    if pa.types.is_uint64(given.type):
        bad = _mask(pc.greater(given, pa.scalar(2**63 - 1, pa.uint64())))
        faults.append(Fault(bad, "is too large", source))
        given = _without(given, bad)
    given = pc.cast(given, pa.int64())
    if kind != pa.int64():
        bad = _mask(pc.or_(pc.greater_equal(given, limit), pc.less(given, -limit)))
        faults.append(Fault(bad, "is too large", source))
        given = _without(given, bad)
    return pc.cast(given, kind)


def _real(given: pa.Array, source: pa.Array, kind: pa.DataType, faults: list[Fault]) -> pa.Array:
    values = pc.cast(given, pa.float64(), safe=False)
    if (pc.any(pc.invert(pc.is_finite(values))).as_py()) is True:
        blank = pc.is_nan(values)
        bad = _mask(pc.is_inf(values))
        faults.append(Fault(bad, "is not a finite number", source))
        values = pc.if_else(blank, pa.scalar(None, pa.float64()), _without(values, bad))
    return pc.cast(values, kind, safe=False)


def _codes(given: pa.Array, target: Target, faults: list[Fault]) -> pa.Array:
    """Code words to the names that are stored."""
    words = target.words or {}
    text = _text(given, faults)
    names = pa.array([code.name for code in target.codes or ()])
    labels = [f"{code.name} ({code.label.zh})" for code in target.codes or ()]
    return (
        _by_word(
            text,
            pa.string(),
            lambda word: words[word],
            "is not a known code",
            faults,
            f"; known are {', '.join(labels)}",
        )
        if len(names)
        else text
    )


def _yes_or_no(word: str) -> bool:
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError(word)


def _by_word(
    given: pa.Array,
    kind: pa.DataType,
    read: Callable[[str], Any],
    why: str,
    faults: list[Fault],
    hint: str = "",
) -> pa.Array:
    """Values of a column with few different ones: each is read once. Blank words are null unless they are read."""
    if given.type == kind and not pa.types.is_string(kind):
        return given
    text = _text(given, faults)
    encoded = pc.dictionary_encode(text)
    found: list[Any] = []
    wrong: list[bool] = []
    for word in encoded.dictionary.to_pylist():
        folded = fold_word(word)
        try:
            value = read(folded)
        except (KeyError, ValueError, OverflowError):
            value = None
        found.append(value)
        wrong.append(value is None and folded not in _BLANKS)
    if not found:
        return pa.nulls(len(text), kind)
    bad = _mask(pc.take(pa.array(wrong, pa.bool_()), encoded.indices))
    if bad.any():
        faults.append(Fault(bad, why, text, hint))
    return pc.take(pa.array(found, kind), encoded.indices)


def _times(given: pa.Array, kind: pa.DataType, zone: str, faults: list[Fault]) -> pa.Array:
    """Times and days from times, days, or the ways people write them."""
    if pa.types.is_timestamp(given.type):
        if given.type.tz is None and pa.types.is_timestamp(kind):
            given = pc.assume_timezone(given, zone, ambiguous="earliest", nonexistent="earliest")
        return pc.cast(given, kind, safe=False)
    if pa.types.is_date(given.type) and pa.types.is_date(kind):
        return pc.cast(given, kind)
    place = ZoneInfo(zone)
    as_day = pa.types.is_date(kind)

    def read(word: str) -> Any:
        moment = _moment(word, place)
        return moment.date() if as_day else moment.astimezone(UTC)

    return _by_word(given, kind, read, "is not a date" if as_day else "is not a date and time", faults)


def _moment(text: str, zone: ZoneInfo) -> datetime:
    """A time as people write it: ISO 8601, with slashes, in Chinese, or eight digits. Raises ValueError."""
    plain = unicodedata.normalize("NFKC", text).strip().upper()
    if match := _COMPACT.fullmatch(plain):
        day, clock = date(*(int(part) for part in match.groups())), ""
    elif match := _DAY.fullmatch(plain):
        day, clock = date(int(match[1]), int(match[2]), int(match[3])), match[4] or ""
    else:
        raise ValueError(text)
    if not clock:
        return datetime(day.year, day.month, day.day, tzinfo=zone)
    hour, colon, rest = clock.replace("时", ":").replace("分", ":").replace("秒", "").strip(": ").partition(":")
    moment = datetime.fromisoformat(f"{day.isoformat()}T{hour.zfill(2)}{colon}{rest}")
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def _said(values: pa.Array) -> pa.Array | None:
    try:
        return pc.cast(values, pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None


def _without(values: pa.Array, bad: Mask) -> pa.Array:
    """The values, null where they are bad."""
    if not bad.any():
        return values
    return pc.if_else(pa.array(bad), pa.scalar(None, values.type), values)


def _mask(condition: pa.Array) -> Mask:
    """A condition as a mask; unknown is false."""
    result: Mask = pc.fill_null(condition, fill_value=False).to_numpy(zero_copy_only=False).astype(bool)
    return result
