"""Signs of video systems and their photos (domain.md G17), over a real database and object store."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from anwang.governance import Duties, Governance, Signs
from anwang.governance.duties.model import Regime
from anwang.governance.duties.photos import JPEG, MOST_BYTES, PNG, photo_of
from anwang.governance.duties.signs import WantedSign
from anwang.governance.http import signs as signs_http
from anwang.kernel.errors import Conflict, Denied, Invalid, NotFound
from anwang.runtime.clock import FakeClock
from anwang.stores.objects import Objects
from anwang.stores.state import State
from anwang.web.api import build_api
from anwang.web.health import Health
from tests.contract.test_duties import duties, governance, told, wanted, yard
from tests.contract.test_governance import clock
from tests.governed import SOUTH, actor_of, token_of

__all__ = ["clock", "duties", "governance", "yard"]


def png(width: int = 640, height: int = 480) -> bytes:
    return PNG + struct.pack(">I4sIIBBBBBI", 13, b"IHDR", width, height, 8, 2, 0, 0, 0, 0)


def jpeg(width: int = 640, height: int = 480, before: bytes = b"\xff\xe0\x00\x04ab") -> bytes:
    return b"\xff\xd8" + before + struct.pack(">BBHBHHB", 0xFF, 0xC0, 17, 8, height, width, 3) + b"\xff\xd9"


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return Objects.open(f"file://{tmp_path}/objects")


@pytest.fixture
def signs(state: State, clock: FakeClock, governance: Governance, objects: Objects) -> Signs:
    return Signs(state=state, clock=clock, write=governance.note_deed, photos=objects)


def seen(signs: Signs, *, days_ago: int = 0, **other: object) -> WantedSign:
    plain = WantedSign(
        place="北门出入口",
        longitude=117.2,
        latitude=39.1,
        wording="您已进入公共视频采集区域",
        language="zh-CN",
        contact="022-12345678",
        checked_on=signs.today() - timedelta(days=days_ago),
    )
    return replace(plain, **other)  # type: ignore[arg-type]  # fields of WantedSign


async def pieces(data: bytes, size: int = 1 << 20) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("make", [png, jpeg])
def test_g17_a_photo_is_told_by_its_first_bytes(make: object) -> None:
    assert callable(make)
    found = photo_of(make(800, 600))
    assert (found.width, found.height, found.media_type) == (800, 600, f"image/{make.__name__}")
    for width, height in ((0, 600), (800, 0), (12_001, 1)):
        with pytest.raises(Invalid):
            photo_of(make(width, height))
    with pytest.raises(Invalid, match="5 MiB"):
        photo_of(make() + bytes(MOST_BYTES))


@given(st.binary(max_size=200), st.sampled_from([b"", PNG, JPEG, png()[:20], jpeg()[:8], b"GIF89a", b"<svg "]))
def test_g17_bytes_of_any_kind_do_no_worse_than_invalid(data: bytes, head: bytes) -> None:
    try:
        found = photo_of(head + data)
    except Invalid:
        return
    assert head[:3] in (PNG[:3], JPEG) or data[:3] in (PNG[:3], JPEG)
    assert found.width > 0 and found.height > 0


async def test_g17_a_system_without_a_sign_is_at_fault(
    duties: Duties, signs: Signs, governance: Governance, clock: FakeClock
) -> None:
    admin = await actor_of(governance, "administrator.one")
    made = await duties.add(admin, wanted(clock))
    other = await duties.add(admin, wanted(clock, org_id=SOUTH.id, regime=Regime.NONPUBLIC))
    assert (made.lacks_sign, other.lacks_sign) == (True, False)
    one = await signs.add(admin, made.system.id, seen(signs))
    assert not (await duties.one(admin, made.system.id)).lacks_sign
    page = await duties.page(admin, states=[], cursor="", limit=9)
    assert {each.system.id: each.signs for each in page.items} == {made.system.id: 1, other.system.id: 0}
    await signs.remove(admin, one.id)
    assert (await duties.one(admin, made.system.id)).lacks_sign
    assert [line.partition(":")[0] for line in await told(governance)][-2:] == ["sign entered", "sign removed"]


async def test_g17_what_nobody_has_looked_at_for_longest_comes_first(
    duties: Duties, signs: Signs, governance: Governance, clock: FakeClock
) -> None:
    admin = await actor_of(governance, "administrator.one")
    system = (await duties.add(admin, wanted(clock))).system
    for place, days_ago in (("甲", 10), ("乙", 366), ("丙", 365), ("丁", 10)):
        await clock.advance(1)
        await signs.add(admin, system.id, seen(signs, place=place, days_ago=days_ago))
    found, cursor = [], ""
    while True:
        page = await signs.page(admin, system_id=system.id, cursor=cursor, limit=1)
        found += [(each.place, signs.today() > signs.next_check_on(each)) for each in page.items]
        if page.next is None:
            break
        cursor = page.next
    assert found == [("乙", True), ("丙", False), ("甲", False), ("丁", False)]
    [old] = (await signs.page(admin, system_id="", cursor="", limit=1)).items
    looked = await signs.change(admin, old.id, seen(signs, place="乙"), version=old.version)
    assert (looked.checked_on, looked.version) == (signs.today(), 2)
    with pytest.raises(Conflict):
        await signs.change(admin, old.id, seen(signs), version=old.version)
    with pytest.raises(Invalid):
        await signs.page(admin, system_id="", cursor="nonsense", limit=1)


async def test_g17_what_cannot_be_is_refused_and_what_is_unseen_is_unknown(
    duties: Duties, signs: Signs, governance: Governance, clock: FakeClock
) -> None:
    admin, north = await actor_of(governance, "administrator.one"), await actor_of(governance, "north.admin")
    south = (await duties.add(admin, wanted(clock, org_id=SOUTH.id))).system
    wrong: list[dict[str, object]] = [
        {"latitude": None}, {"longitude": 39.1, "latitude": 117.2}, {"days_ago": -1}, {"place": ""},
        {"wording": " "}, {"language": ""}, {"contact": ""},
    ]  # fmt: skip
    for each in wrong:
        with pytest.raises(Invalid):
            await signs.add(admin, south.id, seen(signs, **each))  # type: ignore[arg-type]  # of several kinds
    one = await signs.add(admin, south.id, seen(signs, longitude=None, latitude=None))
    for refused in (
        signs.add(north, south.id, seen(signs)),
        signs.change(north, one.id, seen(signs), version=1),
        signs.remove(north, one.id),
        signs.photo(north, one.id),
        signs.put_photo(north, one.id, pieces(png())),
    ):
        with pytest.raises(NotFound):
            await refused
    assert (await signs.page(north, system_id="", cursor="", limit=9)).items == []
    officer = await actor_of(governance, "officer.one")
    assert len((await signs.page(officer, system_id="", cursor="", limit=9)).items) == 1
    with pytest.raises(Denied):
        await signs.remove(officer, one.id)


async def test_g17_a_photo_is_taken_shown_and_replaced(
    duties: Duties, signs: Signs, governance: Governance, clock: FakeClock, objects: Objects
) -> None:
    admin = await actor_of(governance, "administrator.one")
    system = (await duties.add(admin, wanted(clock))).system
    app = build_api(
        governance=governance,
        routers=[signs_http.build_router(signs)],
        health=Health(clock=clock),
        metrics=CollectorRegistry(),
        describe=list,
        large_bodies={signs_http.UPLOADS: signs_http.UPLOAD_BYTES},
    )
    headers = {"authorization": f"Bearer {await token_of(governance, 'administrator.one')}"}
    asked = {
        "system": system.id, "place": "北门", "longitude": None, "latitude": None, "wording": "视频采集区域",
        "language": "zh-CN", "contact": "022-12345678", "checked_on": signs.today().isoformat(),
    }  # fmt: skip
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://site/api/v1", headers=headers
    ) as client:
        made = (await client.post("/signs", json=asked)).json()
        assert (made["photo"], made["is_due"]) == ("", False)
        path = f"/signs/{made['id']}/photo"
        assert (await client.get(path)).status_code == 404
        for wrong in (b"", b"<svg onload=1>", png()[:20], bytes(MOST_BYTES)):
            assert (await client.put(path, content=wrong)).status_code == 400
        assert (await client.put(path, content=jpeg() + bytes(MOST_BYTES))).status_code == 413
        names = [(await client.put(path, content=data)).json()["photo"] for data in (png(), jpeg())]
        assert [name.rpartition(".")[2] for name in names] == ["png", "jpg"]
        shown = await client.get(path)
        assert (shown.content, shown.headers["content-type"]) == (jpeg(), "image/jpeg")
        assert shown.headers["x-content-type-options"] == "nosniff"
        kept = [entry.key for entry in (await objects.list("signs")).entries]
        assert [key.rpartition("/")[2] for key in kept] == names[1:]
        assert (await client.get("/signs", params={"system": system.id})).json()["items"][0]["photo"] == names[1]
        assert (await client.delete(f"/signs/{made['id']}")).status_code == 204
    assert (await objects.list("signs")).entries == ()
