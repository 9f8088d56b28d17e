"""The commands an operator runs beside the platform: backup drill, ledger, media index, key, settings, upgrade."""

from __future__ import annotations

import asyncio
import re
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from anwang.app import archive, build
from anwang.app.archive import before_upgrade
from anwang.app.build import Platform, close_stores, open_stores
from anwang.app.claim import BACKUP, Claim
from anwang.app.engines import open_state
from anwang.cli import main
from anwang.gateways.gb28181 import DeviceSecrets
from anwang.gateways.rtsp import store as rtsp_store
from anwang.governance import CITY, NewUser, Role, Terminal
from anwang.kernel.errors import Conflict, Invalid, Unavailable
from anwang.registry import ImportMoved, OrgKind
from anwang.runtime import settings
from anwang.runtime.secrets import open_keys
from anwang.stores.objects import Objects
from anwang.stores.state import MEDIA, make_revision, revision_of
from tests import recordings

PASSWORD = "correct horse battery staple"
HERE = Terminal("192.0.2.7", "test")


def configure(folder: Path) -> Path:
    """A settings file for a platform in `folder` that opens no fixed port."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "anwang.toml"
    config.write_text(
        f'data = "{folder}/data"\nkey_file = "{folder}/master.key"\n'
        '[http]\nhost = "127.0.0.1"\nport = 0\n[tls]\nenabled = false\n[gb28181]\nenabled = false\n'
    )
    return config


DEVICE = "99010000001180000001"


async def run_once(config: Path, work: str) -> list[str]:
    """Open the platform, fill or look, end it; what was seen."""
    platform = await Platform.open(settings.load(config), config=config)
    stop = asyncio.Event()
    running = asyncio.create_task(platform.run(stop=stop))
    try:
        ready = asyncio.create_task(platform.ready.wait())
        await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED, timeout=60)
        assert ready.done() or running.result() is None
        if work == "fill":
            await fill(platform)
        opened = await platform.governance.sign_in("duty.one", PASSWORD, terminal=HERE)
        sources = [platform.rtsp.source(code).password for code in platform.rtsp._sources]
        rows = await platform.stores.series.query("SELECT count(), sum(n) FROM readings_of_a_test")
        if work == "refused":
            for command in (["media", "reindex"], ["key", "rotate"]):
                assert await asyncio.to_thread(status, [*command, "--config", str(config)]) == 1
            with pytest.raises(Conflict, match="another process"):
                await Platform.open(settings.load(config))
            assert await asyncio.to_thread(status, ["ledger", "verify", "--config", str(config)]) == 0
        devices = DeviceSecrets(state=platform.stores.state, sealer=platform.sealer, clock=platform.clock, domain=None)
        if work == "fill":
            await devices.put(DEVICE, "a recorder's password")
        await devices.load()
        return [opened.session.username, *sources, str(devices.of(DEVICE)), str(rows)]
    finally:
        stop.set()
        await running


async def fill(platform: Platform) -> None:
    await platform.governance.seed(
        [NewUser(username="duty.one", display_name="值班员", password=PASSWORD, role=Role.OPERATOR, org_id=CITY)]
    )
    async with platform.stores.state.begin() as tx:
        await rtsp_store.put_source(
            tx,
            {
                "code": "camera-1",
                "url_main": "rtsp://192.0.2.9/main",
                "url_sub": "",
                "username": "admin",
                "sealed_password": platform.sealer.seal(b"a camera's password", context="rtsp:camera-1"),
                "transport": "tcp",
                "changed_at": platform.clock.now(),
            },
        )
    await platform.rtsp.load()
    await platform.stores.series.execute("CREATE TABLE readings_of_a_test (n UInt32) ENGINE = MergeTree ORDER BY n")
    await platform.stores.series.execute("INSERT INTO readings_of_a_test SELECT number FROM numbers(1000)")


def status(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stopped platform that holds something; copy it before changing it."""
    folder = tmp_path_factory.mktemp("city")
    asyncio.run(run_once(configure(folder), "fill"))
    return folder


@pytest.fixture
def city(filled: Path, tmp_path: Path) -> Path:
    """The settings file of a copy."""
    shutil.copytree(filled, tmp_path / "city", symlinks=True, ignore=shutil.ignore_patterns("run"))
    return configure(tmp_path / "city")


