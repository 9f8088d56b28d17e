"""Approvals that a senior decides; whose account it is by another house's sign-in."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
# the smallest head revision of a program that may still open the database after this step
oldest_program = int(revision)


def upgrade() -> None:
    """One way: going back means restoring the backup made before."""
    with op.batch_alter_table("approvals", schema=None) as batch_op:
        batch_op.add_column(sa.Column("is_aged", sa.Boolean(), server_default="0", nullable=False))

    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.add_column(sa.Column("sign_on", sa.Text(), nullable=True))
