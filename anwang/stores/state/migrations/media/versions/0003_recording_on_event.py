"""recording on event"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
# the smallest head revision of a program that may still open the database after this step
oldest_program = int(revision)


def upgrade() -> None:
    """One way: going back means restoring the backup made before."""
    op.create_table(
        "mark",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("point", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("last_us", sa.BigInteger(), nullable=False),
        sa.Column("device_us", sa.BigInteger(), nullable=False),
        sa.Column("reports", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mark")),
    )
    with op.batch_alter_table("mark", schema=None) as batch_op:
        batch_op.create_index("ix_mark_at", ["at_us"], unique=False)
        batch_op.create_index("ix_mark_point", ["point", "at_us"], unique=False)

    with op.batch_alter_table("recording_plan", schema=None) as batch_op:
        batch_op.add_column(sa.Column("pre_s", sa.Integer(), server_default="10", nullable=False))
        batch_op.add_column(sa.Column("post_s", sa.Integer(), server_default="30", nullable=False))
        batch_op.add_column(sa.Column("most_s", sa.Integer(), server_default="1800", nullable=False))
