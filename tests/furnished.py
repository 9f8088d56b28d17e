"""A platform with two districts and one of everything in each, made by those who make it; and who works there.

What belongs to the south says so in its name, so that a test can tell when somebody of the north is told of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import httpx

from anwang.app.build import Platform
from anwang.governance import EVERYTHING, Role, may
from anwang.governance.actions import Action
from anwang.governance.oversight import store as anomalies
from anwang.governance.oversight.model import Anomaly, AnomalyId, AnomalyRule
from anwang.governance.retention import store as retained
from anwang.governance.retention.model import Gone, Proof, Report
from anwang.kernel.ids import PlayId, PointId, UserId, uuid7
from anwang.kernel.times import Span, civil_day, rfc3339, to_micros
from anwang.media.exports import store as exports
from anwang.media.exports.model import Choice, Export, ExportForm, ExportId, ExportState, Item, Why
from anwang.media.masks.model import version_of
from anwang.media.plays import Play
from anwang.registry import Answer, CatalogueItem, Evidence, EvidenceKind, OrgKind, PointFilter, device_key
from tests.asking import OWN, PICTURE, Asking, asker_of, asking
from tests.assembled import client_of
from tests.governed import PASSWORD, account, cheap, everyone, token_of
from tests.recordings import plain
from tests.routes import Route

NORTH, SOUTH = "north", "south"
DISTRICTS = {NORTH: "北区", SOUTH: "南区"}
RECORDERS = {NORTH: "34020000001180000001", SOUTH: "34020000001180000002"}
CAMERAS = {NORTH: "34020000001320000001", SOUTH: "34020000001320000003"}
OTHER_CAMERA = "34020000001320000002"
"""In the north, of another class."""
NAMES = {CAMERAS[NORTH]: "北区一号", OTHER_CAMERA: "北区二号", CAMERAS[SOUTH]: "南区三号"}
SECOND = "second_officer"
CASE = {"kind": "criminal_case", "case_no": "A9901010000002026110001", "unit": "分局", "note": "", "minutes": 600}
REPORTED = date(2026, 11, 1)
ENTITLED = (
    ("operator", Action.EXPORT),
    ("operator", Action.UNMASK),
    ("officer", Action.UNMASK),
    ("officer", Action.DELETE),
)
"""Who has a second person's yes to what."""


