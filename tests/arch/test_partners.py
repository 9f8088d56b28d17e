"""Every route of the product, asked by a program of another department: what its agreement shares is answered and
written down, everything else is refused (domain.md G19).

A route answers partners only where it says so, so that a new one shares nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from anwang.app.build import Platform
from anwang.governance import EVERYTHING, NewUser, PurposeKind, Role
from anwang.governance.sharing.model import AgreementStep
from anwang.governance.sharing.service import Wanted
from anwang.governance.terms import SHAREABLE
from anwang.kernel.ids import OrgId, UserId
from anwang.kernel.times import civil_day
from anwang.registry import Point
from anwang.runtime import settings
from tests.asking import asking
from tests.assembled import client_of
from tests.furnished import CAMERAS, NORTH, OTHER_CAMERA, City, laid_out, without_media
from tests.governed import HERE, actor_of
from tests.routes import AN_ID, status, walk

SEEN = CAMERAS[NORTH]

PULLED = {
    "GET /api/v1/points",
    "GET /api/v1/points/{point}",
    "GET /api/v1/points/{point_id}/calendar",
    "GET /api/v1/points/{point_id}/playback.m3u8",
    "GET /api/v1/points/{point_id}/snapshot",
    "GET /api/v1/points/{point_id}/snapshot.jpg",
    "WEBSOCKET /api/v1/points/{point_id}/live",
}
PIECES = {
    "GET /api/v1/media/{segment_id}/init.mp4",
    "GET /api/v1/media/{segment_id}/{first}-{last}.m4s",
    "GET /api/v1/session",
}


@pytest.fixture
async def city(tmp_path: Path) -> AsyncIterator[City]:
    found = settings.Settings(data=str(tmp_path / "data"), key_file=str(tmp_path / "key"))
    platform = await Platform.open(found)
    try:
        yield await laid_out(await without_media(platform))
    finally:
        await platform.close()


async def point_of(city: City, code: str) -> Point:
    [view] = await city.platform.registry.by_code(EVERYTHING, code)
    return view.point


async def partner(city: City) -> tuple[UserId, str]:
    """A service account of another department, and a token of it."""
    governance = city.platform.governance
    admin = await actor_of(governance, "security_administrator.one")
    wanted = NewUser(
        username="fire.bureau", display_name="消防演练", role=Role.OPERATOR, org_id=OrgId("city"), password="",
        is_service=True, is_partner=True, has_past=True,
    )  # fmt: skip
    made = await governance.create_user(admin, wanted)
    return made.id, (await governance.make_token(admin, of=made.id, name="演练", days=30, terminal=HERE)).token


async def agree(city: City, account: UserId, **other: Any) -> Any:
    """An agreement about class I points of the north, approved."""
    platform = city.platform
    today = civil_day(platform.clock.now())
    plain: dict[str, Any] = {
        "number": "共享7号", "department": "消防救援支队", "unit": "指挥中心", "contact": "值班室",
        "legal_basis": "市办法",
        "kind": PurposeKind.RESCUE, "purpose": "出警", "org_id": OrgId("city"), "classes": frozenset({1}),
        "accounts": frozenset({account}), "actions": SHAREABLE, "fields": frozenset({"name"}),
        "from_on": today, "until_on": today + timedelta(days=30),
    }  # fmt: skip
    governance = platform.governance
    made = await platform.sharing.add(await actor_of(governance, "administrator.one"), Wanted(**{**plain, **other}))
    officer = await actor_of(governance, "officer.one")
    return await platform.sharing.step(officer, made.id, AgreementStep.APPROVE, note="", version=1)


async def pulls(city: City, agreement_id: str) -> list[Any]:
    auditor = await actor_of(city.platform.governance, "audit_administrator.one")
    page = await city.platform.sharing.pulls(auditor, agreement_id, cursor=None, limit=500)
    return [row for _, row in page.rows]


async def test_g19_a_route_shares_nothing_unless_it_says_so(city: City) -> None:
    account, token = await partner(city)
    agreement = await agree(city, account, org_id=OrgId(city.ids[NORTH]["organisation"]))
    shared = {f"{r.method} {r.path}": r for r in walk(city.platform.api) if ", shared as " in r.governed_by}
    assert {name for name, r in shared.items() if r.governed_by.endswith("pull")} == PULLED
    assert {name for name, r in shared.items() if r.governed_by.endswith("piece")} == PIECES
    for route in walk(city.platform.api):
        if route.governed_by.startswith("public") or f"{route.method} {route.path}" in shared:
            continue
        if route.path == "/metrics":
            continue  # whoever asks from this machine itself is let in, whatever token comes along
        code = await status(city.platform.api, route.method, route.path, token)
        assert code in (403, 1008), (route, code)
    assert await pulls(city, agreement.id) == []


async def test_g19_each_answer_tells_the_id_under_which_it_stands_in_the_ledger(city: City) -> None:
    account, token = await partner(city)
    agreement = await agree(city, account)
    told = []
    point = city.ids[NORTH]["point"]
    words = city.moments() | {"point": point}
    async with client_of(city.platform.api, token) as client:
        for route in walk(city.platform.api):
            if f"{route.method} {route.path}" not in PULLED or route.method == "WEBSOCKET":
                continue
            named = asking(route)
            named = replace(named, query={}) if route.path == "/api/v1/points" else named
            given = await client.get(named.filled(words).address)
            assert given.status_code not in (401, 403), (route.path, given.text)
            told.append(given.headers["x-anwang-look"])
        session = await client.get("/api/v1/session")
    assert "x-anwang-look" not in session.headers
    assert session.json()["purpose"]["case_no"] == "共享7号"
    assert [row.look for row in await pulls(city, agreement.id)] == told[::-1]
    assert len(set(told)) == len(PULLED) - 1
    for row in await pulls(city, agreement.id):
        assert (row.case, row.recipient, row.terminal) == ("共享7号", "消防救援支队, 指挥中心", "192.0.2.7")
    [one] = [row for row in await pulls(city, agreement.id) if row.detail.endswith(f"/points/{point}")]
    assert one.objects == (point,)


async def test_g19_a_partner_sees_agreed_points_with_agreed_fields(city: City) -> None:
    account, token = await partner(city)
    async with client_of(city.platform.api, token) as client:
        nobody = await client.get("/api/v1/points")
        assert (nobody.status_code, nobody.json()["kind"]) == (403, "denied")
        assert "no sharing agreement" in nobody.json()["reason"]
        assert (await client.get("/api/v1/session")).status_code == 403
        agreement = await agree(city, account, org_id=OrgId(city.ids[NORTH]["organisation"]))
        seen, other = await point_of(city, SEEN), await point_of(city, OTHER_CAMERA)
        file = [{"key": "name", "label": "设备名称", "value": seen.name}]
        page = await client.get("/api/v1/points")
        assert page.json() == {"items": [{"id": seen.id, "code": SEEN, "file": file}], "next": None}
        unseen, unknown = [await client.get(f"/api/v1/points/{id}") for id in (other.id, AN_ID)]
        assert (unseen.status_code, unknown.status_code) == (404, 404)
        assert unseen.json()["reason"].replace(other.id, AN_ID) == unknown.json()["reason"]
        refused = await client.get("/api/v1/points?state=online")
        assert refused.status_code == 403
        assert "state" in refused.json()["reason"]
        officer = await actor_of(city.platform.governance, "officer.one")
        await city.platform.sharing.step(officer, agreement.id, AgreementStep.SUSPEND, note="核查", version=2)
        assert (await client.get("/api/v1/points")).status_code == 403


async def test_g19_both_logs_can_be_compared(city: City) -> None:
    account, token = await partner(city)
    agreement = await agree(city, account)
    async with client_of(city.platform.api, token) as client:
        own = [(await client.get(f"/api/v1/points?limit={n}")).headers["x-anwang-look"] for n in (1, 2, 3)]
        assert (await client.get(f"/api/v1/sharing/{agreement.id}/pulls")).status_code == 403
    async with await city.client("audit_administrator.one") as auditor:
        path = f"/api/v1/sharing/{agreement.id}/pulls"
        first = (await auditor.get(f"{path}?limit=2")).json()
        rest = (await auditor.get(path, params={"cursor": first["next"]})).json()
        assert [row["look"] for row in first["items"] + rest["items"]] == own[::-1]
        table: httpx.Response = await auditor.get(f"{path}.csv")
        assert [line.split(",")[1] for line in table.text.splitlines()[1:]] == own[::-1]
        assert table.headers["x-anwang-more"] == "false"
        cut = await auditor.get(f"{path}.csv?most=2")
        assert (len(cut.text.splitlines()), cut.headers["x-anwang-more"]) == (3, "true")
    async with await city.client("administrator.one") as admin:
        assert (await admin.get(path)).status_code == 403, "who administers does not read the ledger (G13)"
        assert (await admin.get(f"/api/v1/sharing/{agreement.id}")).json()["state"] == "in_force"


@pytest.mark.parametrize("step", ["suspend", "end"])
async def test_g19_over_http_the_register_keeps_two_persons_apart(city: City, step: str) -> None:
    account, _ = await partner(city)
    today = civil_day(city.platform.clock.now())
    draft = {
        "number": "共享8号", "department": "消防", "unit": "指挥中心", "contact": "值班室", "legal_basis": "市办法",
        "kind": "rescue", "purpose": "出警", "organisation": "city", "accounts": [account],
        "actions": ["read_points"], "fields": ["name"], "from": today.isoformat(), "until": today.isoformat(),
    }  # fmt: skip
    async with await city.client("administrator.one") as admin, await city.client("officer.one") as officer:
        shareable = (await admin.get("/api/v1/sharing/shareable")).json()
        assert {"key": "name", "label": "设备名称"} in shareable["fields"]
        assert [one["id"] for one in (await admin.get("/api/v1/sharing/accounts")).json()["items"]] == [account]
        made = (await admin.post("/api/v1/sharing", json=draft)).json()
        path = f"/api/v1/sharing/{made['id']}"
        approve = {"step": "approve", "note": "同意", "version": 1}
        assert (await admin.post(f"{path}/steps", json=approve)).status_code == 403
        changed = await admin.put(path, json={**draft, "number": "共享9号", "version": 1})
        assert (changed.status_code, changed.json()["number"], changed.json()["until"]) == (
            200,
            "共享9号",
            draft["until"],
        )
        approved = await officer.post(f"{path}/steps", json={**approve, "version": 2})
        assert (approved.status_code, approved.json()["state"]) == (201, "in_force")
        stopped = await admin.post(f"{path}/steps", json={"step": step, "note": "核查", "version": 3})
        assert stopped.status_code == 201, "whoever keeps the register may stop it"
        assert [one["step"] for one in stopped.json()["steps"]] == ["approve", step]
        listed = (await officer.get("/api/v1/sharing")).json()["items"]
        assert [(one["id"], one["state"]) for one in listed] == [(made["id"], stopped.json()["state"])]
