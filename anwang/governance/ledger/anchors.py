"""Anchors: signed statements of how far a chain had come, to be copied off the host (domain.md G06).

    <folder>/<writer>-<generation>.anchors

A line is `<Ed25519 signature, 128 hex digits> <anchor as JSON>`. An anchor names the last row of a chain and its hash,
and has the SHA-256 of the line before it, so that a list is a chain itself; its end is kept in the state database, too.
Who can write the ledger's files can compute all their hashes anew. Without the key, which is derived from the master
key and so lies outside the data folder, they cannot sign; and what was copied elsewhere stays as it is.

After the master key was rotated, the next anchor is still signed with the old key and names its heir, so whoever trusts
the first key of a list can follow it to the last one, and whoever has the last one knows all before it by their hashes.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from anwang.governance.ledger.chain import BrokenLine, Head
from anwang.governance.ledger.files import sync_folder, write_all
from anwang.governance.ledger.rows import CHAIN, Entry
from anwang.kernel.errors import Conflict, Invalid, Unavailable
from anwang.runtime.secrets import Sealer

LIST_SUFFIX = ".anchors"
_SIGNATURE = 128
_LATEST = 1 << 53  # microseconds, in the year 2255
_LIST = re.compile(CHAIN.pattern + re.escape(LIST_SUFFIX))


class Anchor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a chain had come at a moment.

    list, number: where it stands; numbers count from 1. before: SHA-256 of the line before it, hex. at: when it was
    made, microseconds since 1970, never before the previous one. chain, seq, hash: the chain's last row. key: the
    public key that its signature fits, hex. heir: the public key of the anchors after it; empty: the same.
    """

    list: str
    number: int
    before: str
    at: int
    chain: str
    seq: int
    hash: str
    key: str
    heir: str = ""


class Signer:
    """The keys that anchors are signed with. secrets: 32 bytes each, newest first, at least one."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        private = [Ed25519PrivateKey.from_private_bytes(secret) for secret in secrets]
        self._keys = {key.public_key().public_bytes_raw().hex(): key for key in private}
        self.newest = next(iter(self._keys))
        """The public key that signs from now on, hex."""

    @classmethod
    def of(cls, sealer: Sealer) -> Self:
        """Derived from the master keys."""
        return cls(sealer.derive_each("ledger anchors"))

    @property
    def public(self) -> list[str]:
        """All public keys, hex, newest first."""
        return list(self._keys)

    @property
    def keys(self) -> frozenset[str]:
        """All public keys, hex."""
        return frozenset(self._keys)

    def sign(self, key: str, text: bytes) -> bytes:
        """The signature, in hex digits."""
        return self._keys[key].sign(text).hex().encode()


_decoder = msgspec.json.Decoder(Anchor)


def first_before(name: str) -> str:
    """What the first anchor of a list follows."""
    return hashlib.sha256(b"anwang anchors " + name.encode()).hexdigest()


def check_anchor(line: bytes, last: Anchor | None, before: str, *, by_key: bool = True) -> Anchor:
    """The anchor of a line. last: the one it follows, None: it is the first. before: SHA-256 of that one's line; empty:
    it is not known. by_key: look at the signature, too, which takes a tenth of a millisecond. Raises BrokenLine.
    """
    if not line.endswith(b"\n"):
        raise BrokenLine("the line does not end")
    signature, space, text = line[:_SIGNATURE], line[_SIGNATURE : _SIGNATURE + 1], line[_SIGNATURE + 1 : -1]
    try:
        anchor = _decoder.decode(text)
        sealed = bytes.fromhex(signature.decode("ascii"))
        if space != b" " or sealed.hex().encode() != signature or not 0 <= anchor.at < _LATEST:
            raise BrokenLine("not an anchor")
        if by_key:
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(anchor.key)).verify(sealed, text)
    except (msgspec.DecodeError, ValueError):
        raise BrokenLine("not an anchor") from None
    except InvalidSignature:
        raise BrokenLine("the signature does not fit: changed, or signed with another key") from None
    if before and anchor.before != before:
        raise BrokenLine("it does not follow the one before: changed, removed or moved")
    if last is not None and anchor.number != last.number + 1:
        raise BrokenLine(f"its number is {anchor.number}")
    if last is not None and anchor.key != (last.heir or last.key):
        raise BrokenLine(f"it is signed with the key {anchor.key}, which nobody handed over to")
    if last is not None and anchor.at < last.at:
        raise BrokenLine("it runs backwards in time")
    return anchor


@dataclass(frozen=True, slots=True)
class AnchorList:
    """A list as it was found. lines: SHA-256 of each anchor's line. rest: what follows them, not an anchor; why not."""

    name: str
    anchors: list[Anchor]
    lines: list[str]
    rest: bytes = b""
    fault: str = ""

    @property
    def key(self) -> str:
        """Who must sign the next one."""
        return self.anchors[-1].heir or self.anchors[-1].key if self.anchors else ""

    @property
    def head(self) -> Head:
        """Its end, as kept in the state database."""
        if not self.anchors:
            return Head(self.name + LIST_SUFFIX, 0, first_before(self.name), 0)
        return Head(self.name + LIST_SUFFIX, self.anchors[-1].number, self.lines[-1], self.anchors[-1].at)


