"""The two MetaData of the product, the column types both engines share, and the tables of the store itself."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.dialects.postgresql import JSONB

from anwang.kernel.times import from_micros, to_micros

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=NAMES)
"""Tables of the main database; every slice's `store` declares its own on it."""

media_metadata = MetaData(naming_convention=NAMES)
"""Tables of the media index, a database of its own: it is written most and can be rebuilt from the objects."""


class Moment(TypeDecorator[datetime]):
    """An aware datetime, kept as integer microseconds since 1970 UTC, so that both engines sort and compare alike.

    Binding a naive datetime raises Invalid; what comes back is in UTC.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Microseconds, or NULL."""
        return None if value is None else to_micros(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """The moment in UTC, or None."""
        return None if value is None else from_micros(value)


Json = JSON().with_variant(JSONB(), "postgresql")
"""A small document: dict, list, text, number. Not for what a query filters by: that gets a column."""

Serial = BigInteger().with_variant(Integer(), "sqlite")
"""A counting primary key of 64 bits (SQLite counts only in a column declared INTEGER)."""


def _note(name: str, owner: MetaData) -> Table:
    """One row about the database itself."""
    return Table(
        name,
        owner,
        Column("id", Integer, primary_key=True, autoincrement=False),  # always 1
        Column("oldest_program", Integer, nullable=False),  # smallest head revision of a program that may open this
        Column("migrated_at", Moment, nullable=False),  # when the schema last changed
    )


schema_note = _note("schema_note", metadata)
media_schema_note = _note("media_schema_note", media_metadata)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Serial, primary_key=True),  # order of writing; commits may overtake each other on PostgreSQL
    Column("topic", Text, nullable=False),  # the fact's name, for example alarms.raised
    Column("payload", LargeBinary, nullable=False),  # the fact, encoded by its owner
    Column("created_at", Moment, nullable=False),
    Column("delivered_at", Moment),  # NULL: not yet taken by its receiver
    Column("attempts", Integer, nullable=False, server_default="0"),  # deliveries tried and failed
    Column("not_before", Moment),  # NULL: now; else a relay holds the row, or it waits for its next attempt
    Column("last_error", Text),  # why the last attempt failed; NULL: none has
    sqlite_autoincrement=True,  # a deleted row's number never comes back
)
Index(
    "ix_outbox_waiting",
    outbox.c.id,
    sqlite_where=outbox.c.delivered_at.is_(None),
    postgresql_where=outbox.c.delivered_at.is_(None),
)
Index("ix_outbox_delivered", outbox.c.delivered_at)

jobs = Table(
    "jobs",
    metadata,
    Column("name", Text, primary_key=True),
    Column("due_at", Moment, nullable=False),  # when it should run next
    Column("cursor", LargeBinary),  # how far it has come, in its own encoding; NULL: never said
    Column("held_by", Text),  # the process running it; NULL: nobody
    Column("held_until", Moment),  # after this the holder is taken for dead
    Column("started_at", Moment),  # NULL: never ran
    Column("finished_at", Moment),  # NULL: never finished
    Column("failures", Integer, nullable=False, server_default="0"),  # in a row
    Column("last_error", Text),  # NULL: the last run succeeded
)
