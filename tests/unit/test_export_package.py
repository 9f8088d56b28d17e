"""The package of an export (domain.md G15): what its verification finds, with nothing but the file."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anwang.cli import main
from anwang.governance import Signer, above
from anwang.kernel.errors import Conflict, Invalid
from anwang.kernel.ids import PointId
from anwang.kernel.times import Span
from anwang.media import Broken, key_of, verify_package
from anwang.media.export import Redaction
from anwang.media.exports.model import NEXT, Covered, ExportAct, ExportForm, ExportState, Wanted, after, check
from anwang.media.exports.package import (
    CUSTODY,
    KEY,
    MANIFEST,
    README,
    SCHEMA,
    SIGNATURE,
    Drawn,
    File,
    Manifest,
    Part,
    Place,
    Who,
    Writer,
    encode,
    notice,
    pem_of,
)
from anwang.wire import zips

SIGNER = Signer([b"k" * 32])
OTHER = Signer([b"o" * 32])
CLIPS = {"clips/001_北门.mp4": b"\0\1\2" * 700, "clips/002_南门.mp4": b"film" * 300}


class Memory:
    """A sink that is held."""

    def __init__(self) -> None:
        self.data = bytearray()

    @property
    def size(self) -> int:
        return len(self.data)

    def write(self, data: bytes) -> int:
        self.data += data
        return len(self.data)

    def overwrite(self, at: int, data: bytes) -> None:
        self.data[at : at + len(data)] = data


def sealed(
    clips: Mapping[str, bytes] = CLIPS,
    *,
    signer: Signer = SIGNER,
    left_out: str = "",
    more: Mapping[str, bytes] | None = None,
) -> bytes:
    """A package. left_out: a file that the manifest names. more: files that it does not name."""
    sink = Memory()
    writer = Writer(sink)
    files, key = [], signer.newest
    for name, data in clips.items():
        told = writer.add(name, data)
        files.append(
            File(
                name=name, size=told.size, sha256=told.sha256, point=Place(id="p", code="3" * 20, name="北门"),
                stream="main", wanted=Part(start="a", end="b"), shown=Part(start="a", end="b"), gaps=[],
                codec="avc1.640028", original=True, sound=False, drawn=Drawn(mark=False, masks=0, redactions=0),
                look="look", second=None, sources=[],
            )
        )  # fmt: skip
    others = [
        writer.add(name, data) for name, data in ((CUSTODY, b"{}"), (README, notice("e", key)), (KEY, pem_of(key)))
    ]
    text = encode(
        Manifest(
            schema=SCHEMA, city="安澜市", program="anwang", export="e", form="original", asked_at="a",
            asked_by=Who(username="u", name="n", role="operator", unit="北区"), recipient="", note="", purpose=None,
            sealed_at="b", key=key, files=files, others=others,
        )
    )  # fmt: skip
    for name, data in (more or {}).items():
        writer.add(name, data)
    writer.add(MANIFEST, text)
    writer.add(SIGNATURE, bytes.fromhex(signer.sign(key, text).decode()))
    writer.close()
    if not left_out:
        return bytes(sink.data)
    whole, copy = zipfile.ZipFile(io.BytesIO(bytes(sink.data))), Memory()
    again = Writer(copy)
    for name in whole.namelist():
        if name != left_out:
            again.add(name, whole.read(name))
    again.close()
    return bytes(copy.data)


WHOLE = sealed()


def broken(data: bytes, key: str | None = None) -> Broken:
    with pytest.raises(Broken) as caught:
        verify_package(io.BytesIO(data), key)
    return caught.value


def test_g15_an_intact_package_says_who_and_what() -> None:
    found = verify_package(io.BytesIO(WHOLE))
    assert not found.is_known
    assert [one.name for one in found.manifest.files] == list(CLIPS)
    assert verify_package(io.BytesIO(WHOLE), SIGNER.newest).is_known
    told = broken(WHOLE, OTHER.newest)
    assert (told.name, SIGNER.newest in told.why) == (SIGNATURE, True)


def test_g15_any_zip_program_opens_it() -> None:
    with zipfile.ZipFile(io.BytesIO(WHOLE)) as opened:
        assert opened.testzip() is None
        assert {name: opened.read(name) for name in CLIPS} == CLIPS
        assert SIGNER.newest in opened.read(README).decode()


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(WHOLE) * 8 - 1))
def test_g15_any_changed_bit_is_found(bit: int) -> None:
    data = bytearray(WHOLE)
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Broken):
        verify_package(io.BytesIO(bytes(data)))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=40))
def test_g15_what_is_cut_off_put_in_or_put_behind_is_found(at: int, more: bytes) -> None:
    for data in (WHOLE[:at], WHOLE[:at] + more + WHOLE[at:], WHOLE + more):
        with pytest.raises(Broken):
            verify_package(io.BytesIO(data))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_g15_random_bytes_are_refused_in_words(data: bytes) -> None:
    with pytest.raises(Broken):
        verify_package(io.BytesIO(data))


@pytest.mark.parametrize("name", [*CLIPS, CUSTODY, README, KEY, MANIFEST, SIGNATURE])
def test_g15_a_missing_file_is_named(name: str) -> None:
    told = broken(sealed(left_out=name))
    assert (told.name, told.why) == (name, "it is missing")


def test_g15_an_added_file_is_named() -> None:
    told = broken(sealed(more={"clips/003.mp4": b"x"}))
    assert (told.name, told.why) == ("clips/003.mp4", "it was added")


def test_g15_a_changed_clip_is_named_even_where_the_zip_file_was_made_anew() -> None:
    whole, copy = zipfile.ZipFile(io.BytesIO(WHOLE)), Memory()
    writer = Writer(copy)
    for name in whole.namelist():
        data = whole.read(name)
        writer.add(name, data[:-1] + b"!" if name.startswith("clips/002") else data)
    writer.close()
    told = broken(bytes(copy.data))
    assert (told.name, told.why) == ("clips/002_南门.mp4", "it was changed")


def test_g15_the_command_says_so_and_exits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "p.zip"
    key = tmp_path / "key.pem"
    key.write_bytes(pem_of(SIGNER.newest))
    path.write_bytes(WHOLE)
    for arguments in ([], ["--key", SIGNER.newest], ["--key", str(key)]):
        with pytest.raises(SystemExit) as ended:
            main(["export", "verify", str(path), *arguments])
        assert ended.value.code == 0
        told = capsys.readouterr().out
        assert ("compare it" in told) is (not arguments)
    path.write_bytes(WHOLE.replace(b"film", b"fiIm", 1))
    with pytest.raises(SystemExit) as ended:
        main(["export", "verify", str(path)])
    assert (ended.value.code, "clips/002_南门.mp4" in capsys.readouterr().out) == (1, True)
    with pytest.raises(SystemExit) as ended:
        main(["export", "verify", str(path), "--key", "abc"])
    assert (ended.value.code, "no public key" in capsys.readouterr().err) == (1, True)


def test_keys_are_hex_or_pem() -> None:
    assert key_of(SIGNER.newest.upper()) == key_of(pem_of(SIGNER.newest).decode()) == SIGNER.newest
    for text in ("", "zz" * 32, "-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----\n"):
        with pytest.raises(Invalid):
            key_of(text)


@given(st.lists(st.tuples(st.text("ab北", min_size=1, max_size=9), st.binary(max_size=99)), unique_by=lambda x: x[0]))
def test_entries_come_back(files: list[tuple[str, bytes]]) -> None:
    sink = Memory()
    writer = Writer(sink)
    for name, data in files:
        writer.add(name, data)
    writer.close()
    data, tail = bytes(sink.data), bytes(sink.data[-zips.TAIL :])
    start, end = zips.place_of(tail, len(data))
    found = zips.entries_of(data[start:end], start, tail)
    assert [(one.name, data[one.begins : one.ends]) for one in found] == files


# --- the model -------------------------------------------------------------------------------------------------------

POINT = PointId("0198a0de-0000-7000-8000-000000000001")
HOUR = 3_600_000_000


def covered(start: int = 0, end: int = 10, point: PointId = POINT) -> Covered:
    polygon = ((0, 0), (5000, 0), (5000, 5000))
    return Covered(point=point, redaction=Redaction(span=Span(start, end), polygon=polygon))


def clip(start: int = 0, end: int = 10, *, is_clear: bool = False) -> Wanted:
    return Wanted(point=POINT, span=Span(start, end), is_clear=is_clear)


def test_g15_what_the_table_does_not_have_is_refused() -> None:
    for state in ExportState:
        for act in ExportAct:
            if (state, act) in NEXT:
                assert after(state, act) is NEXT[state, act]
            else:
                with pytest.raises(Conflict):
                    after(state, act)
    assert {state for state, _ in NEXT} == {ExportState.WAITING, ExportState.RUNNING, ExportState.READY}


def test_g15_what_is_asked_for_is_bounded() -> None:
    check(ExportForm.ORIGINAL, [clip()], [])
    check(ExportForm.REDACTED, [clip(), clip(20, 30, is_clear=True)], [covered()])
    for form, items, areas in (
        (ExportForm.ORIGINAL, [], []),
        (ExportForm.ORIGINAL, [clip()] * 33, []),
        (ExportForm.ORIGINAL, [clip(0, 7 * HOUR)], []),
        (ExportForm.ORIGINAL, [clip(0, 6 * HOUR)] * 5, []),
        (ExportForm.ORIGINAL, [clip()], [covered()]),
        (ExportForm.REDACTED, [clip()], []),
        (ExportForm.REDACTED, [clip(), clip(20, 30)], [covered()]),
        (ExportForm.REDACTED, [clip()], [covered(10, 20)]),
        (ExportForm.REDACTED, [clip(is_clear=True)], [covered(point=PointId("another"))]),
        (ExportForm.REDACTED, [clip()], [covered()] * 257),
    ):
        with pytest.raises(Invalid):
            check(form, items, areas)


def test_the_organisation_above_all() -> None:
    assert above(["/a/b/"]) == "/a/b/"
    assert above(["/a/b/", "/a/c/d/"]) == "/a/"
    assert above(["/a/", "/b/"]) == "/"