@dataclass(slots=True)
class City:
    """The platform, and ids by district and kind. `people` are those with a session kept open."""

    platform: Platform
    ids: dict[str, dict[str, str]] = field(default_factory=lambda: {NORTH: {}, SOUTH: {}})
    people: dict[str, httpx.AsyncClient] = field(default_factory=dict)
    known: dict[str, str] = field(default_factory=dict)
    """Ids of accounts, by user name."""
    answerable: dict[str, str] = field(default_factory=dict)
    """Ids of organisations, by video system."""
    began: datetime = field(init=False)
    """What requests are about happened shortly before."""
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.began = self.platform.clock.now()

    async def close(self) -> None:
        """End what people have open."""
        for client in self.people.values():
            await client.aclose()

    async def client(self, username: str) -> httpx.AsyncClient:
        """A fresh session."""
        return client_of(self.platform.api, await token_of(self.platform.governance, username))

    async def one(self, username: str, *, purpose: bool = True) -> httpx.AsyncClient:
        """The kept session of somebody, who has stated a purpose where they may."""
        if username not in self.people:
            made = self.people[username] = await self.client(username)
            role = username.partition(".")[0].replace(SECOND, "officer")
            if purpose and may(Role(role), Action.OPEN_PURPOSE):
                await told(made, "POST", "/purposes", CASE)
        return self.people[username]

    def moments(self, *, days: float = 0.01) -> dict[str, str]:
        """days: how long ago the content is that is asked for."""
        now, today = self.began, civil_day(self.began)
        return {
            "start": rfc3339(now - timedelta(days=days)),
            "end": rfc3339(now - timedelta(days=days) + timedelta(minutes=5)),
            "old": rfc3339(now - timedelta(days=40)),
            "old_end": rfc3339(now - timedelta(days=39)),
            "later": rfc3339(now + timedelta(days=30)),
            "month": f"{today:%Y-%m}",
            "today": today.isoformat(),
            "next_week": (today + timedelta(days=7)).isoformat(),
            "next_year": (today + timedelta(days=365)).isoformat(),
            "day": REPORTED.isoformat(),
        }

    async def words(self, district: str, *, days: float = 0.01) -> dict[str, str]:
        """All that requests of somebody of the district may name."""
        ids = self.ids[district]
        view = await self.platform.registry.point(EVERYTHING, ids["point"])
        masks = self.platform.masks.of(PointId(ids["point"]))
        number = next(self._numbers)
        return {
            **self.moments(days=days),
            **ids,
            "point_version": str(view.point.version),
            "masks_version": version_of(masks),
            "system_organisation": self.answerable.get(ids.get("system", ""), ""),
            "mask": masks[0].id if masks else "",
            "new_code": f"3402000000118{number:07d}",
            "new_name": f"new.{number}",
            "someone": f"viewer.{district}",
            "password": PASSWORD,
            "totp": "000000",
        }

    async def make(self, kind: str, district: str, owner: str = "") -> str:
        """Another object of a kind. owner: who shall own it, where it is somebody's own."""
        return await MAKERS[kind](self, district, owner)

    async def furnish(self, district: str) -> None:
        """One of everything, and what those need who look at content."""
        for kind in MAKERS:
            self.ids[district][kind] = await self.make(kind, district)
        for role, action in ENTITLED:
            await self.entitle(f"{role}.{district}", action, district)

    async def entitle(self, username: str, action: Action, district: str) -> None:
        """A second officer agrees to what somebody may be asked to do with the district's point."""
        now = self.began
        first, last = now - timedelta(days=41), now - timedelta(days=10)
        if action is not Action.DELETE:
            first, last = now - timedelta(hours=1), now
        body = {"action": action, "objects": [self.ids[district]["point"]], "reason": "案件需要"}
        span = {"from": rfc3339(first), "to": rfc3339(last)}
        made = await told(await self.one(username), "POST", "/approvals", {**body, **span})
        second = await self.one(f"{SECOND}.{district}")
        await told(second, "POST", f"/approvals/{made['id']}/decision", {"yes": True})

    async def stranger(self, district: str) -> httpx.AsyncClient:
        """A session of an account that was made for nothing else."""
        await self.make("user", district)
        return await self.client(self.ids[district]["user_name"])

    async def asker(self, route: Route, district: str) -> tuple[str, httpx.AsyncClient]:
        """Who of the district asks a route, with a session: a fresh one where the route may end it."""
        role = asker_of(route)
        if role == "new":
            client = await self.stranger(district)
            return self.ids[district]["user_name"], client
        username = f"{role}.{district}"
        if any(word in route.path for word in ("session", "purposes", "tokens")):
            return username, await self.client(username)
        return username, await self.one(username)

    async def fresh(self, named: Asking, district: str, username: str) -> dict[str, str]:
        """What a request of somebody may name, with objects that are made for it where it acts on them."""
        words = await self.words(district)
        kinds = {name.strip("{}") for name in named.names.values()} | ({"new_organisation"} & named.words())
        kinds = kinds & set(OWN) if named.method in ("GET", "WEBSOCKET") else kinds  # which leave it as it is
        for kind in sorted(MAKERS.keys() & kinds):
            words[kind] = await self.make(kind, district, username if kind in OWN else "")
        answerable = self.answerable[words["system"]]
        return words | {"user_name": self.ids[district]["user_name"], "system_organisation": answerable}

    def telling(self, district: str) -> list[str]:
        """Names and ids by which a text says something of the district."""
        return [DISTRICTS[district], CAMERAS[district], RECORDERS[district], *self.ids[district].values()]

    def told_of(self, text: str, district: str) -> list[str]:
        """What a text says of the district."""
        return [word for word in self.telling(district) if word in text]


