"""What devices are asked to tell of, what they tell, and what is refused: a scripted recorder against the gateway."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from anwang.access import Address, Receiver, Step, Stream, Transport
from anwang.gateways.gb28181 import KeptCalls
from anwang.gateways.gb28181.subscriptions import EXPIRES_SECONDS, Topic
from anwang.governance import CITY, EVERYTHING
from anwang.kernel.errors import AnwangError, Unavailable, Unsupported
from anwang.kernel.ids import PointId
from anwang.registry import Policies, Taken
from anwang.wire import gb28181 as gb
from anwang.wire import sip
from tests.flow.test_gateway import DOMAIN, SERVER, House, Line, house

__all__ = ["house"]

RECORDER = "34010000001180000001"
CAMERA = "34010000001320000001"
MANSCDP = "Content-Type: Application/MANSCDP+xml\r\n"


class NoTrace:
    """Nobody reads it."""

    def message(self, data: bytes, *, outgoing: bool) -> None:
        """See access.Trace."""

    def step(self, step: Step, detail: str = "") -> None:
        """See access.Trace."""


class Recorder(Line):
    """A device that answers by a script. status: of its answers to SUBSCRIBE; mute: what it does not answer at all."""

    def __init__(self, target: tuple[str, int], device: str) -> None:
        super().__init__(target)
        self.device = device
        self.asked: list[sip.Request] = []
        self.status: dict[str, int] = {}
        self.mute: set[str] = set()
        self.says: dict[type[gb.Manscdp], gb.Manscdp | bytes | None] = {}
        self.charset = ""
        self.version = ""
        self.sdp = ""

    def request(self, method: str, device: str, *, extra: str = "", body: str = "", call_id: str = "") -> bytes:
        if method == "REGISTER" and self.version:
            extra += f"X-GB-Ver: {self.version}\r\n"
        return super().request(method, device, extra=extra, body=body, call_id=call_id)

    def datagram_received(self, data: bytes, addr: object) -> None:
        message = sip.parse(data)
        if not isinstance(message, sip.Request):
            if message.cseq.method != "MESSAGE":  # those to its own answers are nobody's business
                self.heard.put_nowait(data)
            return
        self.asked.append(message)
        if message.method in self.mute:
            return
        status = self.status.get(message.method, 200)
        lines = re.findall(rb"(?m)^(?:Via|From|Call-ID|CSeq): .*\r\n", data)
        to = re.search(rb"(?m)^To: (.*)\r\n", data)
        assert to
        tagged = to[1] if b"tag=" in to[1] else to[1] + b";tag=dev" + str(len(self.asked)).encode()
        expires = f"Expires: {message.headers.get('Expires')}\r\n" if message.method == "SUBSCRIBE" else ""
        if message.method == "ACK":
            return
        sdp = self.sdp.encode() if message.method == "INVITE" else b""
        kind = b"Content-Type: application/sdp\r\n" if sdp else b""
        self.send(
            f"SIP/2.0 {status} X\r\n".encode() + b"".join(lines) + b"To: " + tagged + b"\r\n" + expires.encode()
            + f"Contact: <sip:{self.device}@127.0.0.1:{self.port}>\r\n".encode() + kind
            + f"Content-Length: {len(sdp)}\r\n\r\n".encode() + sdp
        )  # fmt: skip
        if message.method == "MESSAGE" and status == 200:
            self.answer(gb.parse(message.body))

    def answer(self, asked: gb.Manscdp) -> None:
        match asked:
            case gb.CatalogQuery():
                item = gb.CatalogItem(device_id=CAMERA, name="gate", status="ON", parents=(self.device,))
                if (own := self.says.get(type(asked))) is not None:
                    self.tell(own)
                else:
                    self.tell(gb.CatalogResponse(sn=asked.sn, device_id=self.device, total=1, items=(item,)))
            case gb.DeviceControl() if type(asked) in self.says:
                own = self.says[type(asked)]
                if isinstance(own, bytes):
                    self.tell(own % asked.sn)
            case gb.DeviceControl():
                self.tell(gb.Outcome(sn=asked.sn, device_id=asked.device_id, cmd_type="DeviceControl", is_ok=True))
            case gb.DeviceInfoQuery():
                self.tell(gb.DeviceInfoResponse(sn=asked.sn, device_id=self.device, is_ok=True, manufacturer="ACME"))
            case gb.DeviceStatusQuery() if (status := self.says.get(type(asked))) is not None:
                if isinstance(status, gb.Manscdp):
                    status = gb.serialize(status).replace(b"<SN>0</SN>", b"<SN>%d</SN>" % asked.sn)
                self.tell(status)

    def tell(self, message: gb.Manscdp | bytes) -> None:
        body = message if isinstance(message, bytes) else gb.serialize(message, charset=self.charset)
        self.send(self.bytes_request("MESSAGE", body))

    def bytes_request(self, method: str, body: bytes, extra: str = "") -> bytes:
        head = self.request(method, self.device, extra=MANSCDP + extra)
        return head.replace(b"Content-Length: 0\r\n\r\n", b"Content-Length: %d\r\n\r\n" % len(body)) + body

    def notify(self, to: sip.Request, message: gb.Manscdp, tag: str) -> bytes:
        """A NOTIFY in the dialog of a SUBSCRIBE."""
        body = gb.serialize(message)
        self._cseq += 1
        return (
            f"NOTIFY sip:{SERVER}@{DOMAIN} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 127.0.0.1:{self.port};rport;branch=z9hG4bKn{self._cseq}\r\n"
            f"From: <sip:{self.device}@{DOMAIN}>;tag={tag}\r\nTo: {to.from_}\r\nCall-ID: {to.call_id}\r\n"
            f"CSeq: {self._cseq} NOTIFY\r\nEvent: {to.headers.get('Event')}\r\nSubscription-State: active\r\n"
            f"Max-Forwards: 70\r\n{MANSCDP}Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body

    def subscribes(self, kind: type[gb.Manscdp]) -> list[sip.Request]:
        return [one for one in self.asked if one.method == "SUBSCRIBE" and isinstance(gb.parse(one.body), kind)]

    def living(self, kind: type[gb.Manscdp]) -> set[str]:
        """Dialogs whose last SUBSCRIBE asked for time."""
        last = {one.call_id: one.headers.get("Expires") for one in self.subscribes(kind)}
        return {call_id for call_id, expires in last.items() if expires != "0"}


@asynccontextmanager
async def recorder(house: House, device: str = RECORDER) -> AsyncIterator[Recorder]:
    _, line = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Recorder(("127.0.0.1", house.gateway.port), device), local_addr=("127.0.0.1", 0)
    )
    try:
        yield line
    finally:
        line.transport.close()


async def settle(house: House, condition: object) -> None:
    """Let the gateway's clock run until it is so."""
    async with asyncio.timeout(20):
        while not condition():  # type: ignore[operator]
            await house.clock.advance(0.25)
            await asyncio.sleep(0.002)


