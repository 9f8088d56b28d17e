"""State: the tables of every slice in one SQL database, SQLite (WAL) on one machine and PostgreSQL beyond it.

A slice declares its tables on `metadata` (the media index: on `media_metadata`), writes through `State.begin()` and
reads through `State.read()`. What both engines understand alike: SQLAlchemy Core statements, `Moment` for times, `Json`
for small documents, `Serial` for counting keys, `upsert` for insert-or-update. PostgreSQL writers run beside each
other at READ COMMITTED, so what is read in order to be changed is read with `.with_for_update()`; SQLite has one writer
at a time and leaves that clause out by itself.
"""

from anwang.stores.state.engine import State, Tx, upsert
from anwang.stores.state.jobs import Job, Jobs
from anwang.stores.state.migrate import MAIN, MEDIA, Schema, drift, make_revision, migrate, revision_of
from anwang.stores.state.outbox import Outbox, Posted, Relay
from anwang.stores.state.schema import Json, Moment, Serial, media_metadata, metadata

__all__ = [
    "MAIN",
    "MEDIA",
    "Job",
    "Jobs",
    "Json",
    "Moment",
    "Outbox",
    "Posted",
    "Relay",
    "Schema",
    "Serial",
    "State",
    "Tx",
    "drift",
    "make_revision",
    "media_metadata",
    "metadata",
    "migrate",
    "revision_of",
    "upsert",
]