def read_list(data: bytes, name: str, *, is_whole: bool = True, by_key: bool = True) -> AnchorList:
    """The anchors up to the first that is not right.

    is_whole: it begins with number 1; a copy need not. by_key: look at every signature, and else at the newest ones:
    each covers by its hashes what is before it.
    """
    found = AnchorList(name, [], [])
    before, size = first_before(name) if is_whole else "", 0
    lines = data.splitlines(keepends=True)
    for index, line in enumerate(lines):
        last = found.anchors[-1] if found.anchors else None
        try:
            anchor = check_anchor(line, last, before, by_key=by_key or index >= len(lines) - 2)
            if anchor.list != name or (is_whole and last is None and anchor.number != 1):
                raise BrokenLine(f"it is number {anchor.number} of the list {anchor.list}")
        except BrokenLine as err:
            return AnchorList(name, found.anchors, found.lines, data[size:], str(err))
        before = hashlib.sha256(line).hexdigest()
        size += len(line)
        found.anchors.append(anchor)
        found.lines.append(before)
    return found


def lists_in(folder: Path) -> dict[str, Path]:
    """The lists of a folder by name."""
    if not folder.is_dir():
        return {}
    return {path.stem: path for path in sorted(folder.iterdir()) if _LIST.fullmatch(path.name) and path.is_file()}


def read_copy(path: Path) -> list[AnchorList]:
    """The lists in a copy: a file of one or of several of them, or a folder. Raises Invalid, Unavailable."""
    try:
        files = sorted(each for each in path.iterdir() if each.is_file()) if path.is_dir() else [path]
        lines = [line for file in files for line in file.read_bytes().splitlines(keepends=True)]
    except OSError as err:
        raise Unavailable(f"the copy of the anchors {path} cannot be read: {err.strerror}") from err
    by_name: dict[str, list[bytes]] = {}
    name = ""
    for line in dict.fromkeys(line for line in lines if line.endswith(b"\n")):  # copies of one list repeat each other
        try:
            name = _decoder.decode(line[_SIGNATURE + 1 :]).list
        except (msgspec.DecodeError, UnicodeDecodeError):
            if not name:
                raise Invalid(f"{path} is no copy of anchors: {line[:40]!r}", "name what was copied") from None
        by_name.setdefault(name, []).append(line)
    if not by_name:
        raise Invalid(f"{path} holds no anchors", "name what was copied")
    return [read_list(b"".join(lines), name, is_whole=False) for name, lines in sorted(by_name.items())]


@dataclass(frozen=True, slots=True)
class Copied:
    """added: anchors that the copy did not have. held: all that it has now. keys: that sign now, by list."""

    added: int
    held: int
    keys: dict[str, str]


