"""The door for pictures that devices upload: one address, one picture, any body."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anwang.kernel.errors import Exhausted, Invalid, NotFound, Unavailable
from anwang.media.door import MOST_OPEN, UploadDoor, _picture

PICTURE = b"\xff\xd8\xff\xe0 a picture \xff\xd9"


def form(*parts: bytes, boundary: str = "xyz") -> tuple[bytes, str]:
    body = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="f"\r\n\r\n'.encode() + part + b"\r\n" for part in parts
    )
    return body + f"--{boundary}--\r\n".encode(), f'multipart/form-data; boundary="{boundary}"'


def test_a_picture_bare_and_in_forms() -> None:
    assert _picture(PICTURE, "") == PICTURE
    assert _picture(PICTURE, "application/octet-stream") == PICTURE
    assert _picture(*form(b"words", PICTURE)) == PICTURE
    assert _picture(*form(b"words")) is None
    assert _picture(form(PICTURE)[0], "multipart/form-data") is None
    assert _picture(b"GIF89a", "image/gif") is None


@given(st.binary(max_size=400), st.text(max_size=80))
def test_any_body_is_a_picture_or_none(body: bytes, kind: str) -> None:
    for content_type in (kind, f"multipart/form-data; boundary={kind}"):
        found = _picture(body, content_type)
        assert found is None or (found.startswith(b"\xff\xd8\xff") and found in body)


@given(st.binary(max_size=200), st.sampled_from(["a", "xyz", "----Q"]))
def test_a_form_gives_back_what_was_put_in(tail: bytes, boundary: str) -> None:
    picture = b"\xff\xd8\xff" + tail
    found = _picture(*form(picture, boundary=boundary))
    assert found == picture or f"--{boundary}".encode() in picture


async def test_one_address_one_picture() -> None:
    door = UploadDoor()
    with door.expect("d") as visit:
        assert len(visit.token) >= 64 and 32 <= len(visit.session) <= 128
        with pytest.raises(Invalid):
            door.take(visit.token, b"no picture", "")
        assert door.take(visit.token, PICTURE, "image/jpeg") == len(PICTURE)
        with pytest.raises(NotFound):
            door.take(visit.token, PICTURE, "image/jpeg")
        assert await visit.wait(1) == PICTURE
    with pytest.raises(NotFound):
        door.check(visit.token)
    assert door.refused == 3


async def test_the_word_may_come_before_the_picture() -> None:
    door = UploadDoor()
    with door.expect("d") as visit:
        waiting = asyncio.create_task(visit.wait(20))
        door.finished("another", visit.session, ())
        door.finished("d", visit.session, ("file",))
        await asyncio.sleep(0)
        door.take(visit.token, PICTURE, "")
        assert await waiting == PICTURE


async def test_what_does_not_come() -> None:
    door = UploadDoor()
    with door.expect("d") as visit:
        door.finished("d", visit.session, ())
        with pytest.raises(Unavailable, match="could not take or upload"):
            await visit.wait(20)
    with door.expect("d") as visit, pytest.raises(Unavailable, match="did not upload"):
        await visit.wait(0.01)


async def test_so_many_at_once() -> None:
    door = UploadDoor()
    contexts = [door.expect("d") for _ in range(MOST_OPEN)]
    for one in contexts:
        one.__enter__()
    with pytest.raises(Exhausted), door.expect("d"):
        pass
    for one in contexts:
        one.__exit__(None, None, None)
    with door.expect("d"):
        pass
