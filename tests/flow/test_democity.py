"""The simulated city over real sockets, against a small platform made of the same wire machines, FFmpeg and SIPp."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import mean

import av
import numpy as np
import pytest
from PIL import Image

from anwang.democity.city import CityOptions, Running, run_city, world
from anwang.democity.control import Control
from anwang.democity.devices.device import Simulated
from anwang.democity.devices.faults import Fault
from anwang.democity.devices.line import Line
from anwang.democity.load import LoadOptions, load
from anwang.democity.pictures import Library, drawing, osd
from anwang.democity.world import Round, generate, plan
from anwang.runtime.clock import SystemClock
from anwang.wire import gb28181 as gb
from anwang.wire import sip
from anwang.wire.gb28181 import mansrtsp
from anwang.wire.units import Codec, Kind, Unit
from tests.conftest import missing
from tests.flow.small_platform import PASSWORD, SERVER, Received, SmallPlatform

PLATFORM_DEVICE = "99010400002000000001"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose picture cache holds one scene, so that nobody waits for drawings."""
    folder = tmp_path_factory.mktemp("city")
    drawing.make(Library(folder / "pictures").folder, "control")
    return folder


class Scene:
    """A platform and a running city."""

    def __init__(self, platform: SmallPlatform, city: Running) -> None:
        self.platform, self.city = platform, city

    def line_of(self, code: str) -> Line:
        return next(line for line in self.city.lines if code in line.members)

    def device(self, wanted: Callable[[object], bool]) -> str:
        return next(code for code, mind in self.city.minds.items() if mind.device.kind != "rtsp" and wanted(mind))

    def camera(
        self, *, version: str = "3.0", transport: str = "UDP", turns: bool = False, audio: str = ""
    ) -> tuple[str, str]:
        """A single H.264 camera: its code and its channel's."""
        for code, mind in self.city.minds.items():
            device = mind.device
            if (
                device.kind == "camera"
                and device.version == version
                and device.transport in (transport or ("UDP", "TCP"))
            ):
                [camera] = mind.cameras.values()
                point = camera.point
                if point.codec == "h264" and point.can_turn == turns and device.audio == audio and point.lifecycle == 1:
                    return code, point.code
        raise AssertionError("no such camera in this city")


@pytest.fixture
async def scene(data: Path) -> AsyncIterator[Scene]:
    async with SmallPlatform() as platform:
        options = CityOptions(
            data=data, port=platform.port, password=PASSWORD, scale=0.2, ramp_s=0.1, rtsp_password=PASSWORD
        )
        city = Running(options, world(options), SystemClock())
        await city.open()
        await city.register_all()
        devices = sum(len(line.members) for line in city.lines)
        await platform.until(lambda: len(platform.registered) == devices, 60)
        yield Scene(platform, city)
        await city.close()


def video(received: Received) -> list[Unit]:
    return [unit for unit in received.units if unit.kind is Kind.VIDEO]


async def test_every_device_registers_with_digest(scene: Scene) -> None:
    platform, city = scene.platform, scene.city
    kinds = {mind.device.kind for code, mind in city.minds.items() if code in platform.registered}
    assert kinds == {"camera", "nvr", "platform"}
    transports = {peer.transport for peer in platform.registered.values()}
    assert transports == {"udp", "tcp"}
    for code, version in platform.versions.items():
        assert version == (gb.V2022 if city.minds[code].device.version == "3.0" else None)
    assert city.status()["registered"] == len(platform.registered)


async def test_catalogues_come_whole_in_many_messages(scene: Scene) -> None:
    platform, city = scene.platform, scene.city
    items = await platform.catalogue(PLATFORM_DEVICE)
    device = city.minds[PLATFORM_DEVICE].device
    assert items[0].device_id == PLATFORM_DEVICE
    assert not items[0].parents, "the answering platform itself has no ParentID (2016 annex O)"
    kinds = {gb.type_of(item.device_id) or "region" for item in items}
    assert {"200", "215", "216", "132", "region"} <= kinds
    assert set(device.channels) <= {item.device_id for item in items}
    folder = next(item for item in items if gb.type_of(item.device_id) == "216")
    below = await platform.catalogue(PLATFORM_DEVICE, folder.device_id)
    assert {item.device_id for item in below} == {folder.device_id} | {
        item.device_id for item in items if folder.device_id in item.parents
    }
    recorder = scene.device(lambda mind: mind.device.kind == "nvr")
    items = await platform.catalogue(recorder)
    assert items[0].device_id == recorder
    assert all(item.parents == (recorder,) for item in items[1:])
    assert [item.name for item in items[1:]] == [
        next(point.name for point in city.city.points if point.code == code)
        for code in city.minds[recorder].device.channels
    ]


