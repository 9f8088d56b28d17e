"""RTSP: vectors of the ONVIF and RTSP sheet (§15), our two ends together, FFmpeg and GStreamer against ours."""

from __future__ import annotations

import itertools
import select
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anwang.kernel.errors import Invalid, WireError
from anwang.wire import h26x, rtp, rtsp
from anwang.wire.aac import parse_adts
from anwang.wire.payloads import VideoUnpacker, pack_aac, pack_video
from anwang.wire.rtsp import (
    Client,
    Closed,
    Decoder,
    Described,
    Failed,
    FromClient,
    Interleaved,
    Media,
    MediaTrack,
    Message,
    Paused,
    Playing,
    Request,
    Response,
    Server,
    Started,
    Transport,
)
from anwang.wire.units import Codec, Kind, Unit
from tests.conftest import missing
from tests.wire.scenes import Scene, decode_units, digest, scene

URL = "rtsp://192.0.2.10:554/live"


def tracks_of(made: Scene) -> list[MediaTrack]:
    codec = made.video[0].codec
    sets = h26x.parameter_sets(codec, h26x.nals(made.video[0].data))
    tracks = [MediaTrack(kind=Kind.VIDEO, codec=codec, payload_type=96, clock_hz=90000, control="track0", sets=sets)]
    sound = next((unit for unit in made.units if unit.kind is Kind.AUDIO), None)
    if sound:
        aac = parse_adts(sound.data)[0]
        assert aac
        tracks.append(
            MediaTrack(
                kind=Kind.AUDIO, codec=Codec.AAC, payload_type=97, clock_hz=aac.rate_hz, control="track1", aac=aac
            )
        )  # fmt: skip
    return tracks


def serve(
    tracks: Sequence[MediaTrack],
    credentials: dict[str, str] | None = None,
    udp_ports: Sequence[tuple[int, int]] = (),
) -> Server:
    found = {"/live": tracks}
    return Server(
        found.get,
        nonce="0123456789abcdef",
        session="12345678",
        realm="cam",
        credentials=credentials,
        udp_ports=udp_ports,
    )


def exchange(client: Client, server: Server, rounds: int = 20) -> tuple[list[rtsp.ClientEvent], list[rtsp.ServerEvent]]:
    """Bytes to and fro until both are silent."""
    at_client: list[rtsp.ClientEvent] = []
    at_server: list[rtsp.ServerEvent] = []
    for _ in range(rounds):
        asked = client.to_send()
        if not asked:
            break
        at_server += server.receive(asked, 0.0)
        at_client += client.receive(server.to_send(), 0.0)
    return at_client, at_server


# -- §15 and messages


def test_vectors_15() -> None:
    wanted = "06d4991a735e511861225dfa57df6fb1"
    assert rtsp._digest("admin", "cam", "12345678", "0123456789abcdef", "DESCRIBE", URL) == wanted
    assert rtsp.interleaved(0, bytes(100))[:4] == bytes.fromhex("24000064")


_WORD = st.text("abcXYZ019-", min_size=1, max_size=10)
_HEADERS = st.lists(st.tuples(_WORD, st.text('abc =;:,/"é', max_size=20).map(str.strip)), max_size=5).map(tuple)
_BODY = st.binary(max_size=50)
_MESSAGES = (
    st.builds(
        Request,
        method=st.sampled_from(["OPTIONS", "GET_PARAMETER"]),
        uri=st.just(URL),
        headers=_HEADERS,
        body=_BODY,
    )
    | st.builds(
        Response,
        status=st.integers(100, 599),
        reason=st.just("Some Reason"),
        headers=_HEADERS,
        body=_BODY,
    )
    | st.builds(Interleaved, channel=st.integers(0, 255), data=st.binary(max_size=100))
)


