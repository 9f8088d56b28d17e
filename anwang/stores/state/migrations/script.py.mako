"""${message}"""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
# the smallest head revision of a program that may still open the database after this step
oldest_program = int(revision)


def upgrade() -> None:
    """One way: going back means restoring the backup made before."""
    ${upgrades if upgrades else "pass"}
