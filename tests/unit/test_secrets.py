"""Secrets at rest, and none of them in the logs."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anwang.kernel.errors import Invalid, Unavailable
from anwang.runtime.secrets import MasterKey, Sealer, open_keys, rotate

SEALER = Sealer([MasterKey(b"abcd", bytes(range(32)))])


@given(st.binary(max_size=200), st.text(max_size=30))
def test_what_was_sealed_opens(plain: bytes, context: str) -> None:
    context = context.encode("utf-8", "replace").decode()
    sealed = SEALER.seal(plain, context=context)
    assert SEALER.open(sealed, context=context) == plain
    assert len(sealed) == len(plain) + 33
    assert len(plain) < 8 or plain not in sealed


@given(st.integers(0, 8 * 60 - 1))
def test_any_changed_bit_is_noticed(bit: int) -> None:
    sealed = bytearray(SEALER.seal(b"27 bytes of a secret, so 60", context="row 1"))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises((Invalid, Unavailable)):
        SEALER.open(bytes(sealed), context="row 1")


@given(st.binary(max_size=100))
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises((Invalid, Unavailable)):
        SEALER.open(data, context="")


def test_a_secret_does_not_open_elsewhere() -> None:
    sealed = SEALER.seal(b"secret", context="device 1")
    with pytest.raises(Invalid, match="belongs to something else"):
        SEALER.open(sealed, context="device 2")


def test_the_file_is_made_private_and_found_again(tmp_path: Path) -> None:
    file = tmp_path / "keys" / "master.key"
    first = open_keys(file, data=tmp_path / "data")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = open_keys(file, create=False)
    assert again.open(first.seal(b"x", context="c"), context="c") == b"x"
    assert again.derive("look tokens") == first.derive("look tokens") != first.derive("other")
    assert [path.name for path in file.parent.iterdir()] == ["master.key"]


def test_what_is_derived_of_each_key_stays_recognisable(tmp_path: Path) -> None:
    file = tmp_path / "master.key"
    old = open_keys(file).derive_each("anchors")
    new = rotate(file).derive_each("anchors")
    assert new[1:] == old
    assert new[0] == rotate(file).derive_each("anchors")[1] != old[0]


def test_rotation_keeps_old_secrets_readable(tmp_path: Path) -> None:
    file = tmp_path / "master.key"
    old = open_keys(file)
    sealed = old.seal(b"secret", context="c")
    new = rotate(file)
    assert new.key_id != old.key_id
    moved = new.reseal(sealed, context="c")
    assert new.open(moved, context="c") == new.open(sealed, context="c") == b"secret"
    with pytest.raises(Unavailable, match=new.key_id):  # the newest key seals
        old.open(moved, context="c")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "master.key"
    open_keys(file)
    file.chmod(mode)
    with pytest.raises(Invalid, match="read by others"):
        open_keys(file)


def test_a_file_inside_the_data_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="inside the data folder"):
        open_keys(tmp_path / "data" / "sub" / "master.key", data=tmp_path / "data")


@pytest.mark.parametrize("text", ["", "abcd", "00112233 notbase64!", "00112233 QUJD", "zz QUJD", "\x00"])
def test_a_broken_file_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    file = tmp_path / "master.key"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(Invalid):
        open_keys(file)
    assert file.read_text() == text


def test_a_missing_file_is_not_made_unasked(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        open_keys(tmp_path / "master.key", create=False)
    assert os.listdir(tmp_path) == []