@given(st.lists(_MESSAGES, max_size=8), st.integers(1, 200))
def test_messages_cut_anywhere(messages: list[Message], cut: int) -> None:
    stream = b"".join(
        rtsp.interleaved(one.channel, one.data) if isinstance(one, Interleaved) else one.serialize() for one in messages
    )
    decoder = Decoder()
    found = [one for at in range(0, len(stream), cut) for one in decoder.feed(stream[at : at + cut])]
    assert len(found) == len(messages)
    for one, wanted in zip(found, messages, strict=True):
        if isinstance(wanted, Interleaved):
            assert one == wanted
            continue
        assert not isinstance(one, Interleaved)
        assert one.body == wanted.body
        length = (("Content-Length", str(len(wanted.body))),) if wanted.body else ()
        assert one.headers == (*wanted.headers, *length)


def test_headers_in_any_case_and_folded() -> None:
    raw = b"RTSP/1.0 200 OK\r\ncseq: 3\r\nTRANSPORT: RTP/AVP;\r\n unicast\r\n\r\n"
    (found,) = Decoder().feed(raw)
    assert isinstance(found, Response)
    assert found.header("CSeq") == "3"
    assert found.header("Transport") == "RTP/AVP; unicast"


def test_a_header_can_not_break_its_line() -> None:
    with pytest.raises(Invalid):
        Response(status=200, headers=(("A", "b\r\nC: d"),)).serialize()


def test_garbage_between_frames_is_passed_over() -> None:
    decoder = Decoder()
    decoder.expect((0, 1))
    stream = rtsp.interleaved(0, b"abc") + b"\x00\x01garbage$\x07" + rtsp.interleaved(1, b"def") + b"\xffzz"
    stream += Response(status=200, headers=(("CSeq", "1"),)).serialize()
    for cut in (1000, 1, 3):
        decoder = Decoder()
        decoder.expect((0, 1))
        found = [one for at in range(0, len(stream), cut) for one in decoder.feed(stream[at : at + cut])]
        assert [type(one) for one in found] == [Interleaved, Interleaved, Response]
        assert decoder.skipped_bytes > 5


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00\x01" * 40_000,
        b"OPTIONS " + b"x" * 20_000,
        b"OPTIONS x\r\n\r\n",
        b"RTSP/1.0 xyz\r\n\r\n",
        b"OPTIONS * RTSP/1.0\r\nContent-Length: 99999999\r\n\r\n",
        b"OPTIONS * RTSP/1.0\r\nContent-Length: -1\r\n\r\n",
    ],
)
def test_what_is_no_rtsp_is_refused(raw: bytes) -> None:
    with pytest.raises(WireError):
        Decoder().feed(raw)


@given(
    st.lists(
        st.binary(max_size=60) | st.sampled_from([b"$\x00\x00", b"RTSP/1.0 200", b"\r\n\r\n", b"PLAY * RTSP/1.0\r\n"]),
        max_size=15,
    )
)
def test_random_bytes_do_no_worse_than_a_wire_error(chunks: list[bytes]) -> None:
    decoder, server, client = Decoder(), serve(tracks_of(scene())), Client(URL, user="a", password="b")
    client.start(0.0)
    for one in (decoder.feed, lambda data: server.receive(data, 0.0), lambda data: client.receive(data, 0.0)):
        try:
            for chunk in chunks:
                one(chunk)
        except WireError:
            continue


@given(st.text(max_size=200))
def test_random_text_in_descriptions_and_headers(text: str) -> None:
    rtsp.parse_description(text)
    rtsp.parse_description(f"m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=fmtp:96 {text}\na=control:{text}")
    Transport.parse(text)
    Transport.parse(f"RTP/AVP;{text}")
    rtsp._auth_fields(text)


# -- descriptions


@pytest.mark.parametrize("codec", [Codec.H264, Codec.H265])
def test_descriptions_round_trip(codec: Codec) -> None:
    tracks = tracks_of(scene(codec, sound=True))
    tracks.append(MediaTrack(kind=Kind.AUDIO, codec=Codec.G711A, payload_type=8, clock_hz=8000, control="x"))
    assert rtsp.parse_description(rtsp.describe(tracks)) == ("*", tracks)


