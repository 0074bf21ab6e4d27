"""What PostGIS itself watches over: the reader role, its rows, the version of each layer, the audit trail's rows.

Made from the layers after the migrations; nothing is written per layer by hand. The read gate (`gis_core.access`) is
the first lock, row-level security under the reader role the second. docs/decisions/0003-leakproof-overlap.md says
what the second one costs and why it stands.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

import sqlalchemy as sa

from gis_core.access import EVERYONE, OUTSIDE, READER
from gis_core.model import metadata
from gis_core.records import Audit, Change, City, Dataset
from gis_core.secrecy import OPEN_AREA, as_policy
from gis_core.spec import Layer

CHANNEL = "chengtu_change"
"""Where every raised version is told: `{"layer", "version", "changed_at"}` as JSON."""
QUIET = "chengtu.quiet"
"""Set this to `on` in a transaction whose UPDATEs bring only live values: no version is raised, tiles stay valid."""
SCOPE = "chengtu.scope"
"""Whose rows a reading transaction sees (`Viewer.scope`); unset, no row of an owned layer."""

CLEARANCE = "chengtu.clearance"
"""How secret the rows are that it sees (`Viewer.clearance`); unset, no row of a layer that marks its rows."""

_READABLE = (City, Dataset, Change)
_LEAKPROOF = (
    "geometry_overlaps(geometry, geometry)",
    "overlaps_2d(geometry, box2df)",
    "overlaps_2d(box2df, geometry)",
)


def install(connection: sa.Connection, layers: Iterable[Layer]) -> tuple[str, ...]:
    """Put all guards in place within the caller's transaction; where they stand already, nothing is locked.

    Returns what could not be done and how a person mends it; empty when both locks hold at full speed. On a server
    where the connecting user may neither create the reader role nor is a member of it, reads run under the gate alone.
    """
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('chengtu.guards'))"))
    layers = tuple(layers)
    notes: list[str] = []
    has_reader = _ensure_reader(connection, notes)
    statements = [*_watch(connection, layers), *(_lock(connection, layers) if has_reader else ())]
    digest = hashlib.sha256("\n".join(statements).encode()).hexdigest()
    if not _stands(connection, layers, statements, digest, has_reader=has_reader):
        for statement in (*statements, f"COMMENT ON FUNCTION chengtu_changed() IS '{digest}'"):
            connection.exec_driver_sql(statement)
    if has_reader:
        _mend_overlap(connection, notes)
    return tuple(notes)


def _ensure_reader(connection: sa.Connection, notes: list[str]) -> bool:
    """Make the reader role unless it is there, and let the connecting user take it; whether that holds now."""
    # Roles belong to the whole cluster: another database's start may make the same one at the same moment.
    reason = "it is no member"
    for attempt in (f"CREATE ROLE {READER} NOLOGIN", f"GRANT {READER} TO CURRENT_USER"):
        if _takes_reader(connection):
            return True
        try:
            with connection.begin_nested():
                connection.exec_driver_sql(attempt)
        except sa.exc.DBAPIError as error:
            reason = str(error.orig).splitlines()[0]
    if _takes_reader(connection):
        return True
    user = connection.scalar(sa.text("SELECT quote_ident(current_user)"))
    notes.append(
        f"The database user {user} cannot act as the role {READER} ({reason}). Row-level security is not in force; "
        "the read gate alone keeps owners apart. As a superuser type: "
        f"CREATE ROLE {READER} NOLOGIN; GRANT {READER} TO {user}; then run `chengtu db upgrade` again."
    )
    return False


def _takes_reader(connection: sa.Connection) -> bool:
    found = sa.text("SELECT 1 FROM pg_roles WHERE rolname = :role AND pg_has_role(current_user, oid, 'MEMBER')")
    return connection.scalar(found, {"role": READER}) is not None


def _stands(
    connection: sa.Connection, layers: Sequence[Layer], statements: Sequence[str], digest: str, *, has_reader: bool
) -> bool:
    """Whether these very guards are in place: a table that was dropped and made again lost its own."""
    row = connection.execute(
        sa.text(
            "SELECT obj_description(to_regprocedure('chengtu_changed()'), 'pg_proc'),"
            " (SELECT count(*) FROM pg_trigger WHERE tgfoid = to_regprocedure('chengtu_changed()')),"
            " (SELECT count(*) FROM pg_trigger WHERE tgfoid = to_regprocedure('chengtu_kept()')),"
            " (SELECT count(*) FROM pg_policies WHERE policyname = :role AND schemaname = current_schema()),"
            " (SELECT count(*) FROM unnest(CAST(:tables AS text[])) t"
            "   WHERE :has_reader AND NOT has_table_privilege(CASE WHEN :has_reader THEN :role END, t, 'SELECT'))"
        ),
        {"role": READER, "tables": [t.name for t in readable(layers)], "has_reader": has_reader},
    ).one()
    policies = sum(statement.startswith("CREATE POLICY") for statement in statements)
    return tuple(row) == (digest, len(layers), 1, policies if has_reader else row[3], 0)


def readable(layers: Iterable[Layer]) -> list[sa.Table]:
    """The tables that the reader role may read: the layers, their cells, and three registers; all else is closed."""
    registers = [metadata.tables[record.__tablename__] for record in _READABLE]
    return [*registers, *(table for layer in layers for table in _tables(layer))]


def _tables(layer: Layer) -> list[sa.Table]:
    table = metadata.tables[layer.name]
    return [table] if layer.model.cover is None else [table, layer.model.cover]


def _watch(connection: sa.Connection, layers: Sequence[Layer]) -> Iterator[str]:
    """Triggers: a statement that changes a layer raises its version, and the audit trail keeps every row."""
    quote = connection.dialect.identifier_preparer
    yield _CHANGED
    yield _KEPT
    yield OPEN_AREA
    audit = quote.format_table(metadata.tables[Audit.__tablename__])
    yield (
        f"CREATE OR REPLACE TRIGGER chengtu_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON {audit}"
        " FOR EACH STATEMENT EXECUTE FUNCTION chengtu_kept()"
    )
    for layer in layers:
        table = quote.format_table(metadata.tables[layer.name])
        yield (
            f"CREATE OR REPLACE TRIGGER chengtu_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION chengtu_changed()"
        )


def _lock(connection: sa.Connection, layers: Sequence[Layer]) -> Iterator[str]:
    """What the reader role may read, and which rows of layers that have owners or mark how secret they are."""
    quote = connection.dialect.identifier_preparer
    granted = readable(layers)
    closed = [quote.format_table(t) for t in metadata.sorted_tables if t not in granted]
    schema = str(connection.scalar(sa.text("SELECT current_schema()")))
    yield f"GRANT USAGE ON SCHEMA {quote.quote(schema)} TO {READER}"
    yield f"REVOKE ALL ON {', '.join(closed)} FROM {READER}"
    yield f"GRANT SELECT ON {', '.join(quote.format_table(t) for t in granted)} TO {READER}"
    for layer in layers:
        table = quote.format_table(metadata.tables[layer.name])
        conditions = []
        # A sub-select is computed once per statement, not once per row.
        scope = f"(SELECT coalesce(current_setting('{SCOPE}', true), ''))"
        if layer.access.owner is not None:
            owner = quote.quote(layer.access.owner.key)
            unbound = f"'{EVERYONE}'" if layer.access.read != "public" else f"'{EVERYONE}', '{OUTSIDE}'"
            nobody = f"'', '{EVERYONE}', '{OUTSIDE}'"
            bound = f"SELECT s FROM current_setting('{SCOPE}', true) s WHERE s NOT IN ({nobody})"  # noqa: S608  our own words
            conditions.append(f"({scope} IN ({unbound}) OR {owner} = ({bound}))")
        if layer.access.secrecy is not None:
            secrecy = quote.quote(layer.access.secrecy.key)
            conditions.append("(" + as_policy(secrecy, "geom", CLEARANCE) + ")")
        if not conditions:
            continue
        yield from _policy(table, " AND ".join(conditions))
        if layer.model.cover is not None and layer.access.read != "public":
            # A share names no owner, only a feature, which its own policy hides: asking the features for each share
            # again made joins six times slower. So the shares are closed to outsiders only, at no cost per row.
            yield from _policy(quote.format_table(layer.model.cover), f"{scope} NOT IN ('', '{OUTSIDE}')")


def _policy(table: str, condition: str) -> Iterator[str]:
    # Enabled, not forced: the service, which owns the tables, writes all rows.
    yield f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"
    yield f"DROP POLICY IF EXISTS {READER} ON {table}"
    yield f"CREATE POLICY {READER} ON {table} FOR SELECT TO {READER} USING ({condition})"


def _mend_overlap(connection: sa.Connection, notes: list[str]) -> None:
    """Declare the box comparison behind `&&` leakproof, so that the spatial index serves under row-level security.

    An update of the PostGIS extension takes it back, so it is looked at whenever guards are installed.
    """
    standing = sa.text(
        "SELECT coalesce(bool_and(proleakproof), false) FROM pg_proc WHERE oid ="
        " ANY (SELECT to_regprocedure(f) FROM unnest(CAST(:functions AS text[])) f)"
    )
    if connection.scalar(standing, {"functions": list(_LEAKPROOF)}):
        return
    try:
        with connection.begin_nested():
            for function in _LEAKPROOF:
                connection.exec_driver_sql(f"ALTER FUNCTION {function} LEAKPROOF")
    except sa.exc.DBAPIError as error:
        notes.append(
            f"PostGIS && could not be declared leakproof ({str(error.orig).splitlines()[0]}). Owners are kept apart, "
            "but map queries on owned layers read whole tables. As a superuser type in this database: "
            + " ".join(f"ALTER FUNCTION {function} LEAKPROOF;" for function in _LEAKPROOF)
        )


_CHANGED = f"""
CREATE OR REPLACE FUNCTION chengtu_changed() RETURNS trigger LANGUAGE plpgsql AS $body$
DECLARE
    raised record;
    told text := 'chengtu.raised_' || tg_table_name;
BEGIN
    IF tg_op = 'UPDATE' AND current_setting('{QUIET}', true) = 'on' THEN
        RETURN NULL;
    END IF;
    -- One step a transaction is enough, since nobody sees its rows before it ends. A rolled back savepoint takes the
    -- step and this mark back together.
    IF current_setting(told, true) = 'on' THEN
        RETURN NULL;
    END IF;
    INSERT INTO change AS c (layer, version, changed_at) VALUES (tg_table_name, 1, clock_timestamp())
        ON CONFLICT (layer) DO UPDATE SET version = c.version + 1, changed_at = excluded.changed_at
        RETURNING c.layer, c.version, c.changed_at INTO raised;
    PERFORM set_config(told, 'on', true);
    PERFORM pg_notify('{CHANNEL}', row_to_json(raised)::text);
    RETURN NULL;
END
$body$
""".strip()  # noqa: S608  made of two names that stand above

_KEPT = """
CREATE OR REPLACE FUNCTION chengtu_kept() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    RAISE EXCEPTION 'rows of the audit trail are only ever added' USING ERRCODE = 'insufficient_privilege';
END
$body$
""".strip()
