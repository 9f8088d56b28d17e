"""What Alembic runs for every command: the caller hands over its connection and options, nothing is configured here."""

from alembic import context

context.configure(**context.config.attributes["options"])
with context.begin_transaction():
    context.run_migrations()