def test_a_description_of_a_camera() -> None:
    """As cameras write them: static payload types without rtpmap, metadata, stale sprops, absolute controls."""
    text = (
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=Media Presentation\r\na=control:rtsp://192.0.2.1/x/?a=1\r\n"
        "m=video 0 RTP/AVP 96\r\na=control:rtsp://192.0.2.1/x/trackID=1\r\na=rtpmap:96 H264/90000\r\n"
        "a=fmtp:96 profile-level-id=420029; packetization-mode=1; sprop-parameter-sets=!!,??\r\n"
        "m=audio 0 RTP/AVP 0\r\na=control:trackID=2\r\n"
        "m=application 0 RTP/AVP 107\r\na=rtpmap:107 vnd.onvif.metadata/90000\r\n"
    )
    control, found = rtsp.parse_description(text)
    assert control == "rtsp://192.0.2.1/x/?a=1"
    assert [(track.codec, track.clock_hz, track.control, track.sets) for track in found] == [
        (Codec.H264, 90000, "rtsp://192.0.2.1/x/trackID=1", None), (Codec.G711U, 8000, "trackID=2", None),
    ]  # fmt: skip


def test_transports() -> None:
    text = "RTP/AVP/TCP;unicast;interleaved=2-3;ssrc=0BEBC201,RTP/AVP;unicast;client_port=50000-50001,RAW/RAW/UDP"
    first, second = Transport.parse(text)
    assert (first.is_tcp, first.channels, first.ssrc) == (True, (2, 3), 0x0BEBC201)
    assert (second.is_tcp, second.client_port) == (False, (50000, 50001))
    assert str(first) == "RTP/AVP/TCP;unicast;interleaved=2-3;ssrc=0BEBC201"
    assert Transport.parse(str(second)) == [second]
    assert Transport.parse("RTP/AVP/TCP;interleaved=300-301")[0].channels is None


@pytest.mark.parametrize(
    ("base", "control", "wanted"),
    [
        ("rtsp://h/p", "*", "rtsp://h/p"),
        ("rtsp://h/p", "trackID=1", "rtsp://h/p/trackID=1"),
        ("rtsp://h/p/", "trackID=1", "rtsp://h/p/trackID=1"),
        ("rtsp://h/p?channel=1&subtype=0", "trackID=1", "rtsp://h/p?channel=1&subtype=0/trackID=1"),
        ("rtsp://h/p", "rtsp://h/q/trackID=1", "rtsp://h/q/trackID=1"),
    ],
)
def test_controls_made_absolute(base: str, control: str, wanted: str) -> None:
    assert rtsp._join(base, control) == wanted


# -- our two ends


@pytest.mark.parametrize("password", ["", "12345678"])
def test_a_session_from_begin_to_end(password: str) -> None:
    tracks = tracks_of(scene(sound=True))
    server = serve(tracks, credentials={"admin": password} if password else {})
    client = Client(URL, user="admin" if password else "", password=password)
    client.start(0.0)
    at_client, at_server = exchange(client, server)
    assert [type(one) for one in at_client] == [Described, Started]
    assert isinstance(at_client[0], Described)
    assert list(at_client[0].tracks) == tracks
    assert at_server == [
        Playing("/live", {0: Transport(is_tcp=True, channels=(0, 1)), 1: Transport(is_tcp=True, channels=(2, 3))})
    ]
    found = client.receive(
        rtsp.interleaved(2, b"sound") + rtsp.interleaved(1, b"report") + rtsp.interleaved(9, b"?"), 0
    )
    assert [(one.track, bytes(one.data), one.is_rtcp) for one in found if isinstance(one, Media)] == [
        (1, b"sound", False), (0, b"report", True),
    ]  # fmt: skip
    assert client.timer() == 30.0
    client.tick(29.0)
    assert client.to_send() == b""
    client.tick(30.0)
    kept = client.to_send()
    assert kept.startswith(b"GET_PARAMETER")
    assert server.receive(kept, 30.0) == []
    assert client.receive(server.to_send(), 30.0) == []
    assert client.timer() == 60.0
    assert server.receive(rtsp.interleaved(1, b"rr"), 30.0) == [FromClient(1, b"rr")]
    client.stop(31.0)
    assert exchange(client, server) == ([], [Closed("the client has left")])