async def adopted(house: House, line: Recorder) -> PointId:
    """Registered, let in, its catalogue taken; the point of its camera."""
    assert (await line.register(line.device, call_id="first")).startswith(b"SIP/2.0 200")
    await settle(house, lambda: house.registry.admission("gb28181", line.device))
    device = house.registry.admission("gb28181", line.device)
    assert device
    async with asyncio.timeout(20):
        while not (await house.registry.channels(EVERYTHING, device.id)).items:
            await house.clock.advance(0.25)
            await asyncio.sleep(0.002)
    _, made = await house.registry.adopt(EVERYTHING, device.id, CITY)
    return made.points[0]


async def policies(house: House, **extra: str) -> None:
    admission = house.registry.admission("gb28181", RECORDER)
    assert admission
    await house.registry.set_policies(EVERYTHING, admission.id, Policies(extra=extra))


async def test_one_living_subscription_after_a_restart_and_none_after_the_log_out(house: House) -> None:
    async with recorder(house) as line:
        await adopted(house, line)
        await settle(house, lambda: len(line.living(gb.CatalogQuery)) == 1)
        (before,) = line.living(gb.CatalogQuery)
        await line.register(RECORDER, call_id="restarted")
        await settle(house, lambda: line.living(gb.CatalogQuery) not in ({before}, set()))
        await settle(house, lambda: house.gateway.subscriptions.topics(RECORDER) == {Topic.CATALOGUE, Topic.ALARM})
        await settle(house, lambda: len(line.living(gb.AlarmQuery)) == 1)
        (after,) = line.living(gb.CatalogQuery)
        assert after != before
        assert line.living(gb.MobilePositionQuery) == set()
        line.send(line.request("REGISTER", RECORDER, call_id="restarted"))
        gone = line.authorised(RECORDER, await line.hear(), call_id="restarted")
        line.send(gone.replace(b"Expires: 3600\r\n", b"Expires: 0\r\n"))
        assert (await line.hear()).startswith(b"SIP/2.0 200")
        await settle(house, lambda: line.living(gb.CatalogQuery) == line.living(gb.AlarmQuery) == set())
        assert house.gateway.subscriptions.topics(RECORDER) == set()


