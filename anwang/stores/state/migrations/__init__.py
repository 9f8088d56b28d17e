"""Alembic scripts: numbered, small, import nothing of ours."""
