"""What every route of the product is asked with, so that nothing but what a test changes about it can be refused.

`{kind}` stands for the id of an object of that kind, or for a moment; `tests.furnished` has the objects.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from anwang.governance import Action, Role, may
from tests.routes import Route

KINDS: Mapping[str, str] = {
    "anomaly_id": "anomaly", "approval_id": "approval", "assessment_id": "assessment", "breach_id": "breach",
    "code": "source", "deletion_id": "deletion", "device": "device", "device_id": "device", "drift": "drift",
    "export_id": "export", "form_id": "form", "hold_id": "hold", "agreement_id": "agreement", "import_id": "import",
    "layout_id": "layout",
    "organisation": "organisation", "plan_id": "plan", "play_id": "play", "point": "point", "point_id": "point",
    "purpose_id": "purpose", "request_id": "request", "segment_id": "segment", "session_id": "session",
    "sign_id": "sign", "system_id": "system", "tour_id": "tour", "user_id": "user",
}  # fmt: skip
"""By the parameter of a path: what it is the id of."""
OTHERWISE: Mapping[str, Mapping[str, str]] = {
    "POST /api/v1/approvals/{approval_id}/decision": {"approval_id": "asked_approval"},
    "POST /api/v1/assessments/{assessment_id}/editions": {"assessment_id": "approved_assessment"},
    "POST /api/v1/requests/{request_id}/answer": {"request_id": "complaint"},
    "POST /api/v1/requests/{request_id}/decision": {"request_id": "proposed_request"},
    "POST /api/v1/requests/{request_id}/handler": {"request_id": "anothers_request"},
    "POST /api/v1/requests/{request_id}/places": {"request_id": "identified_request"},
    "POST /api/v1/requests/{request_id}/proposal": {"request_id": "searched_request"},
    "POST /api/v1/requests/{request_id}/purpose": {"request_id": "searched_request"},
    "DELETE /api/v1/tokens/{session_id}": {"session_id": "token"},
    "PATCH /api/v1/organisations/{organisation}": {"organisation": "new_organisation"},
    "POST /api/v1/devices/{device}/adopt": {"device": "spare_device"},
    "POST /api/v1/devices/{device}/refuse": {"device": "spare_device"},
    "GET /api/v1/signs/{sign_id}/photo": {"sign_id": "photographed_sign"},
    "POST /api/v1/users/{user_id}/tokens": {"user_id": "program"},
}
"""Where it must be one in another state."""
PLAIN: Mapping[str, str] = {
    "day": "{day}", "first": "0", "kind": "html", "last": "100", "to": "authority", "token": "x" * 43, "x": "0",
    "y": "0", "z": "0",
}  # fmt: skip
"""Parameters that name no object that is somebody's: numbers, forms of a file, a day, unguessable addresses."""
OWN = frozenset({"session", "token", "purpose"})
"""Kinds that everybody has of their own; others belong to a unit, or to those who make such things."""

PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SPAN = {"from": "{start}", "to": "{end}"}
QUERIES: Mapping[str, Mapping[str, str]] = {
    "GET /api/v1/breaches/extent": SPAN,
    "GET /api/v1/devices/{device}/history": {"from": "{start}"},
    "GET /api/v1/devices/{device}/online": {"from": "{start}"},
    "GET /api/v1/drifts": {"device": "{device}"},
    "GET /api/v1/findings": {"point": "{point}"},
    "GET /api/v1/holds": {"point": "{point}"},
    "GET /api/v1/ledger": {"object": "{point}", "actor": "{user}"},
    "GET /api/v1/media/{segment_id}/init.mp4": {"look": "none"},
    "GET /api/v1/media/{segment_id}/{first}-{last}.m4s": {"look": "none"},
    "GET /api/v1/organisations": {"parent": "{organisation}"},
    "GET /api/v1/oversight": {"month": "{month}"},
    "GET /api/v1/plays": {"point": "{point}"},
    "GET /api/v1/points": {"organisation": "{organisation}"},
    "GET /api/v1/points.csv": {"organisation": "{organisation}"},
    "GET /api/v1/points.xlsx": {"organisation": "{organisation}"},
    "GET /api/v1/points/{point_id}/calendar": {"month": "{month}"},
    "GET /api/v1/points/{point_id}/clip.mp4": SPAN,
    "GET /api/v1/points/{point_id}/device-clip.mp4": SPAN,
    "GET /api/v1/points/{point_id}/device-records": SPAN,
    "GET /api/v1/points/{point_id}/playback.m3u8": SPAN,
    "GET /api/v1/points/{point_id}/snapshot.jpg": {"at": "{start}"},
    "GET /api/v1/points/{point_id}/unmasked": SPAN,
    "GET /api/v1/points/{point}/history": {"from": "{start}"},
    "GET /api/v1/points/{point}/online": {"from": "{start}"},
    "GET /api/v1/positions": {"organisation": "{organisation}"},
    "GET /api/v1/rights": {"point": "{point}", "user": "{user}"},
    "GET /api/v1/search": {"q": "区"},
    "GET /api/v1/sessions": {"user": "{user}"},
    "GET /api/v1/sharing/{agreement_id}/pulls.csv": {"most": "100"},
    "GET /api/v1/signs": {"system": "{system}"},
    "GET /api/v1/assessments": {"first": "{assessment}"},
    "GET /api/v1/states": {"bbox": "-180,-85,180,85"},
    "GET /api/v1/tiles/points/{z}/{x}/{y}.mvt": {"organisation": "{organisation}"},
    "GET /api/v1/timeline": {"points": "{point}", **SPAN},
    "DELETE /api/v1/recording-plans/{plan_id}": {"version": "1"},
    "POST /api/v1/imports": {"kind": "points", "organisation": "{organisation}"},
    "WEBSOCKET /api/v1/points/{point_id}/device-playback": SPAN,
}
"""What must be asked, or names an object; other parameters are left out."""

