"""Alembic's entry: the tables are those of `gis_core.model.metadata` once every layer is loaded."""

from alembic import context
from geoalchemy2 import alembic_helpers

import layers
from gis_core.model import metadata

layers.load()
OWN = frozenset(metadata.tables)


def include_object(item: object, name: str | None, kind: str, reflected: bool, compared: object) -> bool:
    """Leave alone what the extension, or somebody else in an external database, put there."""
    del item, compared
    return not (kind == "table" and reflected and name not in OWN)


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    include_object=include_object,
    process_revision_directives=alembic_helpers.writer,
    render_item=alembic_helpers.render_item,
    compare_type=True,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
