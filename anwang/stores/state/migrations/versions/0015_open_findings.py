"""open findings"""

from alembic import op

revision = "0015"
down_revision = "0014"
# the smallest head revision of a program that may still open the database after this step
oldest_program = 14


def upgrade() -> None:
    """One way: going back means restoring the backup made before."""
    with op.batch_alter_table("findings", schema=None) as batch_op:
        batch_op.create_index("ix_findings_open", ["settled_at", "rule", "id"], unique=False)