_ASSESSMENT = {
    "subject": "门前公共区域", "organisation": "{system_organisation}", "system": "{system}",
    "necessity": "维护公共安全所必需",
    "risks": "可能拍到住户窗户", "measures": "设置隐私遮挡", "conclusion": "可以实施", "made_on": "{today}",
    "review_by": "{next_year}",
}  # fmt: skip
_BREACH = {
    "title": "账号被他人使用", "organisation": "{organisation}",
    "what": "一个查看账号的口令泄露", "found_at": "{start}",
    "from": "{start}", "to": "{end}", "kinds": ["video"], "affected": None, "cause": "口令外泄", "harm": "录像被人查看",
    "measures": "停用账号", "advice": "留意可疑来电", "contact": "值班室",
}  # fmt: skip
_SYSTEM = {
    "name": "街面监控", "organisation": "{new_organisation}", "regime": "art7", "legal_basis": "条例第七条",
    "in_use_on": "{today}", "retention_days": 30, "contact": "值班室",
}  # fmt: skip
_SIGN = {
    "place": "大门左侧", "longitude": 117.2, "latitude": 39.1, "wording": "公共安全视频采集区域", "language": "中文",
    "contact": "值班室", "checked_on": "{today}",
}  # fmt: skip
_AGREEMENT = {
    "number": "安视共〔2026〕1号", "department": "交通运输局", "unit": "信息中心", "contact": "值班室",
    "legal_basis": "条例第十九条", "kind": "traffic", "purpose": "交通疏导", "organisation": "{organisation}",
    "departments": ["police"], "classes": [1], "kinds": ["camera"], "zones": ["default"], "accounts": ["{program}"],
    "actions": ["read_points"], "fields": ["name"], "from": "{today}", "until": "{next_week}",
}  # fmt: skip
_LAYOUT = {
    "name": "门口 {new_name}",
    "grid": 4,
    "tiles": [{"point": "{point}", "stream": "auto"}, None],
    "shared": True,
}
_TOUR = {"name": "巡视 {new_name}", "steps": [{"layout": "{layout}", "seconds": 30}], "shared": False}
_TOKEN = {"name": "对接程序", "days": 30, "actions": ["read_points"]}
_CLIP = {"point": "{point}", **SPAN}
BODIES: Mapping[str, Any] = {
    "POST /api/v1/anomalies/{anomaly_id}/decision": {"verdict": "explained", "note": "值班时集中查看"},
    "POST /api/v1/approvals": {
        "action": "export", "objects": ["{point}"], **SPAN, "reason": "案件需要", "urgent": False,
    },
    "POST /api/v1/approvals/{approval_id}/decision": {"yes": True, "reason": "同意"},
    "POST /api/v1/assessments": _ASSESSMENT,
    "PUT /api/v1/assessments/{assessment_id}": {**_ASSESSMENT, "version": 1},
    "POST /api/v1/assessments/{assessment_id}/approval": {"note": "同意", "version": 1},
    "POST /api/v1/assessments/{assessment_id}/editions": _ASSESSMENT,
    "POST /api/v1/breaches": _BREACH,
    "PUT /api/v1/breaches/{breach_id}": {**_BREACH, "version": 1},
    "POST /api/v1/breaches/{breach_id}/steps": {"step": "report", "at": "{end}", "note": "已书面报告", "version": 1},
    "POST /api/v1/devices": {
        "device_id": "{new_code}", "name": "新录像机", "organisation": "{organisation}",
        "password": "a password of its own",
    },
    "PUT /api/v1/devices/{device_id}/password": {"password": "a password of its own"},
    "POST /api/v1/devices/{device}/adopt": {"organisation": "{organisation}", "name": "录像机"},
    "PATCH /api/v1/devices/{device}/policies": {"transport": "udp", "charset": "gb18030", "extra": {"ssrc": "any"}},
    "POST /api/v1/drifts/{drift}/accept": {"reason": "升级后确认"},
    "POST /api/v1/exports": {
        "items": [{**_CLIP, "clear": False}], "form": "redacted",
        "redactions": [{**_CLIP, "polygon": [[0.1, 0.1], [0.5, 0.1], [0.5, 0.5]]}], "mark": False, "sound": False,
        "recipient": "分局", "note": "案件用",
    },
    "PUT /api/v1/filing-forms/{form_id}/receipt": {"receipt_no": "备案第1号", "filed_on": "{today}"},
    "POST /api/v1/holds": {
        "point": "{point}", "start": "{start}", "end": "{end}", "reason": "案件需要", "review_at": "{later}",
    },
    "POST /api/v1/holds/{hold_id}/release": {"reason": "案件已结"},
    "POST /api/v1/imports/{import_id}/publish": {"skip_faulty": True},
    "PUT /api/v1/layouts": _LAYOUT,
    "PUT /api/v1/layouts/{layout_id}": _LAYOUT,
    "POST /api/v1/organisations": {
        "name": "新所", "kind": "police_station", "parent": "{organisation}", "division": "340200",
        "police_code": "340200000000", "gb_id": "34020000002160000001",
    },
    "PATCH /api/v1/organisations/{organisation}": {
        "name": "北区所", "kind": "police_station", "division": "340200", "police_code": "340200000000",
        "gb_id": "34020000002160000001",
    },
    "POST /api/v1/points/{point_id}/deletions": {"start": "{old}", "end": "{old_end}", "why": "拍到住户室内"},
    "PUT /api/v1/points/{point_id}/masks": {
        "version": "{masks_version}",
        "items": [{"id": "{mask}", "preset": None, "name": "窗户", "why": "住户", "polygon": [[0, 0], [1, 0], [1, 1]]}],
    },
    "POST /api/v1/points/{point_id}/ptz": {"act": "preset_set", "preset": 1, "name": "大门"},
    "POST /api/v1/points/{point_id}/ptz/cruise": {"act": "add", "track": 1, "preset": 1, "name": "巡航"},
    "PATCH /api/v1/points/{point}": {"version": "{point_version}", "changes": {"name": "改名"}, "reason": "改正"},
    "POST /api/v1/purposes": {
        "kind": "criminal_case", "case_no": "A9901010000002026110001", "unit": "北区分局", "note": "侦查",
        "minutes": 60,
    },
    "POST /api/v1/recording-plans": {
        "point": "{point}", "point_class": None, "mode": "continuous", "weekly": [], "stream": "main", "priority": 5,
        "on_event": None,
    },
    "PUT /api/v1/recording-plans/{plan_id}": {
        "version": 1, "mode": "continuous", "weekly": [], "stream": "main", "priority": 5, "on_event": None,
    },
    "POST /api/v1/requests": {
        "kind": "request", "organisation": "{organisation}", "received_on": "{today}", "channel": "counter",
        "ground": "property", "what": "查看电动车被盗", "place": "大门", **SPAN,
        "asker": {"name": "张三", "contact": "01000000000"},
    },
    "POST /api/v1/requests/{request_id}/answer": {"text": "已答复"},
    "POST /api/v1/requests/{request_id}/decision": {"yes": True, "reason": "同意"},
    "POST /api/v1/requests/{request_id}/identity": {"text": "身份证"},
    "POST /api/v1/requests/{request_id}/places": {"items": [_CLIP]},
    "POST /api/v1/requests/{request_id}/proposal": {"export": "{export}", "how": "当面交付"},
    "POST /api/v1/requests/{request_id}/purpose": {"minutes": 60},
    "POST /api/v1/requests/{request_id}/refusal": {"reason": "not_recorded", "text": "没有录像"},
    "POST /api/v1/rtsp-sources": {
        "code": "{new_name}", "name": "新相机", "organisation": "{organisation}", "url_main": "rtsp://192.0.2.9/main",
        "url_sub": "rtsp://192.0.2.9/sub", "username": "camera", "password": "of the camera", "transport": "tcp",
    },
    "PATCH /api/v1/rtsp-sources/{code}": {
        "url_main": "rtsp://192.0.2.9/main", "url_sub": "rtsp://192.0.2.9/sub", "username": "camera",
        "password": "of the camera", "transport": "tcp",
    },
    "POST /api/v1/session": {"username": "{someone}", "password": "{password}", "code": ""},
    "PUT /api/v1/session/password": {"old": "{password}", "new": "{password} again"},
    "PUT /api/v1/session/totp": {"code": "{totp}"},
    "POST /api/v1/session/totp/removal": {"code": "000000"},
    "POST /api/v1/setup/{token}": {"username": "new.admin", "display_name": "管理员", "password": "{password}"},
    "POST /api/v1/sharing": _AGREEMENT,
    "PUT /api/v1/sharing/{agreement_id}": {**_AGREEMENT, "version": 1},
    "POST /api/v1/sharing/{agreement_id}/steps": {"step": "approve", "note": "同意", "version": 1},
    "POST /api/v1/signs": {**_SIGN, "system": "{system}", "version": 1},
    "PUT /api/v1/signs/{sign_id}": {**_SIGN, "version": 1},
    "POST /api/v1/tokens": _TOKEN,
    "PUT /api/v1/tours": _TOUR,
    "PUT /api/v1/tours/{tour_id}": _TOUR,
    "POST /api/v1/users": {
        "username": "{new_name}", "display_name": "新账号", "role": "viewer", "organisation": "{organisation}",
        "password": "{password}", "ends_at": "{later}", "escort": "",
    },
    "PATCH /api/v1/users/{user_id}": {
        "username": "{user_name}", "display_name": "改名", "role": "viewer", "organisation": "{organisation}",
        "ends_at": "{later}", "password": "{password}", "escort": "",
    },
    "PUT /api/v1/users/{user_id}/grants": {
        "items": [
            {
                "organisation": "{organisation}", "departments": ["police"], "kinds": ["camera"], "zones": ["default"],
                "starts_at": "{start}", "ends_at": "{later}", "history_from": "{start}",
            }
        ]
    },
    "POST /api/v1/users/{user_id}/tokens": _TOKEN,
    "POST /api/v1/video-systems": _SYSTEM,
    "PUT /api/v1/video-systems/{system_id}": {**_SYSTEM, "organisation": "{system_organisation}", "version": 1},
}  # fmt: skip
CONTENT: Mapping[str, tuple[str, bytes]] = {
    "POST /api/v1/imports": (
        "text/csv",
        "设备编码,设备名称,纬度,经度\n34020000001320000009,新相机,39.1,117.2\n".encode(),
    ),
    "PUT /api/v1/signs/{sign_id}/photo": ("image/png", PICTURE),
}
"""Bodies that are files."""