def test_the_drill(city: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "copy"
    seen = asyncio.run(run_once(city, "refused"))
    assert seen == ["duty.one", "a camera's password", "a recorder's password", "[(1000, 499500)]"]
    assert status(["backup", "--config", str(city), "--to", str(copy)]) == 0
    told = capsys.readouterr().out
    assert f"backup written to {copy}" in told
    series = re.search(r"series: (\d+) rows in \d+ tables", told)
    assert series is not None and int(series[1]) >= 1000  # the platform's own tables, too
    assert "master key: guard it" in told
    assert status(["backup", "--config", str(city), "--to", str(copy)]) == 1  # a backup is never overwritten

    elsewhere = configure(tmp_path / "elsewhere")
    assert status(["restore", "--config", str(elsewhere), "--from", str(copy)]) == 0
    told = capsys.readouterr().out
    assert "master key: restored to" in told
    assert "rows, sound" in told
    assert (tmp_path / "elsewhere" / "master.key").stat().st_mode & 0o777 == 0o600
    assert asyncio.run(run_once(elsewhere, "look")) == seen
    assert status(["restore", "--config", str(elsewhere), "--from", str(copy)]) == 1
    assert "exists already" in capsys.readouterr().err


async def test_the_drill_with_a_platform_that_goes_on_writing(tmp_path: Path) -> None:
    config, copy = configure(tmp_path / "city"), tmp_path / "copy"
    platform = await Platform.open(settings.load(config), config=config)
    stop = asyncio.Event()
    running = asyncio.create_task(platform.run(stop=stop))
    written = 0

    async def go_on() -> None:
        nonlocal written
        while True:  # first the series, then a session and its rows in the ledger
            await platform.stores.series.insert("readings_of_a_test", ["n"], [[written]])
            await platform.governance.sign_in("duty.one", PASSWORD, terminal=HERE)
            written += 1

    await fill(platform)
    await platform.stores.series.execute("TRUNCATE TABLE readings_of_a_test")
    writing = asyncio.create_task(go_on())
    while written < 5:
        await asyncio.sleep(0.01)
    before = written
    assert await asyncio.to_thread(status, ["backup", "--config", str(config), "--to", str(copy)]) == 0
    assert not writing.done()
    during = written
    while written < during + 2:  # merges and writers go on
        await asyncio.sleep(0.01)
    writing.cancel()
    with Claim.take(config.parent / "data", BACKUP):
        assert await asyncio.to_thread(status, ["backup", "--config", str(config), "--to", str(tmp_path / "b")]) == 1
        await archive.resume_merges(config.parent / "data", platform.stores.series)  # leaves a backup alone
    await archive.resume_merges(config.parent / "data", platform.stores.series)
    stop.set()
    await running

    elsewhere = configure(tmp_path / "elsewhere")
    restored = await archive.bring_back(settings.load(elsewhere), copy)
    assert (restored.ledger.faults, restored.ledger.rows >= before) == ([], True)
    platform = await Platform.open(settings.load(elsewhere))
    try:
        async with platform.stores.state.read() as tx:
            ((sessions,),) = await tx.execute(sa.text("SELECT count(*) FROM sessions"))
        ((readings,),) = await platform.stores.series.query("SELECT count() FROM readings_of_a_test")
        assert before <= sessions <= readings <= written  # series know what the state knows, and perhaps more
        await platform.governance.sign_in("duty.one", PASSWORD, terminal=HERE)
    finally:
        await platform.close()


def test_a_damaged_backup_changes_nothing(city: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "copy"
    assert status(["backup", "--config", str(city), "--to", str(copy), "--without-key"]) == 0
    elsewhere = configure(tmp_path / "elsewhere")
    chunk = next((copy / "series").rglob("*.native.z"))
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[:-1])
    assert status(["restore", "--config", str(elsewhere), "--from", str(copy)]) == 1
    assert "not what it was" in capsys.readouterr().err
    assert not (tmp_path / "elsewhere" / "data").exists()
    chunk.write_bytes(whole)
    assert status(["restore", "--config", str(elsewhere), "--from", str(copy)]) == 0
    assert "put the old one at" in capsys.readouterr().out


def test_another_master_key_is_not_replaced(city: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "copy"
    assert status(["backup", "--config", str(city), "--to", str(copy)]) == 0
    elsewhere = configure(tmp_path / "elsewhere")
    key = tmp_path / "elsewhere" / "master.key"
    key.write_text("00000000 AAAA\n")
    assert status(["restore", "--config", str(elsewhere), "--from", str(copy)]) == 1
    assert "other keys" in capsys.readouterr().err
    assert key.read_text() == "00000000 AAAA\n"
    shutil.copyfile(city.parent / "master.key", key)
    assert status(["restore", "--config", str(elsewhere), "--from", str(copy)]) == 1
    assert "can be read by others" in capsys.readouterr().err
    key.chmod(0o600)
    assert status(["restore", "--config", str(elsewhere), "--from", str(copy)]) == 0
    assert "is kept" in capsys.readouterr().out


def test_a_rotated_key_seals_all_secrets(city: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = city.parent / "master.key"
    before = key.read_text()
    assert status(["key", "rotate", "--config", str(city)]) == 0
    assert "2 secrets were sealed anew" in capsys.readouterr().out
    after = key.read_text()
    assert after.endswith(before)
    assert len(after.splitlines()) == 2
    key.write_text(after.splitlines()[0] + "\n")  # nothing needs the old one any more
    assert {"a camera's password", "a recorder's password"} <= set(asyncio.run(run_once(city, "look")))
    assert status(["ledger", "verify", "--config", str(city)]) == 0  # the old key named its heir


def test_a_changed_ledger_is_found(city: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["ledger", "verify", "--config", str(city)]) == 0
    sound = capsys.readouterr().out
    assert sound.endswith("sound\n")
    elsewhere = configure(tmp_path / "elsewhere")
    assert status(["ledger", "verify", "--config", str(elsewhere), "--data", str(city.parent / "data")]) == 0
    assert capsys.readouterr().out == sound
    file = next((city.parent / "data" / "ledger").rglob("*.ledger"))
    data = bytearray(file.read_bytes())
    data[-10] ^= 1
    file.write_bytes(data)
    assert status(["ledger", "verify", "--config", str(city), "--data", str(city.parent / "data")]) == 1
    told = capsys.readouterr().out
    assert re.search(rf"✗ main-1 {file.name} row \d+: the hash does not fit", told) and told.endswith("1 faults\n")


def test_anchors_are_copied_and_verified_against(
    city: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "off-the-host"
    assert status(["ledger", "anchors", "--config", str(city), "--to", str(copy)]) == 0
    told = capsys.readouterr().out
    assert f" anchors copied to {copy}, which has " in told  # at least that of the orderly end
    count = len(copy.read_bytes().splitlines())
    key = re.search(r"main-1: the next one is signed with the key ([0-9a-f]{64})", told)
    assert key is not None
    verify = ["ledger", "verify", "--config", str(city), "--anchors", str(copy)]
    assert status(verify) == 0
    told = capsys.readouterr().out
    assert f"anchors main-1: {count}, the last of " in told and key[1] in told
    assert f"copy of anchors: {count}" in told
    asyncio.run(run_once(city, "look"))
    assert status(["ledger", "anchors", "--config", str(city), "--to", str(copy)]) == 0
    lines = copy.read_bytes().splitlines(keepends=True)
    added = len(lines) - count
    assert f"{added} anchors copied to {copy}, which has {count + added}" in capsys.readouterr().out
    assert added >= 1
    (kept,) = (city.parent / "data" / "anchors").iterdir()
    assert kept.read_bytes() == copy.read_bytes()
    kept.write_bytes(lines[0])
    assert status(verify) == 1
    told = capsys.readouterr().out
    assert f"✗ main-1 anchor 2: the list ends here, but number {len(lines)} was written" in told
    assert "✗ main-1 anchor 2: was copied, and is missing or changed here" in told
    assert status(["ledger", "anchors", "--config", str(city), "--to", str(copy)]) == 1
    assert "keep the copy, and verify against it" in capsys.readouterr().err


def test_without_its_key_the_platform_does_not_start(city: Path) -> None:
    """A new key in the place of the lost one would sign whatever somebody put there meanwhile."""
    key = city.parent / "master.key"
    kept = key.read_bytes()
    key.unlink()
    with pytest.raises(Unavailable, match="cannot be read"):
        asyncio.run(run_once(city, "look"))
    assert not key.exists()
    open_keys(key)
    with pytest.raises(Unavailable, match="the key file does not have it"):
        asyncio.run(run_once(city, "look"))
    key.write_bytes(kept)
    assert "duty.one" in asyncio.run(run_once(city, "look"))
    assert status(["ledger", "verify", "--config", str(city)]) == 0


def test_the_media_index_is_rebuilt(city: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = city.parent / "data"
    video = recordings.encode(tmp_path / "video.mp4", seconds=4, audio=False)
    ((_, data_of_one), *_) = recordings.cut(video, every_gops=10)
    segment, stored = recordings.segment_of(data_of_one, start_us=recordings.START_US)
    objects = Objects.open(f"file://{data / 'objects'}")
    asyncio.run(objects.put(segment.key, stored))
    objects.close()
    for name in ("media.db", "media.db-wal", "media.db-shm"):
        (data / name).unlink(missing_ok=True)
    assert status(["media", "reindex", "--config", str(city)]) == 0
    assert "1 objects: 1 added, 0 known" in capsys.readouterr().out
    assert status(["media", "reindex", "--config", str(city)]) == 0
    assert "1 objects: 0 added, 1 known" in capsys.readouterr().out
    (data / "objects" / segment.key).write_bytes(b"not a video")
    assert status(["media", "reindex", "--config", str(city)]) == 1
    assert f"✗ {segment.key}: " in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [["backup"], ["restore"], ["ledger"], ["media"], ["key"], ["key", "forge"], ["backup", "--to"], ["nonsense"], []],
)
def test_wrong_arguments_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert status(arguments) == 2
    assert "usage: anwang" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["backup", "--to", "x"],
        ["ledger", "verify"],
        ["ledger", "anchors", "--to", "x"],
        ["key", "rotate"],
        ["restore", "--from", "missing"],
    ],
)
def test_without_a_platform_there_is_a_reason(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configure(tmp_path)
    assert status([*arguments, "--config", str(config)]) == 1
    assert capsys.readouterr().err.startswith("anwang: ")
    assert not (tmp_path / "data" / "state.db").exists()
    assert not (tmp_path / "master.key").exists()


def test_settings_explain_themselves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "anwang.toml"
    config.write_text('data = "d"\n[media]\nrtp_ports = [4000, 4999]\n[zones."专网"]\nnetworks = ["10.0.0.0/8"]\n')
    assert status(["settings", "--config", str(config)]) == 0
    printed = capsys.readouterr().out
    read = msgspec.convert(tomllib.loads(printed), settings.Settings)
    assert read == settings.load(config, {})
    assert "\n# segment_seconds = 60.0\n" in printed
    config.write_text('[stores]\nstate_url = "postgresql://user:hidden@db/anwang"\n')
    assert status(["settings", "--config", str(config)]) == 0
    assert "hidden" not in capsys.readouterr().out


async def test_an_upgrade_is_preceded_by_a_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings.load(configure(tmp_path))
    await close_stores(await open_stores(found, backup=before_upgrade(found)))
    backups = tmp_path / "data" / "backups"
    assert not backups.exists()  # nothing was there to be copied

    versions = tmp_path / "versions"
    shutil.copytree(MEDIA.versions, versions, ignore=shutil.ignore_patterns("__pycache__"))
    newer = replace(MEDIA, versions=versions)
    make_revision("more", schema=newer, empty=True)
    for module in (build, archive):
        monkeypatch.setattr(module, "MEDIA", newer)
    stores = await open_stores(found, backup=before_upgrade(found))
    assert await revision_of(stores.media, newer) == newer.head() != MEDIA.head()
    await close_stores(stores)
    (copy,) = backups.iterdir()
    await close_stores(await open_stores(found, backup=before_upgrade(found)))
    assert len(list(backups.iterdir())) == 1
    monkeypatch.undo()

    elsewhere = configure(tmp_path / "elsewhere")
    assert await asyncio.to_thread(status, ["restore", "--config", str(elsewhere), "--from", str(copy)]) == 0
    restored = await open_state(settings.load(elsewhere), MEDIA)
    assert await revision_of(restored, MEDIA) == MEDIA.head()
    await restored.close()


def test_a_data_folder_has_one_owner(tmp_path: Path) -> None:
    with Claim.take(tmp_path), pytest.raises(Conflict, match="another process"):
        Claim.take(tmp_path)
    Claim.take(tmp_path).release()


async def test_a_key_inside_the_data_folder_is_refused(tmp_path: Path) -> None:
    found = settings.Settings(data=str(tmp_path / "data"), key_file=str(tmp_path / "data" / "keys" / "master.key"))
    with pytest.raises(Invalid, match="inside the data folder"):
        await Platform.open(found)
    assert not (tmp_path / "data" / "keys").exists()
    with Claim.take(tmp_path / "data"):
        pass  # the refused start let go of it


async def test_a_renamed_organisation_is_renamed_in_its_accounts(tmp_path: Path) -> None:
    platform = await Platform.open(settings.load(configure(tmp_path)))
    try:
        district = await platform.registry.add_organisation(name="北区", kind=OrgKind.DISTRICT)
        await platform.governance.seed(
            [NewUser(username="duty.two", display_name="二", password=PASSWORD, role=Role.VIEWER, org_id=district.id)]
        )
        token = (await platform.governance.sign_in("duty.two", PASSWORD, terminal=HERE)).token
        following = asyncio.create_task(platform.accounts.run())
        await platform.registry.put_organisations([replace(district, name="新北区")])
        moved = ImportMoved(id="1", kind="organisations", status="published", rows=1, done=1)
        platform.imports._announce(moved)
        async with asyncio.timeout(60):
            while (await platform.governance.actor(token)).org_name != "新北区":
                await asyncio.sleep(0.01)
        following.cancel()
    finally:
        await platform.close()
