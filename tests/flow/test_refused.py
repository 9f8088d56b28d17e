"""What is not right is refused, counted and shown with its peer, and nothing dies of it."""

from __future__ import annotations

import contextlib
import random
import re
import socket
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.flow.device import ScriptDevice
from tests.flow.pictures import decoded, is_run, view
from tests.flow.served import DOMAIN, SERVER, Served, until
from tests.flow.test_device import Ps, adopted, code

#: packs at 25 a second, and nothing in them
PACKS = b"".join(
    b"\x00\x00\x01\xba" + bytes((0x44 | (n * 3600) >> 27 & 0x38 | (n * 3600) >> 28 & 3, (n * 3600) >> 20 & 0xFF))
    + bytes(((n * 3600) >> 12 & 0xF8 | 4 | (n * 3600) >> 13 & 3, (n * 3600) >> 5 & 0xFF, (n * 3600) << 3 & 0xF8 | 4))
    + b"\x01\x89\xc3\xf8" + b"\xee" * 3000
    for n in range(400)
)  # fmt: skip
XML = '<?xml version="1.0"?>\r\n'


@pytest.fixture(scope="module")
def device(served: Served) -> Iterator[ScriptDevice]:
    with ScriptDevice(served.sip_port, code(118, 900)) as made:
        assert made.register() == 200
        until(lambda: served.device(made.code), "listed")
        yield made


def alive(served: Served) -> None:
    """The process, and both its SIP ports."""
    assert served.process.poll() is None
    for transport in ("udp", "tcp"):
        with ScriptDevice(served.sip_port, code(118, 901), transport=transport) as one:
            assert one.register() == 200


@pytest.mark.parametrize(
    "body",
    [
        b"<Notify><CmdType>Keepalive</CmdType><SN>1",
        b"no XML at all",
        b"",
        (XML + '<!DOCTYPE a [<!ENTITY b "c">]><Notify><CmdType>Keepalive</CmdType><SN>1</SN></Notify>').encode(),
        (XML + "<Notify>" + "<a>" * 5000 + "</a>" * 5000 + "</Notify>").encode(),
        (XML + "<Notify><SN>1</SN><DeviceID>1</DeviceID></Notify>").encode(),
    ],
    ids=["torn", "text", "empty", "dtd", "deep", "nameless"],
)
def test_xml_that_is_not_right(served: Served, device: ScriptDevice, body: bytes) -> None:
    def count() -> int:
        return sum(r["count"] for r in served.refused(device=device.code))

    before = count()
    assert device.request("MESSAGE", body).status == 400
    assert until(lambda: count() > before, "the refusal is shown")
    assert all(r["peer"] == "127.0.0.1/udp" for r in served.refused(device=device.code))


def test_sip_that_is_not_right(served: Served) -> None:
    def total() -> int:
        return int(served.get("/refusals", by="admin")["total"])

    before = total()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        for data in (b"REGISTER sip:x SIP/2.0\r\n\r\n", b"SIP/2.0 abc\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"):
            udp.sendto(data, ("127.0.0.1", served.sip_port))
    until(lambda: total() > before, "broken datagrams are counted")
    before = total()
    with socket.create_connection(("127.0.0.1", served.sip_port)) as tcp:
        tcp.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
        until(lambda: total() > before, "a stream that is no SIP is counted")
    assert any(r["peer"] == "127.0.0.1/tcp" for r in served.get("/refusals", by="admin")["items"])
    alive(served)


def test_a_large_body_of_a_stranger(served: Served) -> None:
    """A stream that announces a body of megabytes is closed before it is read."""
    head = (
        f"MESSAGE sip:{SERVER}@{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:5;branch=z9hG4bKa\r\n"
        f"From: <sip:{code(118, 902)}@{DOMAIN}>;tag=1\r\n"
        f"To: <sip:{SERVER}@{DOMAIN}>\r\nCall-ID: big\r\nCSeq: 1 MESSAGE\r\nContent-Length: 900000000\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", served.sip_port)) as tcp:
        tcp.settimeout(15)
        with pytest.raises(OSError):  # reset or broken pipe, long before all of it
            tcp.sendall(head.encode())
            for _ in range(2000):
                tcp.sendall(b"x" * 65536)
    alive(served)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=600), is_tcp=st.booleans(), like_sip=st.booleans())