async def test_a_subscription_is_refreshed_in_its_own_dialog_before_it_expires(house: House) -> None:
    async with recorder(house) as line:
        await adopted(house, line)
        await settle(house, lambda: len(line.living(gb.CatalogQuery)) == 1)
        (dialog,) = line.living(gb.CatalogQuery)
        await house.clock.advance(EXPIRES_SECONDS * 0.81)
        house.gateway.line.wake()
        async with asyncio.timeout(20):
            while len([one for one in line.subscribes(gb.CatalogQuery) if one.call_id == dialog]) < 2:
                await asyncio.sleep(0.005)
        assert line.living(gb.CatalogQuery) == {dialog}


@pytest.mark.parametrize("how", ["refuses", "is silent"])
async def test_a_device_without_subscriptions_costs_nothing_but_the_asking(house: House, how: str) -> None:
    async with recorder(house) as line:
        if how == "refuses":
            line.status["SUBSCRIBE"] = 489
        else:
            line.mute.add("SUBSCRIBE")
        await adopted(house, line)
        await settle(house, lambda: line.subscribes(gb.CatalogQuery))
        if how == "refuses":
            await settle(house, lambda: house.gateway.subscriptions.topics(RECORDER) == set())
            assert house.gateway.subscriptions.refused >= 2
        assert (await line.register(RECORDER, call_id="again")).startswith(b"SIP/2.0 200")


async def test_an_alarm_by_notice_is_announced_once_and_answered_by_no_message(house: House) -> None:
    heard: list[gb.AlarmNotify] = []
    house.gateway.notices.on_signal = lambda device, alarm: heard.append(alarm)
    async with recorder(house) as line:
        await adopted(house, line)
        await settle(house, lambda: line.living(gb.AlarmQuery))
        (asked,) = line.subscribes(gb.AlarmQuery)
        tag = "dev" + str(1 + line.asked.index(asked))
        alarm = gb.AlarmNotify(sn=7, device_id=CAMERA, priority=1, method=2, at=house.clock.now(), alarm_type=1)
        before = len([one for one in line.asked if one.method == "MESSAGE"])
        for _ in range(2):
            line.send(line.notify(asked, alarm, tag))
            assert (await line.hear()).startswith(b"SIP/2.0 200")
        assert [one.method for one in heard] == [2]
        assert house.gateway.notices.alarms == {"announced": 1, "repeated": 1, "not_adopted": 0}
        assert len([one for one in line.asked if one.method == "MESSAGE"]) == before
        # the same by MESSAGE is the same alarm, and gets its Response
        line.tell(alarm)
        await settle(
            house, lambda: any(b"<CmdType>Alarm" in one.body and b"Response" in one.body for one in line.asked)
        )
        assert len(heard) == 1 and house.gateway.notices.alarms["repeated"] == 2


