"""surveys under way and versions of pipes"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = '1e844b44e265'
down_revision: str | None = '8f1ad486ddb8'
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table('survey',
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('owner', sa.String(), nullable=False),
    sa.Column('who', sa.String(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('files', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('datum', sa.String(), nullable=True),
    sa.Column('encoding', sa.String(), nullable=True),
    sa.Column('scope', sa.String(), nullable=False),
    sa.Column('area', sa.LargeBinary(), nullable=True),
    sa.Column('corrections', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('round', sa.Integer(), nullable=False),
    sa.Column('begun', sa.Integer(), nullable=False),
    sa.Column('step', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('progress', sa.Double(), nullable=False),
    sa.Column('report', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('difference', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    sa.Column('version', sa.Integer(), nullable=True),
    sa.Column('at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('touched_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_survey'))
    )
    op.create_index(op.f('ix_survey_owner'), 'survey', ['owner'], unique=False)
    op.create_table('survey_mapping',
    sa.Column('owner', sa.String(), nullable=False),
    sa.Column('mapping', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('owner', name=op.f('pk_survey_mapping'))
    )
    op.create_table('survey_version',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('owner', sa.String(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('published_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('who', sa.String(), nullable=False),
    sa.Column('origin', sa.String(), nullable=False),
    sa.Column('survey', sa.String(), nullable=True),
    sa.Column('restored', sa.Integer(), nullable=True),
    sa.Column('points', sa.Integer(), nullable=False),
    sa.Column('lines', sa.Integer(), nullable=False),
    sa.Column('difference', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('digest', sa.LargeBinary(), nullable=False),
    sa.Column('snapshot', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_survey_version')),
    sa.UniqueConstraint('owner', 'number', name=op.f('uq_survey_version_owner_number'))
    )
    op.add_column('upload', sa.Column('said', postgresql.JSONB(astext_type=sa.Text()), server_default='{}', nullable=False))


def downgrade() -> None:
    op.drop_column('upload', 'said')
    op.drop_table('survey_version')
    op.drop_table('survey_mapping')
    op.drop_index(op.f('ix_survey_owner'), table_name='survey')
    op.drop_table('survey')