def test_any_bytes_at_the_open_ports(served: Served, data: bytes, is_tcp: bool, like_sip: bool) -> None:
    if like_sip:
        data = f"MESSAGE sip:{SERVER}@{DOMAIN} SIP/2.0\r\n".encode() + data + b"\r\n\r\n"
    if is_tcp:
        with socket.create_connection(("127.0.0.1", served.sip_port)) as tcp:
            tcp.sendall(data)
    else:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.sendto(data, ("127.0.0.1", served.sip_port))
    assert served.process.poll() is None


def test_a_flood_of_strangers_leaves_the_known_served(served: Served, device: ScriptDevice) -> None:
    noise = random.Random(1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        for _ in range(3000):
            udp.sendto(noise.randbytes(200), ("127.0.0.1", served.sip_port))

    def heard() -> bool:
        with contextlib.suppress(AssertionError):  # the flood may have pushed it out of the buffer; devices send again
            return device.keepalive(seconds=2) == 200
        return False

    assert until(heard, "a known device is heard", 30)
    alive(served)


def test_media_that_is_not_right_ends_nothing_but_itself(served: Served, ps: Ps) -> None:
    """Random bytes instead of a program stream: the play fails with a reason; the next one works."""
    noise = random.Random(2)
    packs = b"".join(b"\x00\x00\x01\xba" + noise.randbytes(900) for _ in range(400))
    with adopted(served, 910, ps=packs) as (device, point):
        seen = view(served, point["id"], fragments=1)
        assert seen.error["kind"] in ("unavailable",) and seen.data == b""
        device.ps = ps[0]
        seen = view(served, point["id"], fragments=10)
        assert seen.error == {} and is_run(decoded(seen.data), ps[1])


#: version 1, and a header that leads outside its packet behind the length of RFC 4571
NO_RTP = {"udp": b"\x40" + b"\x00" * 30, "tcp": b"\x00\x10\x9f\x60" + b"\x00" * 14}


@pytest.mark.parametrize("how", ["udp", "tcp"])
def test_packets_that_are_no_rtp_are_shown_with_their_sender(served: Served, ps: Ps, how: str) -> None:
    """They were counted in the media child and never seen by anybody."""
    with adopted(served, 912 + (how == "tcp"), ps=ps[0], takes_tcp=how == "tcp") as (device, point):
        device.noise = NO_RTP[how]
        told: list[float] = []

        def count() -> None:
            name = "anwang_open_streams_malformed_packets"
            told.append(until(lambda: served.metric(name), "the metric counts them"))

        seen = view(served, point["id"], fragments=40, after=(10, count))
        assert seen.error == {} and is_run(decoded(seen.data), ps[1]) and told
        [row] = served.refused(device=device.code, reason="no RTP")
        assert (row["peer"], row["reason"]) == (
            "127.0.0.1/rtp", "packets from 127.0.0.1 are no RTP: they are dropped"
        )  # fmt: skip
        assert device.calls[-1].bye.wait(15)
        play = until(lambda: (p := served.get(f"/plays/{seen.hello['play']}"))["finished_at"] and p, "the trace ends")
        details = [step["detail"] for step in play["steps"]]
        assert "packets from 127.0.0.1 are no RTP: they are dropped" in details
        assert any("packets, 0 bytes and 0 pictures were dropped in all" in one for one in details)
        assert "Noticed: packets from 127.0.0.1 are no RTP" in play["verdict"]


def test_nothing_but_packets_that_are_no_rtp_is_the_verdict(served: Served) -> None:
    with adopted(served, 914, takes_tcp=False, ps=PACKS) as (device, point):
        device.noise, device.rtp_ssrc = NO_RTP["udp"], 4711
        seen = view(served, point["id"], fragments=1)
        assert "Something arrives, but it is no RTP: packets from 127.0.0.1" in seen.error["reason"]


def test_a_program_stream_without_sense_is_shown_with_its_sender(served: Served) -> None:
    with adopted(served, 915, ps=PACKS) as (_, point):
        seen = view(served, point["id"], fragments=1)
        assert "no key frame that can be decoded" in seen.error["reason"]
        assert re.search(r"Noticed: \d+ bytes from 127.0.0.1:\d+ are no program stream", seen.error["reason"])


def test_an_answer_without_sdp(served: Served) -> None:
    with adopted(served, 911, sdp=b"v=nonsense\r\n") as (device, point):
        seen = view(served, point["id"], fragments=1)
        assert seen.error["kind"] in ("unavailable", "invalid", "unsupported", "internal") and seen.data == b""
        assert "our own fault" not in seen.error["reason"]
        assert device.calls[-1].bye.wait(10), "the call that we cannot use is hung up"
