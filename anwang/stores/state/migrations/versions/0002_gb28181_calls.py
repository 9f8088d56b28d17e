"""calls of GB/T 28181 devices that a restart would forget"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
# a program that does not know the table leaves it alone
oldest_program = 1


def upgrade() -> None:
    """One way: going back means restoring the backup made before."""
    op.create_table(
        "gb28181_call",
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("local", sa.Text(), nullable=False),
        sa.Column("remote", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("cseq", sa.Integer(), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("call_id", name=op.f("pk_gb28181_call")),
    )