async def test_queries_are_answered(scene: Scene) -> None:
    platform = scene.platform
    code, channel = scene.camera()
    for query, kind in (
        (gb.DeviceInfoQuery, gb.DeviceInfoResponse),
        (gb.DeviceStatusQuery, gb.DeviceStatusResponse),
        (gb.PresetQuery, gb.PresetResponse),
    ):
        sn = platform.next_sn()
        await platform.ask(code, query(sn=sn, device_id=channel))
        await platform.until(lambda kind=kind, sn=sn: platform.answers(kind, sn))
    sn = platform.next_sn()
    await platform.ask(code, gb.ConfigQuery(sn=sn, device_id=code, kinds=("BasicParam", "VideoParamOpt")))
    await platform.until(lambda: len(platform.answers(gb.ConfigResponse, sn)) == 2)
    basic = next(one.basic for one in platform.answers(gb.ConfigResponse, sn) if one.basic)
    assert basic.heartbeat_interval_s == 60
    now, sn = SystemClock().now(), platform.next_sn()
    await platform.ask(code, gb.RecordInfoQuery(sn=sn, device_id=channel, start=now.replace(hour=0, minute=0), end=now))
    await platform.until(lambda: platform.answers(gb.RecordInfoResponse, sn))
    sn = platform.next_sn()
    await platform.ask(code, gb.DeviceControl(sn=sn, device_id=code, command=gb.Guard(is_set=False)))
    await platform.until(lambda: platform.answers(gb.Outcome, sn))
    assert platform.answers(gb.Outcome, sn)[0].is_ok


@pytest.mark.parametrize("how", ["udp", "passive", "active"])
@pytest.mark.parametrize("stream", [0, 1])
async def test_live_video_flows(scene: Scene, how: str, stream: int) -> None:
    platform = scene.platform
    code, channel = scene.camera(transport="UDP" if how == "udp" else "TCP")
    begun = SystemClock().micros() // 1000
    call, received, answer = await platform.invite(code, channel, how, stream=stream, number=7)
    await platform.until(lambda: len(video(received)) >= 20)
    assert answer.ssrc_number == 100000007
    assert received.ssrcs == {100000007}
    units = video(received)
    assert units[0].is_key
    assert {unit.codec for unit in units} == {Codec.H264}
    steps = {b.pts_90k - a.pts_90k for a, b in pairwise(units) if a.pts_90k is not None and b.pts_90k is not None}
    assert steps == {7200 if stream else 3600}
    context = av.CodecContext.create("h264", "r")
    assert isinstance(context, av.VideoCodecContext)
    frames = [frame for unit in units for frame in context.decode(av.Packet(unit.data))]
    size = (640, 360) if stream else (1280, 720)
    assert (frames[0].width, frames[0].height) == size
    shown = osd.read_clock(np.asarray(frames[0].to_ndarray(), np.uint8)[: size[1]])
    assert shown is not None
    assert begun - 1000 <= shown <= SystemClock().micros() // 1000
    await platform.hang_up(call)
    assert scene.city.status()["streams"] == 0


async def test_ffmpeg_reads_the_program_stream(scene: Scene) -> None:
    platform = scene.platform
    code, channel = scene.camera(version="2.0", audio="g711a", transport="")
    call, received, _ = await platform.invite(code, channel, "passive")
    await platform.until(lambda: len(video(received)) >= 30)
    await platform.hang_up(call)
    with av.open(io.BytesIO(bytes(received.raw)), format="mpeg") as container:
        frames = list(container.decode(video=0))
        assert len(frames) >= 25
        assert container.streams.audio[0].codec_context.name == "pcm_alaw"
    sounds = [unit for unit in received.units if unit.kind is Kind.AUDIO]
    assert {unit.codec for unit in sounds} == {Codec.G711A}
    assert mean(len(unit.data) for unit in sounds) == 320


async def test_the_same_stream_again_replaces_the_first(scene: Scene) -> None:
    platform = scene.platform
    code, channel = scene.camera()
    first, received, _ = await platform.invite(code, channel, "udp", number=1)
    await platform.until(lambda: video(received))
    second, again, _ = await platform.invite(code, channel, "udp", number=1)
    await platform.until(lambda: any(isinstance(e, sip.Ended) and e.call == first for e in platform.events))
    await platform.until(lambda: len(video(again)) > 3)
    assert scene.city.status()["streams"] == 1
    await platform.hang_up(second)