NO_CHILD = (503, "no media process runs")
_AWAY = (503, "the device is not connected")
_LINK = (404, "an unguessable address that nobody was given")
ELSE: Mapping[str, tuple[int, str]] = {
    "DELETE /api/v1/users/{user_id}/totp": (404, "the account has none"),
    "GET /api/v1/media/{segment_id}/init.mp4": (403, "goes with the token of a look"),
    "GET /api/v1/media/{segment_id}/{first}-{last}.m4s": (403, "goes with the token of a look"),
    "GET /api/v1/points/{point_id}/clip.mp4": (404, "nothing is recorded"),
    "GET /api/v1/points/{point_id}/device-clip.mp4": NO_CHILD,
    "GET /api/v1/points/{point_id}/device-records": _AWAY,
    "GET /api/v1/points/{point_id}/playback.m3u8": (404, "nothing is recorded"),
    "GET /api/v1/points/{point_id}/presets": _AWAY,
    "GET /api/v1/points/{point_id}/ptz/cruise": _AWAY,
    "GET /api/v1/points/{point_id}/ptz/home": _AWAY,
    "GET /api/v1/points/{point_id}/snapshot": NO_CHILD,
    "GET /api/v1/points/{point_id}/snapshot.jpg": (404, "nothing is recorded"),
    "GET /api/v1/session/oidc": (404, "no provider is set up"),
    "GET /api/v1/session/oidc/callback": (404, "no provider is set up"),
    "GET /api/v1/setup/{token}": _LINK,
    "POST /api/v1/device-uploads/{token}": _LINK,
    "POST /api/v1/devices/{device_id}/status": _AWAY,
    "POST /api/v1/imports/{import_id}/publish": (409, "it was not read yet"),
    "POST /api/v1/points/{point_id}/device-snapshot": _AWAY,
    "POST /api/v1/points/{point_id}/ptz": _AWAY,
    "POST /api/v1/points/{point_id}/ptz/cruise": _AWAY,
    "POST /api/v1/session/totp/removal": (404, "the account has none"),
    "POST /api/v1/setup/{token}": _LINK,
    "PUT /api/v1/device-uploads/{token}": _LINK,
    "PUT /api/v1/session/totp": (404, "none was begun"),
    "WEBSOCKET /api/v1/points/{point_id}/device-playback": NO_CHILD,
    "WEBSOCKET /api/v1/points/{point_id}/live": NO_CHILD,
}
"""What is answered to somebody who may and asks rightly, where it is not done; and why, on a platform that has its
rights and no devices.
"""

