"""What a device knows and answers, without sockets: MANSCDP in, MANSCDP out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from anwang.democity.devices import catalogue
from anwang.democity.devices.faults import Fault, Faults
from anwang.democity.pictures import Head, HomePreset, Track
from anwang.democity.world import City, Device, Point, Round
from anwang.kernel.times import BEIJING
from anwang.wire import gb28181 as gb
from anwang.wire.gb28181 import (
    AlarmNotify,
    CatalogItem,
    CatalogNotify,
    CatalogQuery,
    CatalogResponse,
    ConfigQuery,
    ConfigResponse,
    DeviceConfig,
    DeviceControl,
    DeviceInfoQuery,
    DeviceInfoResponse,
    DeviceStatusQuery,
    DeviceStatusResponse,
    ItemEvent,
    Manscdp,
    MobilePositionNotify,
    Outcome,
    Position,
    PresetItem,
    PresetQuery,
    PresetResponse,
    RecordInfoQuery,
    RecordInfoResponse,
    RecordItem,
)

# catalogue items a message: a datagram should stay below the network's largest packet, a connection need not
UDP_ITEMS, TCP_ITEMS = 1, 20
RECORDED = timedelta(hours=24)
PIECE = timedelta(hours=1)


@dataclass(slots=True)
class Camera:
    """One channel: what it looks at and where it is turned. wants_key: set by 强制关键帧, taken by whoever sends."""

    point: Point
    head: Head = field(default_factory=Head)
    wants_key: bool = False
    switches: set[int] = field(default_factory=set)
    """Auxiliary switches that are on: 1 is the wiper, 2 the lamp."""


class Simulated:
    """A device's mind. now: its wall clock, aware."""

    def __init__(self, device: Device, points: Mapping[str, Point], city: City, *, now: Callable[[], datetime]) -> None:
        self.device = device
        self.faults = Faults({})
        self.version = gb.V2022 if device.version == "3.0" else gb.V2016
        self.cameras = {code: Camera(points[code]) for code in device.channels if points[code].has_video}
        self.items: list[CatalogItem] = catalogue.items_of(device, points, city, self.version)
        self.is_guarded = True
        self.waits_for_reset = False
        self.is_altered = False
        """Whether somebody has changed its settings behind its owner's back."""
        self._now = now
        self._sn = 0
        self.shots: list[tuple[str, gb.SnapShotConfig]] = []
        """Pictures that were ordered, by channel; whoever carries messages takes and uploads them."""
        self._name = device.name
        self._round = None if device.beat is None else Round(device.beat)

    @property
    def code(self) -> str:
        """Who it is."""
        return self.device.code

    @property
    def name(self) -> str:
        """What it calls itself."""
        return f"{self._name} 已改" if self.is_altered else self._name

    def clock(self) -> datetime:
        """What it takes the time for."""
        return self._now() + timedelta(seconds=self.faults.value(Fault.CLOCK_JUMP))

    def next_sn(self) -> int:
        """A number for a message of its own."""
        self._sn += 1
        return self._sn

    def camera(self, code: str) -> Camera | None:
        """The channel of a code; of a device with one camera, that one."""
        if code in self.cameras:
            return self.cameras[code]
        return next(iter(self.cameras.values())) if code == self.code and len(self.cameras) == 1 else None

    def knows(self, code: str) -> bool:
        """Whether a code names this device, a channel, or a node of its catalogue."""
        return code == self.code or code in self.device.channels or any(item.device_id == code for item in self.items)

    # ---- answers

    def answers(self, message: Manscdp) -> Sequence[Manscdp]:
        """What it sends back as messages of its own, one after the other. A control is obeyed on the way."""
        match message:
            case CatalogQuery():
                return list(self.catalogue(message.sn, message.device_id))
            case DeviceInfoQuery():
                return [self._info(message)]
            case DeviceStatusQuery():
                return [self._status(message)]
            case RecordInfoQuery():
                return list(self._records(message))
            case PresetQuery():
                return [self._presets(message)]
            case ConfigQuery():
                return list(self._configs(message))
            case DeviceControl():
                is_ok = self.obey(message)
                if not message.wants_answer:
                    return []
                return [Outcome(sn=message.sn, device_id=message.device_id, cmd_type="DeviceControl", is_ok=is_ok)]
            case gb.CruiseTrackListQuery() | gb.CruiseTrackQuery() | gb.HomePositionQuery():
                return [self._head_told(message)]
            case DeviceConfig():
                if message.basic and message.basic.name:
                    self._name = message.basic.name
                is_ok = message.snapshot is None or self._ordered(message.device_id, message.snapshot)
                return [Outcome(sn=message.sn, device_id=message.device_id, cmd_type="DeviceConfig", is_ok=is_ok)]
            case gb.Other(root="Query"):
                return [Outcome(sn=message.sn, device_id=message.device_id, cmd_type=message.cmd_type, is_ok=False)]
            case _:
                return []

    def catalogue(self, sn: int, queried: str) -> Iterator[CatalogResponse]:
        """The catalogue below a node, in as many messages as the transport asks for (GB/T 28181-2016 annex N)."""
        items = self._below(queried)
        if self.faults.has(Fault.DUPLICATE_CODE) and self.cameras:
            code = next(iter(self.cameras))
            twin = next(item for item in items or self.items if item.device_id == code)
            items = [*items, CatalogItem(device_id=code, name=f"{twin.name} 副本", parents=twin.parents, status="ON")]
        step = TCP_ITEMS if self.device.transport == "TCP" else UDP_ITEMS
        if not items:
            yield CatalogResponse(sn=sn, device_id=queried, total=0)
        for at in range(0, len(items), step):
            yield CatalogResponse(sn=sn, device_id=queried, total=len(items), items=tuple(items[at : at + step]))

    def _below(self, queried: str) -> list[CatalogItem]:
        if queried == self.code:
            return self.items
        if gb.is_region(queried):
            return [item for item in self.items if item.device_id == queried or item.civil_code.startswith(queried)]
        return [
            item for item in self.items
            if item.device_id == queried or queried in item.parents or item.group_id == queried
        ]  # fmt: skip

    def offline(self) -> CatalogNotify | None:
        """What a new subscriber is told at once: items that are not online (GB/T 28181-2016 annex P)."""
        items = [
            CatalogItem(device_id=item.device_id, event=ItemEvent.OFF) for item in self.items if not item.is_online
        ]
        return self.notice(items) if items else None

    def notice(self, items: Sequence[CatalogItem]) -> CatalogNotify:
        """A catalogue notification."""
        return CatalogNotify(sn=self.next_sn(), device_id=self.code, total=len(items), items=tuple(items))

    def alarm(
        self, *, channel: str, method: int, alarm_type: int | None, priority: int, words: str
    ) -> AlarmNotify | None:
        """An alarm, or None where it must be silent: disarmed, or a device alarm that nobody has reset yet."""
        if not self.is_guarded or (method == 2 and self.waits_for_reset):
            return None
        self.waits_for_reset = method == 2
        camera, now = self.cameras.get(channel), self.clock()
        place = (
            None if camera is None else camera.point.at if self._round is None else self._round.at(now.timestamp()).at
        )
        return AlarmNotify(
            sn=self.next_sn(), device_id=channel, priority=priority, method=method, at=now, description=words,
            alarm_type=alarm_type, longitude=place[0] if place else None, latitude=place[1] if place else None,
        )  # fmt: skip

    @property
    def moves(self) -> bool:
        """Whether it is somewhere else every moment, and tells."""
        return self._round is not None

    def whereabouts(self) -> MobilePositionNotify:
        """Where it is now, to the second that it names. Of what stands, nothing."""
        at = self.clock().replace(microsecond=0)
        if self.device.beat is None or self._round is None:
            return MobilePositionNotify(sn=self.next_sn(), device_id=self.code, at=at)
        place, direction_deg = self._round.at(at.timestamp())
        position = Position(
            device_id=self.code if self.version >= gb.V2022 else "", at=at, longitude=place[0], latitude=place[1],
            speed_kmh=self.device.beat.speed_kmh, direction_deg=direction_deg, altitude_m=0.0,
        )  # fmt: skip
        return MobilePositionNotify(sn=self.next_sn(), device_id=self.code, at=at, positions=(position,), total=1)

    def _info(self, query: DeviceInfoQuery) -> DeviceInfoResponse:
        return DeviceInfoResponse(
            sn=query.sn, device_id=query.device_id, is_ok=True, name=self.name, manufacturer=self.device.maker,
            model=self.device.model, firmware=f"{self.device.firmware}{'-mod' if self.is_altered else ''}",
            channels=len(self.cameras),
        )  # fmt: skip

    def _status(self, query: DeviceStatusQuery) -> DeviceStatusResponse:
        alarms = [code for code in self.device.channels if code not in self.cameras]
        duty = gb.Duty.ALARM if self.waits_for_reset else gb.Duty.ONDUTY if self.is_guarded else gb.Duty.OFFDUTY
        return DeviceStatusResponse(
            sn=query.sn, device_id=query.device_id, is_ok=True, is_online=True, is_healthy=True, is_encoding=True,
            is_recording=True, device_time=self.clock(), alarms=tuple((code, duty) for code in alarms),
        )  # fmt: skip

    def _ordered(self, channel: str, shot: gb.SnapShotConfig) -> bool:
        """图像抓拍: whether it can be done; devices before 2022 have no such thing."""
        fits = 1 <= shot.count <= 10 and 32 <= len(shot.session_id) <= 128 and shot.upload_url.startswith("http")
        if self.version < gb.V2022 or self.camera(channel) is None or not fits:
            return False
        self.shots.append((channel, shot))
        return True

    def _head_told(self, query: gb.CruiseTrackListQuery | gb.CruiseTrackQuery | gb.HomePositionQuery) -> Manscdp:
        """Cruises and home position (2022); older devices and those that can't turn say ERROR."""
        camera = self.camera(query.device_id)
        name = type(query).__name__
        if self.version < gb.V2022 or camera is None or not camera.point.can_turn:
            return Outcome(sn=query.sn, device_id=query.device_id, cmd_type=name, is_ok=False)
        head = camera.head
        match query:
            case gb.CruiseTrackListQuery():
                tracks = tuple(gb.CruiseTrack(number, head.tracks[number].name) for number in sorted(head.tracks))
                return gb.CruiseTrackListResponse(
                    sn=query.sn, device_id=query.device_id, tracks=tracks, total=len(tracks)
                )
            case gb.CruiseTrackQuery():
                track = head.tracks.get(query.number)
                stops = () if track is None else tuple(
                    gb.CruisePoint(preset, track.stay_s, track.speed) for preset in track.stops
                )  # fmt: skip
                return gb.CruiseTrackResponse(
                    sn=query.sn, device_id=query.device_id, number=query.number, name=track.name if track else "",
                    points=stops, total=len(stops),
                )  # fmt: skip
            case gb.HomePositionQuery():
                set_to = head.home
                home = None if set_to is None else gb.HomePosition(set_to.is_on, set_to.reset_s, set_to.preset)
                return gb.HomePositionResponse(sn=query.sn, device_id=query.device_id, home=home)

    def recorded(self) -> tuple[datetime, datetime]:
        """From when to when there are recordings."""
        now = self.clock()
        return now - RECORDED, now

    def _records(self, query: RecordInfoQuery) -> Iterator[RecordInfoResponse]:
        """Recordings of an hour each, of the last day."""
        camera, (oldest, now) = self.camera(query.device_id), self.recorded()
        items: list[RecordItem] = []
        if camera and query.start and query.end and query.sort in ("all", "time", ""):
            begin, end = max(query.start, oldest), min(query.end, now)
            hour = begin.astimezone(BEIJING).replace(minute=0, second=0, microsecond=0)
            while hour < end:
                stop = min(hour + PIECE, now)
                if stop > begin:
                    items.append(
                        RecordItem(
                            device_id=query.device_id, name=camera.point.name, file_path=f"/rec/{hour:%Y%m%d%H}",
                            start=hour, end=stop, secrecy=0, sort="time", recorder_id=self.code,
                        )
                    )  # fmt: skip
                hour += PIECE
        name = camera.point.name if camera else ""
        step = TCP_ITEMS if self.device.transport == "TCP" else 2
        if not items:
            yield RecordInfoResponse(sn=query.sn, device_id=query.device_id, name=name, total=0)
        for at in range(0, len(items), step):
            piece = tuple(items[at : at + step])
            yield RecordInfoResponse(sn=query.sn, device_id=query.device_id, name=name, total=len(items), items=piece)

    def _presets(self, query: PresetQuery) -> PresetResponse:
        camera = self.camera(query.device_id)
        known = sorted(camera.head.presets) if camera and camera.point.can_turn else []
        presets = tuple(PresetItem(str(number), f"预置位{number}") for number in known)
        total = len(presets) if self.version >= gb.V2022 else None
        return PresetResponse(sn=query.sn, device_id=query.device_id, presets=presets, total=total)

    def _configs(self, query: ConfigQuery) -> Iterator[ConfigResponse]:
        for kind in query.kinds:
            if kind == "BasicParam":
                beat_s = 3600 if self.is_altered else 60
                basic = gb.BasicParam(
                    name=self.name, expiration_s=86400, heartbeat_interval_s=beat_s, heartbeat_count=3
                )
                yield ConfigResponse(sn=query.sn, device_id=query.device_id, is_ok=True, basic=basic)
            elif kind == "VideoParamOpt":
                video = gb.VideoParamOpt(download_speeds=("1", "2", "4"), resolutions=("5", "2"))
                yield ConfigResponse(sn=query.sn, device_id=query.device_id, is_ok=True, video=video)
            elif kind == "FrameMirror" and self.version >= gb.V2022:
                mirror = (gb.Node("FrameMirror", "0"),)
                yield ConfigResponse(sn=query.sn, device_id=query.device_id, is_ok=True, others=mirror)
            else:
                yield ConfigResponse(sn=query.sn, device_id=query.device_id, is_ok=False)

    # ---- controls

    def obey(self, control: DeviceControl) -> bool:
        """Do what a control says; False where this device can't."""
        camera = self.camera(control.device_id)
        match control.command:
            case gb.Ptz(frame=frame):
                wish = gb.meaning(frame)
                if camera is not None and isinstance(wish, gb.Switch):
                    return _switch(camera, wish)
                return camera is not None and camera.point.can_turn and _turn(camera.head, wish)
            case gb.IFrame():
                if camera:
                    camera.wants_key = True
                return camera is not None
            case gb.Guard(is_set=is_set):
                self.is_guarded = is_set
                return True
            case gb.ResetAlarm():
                self.waits_for_reset = False
                return True
            case gb.RecordControl():
                return True
            case gb.HomePosition() as home:
                return camera is not None and camera.point.can_turn and _settle(camera.head, home)
            case gb.PrecisePtz(pan_deg=pan, zoom=zoom) if camera is not None and camera.point.can_turn:
                camera.head.aim(pan_deg=pan, zoom=zoom)
                return True
            case _:
                return False


