"""The table of a segment's samples, written behind its last fragment when it is sealed."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from anwang.kernel.errors import AnwangError, WireError
from anwang.runtime import logs
from anwang.stores.objects import Segment as Unsealed
from anwang.wire.fmp4 import pack_table, scan, table_of

log = logs.get(__name__)


@contextmanager
def mapped(path: Path) -> Iterator[memoryview]:
    """A file's bytes, read where they are touched. Raises FileNotFoundError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if os.fstat(descriptor).st_size == 0:  # nothing can't be mapped
            yield memoryview(b"")
            return
        data = mmap.mmap(descriptor, 0, prot=mmap.PROT_READ)
    finally:
        os.close(descriptor)
    try:
        yield memoryview(data)
    finally:
        with suppress(BufferError):  # an error on its way up still points into it; it is closed with that
            data.close()


def add_table(segment: Unsealed) -> int:
    """Write the table of a segment behind its last fragment, before it is sealed; the segment's size then.

    Never raises for the table's sake: without one a clip is made from the fragments, which takes longer.
    """
    size = segment.size
    try:
        with mapped(segment.path) as data:
            found = scan(data[:size])
            if found.complete_to != size:
                raise WireError("the last fragment is not whole")
            packed = pack_table(table_of(found.fragments), offset=size)
        return segment.write(packed)
    except (AnwangError, OSError) as err:
        log.warning("a segment is sealed without its table", object=segment.key, reason=str(err))
        if segment.size != size:
            segment.truncate(size)
        return size
