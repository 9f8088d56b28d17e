"""A GB/T 28181 device by independent means: SIP text written by hand, hashlib for the digest, plain sockets.

Nothing of ours is imported, so that a mistake which our codecs make in both directions shows.
"""

# ruff: noqa: E501 - messages read best as they go over the wire

from __future__ import annotations

import contextlib
import hashlib
import itertools
import re
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.flow.served import DOMAIN, DOOR_KEY, SERVER


@dataclass
class Sip:
    """A message as it was read."""

    start: str
    headers: list[tuple[str, str]]
    body: bytes

    def __getitem__(self, name: str) -> str:
        return next((v for n, v in self.headers if n.lower() == name.lower()), "")

    def all(self, name: str) -> list[str]:
        return [v for n, v in self.headers if n.lower() == name.lower()]

    @property
    def status(self) -> int:
        return int(self.start.split()[1]) if self.start.startswith("SIP/") else 0

    @property
    def method(self) -> str:
        return "" if self.status else self.start.split()[0]


def read(data: bytes) -> Sip:
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = [(n.strip(), v.strip()) for n, _, v in (line.partition(":") for line in lines[1:])]
    return Sip(lines[0], headers, body)


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def packs_of(ps: bytes) -> list[tuple[int, bytes]]:
    """A program stream cut at its pack headers: (system clock reference in 90 kHz, pack)."""
    starts = [m.start() for m in re.finditer(rb"\x00\x00\x01\xba", ps)] + [len(ps)]
    found = []
    for a, b in itertools.pairwise(starts):
        h = ps[a + 4 : a + 9]
        scr = ((h[0] >> 3 & 7) << 30) | ((h[0] & 3) << 28) | (h[1] << 20) | ((h[2] >> 3) << 15) | ((h[2] & 3) << 13)
        scr |= (h[3] << 5) | (h[4] >> 3)
        found.append((scr, ps[a:b]))
    return found


@dataclass
class Call:
    """One invitation that we accepted."""

    invite: Sip
    tag: str
    target: tuple[str, int]
    ssrc: int
    how: str
    listener: socket.socket | None = None
    over: threading.Event = field(default_factory=threading.Event)
    bye: threading.Event = field(default_factory=threading.Event)
    # a recording: second of the movie to go on from, times real time, and whether it was told to
    jump: float | None = None
    speed: float = 1.0
    sent: threading.Event = field(default_factory=threading.Event)


