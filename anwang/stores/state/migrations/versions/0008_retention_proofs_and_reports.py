"""retention proofs and reports"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
# the smallest head revision of a program that may still open the database after this step
oldest_program = int(revision)


def upgrade() -> None:
    """One way: going back means restoring the backup made before."""
    op.create_table(
        "retention_reports",
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("left_out", sa.Integer(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_retention_reports")),
    )
    op.create_table(
        "retention_findings",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("keeper", sa.Text(), nullable=False),
        sa.Column("point_id", sa.Text(), nullable=False),
        sa.Column("org_path", sa.Text(), nullable=False),
        sa.Column("point_class", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["day"], ["retention_reports.day"], name=op.f("fk_retention_findings_day_retention_reports")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retention_findings")),
    )
    with op.batch_alter_table("retention_findings", schema=None) as batch_op:
        batch_op.create_index("ix_retention_findings_day", ["day", "kind", "id"], unique=False)

    with op.batch_alter_table("deletions", schema=None) as batch_op:
        batch_op.alter_column("ids", new_column_name="objects")
        batch_op.add_column(sa.Column("org_path", sa.Text(), server_default=sa.text("'/'"), nullable=False))
        batch_op.add_column(sa.Column("by_name", sa.Text(), server_default=sa.text("''"), nullable=False))
        batch_op.add_column(sa.Column("second", sa.Text(), server_default=sa.text("''"), nullable=False))
        batch_op.add_column(sa.Column("approval", sa.Text(), server_default=sa.text("''"), nullable=False))
        batch_op.add_column(sa.Column("why", sa.Text(), server_default=sa.text("''"), nullable=False))
