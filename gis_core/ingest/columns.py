"""Which column of a foreign file is which field of a layer, and what each field must become in the database."""

from __future__ import annotations

import enum
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import pyarrow as pa
import sqlalchemy as sa

from gis_core.model import Codes, Field
from gis_core.spec import Layer

LONGEST_TEXT: Final = 10_000
"""Characters of a text field; a register is no place for documents."""
LONGEST_KEY: Final = 500
"""Characters of a text that is indexed: a B-tree entry holds at most 2,700 bytes."""
_DBF_NAME: Final = 10
_OWN: Final = frozenset({"fid", "ogcfid", "objectid", "gid", "shapeleng", "shapelength", "shapearea"})
"""Columns that desktop programs add of themselves; nobody misses them."""

_ARROW: Final[tuple[tuple[type[Any], pa.DataType], ...]] = (
    (sa.Boolean, pa.bool_()),
    (sa.SmallInteger, pa.int16()),
    (sa.BigInteger, pa.int64()),
    (sa.Integer, pa.int32()),
    (sa.REAL, pa.float32()),
    (sa.Float, pa.float64()),
    (sa.DateTime, pa.timestamp("us", "UTC")),
    (sa.Date, pa.date32()),
    (sa.String, pa.string()),
)


@dataclass(frozen=True)
class Target:
    """One field of a layer as a file must fill it. `type` is what goes to the server; codes are text there."""

    name: str
    field: Field
    type: pa.DataType
    required: bool
    default: Any
    indexed: bool
    longest: int
    codes: type[Codes] | None = None
    words: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Plan:
    """How a file's columns become the layer's fields."""

    targets: tuple[Target, ...]
    columns: Mapping[str, str]
    unused: tuple[str, ...]

    @cached_property
    def missing(self) -> tuple[Target, ...]:
        """Required fields that the file does not have and that have no default."""
        return tuple(t for t in self.targets if t.required and t.default is None and t.name not in self.columns)

    @cached_property
    def written(self) -> tuple[Target, ...]:
        """The fields that get a value: those in the file, and those with a default."""
        return tuple(t for t in self.targets if t.name in self.columns or t.default is not None)


def targets(layer: Layer) -> tuple[Target, ...]:
    """The layer's fields as files fill them. Raises TypeError for a column type that ingest does not know."""
    return tuple(_target(layer, name, known) for name, known in layer.fields.items())


def match(layer: Layer, headers: Sequence[str]) -> Plan:
    """Find each field among a file's column names.

    A name counts whatever its case, width (full or half) and blanks: first the field's own, then the layer's
    aliases in their order, then its Chinese and English label, then the ten bytes that a dBASE table keeps of it.
    """
    wanted = targets(layer)
    folded: dict[str, str] = {}
    for header in headers:
        folded.setdefault(fold(header), header)
    found: dict[str, str] = {}
    for names in zip(*(_names(layer, target) for target in wanted), strict=True):
        for target, options in zip(wanted, names, strict=True):
            if target.name not in found and (column := _first(options, folded, found.values())):
                found[target.name] = column
    taken = set(found.values())
    unused = tuple(h for h in headers if h not in taken and fold(h) not in _OWN)
    return Plan(wanted, found, unused)


def accepted_names(layer: Layer, name: str) -> tuple[str, ...]:
    """Every name under which a field may stand in a file, for sentences."""
    own, aliases, labels, _ = _names(layer, next(t for t in targets(layer) if t.name == name))
    return tuple(dict.fromkeys((*own, *aliases, *labels)))


def fold(text: str) -> str:
    """A header without what people vary: case, width, blanks, underscores and hyphens."""
    plain = unicodedata.normalize("NFKC", text).casefold().replace("\ufeff", "")
    return "".join(c for c in plain if not c.isspace() and c not in "_-\0")


def fold_word(text: str) -> str:
    """A code word without what people vary: case, width, outer blanks."""
    return unicodedata.normalize("NFKC", text).strip().casefold()


def _names(layer: Layer, target: Target) -> tuple[tuple[str, ...], ...]:
    """A field's names in four ranks."""
    aliases = next((names for attr, names in layer.ingest.aliases.items() if attr.key == target.name), ())
    label = target.field.label
    names = (target.name, *aliases, label.zh, label.en)
    cuts = (_cut(name, encoding) for name in names for encoding in ("utf-8", "gb18030"))
    return (target.name,), aliases, (label.zh, label.en), tuple(cut for cut in dict.fromkeys(cuts) if cut not in names)


def _cut(name: str, encoding: str) -> str:
    return name.encode(encoding)[:_DBF_NAME].decode(encoding, errors="ignore")


def _first(names: Iterable[str], folded: Mapping[str, str], taken: Iterable[str]) -> str | None:
    used = set(taken)
    return next((folded[f] for name in names if (f := fold(name)) in folded and folded[f] not in used), None)


def _target(layer: Layer, name: str, known: Field) -> Target:
    column = layer.model.__table__.c[name]
    codes = layer.codes(name)
    kind = pa.string() if codes else next((a for s, a in _ARROW if isinstance(column.type, s)), None)
    if kind is None:
        raise TypeError(f"ingest knows no column of type {column.type!r} ({layer.name}.{name})")
    indexed = known.key or bool(column.index) or bool(column.unique)
    limit = getattr(column.type, "length", None) if codes is None else None
    return Target(
        name,
        known,
        kind,
        required=not column.nullable,
        default=_default(column),
        indexed=indexed,
        longest=min(limit or LONGEST_TEXT, LONGEST_KEY if indexed else LONGEST_TEXT),
        codes=codes,
        words=_words(layer, name, codes) if codes else None,
    )


def _default(column: Any) -> Any:
    """The plain value of a column that has none in the file; a code's is its name."""
    value = column.default.arg if column.default is not None and column.default.is_scalar else None
    return value.name if isinstance(value, enum.Enum) else value


def _words(layer: Layer, name: str, codes: type[Codes]) -> dict[str, str]:
    """Every word that stands for a code: the layer's translations, then names, then labels."""
    words: dict[str, str] = {}
    own = next((w for attr, w in layer.ingest.words.items() if attr.key == name), {})
    for text, code in own.items():
        words.setdefault(fold_word(text), code.name)
    names = [{fold_word(c.name): c.name for c in codes}]
    names += [{fold_word(text(c)): c.name for c in codes} for text in (_chinese, _english)]
    for known in names:
        words = known | words
    return words


def _chinese(code: Codes) -> str:
    return code.label.zh


def _english(code: Codes) -> str:
    return code.label.en
