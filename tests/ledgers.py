"""Ledgers for tests: heads in memory, chains rewritten by somebody who can compute hashes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

import msgspec

from anwang.governance.ledger import AnchorWriter, Entry, Head, Ledger, Row, Signer
from anwang.governance.ledger.chain import HEX, genesis, row_decoder
from anwang.runtime.clock import Clock, FakeClock

SIGNER = Signer([bytes(range(32))])


class MemoryHeads:
    """Heads kept in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, Head] = {}

    async def load(self) -> Mapping[str, Head]:
        """See Heads."""
        return dict(self.kept)

    async def save(self, head: Head) -> None:
        """See Heads."""
        known = self.kept.get(head.chain)
        if known is None or known.seq < head.seq:
            self.kept[head.chain] = head


def files_of(folder: Path) -> list[Path]:
    """The files of all chains."""
    return sorted(folder.glob("*/*.ledger"))


def list_of(folder: Path) -> Path:
    """The anchors of `signed`."""
    return folder / "anchors" / "main-1.anchors"


async def signed(
    folder: Path, heads: MemoryHeads, *, signer: Signer = SIGNER, clock: Clock | None = None, rotate_bytes: int = 700
) -> Ledger:
    """A ledger in `ledger/` of the folder, its anchors in `anchors/`."""
    return await Ledger.open(
        folder / "ledger",
        writer="main",
        heads=heads,
        clock=clock or FakeClock(),
        rotate_bytes=rotate_bytes,
        anchors=AnchorWriter(folder=folder / "anchors", writer="main", signer=signer),
    )


async def written(folder: Path, counts: tuple[int, ...] = (5, 4, 3), *, signer: Signer = SIGNER) -> MemoryHeads:
    """A closed ledger of so many rows, an anchor after each count."""
    heads = MemoryHeads()
    for count in counts:
        ledger = await signed(folder, heads, signer=signer)
        await ledger.append(*(Entry(kind="opened", user=f"u{number}", detail="看") for number in range(count)))
        await ledger.close()
    return heads


def rewrite(ledger: Path, change: Callable[[list[Row]], list[Row]]) -> Head:
    """Change the rows of the chain main-1 and compute all its hashes anew, as whoever can write the files can.

    Their numbers are put right. Returns the new head, for whoever can write the database as well.
    """
    files = files_of(ledger)
    rows = change([row_decoder.decode(line[HEX + 1 :]) for file in files for line in file.read_bytes().splitlines()])
    for file in files:
        file.unlink()
    head = Head("main-1", 0, genesis("main-1"), 0)
    with files[0].open("wb") as out:
        for row in rows:
            text = msgspec.json.encode(msgspec.structs.replace(row, seq=head.seq + 1, at=max(row.at, head.at)))
            digest = sha256(bytes.fromhex(head.hash) + text).hexdigest()
            out.write(digest.encode() + b" " + text + b"\n")
            head = Head("main-1", head.seq + 1, digest, max(row.at, head.at))
    return head
