"""SDP of GB/T 28181: offers as the sheet's §12.3 has them, answers as devices write them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anwang.kernel.errors import Invalid, WireError
from anwang.wire import sip
from anwang.wire.sdp import H264, MPEG4, PS, Direction, Media, MediaFormat, RecordRef, RtpMap, Sdp, SessionName, Setup

CORPUS = Path(__file__).parent / "corpus" / "gb28181"

OFFER = Sdp(
    owner="34020000002000000001",
    address="198.51.100.5",
    media=(
        Media(
            kind="video",
            port=30000,
            payloads=(96, 97, 98),
            direction=Direction.RECVONLY,
            rtpmaps=(PS, H264, MPEG4),
        ),
    ),
    ssrc="0200000001",
)


def test_live_offer_is_exact() -> None:
    assert bytes(OFFER).decode().split("\r\n") == [
        "v=0",
        "o=34020000002000000001 0 0 IN IP4 198.51.100.5",
        "s=Play",
        "c=IN IP4 198.51.100.5",
        "t=0 0",
        "m=video 30000 RTP/AVP 96 97 98",
        "a=recvonly",
        "a=rtpmap:96 PS/90000",
        "a=rtpmap:98 H264/90000",
        "a=rtpmap:97 MPEG4/90000",
        "y=0200000001",
        "",
    ]
    assert Sdp.parse(bytes(OFFER)) == OFFER
    assert OFFER.ssrc_number == 0x0BEBC201


def test_download_offer_over_tcp_is_exact() -> None:
    offer = replace(
        OFFER,
        name=SessionName.DOWNLOAD,
        uri=str(RecordRef("34020000001320000011")),
        start=1763784000,
        stop=1763787600,
        ssrc="1200000001",
        format=MediaFormat(codec="2", resolution="6", fps="25", rate_type="1", kbps="4096"),
        media=(
            replace(
                OFFER.media[0],
                protocol="TCP/RTP/AVP",
                setup=Setup.PASSIVE,
                connection="new",
                download_speed=4,
                stream_number=0,
                attributes=(("streamprofile", "1"), ("flag", None)),
            ),
        ),
    )
    lines = bytes(offer).decode().split("\r\n")
    assert lines[2:6] == ["s=Download", "u=34020000001320000011:0", "c=IN IP4 198.51.100.5", "t=1763784000 1763787600"]
    assert lines[6] == "m=video 30000 TCP/RTP/AVP 96 97 98"
    assert lines[11:] == [
        "a=setup:passive",
        "a=connection:new",
        "a=downloadspeed:4",
        "a=streamnumber:0",
        "a=streamprofile:1",
        "a=flag",
        "y=1200000001",
        "f=v/2/6/25/1/4096a///",
        "",
    ]
    again = Sdp.parse(bytes(offer))
    assert again == offer
    assert again.ssrc_number == 0x47868C01
    assert again.record == RecordRef("34020000001320000011", 0)
    assert again.media[0].is_tcp
    assert again.media[0].setup is not None
    assert again.media[0].setup.complement is Setup.ACTIVE
    assert again.media[0].attribute("StreamProfile") == "1"


def test_answer_of_a_device_with_lost_zero_and_misspelt_size() -> None:
    message = sip.parse((CORPUS / "invite_ok_nine_digit_y.sip").read_bytes())
    assert message.content_type == "application/sdp"
    found = Sdp.parse(message.body)
    assert found.name == "Embedded Net DVR"
    assert found.ssrc == "100000001"
    assert found.ssrc_number == 100000001
    block = found.block()
    assert block is not None
    assert (block.port, block.file_bytes, block.encoding(96)) == (15060, 104857600, "PS")
    assert block.attribute("username") == "34020000001320000011"
    assert found.format is None


def test_ntp_times_and_own_address_of_a_block() -> None:
    text = (
        b"v=0\no=- 1 2 IN IP4 192.0.2.1\ns=-\nt=3972772800 3972776400\n"
        b"m=audio 9 TCP/RTP/AVP 8\nc=IN IP4 192.0.2.7/127\n"
        b"a=setup:active\na=rtpmap:8 PCMA/8000/1\nb=AS:64\ny=\nf=v/////a/1/8/1\n"
    )
    found = Sdp.parse(text)
    assert (found.start, found.stop) == (1763784000, 1763787600)
    assert found.address == "192.0.2.7"
    assert found.media[0].rtpmaps == (RtpMap(8, "PCMA", 8000, "1"),)
    assert found.block("audio") is found.media[0]
    assert found.block("video") is None
    assert found.ssrc_number is None
    assert found.format == MediaFormat(audio_codec="1", audio_bitrate="8", audio_rate="1")
    assert found.owner == ""


def test_refused_block_and_ipv6() -> None:
    found = Sdp.parse(b"v=0\r\no=1 0 0 IN IP6 2001:db8::1\r\nc=IN IP6 2001:db8::1\r\nm=video 0 RTP/AVP 96\r\n")
    assert found.block() is None
    assert b"c=IN IP6 2001:db8::1" in bytes(found)


@pytest.mark.parametrize(
    "text", ["v/////a///", "v/2/6/25/1/4096a///", "v/////a/1/8/1", "v/5/1920x1080/30/2/8192a/6/10/8"]
)
def test_formats_survive(text: str) -> None:
    assert str(MediaFormat.parse(text)) == text


def test_formats_that_are_none() -> None:
    assert MediaFormat.parse("") is None
    assert MediaFormat.parse("whatever") is None
    assert MediaFormat.parse("v/2/6") == MediaFormat(codec="2", resolution="6")


def test_what_may_not_be_written() -> None:
    with pytest.raises(Invalid):
        bytes(replace(OFFER, ssrc="100000001"))
    with pytest.raises(Invalid):
        bytes(replace(OFFER, name="x\r\nm=video 1 RTP/AVP 0"))
    assert RecordRef.parse("http://34020000002000000001/a/file") is None


@pytest.mark.parametrize(
    "data", [b"", b"v=0\r\n", b"m=video\r\n", b"m=video x RTP/AVP 96", b"x" * 70000, b"m=v 1 a\n" * 40]
)
def test_broken(data: bytes) -> None:
    with pytest.raises(WireError):
        Sdp.parse(data)


_LINE = st.sampled_from(
    [
        b"v=0",
        b"m=video 1 RTP/AVP 96",
        b"m=audio -1 x",
        b"c=IN IP4",
        b"c=IN IP4 1.2.3.4",
        b"t=1",
        b"t=9999999999999999999999 0",
        b"a=rtpmap:96 PS/90000",
        b"a=rtpmap:x",
        b"a=setup:",
        b"a=setup:PASSIVE",
        b"a=",
        b"a=filesize:1e9",
        b"y=00000000001",
        b"y=x",
        b"f=v/a/",
        b"u=1:x",
        b"o=",
        b"o=a b c d e f",
        b"=",
        b"\xd1\xf3",
        b"s=\xce\xd2",
    ]
)


@given(st.one_of(st.binary(max_size=400), st.lists(_LINE, max_size=20).map(b"\r\n".join)))
def test_any_bytes_are_no_worse_than_a_wire_error(data: bytes) -> None:
    try:
        found = Sdp.parse(data)
    except WireError:
        return
    assert found.ssrc_number is None or 0 <= found.ssrc_number < 2**32
    if found.ssrc is None or (len(found.ssrc) == 10 and found.ssrc.isascii() and found.ssrc.isdigit()):
        assert Sdp.parse(bytes(found)).media == found.media
