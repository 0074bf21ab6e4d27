"""CQL2: what a stranger may ask of a layer, read by the `cql2` package and compiled here to bound SQL expressions.

    text or JSON -> size and depth checked -> cql2 -> its JSON tree -> allow-list -> SQLAlchemy expression

Nothing that `cql2` writes goes to the database. An operator that is not listed here does not exist, a column is known
only if the viewer may see it, every literal is a bound parameter of the kind that it is compared with.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_
from typing import Any, Final

import cql2
import orjson
import sqlalchemy as sa

from gis_core.access import Viewer
from gis_core.crs.uris import NamedCrs
from gis_core.errors import BadInput
from gis_core.filters.queryables import Kind, column, kinds
from gis_core.filters.shapes import compare_shapes, is_shape, shape_of
from gis_core.filters.times import compare_times, instant_of, is_time, times_of
from gis_core.spec import Layer

LONGEST: Final = 32_000
"""Characters. Deep or long enough, a filter would overflow the parser's stack and end the process."""
DEEPEST: Final = 48
MOST_OPERATORS: Final = 2_000
MOST_NODES: Final = 4_000
LONGEST_TEXT: Final = 2_000
_LARGEST_BIGINT: Final = 2**63 - 1

_QUOTED: Final = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"")
_RUN: Final = re.compile(r"(?:(?:\bnot\b|[-+])\s*){8}", re.IGNORECASE)
_OPERATOR: Final = re.compile(r"[-+*/^%=<>]|\b(?:and|or|not|div|in|like|between|is)\b", re.IGNORECASE)


class BadFilter(BadInput):
    """This filter cannot be read, or asks for what is not allowed."""


@dataclass(frozen=True)
class Term:
    """A compiled piece of a filter and what it is."""

    sql: Any
    kind: Kind


def parse(text: str, language: str = "cql2-text") -> Any:
    """Read a filter into the JSON tree of CQL2. Raises BadFilter."""
    if len(text) > LONGEST:
        raise BadFilter(f"the filter has {len(text)} characters; at most {LONGEST} are read")
    if language not in {"cql2-text", "cql2-json"}:
        raise BadFilter(f"filter-lang is cql2-text or cql2-json, not {language[:40]!r}")
    try:
        if language == "cql2-json":
            _check_depth(orjson.loads(text))
            tree = cql2.parse_json(text).to_json()
        else:
            _check_text(text)
            tree = cql2.parse_text(text).to_json()
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # the package has errors of its own, a bare Exception, and panics, which are neither
        raise BadFilter(f"the filter cannot be read: {_first_line(error)}") from error
    if tree is None:
        raise BadFilter("a filter is a condition that holds or not")
    _check_depth(tree)
    return tree


def compile_filter(tree: Any, rows: sa.Subquery, layer: Layer, viewer: Viewer, crs: NamedCrs) -> Any:
    """The condition that a parsed filter is, over `rows` = visible(layer, viewer).

    `crs` is the system of the filter's geometries. Raises BadFilter.
    """
    term = _Compiler(rows, kinds(layer, viewer), crs).term(tree)
    if term.kind is not Kind.boolean:
        raise BadFilter("a filter is a condition that holds or not")
    return term.sql


