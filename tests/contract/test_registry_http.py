"""The registry over HTTP: shapes as the browser expects them, and nobody sees beyond their scope."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import httpx
import mapbox_vector_tile
import pytest
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse

from anwang.governance import EVERYTHING, NOTHING, Scope
from anwang.kernel.errors import AnwangError, Denied, Kind
from anwang.kernel.ids import OrgId
from anwang.registry import (
    SHAREABLE,
    Answer,
    CatalogueItem,
    Drifts,
    Evidence,
    EvidenceKind,
    OrgKind,
    Place,
    PointFilter,
    Registry,
    Seal,
    Taken,
    device_key,
)
from anwang.registry.history import StateHistory
from anwang.registry.http import FILTERED_BY, Guard, router
from anwang.registry.imports import Imports
from anwang.runtime.clock import FakeClock
from anwang.stores.state import State as Database
from anwang.stores.state import metadata
from tests.contract.test_imports import code, row, table

NVR = "34020000001180000001"
CAR, WALKER = "34020000001320000001", "34020000001320000002"
STATUS = {Kind.INVALID: 422, Kind.NOT_FOUND: 404, Kind.CONFLICT: 409, Kind.DENIED: 403, Kind.EXHAUSTED: 429}


@dataclass(frozen=True)
class Person:
    user_id: str
    username: str
    scope: Scope
    fields: frozenset[str] | None = None


class City:
    """An application with one registry; who asks is said by headers."""

    drifts: Drifts

    def __init__(self, registry: Registry, imports: Imports, client: httpx.AsyncClient, deeds: list[str]) -> None:
        self.registry, self.imports, self.client, self.deeds = registry, imports, client, deeds
        self.scope = "/"

    async def ask(self, method: str, path: str, expect: int = 200, **more: Any) -> Any:
        headers = {"x-scope": self.scope, **more.pop("headers", {})}
        answer = await self.client.request(method, "/api/v1" + path, headers=headers, **more)
        assert answer.status_code == expect, answer.text
        if answer.headers.get("content-type", "").startswith("application/json"):
            return answer.json()
        return answer

    async def settle(self) -> None:
        while await self.imports.work():
            pass


class Silent:
    """A series store that has nothing yet."""

    async def query(self, *_: object) -> list[object]:
        return []


@pytest.fixture
async def city(state: Database, tmp_path: Path) -> AsyncIterator[City]:
    async with state.begin() as tx:
        await tx.run_sync(metadata.create_all)
    clock = FakeClock()
    registry = Registry(state=state, clock=clock, folder=tmp_path / "registry", city="安澜市")
    await registry.load()
    imports = Imports(registry=registry, state=state, clock=clock, folder=tmp_path / "imports")
    deeds: list[str] = []

    def allow(action: str, use: str | None) -> Any:
        del use

        async def person(request: Request) -> Person:
            scope = request.headers["x-scope"]
            if action != "read_points" and scope == "reader":
                raise Denied("readers only read")
            seen = NOTHING if scope == "none" else EVERYTHING if scope == "reader" else Scope.below(scope)
            agreed = request.headers.get("x-fields")
            return Person("u1", "u.one", seen, None if agreed is None else frozenset(agreed.split(",")))

        return Depends(person)

    async def deed(person: Person, action: str, objects: Sequence[str], detail: str) -> None:
        deeds.append(action)

    async def exported(person: Person, what: str) -> None:
        deeds.append(f"exported {what}")

    app = FastAPI()
    drifts = Drifts(
        state=state, clock=clock, seal=Seal([bytes(32)]), admission=registry.admission, announce=lambda fact: None
    )
    guard = Guard(allow=allow, shared=allow, deed=deed, exported=exported)
    history = StateHistory(series=Silent(), live=registry.live, clock=clock, device_of=registry.device_of)  # type: ignore[arg-type]
    app.include_router(router(registry, imports, history, guard, drifts=drifts))

    @app.exception_handler(AnwangError)
    async def refused(_: Request, err: AnwangError) -> JSONResponse:
        return JSONResponse({"kind": err.kind, "reason": err.reason, "hint": err.hint}, STATUS[err.kind])

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://city") as client:
        made = City(registry, imports, client, deeds)
        made.drifts = drifts
        yield made


async def fill(city: City, n: int = 3) -> list[dict[str, Any]]:
    one = await city.ask("POST", "/imports?kind=points&filename=a.csv", 201, content=table([row(i) for i in range(n)]))
    assert one["status"] == "staged"
    await city.settle()
    ready = await city.ask("GET", f"/imports/{one['id']}")
    assert (ready["status"], ready["rows"], ready["done"]) == ("ready", n, n), ready
    assert ready["preview"]["added"] == n
    assert ready["preview"]["rows"][0] == {
        "row": 2, "change": "added", "code": code(0), "name": "人民路0号路口", "fields": [],
    }  # fmt: skip
    assert (await city.ask("POST", f"/imports/{one['id']}/publish", 202))["status"] == "publishing"
    await city.settle()
    done = await city.ask("GET", f"/imports/{one['id']}")
    assert done["status"] == "published"
    items: list[dict[str, Any]] = (await city.ask("GET", "/points?limit=1000"))["items"]
    return items


async def test_g19_of_a_point_only_the_agreed_fields_leave(city: City) -> None:
    [first, *_] = await fill(city)
    agreed = {"x-fields": "name,organisation,retention_days,state,ipv4,paid"}
    page = await city.ask("GET", "/points", headers=agreed)
    assert page["items"][0] == await city.ask("GET", f"/points/{first['id']}", headers=agreed)
    assert page["items"][0] == {
        "id": first["id"],
        "code": first["code"],
        "file": [
            {"key": "name", "label": "设备名称", "value": first["name"]},
            {"key": "retention_days", "label": "录像保存天数", "value": 90},
            {"key": "organisation", "label": "所属组织", "value": "安澜市"},
            {"key": "state", "label": "在线状态", "value": "unknown"},
        ],
    }
    bare = await city.ask("GET", f"/points/{first['id']}", headers={"x-fields": ""})
    assert bare == {"id": first["id"], "code": first["code"], "file": []}
    cursor = (await city.ask("GET", "/points?limit=2", headers=agreed))["next"]
    assert len((await city.ask("GET", f"/points?limit=2&cursor={cursor}", headers=agreed))["items"]) == 1


@pytest.mark.parametrize(
    ("query", "key"),
    [
        ("kind=camera", "kind"),
        ("class=1", "point_class"),
        ("state=online", "state"),
        ("owner=city", "owns"),
        ("division=990101", "division"),
        ("organisation=city", "organisation"),
        ("lifecycle=in_use", "lifecycle"),
        ("bbox=117,39,118,40", "latitude, longitude"),
        ("q=renmin", "address, common_name, name"),
    ],
)
async def test_g19_a_filter_does_not_tell_what_is_not_agreed(city: City, query: str, key: str) -> None:
    refused = await city.ask("GET", f"/points?{query}", 403, headers={"x-fields": "maker"})
    assert refused["reason"].endswith(f"does not let out {key}")
    await city.ask("GET", f"/points?{query}", headers={"x-fields": key.replace(" ", "")})


def test_g19_every_part_of_a_filter_says_what_it_tells() -> None:
    assert FILTERED_BY.keys() == {field.name for field in fields(PointFilter)}
    assert {key for keys in FILTERED_BY.values() for key in keys} <= SHAREABLE.keys()
    assert not SHAREABLE.keys() & {"code", "ipv4", "ipv6", "mac", "may_see"}


async def test_points_have_the_shape_that_the_browser_expects(city: City) -> None:
    items = await fill(city)
    first = items[0]
    assert {
        "id", "code", "name", "kind", "class", "longitude", "latitude", "state", "state_since", "ptz", "camera_type",
        "lifecycle", "division", "organisation", "owner_role_names", "streams", "address", "recording", "heading",
        "fov",
    } <= set(first)  # fmt: skip
    assert (first["class"], first["state"], first["heading"]) == (1, "unknown", 90.0)
    assert first["organisation"] == {"id": "city", "name": "安澜市", "path": [{"id": "city", "name": "安澜市"}]}
    detail = await city.ask("GET", f"/points/{first['id']}")
    labels = {field["key"]: (field["label"], field["value"]) for field in detail["file"]}
    assert labels["retention_days"] == ("录像保存天数", 90)
    assert detail["owners"] == {"paid": None, "owns": None, "maintains": None, "may_see": []}
    evidence = await city.ask("GET", f"/points/{first['id']}/evidence", headers={"accept-language": "en-GB"})
    assert (evidence["state"], evidence["verdict"]) == ("unknown", "No device is connected to this point yet")
    assert {item["kind"] for item in evidence["items"]} == {"catalogue", "packet", "picture", "recording"}
    history = await city.ask("GET", f"/points/{first['id']}/history?hours=24")
    assert [(span["state"], span["end"]) for span in history["spans"]] == [("unknown", None)]
    edited = await city.ask(
        "PATCH", f"/points/{first['id']}", json={"version": 1, "changes": {"name": "新名"}, "reason": "x"}
    )
    assert (edited["name"], edited["version"]) == ("新名", 2)
    await city.ask("PATCH", f"/points/{first['id']}", 409, json={"version": 1, "changes": {"name": "旧"}})
    await city.ask(
        "PATCH", f"/points/{first['id']}", 422, json={"version": 2, "changes": {"longitude": 39, "latitude": 117}}
    )
    versions = await city.ask("GET", f"/points/{first['id']}/versions")
    assert versions["items"][0]["changes"] == {"name": ["人民路0号路口", "新名"]}
    assert "edit_points" in city.deeds


async def test_lists_filter_and_page(city: City) -> None:
    await fill(city, 5)
    page = await city.ask("GET", "/points?limit=2&kind=camera&class=1,2&bbox=117,39,118,40")
    assert len(page["items"]) == 2
    rest = await city.ask("GET", f"/points?limit=10&kind=camera&class=1,2&bbox=117,39,118,40&cursor={page['next']}")
    assert len(rest["items"]) == 3
    assert rest["next"] is None
    for query, count in (
        ("q=rml3", 1),
        ("kind=none", 0),
        ("state=online", 0),
        ("state=unknown", 5),
        ("division=990100", 5),
    ):
        assert len((await city.ask("GET", f"/points?{query}"))["items"]) == count, query
    for query in ("kind=x", "class=x", "bbox=1,2", "limit=0", "cursor=%C3%BC", "organisation=nobody"):
        answer = await city.client.get(f"/api/v1/points?{query}", headers={"x-scope": "/"})
        assert answer.status_code in (404, 422), query
    counts = await city.ask("GET", "/counts")
    assert (counts["total"], counts["unknown"], counts["kinds"]["camera"]["total"]) == (5, 5, 5)
    hits = (await city.ask("GET", "/search?q=rml3"))["items"]
    assert [(hit["type"], hit["title"]) for hit in hits] == [("point", "人民路3号路口")]
    assert (await city.ask("GET", "/search?q="))["items"] == []


async def test_what_is_exported_is_imported_unchanged(city: City) -> None:
    items = await fill(city, 4)
    org = await city.ask("POST", "/organisations", 201, json={"name": "东区", "kind": "district"})
    await city.ask(
        "PATCH", f"/points/{items[1]['id']}",
        json={
            "version": 1,
            "changes": {"organisation": org["id"], "owns": org["id"], "camera_type": "dome", "name": "=1+1"},
        },
    )  # fmt: skip
    for form, generation in (("csv", "A"), ("csv", "B"), ("xlsx", "A"), ("xlsx", "B")):
        answer = await city.ask("GET", f"/points.{form}?generation={generation}")
        if form == "csv":
            assert answer.content.startswith(
                "\ufeff设备编码,".encode() if generation == "A" else "\ufeffDeviceID,".encode()
            )
        assert city.deeds[-1] == f"exported points.{form}, generation {generation}, all"
        one = await city.ask("POST", "/imports?kind=points", 201, content=answer.content)
        await city.settle()
        again = await city.ask("GET", f"/imports/{one['id']}")
        assert again["status"] == "ready", again["faults"]
        assert (again["preview"]["added"], again["preview"]["changed"], again["preview"]["unchanged"]) == (0, 0, 4)
        await city.ask("POST", f"/imports/{one['id']}/publish", 409)
        assert (await city.ask("DELETE", f"/imports/{one['id']}"))["status"] == "cancelled"
    assert (await city.ask("GET", "/points.csv?kind=sensor")).text.count("\n") == 1


async def test_an_export_has_what_the_list_has_and_no_more(city: City) -> None:
    items = await fill(city, 5)
    org = await city.ask("POST", "/organisations", 201, json={"name": "东区", "kind": "district"})
    await city.ask("PATCH", f"/points/{items[1]['id']}", json={"version": 1, "changes": {"organisation": org["id"]}})
    path = city.registry.all_organisations[org["id"]].org_path
    for scope in ("/", path, "none", "/elsewhere/"):
        city.scope = scope
        for query in (
            "", "q=rml3", "q=人民", "state=unknown", "state=online", "kind=none", "kind=sensor,camera",
            "bbox=117.20005,39,117.2003,40", "division=990100", "lifecycle=planned", "class=1&owner=none",
        ):  # fmt: skip
            listed = [item["code"] for item in (await city.ask("GET", f"/points?limit=1000&{query}"))["items"]]
            table = (await city.ask("GET", f"/points.csv?{query}")).text.splitlines()[1:]
            assert [line.partition(",")[0] for line in table] == listed, (scope, query)
            assert len(listed) == 0 or scope in ("/", path)
    city.scope = path
    await city.ask("GET", "/points.xlsx?class=1&state=unknown,offline")
    assert city.deeds[-1] == "exported points.xlsx, generation A, classes 1, states offline/unknown"
    city.scope = "/"
    await city.ask("GET", f"/points.csv?organisation={'x' * 20}", 404)


async def test_tiles_have_tags_and_tell_where_states_stood(city: City) -> None:
    items = await fill(city)
    tile = await city.ask("GET", "/tiles/points/18/216413/99540.mvt")
    assert tile.headers["content-type"] == "application/vnd.mapbox-vector-tile"
    whole = await city.ask("GET", "/tiles/points/0/0/0.mvt?kinds=camera&classes=1")
    layers = mapbox_vector_tile.decode(whole.content)
    assert layers["clusters"]["features"][0]["properties"]["count"] == 3
    await city.ask(
        "GET", "/tiles/points/0/0/0.mvt?kinds=camera&classes=1", 304, headers={"if-none-match": whole.headers["etag"]}
    )
    assert whole.headers["cache-control"].startswith("private")
    await city.ask("GET", "/tiles/points/0/0/0.mvt?kinds=none", 204)
    await city.ask("GET", "/tiles/points/1/5/0.mvt", 422)
    states = await city.ask("GET", f"/states?since={whole.headers['x-cursor']}")
    assert (states["changes"], states["reset"]) == ([], False)
    where = await city.ask("GET", "/map")
    assert where["base"] == "builtin"
    assert where["bounds"][0] == pytest.approx(117.2, abs=0.001)
    assert 3 <= where["zoom"] <= 16
    ring = [[117.0, 39.0], [117.4, 39.0], [117.4, 39.2], [117.0, 39.2], [117.0, 39.0]]
    east = {"code": "990102", "name": "东区"}
    shape = {"type": "Feature", "properties": east, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    base = {"type": "FeatureCollection", "features": [shape]}
    one = await city.ask("POST", "/imports?kind=divisions", 201, content=json.dumps(base))
    await city.settle()
    await city.ask("POST", f"/imports/{one['id']}/publish", 202)
    await city.settle()
    cut = await city.ask("GET", "/tiles/base/8/211/97.mvt")
    assert mapbox_vector_tile.decode(cut.content)["divisions"]["features"][0]["properties"]["name"] == "东区"
    await city.ask("GET", "/tiles/base/8/211/97.mvt", 304, headers={"if-none-match": cut.headers["etag"]})
    assert (await city.ask("GET", "/divisions"))["items"] == [{"code": "990102", "name": "东区", "parent": "990100"}]
    assert len(items) == 3


async def test_what_moves_is_where_it_said_last_for_those_who_see_it(city: City) -> None:
    registry = city.registry
    device = await registry.meet("gb28181", NVR, address="10.0.0.2:5060", transport="udp")
    cameras = [CatalogueItem(channel_id=code, name=name, at_us=1) for code, name in ((CAR, "car"), (WALKER, "walker"))]
    await registry.reconcile(device.id, cameras, complete=True)
    org = await city.ask("POST", "/organisations", 201, json={"name": "East", "kind": "district"})
    await registry.adopt(EVERYTHING, device.id, OrgId(org["id"]))
    assert (await city.ask("GET", "/positions")) == {"items": [], "truncated": False}

    def place(longitude: float, direction: float | None) -> Place:
        return Place(
            longitude=longitude, latitude=31.5, at_us=None, received_us=registry.now_us(), direction_deg=direction
        )

    assert await registry.note_place("gb28181", NVR, CAR, place(117.25, 90.0)) is Taken.TAKEN
    [told] = (await city.ask("GET", "/positions"))["items"]
    [point] = (await city.ask("GET", f"/points?q={CAR}"))["items"]
    assert told == {
        "point": point["id"], "kind": "camera", "class": point["class"], "state": "unknown", "longitude": 117.25,
        "latitude": 31.5, "direction_deg": 90.0, "received_at": told["received_at"],
    }  # fmt: skip
    assert (await city.ask("GET", f"/points/{point['id']}/evidence"))["position"]["longitude"] == 117.25
    assert await registry.note_place("gb28181", NVR, WALKER, place(117.5, None)) is Taken.TAKEN
    assert len((await city.ask("GET", "/positions?kinds=camera"))["items"]) == 2
    for query in ("kinds=sensor", "kinds=none", "classes=1", "division=110000"):
        assert (await city.ask("GET", f"/positions?{query}"))["items"] == [], query
    for scope, count in ((registry.all_organisations[org["id"]].org_path, 2), ("/elsewhere/", 0), ("none", 0)):
        city.scope = scope
        assert len((await city.ask("GET", "/positions"))["items"]) == count, scope


async def test_g24_drifts_are_listed_and_accepted_by_who_may(city: City) -> None:
    registry = city.registry
    north = await registry.add_organisation(name="北区", kind=OrgKind.DISTRICT)
    device = await registry.meet("gb28181", NVR, address="10.0.0.2:5060", transport="udp")
    await registry.adopt(EVERYTHING, device.id, north.id)
    path = f"/devices/{device.id}/configuration"
    assert await city.ask("GET", path) == {"baseline": None, "told_at": None, "drifts": []}
    for firmware in ("V5", "V9"):
        values = {"firmware": firmware, "basic.name": "门"}
        await city.drifts.take("gb28181", NVR, Answer(values=values, groups=frozenset({"", "basic"})))
    found = await city.ask("GET", path)
    assert found["baseline"]["values"] == [{"name": "firmware", "value": "V5"}, {"name": "basic.name", "value": "门"}]
    assert (found["baseline"]["origin"], found["baseline"]["made_by"], found["baseline"]["intact"]) == (
        "first_seen", None, True,
    )  # fmt: skip
    listed = await city.ask("GET", "/drifts?state=open")
    [drift] = listed["items"]
    assert listed["open"] == 1 and listed["next"] is None and found["drifts"] == [drift]
    assert (drift["kind"], drift["device_id"], drift["closed_at"], drift["closed_by"]) == ("firmware", NVR, None, None)
    assert drift["changes"] == [{"name": "firmware", "before": "V5", "after": "V9"}]
    accept, body = f"/drifts/{drift['id']}/accept", {"reason": "按计划升级"}
    for scope in ("/elsewhere/", "none"):
        city.scope = scope
        assert await city.ask("GET", "/drifts") == {"items": [], "open": 0, "next": None}
        await city.ask("GET", path, 404)
        await city.ask("POST", accept, 404, json=body)
    city.scope, city.deeds[:] = "/", []
    await city.ask("POST", accept, 403, json=body, headers={"x-scope": "reader"})
    for wrong in ({}, {"reason": ""}, {"reason": " x "}, {"reason": "x" * 1001}, {**body, "more": 1}):
        await city.ask("POST", accept, 422, json=wrong)
    await city.ask("GET", "/drifts?state=lost", 422)
    await city.ask("POST", "/drifts/nothing/accept", 404, json=body)
    assert city.deeds == []
    done = await city.ask("POST", accept, json=body)
    assert (done["closed_by"], done["reason"], city.deeds) == ("u.one", "按计划升级", ["adopt"])
    await city.ask("POST", accept, 409, json=body)
    assert (await city.ask("GET", "/drifts?state=closed"))["items"] == [done]
    assert (await city.ask("GET", path))["baseline"]["made_by"] == "u.one"


async def test_devices_are_adopted_and_their_states_travel(city: City) -> None:
    registry = city.registry
    device = await registry.meet("gb28181", NVR, address="10.0.0.2:5060", transport="udp", vendor="示例")
    now = registry.now_us()
    await registry.reconcile(
        device.id, [CatalogueItem(channel_id=code(1), name="门", at_us=now, is_on=True)], complete=True
    )
    listed = (await city.ask("GET", "/devices?status=waiting"))["items"]
    assert {
        "id", "gateway", "device_id", "name", "vendor", "model", "version", "transport", "address", "status", "state",
        "first_seen", "last_seen", "point_count", "policies",
    } == set(listed[0])  # fmt: skip
    assert (await city.ask("GET", "/counts"))["waiting_devices"] == 1
    await city.ask(
        "POST", f"/devices/{device.id}/adopt", 403, json={"organisation": "city"}, headers={"x-scope": "reader"}
    )
    await city.ask("POST", f"/devices/{device.id}/adopt", 404, json={"organisation": "nobody"})
    adopted = await city.ask("POST", f"/devices/{device.id}/adopt", json={"organisation": "city", "name": "北门"})
    assert (adopted["status"], adopted["name"], adopted["point_count"]) == ("adopted", "北门", 1)
    before = (await city.ask("GET", "/states"))["cursor"]
    registry.note([Evidence(device_key("gb28181", NVR), EvidenceKind.KEEPALIVE, now)])
    registry.live.tick(now)
    after = await city.ask("GET", f"/states?since={before}")
    point = (await city.ask("GET", "/points?state=online"))["items"][0]
    assert [(change[0], change[1]) for change in after["changes"]] == [(point["id"], "online")]
    assert (await city.ask("GET", "/states?bbox=0,0,1,1"))["changes"] == []
    assert (await city.ask("GET", "/states?since=old-1"))["reset"] is True
    detail = await city.ask("GET", f"/devices/{device.id}")
    assert (detail["organisation"]["id"], detail["evidence"]["state"]) == ("city", "online")
    policies = await city.ask("PATCH", f"/devices/{device.id}/policies", json={"transport": "udp", "keepalive_s": 30})
    assert (policies["transport"], policies["charset"], policies["keepalive_s"]) == ("udp", "auto", 30.0)
    await city.ask("PATCH", f"/devices/{device.id}/policies", 422, json={"transport": "pigeon"})
    channels = await city.ask("GET", f"/devices/{device.id}/channels")
    assert [(c["channel_id"], c["point"]) for c in channels["items"]] == [(code(1), point["id"])]
    assert (await city.ask("POST", f"/devices/{device.id}/refuse"))["status"] == "refused"
    assert city.deeds.count("adopt") == 3


async def test_faults_are_listed_and_findings_follow(city: City) -> None:
    one = await city.ask(
        "POST",
        "/imports?kind=points",
        201,
        content=table([row(1), row(1, 设备名称="同码"), row(2, 经度="0", 纬度="0")]),
    )
    await city.settle()
    failed = await city.ask("GET", f"/imports/{one['id']}")
    assert (failed["status"], failed["error_rows"]) == ("failed", 1)
    assert {"row": 4, "column": "经度", "value": "0.0", "rule": "DQ06", "severity": "error",
            "message": "经纬度为 (0, 0)"} in failed["faults"]  # fmt: skip
    first = await city.ask("GET", f"/imports/{one['id']}/faults?limit=1")
    second = await city.ask("GET", f"/imports/{one['id']}/faults?limit=1000&cursor={first['next']}")
    assert len(first["items"]) + len(second["items"]) == failed["fault_count"]
    await city.ask("POST", f"/imports/{one['id']}/publish", 409)
    await city.ask("POST", f"/imports/{one['id']}/publish", 202, json={"skip_faulty": True})
    await city.settle()
    found = await city.ask("GET", "/findings?rule=DQ03")
    assert len(found["items"]) == 2
    assert (await city.ask("GET", "/imports"))["items"][0]["skipped"] == 1


async def test_findings_say_which_field_is_at_fault_and_are_counted_by_rule(city: City) -> None:
    east = await city.registry.add_organisation(name="东区", kind=OrgKind.DISTRICT)
    one, two, *_ = await fill(city, 3)
    changes = {"police_unit": "120000000000", "organisation": east.id, "code": two["code"]}
    edit = {"version": one["version"], "changes": changes, "reason": "核对"}
    await city.ask("PATCH", f"/points/{one['id']}", json=edit)
    found = await city.ask("GET", f"/findings?point={one['id']}&rule=DQ11,DQ03")
    by_rule = {item["rule"]: item for item in found["items"]}
    assert [fault["field"] for fault in by_rule["DQ11"]["faults"]] == ["police_unit"]
    assert by_rule["DQ11"]["faults"][0]["message"] in by_rule["DQ11"]["message"]
    assert by_rule["DQ11"]["hint"]
    assert by_rule["DQ11"]["organisation"] == {"id": east.id, "name": "东区"}
    assert by_rule["DQ11"]["twins"] == []
    assert [twin["id"] for twin in by_rule["DQ03"]["twins"]] == [one["id"], two["id"]], "itself first"
    assert [item["point"] for item in (await city.ask("GET", "/findings?rule=DQ11&severity=error"))["items"]] == []
    below = await city.ask("GET", f"/findings/counts?organisation={east.id}")
    counted = {rule["rule"]: rule["open"] for rule in below["rules"]}
    assert (counted["DQ11"], counted["DQ03"], counted["DQ09"], below["points"], below["faulty"]) == (1, 1, 0, 1, 1)
    assert (await city.ask("GET", "/findings/counts"))["faulty"] == 2, "its twin is faulty as well"
    assert below["surveyed_at"] is None
    await city.registry.reviews.survey_all()
    assert (await city.ask("GET", "/findings/counts"))["surveyed_at"] is not None
    mended = {"version": one["version"] + 1, "changes": {"police_unit": "990101000000", "code": one["code"]}}
    await city.ask("PATCH", f"/points/{one['id']}", json=mended)
    assert (await city.ask("GET", f"/findings?point={one['id']}&rule=DQ11,DQ03"))["items"] == []
    settled = (await city.ask("GET", f"/findings?point={one['id']}&rule=DQ11&state=settled"))["items"]
    assert [(item["faults"], item["settled_by"]) for item in settled] == [([], "registry")]


async def test_findings_are_narrowed_by_division(city: City) -> None:
    one, two, *_ = await fill(city, 3)
    for point, division in ((one, "990101"), (two, "120102")):
        edit = {"version": point["version"], "changes": {"division": division, "ipv4": "127.0.0.1"}}
        await city.ask("PATCH", f"/points/{point['id']}", json=edit)
    found = await city.ask("GET", "/findings?rule=DQ10&division=120100")
    assert {item["point"] for item in found["items"]} == {two["id"]}
    counts = await city.ask("GET", "/findings/counts?division=120000")
    assert (counts["points"], counts["faulty"]) == (1, 1)
    await city.ask("GET", "/findings?division=%F0%9F%98%80", 422)


async def test_versions_tell_who_changed_what_with_names(city: City) -> None:
    east = await city.registry.add_organisation(name="东区", kind=OrgKind.DISTRICT)
    one, *_ = await fill(city, 1)
    changes = {"paid": east.id, "may_see": east.id, "address": "新址"}
    edit = {"version": one["version"], "changes": changes, "reason": "迁移"}
    await city.ask("PATCH", f"/points/{one['id']}", json=edit)
    [version] = (await city.ask("GET", f"/points/{one['id']}/versions?limit=1"))["items"]
    assert (version["by"], version["reason"], version["version"]) == ("u.one", "迁移", one["version"] + 1)
    assert version["changes"]["paid"][1] == version["changes"]["may_see"][1] == "东区"
    assert version["changes"]["address"] == [one["address"], "新址"]
    await city.ask("PATCH", f"/points/{one['id']}", 409, json=edit)


async def test_every_field_of_the_file_says_how_it_is_filled_in(city: City) -> None:
    fields = {field["key"]: field for field in (await city.ask("GET", "/file-fields"))["items"]}
    light = fields["fill_light"]
    assert (light["a"], light["b"], light["form"]) == ("补光属性", "SupplyLightType", "choice")
    assert [choice["value"] for choice in light["choices"] if not choice["a"]] == ["4"], "laser is of 2022"
    assert fields["police_unit"]["b"] is None
    one, *_ = await fill(city, 1)
    told = {field["key"] for field in (await city.ask("GET", f"/points/{one['id']}"))["file"]}
    assert told <= set(fields)


async def test_organisations_are_renamed_in_place(city: City) -> None:
    east = await city.ask("POST", "/organisations", 201, json={"name": "东区", "kind": "district"})
    inner = {"name": "东门所", "kind": "police_station", "parent": east["id"], "police_code": "990101010000"}
    station = await city.ask("POST", "/organisations", 201, json=inner)
    changed = await city.ask("PATCH", f"/organisations/{east['id']}", json={"name": "新东区", "division": "990101"})
    assert (changed["name"], changed["kind"], changed["children_count"]) == ("新东区", "district", 1)
    assert changed["division"] == {"code": "990101", "name": "990101"}
    told = await city.ask("GET", f"/organisations/{station['id']}")
    assert [one["name"] for one in told["path"]] == ["安澜市", "新东区", "东门所"]
    assert told["police_code"] == "990101010000"
    emptied = await city.ask("PATCH", f"/organisations/{station['id']}", json={"police_code": None})
    assert (emptied["police_code"], emptied["name"]) == (None, "东门所")
    await city.ask("PATCH", f"/organisations/{east['id']}", 422, json={"name": " "})
    await city.ask("PATCH", "/organisations/city", 409, json={"name": "别的市"})
    city.scope = f"/{east['id']}/"
    await city.ask("PATCH", "/organisations/city", 404, json={"name": "别的市"})


async def test_who_has_no_scope_sees_nothing_on_any_route(city: City) -> None:
    items = await fill(city)
    device = await city.registry.meet("gb28181", NVR, address="10.0.0.2:5060", transport="udp")
    other = await city.registry.add_organisation(name="西区", kind=OrgKind.DISTRICT)
    assert len((await city.registry.devices(EVERYTHING)).items) == 1
    for scope in ("none", other.org_path):
        city.scope = scope
        for path in ("/points", "/devices", "/findings", "/imports"):
            assert (await city.ask("GET", path))["items"] == []
        point = f"/points/{items[0]['id']}"
        views = [point + part for part in ("", "/evidence", "/history", "/versions")]
        for path in (*views, f"/devices/{device.id}", f"/devices/{device.id}/channels", "/organisations?parent=city"):
            await city.ask("GET", path, 404)
        await city.ask("PATCH", f"/points/{items[0]['id']}", 404, json={"version": 1, "changes": {"name": "x"}})
        await city.ask("POST", f"/devices/{device.id}/adopt", 404, json={"organisation": "city"})
        counts = await city.ask("GET", "/counts")
        assert (counts["total"], counts["waiting_devices"]) == (0, 0)
        assert (await city.ask("GET", "/search?q=人民"))["items"] == []
        assert (await city.ask("GET", "/tiles/points/0/0/0.mvt")).content == b""
        assert (await city.ask("GET", "/points.csv")).text.count("\n") == 1
        assert (await city.ask("GET", "/states"))["changes"] == []