def test_a_wrong_password_is_tried_once() -> None:
    server = serve(tracks_of(scene()), credentials={"admin": "right"})
    client = Client(URL, user="admin", password="wrong")
    client.start(0.0)
    events, _ = exchange(client, server)
    assert events == [Failed("DESCRIBE", 401, "Unauthorized")]
    nobody = Client(URL)
    nobody.start(0.0)
    assert exchange(nobody, server)[0] == [Failed("DESCRIBE", 401, "Unauthorized")]
    assert "wrong" not in repr(client)


def test_a_nonce_that_goes_stale_is_renewed() -> None:
    client = Client(URL, user="admin", password="x")
    client.start(0.0)

    def answer(status: int, **headers: str) -> list[rtsp.ClientEvent]:
        (asked,) = Decoder().feed(client.to_send())
        assert isinstance(asked, Request)
        fields = (
            ("CSeq", asked.header("CSeq") or ""),
            *((key.replace("_", "-"), value) for key, value in headers.items()),
        )
        return client.receive(Response(status=status, headers=fields).serialize(), 0.0)

    answer(200, Public="DESCRIBE")
    assert answer(401, WWW_Authenticate='Digest realm="c", nonce="1"') == []
    assert answer(401, WWW_Authenticate='Digest realm="c", nonce="2", stale=true') == []
    assert b'nonce="2"' in client._out[0]
    (failed,) = answer(401, WWW_Authenticate='Digest realm="c", nonce="3"')
    assert isinstance(failed, Failed)


def test_the_servers_channels_are_used() -> None:
    server = serve(tracks_of(scene()))
    client = Client(URL)
    client.start(0.0)
    for _ in range(10):
        asked = client.to_send()
        if not asked:
            break
        server.receive(asked, 0.0)
        client.receive(server.to_send().replace(b"interleaved=0-1", b"interleaved=6-7"), 0.0)
    assert client.is_playing
    (found,) = client.receive(rtsp.interleaved(6, b"x"), 0.0)
    assert isinstance(found, Media)


def test_a_path_that_is_not_there() -> None:
    client = Client("rtsp://192.0.2.10/other")
    client.start(0.0)
    assert exchange(client, serve(tracks_of(scene())))[0] == [Failed("DESCRIBE", 404, "Not Found")]


def test_udp_is_refused_where_it_is_not_offered() -> None:
    client = Client(URL, client_ports=[(50000, 50001)])
    client.start(0.0)
    events, _ = exchange(client, serve(tracks_of(scene())))
    assert events[1:] == [Failed("SETUP", 461, "Unsupported Transport")]
    client = Client(URL, client_ports=[(50000, 50001)])
    client.start(0.0)
    server = serve(tracks_of(scene()), udp_ports=[(6000, 6001)])
    events, played = exchange(client, server)
    assert isinstance(events[-1], Started)
    assert played == [
        Playing("/live", {0: Transport(is_tcp=False, client_port=(50000, 50001), server_port=(6000, 6001))})
    ]
    assert server.timer() == 60.0
    assert server.tick(59.0) == []
    assert server.tick(60.0) == [Closed("the client has gone silent")]
    assert server.timer() is None


def test_the_servers_refusals() -> None:
    server = serve(tracks_of(scene()))
    asks = [
        ("PLAY", (("CSeq", "1"), ("Session", "12345678")), 454),
        ("SETUP", (("CSeq", "2"), ("Transport", "RTP/AVP;multicast")), 404),
        ("RECORD", (("CSeq", "3"),), 405),
        ("SING", (("CSeq", "4"),), 501),
        ("GET_PARAMETER", (("CSeq", "5"), ("Session", "nope")), 454),
        ("GET_PARAMETER", (("CSeq", "6"),), 200),
        ("DESCRIBE", (), 400),
    ]
    for method, headers, status in asks:
        server.receive(Request(method=method, uri=URL, headers=headers).serialize(), 0.0)
        (found,) = Decoder().feed(server.to_send())
        assert isinstance(found, Response)
        assert (method, found.status) == (method, status)