async def test_positions_are_asked_for_by_policy_and_become_the_points_evidence(house: House) -> None:
    async with recorder(house) as line:
        point = await adopted(house, line)
        assert line.subscribes(gb.MobilePositionQuery) == [], "off by default"
        await policies(house, position_interval_s="7")
        await line.register(RECORDER, call_id="second")
        await settle(house, lambda: line.living(gb.MobilePositionQuery))
        (asked,) = line.subscribes(gb.MobilePositionQuery)
        assert gb.parse(asked.body) == gb.MobilePositionQuery(
            sn=gb.parse(asked.body).sn, device_id=RECORDER, interval_s=7
        )
        tag = "dev" + str(1 + line.asked.index(asked))
        at = house.clock.now().replace(microsecond=0)

        def told(longitude: float, **more: object) -> gb.MobilePositionNotify:
            place = gb.Position(longitude=longitude, latitude=31.5, speed_kmh=36.0, direction_deg=90.0)
            return gb.MobilePositionNotify(sn=3, device_id=CAMERA, at=at, positions=(place,), **more)  # type: ignore[arg-type]

        line.send(line.notify(asked, told(117.25), tag))
        assert (await line.hear()).startswith(b"SIP/2.0 200")
        await house.until(lambda: house.registry.told.positions[Taken.TAKEN] == 1)
        place = house.registry.state_of(point).place
        assert place and (place.longitude, place.latitude, place.speed_kmh, place.direction_deg) == (
            117.25,
            31.5,
            36,
            90,
        )
        assert place.at_us == int(at.timestamp()) * 1_000_000
        line.tell(told(117.5))  # by MESSAGE, and within the same second
        await house.until(lambda: house.registry.told.positions[Taken.TOO_SOON] == 1)
        await house.clock.advance(2)
        line.tell(told(117.75))
        await house.until(lambda: house.registry.told.positions[Taken.TAKEN] == 2)
        assert house.registry.state_of(point).place.longitude == 117.75  # type: ignore[union-attr]
        line.tell(told(0.0))  # unknown: zero degrees
        await house.until(lambda: house.gateway.notices.positions_unread == 1)
        await policies(house, position_interval_s="0")
        await line.register(RECORDER, call_id="third")
        await settle(house, lambda: house.gateway.subscriptions.topics(RECORDER) == {Topic.CATALOGUE, Topic.ALARM})
        assert line.living(gb.MobilePositionQuery) == set()


async def test_positions_of_a_device_nobody_adopted_are_counted_and_not_stored(house: House) -> None:
    async with recorder(house) as line:
        await line.register(RECORDER, call_id="first")
        await settle(house, lambda: house.registry.admission("gb28181", RECORDER))
        place = gb.Position(longitude=117.0, latitude=31.5)
        line.tell(gb.MobilePositionNotify(sn=3, positions=(place,)))
        await house.until(lambda: house.registry.told.positions[Taken.NOT_ADOPTED] == 1)
        assert house.registry.told._places == {}


async def test_a_device_is_asked_how_it_is_and_a_wrong_clock_shows(house: House) -> None:
    async with recorder(house) as line:
        line.says[gb.DeviceStatusQuery] = gb.DeviceStatusResponse(
            sn=0, device_id=RECORDER, is_ok=True, is_online=True, is_healthy=False, reason="disk 2", is_encoding=True,
            is_recording=False, device_time=house.clock.now() + timedelta(seconds=90),
            alarms=(("34010000001340000001", gb.Duty.ONDUTY),),
        )  # fmt: skip
        await adopted(house, line)
        await settle(house, lambda: house.registry.told.report("gb28181/" + RECORDER))
        admission = house.registry.admission("gb28181", RECORDER)
        assert admission
        report = house.registry.device_live(await house.registry.device(EVERYTHING, admission.id)).report
        assert report and report.is_clock_wrong and report.clock_off_s and 80 <= report.clock_off_s <= 91
        assert (report.is_online, report.is_healthy, report.reason) == (True, False, "disk 2")
        assert (report.is_encoding, report.is_recording) == (True, False)
        assert report.alarms == (("34010000001340000001", "ONDUTY"),)
        line.says[gb.DeviceStatusQuery] = gb.DeviceStatusResponse(
            sn=0, device_id=RECORDER, is_ok=True, is_online=True, is_healthy=True, device_time=house.clock.now()
        )
        await house.gateway.arrivals.ask_status(RECORDER)
        again = house.registry.told.report("gb28181/" + RECORDER)
        assert again and again.is_healthy and not again.is_clock_wrong