async def told(client: httpx.AsyncClient, method: str, path: str, body: Any = None, **more: Any) -> Any:
    """The JSON of an answer that is fine."""
    answer = await client.request(method, f"/api/v1{path}", **({} if body is None else {"json": body}), **more)
    assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
    return answer.json() if answer.content else None


async def without_media(platform: Platform) -> Platform:
    """One that is not served, where nobody waits for a media process, and passwords cost little."""
    await platform.children.stop()
    platform.governance._passwords = cheap()
    return platform


async def laid_out(platform: Platform) -> City:
    """Accounts of every role for the whole city, two districts, and their points."""
    city = City(platform)
    await everyone(platform.governance)
    for district, name in DISTRICTS.items():
        made = await platform.registry.add_organisation(name=name, kind=OrgKind.DISTRICT)
        city.ids[district]["organisation"] = made.id
    await _points(city)
    return city


async def furnished(platform: Platform) -> City:
    """And accounts of every role for each district, and one of everything in each."""
    city = await laid_out(platform)
    month = platform.clock.now() + timedelta(days=30)
    for district in DISTRICTS:
        org_id = city.ids[district]["organisation"]
        house = [
            account(f"{name}.{district}", Role.OFFICER if name == SECOND else Role(name), org_id, has_past=True)
            for name in (*Role, SECOND)
            if name is not Role.CONTRACTOR
        ]
        escort = next(one.id for one in await platform.governance.seed(house) if one.role is Role.OPERATOR)
        name = f"{Role.CONTRACTOR}.{district}"
        hired = account(name, Role.CONTRACTOR, org_id, ends_at=month, has_past=True, escort=escort)
        await platform.governance.seed([hired])
    async with await city.client("security_administrator.one") as security:
        listed = await told(security, "GET", "/users?limit=500")
        city.known = {each["username"]: each["id"] for each in listed["items"]}
    day = Report(day=REPORTED, made_at=platform.clock.now(), failed={}, left_out=0, digest="")
    async with platform.stores.state.begin() as tx:
        await retained.add_report(tx, day, [])
    for district in DISTRICTS:
        await city.furnish(district)
    return city


async def _points(city: City) -> None:
    registry = city.platform.registry
    now = registry.now_us()
    for district, recorder in RECORDERS.items():
        device = await registry.meet("gb28181", recorder, address="192.0.2.2:5060", transport="udp")
        codes = [CAMERAS[district], OTHER_CAMERA] if district == NORTH else [CAMERAS[district]]
        items = [CatalogueItem(channel_id=code, name=NAMES[code], at_us=now, is_on=True) for code in codes]
        await registry.reconcile(device.id, items, complete=True)
        await registry.adopt(EVERYTHING, device.id, city.ids[district]["organisation"])
        registry.note([Evidence(device_key("gb28181", recorder), EvidenceKind.KEEPALIVE, now)])
        registry.live.tick(now)
        city.ids[district]["device"] = device.id
        for code in codes:
            [view] = await registry.by_code(EVERYTHING, code)
            changes: dict[str, Any] = {
                "organisation": city.ids[district]["organisation"],
                "point_class": "3" if code == OTHER_CAMERA else "1",
                "longitude": 117.2,
                "latitude": 39.1,
            }
            version = view.point.version
            await registry.edit_point(EVERYTHING, view.point.id, changes, version=version, by="test")
    for view in (await registry.points(EVERYTHING, PointFilter())).items:
        for district, code in CAMERAS.items():
            if view.point.code == code:
                city.ids[district]["point"] = view.point.id


# --- what is made through the API ------------------------------------------------------------------------------------


async def _posted(
    city: City, method: str, path: str, who: str, district: str, words: Mapping[str, str] | None = None
) -> Any:
    """The answer to a request, as `tests.asking` has it, of somebody of the district."""
    named = asking(Route(method, path, "", ""))
    filled = named.filled({**await city.words(district), **(words or {})})
    client = await city.one(f"{who}.{district}")
    return await told(client, method, filled.address.removeprefix("/api/v1"), filled.body, **_file(filled.content))


