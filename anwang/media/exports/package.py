"""The package of an export: what it says about itself, and whether that is so.

A ZIP file of stored entries: the clips, `custody.json` (the ledger's rows about the export, and the ledger's head when
it was sealed), `README.txt`, `public-key.pem`, `manifest.json` (what each of the former is, with its SHA-256) and
`manifest.sig` (the manifest's Ed25519 signature, RFC 8032, 64 bytes, by the key that signs the ledger's anchors).
Whether it is intact needs nothing but the file; whose it is, the key that was published elsewhere.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from anwang.kernel.errors import Invalid, WireError
from anwang.wire import zips
from anwang.wire.zips import Stored

SCHEMA = "anwang export 1"
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
CUSTODY, README, KEY = "custody.json", "README.txt", "public-key.pem"
LARGEST_MANIFEST = 16 << 20
_BLOCK = 1 << 20
_SIGNATURE_BYTES = 64


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of time, RFC 3339, half-open."""

    start: str
    end: str


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """What the wanted stretch lacks, and why."""

    start: str
    end: str
    cause: str
    detail: str


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A point. code: its 20 digits."""

    id: str
    code: str
    name: str


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A stored segment that a clip was taken from. sha256: of the whole segment; "" where the clip does not hold its
    samples as they are, or it was still being recorded. as_sealed: whether that is what it was when it was recorded;
    null where nobody knows.
    """

    segment: str
    start: str
    end: str
    size: int
    sha256: str
    as_sealed: bool | None


class Second(msgspec.Struct, frozen=True, kw_only=True):
    """The second person's yes, under which a clip was taken. by: user name."""

    approval: str
    by: str


class Drawn(msgspec.Struct, frozen=True, kw_only=True):
    """What is drawn on a clip's pictures: a mark, how many privacy masks and areas that an operator chose."""

    mark: bool
    masks: int
    redactions: int


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A clip. wanted: what was asked for. shown: from its first to behind its last picture. look: its row in the
    ledger. original: it holds the recorded samples as they are; otherwise it was encoded anew.
    """

    name: str
    size: int
    sha256: str
    point: Place
    stream: str
    wanted: Part
    shown: Part
    gaps: Sequence[Gap]
    codec: str
    original: bool
    sound: bool
    drawn: Drawn
    look: str
    second: Second | None
    sources: Sequence[Source]


class Other(msgspec.Struct, frozen=True, kw_only=True):
    """What is in the package beside the clips."""

    name: str
    size: int
    sha256: str


class Who(msgspec.Struct, frozen=True, kw_only=True):
    """A person."""

    username: str
    name: str
    role: str
    unit: str


class Purpose(msgspec.Struct, frozen=True, kw_only=True):
    """Why it was asked for."""

    id: str
    kind: str
    case_no: str
    unit: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """All that a package says of itself. key: the public key that its signature fits, hex."""

    schema: str
    city: str
    program: str
    export: str
    form: str
    asked_at: str
    asked_by: Who
    recipient: str
    note: str
    purpose: Purpose | None
    sealed_at: str
    key: str
    files: Sequence[File]
    others: Sequence[Other]


_decoder = msgspec.json.Decoder(Manifest)


def encode(value: object) -> bytes:
    """As JSON that a person can read."""
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"


def pem_of(key: str) -> bytes:
    """A public key, hex, as a PEM file."""
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def key_of(text: str) -> str:
    """A public key, hex or PEM, as hex. Raises Invalid."""
    try:
        if "BEGIN" not in text:
            return Ed25519PublicKey.from_public_bytes(bytes.fromhex(text.strip())).public_bytes_raw().hex()
        found = load_pem_public_key(text.encode())
        if isinstance(found, Ed25519PublicKey):
            return found.public_bytes_raw().hex()
    except ValueError:
        pass
    raise Invalid("this is no public key of Ed25519", "64 hex digits, or a PEM file")


# --- making one ------------------------------------------------------------------------------------------------------


class Sink(Protocol):
    """Where a package is written; `stores.objects.Segment` is one."""

    size: int

    def write(self, data: bytes) -> int:
        """Append."""

    def overwrite(self, at: int, data: bytes) -> None:
        """Put other bytes in the place of some that were written."""


class Writer:
    """Writes a package, entry by entry; what is written is never held. Its methods block."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._entries: list[Stored] = []
        self._name = ""
        self._offset = 0
        self._crc = 0
        self._size = 0
        self._sha = hashlib.sha256()

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._sink.size

    def begin(self, name: str) -> None:
        """The next entry."""
        self._name, self._offset, self._crc, self._size = name, self._sink.size, 0, 0
        self._sha = hashlib.sha256()
        self._sink.write(zips.front(name))

    def write(self, data: bytes) -> None:
        """More of the entry."""
        self._sink.write(data)
        self._crc = zlib.crc32(data, self._crc)
        self._size += len(data)
        self._sha.update(data)

    def end(self) -> Other:
        """The entry is whole: what it is."""
        self._sink.overwrite(self._offset, zips.front(self._name, crc=self._crc, size=self._size))
        self._entries.append(Stored(name=self._name, crc=self._crc, size=self._size, offset=self._offset))
        return Other(name=self._name, size=self._size, sha256=self._sha.hexdigest())

    def add(self, name: str, data: bytes) -> Other:
        """A whole entry."""
        self.begin(name)
        self.write(data)
        return self.end()

    def close(self) -> None:
        """The end of the file."""
        self._sink.write(zips.directory(self._entries, self._sink.size))