ASKERS: Mapping[str, str] = {
    "POST /api/v1/approvals": "operator",
    "DELETE /api/v1/approvals/{approval_id}": "operator",
    "GET /api/v1/approvals/{approval_id}": "operator",
    "POST /api/v1/requests/{request_id}/decision": "second_officer",
    "POST /api/v1/requests/{request_id}/handler": "second_officer",
    "POST /api/v1/sharing/{agreement_id}/steps": "officer",
    "GET /api/v1/sessions": "security_administrator",
    "GET /api/v1/rights": "security_administrator",
    "GET /api/v1/users/{user_id}/grants": "security_administrator",
    "PUT /api/v1/session/password": "new",
    "POST /api/v1/session/totp": "new",
    "PUT /api/v1/session/totp": "new",
    "POST /api/v1/session/totp/removal": "new",
    "DELETE /api/v1/session": "new",
}
"""Who asks where it isn't the first role that may; `new`: an account of its own each time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """One request, with words in braces where an object is named. names: what each parameter of the path stands for."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Any
    content: tuple[str, bytes] | None
    names: Mapping[str, str]

    def filled(self, words: Mapping[str, str]) -> Asking:
        """With ids and moments instead of words. Raises KeyError for a word that is not known."""
        path = re.sub(r"\{(\w+)\}", lambda found: fill(self.names[found[1]], words), self.path)
        query = {name: fill(text, words) for name, text in self.query.items()}
        return replace(self, path=path, query=query, body=_filled(self.body, words), names={})

    def words(self) -> set[str]:
        """All that must be known."""
        told = [*self.names.values(), *self.query.values(), json.dumps(self.body)]
        return {word for text in told for word in re.findall(r"\{(\w+)\}", text)}

    @property
    def address(self) -> str:
        """Path and query."""
        return self.path + (f"?{urlencode(self.query)}" if self.query else "")

    def sent(self) -> dict[str, Any]:
        """As httpx takes the body."""
        if self.content is not None:
            kind, data = self.content
            return {"content": data, "headers": {"content-type": kind}}
        return {} if self.body is None else {"json": self.body}


