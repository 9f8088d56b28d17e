"""Offer and answer of a stream (GB/T 28181-2016 annex F, K; 2022 annex G, L)."""

from __future__ import annotations

import ipaddress

from anwang.access import Checking, Pushed, Receiver, Stream, Transport
from anwang.kernel.errors import Unsupported, WireError
from anwang.wire.gb28181 import V2022, Subject, Version
from anwang.wire.sdp import H264, H265, PS, Direction, Media, Sdp, SessionName, Setup

_SETUP = {Transport.TCP_PASSIVE: Setup.PASSIVE, Transport.TCP_ACTIVE: Setup.ACTIVE}
DISCARD_PORT = 9


def offer(
    *, server_id: str, receiver: Receiver, host: str, stream: Stream, version: Version, stream_numbers: bool
) -> Sdp:
    """What we ask for: receive only, PS, over the receiver's transport.

    host: our media address for this device. stream_numbers: whether the device takes `a=streamnumber` (2022).
    """
    is_tcp = receiver.transport is not Transport.UDP
    setup = _SETUP.get(receiver.transport)
    maps = (PS, H264, H265) if version >= V2022 else (PS, H264)
    media = Media(
        kind="video",
        port=receiver.port or DISCARD_PORT,
        protocol="TCP/RTP/AVP" if is_tcp else "RTP/AVP",
        payloads=tuple(m.payload for m in maps),
        direction=Direction.RECVONLY,
        rtpmaps=maps,
        setup=setup,
        connection="new" if is_tcp else "",
        stream_number=(0 if stream is Stream.MAIN else 1) if stream_numbers else None,
    )
    return Sdp(owner=server_id, address=host, name=SessionName.PLAY, media=(media,), ssrc=f"{receiver.ssrc:010d}")


def subject(*, channel: str, server_id: str, ssrc: int) -> Subject:
    """Who sends to whom. The sender's sequence is the y value: the same for the same live stream, unique otherwise."""
    return Subject(channel, f"{ssrc:010d}", server_id, "0")


def accept(
    answer: Sdp,
    *,
    receiver: Receiver,
    dialog: str,
    checking: Checking,
    source: str,
    any_source: bool = False,
    with_sound: bool = True,
) -> Pushed:
    """What the device's answer means for the receiver.

    source: address the answer came from: the device's own, or its NAT's. any_source: whoever connects to our port is
    believed to be the device, for those whose media comes from an address that nothing foretells.
    with_sound: False leaves out what sound the device sends; no edition lets an INVITE ask for pictures alone.

    Raises Unsupported, WireError.
    """
    media = answer.block("video")
    if media is None:
        raise Unsupported("the device's answer has no video")
    encoding = media.encoding(media.payloads[0]) if media.payloads else "PS"
    if encoding in ("DAHUA", "HIKVISION"):
        raise Unsupported(
            f"the device answers with its proprietary stream {encoding}", "set the device to GB/T 28181 PS"
        )
    is_tcp = receiver.transport is not Transport.UDP
    if media.is_tcp != is_tcp:
        raise Unsupported(
            f"the device answers with {media.protocol}, asked was {receiver.transport}", "set another transport for it"
        )
    connect = None
    if receiver.transport is Transport.TCP_ACTIVE:
        host = answer.address_of(media) or source
        if media.port in (0, DISCARD_PORT):
            raise WireError("the device should listen for media, but its answer names no port")
        connect = (host, media.port)
    ssrc = answer.ssrc_number
    if ssrc == 0:  # cameras which answer y=0 send whatever they like: the session's own port tells them apart
        checking, ssrc = Checking.ANY, None
    sources: tuple[str, ...] = ()
    if receiver.transport is Transport.TCP_PASSIVE and not any_source:
        # behind a NAT the answer names an inner address; a name instead of an address can't be compared
        sources = tuple(dict.fromkeys(host for host in (answer.address_of(media), source) if _is_address(host)))
    return Pushed(
        dialog=dialog, ssrc=ssrc, connect=connect, checking=checking, payload=encoding or "PS", sources=sources,
        file_bytes=media.file_bytes, with_sound=with_sound,
    )  # fmt: skip


def _is_address(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host.partition("%")[0]).is_unspecified
    except ValueError:
        return False