def _file(content: tuple[str, bytes] | None) -> dict[str, Any]:
    return {} if content is None else {"content": content[1], "headers": {"content-type": content[0]}}


def _by(method: str, path: str, who: str) -> Callable[[City, str, str], Awaitable[str]]:
    """A maker: the id in the answer."""

    async def make(city: City, district: str, owner: str) -> str:
        del owner
        return str((await _posted(city, method, path, who, district))["id"])

    return make


async def _organisation(city: City, district: str, owner: str) -> str:
    del owner
    client = await city.one(f"administrator.{district}")
    name = f"{DISTRICTS[district]}所{next(city._numbers)}"
    body = {"name": name, "kind": "police_station", "parent": city.ids[district]["organisation"]}
    return str((await told(client, "POST", "/organisations", body))["id"])


async def _user(city: City, district: str, owner: str, **more: Any) -> str:
    del owner
    name = f"{district}.{next(city._numbers)}"
    body = {
        "username": name, "display_name": DISTRICTS[district] + name, "role": "viewer",
        "organisation": city.ids[district]["organisation"], "password": "" if more else PASSWORD, **more,
    }  # fmt: skip
    made = await told(await city.one(f"security_administrator.{district}"), "POST", "/users", body)
    city.ids[district]["user_name"] = name
    return str(made["id"])


async def _program(city: City, district: str, owner: str) -> str:
    name = city.ids[district].get("user_name", "")
    made = await _user(city, district, owner, is_service=True)
    city.ids[district]["user_name"] = name
    return made


async def _session(city: City, district: str, owner: str) -> str:
    async with await city.client(owner or f"viewer.{district}") as client:
        listed = await told(client, "GET", "/sessions?limit=500")
        return next(str(each["id"]) for each in listed["items"] if each["current"])


async def _token(city: City, district: str, owner: str) -> str:
    client = await city.one(owner or f"viewer.{district}")
    await told(client, "POST", "/tokens", {"name": "程序", "days": 1, "actions": None})
    listed = await told(client, "GET", "/tokens?limit=500")
    return str(listed["items"][-1]["id"])


async def _purpose(city: City, district: str, owner: str) -> str:
    async with await city.client(owner or f"viewer.{district}") as client:
        return str((await told(client, "POST", "/purposes", CASE))["id"])


async def _wall(city: City, district: str, owner: str, kind: str) -> str:
    client = await city.one(owner or f"operator.{district}")
    words = await city.words(district)
    if kind == "tour":
        words = {**words, "layout": await _layout(city, district, owner)}
    body = asking(Route("PUT", f"/api/v1/{kind}s", "", "")).filled(words).body
    named = {**body, "name": DISTRICTS[district] + words["new_name"], "shared": False}
    return str((await told(client, "PUT", f"/{kind}s", named))["id"])


async def _layout(city: City, district: str, owner: str) -> str:
    return await _wall(city, district, owner, "layout")


async def _tour(city: City, district: str, owner: str) -> str:
    return await _wall(city, district, owner, "tour")


async def _approval(city: City, district: str, owner: str) -> str:
    client = await city.one(owner or f"operator.{district}")
    filled = asking(Route("POST", "/api/v1/approvals", "", "")).filled(await city.words(district))
    return str((await told(client, "POST", "/approvals", filled.body))["id"])


async def _asked_approval(city: City, district: str, owner: str) -> str:
    return await _approval(city, district, "")


async def _approved_assessment(city: City, district: str, owner: str) -> str:
    made = await MAKERS["assessment"](city, district, owner)
    client = await city.one(f"officer.{district}")
    await told(client, "POST", f"/assessments/{made}/approval", {"note": "", "version": 1})
    return made


async def _system(city: City, district: str, owner: str) -> str:
    words = {"new_organisation": await _organisation(city, district, owner)}
    made = str((await _posted(city, "POST", "/api/v1/video-systems", "administrator", district, words))["id"])
    city.answerable[made] = words["new_organisation"]
    return made