def asking(route: Route) -> Asking:
    """What a route is asked with; an empty body where it is new and nobody has said what it takes."""
    key = f"{route.method} {route.path}"
    kinds = {**KINDS, **OTHERWISE.get(key, {})}
    names = {
        name: PLAIN[name] if name in PLAIN else "{" + kinds.get(name, f"unknown_{name}") + "}"
        for name in re.findall(r"\{(\w+)\}", route.path)
    }
    body = BODIES.get(key)
    if body is None and key not in CONTENT and route.method in ("PUT", "PATCH"):
        body = {}
    return Asking(
        method=route.method,
        path=route.path,
        query=QUERIES.get(key, {}),
        body=body,
        content=CONTENT.get(key),
        names=names,
    )


def action_of(route: Route) -> Action | None:
    """What the route asks governance for; None: it is public."""
    if not route.governed_by.startswith("allow "):
        return None
    return Action(route.governed_by.removeprefix("allow ").partition(",")[0])


def asker_of(route: Route) -> str:
    """Who asks it; see ASKERS."""
    action = action_of(route)
    named = ASKERS.get(f"{route.method} {route.path}")
    if named is not None or action is None:
        return named or Role.VIEWER.value
    return next(role.value for role in Role if may(role, action))


def fill(text: str, words: Mapping[str, str]) -> str:
    """The text with its words told."""
    return re.sub(r"\{(\w+)\}", lambda found: words[found[1]], text)


def _filled(body: Any, words: Mapping[str, str]) -> Any:
    if isinstance(body, dict):
        return {name: _filled(value, words) for name, value in body.items()}
    if isinstance(body, list):
        return [_filled(value, words) for value in body]
    if isinstance(body, str):
        told = fill(body, words)
        return int(told) if body == "{point_version}" else told
    return body


Step = str | int


def texts_in(body: Any, at: tuple[Step, ...] = ()) -> Iterator[tuple[Step, ...]]:
    """Where in a body the texts are."""
    if isinstance(body, dict):
        for name, value in body.items():
            yield from texts_in(value, (*at, name))
    elif isinstance(body, list):
        for number, value in enumerate(body):
            yield from texts_in(value, (*at, number))
    elif isinstance(body, str):
        yield at


def with_text(body: Any, at: tuple[Step, ...], text: str) -> Any:
    """The body with another text there."""
    if not at:
        return text
    head, rest = at[0], at[1:]
    if isinstance(body, list):
        return [with_text(value, rest, text) if number == head else value for number, value in enumerate(body)]
    return {name: with_text(value, rest, text) if name == head else value for name, value in body.items()}
