"""The gateway over real sockets with a real registry, in this process: the test moves its clock and looks inside."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from anwang.gateways.gb28181 import Gb28181Gateway, KeptCalls
from anwang.gateways.gb28181.sockets import Sockets
from anwang.governance import CITY, EVERYTHING
from anwang.registry import Admission, EvidenceKind, Point, Policies, Registry, device_key
from anwang.runtime.clock import FakeClock
from anwang.runtime.settings import Gb28181
from anwang.stores.state import State as Database
from anwang.stores.state import metadata

SERVER = "99010000002000000001"
DOMAIN = SERVER[:10]
SECRET = "a-key-for-devices"


def code(number: int) -> str:
    return f"3401000000132{number:07d}"


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


class Line(asyncio.DatagramProtocol):
    """A device's UDP socket."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()
        self._cseq = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.heard.put_nowait(data)

    def send(self, data: bytes) -> None:
        self.transport.sendto(data, self.target)

    async def hear(self) -> bytes:
        """The next message; requests of the platform are answered and skipped."""
        while True:
            async with asyncio.timeout(20):
                data = await self.heard.get()
            if data.startswith(b"SIP/2.0"):
                return data
            lines = re.findall(rb"(?m)^(?:Via|From|To|Call-ID|CSeq): .*\r\n", data)
            self.send(b"SIP/2.0 200 OK\r\n" + b"".join(lines) + b"Content-Length: 0\r\n\r\n")

    def request(self, method: str, device: str, *, extra: str = "", body: str = "", call_id: str = "") -> bytes:
        self._cseq += 1
        to = device if method == "REGISTER" else SERVER
        return (
            f"{method} sip:{SERVER}@{DOMAIN} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 127.0.0.1:{self.port};rport;branch=z9hG4bK{device}{self._cseq}\r\n"
            f"From: <sip:{device}@{DOMAIN}>;tag=a\r\nTo: <sip:{to}@{DOMAIN}>\r\n"
            f"Call-ID: {call_id or f'{method}{device}{self._cseq}'}@x\r\nCSeq: {self._cseq} {method}\r\n{extra}"
            f"Max-Forwards: 70\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    def authorised(self, device: str, challenge: bytes, *, password: str = SECRET, **more: str) -> bytes:
        nonce = re.search(rb'nonce="([^"]+)"', challenge)
        assert nonce
        uri = f"sip:{SERVER}@{DOMAIN}"
        response = md5(f"{md5(f'{device}:{DOMAIN}:{password}')}:{nonce[1].decode()}:{md5(f'REGISTER:{uri}')}")
        extra = (
            f'Authorization: Digest username="{device}", realm="{DOMAIN}", nonce="{nonce[1].decode()}", '
            f'uri="{uri}", response="{response}", algorithm=MD5\r\n'
            f"Contact: <sip:{device}@127.0.0.1:{self.port}>\r\nExpires: 3600\r\n"
        )
        return self.request("REGISTER", device, extra=extra, **more)

    async def register(self, device: str, **more: str) -> bytes:
        self.send(self.request("REGISTER", device, **more))
        challenge = await self.hear()
        assert challenge.startswith(b"SIP/2.0 401"), challenge
        self.send(self.authorised(device, challenge, **more))
        return await self.hear()

    def keepalive(self, device: str) -> bytes:
        body = (
            '<?xml version="1.0"?>\r\n<Notify>\r\n<CmdType>Keepalive</CmdType>\r\n<SN>1</SN>\r\n'
            f"<DeviceID>{device}</DeviceID>\r\n<Status>OK</Status>\r\n</Notify>\r\n"
        )
        return self.request("MESSAGE", device, extra="Content-Type: Application/MANSCDP+xml\r\n", body=body)


class SlowRegistry(Registry):
    """Writes new devices down when the test lets it."""

    async def meet(self, *arguments: str, **more: object) -> Admission:
        await self.may_meet.wait()
        return await super().meet(*arguments, **more)  # type: ignore[arg-type]

    may_meet: asyncio.Event


class House:
    """The gateway and what it stands on."""

    database: Database

    def __init__(self, gateway: Gb28181Gateway, registry: SlowRegistry, clock: FakeClock) -> None:
        self.gateway, self.registry, self.clock = gateway, registry, clock

    @asynccontextmanager
    async def line(self) -> AsyncIterator[Line]:
        _, made = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: Line(("127.0.0.1", self.gateway.port)), local_addr=("127.0.0.1", 0)
        )
        try:
            yield made
        finally:
            made.transport.close()

    def evidence(self, device: str) -> dict[EvidenceKind, tuple[bool, str]]:
        told = self.registry.live.explain_device(device_key("gb28181", device), self.clock.micros())
        return {item.kind: (item.ok, item.source) for item in told.evidence if item.at_us}

    async def until(self, condition: object) -> None:
        async with asyncio.timeout(20):
            while not condition():  # type: ignore[operator]
                await asyncio.sleep(0.005)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    database = await Database.open(f"sqlite:///{tmp_path}/state.db")
    async with database.begin() as tx:
        await tx.run_sync(metadata.create_all)
    clock = FakeClock()
    registry = SlowRegistry(state=database, clock=clock, folder=tmp_path / "registry")
    registry.may_meet = asyncio.Event()
    registry.may_meet.set()
    await registry.load()
    gateway = Gb28181Gateway(
        settings=Gb28181(host="127.0.0.1", port=0, server_id=SERVER, receive_buffer_bytes=1 << 20),
        registry=registry,
        clock=clock,
        password_of=lambda device: SECRET,
        sip_host=lambda peer: "",
        adopt_under=lambda device: None,
        on_signal=lambda device, alarm: None,
        on_media_end=lambda dialog: None,
        kept=KeptCalls(state=database, clock=clock),
    )
    await gateway.open()
    running = asyncio.create_task(gateway.run())
    await asyncio.sleep(0)
    try:
        found = House(gateway, registry, clock)
        found.database = database
        yield found
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        gateway.close()
        await registry.close()
        await database.close()


