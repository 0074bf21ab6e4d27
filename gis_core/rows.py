"""Expressions that a layer's file writes on its class, read from what a viewer may see; statements as plain text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql import visitors

from gis_core.errors import BadInput

_DIALECT = postgresql.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


def seen_from(rows: sa.Subquery, expression: Any) -> Any:
    """The expression with the layer's own columns read from `rows`, where hidden ones are NULL."""

    def seen(element: Any, **_: Any) -> Any:
        return rows.c[element.key] if isinstance(element, sa.Column) else None

    return visitors.replacement_traverse(
        sa.sql.coercions.expect(sa.sql.roles.ExpressionElementRole, expression), {}, seen
    )


def bare(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """A geometry column without its type, so that it goes into functions as it lies and not as text."""
    return sa.type_coerce(column, sa.types.NullType())


def spatial(name: str, *arguments: Any, type_: Any = sa.types.NullType) -> sa.ColumnElement[Any]:
    """A call of a PostGIS function whose result is left as it is (or is of `type_`)."""
    return getattr(sa.func, name)(*arguments, type_=type_)  # type: ignore[no-any-return]


def as_text(statement: sa.Select[Any]) -> str:
    """The statement as SQL text with every value in it as a literal, for preparing once and running often.

    A literal lets the planner use its statistics and the layer's partial indexes.
    """
    return str(statement.compile(dialect=_DIALECT, compile_kwargs={"literal_binds": True}))


@contextmanager
def answered() -> Iterator[None]:
    """Say in words what the database could not compute: a strange filter is no fault of ours. Raises BadInput."""
    try:
        yield
    except (sa.exc.DataError, sa.exc.InternalError) as error:
        raise BadInput(f"the filter cannot be computed: {str(error.orig).splitlines()[0]}") from error