class _Compiler:
    """Walks one tree. Its depth was checked before."""

    def __init__(self, rows: sa.Subquery, known: Mapping[str, Kind], crs: NamedCrs) -> None:
        self._rows = rows
        self._known = known
        self._crs = crs

    def term(self, node: Any) -> Term:
        """Any node: a literal, a property, an operator."""
        if isinstance(node, bool):
            return Term(sa.true() if node else sa.false(), Kind.boolean)
        if isinstance(node, int | float):
            return Term(number(node), Kind.number)
        if isinstance(node, str):
            return Term(text_literal(node), Kind.text)
        if not isinstance(node, dict):
            raise BadFilter("null and lists have no place here; use IS NULL or IN")
        if node.keys() == {"property"}:
            return self._property(node["property"])
        if is_time(node):
            return Term(instant_of(node), Kind.time)
        if node.keys() != {"op", "args"} or not isinstance(node["args"], list):
            raise BadFilter(f"this is no part of a filter: {str(node)[:100]}")
        return self._operation(str(node["op"]), node["args"])

    def _property(self, name: Any) -> Term:
        if name == "geometry":
            name = "geom"
        kind = self._known.get(name) if isinstance(name, str) else None
        if kind is None:
            raise BadFilter(
                f"there is no property {str(name)[:60]!r} to filter by; there are: {', '.join(self._known)}"
            )
        return Term(column(self._rows, name, kind), kind)

    def _operation(self, op: str, args: Sequence[Any]) -> Term:
        # cql2 keeps the case of words that it does not know itself.
        name = op.lower()
        if name in {"and", "or"}:
            terms = [self._of(Kind.boolean, arg, op) for arg in args]
            if not terms:
                raise BadFilter(f"{op} needs conditions")
            return Term(reduce(and_ if name == "and" else or_, terms), Kind.boolean)
        if name.startswith("s_"):
            return Term(compare_shapes(name, self._shapes(name, args)), Kind.boolean)
        if name.startswith("t_"):
            return Term(compare_times(name, [times_of(arg, self.term) for arg in _two(name, args)]), Kind.boolean)
        handler = _OPERATIONS.get(name)
        if handler is None:
            raise BadFilter(f"the function or operator {op[:60]!r} is not available in filters")
        return handler(self, name, args)

    def _of(self, kind: Kind, node: Any, op: str) -> Any:
        """The SQL of a node that must be of one kind."""
        term = self.term(node)
        if term.kind is not kind:
            raise BadFilter(f"{op} takes a {kind} here, not a {term.kind}")
        return term.sql

    def _alike(self, op: str, nodes: Sequence[Any]) -> tuple[list[Any], Kind]:
        """Nodes that are compared with each other: of one kind, texts that say a moment read as such beside times."""
        terms = [self.term(node) for node in nodes]
        if any(t.kind is Kind.time for t in terms):
            terms = [
                Term(instant_of({"timestamp": node}), Kind.time) if isinstance(node, str) else term
                for node, term in zip(nodes, terms, strict=True)
            ]
        found = {t.kind for t in terms}
        if len(found) > 1 or Kind.geometry in found:
            raise BadFilter(f"{op} cannot compare {' with '.join(sorted(found))}")
        return [t.sql for t in terms], terms[0].kind

    def _compare(self, op: str, args: Sequence[Any]) -> Term:
        (left, right), kind = self._alike(op, _two(op, args))
        if kind is Kind.boolean and op not in {"=", "<>"}:
            raise BadFilter(f"{op} cannot compare true and false")
        return Term(_COMPARISONS[op](left, right), Kind.boolean)

    def _between(self, op: str, args: Sequence[Any]) -> Term:
        if len(args) != 3:  # noqa: PLR2004
            raise BadFilter("between takes a value and two bounds")
        (value, low, high), kind = self._alike(op, args)
        if kind is Kind.boolean:
            raise BadFilter("between cannot compare true and false")
        return Term(value.between(low, high), Kind.boolean)

    def _in(self, op: str, args: Sequence[Any]) -> Term:
        value, listed = _two(op, args)
        if not isinstance(listed, list) or not listed:
            raise BadFilter("in takes a value and a list of values")
        (first, *others), _ = self._alike(op, [value, *listed])
        return Term(first.in_(others), Kind.boolean)

    def _like(self, op: str, args: Sequence[Any]) -> Term:
        value, pattern = (self._of(Kind.text, arg, op) for arg in _two(op, args))
        return Term(value.like(pattern), Kind.boolean)

    def _not(self, op: str, args: Sequence[Any]) -> Term:
        return Term(sa.not_(self._of(Kind.boolean, _one(op, args), op)), Kind.boolean)

    def _is_null(self, op: str, args: Sequence[Any]) -> Term:
        return Term(self.term(_one(op, args)).sql.is_(None), Kind.boolean)

    def _fold(self, op: str, args: Sequence[Any]) -> Term:
        """The text without case, or without accents."""
        text = self._of(Kind.text, _one(op, args), op)
        if op == "casei":
            return Term(sa.func.lower(text, type_=sa.Text), Kind.text)
        parts = sa.func.normalize(text, sa.text("NFD"), type_=sa.Text)
        return Term(sa.func.regexp_replace(parts, "[\u0300-\u036f]", "", "g", type_=sa.Text), Kind.text)

    def _arithmetic(self, op: str, args: Sequence[Any]) -> Term:
        left, right = (self._of(Kind.number, arg, op) for arg in _two(op, args))
        return Term(_ARITHMETIC[op](sa.cast(left, sa.Double), sa.cast(right, sa.Double)), Kind.number)

    def _shapes(self, op: str, args: Sequence[Any]) -> tuple[Any, Any, bool]:
        """The layer's geometry, the geometry given, and whether they were named the other way round."""
        first, second = _two(op, args)
        turned = is_shape(first)
        named, given = (second, first) if turned else (first, second)
        if not is_shape(given) or is_shape(named):
            raise BadFilter(f"{op} takes a geometry property and a geometry")
        return self._of(Kind.geometry, named, op), shape_of(given, self._crs), turned