async def test_a_keepalive_before_the_device_is_written_down_counts(house: House) -> None:
    """Devices send one at once; it was dropped where the registry did not know the device yet."""
    device = code(1)
    house.registry.may_meet.clear()
    async with house.line() as line:
        assert (await line.register(device)).startswith(b"SIP/2.0 200")
        line.send(line.keepalive(device))
        assert (await line.hear()).startswith(b"SIP/2.0 200")
        await house.clock.advance(3)
        assert house.registry.admission("gb28181", device) is None
        house.registry.may_meet.set()
        await house.until(lambda: house.registry.admission("gb28181", device))
        await house.clock.advance(2)
        found = house.evidence(device)
        assert found[EvidenceKind.REGISTRATION] == (True, f"127.0.0.1:{line.port}/udp")
        assert found[EvidenceKind.KEEPALIVE] == (True, f"127.0.0.1:{line.port}")
        assert house.gateway.fast == 1


async def test_a_watched_device_shows_its_keepalives_and_their_answers(house: House) -> None:
    device = code(2)
    async with house.line() as line:
        await line.register(device)
        line.send(line.keepalive(device))
        await line.hear()
        assert not house.gateway.capture.messages(device, "keepalive"), "nobody watched"
        with house.gateway.capture.watch(device) as queue:
            beat = line.keepalive(device)
            line.send(beat)
            answer = await line.hear()
            while (asked := queue.get_nowait()).data != beat:
                continue  # what was asked of the new device
            answered = queue.get_nowait()
            assert (asked.outgoing, answered.outgoing, answered.data) == (False, True, answer)
        assert house.gateway.fast == 2, "watched or not, it takes the same way"
        kept = house.gateway.capture.messages(device)
        assert [m.data[:8] for m in kept if b"REGISTER" in m.data] == [b"REGISTER", b"SIP/2.0 "] * 2
        assert all(SECRET.encode() not in m.data for m in kept)
        assert not [m for m in kept if re.search(rb'response="[0-9a-f]{32}"', m.data)], "secrets are taken out"


async def test_a_keepalive_by_the_long_way_that_nobody_watches_is_not_kept_either(house: House) -> None:
    device = code(3)
    async with house.line() as line:
        await line.register(device)
        await house.until(lambda: house.registry.admission("gb28181", device))
        line.send(line.keepalive(device).replace(b"Max-Forwards", b"Note: x\r\nMax-Forwards"))
        answer = await line.hear()
        assert house.gateway.fast == 0 and house.gateway.keepalives == 1
        assert answer not in [m.data for m in house.gateway.capture.messages(device)]


