"""Objects: video segments, pictures and evidence packages under keys, in a folder or any S3-compatible store.

Whole objects are put and read; a segment that is still being written is an append-only spool file, readable while open
and sealed into its object at the end. Nothing here needs asyncio for writing segments: media children do that from a
thread of theirs.
"""

from anwang.stores.objects.keys import LONGEST_KEY, check_key, check_prefix
from anwang.stores.objects.spool import Segment
from anwang.stores.objects.store import Entry, Objects, Page

__all__ = ["LONGEST_KEY", "Entry", "Objects", "Page", "Segment", "check_key", "check_prefix"]