def number(value: float) -> Any:
    """A number as a bound parameter: whole ones as bigint, so that an index on a whole-number column serves."""
    if not math.isfinite(value):
        raise BadFilter("a number is too large")
    if float(value).is_integer() and abs(value) < _LARGEST_BIGINT:
        return sa.cast(sa.literal(int(value), sa.BigInteger), sa.BigInteger)
    return sa.cast(sa.literal(float(value), sa.Double), sa.Double)


def text_literal(value: str) -> Any:
    """A text as a bound parameter."""
    if "\0" in value:
        raise BadFilter("a text may not hold the character NUL")
    if len(value) > LONGEST_TEXT:
        raise BadFilter(f"a text may have {LONGEST_TEXT} characters")
    return sa.cast(sa.literal(value, sa.Text), sa.Text)


def _quotient(dividend: Any, divisor: Any) -> Any:
    """NULL where the divisor is 0: that row does not match, and the others are still found."""
    return dividend.op("/", return_type=sa.Double())(sa.func.nullif(divisor, 0))


_COMPARISONS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
_ARITHMETIC: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _quotient,
    "^": lambda a, b: sa.func.power(a, b, type_=sa.Double),
    "%": lambda a, b: sa.cast(
        sa.func.mod(sa.cast(a, sa.Numeric), sa.cast(sa.func.nullif(b, 0), sa.Numeric)), sa.Double
    ),
    "div": lambda a, b: sa.func.trunc(_quotient(a, b), type_=sa.Double),
}
_OPERATIONS: Final[dict[str, Callable[[_Compiler, str, Sequence[Any]], Term]]] = {
    **dict.fromkeys(_COMPARISONS, _Compiler._compare),  # noqa: SLF001  its own table
    **dict.fromkeys(_ARITHMETIC, _Compiler._arithmetic),  # noqa: SLF001
    "between": _Compiler._between,  # noqa: SLF001
    "in": _Compiler._in,  # noqa: SLF001
    "like": _Compiler._like,  # noqa: SLF001
    "not": _Compiler._not,  # noqa: SLF001
    "isnull": _Compiler._is_null,  # noqa: SLF001
    "casei": _Compiler._fold,  # noqa: SLF001
    "accenti": _Compiler._fold,  # noqa: SLF001
}


def _two(op: str, args: Sequence[Any]) -> tuple[Any, Any]:
    if len(args) != 2:  # noqa: PLR2004
        raise BadFilter(f"{op} takes two arguments")
    return args[0], args[1]


def _one(op: str, args: Sequence[Any]) -> Any:
    if len(args) != 1:
        raise BadFilter(f"{op} takes one argument")
    return args[0]


def _check_text(text: str) -> None:
    """Refuse what would make the parser's recursion deep: nested brackets, runs of signs, endless chains."""
    plain = _QUOTED.sub("''", text)
    depth = deepest = 0
    for character in plain:
        depth += (character == "(") - (character == ")")
        deepest = max(deepest, depth)
    if deepest > DEEPEST or _RUN.search(plain):
        raise BadFilter(f"the filter is nested too deep; at most {DEEPEST} levels are read")
    if len(_OPERATOR.findall(plain)) > MOST_OPERATORS:
        raise BadFilter(f"the filter has more than {MOST_OPERATORS} operators")


def _check_depth(tree: Any) -> None:
    """Refuse a tree that is deep or large; coordinates count as one node."""
    level, nodes, depth = [tree], 0, 0
    while level:
        nodes, depth = nodes + len(level), depth + 1
        if depth > DEEPEST * 2 or nodes > MOST_NODES:
            raise BadFilter(f"the filter is too large: at most {DEEPEST} levels and {MOST_NODES} parts are read")
        level = [
            child
            for node in level
            if isinstance(node, list | dict)
            for child in (node if isinstance(node, list) else [v for k, v in node.items() if k != "coordinates"])
        ]


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines)[:300] or type(error).__name__