@pytest.mark.parametrize("way", ["fast", "long"])
async def test_register_refresh_restart_and_log_out_by_either_way(house: House, way: str) -> None:
    device = code(4 if way == "fast" else 5)
    note = "" if way == "fast" else "Note: x\r\n"

    async def register(line: Line, call_id: str, expires: int = 3600) -> bytes:
        line.send(line.request("REGISTER", device, extra=note, call_id=call_id))
        asked = line.authorised(device, await line.hear(), call_id=call_id)
        line.send(asked.replace(b"Expires: 3600\r\n", f"Expires: {expires}\r\n{note}".encode()))
        return await line.hear()

    async with house.line() as line:
        first = await register(line, "one")
        assert first.startswith(b"SIP/2.0 200 OK\r\n")
        assert (
            f"Contact: <sip:{device}@127.0.0.1:{line.port}>;expires=3600\r\nExpires: 3600\r\nDate: ".encode() in first
        )
        assert b"X-GB-Ver: 3.0\r\n" in first
        await house.until(lambda: house.registry.admission("gb28181", device))
        session = house.gateway.sessions.get(device)
        assert await register(line, "one")
        assert house.gateway.sessions.get(device) is session, "the same Call-ID is a refresh"
        assert await register(line, "two")
        assert house.gateway.sessions.get(device) is not session, "another one is a restart"
        await house.clock.advance(2)
        assert house.evidence(device)[EvidenceKind.REGISTRATION][0]
        last = await register(line, "two", expires=0)
        assert b"Expires: 0\r\n" in last and house.gateway.sessions.get(device) is None
        await house.clock.advance(2)
        assert not house.evidence(device)[EvidenceKind.REGISTRATION][0]


async def test_a_wrong_password_sent_twice_counts_once(house: House) -> None:
    """The fast way leaves refusals to the transactions, which know a retransmission."""
    device = code(6)
    async with house.line() as line:
        line.send(line.request("REGISTER", device))
        guess = line.authorised(device, await line.hear(), password="wrong")
        for _ in range(5):
            line.send(guess)
            assert (await line.hear()).startswith(b"SIP/2.0 403")
        assert house.gateway.refusals.total == 1
        assert (await line.register(device)).startswith(b"SIP/2.0 200"), "one wrong guess does not shut it out"


async def test_another_port_of_the_same_address_is_followed_and_another_address_refused(house: House) -> None:
    device = code(7)
    async with house.line() as line, house.line() as moved:
        await line.register(device)
        await house.until(lambda: house.registry.admission("gb28181", device))
        await house.clock.advance(2)
        for _ in range(2):
            moved.send(moved.keepalive(device))
            assert (await moved.hear()).startswith(b"SIP/2.0 200")
        await house.clock.advance(2)
        assert house.evidence(device)[EvidenceKind.KEEPALIVE] == (True, f"127.0.0.1:{moved.port}")
        _, stranger = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: Line(("127.0.0.1", house.gateway.port)), local_addr=("127.0.0.2", 0)
        )
        stranger.send(stranger.keepalive(device))
        assert (await stranger.hear()).startswith(b"SIP/2.0 403")
        stranger.transport.close()


async def test_keepalives_and_logins_over_tcp_take_the_fast_way_however_the_stream_is_cut(house: House) -> None:
    device = code(13)
    async with house.line() as writer_of_messages:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.gateway.port)

        async def hear() -> bytes:
            while True:
                async with asyncio.timeout(20):
                    head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"Content-Length: ([0-9]+)", head)
                await reader.readexactly(int(length[1]) if length else 0)
                if head.startswith(b"SIP/2.0"):
                    return head

        line = writer_of_messages
        writer.write(line.request("REGISTER", device, call_id="one"))
        login = line.authorised(device, await hear(), call_id="one").replace(b"SIP/2.0/UDP", b"SIP/2.0/TCP")
        writer.write(login)
        assert (await hear()).startswith(b"SIP/2.0 200")
        assert house.gateway.line.endpoint.counters.received == 0, "no parser was needed"
        beats = [line.keepalive(device).replace(b"SIP/2.0/UDP", b"SIP/2.0/TCP") for _ in range(4)]
        writer.write(beats[0] + beats[1] + beats[2][:100])
        assert [(await hear())[:11] for _ in range(2)] == [b"SIP/2.0 200"] * 2
        writer.write(beats[2][100:] + b"\r\n\r\n" + beats[3])
        assert [(await hear())[:11] for _ in range(2)] == [b"SIP/2.0 200"] * 2
        assert house.gateway.fast == 4
        await house.until(lambda: house.registry.admission("gb28181", device))
        await house.clock.advance(2)
        assert house.evidence(device)[EvidenceKind.KEEPALIVE][0] is True
        writer.close()
        await house.until(lambda: house.gateway.sessions.by_code[device].is_lost)