async def test_recordings_end_with_a_notice(scene: Scene) -> None:
    platform = scene.platform
    code, channel = scene.camera()
    start = SystemClock().micros() // 1_000_000 - 3600
    call, received, _ = await platform.invite(
        code, channel, "udp", stream=1, name="Playback", start=start, stop=start + 2, number=2
    )
    await platform.until(lambda: any(isinstance(one, gb.MediaStatus) for one in platform.told))
    notice = next(one for one in platform.told if isinstance(one, gb.MediaStatus))
    assert notice.is_end_of_file
    units = video(received) + received.demuxer.flush()
    assert 24 <= len(units) <= 26
    context = av.CodecContext.create("h264", "r")
    assert isinstance(context, av.VideoCodecContext)
    [frame] = context.decode(av.Packet(units[0].data)) or context.decode(None)
    assert osd.read_clock(np.asarray(frame.to_ndarray(), np.uint8)[:360]) == start * 1000
    await platform.hang_up(call)


async def info(platform: SmallPlatform, call: int, command: mansrtsp.Command) -> mansrtsp.Answer:
    """Playback control inside a call, and what it was answered."""
    body = mansrtsp.serialize_command(command)
    number = platform.sip.ask_in_call(call, "INFO", platform.now(), content_type=mansrtsp.CONTENT_TYPE, body=body)
    await platform.flush()

    def answers() -> list[sip.Response]:
        return [e.response for e in platform.events if isinstance(e, sip.Answered) and e.transaction == number]

    await platform.until(answers)
    return mansrtsp.parse_answer(answers()[0].body)