@pytest.mark.parametrize(
    ("says", "error"),
    [
        (gb.Outcome(sn=0, device_id=RECORDER, cmd_type="DeviceStatus", is_ok=False), Unsupported),
        (b"<Response><CmdType>DeviceStatus</CmdType><SN>0</SN><Result>", Unavailable),
    ],
)
async def test_a_device_that_answers_rubbish_about_itself_has_no_report(
    house: House, says: gb.Manscdp | bytes, error: type[AnwangError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anwang.gateways.gb28181.questions.ASK_SECONDS", 0.3)
    async with recorder(house) as line:
        line.says[gb.DeviceStatusQuery] = says
        await adopted(house, line)
        with pytest.raises(error):
            await house.gateway.arrivals.ask_status(RECORDER)
        line.status["MESSAGE"] = 400
        with pytest.raises(Unsupported):
            await house.gateway.arrivals.ask_status(RECORDER)
        line.mute.add("MESSAGE")
        with pytest.raises(Unavailable):
            await house.gateway.arrivals.ask_status(RECORDER)
        assert house.registry.told.report("gb28181/" + RECORDER) is None
        assert (await line.register(RECORDER, call_id="again")).startswith(b"SIP/2.0 200")


async def test_an_alarm_is_reset_and_a_device_armed(house: House) -> None:
    async with recorder(house) as line:
        point = await adopted(house, line)
        address = Address(point=point, gateway="gb28181", device=RECORDER, channel=CAMERA)
        await house.gateway.reset_alarm(address, method=2, alarm_type=1)
        await house.gateway.set_guard(address, True)
        await house.gateway.set_guard(address, False)
        told = [gb.parse(one.body) for one in line.asked if one.method == "MESSAGE"]
        assert [one.command for one in told if isinstance(one, gb.DeviceControl)] == [
            gb.ResetAlarm("2", "1"), gb.Guard(True), gb.Guard(False),
        ]  # fmt: skip
        assert all(one.device_id == CAMERA for one in told if isinstance(one, gb.DeviceControl))


def control(sn: int, element: str, *, encoding: str = "GB2312") -> str:
    """A DeviceControl as the sheet's example has it (gb28181.md §9), without the spaces between its elements."""
    return (
        f'<?xml version="1.0" encoding="{encoding}"?><Control><CmdType>DeviceControl</CmdType><SN>{sn}</SN>'
        f"<DeviceID>{CAMERA}</DeviceID>{element}</Control>"
    )


@pytest.mark.parametrize(("version", "encoding"), [("", "GB2312"), ("3.0", "GB18030")])
@pytest.mark.parametrize(
    ("order", "element"),
    [
        ("reset", "<AlarmCmd>ResetAlarm</AlarmCmd>"),
        (
            "reset 5 6",
            "<AlarmCmd>ResetAlarm</AlarmCmd><Info><AlarmMethod>5</AlarmMethod><AlarmType>6</AlarmType></Info>",
        ),
        ("arm", "<GuardCmd>SetGuard</GuardCmd>"),
        ("disarm", "<GuardCmd>ResetGuard</GuardCmd>"),
    ],
)
async def test_what_goes_over_the_wire_to_reset_and_to_arm(
    house: House, order: str, element: str, version: str, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anwang.gateways.gb28181.questions.ASK_SECONDS", 0.5)
    async with recorder(house) as line:
        line.version = version
        point = await adopted(house, line)
        address = Address(point=point, gateway="gb28181", device=RECORDER, channel=CAMERA)

        async def give() -> None:
            match order.split():
                case ["reset", method, kind]:
                    await house.gateway.reset_alarm(address, method=int(method), alarm_type=int(kind))
                case ["reset"]:
                    await house.gateway.reset_alarm(address)
                case [word]:
                    await house.gateway.set_guard(address, word == "arm")

        def asked() -> list[sip.Request]:
            return [one for one in line.asked if b"DeviceControl" in one.body]

        line.says[gb.DeviceControl] = b"<Response><CmdType>DeviceControl</CmdType><SN>%d</SN><DeviceID>" + (
            CAMERA.encode() + b"</DeviceID><Result>OK </Result></Response>"
        )
        await give()
        [one] = asked()
        sn = gb.parse(one.body).sn
        text = "".join(part.strip() for part in one.body.decode("ascii").split("\r\n"))
        assert text == control(sn, element, encoding=encoding)
        assert one.method == "MESSAGE" and one.to.uri.user == RECORDER and one.from_.uri.user == SERVER
        assert one.headers.get("Content-Type").lower() == "application/manscdp+xml"

        line.says[gb.DeviceControl] = line.says[gb.DeviceControl].replace(b"OK ", b"ERROR")  # type: ignore[union-attr]
        with pytest.raises(Unsupported, match="refuses"):
            await give()
        line.says[gb.DeviceControl] = None
        with pytest.raises(Unavailable, match="does not answer it"):
            await give()
        assert len(asked()) == 3


@pytest.mark.parametrize(("charset", "declared"), [("utf-8", b"UTF-8"), ("gb18030", b"GB18030"), ("auto", b"GB2312")])
async def test_the_charset_policy_decides_what_is_sent(house: House, charset: str, declared: bytes) -> None:
    async with recorder(house) as line:
        await adopted(house, line)
        admission = house.registry.admission("gb28181", RECORDER)
        assert admission
        await house.registry.set_policies(EVERYTHING, admission.id, Policies(charset=charset))
        line.asked.clear()
        line.says[gb.DeviceStatusQuery] = gb.DeviceStatusResponse(sn=0, device_id=RECORDER, is_ok=True, is_online=True)
        await house.gateway.arrivals.ask_status(RECORDER)
        (asked,) = [one for one in line.asked if b"DeviceStatus" in one.body]
        assert b'encoding="' + declared + b'"' in asked.body


@pytest.mark.parametrize(
    ("charset", "name"), [("utf-8", "é"), ("gb18030", "门门".encode().decode("gb18030")), ("auto", "门")]
)
async def test_the_charset_policy_decides_how_a_lying_body_is_read(house: House, charset: str, name: str) -> None:
    """What the bytes are is said by no declaration here; only a policy can tell a pair that is valid in both."""
    codec = "gb18030" if charset == "gb18030" else "utf-8"
    async with recorder(house) as line:
        await adopted(house, line)
        admission = house.registry.admission("gb28181", RECORDER)
        assert admission
        await house.registry.set_policies(EVERYTHING, admission.id, Policies(charset=charset))
        body = (
            f"<Response><CmdType>DeviceStatus</CmdType><SN>0</SN><DeviceID>{RECORDER}</DeviceID><Result>OK</Result>"
            f"<Online>ONLINE</Online><Status>ERROR</Status><Reason>{name}</Reason></Response>"
        ).encode(codec)
        read = house.gateway._manners.read(body, RECORDER)
        assert isinstance(read, gb.DeviceStatusResponse) and read.reason == name


async def test_what_is_refused_is_listed_with_the_peers_name(house: House) -> None:
    async with recorder(house) as line:
        await adopted(house, line)
        before = house.gateway.refusals.total
        stranger = "34010000001329999999"
        tag = ";tag=zz"
        line.send(line.request("PUBLISH", RECORDER))
        assert (await line.hear()).startswith(b"SIP/2.0 405")
        line.send(line.request("INVITE", RECORDER, extra=f"Contact: <sip:{RECORDER}@127.0.0.1:{line.port}>\r\n"))
        while not (answer := await line.hear()).startswith(b"SIP/2.0 488"):
            assert answer.startswith(b"SIP/2.0 100")
        notice = line.request("NOTIFY", stranger, extra="Event: Catalog\r\nSubscription-State: active\r\n")
        line.send(notice.replace(f"To: <sip:{SERVER}@{DOMAIN}>".encode(), f"To: <sip:{SERVER}@{DOMAIN}>{tag}".encode()))
        assert (await line.hear()).startswith(b"SIP/2.0 481")
        line.send(line.request("SUBSCRIBE", RECORDER, extra="Event: Catalog\r\nExpires: 60\r\n"))
        assert (await line.hear()).startswith(b"SIP/2.0 489")
        rows, _ = house.gateway.refusals.rows()
        found = {(row.device, row.reason.partition(":")[0]) for row in rows if row.peer == "127.0.0.1/udp"}
        assert {(RECORDER, "PUBLISH"), (RECORDER, "INVITE"), (stranger, "NOTIFY"), (RECORDER, "SUBSCRIBE")} <= found
        assert house.gateway.refusals.total == before + 4


async def test_the_audio_policy_leaves_a_device_s_sound_out(house: House) -> None:
    async with recorder(house) as line:
        point = await adopted(house, line)
        admission = house.registry.admission("gb28181", RECORDER)
        assert admission
        address = Address(point=point, gateway="gb28181", device=RECORDER, channel=CAMERA)
        receiver = Receiver(id="r", host="127.0.0.1", port=40000, transport=Transport.UDP, ssrc=200000001)
        line.sdp = (
            f"v=0\r\no={CAMERA} 0 0 IN IP4 127.0.0.1\r\ns=Play\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            "m=video 15060 RTP/AVP 96\r\na=sendonly\r\na=rtpmap:96 PS/90000\r\ny=0200000001\r\n"
        )
        for takes in (True, False):
            await house.registry.set_policies(EVERYTHING, admission.id, Policies(audio=takes))
            pushed = await house.gateway.open_stream(address, Stream.MAIN, receiver, NoTrace())
            assert pushed.with_sound is takes
            await house.gateway.close_stream(pushed.dialog)


async def test_a_log_out_ends_what_the_device_sends(house: House) -> None:
    ended: list[str] = []
    house.gateway.calls.on_media_end = ended.append
    async with recorder(house) as line:
        point = await adopted(house, line)
        address = Address(point=point, gateway="gb28181", device=RECORDER, channel=CAMERA)
        receiver = Receiver(id="r", host="127.0.0.1", port=40000, transport=Transport.UDP, ssrc=200000001)
        line.sdp = (
            f"v=0\r\no={CAMERA} 0 0 IN IP4 127.0.0.1\r\ns=Play\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            "m=video 15060 RTP/AVP 96\r\na=sendonly\r\na=rtpmap:96 PS/90000\r\ny=0200000001\r\n"
        )
        pushed = await house.gateway.open_stream(address, Stream.MAIN, receiver, NoTrace())
        line.send(line.request("REGISTER", RECORDER, call_id="first"))
        gone = line.authorised(RECORDER, await line.hear(), call_id="first")
        line.send(gone.replace(b"Expires: 3600\r\n", b"Expires: 0\r\n"))
        assert (await line.hear()).startswith(b"SIP/2.0 200")
        await settle(house, lambda: any(one.method == "BYE" for one in line.asked))
        assert ended == [pushed.dialog]


@pytest.mark.parametrize("was_killed", [True, False])
async def test_a_call_that_a_killed_run_left_is_ended_when_its_device_comes_back(
    house: House, was_killed: bool
) -> None:
    """Nothing of a killed process is told to the device: only what stands in the database is left of its calls."""
    async with recorder(house) as line:
        point = await adopted(house, line)
        address = Address(point=point, gateway="gb28181", device=RECORDER, channel=CAMERA)
        receiver = Receiver(id="r", host="127.0.0.1", port=40000, transport=Transport.UDP, ssrc=200000001)
        line.sdp = (
            f"v=0\r\no={CAMERA} 0 0 IN IP4 127.0.0.1\r\ns=Play\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            "m=video 15060 RTP/AVP 96\r\na=sendonly\r\na=rtpmap:96 PS/90000\r\ny=0200000001\r\n"
        )
        pushed = await house.gateway.open_stream(address, Stream.MAIN, receiver, NoTrace())
        (invited,) = [one for one in line.asked if one.method == "INVITE"]
        if not was_killed:
            await house.gateway.close_stream(pushed.dialog)
            await settle(house, lambda: any(one.method == "BYE" for one in line.asked))
            line.asked.clear()
        await house.clock.advance(3)
        await house.gateway.calls.kept.flush()
        next_run = KeptCalls(state=house.database, clock=house.clock)
        await next_run.load()
        house.gateway.calls.kept = next_run  # all that a process after the kill knows
        assert (await line.register(RECORDER, call_id="after the kill")).startswith(b"SIP/2.0 200")
        if was_killed:
            await settle(house, lambda: any(one.method == "BYE" for one in line.asked))
            (bye,) = {(one.call_id, one.from_.tag, one.to.tag) for one in line.asked if one.method == "BYE"}
            assert bye[:2] == (invited.call_id, invited.from_.tag) and bye[2].startswith("dev")
            assert house.gateway.calls.left == 1
        await house.clock.advance(3)
        await next_run.flush()
        assert [one.method for one in line.asked].count("BYE") == was_killed
        empty = KeptCalls(state=house.database, clock=house.clock)
        await empty.load()
        assert empty.left(RECORDER) == [], "told once"