async def test_a_catalogue_is_asked_for_again_at_the_devices_own_interval(house: House) -> None:
    device = code(12)

    async def beats(line: Line, seconds: int) -> int:
        """Keep the device alive so long; how often its catalogue was wanted meanwhile."""
        wanted: list[str] = []
        house.gateway.catalogues.want = wanted.append  # type: ignore[method-assign]  # what is asked is tested above
        for _ in range(seconds // 30):
            line.send(line.keepalive(device))
            assert (await line.hear()).startswith(b"SIP/2.0 200")
            for _ in range(3):
                await house.clock.advance(10)
        assert set(wanted) <= {device}
        return len(wanted)

    async with house.line() as line:
        await line.register(device)
        await house.until(lambda: house.registry.admission("gb28181", device))
        admission = house.registry.admission("gb28181", device)
        assert admission is not None
        assert await beats(line, 600) <= 1, "an hour by default"
        await house.registry.set_policies(EVERYTHING, admission.id, Policies(catalogue_interval_s=120.0))
        assert 4 <= await beats(line, 600) <= 6, "the new interval counts at once"


async def test_in_a_storm_nobody_is_asked_anything(house: House) -> None:
    """Every device that registers anew is asked for its catalogue and its name: not before the storm is over."""
    async with house.line() as line, house.line() as other:
        line.send(line.request("REGISTER", code(11), call_id="one"))
        challenge = await line.hear()
        line.send(line.authorised(code(11), challenge, call_id="one"))
        await line.hear()
        await house.until(
            lambda: house.registry.admission("gb28181", code(11)) and not len(house.gateway.arrivals.introductions)
        )
        for _ in range(600):
            line.send(line.authorised(code(11), challenge, call_id="one"))
            assert (await line.hear()).startswith(b"SIP/2.0 200")
        assert (await other.register(code(12))).startswith(b"SIP/2.0 200")
        await house.until(lambda: house.registry.admission("gb28181", code(12)))
        await house.clock.advance(0.5)
        assert len(house.gateway.arrivals.introductions) == 1 and other.heard.empty()
        await house.clock.advance(4)
        await house.until(lambda: len(house.gateway.arrivals.introductions) == 0)
        async with asyncio.timeout(20):
            assert (await other.heard.get()).startswith(b"MESSAGE")


async def connected(port: int, host: str = "127.0.0.1") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port, local_addr=(host, 0))


async def is_closed(reader: asyncio.StreamReader) -> bool:
    with contextlib.suppress(ConnectionResetError):
        return await asyncio.wait_for(reader.read(), 20) == b""
    return True


async def test_strangers_over_tcp_must_go_and_devices_may_stay(house: House) -> None:
    device, sockets = code(8), house.gateway.sockets
    idle, idler = await connected(sockets.port)
    reader, writer = await connected(sockets.port)
    line = Line(("127.0.0.1", sockets.port))
    line.port = 1
    writer.write(line.request("REGISTER", device).replace(b"/UDP", b"/TCP"))
    challenge = await reader.readuntil(b"\r\n\r\n")
    writer.write(line.authorised(device, challenge).replace(b"/UDP", b"/TCP"))
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"SIP/2.0 200")
    await house.until(lambda: sockets.strangers == 1)
    await house.clock.advance(30)
    assert sockets.outstayed == 0
    await house.clock.advance(40)
    assert await is_closed(idle)
    assert (sockets.outstayed, sockets.strangers) == (1, 0)
    rows, _ = house.gateway.refusals.rows()
    assert [row.peer for row in rows] == ["127.0.0.1/tcp"] and "registered" in rows[0].reason

    log_out = line.authorised(device, challenge).replace(b"/UDP", b"/TCP").replace(b"Expires: 3600", b"Expires: 0")
    writer.write(log_out)
    await house.until(lambda: sockets.strangers == 1)
    await house.clock.advance(70)
    assert sockets.outstayed == 2, "who has logged out is a stranger again"
    for one in (writer, idler):
        one.close()


