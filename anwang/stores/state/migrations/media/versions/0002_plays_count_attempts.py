"""plays count attempts"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
# the smallest head revision of a program that may still open the database after this step
oldest_program = int(revision)


def upgrade() -> None:
    """One way: going back means restoring the backup made before."""
    with op.batch_alter_table("play", schema=None) as batch_op:
        batch_op.add_column(sa.Column("attempts", sa.Integer(), server_default="1", nullable=False))
        batch_op.create_index("ix_play_kind", ["kind", "started_us"], unique=False)