# --- reading one -----------------------------------------------------------------------------------------------------


class Broken(Exception):
    """A package is not as it was made. name: the first file of it that is not; "" where it is the whole."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name}: {why}" if name else why)
        self.name = name
        self.why = why


@dataclass(frozen=True, slots=True)
class Intact:
    """What an intact package says. is_known: its key is the one that was given."""

    manifest: Manifest
    is_known: bool


def verify_package(file: BinaryIO, key: str | None = None) -> Intact:
    """Look at every byte of a package. key: the published public key, hex; None: none is at hand.

    Raises Broken, naming the first file that is not as it was sealed.
    """
    entries = _entries(file)
    by_name = {one.name: one for one in entries}
    for name in (MANIFEST, SIGNATURE):
        if name not in by_name:
            raise Broken(name, "it is missing")
    if by_name[MANIFEST].size > LARGEST_MANIFEST or by_name[SIGNATURE].size != _SIGNATURE_BYTES:
        raise Broken(MANIFEST, "it has an impossible size")
    text, signature = (b"".join(_content(file, by_name[name])) for name in (MANIFEST, SIGNATURE))
    manifest = _signed(text, signature)
    if key is not None and key != manifest.key:
        raise Broken(SIGNATURE, f"it was made with another key, {manifest.key}")
    told = {one.name: (one.size, one.sha256) for one in manifest.files}
    told |= {one.name: (one.size, one.sha256) for one in manifest.others}
    for name, (size, digest) in told.items():
        one = by_name.get(name)
        if one is None:
            raise Broken(name, "it is missing")
        if one.size != size or _sums(file, one) != (one.crc, digest):
            raise Broken(name, "it was changed")
    for one in entries:
        if one.name not in told and one.name not in (MANIFEST, SIGNATURE):
            raise Broken(one.name, "it was added")
        file.seek(one.offset)
        if file.read(one.begins - one.offset) != zips.front(one.name, crc=one.crc, size=one.size):
            raise Broken(one.name, "what the ZIP file says of it was changed")
    for name, data in ((MANIFEST, text), (SIGNATURE, signature)):
        if zlib.crc32(data) != by_name[name].crc:
            raise Broken(name, "what the ZIP file says of it was changed")
    return Intact(manifest, key is not None)


def _entries(file: BinaryIO) -> list[Stored]:
    size = file.seek(0, 2)
    try:
        file.seek(max(0, size - zips.TAIL))
        tail = file.read()
        start, end = zips.place_of(tail, size)
        file.seek(start)
        return zips.entries_of(file.read(end - start), start, tail)
    except WireError as err:
        raise Broken("", err.reason) from None


def _signed(text: bytes, signature: bytes) -> Manifest:
    """The manifest, if its signature fits the key that it names."""
    try:
        manifest = _decoder.decode(text)
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(manifest.key))
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError):
        raise Broken(MANIFEST, "it cannot be read") from None
    try:
        public.verify(signature, text)
    except InvalidSignature:
        raise Broken(MANIFEST, "its signature does not fit") from None
    if manifest.schema != SCHEMA:
        raise Broken(MANIFEST, f"it is of another kind, {manifest.schema[:64]}")
    return manifest


def _content(file: BinaryIO, one: Stored) -> Iterator[bytes]:
    file.seek(one.begins)
    left = one.size
    while left:
        block = file.read(min(left, _BLOCK))
        if not block:
            raise Broken(one.name, "it is cut off")
        left -= len(block)
        yield block


def _sums(file: BinaryIO, one: Stored) -> tuple[int, str]:
    """CRC-32 and SHA-256 of an entry's bytes."""
    crc, sha = 0, hashlib.sha256()
    for block in _content(file, one):
        crc = zlib.crc32(block, crc)
        sha.update(block)
    return crc, sha.hexdigest()


NOTICE = """\
安网导出包 / Anwang export package
{export}

内容 / Contents
  clips/          录像片段 / the clips
  manifest.json   清单：谁、何时、为何、每个文件的 SHA-256 / who, when, why, and the SHA-256 of every file
  manifest.sig    清单的 Ed25519 签名（64 字节）/ the manifest's Ed25519 signature (64 bytes)
  public-key.pem  公钥 / the public key
  custody.json    保管链：台账中与本次导出有关的记录 / chain of custody: the ledger's rows about this export

如何核验 / How to verify
  1. anwang export verify 本文件.zip --key 公钥
     不需要连接平台；任何一位被改、文件缺失或多出都会报出。
     Works offline. Any changed bit, missing or added file is found and named.
  2. 没有 anwang 时 / without anwang:
     openssl pkeyutl -verify -pubin -inkey public-key.pem -rawin -in manifest.json -sigfile manifest.sig
     然后逐个比对 / then compare one by one: sha256sum clips/*

公钥从哪里来 / Where the key comes from
  包内的公钥只能证明包的完整，不能证明它出自谁。请向运行单位另行索取公钥并比对：
  The key in this package proves that it is whole, not whose it is. Ask the operator for the key in another way:
    anwang export key
  本包公钥 / this package's key:
    {key}
  台账锚点由同一密钥签名（anwang ledger anchors），存放在平台之外的锚点副本可以佐证。
  The ledger's anchors are signed with the same key (anwang ledger anchors): a copy kept elsewhere confirms it.

录像含个人信息，仅可用于清单所载目的。
The clips hold personal information; use them for the purpose in the manifest only.
"""


def notice(export: str, key: str) -> bytes:
    """README.txt."""
    return NOTICE.format(export=export, key=key).encode()