async def _photographed_sign(city: City, district: str, owner: str) -> str:
    made = await MAKERS["sign"](city, district, owner)
    client = await city.one(f"administrator.{district}")
    await told(client, "PUT", f"/signs/{made}/photo", **_file(("image/png", PICTURE)))
    return made


async def _form(city: City, district: str, owner: str) -> str:
    del owner
    client = await city.one(f"administrator.{district}")
    return str((await told(client, "POST", f"/video-systems/{city.ids[district]['system']}/forms"))["id"])


async def _request(city: City, district: str, owner: str, *steps: str, kind: str = "request") -> str:
    client = await city.one(owner or f"officer.{district}")
    words = await city.words(district)
    body = asking(Route("POST", "/api/v1/requests", "", "")).filled(words).body
    if kind == "complaint":
        body = {**body, "kind": kind, "ground": None}
    made = str((await told(client, "POST", "/requests", body))["id"])
    for step in steps:
        filled = asking(Route("POST", "/api/v1/requests/{request_id}/" + step, "", "")).filled(
            {**words, "request": made, "identified_request": made, "searched_request": made}
        )
        await told(client, "POST", f"/requests/{made}/{step}", filled.body)
    return made


def _requested(*steps: str, kind: str = "request") -> Callable[[City, str, str], Awaitable[str]]:
    async def make(city: City, district: str, owner: str) -> str:
        if "proposal" in steps or not steps:
            owner = ""  # by the first officer, so that the second one decides
        return await _request(city, district, owner, *steps, kind=kind)

    return make


async def _agreement(city: City, district: str, owner: str) -> str:
    words = {"program": await _program(city, district, owner)}
    return str((await _posted(city, "POST", "/api/v1/sharing", "administrator", district, words))["id"])


async def _import(city: City, district: str, owner: str) -> str:
    del owner
    return str((await _posted(city, "POST", "/api/v1/imports", "administrator", district))["id"])


async def _source(city: City, district: str, owner: str) -> str:
    del owner
    client = await city.one(f"administrator.{district}")
    filled = asking(Route("POST", "/api/v1/rtsp-sources", "", "")).filled(await city.words(district))
    code = f"{DISTRICTS[district]}{next(city._numbers)}"
    await told(client, "POST", "/rtsp-sources", {**filled.body, "code": code, "name": code})
    return code


# --- what only the program itself makes ------------------------------------------------------------------------------


def _path(city: City, district: str) -> str:
    return str(city.platform.registry.all_organisations[city.ids[district]["organisation"]].org_path)


