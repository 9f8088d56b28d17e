"""Every route of the product that is about points, tried by people with too little: the wrong subtree, a class that is
not theirs, a grant that has ended, no purpose, no second person (design laws 7 and 11, domain.md G01, G03, G12).

What is unseen must look exactly like what does not exist. A new route about points fails here until it is tried.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from anwang.app.build import Platform
from anwang.governance import EVERYTHING, Action, NewGrant, Role, may
from anwang.kernel.ids import OrgId
from anwang.kernel.times import rfc3339
from anwang.registry import CatalogueItem, Evidence, EvidenceKind, OrgKind, Point, PointFilter, device_key
from anwang.runtime import settings
from tests.assembled import client_of
from tests.governed import account, actor_of, everyone, token_of, with_purpose
from tests.routes import AN_ID, Route, status, walk

NVR = "34020000001180000001"
SEEN, OTHER, FAR = "34020000001320000001", "34020000001320000002", "34020000001320000003"
NAMES = {SEEN: "北门看得见", OTHER: "北门别的类", FAR: "南门远处的"}

QUERIES = {
    "calendar": "month=2026-11",
    "clip.mp4": "from={start}&to={end}",
    "device-clip.mp4": "from={start}&to={end}",
    "device-playback": "from={start}&to={end}",
    "device-records": "from={start}&to={end}",
    "playback.m3u8": "from={start}&to={end}",
    "snapshot.jpg": "at={start}",
    "timeline": "points={id}&from={start}&to={end}",
    "plays": "point={id}",
    "holds": "point={id}",
    "rights": "point={id}",
}
"""By the last step of the path: what a route must be asked so that the point matters."""
BODIES: dict[str, Any] = {
    "POST ptz": {"act": "stop"},
    "POST cruise": {"act": "stop", "track": 1},
    "PATCH {point}": {"version": 1, "changes": {"name": "改名"}},
    "POST holds": {
        "point": "{id}", "start": "{start}", "end": "{end}", "reason": "案件需要", "review_at": "{later}",
    },
    "POST approvals": {"action": "export", "objects": ["{id}"], "from": "{start}", "to": "{end}", "reason": "案件需要"},
    "POST recording-plans": {"point": "{id}", "point_class": None, "mode": "continuous"},
    "POST deletions": {"start": "{start}", "end": "{end}", "why": "拍到住户室内"},
    "PUT masks": {"version": "", "items": []},
}  # fmt: skip
STREAMS = {"/api/v1/events"}
"""Lists that never end; tests/contract/test_web.py reads them."""


@dataclass(frozen=True, slots=True)
class City:
    """A platform with three points of one device, and who asks."""

    platform: Platform
    points: dict[str, Point]

    async def client(self, username: str) -> httpx.AsyncClient:
        """A fresh session."""
        return client_of(self.platform.api, await token_of(self.platform.governance, username))


@pytest.fixture
async def city(tmp_path: Path) -> AsyncIterator[City]:
    found = settings.Settings(data=str(tmp_path / "data"), key_file=str(tmp_path / "key"))
    platform = await Platform.open(found)
    try:
        await everyone(platform.governance)
        yield City(platform, await _furnished(platform))
    finally:
        await platform.close()


async def _furnished(platform: Platform) -> dict[str, Point]:
    registry, governance = platform.registry, platform.governance
    north = await registry.add_organisation(name="北区", kind=OrgKind.DISTRICT)
    south = await registry.add_organisation(name="南区", kind=OrgKind.DISTRICT)
    device = await registry.meet("gb28181", NVR, address="10.0.0.2:5060", transport="udp")
    now = registry.now_us()
    items = [CatalogueItem(channel_id=code, name=name, at_us=now, is_on=True) for code, name in NAMES.items()]
    await registry.reconcile(device.id, items, complete=True)
    await registry.adopt(EVERYTHING, device.id, north.id)
    registry.note([Evidence(device_key("gb28181", NVR), EvidenceKind.KEEPALIVE, now)])
    registry.live.tick(now)
    for code, org, point_class in ((SEEN, north, "1"), (OTHER, north, "3"), (FAR, south, "1")):
        [view] = await registry.by_code(EVERYTHING, code)
        changes = {
            "organisation": org.id, "point_class": point_class, "longitude": 117.2, "latitude": 39.1,
        }  # fmt: skip
        await registry.edit_point(EVERYTHING, view.point.id, changes, version=view.point.version, by="test")  # type: ignore[arg-type]
    admin = await actor_of(governance, "security_administrator.one")
    await governance.seed([account("north.admin", Role.ADMINISTRATOR, north.id)])
    narrow = NewGrant(org_id=OrgId(north.id), classes=frozenset({1}))
    now = governance.rights.clock.now()
    over = NewGrant(org_id=OrgId("city"), starts_at=now - timedelta(days=2), ends_at=now - timedelta(days=1))
    for username, grants in (("narrow", [narrow]), ("ended", [over])):
        made = await governance.create_user(admin, account(username, Role.OFFICER))
        await governance.rights.replace(admin, made.id, grants)
    views = (await registry.points(EVERYTHING, PointFilter())).items
    return {view.point.code: view.point for view in views}


def about_points(route: Route) -> bool:
    """Whether a point is named in the path, or must be in the query or body."""
    last = route.path.rpartition("/")[2]
    return (
        "{point}" in route.path
        or "{point_id}" in route.path
        or (route.method == "GET" and last in QUERIES)
        or f"{route.method} {last}" in BODIES
    )


def asked(city: City, route: Route, point: str, *, days: float = 0.01) -> tuple[str, Any]:
    """Path with query, and body, about one point. days: how long ago the content is that is asked for."""
    now = city.platform.governance.rights.clock.now()
    words = {
        "id": point,
        "start": rfc3339(now - timedelta(days=days)),
        "end": rfc3339(now - timedelta(days=days) + timedelta(minutes=5)),
        "later": rfc3339(now + timedelta(days=30)),
    }
    last = route.path.rpartition("/")[2]
    query = QUERIES.get(last, "") if route.method in ("GET", "WEBSOCKET") else ""
    path = re.sub(r"\{point(_id)?\}", point, route.path) + (f"?{query}" if query else "")
    body = json.dumps(BODIES.get(f"{route.method} {last}", {}))
    for word, value in words.items():
        path, body = path.replace("{" + word + "}", value), body.replace("{" + word + "}", value)
    return path, json.loads(body)


async def answer(client: httpx.AsyncClient, route: Route, path: str, body: Any) -> httpx.Response:
    content = {"json": body} if route.method in ("POST", "PUT", "PATCH") else {}
    return await client.request(route.method, path, **content)


def action_of(route: Route) -> Action:
    return Action(route.governed_by.removeprefix("allow ").partition(",")[0])


async def test_g12_what_is_unseen_looks_like_what_does_not_exist(city: City) -> None:
    ids = {code: point.id for code, point in city.points.items()}
    tried: set[str] = set()
    people = [("narrow", Role.OFFICER, (OTHER, FAR), SEEN), ("north.admin", Role.ADMINISTRATOR, (FAR,), OTHER)]
    for username, role, unseen, seen in people:
        actor = await actor_of(city.platform.governance, username)
        async with await city.client(username) as client:
            if may(role, Action.OPEN_PURPOSE):
                await with_purpose(city.platform.governance, actor)
                body = {"kind": "rescue", "case_no": "A1", "unit": "北区", "minutes": 60}
                assert (await client.post("/api/v1/purposes", json=body)).status_code == 201
            token = client.headers["authorization"].removeprefix("Bearer ")
            for route in walk(city.platform.api):
                if not about_points(route) or route.method == "HEAD" or not may(role, action_of(route)):
                    continue
                tried.add(f"{route.method} {route.path}")
                for code in unseen:
                    path, body = asked(city, route, ids[code])
                    if route.method == "WEBSOCKET":
                        assert await status(city.platform.api, route.method, path, token) == 404, (username, path)
                        continue
                    told = await answer(client, route, path, body)
                    unknown = await answer(client, route, *asked(city, route, AN_ID))
                    assert told.status_code == 404, (username, route, told.text)
                    assert told.text.replace(ids[code], "") == unknown.text.replace(AN_ID, ""), (username, route)
                if route.method != "WEBSOCKET":
                    path, body = asked(city, route, ids[seen])
                    told = await answer(client, route, path, body)
                    assert told.status_code not in (400, 401, 405, 500), (username, route, told.text)
                    if told.status_code == 404:  # of what is in it, such as recordings
                        assert told.text.replace(ids[seen], "") != unknown.text.replace(AN_ID, ""), (username, route)
    expected = {f"{r.method} {r.path}" for r in walk(city.platform.api) if about_points(r) and r.method != "HEAD"}
    assert tried == expected, "each must be tried by somebody who may do it elsewhere"


async def test_g12_a_grant_that_has_ended_opens_nothing(city: City) -> None:
    async with await city.client("ended") as client:
        for route in walk(city.platform.api):
            if (
                not about_points(route)
                or route.method in ("HEAD", "WEBSOCKET")
                or not may(Role.OFFICER, action_of(route))
            ):
                continue
            told = await answer(client, route, *asked(city, route, city.points[SEEN].id))
            assert told.status_code == 404, (route, told.text)
        listed = (await client.get("/api/v1/points")).json()
        assert listed["items"] == []


async def test_g12_no_list_tells_of_what_is_unseen(city: City) -> None:
    ids = {code: point.id for code, point in city.points.items()}
    told_of: set[str] = set()
    async with await city.client("narrow") as narrow, await city.client("operator.one") as everybody:
        routes = [
            route
            for route in walk(city.platform.api)
            if route.method == "GET" and "{" not in re.sub(r"\{[zxy]\}", "", route.path)
            and route.governed_by.startswith("allow ") and route.path not in STREAMS
        ]  # fmt: skip
        assert len(routes) > 30
        for route in routes:
            path = route.path.replace("{z}", "0").replace("{x}", "0").replace("{y}", "0")
            last = path.rpartition("/")[2]
            query = (
                {"q": NAMES[SEEN][:2]} if last == "search" else {"bbox": "-180,-85,180,85"} if last == "states" else {}
            )
            theirs = await narrow.get(path, params=query)
            for code in (OTHER, FAR):
                for word in (ids[code], code, NAMES[code]):
                    assert word.encode() not in theirs.content, (path, word)
            if ids[SEEN].encode() in theirs.content or SEEN.encode() in theirs.content:
                told_of.add(path)
                if "/tiles/" in path:
                    continue  # several make a cluster
                all_of_it = (await everybody.get(path, params=query)).content
                assert ids[OTHER].encode() in all_of_it or OTHER.encode() in all_of_it, "the test would see it"
        assert {"/api/v1/points", "/api/v1/points.csv", "/api/v1/search", "/api/v1/states"} <= told_of
        counts = [(await client.get("/api/v1/counts")).json()["total"] for client in (narrow, everybody)]
        tiles = [
            (await client.get("/api/v1/tiles/points/18/216488/99500.mvt")).status_code for client in (narrow, everybody)
        ]
    assert counts == [1, 3]
    assert tiles == [200, 200]


async def test_g01_g03_content_is_refused_without_a_purpose_and_without_a_second_person(city: City) -> None:
    async with await city.client("operator.one") as client:
        for last, days, wanted in (
            ("clip.mp4", 0.01, "purpose_needed"),
            ("device-clip.mp4", 0.01, "purpose_needed"),
            ("playback.m3u8", 3, "purpose_needed"),
            ("snapshot.jpg", 3, "purpose_needed"),
        ):
            route = next(r for r in walk(city.platform.api) if r.method == "GET" and r.path.endswith("/" + last))
            told = await answer(client, route, *asked(city, route, city.points[SEEN].id, days=days))
            assert (told.status_code, told.json()["kind"]) == (403, wanted), (last, told.text)
        body = {"kind": "criminal_case", "case_no": "A1", "unit": "北区", "minutes": 60}
        assert (await client.post("/api/v1/purposes", json=body)).status_code == 201
        for last in ("clip.mp4", "device-clip.mp4"):
            route = next(r for r in walk(city.platform.api) if r.method == "GET" and r.path.endswith("/" + last))
            told = await answer(client, route, *asked(city, route, city.points[SEEN].id))
            assert (told.status_code, told.json()["kind"]) == (403, "approval_needed"), (last, told.text)
