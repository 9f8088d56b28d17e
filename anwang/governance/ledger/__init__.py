"""The ledger (access record): append-only files, one hash chain per writing process (design law 7, domain.md G06, G07).

    <folder>/<writer>-<generation>/<number of its first row, 16 digits>.ledger

A line is `<SHA-256, 64 hex digits> <row as JSON>`; the hash covers the previous line's hash and the row's exact bytes,
and the first line's predecessor is the hash of the chain's name. The last number and hash (the head) are kept in the
state database, too, so that rows cut off at the end are missed; every hour an anchor is signed (`anchors`), which can
be copied off the host. `verify` checks all of it. The series store has a copy of the rows for searching (`copy`).

Who appends waits until the row is on the disk. One thread writes: while it waits for fdatasync the next rows gather,
and go to the disk together (group commit). A failed write is cut off again and nobody's row was acknowledged; while it
fails, appending raises Unavailable and so nobody looks.

A process that dies leaves at most a torn last line, which nobody was told is durable: it is cut off and noted. Anything
else that does not fit (a row less than the head, a broken hash) is left untouched for `verify`, and a new generation of
the chain begins.
"""

from anwang.governance.ledger.anchors import Anchor, AnchorWriter, Copied, Signer, copy_anchors, hand_over
from anwang.governance.ledger.chain import Head, Heads
from anwang.governance.ledger.copy import LEDGER_STEPS, LedgerCopy
from anwang.governance.ledger.rows import Asked, CopyUse, Entry, LedgerPage, Place, Row
from anwang.governance.ledger.service import Ledger
from anwang.governance.ledger.verification import Fault, Verified, verify

__all__ = [
    "LEDGER_STEPS",
    "Anchor",
    "AnchorWriter",
    "Asked",
    "Copied",
    "CopyUse",
    "Entry",
    "Fault",
    "Head",
    "Heads",
    "Ledger",
    "LedgerCopy",
    "LedgerPage",
    "Place",
    "Row",
    "Signer",
    "Verified",
    "copy_anchors",
    "hand_over",
    "verify",
]