def copy_anchors(folder: Path, to: Path) -> Copied:
    """Add to a file whatever anchors it does not have yet; made where it is missing.

    Raises Conflict where the file has anchors that are not in the folder any more, Unavailable.
    """
    lists = {name: path.read_bytes() for name, path in lists_in(folder).items()}
    whole = [line for data in lists.values() for line in data.splitlines(keepends=True) if line.endswith(b"\n")]
    try:
        data = to.read_bytes() if to.exists() else b""
        had, torn = data[: data.rfind(b"\n") + 1], data[data.rfind(b"\n") + 1 :]
        known = set(had.splitlines(keepends=True))
        # a copying that was killed leaves a part of a line
        if not known <= set(whole) or not any(line.startswith(torn) for line in (*whole, b"")):
            raise Conflict(
                f"the copy {to} has anchors that are not in {folder} any more", "keep the copy, and verify against it"
            )
        new = [line for line in whole if line not in known]
        descriptor = os.open(to, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(descriptor, len(had))
            write_all(descriptor, b"".join(new))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_folder(to.parent)
    except OSError as err:
        raise Unavailable(f"the copy {to} cannot be written: {err.strerror}") from err
    keys = {name: read_list(data, name, by_key=False).key for name, data in lists.items()}
    return Copied(len(new), len(known) + len(new), keys)


class AnchorWriter:
    """This process's list. folder: of all lists. writer: the process's name."""

    def __init__(self, *, folder: Path, writer: str, signer: Signer) -> None:
        self.folder = folder
        self.signer = signer
        self._writer = writer
        self._list = AnchorList(f"{writer}-1", [], [])
        self._turn = threading.Lock()

    @property
    def last(self) -> Anchor | None:
        """The newest anchor; None before the first."""
        return self._list.anchors[-1] if self._list.anchors else None

    @property
    def head(self) -> Head:
        """The list's end."""
        return self._list.head

    def open(self, heads: Mapping[str, Head]) -> list[Entry]:
        """Take the newest list, or begin another where that one was changed; what is to be noted about it.

        heads: as kept in the state database. Raises Unavailable: the folder cannot be used, or the key is not here.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            return self._continue(heads)
        except OSError as err:
            raise Unavailable(f"the folder of anchors {self.folder} cannot be used: {err.strerror}") from err

    def _continue(self, heads: Mapping[str, Head]) -> list[Entry]:
        kept = {name.removesuffix(LIST_SUFFIX) for name in heads if _LIST.fullmatch(name)}
        lists = lists_in(self.folder)
        ours = [name for name in {*kept, *lists} if name.rpartition("-")[0] == self._writer]
        generation = max((int(name.rpartition("-")[2]) for name in ours), default=1)
        name = f"{self._writer}-{generation}"
        found = read_list(lists[name].read_bytes() if name in lists else b"", name, by_key=False)
        if found.key and found.key not in self.signer.keys:
            raise Unavailable(
                f"the ledger's anchors are signed with the key {found.key}, and the key file does not have it",
                "put the key file back from its backup; the guide to operating says what to do when it is lost",
            )
        is_torn = bool(found.rest) and b"\n" not in found.rest
        fault = "" if is_torn else found.fault
        head = heads.get(name + LIST_SUFFIX)
        if not fault and head is not None and found.head.seq < head.seq:
            fault = f"ends with number {found.head.seq}, but number {head.seq} was written"
        if fault:
            self._list = AnchorList(f"{self._writer}-{generation + 1}", [], [])
            return [Entry(kind="broken", objects=(name + LIST_SUFFIX,), outcome="new list", detail=f"{name} {fault}")]
        self._list = AnchorList(name, found.anchors[-1:], found.lines[-1:])
        if is_torn:
            path = lists[name]
            os.truncate(path, path.stat().st_size - len(found.rest))
        return []

    def add(self, head: Head, now: int) -> None:
        """Sign how far a chain has come. now: microseconds since 1970. Raises Unavailable; then nothing of it stays."""
        with self._turn:  # whoever waited for one may have been cancelled, and another is wanted
            anchor, line = self._signed(head, now)
            path = self.folder / (anchor.list + LIST_SUFFIX)
            try:
                self._append(path, line)
            except OSError as err:
                raise Unavailable(f"the ledger's anchors cannot be written: {err.strerror}", f"check {path}") from err
            self._list = AnchorList(anchor.list, [anchor], [hashlib.sha256(line).hexdigest()])

    def _signed(self, head: Head, now: int) -> tuple[Anchor, bytes]:
        last, end = self.last, self._list.head
        key = last.heir or last.key if last else self.signer.newest
        anchor = Anchor(
            list=self._list.name,
            number=end.seq + 1,
            before=end.hash,
            at=max(now, end.at),
            chain=head.chain,
            seq=head.seq,
            hash=head.hash,
            key=key,
            heir="" if key == self.signer.newest else self.signer.newest,
        )
        text = msgspec.json.encode(anchor)
        return anchor, self.signer.sign(key, text) + b" " + text + b"\n"

    def _append(self, path: Path, line: bytes) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            try:
                write_all(descriptor, line)
                os.fdatasync(descriptor)
            except OSError:
                os.ftruncate(descriptor, size)
                raise
            if not size:
                sync_folder(self.folder)
        finally:
            os.close(descriptor)


def hand_over(folder: Path, heads: Mapping[str, Head], signer: Signer, now: int) -> list[Head]:
    """Let every list's next anchor be signed with the newest key, after a rotation; the lists' new ends.

    The platform is stopped. Raises Unavailable as AnchorWriter.
    """
    done = []
    for writer in sorted({name.rpartition("-")[0] for name in lists_in(folder)}):
        anchors = AnchorWriter(folder=folder, writer=writer, signer=signer)
        anchors.open(heads)
        last = anchors.last
        if last is not None and (last.heir or last.key) != signer.newest:
            anchors.add(Head(last.chain, last.seq, last.hash, last.at), now)
            done.append(anchors.head)
    return done


def anchored(lists: Iterable[AnchorList]) -> dict[str, dict[int, Anchor]]:
    """What the anchors say: by chain and number of the row."""
    said: dict[str, dict[int, Anchor]] = {}
    for each in lists:
        for anchor in each.anchors:
            said.setdefault(anchor.chain, {}).setdefault(anchor.seq, anchor)
    return said


def is_ours(found: AnchorList, keys: Collection[str]) -> bool:
    """Whether the last key of a list is one of these; always where none are known."""
    return not keys or not found.key or found.key in keys