class ScriptDevice:
    """Answers like a device. channels: (code, name). answer: status of the answer to an INVITE. ps: what it sends."""

    def __init__(self, port: int, code: str, *, transport: str = "udp", channels: list[tuple[str, str]] | None = None,
                 ps: bytes = b"", answer: int = 200, takes_tcp: bool = True, per_message: int = 2,
                 change_ssrc: bool = False, sdp: bytes = b"", host: str = "127.0.0.1") -> None:  # fmt: skip
        self.code, self.transport, self.port = code, transport, port
        self.channels, self.per_message = channels or [], per_message
        self.ps, self.answer, self.takes_tcp, self.change_ssrc = ps, answer, takes_tcp, change_ssrc
        self.sdp = sdp
        #: whether it takes subscriptions
        self.subscribable = False
        #: entries that its catalogue announces beyond those that it sends
        self.withheld = 0
        #: what it answers to RecordInfo: (messages of XML items, SumNum); None: nothing
        self.records: tuple[list[str], int] | None = None
        #: status of the answer to INFO; RTSP status inside it
        self.info, self.rtsp = 200, 200
        #: whether it does what INFO says, and whether it says 121 at the end
        self.obeys, self.says_end = True, True
        #: the SSRC of its packets where it is not the one that it has answered; from which address it sends media
        self.rtp_ssrc: int | None = None
        self.media_host = host
        #: what it sends besides, before each pack of a live stream
        self.noise = b""
        #: what it makes of a challenge: answers without qop (""), only one that offers it ("must"), only without ("cannot")
        self.qop = ""
        #: the challenge that it was given last
        self.challenge = ""
        #: what it answers to a MESSAGE whose body contains the key
        self.answers: dict[bytes, str] = {}
        self.heard: list[Sip] = []
        self.calls: list[Call] = []
        self._cseq = 0
        self._lock = threading.Condition()
        self._stop = threading.Event()
        kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
        self.family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(self.family, kind)
        self.socket.connect((host, port))
        #: its own address, and the same as SIP and SDP write it
        self.host, self.own_port = self.socket.getsockname()[:2]
        self.uri_host: str = f"[{self.host}]" if ":" in host else self.host
        self.net = "IP6" if ":" in host else "IP4"
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def __enter__(self) -> ScriptDevice:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._stop.set()
        for call in self.calls:
            call.over.set()
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self.socket.close()

    # ---- what it says

    def send(self, text: str, body: bytes = b"") -> None:
        with contextlib.suppress(OSError):
            self.socket.sendall(text.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)

    def request(self, method: str, body: bytes = b"", *, extra: str = "", call_id: str = "", kind: str = "Application/MANSCDP+xml",
                seconds: float = 10) -> Sip:  # fmt: skip
        """Send a request and wait for its final answer."""
        self._cseq += 1
        number = self._cseq
        branch = f"z9hG4bK{self.code[-6:]}{number}x{time.monotonic_ns()}"
        call_id = call_id or f"{number}-{self.code}@{self.host}"
        uri = f"sip:{SERVER}@{DOMAIN}"
        text = (
            f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{self.transport.upper()} {self.uri_host}:{self.own_port};rport;branch={branch}\r\n"
            f"From: <sip:{self.code}@{DOMAIN}>;tag=t{number}\r\nTo: <sip:{self.code if method == 'REGISTER' else SERVER}@{DOMAIN}>\r\n"
            f"Call-ID: {call_id}\r\nCSeq: {number} {method}\r\nMax-Forwards: 70\r\nUser-Agent: Script 1.0\r\n"
            f"Contact: <sip:{self.code}@{self.uri_host}:{self.own_port}>\r\n{extra}"
        )
        if body:
            text += f"Content-Type: {kind}\r\n"
        self.send(text, body)
        return self.wait(
            lambda m: m.status >= 200 and m["CSeq"] == f"{number} {method}" and m["Call-ID"] == call_id, seconds
        )

    def wait(self, wanted: Callable[[Sip], bool], seconds: float = 10) -> Sip:
        """The first message heard that is wanted."""
        end = time.monotonic() + seconds
        with self._lock:
            while True:
                for message in self.heard:
                    if wanted(message):
                        return message
                left = end - time.monotonic()
                assert left > 0, f"device {self.code} waited in vain; heard {[m.start for m in self.heard][-12:]}"
                self._lock.wait(left)

    def register(self, password: str = DOOR_KEY, *, expires: int = 3600, call_id: str = "") -> int:
        """Register with the digest of RFC 2617; the final status, 401 where it has no answer to the challenge."""
        call_id = call_id or f"reg-{self.code}@{self.host}"
        first = self.request("REGISTER", extra=f"Expires: {expires}\r\n", call_id=call_id)
        if first.status != 401:
            return first.status
        self.challenge = first["WWW-Authenticate"]
        given = dict(re.findall(r'(\w+)="([^"]*)"', self.challenge))
        if self.qop and ("qop" in given) != (self.qop == "must"):
            return 401
        uri = f"sip:{SERVER}@{DOMAIN}"
        ha1, ha2 = md5(f"{self.code}:{given['realm']}:{password}"), md5(f"REGISTER:{uri}")
        if self.qop == "must":
            extra = ', qop=auth, nc=00000001, cnonce="0a4f113b"'
            response = md5(f"{ha1}:{given['nonce']}:00000001:0a4f113b:auth:{ha2}")
        else:
            extra, response = "", md5(f"{ha1}:{given['nonce']}:{ha2}")
        authorization = (
            f'Authorization: Digest username="{self.code}", realm="{given["realm"]}", nonce="{given["nonce"]}", '
            f'uri="{uri}", response="{response}", algorithm=MD5{extra}\r\n'
        )
        return self.request("REGISTER", extra=authorization + f"Expires: {expires}\r\n", call_id=call_id).status

    def message(self, xml: str, *, seconds: float = 10) -> int:
        body = ('<?xml version="1.0" encoding="GB2312"?>\r\n' + xml).encode("gb2312")
        return self.request("MESSAGE", body, seconds=seconds).status

    def keepalive(self, *, seconds: float = 10) -> int:
        self._cseq += 1
        return self.message(
            f"<Notify>\r\n<CmdType>Keepalive</CmdType>\r\n<SN>{self._cseq}</SN>\r\n<DeviceID>{self.code}</DeviceID>\r\n"
            "<Status>OK</Status>\r\n</Notify>\r\n",
            seconds=seconds,
        )

    # ---- what it hears

    def _listen(self) -> None:
        held = b""
        while not self._stop.is_set():
            try:
                data = self.socket.recv(65536)
            except OSError:
                if self.transport == "udp" and not self._stop.is_set():
                    continue
                return
            if not data:
                return
            if self.transport == "udp":
                self._take(read(data))
                continue
            held += data
            while b"\r\n\r\n" in held:
                head = held.partition(b"\r\n\r\n")[0]
                length = re.search(rb"(?im)^(?:content-length|l)\s*:\s*(\d+)", head)
                size = len(head) + 4 + (int(length[1]) if length else 0)
                if len(held) < size:
                    break
                one, held = held[:size], held[size:]
                self._take(read(one))

    def _take(self, message: Sip) -> None:
        # a call is heard of when it is there; a question before its answer, which a test may wait for
        is_question = message.method in ("MESSAGE", "INFO")
        if not message.status and not is_question:
            self._serve(message)
        with self._lock:
            self.heard.append(message)
            self._lock.notify_all()
        if is_question:
            self._serve(message)

    def reply(self, request: Sip, status: str, *, tag: str = "", extra: str = "", body: bytes = b"") -> None:
        vias = "".join(f"Via: {v}\r\n" for v in request.all("Via"))
        to = request["To"] + (f";tag={tag}" if tag and "tag=" not in request["To"] else "")
        self.send(
            f"SIP/2.0 {status}\r\n{vias}From: {request['From']}\r\nTo: {to}\r\nCall-ID: {request['Call-ID']}\r\n"
            f"CSeq: {request['CSeq']}\r\nContact: <sip:{self.code}@{self.uri_host}:{self.own_port}>\r\n{extra}", body,
        )  # fmt: skip

    def _serve(self, request: Sip) -> None:
        match request.method:
            case "MESSAGE":
                self.reply(request, "200 OK", tag="m")
                if b"<CmdType>Catalog<" in request.body:
                    threading.Thread(target=self._catalogue, args=(request,), daemon=True).start()
                if b"<CmdType>RecordInfo<" in request.body and self.records is not None:
                    threading.Thread(target=self._recordings, args=(request,), daemon=True).start()
                for key, xml in list(self.answers.items()):
                    if key in request.body:
                        threading.Thread(target=self._answer, args=(request, xml), daemon=True).start()
            case "INFO":
                self._informed(request)
            case "INVITE":
                self._invited(request)
            case "ACK":
                call = next((c for c in self.calls if c.invite["Call-ID"] == request["Call-ID"]), None)
                if call is not None and self.ps:
                    threading.Thread(target=self._play, args=(call,), daemon=True).start()
            case "BYE":
                self.reply(request, "200 OK")
                for call in self.calls:
                    if call.invite["Call-ID"] == request["Call-ID"]:
                        call.over.set()
                        call.bye.set()
            case "CANCEL":
                self.reply(request, "200 OK", tag="c")
            case "SUBSCRIBE" if self.subscribable:
                self.reply(request, "200 OK", tag=f"s{len(self.heard)}", extra=f"Expires: {request['Expires']}\r\n")
            case _:
                self.reply(request, "489 Bad Event", tag="s")

    def _catalogue(self, request: Sip) -> None:
        sn = re.search(rb"<SN>(\d+)</SN>", request.body)
        assert sn
        for at in range(0, len(self.channels), self.per_message):
            part = self.channels[at : at + self.per_message]
            items = "".join(
                f"<Item>\r\n<DeviceID>{code}</DeviceID>\r\n<Name>{name}</Name>\r\n<Manufacturer>Script</Manufacturer>\r\n"
                f"<Model>S1</Model>\r\n<Owner>Owner</Owner>\r\n<CivilCode>{code[:6]}</CivilCode>\r\n<Address>a</Address>\r\n"
                f"<Parental>0</Parental>\r\n<ParentID>{self.code}</ParentID>\r\n<SafetyWay>0</SafetyWay>\r\n"
                "<RegisterWay>1</RegisterWay>\r\n<Secrecy>0</Secrecy>\r\n<Status>ON</Status>\r\n</Item>\r\n"
                for code, name in part
            )
            with contextlib.suppress(AssertionError):
                self.message(
                    f"<Response>\r\n<CmdType>Catalog</CmdType>\r\n<SN>{int(sn[1])}</SN>\r\n<DeviceID>{self.code}</DeviceID>\r\n"
                    f'<SumNum>{len(self.channels) + self.withheld}</SumNum>\r\n<DeviceList Num="{len(part)}">\r\n{items}</DeviceList>\r\n</Response>\r\n'
                )

    def _answer(self, request: Sip, xml: str) -> None:
        sn = re.search(rb"<SN>(\d+)</SN>", request.body)
        assert sn
        with contextlib.suppress(AssertionError):
            self.message(xml.replace("{sn}", sn[1].decode()))

    def _recordings(self, request: Sip) -> None:
        """Its answer in as many messages as the test says, in the order that the test says."""
        assert self.records is not None
        sn = re.search(rb"<SN>(\d+)</SN>", request.body)
        channel = re.search(rb"<DeviceID>(\d+)</DeviceID>", request.body)
        assert sn and channel
        parts, total = self.records
        for items in parts:
            count = items.count("<Item>")
            listed = f'<RecordList Num="{count}">\r\n{items}</RecordList>\r\n' if count else ""
            with contextlib.suppress(AssertionError):
                self.message(
                    f"<Response>\r\n<CmdType>RecordInfo</CmdType>\r\n<SN>{int(sn[1])}</SN>\r\n"
                    f"<DeviceID>{channel[1].decode()}</DeviceID>\r\n<Name>Camera</Name>\r\n<SumNum>{total}</SumNum>\r\n{listed}</Response>\r\n"
                )

    def _informed(self, request: Sip) -> None:
        """MANSRTSP: seek, pause, speed."""
        call = next((c for c in self.calls if c.invite["Call-ID"] == request["Call-ID"]), None)
        if call is None:
            self.reply(request, "481 No Call")
            return
        if self.info != 200:
            self.reply(request, f"{self.info} No")
            return
        text = request.body.decode()
        place, scale = re.search(r"npt=([\d.]+)-", text), re.search(r"Scale: ([\d.]+)", text)
        if self.obeys and self.rtsp == 200:
            if text.startswith("PAUSE"):
                call.speed = 0.0
            if text.startswith("PLAY"):
                call.speed = float(scale[1]) if scale else call.speed or 1.0
                call.jump = float(place[1]) if place else call.jump
        cseq = re.search(r"CSeq: (\d+)", text)
        assert cseq
        body = f"RTSP/1.0 {self.rtsp} {'OK' if self.rtsp == 200 else 'No'}\r\nCSeq: {cseq[1]}\r\n\r\n".encode()
        self.reply(request, "200 OK", extra="Content-Type: Application/MANSRTSP\r\n", body=body)

    def end_of_file(self, call: Call, *, from_code: str = "") -> int:
        """媒体通知 121 inside the call's dialog."""
        ours, theirs = f"{call.invite['To']};tag={call.tag}", call.invite["From"]
        self._cseq += 1
        number = self._cseq
        channel = call.invite.start.split()[1].partition("@")[0].removeprefix("sip:")
        body = (
            '<?xml version="1.0"?>\r\n<Notify>\r\n<CmdType>MediaStatus</CmdType>\r\n<SN>8</SN>\r\n'
            f"<DeviceID>{channel}</DeviceID>\r\n<NotifyType>121</NotifyType>\r\n</Notify>\r\n"
        ).encode()
        if from_code:
            ours = ours.replace(channel, from_code)
        text = (
            f"MESSAGE sip:{SERVER}@127.0.0.1:{self.port} SIP/2.0\r\n"
            f"Via: SIP/2.0/{self.transport.upper()} {self.uri_host}:{self.own_port};rport;branch=z9hG4bKeof{number}x{time.monotonic_ns()}\r\n"
            f"From: {ours}\r\nTo: {theirs}\r\nCall-ID: {call.invite['Call-ID']}\r\nCSeq: {number} MESSAGE\r\n"
            "Max-Forwards: 70\r\nContent-Type: Application/MANSCDP+xml\r\n"
        )
        self.send(text, body)
        return self.wait(
            lambda m: m.status >= 200 and m["CSeq"] == f"{number} MESSAGE" and m["Call-ID"] == call.invite["Call-ID"]
        ).status

    def _invited(self, request: Sip) -> None:
        self.reply(request, "100 Trying")
        offer = request.body.decode()
        is_tcp = "TCP/RTP/AVP" in offer
        if self.answer != 200:
            self.reply(request, f"{self.answer} No", tag="i")
            return
        if is_tcp and not self.takes_tcp:
            self.reply(request, "488 Not Acceptable Here", tag="i")
            return
        found = {k: re.search(p, offer, re.M) for k, p in
                 (("host", rf"^c=IN {self.net} (\S+)"), ("port", r"^m=video (\d+)"), ("setup", r"^a=setup:(\w+)"), ("ssrc", r"^y=(\d+)"))}  # fmt: skip
        assert found["host"] and found["port"] and found["ssrc"], offer
        setup = found["setup"][1] if found["setup"] else ""
        how = "udp" if not is_tcp else ("we connect" if setup == "passive" else "we listen")
        ssrc = int(found["ssrc"][1]) + (7 if self.change_ssrc else 0)
        listener, port, own_setup = None, 15060, ""
        if is_tcp:
            own_setup = f"a=setup:{'active' if how == 'we connect' else 'passive'}\r\na=connection:new\r\n"
        if how == "we listen":
            listener = socket.create_server((self.host, 0), family=self.family)
            port = listener.getsockname()[1]
        sent = ssrc if self.rtp_ssrc is None else self.rtp_ssrc
        call = Call(request, "i", (found["host"][1], int(found["port"][1])), sent, how, listener)
        self.calls.append(call)
        channel = request.start.split()[1].partition("@")[0].removeprefix("sip:")
        body = (
            f"v=0\r\no={channel} 0 0 IN {self.net} {self.host}\r\ns=Play\r\nc=IN {self.net} {self.host}\r\nt=0 0\r\n"
            f"m=video {port} {'TCP/RTP/AVP' if is_tcp else 'RTP/AVP'} 96\r\na=sendonly\r\na=rtpmap:96 PS/90000\r\n{own_setup}"
            f"y={ssrc:010d}\r\nf=\r\n"
        ).encode()
        if b"\ns=Download\r" in request.body:
            body = body.replace(b"y=", f"a=filesize:{len(self.ps)}\r\ny=".encode())
        self.reply(request, "200 OK", tag="i", extra="Content-Type: application/sdp\r\n", body=self.sdp or body)

    def _play(self, call: Call) -> None:
        """The program stream at its own pace: a pack in packets of at most 1400 bytes, its clock as the timestamp."""
        out: socket.socket
        if call.how == "udp":
            out = socket.socket(self.family, socket.SOCK_DGRAM)
            out.bind((self.media_host, 0))
            out.connect(call.target)
        elif call.how == "we connect":
            out = socket.create_connection(call.target, timeout=5, source_address=(self.media_host, 0))
        else:
            assert call.listener is not None
            call.listener.settimeout(5)
            out, _ = call.listener.accept()
            call.listener.close()
        packs = packs_of(self.ps)
        if b"\ns=Play\r" in call.invite.body:
            self._send_live(call, out, packs)
        else:
            self._send_past(call, out, packs)

    def _send_live(self, call: Call, out: socket.socket, packs: list[tuple[int, bytes]]) -> None:
        sequence, began = 0, time.monotonic()
        first = packs[0][0]
        with out, contextlib.suppress(OSError):
            for scr, pack in packs:
                call.over.wait(max(0.0, (scr - first) / 90_000 - (time.monotonic() - began)))
                if call.over.is_set():
                    return
                if self.noise:
                    out.sendall(self.noise)
                for at in range(0, len(pack), 1400):
                    rtp = (
                        struct.pack(">BBHII", 0x80, 96, sequence & 0xFFFF, scr & 0xFFFFFFFF, call.ssrc)
                        + pack[at : at + 1400]
                    )
                    sequence += 1
                    out.sendall(rtp if call.how == "udp" else struct.pack(">H", len(rtp)) + rtp)
            call.over.wait(20)

    def _send_past(self, call: Call, out: socket.socket, packs: list[tuple[int, bytes]]) -> None:
        """A recording: the movie's second 0 is t='s start. Goes where INFO says, at the key frame before; says 121."""
        times = re.search(rb"(?m)^t=(\d+) (\d+)", call.invite.body)
        speed = re.search(rb"(?m)^a=downloadspeed:(\d+)", call.invite.body)
        assert times, call.invite.body
        first = packs[0][0]
        last = first + (int(times[2]) - int(times[1])) * 90_000
        keys = [n for n, (_, pack) in enumerate(packs) if b"\x00\x00\x01\xbb" in pack[:40]]
        call.speed = float(speed[1]) if speed else 1.0
        number, sequence = 0, 0
        with out, contextlib.suppress(OSError):
            while not call.over.is_set():
                if call.jump is not None:
                    wanted = first + call.jump * 90_000
                    number = max((n for n in keys if packs[n][0] <= wanted), default=0)
                    call.jump = None
                speed = call.speed  # INFO changes it in another thread
                if speed == 0:
                    call.over.wait(0.02)
                    continue
                if number >= len(packs) or packs[number][0] >= last:
                    break
                scr, pack = packs[number]
                for at in range(0, len(pack), 1400):
                    rtp = (
                        struct.pack(">BBHII", 0x80, 96, sequence & 0xFFFF, scr & 0xFFFFFFFF, call.ssrc)
                        + pack[at : at + 1400]
                    )
                    sequence += 1
                    out.sendall(rtp if call.how == "udp" else struct.pack(">H", len(rtp)) + rtp)
                after = packs[number + 1][0] if number + 1 < len(packs) else scr + 3600
                call.over.wait((after - scr) / 90_000 / speed)
                number += 1
            if not call.over.is_set():
                call.sent.set()
                if self.says_end:
                    self.end_of_file(call)
                call.over.wait(20)


def readable(sock: socket.socket, seconds: float) -> bool:
    """Whether something can be read within so long."""
    return bool(select.select([sock], [], [], seconds)[0])
