"""Anchors: what was signed and copied away tells of everything that was done to the ledger's files since."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anwang.governance.ledger import Entry, Fault, Head, Row, Signer, Verified, copy_anchors, hand_over, verify
from anwang.kernel.errors import Conflict, Invalid, Unavailable
from anwang.runtime.clock import FakeClock
from anwang.runtime.secrets import MasterKey, Sealer
from tests.ledgers import SIGNER, MemoryHeads, list_of, rewrite, signed, written

OTHER = Signer([bytes(32)])
tamper = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def verified(
    folder: Path, heads: MemoryHeads, *, keys: frozenset[str] = SIGNER.keys, copy: Path | None = None
) -> Verified:
    return verify(folder / "ledger", heads.kept, anchors=folder / "anchors", keys=keys, copy=copy)


def faults(folder: Path, heads: MemoryHeads, copy: Path | None = None) -> list[str]:
    return [fault.what for fault in verified(folder, heads, copy=copy).faults]


def changed(
    change: Callable[[Path, MemoryHeads], object], counts: tuple[int, ...] = (5, 4, 3), *, copied: bool = False
) -> list[Fault] | None:
    """Faults after `change` on a closed ledger with anchors; None where it changed nothing.

    copied: a copy of the anchors was taken elsewhere before, and is verified against.
    """
    folder = Path(tempfile.mkdtemp())
    try:
        heads = asyncio.run(written(folder / "data", counts))
        copy = folder / "copy"
        copy_anchors(folder / "data" / "anchors", copy)
        assert verified(folder / "data", heads, copy=copy).faults == []
        if change(folder / "data", heads) is False:
            return None
        return list(verified(folder / "data", heads, copy=copy if copied else None).faults)
    finally:
        shutil.rmtree(folder)


async def test_g06_an_anchor_is_made_every_hour_and_at_an_orderly_end(tmp_path: Path) -> None:
    clock, heads = FakeClock(), MemoryHeads()
    ledger = await signed(tmp_path, heads, clock=clock)
    running = asyncio.create_task(ledger.run())
    await clock.advance(5)
    assert ledger.last_anchor is None  # nothing was written yet
    await ledger.append(Entry(kind="opened"))

    async def anchored(number: int) -> None:
        async with asyncio.timeout(20):
            while heads.kept["main-1.anchors"].seq < number:
                await clock.advance(1)
                await asyncio.sleep(0.001)

    await anchored(1)
    assert ledger.last_anchor is not None
    assert (ledger.last_anchor.chain, ledger.last_anchor.seq, ledger.last_anchor.hash) == (
        "main-1", 1, ledger.head.hash,
    )  # fmt: skip
    first = ledger.last_anchor.at
    await clock.advance(3500)
    assert ledger.last_anchor.number == 1
    await clock.advance(99)
    await anchored(2)  # the hour is written down although nothing happened in it
    assert 3_600_000_000 <= ledger.last_anchor.at - first < 3_610_000_000
    running.cancel()
    await asyncio.wait([running])
    await ledger.append(Entry(kind="closed"))
    await ledger.close()
    assert verified(tmp_path, heads).faults == []
    assert verified(tmp_path, heads).anchors["main-1"].seq == 2
    ledger = await signed(tmp_path, heads, clock=clock)
    await ledger.close()
    assert verified(tmp_path, heads).anchors["main-1"].number == 3  # nothing new, nothing to sign


async def test_a_disk_that_fails_costs_an_anchor_and_no_row(tmp_path: Path) -> None:
    clock, heads = FakeClock(), MemoryHeads()
    ledger = await signed(tmp_path, heads, clock=clock)
    await ledger.append(Entry(kind="opened"))
    list_of(tmp_path).mkdir()  # opening it for writing fails
    running = asyncio.create_task(ledger.run())
    async with asyncio.timeout(20):
        while not ledger.anchors_failing:
            await clock.advance(1)
            await asyncio.sleep(0.001)
    await ledger.append(Entry(kind="opened"))
    list_of(tmp_path).rmdir()
    async with asyncio.timeout(20):
        while ledger.anchors_failing:
            await clock.advance(10)
            await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.wait([running])
    await ledger.close()
    assert verified(tmp_path, heads).faults == []


@tamper
@given(st.data(), st.booleans())
def test_g06_a_chain_with_all_hashes_computed_anew_is_found(data: st.DataObject, knows_database: bool) -> None:
    """Rows changed, removed, moved, added, cut off; the heads in the database with them, if wanted."""

    def change(folder: Path, heads: MemoryHeads) -> bool:
        was: list[Row] = []

        def rows(found: list[Row]) -> list[Row]:
            was[:] = found
            at = data.draw(st.integers(0, len(found) - 1))
            match data.draw(st.sampled_from(["change", "remove", "move", "add", "cut"])):
                case "change":
                    found = [*found]
                    found[at] = msgspec.structs.replace(found[at], user=data.draw(st.text(max_size=5)))
                case "remove":
                    found = found[:at] + found[at + 1 :]
                case "move":
                    found = data.draw(st.permutations(found))
                case "add":  # in between: what follows the last anchor and head looks like the next rows
                    found = [*found[:at], found[at], *found[at:]] if at < len(found) - 1 else found
                case _:
                    found = found[:at]
            return list(found)

        head = rewrite(folder / "ledger", rows)
        if head.hash == heads.kept["main-1"].hash:
            return False
        if knows_database:
            heads.kept["main-1"] = head
        return True

    assert changed(change) != []


def test_without_anchors_it_would_not_be_found(tmp_path: Path) -> None:
    """What the anchors are for."""
    heads = asyncio.run(written(tmp_path))
    heads.kept["main-1"] = rewrite(tmp_path / "ledger", lambda rows: rows[:-1])
    chains = {"main-1": heads.kept["main-1"]}
    assert verify(tmp_path / "ledger", chains).faults == []
    assert [fault.what for fault in verified(tmp_path, heads).faults] == [
        "the chain ends here, but row 12 was anchored at 2026-11-22T00:00:00Z"
    ]


@tamper
@given(st.floats(0, 1, exclude_max=True), st.integers(0, 7))
def test_any_changed_bit_of_an_anchor_is_found(where: float, bit: int) -> None:
    def flip(folder: Path, heads: MemoryHeads) -> None:
        data = bytearray(list_of(folder).read_bytes())
        data[int(where * len(data))] ^= 1 << bit
        list_of(folder).write_bytes(data)

    assert changed(flip)


@tamper
@given(st.data())
def test_removed_moved_and_doubled_anchors_are_found(data: st.DataObject) -> None:
    def change(folder: Path, heads: MemoryHeads) -> bool:
        lines = list_of(folder).read_bytes().splitlines(keepends=True)
        others = data.draw(
            st.one_of(
                st.lists(st.sampled_from(lines), max_size=5),
                st.permutations(lines),
                st.integers(0, len(lines) - 1).map(lambda count: lines[:count]),
            )
        )
        list_of(folder).write_bytes(b"".join(others))
        return others != lines

    assert changed(change) != []


@pytest.mark.parametrize("copied", [False, True])
def test_g06_who_changes_files_and_database_alike_is_found_by_the_copy(copied: bool) -> None:
    """Everything in the data folder is put back by an hour; only what was copied away still knows better."""

    def put_back(folder: Path, heads: MemoryHeads) -> None:
        lines = list_of(folder).read_bytes().splitlines(keepends=True)
        list_of(folder).write_bytes(b"".join(lines[:2]))
        heads.kept["main-1"] = rewrite(folder / "ledger", lambda rows: rows[:9])
        second = asyncio.run(_written_two(folder.with_name("twin")))
        heads.kept["main-1.anchors"] = second.kept["main-1.anchors"]

    found = changed(put_back, copied=copied)
    assert found is not None
    assert [fault.what for fault in found] == (
        ["was copied, and is missing or changed here",
         "the chain ends here, but row 12 was anchored at 2026-11-22T00:00:00Z"] if copied else []
    )  # fmt: skip


async def _written_two(folder: Path) -> MemoryHeads:
    return await written(folder, (5, 4))


def test_anchors_signed_with_another_key_are_found(tmp_path: Path) -> None:
    """Whoever writes a ledger of his own, with anchors and database, has not the key."""
    heads = asyncio.run(written(tmp_path / "ours"))
    copy_anchors(tmp_path / "ours" / "anchors", tmp_path / "copy")
    forged = asyncio.run(written(tmp_path / "forged", (4, 4, 4), signer=OTHER))
    assert faults(tmp_path / "forged", forged) == [f"the list ends with the key {OTHER.newest}, which is not ours"]
    assert verified(tmp_path / "forged", forged, keys=frozenset()).faults == []  # without the key file nobody can tell
    assert faults(tmp_path / "ours", heads, copy=tmp_path / "copy") == []
    assert "was copied, and is missing or changed here" in faults(tmp_path / "forged", forged, copy=tmp_path / "copy")


def test_an_edited_copy_is_not_believed(tmp_path: Path) -> None:
    heads = asyncio.run(written(tmp_path))
    copy_anchors(tmp_path / "anchors", tmp_path / "copy")
    text = (tmp_path / "copy").read_bytes()
    (tmp_path / "copy").write_bytes(text.replace(b'"seq":9', b'"seq":8'))
    (fault,) = verified(tmp_path, heads, copy=tmp_path / "copy").faults
    assert (fault.place, fault.what) == (
        "copy after anchor 1", "the signature does not fit: changed, or signed with another key",
    )  # fmt: skip
    (tmp_path / "copy").write_bytes(b"something else\n")
    with pytest.raises(Invalid, match="no copy of anchors"):
        verified(tmp_path, heads, copy=tmp_path / "copy")
    (tmp_path / "copy").write_bytes(b"")
    with pytest.raises(Invalid, match="holds no anchors"):
        verified(tmp_path, heads, copy=tmp_path / "copy")
    with pytest.raises(Unavailable, match="cannot be read"):
        verified(tmp_path, heads, copy=tmp_path / "nowhere")


def test_a_copy_grows_and_never_shrinks(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    heads = asyncio.run(written(tmp_path, (5, 4)))
    assert (copy_anchors(tmp_path / "anchors", copy).added, faults(tmp_path, heads, copy=copy)) == (2, [])
    asyncio.run(_one_more(tmp_path, heads))
    with copy.open("ab") as torn:  # a copying that was killed
        torn.write(list_of(tmp_path).read_bytes().splitlines()[2][:50])
    assert faults(tmp_path, heads, copy=copy) == []
    done = copy_anchors(tmp_path / "anchors", copy)
    assert (done.added, done.held, done.keys) == (1, 3, {"main-1": SIGNER.newest})
    assert copy.read_bytes() == list_of(tmp_path).read_bytes()
    list_of(tmp_path).write_bytes(b"".join(copy.read_bytes().splitlines(keepends=True)[:1]))
    with pytest.raises(Conflict, match="not in"):
        copy_anchors(tmp_path / "anchors", copy)
    assert len(copy.read_bytes().splitlines()) == 3
    other = tmp_path / "letter"
    other.write_bytes(b"no anchors, and no line's end")
    with pytest.raises(Conflict):
        copy_anchors(tmp_path / "anchors", other)
    assert other.read_bytes() == b"no anchors, and no line's end"
    with pytest.raises(Unavailable, match="cannot be written"):
        copy_anchors(tmp_path / "anchors", tmp_path / "no" / "folder")


async def _one_more(folder: Path, heads: MemoryHeads, signer: Signer = SIGNER) -> list[str]:
    """Another run of the process; the kinds of its rows."""
    ledger = await signed(folder, heads, signer=signer)
    await ledger.append(Entry(kind="opened"))
    page = await ledger.page(limit=2)
    await ledger.close()
    return [row.kind for _, row in page.rows]


def test_a_folder_of_copies_is_a_copy(tmp_path: Path) -> None:
    heads = asyncio.run(written(tmp_path, (5, 4)))
    copies = tmp_path / "copies"
    copies.mkdir()
    copy_anchors(tmp_path / "anchors", copies / "monday")
    asyncio.run(_one_more(tmp_path, heads))
    copy_anchors(tmp_path / "anchors", copies / "tuesday")
    result = verified(tmp_path, heads, copy=copies)
    assert (result.faults, result.copied) == ([], 3)


def test_a_torn_last_anchor_is_cut_off(tmp_path: Path) -> None:
    heads = asyncio.run(written(tmp_path))
    with list_of(tmp_path).open("ab") as torn:
        torn.write(list_of(tmp_path).read_bytes().splitlines()[-1][:200])
    assert faults(tmp_path, heads) == ["the line does not end"]
    assert asyncio.run(_one_more(tmp_path, heads)) == ["opened", "opened"]
    assert faults(tmp_path, heads) == []


@pytest.mark.parametrize("harm", ["edit", "cut", "remove"])
def test_a_list_that_was_changed_is_left_alone_and_a_new_one_begins(tmp_path: Path, harm: str) -> None:
    heads = asyncio.run(written(tmp_path))
    path = list_of(tmp_path)
    text = path.read_bytes()
    if harm == "remove":
        path.unlink()
    else:
        path.write_bytes(text.replace(b'"seq":9', b'"seq":8') if harm == "edit" else text[: text.index(b"\n") + 1])
    left = path.read_bytes() if path.exists() else None
    assert asyncio.run(_one_more(tmp_path, heads)) == ["opened", "broken"]
    assert (path.read_bytes() if path.exists() else None) == left
    result = verified(tmp_path, heads)
    assert {fault.chain for fault in result.faults} == {"main-1"}
    assert result.anchors["main-2"].seq == 14


def sealer(*letters: str) -> Sealer:
    return Sealer([MasterKey(letter.encode() * 4, letter.encode() * 32) for letter in letters])


def test_a_rotated_key_is_handed_over(tmp_path: Path) -> None:
    """Whoever trusts the first key can follow; the old one is needed no more."""
    old, both, new = (Signer.of(sealer(*keys)) for keys in ("a", "ba", "b"))
    heads = asyncio.run(written(tmp_path, (5, 4), signer=old))
    for head in hand_over(tmp_path / "anchors", heads.kept, both, 1):
        asyncio.run(heads.save(head))
    assert hand_over(tmp_path / "anchors", heads.kept, both, 1) == []
    asyncio.run(_one_more(tmp_path, heads, new))
    result = verified(tmp_path, heads, keys=new.keys)
    assert (result.faults, result.anchors["main-1"].number) == ([], 4)
    assert result.anchors["main-1"].key == new.newest


def test_a_rotation_that_was_killed_is_handed_over_by_the_next_run(tmp_path: Path) -> None:
    old, both, new = (Signer.of(sealer(*keys)) for keys in ("a", "ba", "b"))
    heads = asyncio.run(written(tmp_path, (5, 4), signer=old))
    for _ in range(2):
        asyncio.run(_one_more(tmp_path, heads, both))
    asyncio.run(_one_more(tmp_path, heads, new))
    assert verified(tmp_path, heads, keys=new.keys).faults == []


async def test_without_its_key_the_ledger_does_not_open(tmp_path: Path) -> None:
    heads = await written(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(Unavailable, match="the key file does not have it"):
        await signed(tmp_path, heads, signer=OTHER)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    ledger = await signed(tmp_path, heads)  # it let go of the chain
    await ledger.close()


def test_a_lost_key_is_owned_up_to(tmp_path: Path) -> None:
    """The guide's way: the anchors are moved away, a new list begins, and the ledger says so."""
    heads = asyncio.run(written(tmp_path))
    (tmp_path / "anchors").rename(tmp_path / "anchors-of-the-lost-key")
    assert asyncio.run(_one_more(tmp_path, heads, OTHER)) == ["opened", "broken"]
    assert [fault.what for fault in verified(tmp_path, heads, keys=OTHER.keys).faults] == [
        "the list ends here, but number 3 was written"
    ]


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=600))
def test_random_files_are_faults_and_never_worse(data: bytes) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        (folder / "anchors").mkdir()
        list_of(folder).write_bytes(data)
        heads = MemoryHeads()
        heads.kept["main-1.anchors"] = Head("main-1.anchors", 2, "00" * 32, 0)
        assert verified(folder, heads).faults
        (folder / "copy").write_bytes(data)
        with pytest.raises(Invalid):
            verified(folder, heads, copy=folder / "copy")
        asyncio.run(_one_more(folder, heads))
    finally:
        shutil.rmtree(folder)
