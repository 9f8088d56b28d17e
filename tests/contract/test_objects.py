"""The promises of the object store, in a folder and in S3."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto.server import ThreadedMotoServer

from anwang.kernel.errors import Conflict, Internal, Invalid, NotFound, Unavailable
from anwang.stores.objects import LONGEST_KEY, Objects, check_key
from anwang.stores.objects.keys import key_of, spool_name

KEYS = {"access_key": "test-access", "secret_key": "test-secret"}


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["folder", "s3"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path, s3_endpoint: str) -> str:
    """An empty store of the test's own."""
    if request.param == "folder":
        return f"file://{tmp_path}/objects"
    bucket = f"test-{uuid.uuid4().hex}"
    client = boto3.client(
        "s3",
        endpoint_url=s3_endpoint,
        region_name="us-east-1",
        aws_access_key_id=KEYS["access_key"],
        aws_secret_access_key=KEYS["secret_key"],
    )
    client.create_bucket(Bucket=bucket)
    client.close()
    return f"s3://{bucket}/city/an?endpoint={quote(s3_endpoint, safe='')}&region=us-east-1"


@pytest.fixture
def objects(store_url: str, tmp_path: Path) -> Iterator[Objects]:
    opened = Objects.open(store_url, spool=tmp_path / "spool", **KEYS)
    yield opened
    opened.close()


async def test_an_object_comes_back_whole_and_in_ranges(objects: Objects) -> None:
    data = os.urandom(100_000)
    await objects.put("pass/2026-11-22/a=1_b.jpg", data)
    assert await objects.get("pass/2026-11-22/a=1_b.jpg") == data
    assert await objects.size("pass/2026-11-22/a=1_b.jpg") == 100_000
    for start, end in ((0, 1), (0, 0), (10, 99_999), (50_000, 50_000), (99_999, 100_000), (99_000, 200_000)):
        assert await objects.get_range("pass/2026-11-22/a=1_b.jpg", start, end) == data[start:end]
    for start, end in ((100_000, 100_001), (200_000, 200_001), (-1, 5), (5, 4)):
        with pytest.raises(Invalid):
            await objects.get_range("pass/2026-11-22/a=1_b.jpg", start, end)
    await objects.put("pass/2026-11-22/a=1_b.jpg", b"")
    assert await objects.get("pass/2026-11-22/a=1_b.jpg") == b""
    assert await objects.get_range("pass/2026-11-22/a=1_b.jpg", 0, 10) == b""


async def test_what_is_not_there_is_not_found(objects: Objects) -> None:
    await objects.put("a/b", b"x")
    for key in ("nope", "a/c", "a", "a/b/c"):
        for ask in (objects.get(key), objects.size(key), objects.get_range(key, 0, 1)):
            with pytest.raises(NotFound):
                await ask
    await objects.delete(["nope", "a/nope", "a/b"])
    with pytest.raises(NotFound):
        await objects.get("a/b")
    await objects.delete([])


async def test_listing_is_ordered_paged_and_by_whole_parts(objects: Objects) -> None:
    keys = ["a", "b-c/x", "b.c/x", "b/1", "b/10", "b/2", "b/d/1", "b/d/2", "b0/x", "c"]
    for key in reversed(keys):
        await objects.put(key, key.encode())
    whole = await objects.list()
    assert [entry.key for entry in whole.entries] == keys
    assert whole.next is None
    assert whole.entries[1].size == 5
    assert abs(whole.entries[0].modified_at - datetime.now(UTC)) < timedelta(minutes=5)
    for prefix in ("b", "b/"):
        assert [entry.key for entry in (await objects.list(prefix)).entries] == keys[3:8]
    assert (await objects.list("nope")).entries == ()
    for limit in (1, 2, 3, 7):
        seen: list[str] = []
        after = None
        while True:
            page = await objects.list("b", limit=limit, after=after)
            assert len(page.entries) <= limit
            seen += [entry.key for entry in page.entries]
            if page.next is None:
                break
            after = page.next
        assert seen == keys[3:8]
    for limit in (0, 1001):
        with pytest.raises(Invalid):
            await objects.list(limit=limit)


async def test_a_segment_is_readable_while_open_and_an_object_when_sealed(objects: Objects, tmp_path: Path) -> None:
    segment = objects.open_segment("video/p1/0001.mp4")
    many = [b"%05d" % number for number in range(3000)]  # more buffers than one call takes
    assert segment.write(b"head") == 4
    assert segment.write([b"", *many, bytearray(b"x"), memoryview(b"yz")]) == 4 + 15_000 + 3
    segment.sync()
    expected = b"head" + b"".join(many) + b"xyz"
    assert segment.path.read_bytes()[: segment.size] == expected
    with pytest.raises(NotFound):
        await objects.get("video/p1/0001.mp4")
    with pytest.raises(Conflict):
        objects.open_segment("video/p1/0001.mp4")
    assert segment.sha256() == hashlib.sha256(expected).digest()
    segment.truncate(15_000)
    assert segment.sha256() == hashlib.sha256(expected[:15_000]).digest()
    segment.seal()
    assert await objects.get("video/p1/0001.mp4") == expected[:15_000]
    assert not segment.path.exists()
    for use in (segment.seal, segment.abandon, segment.sync, lambda: segment.write(b"x")):
        with pytest.raises(Internal):
            use()
    assert objects.unsealed() == ()
    assert [path.name for path in (tmp_path / "spool").iterdir()] == []


