"""open findings"""

from alembic import op

revision = "0017"
down_revision = "0016"
# the smallest head revision of a program that may still open the database after this step
oldest_program = 16


def upgrade() -> None:
    """One way: going back means restoring the backup made before."""
    with op.batch_alter_table("findings", schema=None) as batch_op:
        batch_op.create_index("ix_findings_open", ["settled_at", "rule", "id"], unique=False)