def _new_id(city: City) -> str:
    return uuid7(city.platform.clock.micros() // 1000)


def _lately(city: City) -> tuple[datetime, datetime]:
    """A span within all that is asked for."""
    return city.began - timedelta(minutes=14), city.began - timedelta(minutes=10)


async def _spare_device(city: City, district: str, owner: str) -> str:
    del owner
    registry, code = city.platform.registry, f"3402000000118{9_000_000 + next(city._numbers)}"
    device = await registry.meet("gb28181", code, address="192.0.2.3:5060", transport="udp")
    await registry.adopt(EVERYTHING, device.id, city.ids[district]["organisation"])
    await registry.describe(device.id, name=f"{DISTRICTS[district]}录像机")
    return str(device.id)


async def _export(city: City, district: str, owner: str) -> str:
    now = city.platform.clock.now()
    username = owner or f"operator.{district}"
    first, last = _lately(city)
    point = PointId(city.ids[district]["point"])
    made = Export(
        id=ExportId(_new_id(city)),
        user_id=UserId(city.known[username]),
        username=username,
        display_name=username,
        role="operator",
        unit=DISTRICTS[district],
        org_path=_path(city, district),
        choice=Choice(form=ExportForm.REDACTED, with_mark=False, with_sound=False, note="", recipient=""),
        why=Why(),
        items=[
            Item(point=point, code=CAMERAS[district], name=DISTRICTS[district], is_clear=True,
                 span=Span(to_micros(first), to_micros(last)))
        ],
        covered=[],
        state=ExportState.READY,
        created_at=now,
        ended_at=now,
        expires_at=now + timedelta(days=1),
        bytes_done=4,
        sha256="0" * 64,
    )  # fmt: skip
    async with city.platform.stores.state.begin() as tx:
        await exports.add(tx, made)
    await city.platform.stores.objects.put(made.key, b"zip.")
    return made.id


async def _deletion(city: City, district: str, owner: str) -> str:
    del owner
    now = city.platform.clock.now()
    made = Proof(
        id=_new_id(city), keeper="recordings", at=now, count=1, bytes=4, first_at=now - timedelta(days=40),
        last_at=now - timedelta(days=39), org_path=_path(city, district), digest="0" * 64,
        objects=[Gone(f"{district}.mp4", 4, None)],
    )  # fmt: skip
    async with city.platform.stores.state.begin() as tx:
        await retained.add_proof(tx, made)
    return made.id


async def _anomaly(city: City, district: str, owner: str) -> str:
    del owner
    now = city.platform.clock.now()
    made = Anomaly(
        id=AnomalyId(_new_id(city)), rule=AnomalyRule.BURST, user_id=UserId(city.known[f"viewer.{district}"]),
        username=f"viewer.{district}", unit=DISTRICTS[district], org_path=_path(city, district), subject="",
        start=now - timedelta(hours=2, seconds=next(city._numbers)), end=now - timedelta(hours=1), count=21, bound=20,
        usual=None, evidence=[], found_at=now,
    )  # fmt: skip
    async with city.platform.stores.state.begin() as tx:
        await anomalies.add(tx, [made])
    return made.id


async def _drift(city: City, district: str, owner: str) -> str:
    del owner
    drifts, device = city.platform.drifts, city.ids[district]["device"]
    for number in (0, next(city._numbers)):
        values = {"firmware": f"{DISTRICTS[district]}{number}"}
        await drifts.take("gb28181", RECORDERS[district], Answer(values=values, groups=frozenset({""})))
    return str((await drifts.of(EVERYTHING, device)).open[0].drift.id)


async def _play(city: City, district: str, owner: str) -> str:
    del owner
    made = Play(
        id=PlayId(_new_id(city)),
        point=PointId(city.ids[district]["point"]),
        kind="live",
        started_us=city.platform.clock.micros(),
    )
    await city.platform.plays.put(made)
    return made.id


async def _segment(city: City, district: str, owner: str) -> str:
    del owner
    now = city.platform.clock.micros()
    made = plain(now - 3_600_000_000, now - 3_540_000_000, point=PointId(city.ids[district]["point"]))
    await city.platform.index.add([made])
    return made.id


MAKERS: Mapping[str, Callable[[City, str, str], Awaitable[str]]] = {
    "new_organisation": _organisation,
    "user": _user,
    "program": _program,
    "session": _session,
    "token": _token,
    "purpose": _purpose,
    "layout": _layout,
    "tour": _tour,
    "approval": _approval,
    "asked_approval": _asked_approval,
    "system": _system,
    "form": _form,
    "sign": _by("POST", "/api/v1/signs", "administrator"),
    "assessment": _by("POST", "/api/v1/assessments", "administrator"),
    "approved_assessment": _approved_assessment,
    "photographed_sign": _photographed_sign,
    "breach": _by("POST", "/api/v1/breaches", "officer"),
    "export": _export,
    "request": _request,
    "complaint": _requested(kind="complaint"),
    "anothers_request": _requested(),
    "identified_request": _requested("identity"),
    "searched_request": _requested("identity", "places"),
    "proposed_request": _requested("identity", "places", "proposal"),
    "hold": _by("POST", "/api/v1/holds", "operator"),
    "deletion": _deletion,
    "plan": _by("POST", "/api/v1/recording-plans", "administrator"),
    "import": _import,
    "source": _source,
    "play": _play,
    "anomaly": _anomaly,
    "drift": _drift,
    "spare_device": _spare_device,
    "agreement": _agreement,
    "segment": _segment,
}
"""By kind, in the order in which they are made."""
