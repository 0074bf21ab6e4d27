"""sessions know their token, the audit trail is sealed"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = '5b0f3a9d6c21'
down_revision: str | None = 'cd3043341075'
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column('token', sa.Column('parent', sa.LargeBinary(), nullable=True))
    op.create_index(op.f('ix_token_parent'), 'token', ['parent'], unique=False)
    op.add_column('audit', sa.Column('previous', sa.LargeBinary(), nullable=False))
    op.add_column('audit', sa.Column('digest', sa.LargeBinary(), nullable=False))
    op.create_unique_constraint(op.f('uq_audit_digest'), 'audit', ['digest'])


def downgrade() -> None:
    op.drop_constraint(op.f('uq_audit_digest'), 'audit', type_='unique')
    op.drop_column('audit', 'digest')
    op.drop_column('audit', 'previous')
    op.drop_index(op.f('ix_token_parent'), table_name='token')
    op.drop_column('token', 'parent')
