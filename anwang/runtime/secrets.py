"""Secrets at rest: sealed by AES-256-GCM under a master key that lives in a file of its own.

The file has one key per line, newest first: `id base64`. Rotation puts a new one on top; what older keys sealed still
opens, and `reseal` moves it. A sealed value is version (1 byte) · key id (4) · nonce (12) · ciphertext and tag; its
context (for example `gb28181.device:<id>`) is authenticated, so that a value can't be moved to another row.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from anwang.kernel.errors import Invalid, Unavailable

VERSION = b"\x01"
_ID, _NONCE, _KEY, _TAG = 4, 12, 32, 16
_HEAD = 1 + _ID + _NONCE


@dataclass(frozen=True, slots=True)
class MasterKey:
    """One key of the file. id: 4 random bytes that sealed values carry."""

    id: bytes
    key: bytes

    def __repr__(self) -> str:
        return f"MasterKey({self.id.hex()})"


class Sealer:
    """Seals and opens secrets. keys: newest first, at least one."""

    def __init__(self, keys: Sequence[MasterKey]) -> None:
        if not keys:
            raise Invalid("a sealer needs a key")
        self._keys = tuple(keys)
        self._ciphers = {key.id: AESGCM(key.key) for key in keys}
        self._newest = keys[0]

    @property
    def key_id(self) -> str:
        """Which key seals now, in hex; safe to show."""
        return self._newest.id.hex()

    def seal(self, plain: bytes, *, context: str) -> bytes:
        """The sealed form, 33 bytes longer. context: what the secret belongs to; needed again to open it."""
        nonce = os.urandom(_NONCE)
        head = VERSION + self._newest.id
        return head + nonce + self._ciphers[self._newest.id].encrypt(nonce, plain, head + context.encode())

    def open(self, sealed: bytes, *, context: str) -> bytes:
        """The plain form. Raises Invalid for another context or changed bytes, Unavailable if its key is not here."""
        if len(sealed) < _HEAD + _TAG or sealed[:1] != VERSION:
            raise Invalid("this is not a sealed secret")
        head, nonce, rest = sealed[: 1 + _ID], sealed[1 + _ID : _HEAD], sealed[_HEAD:]
        cipher = self._ciphers.get(head[1:])
        if cipher is None:
            raise Unavailable(
                f"the secret was sealed with key {head[1:].hex()}, which the key file does not have",
                "put that key's line back into the key file, or set the secret anew",
            )
        try:
            return cipher.decrypt(nonce, rest, head + context.encode())
        except InvalidTag:
            raise Invalid("the sealed secret was changed, or belongs to something else") from None

    def reseal(self, sealed: bytes, *, context: str) -> bytes:
        """The same secret under the newest key. Raises as `open`."""
        return self.seal(self.open(sealed, context=context), context=context)

    def derive(self, purpose: str) -> bytes:
        """32 bytes for another use (a MAC, say); they change when the master key is rotated."""
        return self.derive_each(purpose)[0]

    def derive_each(self, purpose: str) -> list[bytes]:
        """The same of every key, newest first: for a use in which what older keys made must stay recognisable."""
        info = b"anwang " + purpose.encode()
        return [HKDF(algorithm=SHA256(), length=_KEY, salt=None, info=info).derive(key.key) for key in self._keys]


def open_keys(path: Path, *, data: Path | None = None, create: bool = True) -> Sealer:
    """The sealer of a key file; made, mode 0600, where it is missing and `create` says so.

    data: the data folder, in which the file may not lie: who copies the data must not get the key with it. None: do not
    look. Raises Invalid (mode, owner, place, content), Unavailable (cannot be read or made).
    """
    if data is not None and is_within(path, data):
        raise Invalid(f"the key file {path} lies inside the data folder", "set ANWANG_KEY_FILE to a place outside it")
    try:
        if create and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write(path, [_new_key()], replace=False)
        return Sealer(_read(path))
    except OSError as err:
        raise Unavailable(f"the key file {path} cannot be read: {err.strerror}", "restore it from its backup") from err


def is_within(path: Path, data: Path) -> bool:
    """Whether a key file lies in the data folder, links followed."""
    return path.resolve().is_relative_to(data.resolve())


def rotate(path: Path) -> Sealer:
    """Put a new key on top of the file; older ones stay, so that everything still opens. Raises as `open_keys`."""
    try:
        keys = [_new_key(), *_read(path)]
        _write(path, keys, replace=True)
    except OSError as err:
        raise Unavailable(f"the key file {path} cannot be changed: {err.strerror}") from err
    return Sealer(keys)


def _new_key() -> MasterKey:
    return MasterKey(os.urandom(_ID), os.urandom(_KEY))


def _read(path: Path) -> list[MasterKey]:
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise Invalid(f"the key file {path} is not a file")
        if stat.S_IMODE(status.st_mode) & 0o077:
            raise Invalid(f"the key file {path} can be read by others", f"chmod 600 {path}")
        if status.st_uid not in (os.geteuid(), 0):
            raise Invalid(f"the key file {path} belongs to another user")
        text = file.read(1 << 16)
    keys = []
    for number, line in enumerate(text.decode("ascii", "replace").splitlines(), 1):
        try:
            name, secret = line.split()
            key = MasterKey(bytes.fromhex(name), base64.b64decode(secret, validate=True))
        except (ValueError, binascii.Error):
            raise Invalid(f"line {number} of the key file {path} is not a key") from None
        if len(key.id) != _ID or len(key.key) != _KEY:
            raise Invalid(f"line {number} of the key file {path} is not a key")
        keys.append(key)
    if not keys:
        raise Invalid(f"the key file {path} is empty", "restore it from its backup")
    return keys


def _write(path: Path, keys: Sequence[MasterKey], *, replace: bool) -> None:
    """Put the file in place at once and for good: a half-written key file would lose every secret.

    replace=False leaves a file that another process made meanwhile.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for key in keys:
                file.write(key.id.hex().encode() + b" " + base64.b64encode(key.key) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if replace:
            part.replace(path)
        else:
            with contextlib.suppress(FileExistsError):
                os.link(part, path)
    finally:
        part.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
