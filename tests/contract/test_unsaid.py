"""The log scanner over the whole product: what devices, second factors, programs and looks are secret about is neither
in the logs at DEBUG, nor in the ledger, nor readable in any file of the data folder (pains.md 36).
"""

from __future__ import annotations

import re
import time
from datetime import timedelta
from pathlib import Path
from secrets import token_urlsafe

import httpx
import pytest

from anwang.app.build import Platform
from anwang.governance.factors.totp import STEP_SECONDS, code_of
from anwang.kernel.ids import PointId
from anwang.kernel.times import rfc3339, to_micros
from anwang.runtime import settings
from tests.assembled import client_of
from tests.furnished import NORTH, RECORDERS, City, furnished, told, without_media
from tests.governed import PASSWORD
from tests.recordings import plain
from tests.scanned import ledger_text, said_of, saying_everything

DEVICE, CAMERA, CHANGED = "of the recorder alone 1", "of the camera alone 2", "of the camera alone 3"


async def test_no_secret_of_devices_factors_programs_and_looks_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = settings.Settings(data=str(tmp_path / "data"), key_file=str(tmp_path / "key"))
    with saying_everything():
        platform = await Platform.open(found)
        try:
            city = await furnished(await without_media(platform))
            secrets = [DEVICE, CAMERA, CHANGED]
            await _devices(city)
            secrets += await _factor(city)
            secrets += await _programs(city)
            secrets += await _look(city)
            await city.close()
        finally:
            await platform.close()
    written = capsys.readouterr()
    said = written.out + written.err + ledger_text(tmp_path)
    assert "/playback.m3u8" in said
    assert "second factor" in said
    assert said_of([*secrets, PASSWORD], said) == []
    # what is read back from the data folder was sealed, or only its hash was kept
    kept = {each: each.read_bytes() for each in tmp_path.rglob("*") if each.is_file()}
    bare = [(str(path), one) for path, data in kept.items() for one in secrets if one.encode() in data]
    assert bare == []


async def _devices(city: City) -> None:
    client = await city.one(f"administrator.{NORTH}")
    await told(client, "PUT", f"/devices/{city.ids[NORTH]['device']}/password", {"password": DEVICE})
    body = {
        "code": "cam-1", "name": "相机", "organisation": city.ids[NORTH]["organisation"], "username": "admin",
        "url_main": "rtsp://192.0.2.9/main", "password": CAMERA,
    }  # fmt: skip
    await told(client, "POST", "/rtsp-sources", body)
    await told(client, "PATCH", "/rtsp-sources/cam-1", {"password": CHANGED})
    refused = await client.patch("/api/v1/rtsp-sources/cam-1", json={"url_main": f"rtsp://admin:{CHANGED}@192.0.2.9/"})
    assert refused.status_code == 400
    listed = (await client.get("/api/v1/rtsp-sources")).text + (await client.get("/api/v1/rtsp-sources/cam-1")).text
    messages = (await client.get(f"/api/v1/devices?q={RECORDERS[NORTH]}")).text
    assert said_of([DEVICE, CAMERA, CHANGED], listed + messages + refused.text) == []


async def _factor(city: City) -> list[str]:
    """The secret of an app, and codes that were used, refused and used up."""
    async with await city.stranger(NORTH) as client:
        username = city.ids[NORTH]["user_name"]
        secret = (await told(client, "POST", "/session/totp"))["secret"]
        step = int(time.time() // STEP_SECONDS)
        first, second = code_of(secret, step), code_of(secret, step + 1)
        await told(client, "PUT", "/session/totp", {"code": first})
    async with client_of(city.platform.api) as nobody:
        for code, wanted in ((first, 401), (second, 201)):
            body = {"username": username, "password": PASSWORD, "code": code}
            assert (await nobody.post("/api/v1/session", json=body)).status_code == wanted
    return [secret, *(code for code in (first, second) if len(set(code)) > 3)]  # others may stand there by chance


async def _programs(city: City) -> list[str]:
    """A program's token; and addresses that are keys, of a set-up and of a device's picture."""
    security = await city.one(f"security_administrator.{NORTH}")
    body = {"name": "对接", "days": 1, "actions": ["read_points"]}
    token = (await told(security, "POST", f"/users/{city.ids[NORTH]['program']}/tokens", body))["token"]
    async with client_of(city.platform.api, token) as partner:
        assert (await partner.get("/api/v1/points")).status_code == 200
    link, picture = "anw_l_" + token_urlsafe(32), token_urlsafe(60)  # as the program makes them
    async with client_of(city.platform.api) as nobody:
        assert (await nobody.get(f"/api/v1/setup/{link}")).status_code == 404
        assert (await nobody.put(f"/api/v1/device-uploads/{picture}", content=b"x")).status_code == 404
    return [token, link, picture]


async def _look(city: City) -> list[str]:
    """The token by which the pieces of a playback are fetched."""
    now = city.platform.clock.now()
    start = now - timedelta(minutes=10)
    point = PointId(city.ids[NORTH]["point"])
    await city.platform.index.add([plain(to_micros(start), to_micros(start + timedelta(minutes=1)), point=point)])
    client = await city.one(f"operator.{NORTH}")
    query = {"from": rfc3339(start), "to": rfc3339(start + timedelta(minutes=1))}
    playlist = await client.get(f"/api/v1/points/{point}/playback.m3u8", params=query)
    assert playlist.status_code == 200, playlist.text
    found = re.search(r"/media/[^\s\"]+look=[^\s\"]+~([^\s\"]+)", playlist.text)
    assert found is not None, playlist.text
    for address in (found[0], found[0].replace(found[1], found[1][:-4] + "AAAA")):
        answer: httpx.Response = await client.get(f"/api/v1{address}")
        assert answer.status_code in (403, 404)
    return [found[1]]