def _switch(camera: Camera, wish: gb.Switch) -> bool:
    if wish.number not in (1, 2):
        return False
    (camera.switches.add if wish.is_on else camera.switches.discard)(wish.number)
    return True


def _settle(head: Head, wish: gb.HomePosition) -> bool:
    if not wish.is_enabled:
        if head.home is not None:
            head.home.is_on = False
        return True
    preset = 1 if wish.preset is None else wish.preset
    if preset not in head.presets:
        return False
    head.home = HomePreset(preset, wish.reset_s or 30)
    return True


def _cruise(head: Head, wish: gb.Cruise) -> bool:
    track = head.tracks.get(wish.track)
    match wish.act:
        case gb.CruiseAct.START:
            return head.cruise(wish.track)
        case gb.CruiseAct.ADD:
            if wish.value not in head.presets:
                return False
            head.tracks.setdefault(wish.track, Track(f"巡航{wish.track}", [])).stops.append(wish.value)
            return True
        case gb.CruiseAct.REMOVE if wish.value == 0:
            return head.tracks.pop(wish.track, None) is not None
        case gb.CruiseAct.REMOVE:
            if track is None or wish.value not in track.stops:
                return False
            track.stops.remove(wish.value)
            return True
        case gb.CruiseAct.SPEED | gb.CruiseAct.DWELL:
            if track is None:
                return False
            if wish.act is gb.CruiseAct.SPEED:
                track.speed = min(15, max(1, wish.value))
            else:
                track.stay_s = max(1, wish.value)
            return True


def _turn(head: Head, wish: gb.PtzCommand | None) -> bool:
    match wish:
        case gb.Move(pan=pan, tilt=tilt, zoom=zoom):
            head.drive(pan * wish.pan_speed / 255, tilt * wish.tilt_speed / 255, zoom * wish.zoom_speed / 15)
            return True
        case gb.Preset(act=gb.PresetAct.CALL, number=number):
            return head.call(number)
        case gb.Preset(act=gb.PresetAct.SET, number=number):
            head.store(number)
            return True
        case gb.Preset(act=gb.PresetAct.DELETE, number=number):
            return head.presets.pop(number, None) is not None
        case gb.Cruise():
            return _cruise(head, wish)
        case _:
            return False
