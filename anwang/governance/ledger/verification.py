"""Finding what was done to a ledger's files: against themselves, the heads in the state database, and the anchors.

Whoever changes a row must compute all hashes after it anew, and the heads in the database with them; the anchors,
which they cannot sign, still say what the rows were. Whoever takes the last anchors away as well is found by a copy of
them that was taken elsewhere.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from anwang.governance.ledger.anchors import (
    LIST_SUFFIX,
    Anchor,
    AnchorList,
    anchored,
    is_ours,
    lists_in,
    read_copy,
    read_list,
)
from anwang.governance.ledger.chain import BrokenLine, Head, Trail, chains_in, files_of, genesis
from anwang.governance.ledger.rows import CHAIN
from anwang.kernel.times import from_micros, rfc3339


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with a chain or a list of anchors: which, where (file, row) and what."""

    chain: str
    place: str
    what: str


@dataclass(frozen=True, slots=True)
class Verified:
    """The result of `verify`. heads: the end of each chain as found; the ledger is sound when faults is empty.

    anchors: the last one of each list. copied: anchors of the copy that were looked at.
    """

    rows: int
    heads: dict[str, Head]
    faults: list[Fault]
    anchors: dict[str, Anchor] = field(default_factory=dict)
    copied: int = 0


def verify(
    folder: Path,
    heads: Mapping[str, Head],
    *,
    anchors: Path | None = None,
    keys: Collection[str] = (),
    copy: Path | None = None,
) -> Verified:
    """Read every chain and find changed bits, removed, added and moved rows and files, and rows cut off at the end.

    heads: as kept in the state database; a chain is checked only by itself where its head is missing, which is a fault.
    anchors: folder of their lists; None: there are none. keys: public keys that may sign; empty: any. copy: of
    anchors, taken elsewhere. A torn last line beyond the head is a fault until the writer has been started again.
    Raises Invalid, Unavailable for a copy that cannot be read.
    """
    lists, faults = ([], []) if anchors is None else _verify_lists(anchors, folder, heads, keys)
    copies = [] if copy is None else read_copy(copy)
    faults += _compare(lists, copies)
    said = anchored((*copies, *lists))
    found: dict[str, Head] = {}
    rows = 0
    if folder.is_dir():
        faults += [
            Fault("", path.name, "does not belong into a ledger")
            for path in sorted(folder.iterdir())
            if not (path.is_dir() and CHAIN.fullmatch(path.name)) and not path.name.startswith(".")
        ]
    chains = {chain: head for chain, head in heads.items() if CHAIN.fullmatch(chain)}
    for chain in sorted({*chains_in(folder), *chains, *said}):
        end, chain_faults = _verify_chain(folder / chain, chain, chains.get(chain), said.get(chain, {}))
        faults += chain_faults
        found[chain] = end
        rows += end.seq
    last = {each.name: each.anchors[-1] for each in lists if each.anchors}
    return Verified(rows, found, faults, last, sum(len(each.anchors) for each in copies))


def _verify_lists(
    folder: Path, ledger: Path, heads: Mapping[str, Head], keys: Collection[str]
) -> tuple[list[AnchorList], list[Fault]]:
    """The lists of a folder as far as they are right, and what is wrong with them."""
    lists, faults = [], []
    kept = {name.removesuffix(LIST_SUFFIX): head for name, head in heads.items() if not CHAIN.fullmatch(name)}
    files = lists_in(folder)
    for name in sorted({*files, *kept}):
        found = read_list(files[name].read_bytes() if name in files else b"", name)
        lists.append(found)
        place, head = f"anchor {found.head.seq + 1}", kept.get(name)
        being_written = b"\n" not in found.rest and _is_written(ledger, name)
        if found.rest and not being_written:
            faults.append(Fault(name, place, found.fault))
        elif not is_ours(found, keys):
            faults.append(Fault(name, place, f"the list ends with the key {found.key}, which is not ours"))
        if head is None:
            if found.anchors:
                faults.append(Fault(name, name, "the state database does not know this list of anchors"))
        elif head.seq > found.head.seq and not found.rest:
            faults.append(Fault(name, place, f"the list ends here, but number {head.seq} was written"))
        elif 0 < head.seq <= found.head.seq and found.lines[head.seq - 1] != head.hash:
            faults.append(Fault(name, f"anchor {head.seq}", "is not the anchor that was written"))
    return lists, faults


def _compare(lists: Sequence[AnchorList], copies: Sequence[AnchorList]) -> list[Fault]:
    """What a copy says otherwise; the first of each list."""
    here = {each.name: dict(zip((a.number for a in each.anchors), each.lines, strict=True)) for each in lists}
    faults = []
    for copy in copies:
        if copy.fault:
            faults.append(Fault(copy.name, f"copy after anchor {copy.head.seq}", copy.fault))
        for anchor, line in zip(copy.anchors, copy.lines, strict=True):
            if here.get(copy.name, {}).get(anchor.number) != line:
                faults.append(Fault(copy.name, f"anchor {anchor.number}", "was copied, and is missing or changed here"))
                break
    return faults


def _verify_chain(path: Path, chain: str, kept: Head | None, said: Mapping[int, Anchor]) -> tuple[Head, list[Fault]]:
    """said: what anchors say of the chain's rows, by their number."""
    faults: list[Fault] = []
    trail = Trail(Head(chain, 0, genesis(chain), 0))
    kept_seen = kept is None or kept.seq == 0
    known = {*said, *([kept.seq] if kept else [])}
    files = files_of(path)
    if path.is_dir():
        names = {file.name for _, file in files}
        faults += [
            Fault(chain, other.name, "does not belong into a chain")
            for other in sorted(path.iterdir())
            if other.name not in names
        ]
    for first, file in files:
        if first != trail.seq + 1:
            faults.append(Fault(chain, file.name, f"rows {trail.seq + 1} to {first - 1} are missing or misnamed"))
            return trail.head, faults
        with file.open("rb") as lines:
            for line in lines:
                try:
                    trail.follow(line)
                except BrokenLine as err:
                    being_written = not line.endswith(b"\n") and kept_seen and _is_written(path.parent, chain)
                    if not being_written:
                        faults.append(Fault(chain, f"{file.name} row {trail.seq + 1}", str(err)))
                    return trail.head, faults
                if trail.seq not in known:
                    continue
                seq, found = trail.seq, trail.head.hash
                if kept is not None and seq == kept.seq:
                    kept_seen = True
                    if found != kept.hash:
                        faults.append(Fault(chain, f"{file.name} row {seq}", "is not the row that was written"))
                        return trail.head, faults
                if seq in said and found != said[seq].hash:
                    what = f"is not the row that was anchored at {_told(said[seq])}"
                    faults.append(Fault(chain, f"{file.name} row {seq}", what))
                    return trail.head, faults
    if not kept_seen and kept is not None:
        faults.append(Fault(chain, f"row {trail.seq}", f"the chain ends here, but row {kept.seq} was written"))
    if kept is None and trail.seq:
        faults.append(Fault(chain, chain, "the state database does not know this chain"))
    if said and max(said) > trail.seq:
        what = f"the chain ends here, but row {max(said)} was anchored at {_told(said[max(said)])}"
        faults.append(Fault(chain, f"row {trail.seq}", what))
    return trail.head, faults


def _told(anchor: Anchor) -> str:
    return rfc3339(from_micros(anchor.at).replace(microsecond=0))


def _is_written(folder: Path, chain: str) -> bool:
    """Whether a process has the chain open for writing now."""
    try:
        lock = os.open(folder / f".{chain.rpartition('-')[0]}.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False