async def test_a_lost_connection_takes_its_own_device_along(house: House) -> None:
    lines = []
    for number in (9, 10):
        reader, writer = await connected(house.gateway.port)
        line = Line(("127.0.0.1", house.gateway.port))
        line.port = 1
        writer.write(line.request("REGISTER", code(number)).replace(b"/UDP", b"/TCP"))
        challenge = await reader.readuntil(b"\r\n\r\n")
        writer.write(line.authorised(code(number), challenge).replace(b"/UDP", b"/TCP"))
        await reader.readuntil(b"\r\n\r\n")
        lines.append(writer)
    for number in (9, 10):
        await house.until(lambda number=number: house.registry.admission("gb28181", code(number)))
    lines[0].close()
    await house.until(lambda: house.gateway.sessions.by_code[code(9)].is_lost)
    await house.clock.advance(2)
    assert house.evidence(code(9))[EvidenceKind.REGISTRATION][0] is False
    assert house.evidence(code(10))[EvidenceKind.REGISTRATION][0] is True
    assert not house.gateway.sessions.by_code[code(10)].is_lost
    lines[1].close()


async def test_so_many_strangers_and_no_more_from_one_address() -> None:
    refused: list[str] = []
    clock = FakeClock()
    sockets = Sockets(
        clock=clock,
        datagram=lambda data, peer, now: None,
        lost=lambda peer: None,
        broken=lambda peer, err: refused.append(err.reason),
        strangers_per_address=3,
    )
    await sockets.open("127.0.0.1", 0, buffer_bytes=1 << 16)
    try:
        first = [await connected(sockets.port) for _ in range(3)]
        crowded, refused_writer = await connected(sockets.port)
        assert await is_closed(crowded)
        refused_writer.close()
        assert sockets.crowded == 1 and "too many" in refused[0]
        other = await connected(sockets.port, "127.0.0.2")
        async with asyncio.timeout(20):
            while sockets.strangers < 4:
                await asyncio.sleep(0.005)
        first[0][1].close()
        async with asyncio.timeout(20):
            while sockets.strangers > 3:
                await asyncio.sleep(0.005)
        again = await connected(sockets.port)
        async with asyncio.timeout(20):
            while sockets.strangers < 4:
                await asyncio.sleep(0.005)
        assert sockets.crowded == 1
        await clock.advance(100)
        sockets.sweep(clock.monotonic())
        assert (sockets.strangers, sockets.outstayed) == (0, 4)
        for reader, writer in (*first[1:], other, again):
            assert await is_closed(reader)
            writer.close()
    finally:
        sockets.close()


async def test_both_families_on_one_port(house: House) -> None:
    heard: list[tuple[bytes, str]] = []
    sockets = Sockets(
        clock=house.clock,
        datagram=lambda data, peer, now: heard.append((data, peer[1])),
        lost=lambda peer: None,
        broken=lambda peer, err: None,
    )
    await sockets.open("::", 0, buffer_bytes=1 << 16)
    try:
        loop = asyncio.get_running_loop()
        for host, own in (("127.0.0.1", "127.0.0.1"), ("::1", "::1")):
            _, line = await loop.create_datagram_endpoint(lambda: Line(("", 0)), local_addr=(own, 0))
            line.transport.sendto(b"hello", (host, sockets.port))
            await house.until(lambda own=own: (b"hello", own) in heard)
            sockets.send(b"back", ("udp", own, line.port))
            async with asyncio.timeout(20):
                assert await line.heard.get() == b"back"
            line.transport.close()
            _, writer = await asyncio.open_connection(host, sockets.port)
            writer.close()
    finally:
        sockets.close()


CHANNEL = f"{code(900)[:10]}1320000001"


def catalogue_of(device: str, item: str, info: str) -> str:
    return (
        f'<?xml version="1.0"?>\r\n<Response><CmdType>Catalog</CmdType><SN>999</SN><DeviceID>{device}</DeviceID>'
        f'<SumNum>1</SumNum><DeviceList Num="1"><Item><DeviceID>{CHANNEL}</DeviceID><Name>North gate</Name>'
        f"<Status>ON</Status>{item}<Info>{info}</Info></Item></DeviceList></Response>\r\n"
    )


async def adopted_with(house: House, item: str, info: str) -> Point:
    """The point made of the only channel of a stranger that is let in."""
    async with house.line() as line:
        assert (await line.register(code(900))).startswith(b"SIP/2.0 200")
        await house.until(lambda: house.registry.admission("gb28181", code(900)) is not None)
        body = catalogue_of(code(900), item, info)
        line.send(line.request("MESSAGE", code(900), extra="Content-Type: Application/MANSCDP+xml\r\n", body=body))
        assert (await line.hear()).startswith(b"SIP/2.0 200")
        device = house.registry.admission("gb28181", code(900))
        assert device
        async with asyncio.timeout(20):
            while not (await house.registry.channels(EVERYTHING, device.id)).items:
                await asyncio.sleep(0.005)
        _, made = await house.registry.adopt(EVERYTHING, device.id, CITY)
        return (await house.registry.point(EVERYTHING, made.points[0])).point


