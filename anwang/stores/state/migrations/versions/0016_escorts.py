"""Who accompanies a contractor."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
# the smallest head revision of a program that may still open the database after this step
oldest_program = int(revision)


def upgrade() -> None:
    """One way: going back means restoring the backup made before."""
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.add_column(sa.Column("escort_id", sa.Text(), nullable=True))