def test_pause_and_play_again() -> None:
    server = serve(tracks_of(scene()))
    client = Client(URL)
    client.start(0.0)
    exchange(client, server)
    for method, wanted in (("PAUSE", Paused), ("PLAY", Playing)):
        raw = Request(method=method, uri=URL, headers=(("CSeq", "99"), ("Session", "12345678"))).serialize()
        (event,) = server.receive(raw, 0.0)
        assert isinstance(event, wanted)


# -- against others


def send_all(
    made: Scene, transports: dict[int, Transport], send: Callable[[int, bytes], None], stop: threading.Event
) -> None:
    """The scene over and over, as RTP, faster than life."""
    sequences = [itertools.count(100), itertools.count(7)]
    length = len(made.video) * 3600
    for turn in range(200):
        for unit in made.units:
            if stop.is_set():
                return
            time_90k = (unit.pts_90k or 0) + turn * length
            index = 0 if unit.kind is Kind.VIDEO else 1
            if index not in transports:
                continue
            if index == 0:
                payloads = list(pack_video(unit.codec, unit.data, 1200))
            else:
                payloads, time_90k = [(pack_aac(parse_adts(unit.data)[1]), True)], time_90k * 16000 // 90000
            for payload, last in payloads:
                number = next(sequences[index])
                send(
                    index,
                    rtp.build(
                        payload,
                        payload_type=96 + index,
                        sequence=number,
                        timestamp=time_90k,
                        ssrc=5 + index,
                        marker=last,
                    ),
                )
            stop.wait(0.004)


@contextmanager
def camera(made: Scene, *, udp: bool = False, credentials: dict[str, str] | None = None) -> Iterator[str]:
    """A camera on loopback that serves one client after another. Yields its URL."""
    stop = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    pairs = [[socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)] for _ in range(2)] if udp else []
    for pair in pairs:
        for one in pair:
            one.bind(("127.0.0.1", 0))
    ports = [(pair[0].getsockname()[1], pair[1].getsockname()[1]) for pair in pairs]

    def run() -> None:
        while not stop.is_set():
            try:
                connection, peer = listener.accept()
            except TimeoutError:
                continue
            with connection:
                talk(connection, peer)

    def talk(connection: socket.socket, peer: tuple[str, int]) -> None:
        server = serve(tracks_of(made), credentials, ports)
        lock, ended = threading.Lock(), threading.Event()
        sender: threading.Thread | None = None
        while not stop.is_set() and not ended.is_set():
            if not select.select([connection], [], [], 0.05)[0]:
                continue
            try:
                data = connection.recv(65536)
            except OSError:
                break
            if not data:
                break
            for event in server.receive(data, time.monotonic()):
                if isinstance(event, Playing):
                    chosen = dict(event.transports)

                    def send(index: int, packet: bytes, chosen: dict[int, Transport] = chosen) -> None:
                        transport = chosen[index]
                        try:
                            if transport.channels:
                                with lock:
                                    connection.sendall(rtsp.interleaved(transport.channels[0], packet))
                            elif transport.client_port:
                                pairs[index][0].sendto(packet, (peer[0], transport.client_port[0]))
                        except OSError:
                            ended.set()

                    sender = threading.Thread(target=send_all, args=(made, chosen, send, ended))
                elif isinstance(event, Closed):
                    ended.set()
            out = server.to_send()
            if out:
                with lock:
                    connection.sendall(out)
            if sender and not sender.is_alive() and not ended.is_set() and sender.ident is None:
                sender.start()
        ended.set()
        if sender and sender.ident:
            sender.join()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}/live"
    finally:
        stop.set()
        thread.join()
        listener.close()
        for pair in pairs:
            for one in pair:
                one.close()