async def test_a_stranger_s_catalogue_of_2022_fills_the_whole_camera_file(house: House) -> None:
    point = await adopted_with(
        house,
        "<Manufacturer>15</Manufacturer><Model>X1</Model><CivilCode>340100</CivilCode><Address>Gate 1</Address>"
        "<IPAddress>10.1.2.3</IPAddress><SecurityLevelCode>A</SecurityLevelCode>"
        "<Longitude>117.25</Longitude><Latitude>31.75</Latitude>",
        "<PTZType>1/6</PTZType><PhotoelectricImagingType>1/2</PhotoelectricImagingType>"
        "<CapturePositionType>0280100</CapturePositionType><RoomType>2</RoomType><SupplyLightType>4</SupplyLightType>"
        "<DirectionType>3</DirectionType><Resolution>1920x1080</Resolution><StreamNumberList>0/1</StreamNumberList>"
        "<DownloadSpeed>1/2/4</DownloadSpeed><HorizontalFieldAngle>88.5</HorizontalFieldAngle>"
        "<VerticalFieldAngle>50</VerticalFieldAngle><MaxViewDistance>200</MaxViewDistance>"
        "<GrassrootsCode>001001</GrassrootsCode><PointType>1</PointType><PointCommonName>Gate</PointCommonName>"
        "<MAC>AA-BB-CC-00-11-22</MAC><FunctionType>03/02</FunctionType><EncodeType>5</EncodeType>"
        "<InstallTime>2024-05-06T07:08:09</InstallTime><ManagementUnit>East</ManagementUnit>"
        "<ContactInfo>110</ContactInfo><RecordSaveDays>90</RecordSaveDays>"
        "<IndustrialClassification>N78</IndustrialClassification>",
    )
    assert (point.camera_type, point.ptz, point.point_class) == ("dome", True, 1)
    assert (point.division, point.address, point.longitude, point.latitude) == ("340100", "Gate 1", 117.25, 31.75)
    assert (point.heading_deg, point.fov_deg, point.streams) == (180.0, 88.5, ("main", "sub"))
    assert point.file == {
        "maker": "15",
        "model": "X1",
        "ipv4": "10.1.2.3",
        "security_level": "A",
        "imaging": "1/2",
        "place_type": "0280100",
        "room_type": "2",
        "fill_light": "4",
        "facing": "3",
        "resolution": "1920x1080",
        "stream_numbers": "0/1",
        "download_speed": "1/2/4",
        "vertical_fov_deg": 50.0,
        "view_distance_m": 200.0,
        "grassroots_code": "001001",
        "common_name": "Gate",
        "mac": "AA-BB-CC-00-11-22",
        "function_type": "vehicle/person",
        "codec": "H.265",
        "install_time": "2024-05-06 07:08:09",
        "manager": "East",
        "manager_phone": "110",
        "retention_days": 90,
        "industry_class": "N78",
    }
    assert (await house.registry.findings(EVERYTHING, rule="DQ05")).items == []


async def test_an_older_peer_s_digits_mean_what_its_table_says_and_nonsense_is_a_finding(house: House) -> None:
    point = await adopted_with(
        house,
        "<SafetyWay>0</SafetyWay><IPAddress>300.1.1.1</IPAddress><Block>340100000001</Block>",
        "<PTZType>5</PTZType><PositionType>10</PositionType><UseType>2</UseType><Resolution>6/2</Resolution>"
        "<DirectionType>77</DirectionType><SupplyLightType>2</SupplyLightType>",
    )
    assert (point.camera_type, point.ptz) == ("checkpoint_bullet", False)
    assert point.file == {
        "place_type": "10",
        "use_type": "traffic",
        "resolution": "1080P/CIF",
        "fill_light": "2",
        "police_unit": "340100000001",
    }
    found = (await house.registry.findings(EVERYTHING, rule="DQ05", point=point.id)).items
    told = sorted(one.message for one in found)
    assert [text.split("：")[0] for text in told] == ["目录中的 IPv4 地址 300.1.1.1", "目录中的 监控方位 77"]