async def test_a_camera_of_2022_uploads_a_picture(scene: Scene) -> None:
    platform = scene.platform
    code, channel = scene.camera(version="3.0")
    uploads: list[bytes] = []

    async def door(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = (line.lower().partition(b":") for line in head.split(b"\r\n"))
        size = next(int(value) for name, _, value in lines if name == b"content-length")
        uploads.append(await reader.readexactly(size))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(door, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/one/time"
    sn = platform.next_sn()
    shot = gb.SnapShotConfig(count=1, interval_s=1, upload_url=url, session_id="s" * 32)
    await platform.ask(code, gb.DeviceConfig(sn=sn, device_id=channel, snapshot=shot))
    await platform.until(lambda: any(isinstance(one, gb.UploadSnapShotFinished) for one in platform.told))
    done = next(one for one in platform.told if isinstance(one, gb.UploadSnapShotFinished))
    server.close()
    assert platform.answers(gb.Outcome, sn)[0].is_ok
    assert done.session_id == "s" * 32 and len(done.files) == 1 and len(done.files[0]) == 41
    with Image.open(io.BytesIO(uploads[0])) as picture:
        assert (picture.format, picture.size) == ("JPEG", (1280, 720))

    older, older_channel = scene.camera(version="2.0")
    sn = platform.next_sn()
    await platform.ask(older, gb.DeviceConfig(sn=sn, device_id=older_channel, snapshot=shot))
    await platform.until(lambda: platform.answers(gb.Outcome, sn))
    assert not platform.answers(gb.Outcome, sn)[0].is_ok


async def test_a_recording_goes_where_it_is_told(scene: Scene) -> None:
    """The burnt-in clock is that of the moment asked for, before and after a seek; what can't be is refused."""
    platform = scene.platform
    code, channel = scene.camera()
    start = SystemClock().micros() // 1_000_000 - 7200
    call, received, _ = await platform.invite(
        code, channel, "passive", stream=1, name="Playback", start=start, stop=start + 600, number=8
    )

    def clock_of(unit: Unit) -> int:
        context = av.CodecContext.create("h264", "r")
        assert isinstance(context, av.VideoCodecContext)
        [frame] = context.decode(av.Packet(unit.data)) or context.decode(None)
        shown = osd.read_clock(np.asarray(frame.to_ndarray(), np.uint8)[:360])
        assert shown is not None
        return shown

    await platform.until(lambda: len(video(received)) > 3)
    assert clock_of(video(received)[0]) == start * 1000
    assert (await info(platform, call, mansrtsp.Play(cseq=1, start=300))).start == 300
    await platform.until(
        lambda: any(unit.is_key and clock_of(unit) == (start + 300) * 1000 for unit in video(received))
    )
    assert (await info(platform, call, mansrtsp.Play(cseq=2, scale=4))).scale == 4
    assert (await info(platform, call, mansrtsp.Play(cseq=3, start=601))).status == 457
    assert (await info(platform, call, mansrtsp.Play(cseq=4, scale=-1))).status == 400
    assert (await info(platform, call, mansrtsp.Pause(cseq=5))).status == 200
    await platform.hang_up(call)
    with pytest.raises(AssertionError, match="404"):  # that long ago nothing is left
        await platform.invite(code, channel, "udp", name="Playback", start=start - 90_000, stop=start - 86_000)


async def test_heads_cruise_go_home_and_tell(scene: Scene) -> None:
    platform = scene.platform
    codes = [
        (mind.code, code)
        for mind in scene.city.minds.values()
        for code, camera in mind.cameras.items()
        if mind.version >= gb.V2022 and camera.point.can_turn and mind.code in platform.registered
    ]
    code, channel = codes[0]
    head = scene.city.minds[code].cameras[channel].head

    async def order(command: gb.Command) -> gb.Outcome | None:
        sn = platform.next_sn()
        control = gb.DeviceControl(sn=sn, device_id=channel, command=command)
        await platform.ask(code, control)
        if not control.wants_answer:
            return None
        await platform.until(lambda: platform.answers(gb.Outcome, sn))
        return platform.answers(gb.Outcome, sn)[0]

    async def front_end(wish: gb.PtzCommand) -> None:
        await order(gb.Ptz(gb.frame_of(wish)))

    for preset in (1, 2):
        await front_end(gb.Cruise(gb.CruiseAct.ADD, 9, preset))
    await front_end(gb.Cruise(gb.CruiseAct.DWELL, 9, 1))
    sn = platform.next_sn()
    await platform.ask(code, gb.CruiseTrackQuery(sn=sn, device_id=channel, number=9))
    await platform.until(lambda: platform.answers(gb.CruiseTrackResponse, sn))
    told = platform.answers(gb.CruiseTrackResponse, sn)[0]
    assert [(point.preset, point.stay_s) for point in told.points] == [(1, 1), (2, 1)]
    await front_end(gb.Cruise(gb.CruiseAct.START, 9))
    at, poses = 1_000_000, set()
    for _ in range(400):
        at += 100_000
        poses.add(head.at(at))
    assert {head.presets[1], head.presets[2]} <= poses, "it has been at both"
    await front_end(gb.Move())
    still = head.at(at + 5_000_000)
    assert head.at(at + 15_000_000) == still, "a stop ends the round"

    assert (await order(gb.HomePosition(True, 10, 3))) is not None
    sn = platform.next_sn()
    await platform.ask(code, gb.HomePositionQuery(sn=sn, device_id=channel))
    await platform.until(lambda: platform.answers(gb.HomePositionResponse, sn))
    assert platform.answers(gb.HomePositionResponse, sn)[0].home == gb.HomePosition(True, 10, 3)
    at += 15_000_000
    for _ in range(300):
        at += 200_000
        head.at(at)
    assert head.pose == head.presets[3], "idle for long enough it goes home"
    refused = await order(gb.HomePosition(True, 10, 77))
    assert refused is not None and not refused.is_ok


async def test_a_camera_is_turned(scene: Scene) -> None:
    platform = scene.platform
    code, channel = scene.camera(turns=True)
    head = scene.city.minds[code].cameras[channel].head
    call, _, _ = await platform.invite(code, channel, "udp", stream=1)
    frame = gb.frame_of(gb.Move(pan=1, pan_speed=200))
    before = head.at(SystemClock().micros()).pan
    await platform.ask(code, gb.DeviceControl(sn=platform.next_sn(), device_id=channel, command=gb.Ptz(frame)))
    await platform.until(lambda: head.at(SystemClock().micros()).pan > before + 0.05)
    await platform.ask(
        code, gb.DeviceControl(sn=platform.next_sn(), device_id=channel, command=gb.Ptz(gb.frame_of(gb.Move())))
    )
    still = head.at(SystemClock().micros())
    await platform.ask(
        code,
        gb.DeviceControl(
            sn=platform.next_sn(), device_id=channel, command=gb.Ptz(gb.frame_of(gb.Preset(gb.PresetAct.SET, 9)))
        ),
    )
    assert head.presets[9] == still
    await platform.hang_up(call)


async def test_unknown_channels_and_senseless_offers_are_refused(scene: Scene) -> None:
    platform = scene.platform
    code, channel = scene.camera()
    with pytest.raises(AssertionError, match="404"):
        await platform.invite(code, f"{channel[:-6]}999999", "udp")
    number = platform.sip.invite(
        local=sip.Uri(SERVER, SERVER[:10]), remote=sip.Uri(channel, SERVER[:10]), peer=platform.registered[code],
        now=platform.now(), body=b"v=0\r\n",
    )  # fmt: skip
    await platform.flush()
    await platform.until(lambda: any(isinstance(e, sip.Ended) and e.call == number for e in platform.events))
    ended = next(e for e in platform.events if isinstance(e, sip.Ended) and e.call == number)
    assert isinstance(ended.message, sip.Response)
    assert ended.message.status == 488


async def test_the_showcase_sees_things_move_by_turns(scene: Scene) -> None:
    """The recording of a camera on event is called by this, in a demo."""
    platform, city = scene.platform, scene.city
    city.options = replace(city.options, alarm_every_s=0.05)
    moving = asyncio.create_task(city.see_things_move())
    try:
        await platform.until(lambda: sum(isinstance(one, gb.AlarmNotify) for one in platform.told) >= 3)
    finally:
        moving.cancel()
    told = [one for one in platform.told if isinstance(one, gb.AlarmNotify)]
    assert {(one.method, one.alarm_type) for one in told} == {(5, 2)}
    assert {one.device_id for one in told} <= set(city.city.showcase)


async def test_subscribers_hear_what_is_offline_and_alarms_go_out(scene: Scene) -> None:
    platform, city = scene.platform, scene.city
    code = scene.device(lambda mind: any(not item.is_online for item in mind.items))
    subscription = platform.sip.subscribe(
        local=sip.Uri(SERVER, SERVER[:10]), remote=sip.Uri(code, SERVER[:10]), peer=platform.registered[code],
        now=platform.now(), event=sip.EventType("Catalog", "1"), expires_s=600,
        body=gb.serialize(gb.CatalogQuery(sn=1, device_id=code)),
    )  # fmt: skip
    await platform.flush()
    await platform.until(lambda: any(isinstance(one, gb.CatalogNotify) for one in platform.told))
    notice = next(one for one in platform.told if isinstance(one, gb.CatalogNotify))
    assert {item.event for item in notice.items} == {gb.ItemEvent.OFF}
    assert subscription

    control = city.control
    camera, channel = scene.camera()
    order = {"do": "alarm", "device": camera, "channel": channel, "method": 2, "type": 1, "words": "视频丢失"}
    assert control.obey(json.dumps(order)) == {"ok": True, "sent": "message"}
    await platform.until(lambda: any(isinstance(one, gb.AlarmNotify) for one in platform.told))
    assert control.obey(json.dumps(order)) == {"ok": True, "sent": "silent"}, (
        "silent until somebody resets it (2016 A.2.5)"
    )
    sn = platform.next_sn()
    await platform.ask(camera, gb.DeviceControl(sn=sn, device_id=camera, command=gb.ResetAlarm()))
    await platform.until(lambda: platform.answers(gb.Outcome, sn))
    assert control.obey(json.dumps(order))["sent"] == "message"


async def watch_positions(platform: SmallPlatform, device: str, interval_s: int | None) -> int:
    """Ask a device to tell where it is; the subscription."""
    query = gb.MobilePositionQuery(sn=platform.next_sn(), device_id=device, interval_s=interval_s)
    number = platform.sip.subscribe(
        local=sip.Uri(SERVER, SERVER[:10]), remote=sip.Uri(device, SERVER[:10]), peer=platform.registered[device],
        now=platform.now(), event=sip.EventType("presence"), expires_s=600, body=gb.serialize(query),
    )  # fmt: skip
    await platform.flush()
    return number


async def test_what_moves_tells_where_it_is_and_what_stands_does_not(scene: Scene) -> None:
    platform, city = scene.platform, scene.city
    car = scene.device(lambda mind: mind.moves and mind.device.kind == "nvr")  # type: ignore[attr-defined]
    walker = scene.device(lambda mind: mind.moves and mind.device.kind == "camera")  # type: ignore[attr-defined]

    def told(device: str) -> list[gb.Position]:
        notices = [one for one in platform.told if isinstance(one, gb.MobilePositionNotify) and one.device_id == device]
        return [position for one in notices for position in one.positions]

    subscriptions = {code: await watch_positions(platform, code, 1) for code in (car, walker)}
    await platform.until(lambda: len(told(car)) >= 3 and len(told(walker)) >= 3)
    for device in (car, walker):
        beat = city.minds[device].device.beat
        assert beat is not None
        for position in told(device):
            assert position.at is not None and position.device_id == device
            place, direction_deg = Round(beat).at(position.at.timestamp())
            assert (position.longitude, position.latitude) == place
            assert (position.speed_kmh, position.direction_deg) == (beat.speed_kmh, direction_deg)
        moments = [position.at.timestamp() for position in told(device) if position.at is not None]
        assert moments == sorted(moments) and len(set(moments)) > 1

    city.control.obey(json.dumps({"do": "alarm", "device": walker, "channel": walker, "method": 5, "type": 2}))
    await platform.until(lambda: any(isinstance(one, gb.AlarmNotify) for one in platform.told))
    [alarm] = [one for one in platform.told if isinstance(one, gb.AlarmNotify)]
    assert alarm.longitude is not None and alarm.latitude is not None and alarm.at is not None and beat is not None
    there = Round(beat).at(alarm.at.timestamp()).at
    assert plan.distance_m((alarm.longitude, alarm.latitude), there) < 3, "it says whole seconds"

    platform.sip.unsubscribe(subscriptions[walker], platform.now())
    await platform.flush()
    member = scene.line_of(walker).members[walker]
    await platform.until(lambda: "position" not in member.subscriptions.values())
    silent, going_on = len(told(walker)), len(told(car))
    await platform.until(lambda: len(told(car)) >= going_on + 3)
    assert len(told(walker)) == silent

    standing = scene.device(lambda mind: not mind.moves)  # type: ignore[attr-defined]
    refused = await watch_positions(platform, standing, 1)
    await platform.until(
        lambda: any(isinstance(e, sip.SubscriptionEnded) and e.subscription == refused for e in platform.events)
    )
    [ended] = [e for e in platform.events if isinstance(e, sip.SubscriptionEnded) and e.subscription == refused]
    assert isinstance(ended.message, sip.Response) and ended.message.status == 489


def test_a_car_of_2016_tells_its_place_without_a_name() -> None:
    city = generate(1)
    device = next(one for one in city.devices if one.beat and one.version == "2.0")
    points = {point.code: point for point in city.points}
    mind = Simulated(device, points, city, now=lambda: datetime(2026, 11, 22, 8, 0, 0, 700_000, tzinfo=UTC))
    text = gb.serialize(mind.whereabouts(), mind.version).decode("ascii")
    assert "<Time>2026-11-22T16:00:00</Time>" in text and "<DeviceList" not in text
    assert device.beat is not None
    (longitude, latitude), _ = Round(device.beat).at(datetime(2026, 11, 22, 8, tzinfo=UTC).timestamp())
    read = gb.parse(text.encode())
    assert isinstance(read, gb.MobilePositionNotify)
    assert [(one.longitude, one.latitude) for one in read.positions] == [(longitude, latitude)]


async def test_faults_do_what_they_say(scene: Scene) -> None:
    platform, control = scene.platform, scene.city.control
    code, channel = scene.camera()

    def fault(name: Fault, value: float | None = None) -> None:
        control.obey(json.dumps({"do": "clear", "device": code}))
        order: dict[str, object] = {"do": "fault", "fault": name, "device": code}
        assert control.obey(json.dumps(order | ({"value": value} if value is not None else {})))["ok"]

    fault(Fault.WRONG_SSRC, 12345)
    call, received, _ = await platform.invite(code, channel, "udp", number=3)
    await platform.until(lambda: received.packets > 5)
    assert received.ssrcs == {12345}
    await platform.hang_up(call)

    fault(Fault.NO_KEY)
    call, received, _ = await platform.invite(code, channel, "udp", number=4)
    await platform.until(lambda: received.packets > 40)
    assert not any(unit.is_key for unit in received.units)
    await platform.hang_up(call)

    fault(Fault.LOSS, 0.3)
    call, received, _ = await platform.invite(code, channel, "udp", number=5)
    await platform.until(lambda: len(received.units) > 10)
    sending = scene.line_of(code).streams[0]
    await platform.hang_up(call)
    assert sending.sent_frames > len(received.units)

    fault(Fault.NO_MEDIA)
    call, received, _ = await platform.invite(code, channel, "udp", number=6)
    await platform.until(lambda: scene.line_of(code).streams and scene.line_of(code).streams[0].source is not None)
    assert received.packets == 0
    await platform.hang_up(call)

    recorder = scene.device(lambda mind: mind.device.kind == "nvr")
    assert control.obey(json.dumps({"do": "fault", "fault": "duplicate_code", "device": recorder}))["ok"]
    codes = [item.device_id for item in await platform.catalogue(recorder)]
    assert len(codes) == len(set(codes)) + 1


async def test_a_silent_device_speaks_again_at_once_when_it_may(scene: Scene) -> None:
    """What it did not send was held to be under way: after sixteen keep-alives it never sent another one."""
    platform = scene.platform
    code, _ = scene.camera()
    line, member = scene.line_of(code), scene.line_of(code).members[code]
    member.mind.faults.set(Fault.SILENT, None)
    for _ in range(20):
        due = member.timer_at
        assert due is not None
        line._due(member, due, max(due, member.registration.timer() or 0.0))
    assert platform.keepalives[code] == 0
    member.mind.faults.active.clear()
    line._due(member, member.timer_at or 0.0, member.registration.timer() or 0.0)
    await platform.until(lambda: platform.keepalives[code] == 1)
    assert member.registration.is_registered

    member.mind.faults.set(Fault.SILENT, None)
    line.restart(code)
    assert member.registration.timer() is not None, "one that could not register tries again later"


async def test_a_register_storm_gives_everybody_a_new_call_id(scene: Scene) -> None:
    platform = scene.platform
    before = dict(platform.call_ids)
    answer = scene.city.control.obey('{"do": "storm", "kind": "register"}')
    assert answer["devices"] == len(before)
    await platform.until(lambda: all(platform.call_ids[code] != call for code, call in before.items()), 60)


def test_orders_that_make_no_sense_are_refused_with_a_reason() -> None:
    control = Control([], status=lambda: {"event": "status"}, seed=1)
    for order in ("", "[]", "{", '{"do": "dance"}', '{"do": "fault", "fault": "fire"}', '{"do": "restart", "device": "1"}',  # noqa: E501
                  '{"do": "fault", "fault": "loss", "share": "many"}', b"\xff\xfe"):  # fmt: skip
        answer = control.obey(order)
        assert answer["ok"] is False
        assert answer["reason"]
    assert control.obey('{"do": "status"}') == {"ok": True, "event": "status"}


async def test_rtsp_cameras_ask_for_a_password_and_send(scene: Scene) -> None:
    port = scene.city.rtsp_port
    cameras = [mind for mind in scene.city.minds.values() if mind.device.kind == "rtsp" and mind.device.audio == "aac"]
    mind = next(one for one in cameras if all(camera.point.codec == "h264" for camera in one.cameras.values()))

    def watch(password: str) -> tuple[set[str], int]:
        url = f"rtsp://admin:{password}@127.0.0.1:{port}{mind.device.path}"
        with av.open(url, options={"rtsp_transport": "tcp"}, timeout=15) as container:
            names = {stream.codec_context.name for stream in container.streams}
            pictures = 0
            for frame in container.decode(video=0):
                assert (frame.width, frame.height) == (1280, 720)
                pictures += 1
                if pictures >= 12:
                    break
            return names, pictures

    assert await asyncio.to_thread(watch, PASSWORD) == ({"h264", "aac"}, 12)
    with pytest.raises(av.FFmpegError):
        await asyncio.to_thread(watch, "wrong")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_load_registers_and_keeps_alive(transport: str) -> None:
    async with SmallPlatform() as platform:
        reports: list[dict[str, object]] = []
        options = LoadOptions(
            count=200, host="127.0.0.1", port=platform.port, server_id=SERVER, password=PASSWORD, transport=transport,
            rate=400, heartbeat_s=1.0, seconds=4.0,
        )  # fmt: skip
        result = await load(options, tell=reports.append)
        assert result["registered"] == len(platform.registered) == 200
        assert (result["lost"], result["refused"]) == (0, 0)
        assert sum(platform.keepalives.values()) >= 200
        assert result["register_p99_ms"] is not None
        assert result["event"] == "result"
        assert reports[0]["event"] == "progress"


async def test_the_process_says_ready_and_obeys_its_socket(data: Path) -> None:
    async with SmallPlatform() as platform:
        told: asyncio.Queue[dict[str, object]] = asyncio.Queue()
        options = CityOptions(
            data=data, port=platform.port, password=PASSWORD, scale=0.05, ramp_s=0.1, control=data / "control.sock"
        )
        task = asyncio.ensure_future(run_city(options, tell=told.put_nowait))
        ready = await asyncio.wait_for(told.get(), 30)
        assert ready["event"] == "ready"
        assert (data / "world" / "points.csv").exists()
        await platform.until(lambda: len(platform.registered) == ready["devices"], 60)
        reader, writer = await asyncio.open_unix_connection(data / "control.sock")
        writer.write(b'{"do": "status"}\n')
        answer = json.loads(await asyncio.wait_for(reader.readline(), 10))
        assert answer["registered"] == ready["devices"]
        writer.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.timeout(180)
async def test_sipp_registers_and_calls_a_camera(data: Path, tmp_path: Path) -> None:
    """An independent SIP implementation as the platform."""
    sipp = shutil.which("sipp")
    if sipp is None:
        missing("SIPp")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "registrar.xml").write_text(_REGISTRAR)
    (tmp_path / "caller.xml").write_text(_CALLER)
    options = CityOptions(data=data, port=port, password=PASSWORD, scale=0.05, ramp_s=0.1, rtsp_port=None)
    city = Running(options, world(options), SystemClock())
    await city.open()
    line = city.lines[0]
    minds = {code: member.mind.device for code, member in line.members.items()}
    code = next(code for code, device in minds.items() if (device.kind, device.transport) == ("camera", "UDP"))
    channel = line.members[code].mind.device.channels[0]

    async def run(*arguments: str) -> int:
        process = await asyncio.create_subprocess_exec(
            sipp, *arguments, "-nostdin", "-i", "127.0.0.1", "-p", str(port), "-m", "1", "-timeout", "40s",
            cwd=tmp_path, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        return await process.wait()

    try:
        registrar = asyncio.ensure_future(run("-sf", "registrar.xml"))
        while not line.members[code].registration.is_registered:
            line.start(code)
            await asyncio.sleep(0.1)
            assert not registrar.done() or registrar.result() == 0
        assert await registrar == 0
        assert await run("-sf", "caller.xml", "-s", channel, f"127.0.0.1:{line.port}") == 0
        assert city.status()["streams"] == 0, "SIPp's BYE ended it"
    finally:
        await city.close()
    assert sys.platform == "linux"


_REGISTRAR = """<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="registrar">
  <recv request="REGISTER" crlf="true"/>
  <send><![CDATA[
SIP/2.0 401 Unauthorized
[last_Via:]
[last_From:]
[last_To:];tag=[call_number]
[last_Call-ID:]
[last_CSeq:]
WWW-Authenticate: Digest realm="9901000000", nonce="5f2a7c", algorithm=MD5
Content-Length: 0

  ]]></send>
  <recv request="REGISTER">
    <action>
      <ereg regexp="response=.[0-9a-f]{32}" search_in="hdr" header="Authorization:" check_it="true" assign_to="1"/>
      <log message="[$1]"/>
    </action>
  </recv>
  <send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:];tag=[call_number]
[last_Call-ID:]
[last_CSeq:]
[last_Contact:]
Expires: 3600
Date: 2026-11-22T08:00:00.000
Content-Length: 0

  ]]></send>
</scenario>
"""

_CALLER = """<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="caller">
  <send retrans="500"><![CDATA[
INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];rport;branch=[branch]
From: <sip:99010000002000000001@9901000000>;tag=[call_number]
To: <sip:[service]@9901000000>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:99010000002000000001@[local_ip]:[local_port]>
Max-Forwards: 70
Subject: [service]:0100000001,99010000002000000001:0
Content-Type: application/sdp
Content-Length: [len]

v=0
o=99010000002000000001 0 0 IN IP4 127.0.0.1
s=Play
c=IN IP4 127.0.0.1
t=0 0
m=video 39998 RTP/AVP 96
a=recvonly
a=rtpmap:96 PS/90000
y=0100000001

  ]]></send>
  <recv response="100" optional="true"/>
  <recv response="200" rtd="true"/>
  <send><![CDATA[
ACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];rport;branch=[branch]
[last_From:]
[last_To:]
Call-ID: [call_id]
CSeq: 1 ACK
Max-Forwards: 70
Content-Length: 0

  ]]></send>
  <pause milliseconds="500"/>
  <send retrans="500"><![CDATA[
BYE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];rport;branch=[branch]
[last_From:]
[last_To:]
Call-ID: [call_id]
CSeq: 2 BYE
Max-Forwards: 70
Content-Length: 0

  ]]></send>
  <recv response="200"/>
</scenario>
"""