async def test_an_abandoned_segment_leaves_nothing(objects: Objects, tmp_path: Path) -> None:
    segment = objects.open_segment("video/x")
    segment.write(b"x")
    segment.abandon()
    assert list((tmp_path / "spool").iterdir()) == []
    assert (await objects.list()).entries == ()
    objects.open_segment("video/x").abandon()


async def test_a_large_segment_is_stored_whole(objects: Objects) -> None:
    segment = objects.open_segment("video/large")
    piece = os.urandom(1 << 20)
    for _ in range(20):
        segment.write(piece)
    segment.seal()
    assert await objects.size("video/large") == 20 << 20
    assert await objects.get_range("video/large", 19 << 20, 20 << 20) == piece


WRITER = """
import sys, pathlib
from anwang.stores.objects import Objects
objects = Objects.open(sys.argv[1], spool=pathlib.Path(sys.argv[2]), access_key="test-access", secret_key="test-secret")
dead, alive = objects.open_segment("video/dead"), objects.open_segment("video/alive")
dead.write(b"what was written"); alive.write(b"more")
if sys.argv[3] == "dead": dead.leave()
print("ready", flush=True)
sys.stdin.read()
"""


async def test_only_segments_whose_writer_is_gone_are_recovered(
    objects: Objects, store_url: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", WRITER, store_url, str(tmp_path / "spool"), "dead"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        (left,) = objects.unsealed()
        assert (left.key, left.size) == ("video/dead", 16)
        assert objects.unsealed() == ()  # held by us now
        left.truncate(8)
        assert left.write(b"!") == 9
        assert left.sha256() == hashlib.sha256(b"what was!").digest()
        left.seal()
        assert await objects.get("video/dead") == b"what was!"
        child.kill()
        child.wait()
    (left,) = objects.unsealed()
    assert left.path.read_bytes() == b"more"
    left.abandon()
    assert objects.unsealed() == ()


async def test_secrets_and_servers_that_fail(objects: Objects, tmp_path: Path) -> None:
    away = Objects.open("s3://bucket?endpoint=http%3A%2F%2F127.0.0.1%3A1", spool=tmp_path / "other", **KEYS)
    segment = away.open_segment("video/x")
    segment.write(b"kept")
    with pytest.raises(Unavailable) as refused:
        segment.seal()
    assert KEYS["secret_key"] not in str(refused.value)
    assert segment.is_open
    assert segment.path.read_bytes() == b"kept"
    segment.leave()
    assert [left.key for left in away.unsealed()] == ["video/x"]
    away.close()


async def test_room_left_is_told(objects: Objects, tmp_path: Path) -> None:
    status = os.statvfs(tmp_path)
    assert 0 < objects.free_bytes() <= status.f_blocks * status.f_frsize


async def test_only_a_folder_has_local_paths(objects: Objects, store_url: str) -> None:
    await objects.put("a/b", b"x")
    path = objects.local_path("a/b")
    if store_url.startswith("file:"):
        assert path is not None
        assert path.read_bytes() == b"x"
        assert (path.parent / "..").resolve().name == "objects"
    else:
        assert path is None


BAD = ["", "/", "a/", "/a", "a//b", "..", "a/../b", ".", "a/./b", ".spool/x", "a/.b", "a b", "a\nb", "a\\b", "a,b",
       "a%2fb", "安", "a\x00", "a\n", "x" * (LONGEST_KEY + 1)]  # fmt: skip


@pytest.mark.parametrize("key", BAD)
async def test_bad_keys_reach_nothing(objects: Objects, key: str) -> None:
    for call in (
        lambda: objects.put(key, b"x"),
        lambda: objects.get(key),
        lambda: objects.get_range(key, 0, 1),
        lambda: objects.size(key),
        lambda: objects.delete(["ok", key]),
        lambda: objects.list(after=key or "/"),
    ):
        with pytest.raises(Invalid):
            await call()
    for blocking in (objects.open_segment, objects.local_path):
        with pytest.raises(Invalid):
            blocking(key)


@given(st.text(max_size=40))
def test_any_text_is_a_key_or_invalid(text: str) -> None:
    try:
        key = check_key(text)
    except Invalid:
        return
    assert not Path(key).is_absolute()
    assert ".." not in key.split("/")
    assert key_of(spool_name(key)) == key


@given(st.text(max_size=40))
def test_any_file_name_is_a_segments_or_none(name: str) -> None:
    key = key_of(name)
    assert key is None or spool_name(key) == name


def test_urls_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    for url in ("", "ftp://x/y", "file://host/x", "file:relative", "s3://", "s3://key:secret@bucket", "s3://b/../c"):
        with pytest.raises(Invalid):
            Objects.open(url, spool=tmp_path)
    with pytest.raises(Invalid):
        Objects.open("s3://bucket")


async def test_folders_that_become_empty_go_while_others_write(tmp_path: Path) -> None:
    objects = Objects.open(f"file://{tmp_path}/objects")

    async def churn(number: int) -> None:
        for turn in range(20):
            await objects.put(f"a/b/c/{number}-{turn}", b"x")
            await objects.delete([f"a/b/c/{number}-{turn}"])

    await asyncio.gather(*(churn(number) for number in range(6)))
    assert (await objects.list()).entries == ()
    assert [path.name for path in (tmp_path / "objects").iterdir()] == [".spool"]
    objects.close()


async def test_puts_that_died_are_swept_and_living_ones_are_not(objects: Objects, tmp_path: Path) -> None:
    old, young = tmp_path / "spool" / "1.part", tmp_path / "spool" / "2.new"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    assert objects.unsealed() == ()
    assert not old.exists()
    assert young.exists()