@pytest.mark.parametrize("codec", [Codec.H264, Codec.H265])
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_ffmpeg_plays_our_camera(codec: Codec, transport: str) -> None:
    made = scene(codec, sound=True)
    wanted = [md5 for _, md5 in made.pictures]
    with camera(made, udp=transport == "udp", credentials={"admin": "p@ss"}) as place:
        url = f"rtsp://admin:p%40ss@{place}"
        options = {"rtsp_transport": transport, "stimeout": "5000000"}
        with av.open(url, options=options, timeout=20) as container:
            assert len(container.streams.video) == 1
            assert len(container.streams.audio) == 1
            found = [digest(frame) for frame in itertools.islice(container.decode(video=0), 40)]
    assert len(found) == 40
    first = wanted.index(found[0])
    turned = wanted[first:] + wanted * 2
    matching = sum(one == other for one, other in zip(found, turned, strict=False))
    # on UDP the machine may drop datagrams; on TCP nothing may differ
    assert matching == 40 if transport == "tcp" else matching >= 10


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_our_client_plays_our_camera(transport: str) -> None:
    made = scene(slices=4)
    with camera(made, udp=transport == "udp", credentials={"admin": "p"}) as place:
        units = play(f"rtsp://{place}", "admin", "p", udp=transport == "udp", wanted=60)
    shown = [md5 for _, md5 in decode_units([unit._replace(is_jump=False) for unit in units])]
    known = [md5 for _, md5 in made.pictures]
    assert len(set(shown) & set(known)) > (45 if transport == "tcp" else 10)


def play(url: str, user: str, password: str, *, udp: bool, wanted: int) -> list[Unit]:
    """What our client gets to see of a camera's video."""
    host, port = url.removeprefix("rtsp://").split("/")[0].split(":")
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)] if udp else []
    for one in sockets:
        one.bind(("127.0.0.1", 0))
        one.setblocking(False)
    ports = [(sockets[0].getsockname()[1], sockets[1].getsockname()[1])] if udp else []
    client = Client(url, user=user, password=password, client_ports=ports)
    units: list[Unit] = []
    unpacker: VideoUnpacker | None = None
    window = rtp.UdpReorder(wait_s=0.05)
    begun = time.monotonic()
    try:
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            client.start(time.monotonic())
            while len(units) < wanted:
                assert time.monotonic() - begun < 30, "no pictures"
                out = client.to_send()
                if out:
                    connection.sendall(out)
                for readable in select.select([connection, *sockets[:1]], [], [], 5)[0]:
                    now = time.monotonic()
                    data = readable.recv(65536)
                    if readable is not connection:
                        for packet in window.receive(data, now):
                            units += unpacker.feed(packet) if unpacker else []
                        continue
                    assert data, "the server hung up"
                    for event in client.receive(data, now):
                        assert not isinstance(event, Failed), event
                        if isinstance(event, Described):
                            track = event.tracks[0]
                            unpacker = VideoUnpacker(track.codec, list(track.sets) if track.sets else ())
                        elif isinstance(event, Media) and event.track == 0 and not event.is_rtcp and unpacker:
                            units += unpacker.feed(rtp.parse(event.data))
            client.stop(time.monotonic())
            connection.sendall(client.to_send())
    finally:
        for one in sockets:
            one.close()
    return units


_GST = """
import sys, gi
gi.require_version("Gst", "1.0"); gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer, GLib
Gst.init(None)
server = GstRtspServer.RTSPServer(); server.set_service("0"); server.set_address("127.0.0.1")
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch("( videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=180,framerate=25/1 "
    "! x264enc tune=zerolatency key-int-max=10 ! rtph264pay name=pay0 pt=96 )")
server.get_mount_points().add_factory("/live", factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
"""


def test_our_client_plays_gstreamers_server() -> None:
    # GStreamer's bindings belong to the distribution's Python, not to a virtual environment
    process = subprocess.Popen(
        [shutil.which("python3", path="/usr/bin") or "python3", "-c", _GST],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert process.stdout
        line = process.stdout.readline().strip()
        if not line.isdigit():
            missing("GStreamer's RTSP server")
        for udp in (False, True):
            units = play(f"rtsp://127.0.0.1:{line}/live", "", "", udp=udp, wanted=25)
            assert any(unit.is_key for unit in units)
            start = next(n for n, unit in enumerate(units) if unit.is_key)
            assert decode_units(units[start:])
    finally:
        process.kill()
        process.wait(timeout=10)
        if process.stdout:
            process.stdout.close()
