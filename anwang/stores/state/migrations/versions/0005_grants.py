"""grants"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
# the smallest head revision of a program that may still open the database after this step
oldest_program = int(revision)


def upgrade() -> None:
    """One way: going back means restoring the backup made before."""
    op.create_table(
        "grants",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("org_id", sa.Text(), nullable=False),
        sa.Column("org_name", sa.Text(), nullable=False),
        sa.Column("org_path", sa.Text(), nullable=False),
        sa.Column("departments", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("classes", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("kinds", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("zones", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=True),
        sa.Column("live_days", sa.SmallInteger(), nullable=True),
        sa.Column("live_start", sa.SmallInteger(), nullable=True),
        sa.Column("live_end", sa.SmallInteger(), nullable=True),
        sa.Column("has_history", sa.Boolean(), nullable=False),
        sa.Column("history_from", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_grants_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grants")),
    )
    with op.batch_alter_table("grants", schema=None) as batch_op:
        batch_op.create_index("ix_grants_org_id", ["org_id"], unique=False)
        batch_op.create_index("ix_grants_user_id", ["user_id"], unique=False)

    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.add_column(sa.Column("ends_at", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("is_service", sa.Boolean(), server_default="0", nullable=False))

    with op.batch_alter_table("sessions", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("actions", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True)
        )

    # everybody keeps what they could see: all below their organisation, recordings from before it, too
    op.execute(
        "INSERT INTO grants (id, user_id, org_id, org_name, org_path, departments, classes, kinds, zones, starts_at,"
        " has_history) SELECT id, id, org_id, org_name, org_path, '[]', '[]', '[]', '[]', created_at, TRUE FROM users"
        " WHERE removed_at IS NULL"
    )
