"""Playback control inside a SIP dialog, MANSRTSP (GB/T 28181-2016 annex B, -2022 annex B).

The request rides in INFO, its answer may ride in the SIP 200. We accept `RTSP/1.0` and `MANSRTSP/1.0`, a Range beside a
Scale and `ntp=` for `npt=`; we write `RTSP/1.0` and one of both, for the standard contradicts itself and devices follow
either.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

from anwang.kernel.errors import WireError

CONTENT_TYPE: Final = "Application/MANSRTSP"
MAX_SIZE: Final = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """Resume, seek, or change speed.

    start, end: seconds from the start of the recording; None is open, and with no start at all it goes on from now.
    scale: times real time, negative backwards; None keeps the speed.
    """

    cseq: int
    start: float | None = None
    end: float | None = None
    scale: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Stand still now."""

    cseq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Teardown:
    """Stop; a BYE follows."""

    cseq: int


Command = Play | Pause | Teardown


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Reply in the body of the SIP 200. status: RTSP status; other than 200 it is a failure inside a SIP 200.

    start: seconds of the new position. sequence, rtptime: first RTP packet of it. scale: the speed that the
    device took, which need not be the one asked for.
    """

    cseq: int
    status: int = 200
    reason: str = "OK"
    start: float | None = None
    sequence: int | None = None
    rtptime: int | None = None
    scale: float | None = None


_RANGE: Final = re.compile(r"\s*n[pt][tp]\s*=\s*(now|[0-9.]{0,16})\s*-\s*([0-9.]{0,16})\s*", re.IGNORECASE | re.ASCII)


def _float(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and abs(value) < 1e9 else None


def _whole(text: str, most: int) -> int | None:
    text = text.strip()
    if not (text.isascii() and text.isdigit()) or len(text) > 10 or int(text) > most:
        return None
    return int(text)


def _lines(body: bytes) -> tuple[list[str], dict[str, str]]:
    if len(body) > MAX_SIZE:
        raise WireError(f"a MANSRTSP body of {len(body)} bytes is above {MAX_SIZE}", data=body)
    lines = [line.strip() for line in body.decode("utf-8", "replace").replace("\r", "\n").split("\n") if line.strip()]
    if not lines:
        raise WireError("an empty MANSRTSP body", data=body)
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if colon:
            headers.setdefault(name.strip().lower(), value.strip())
    return lines[0].split(), headers


def _range(text: str) -> tuple[float | None, float | None]:
    match = _RANGE.fullmatch(text[:64])
    if match is None:
        return None, None
    return _float(match[1]), _float(match[2])


def parse_command(body: bytes) -> Command:
    """Raises WireError for another method or protocol."""
    start, headers = _lines(body)
    if len(start) < 2 or start[-1].upper() not in {"RTSP/1.0", "MANSRTSP/1.0"}:
        raise WireError("the body is no MANSRTSP request", data=body)
    cseq = _whole(headers.get("cseq", ""), 2**31) or 0
    match start[0].upper():
        case "PLAY":
            first, last = _range(headers.get("range", ""))
            scale = _float(headers["scale"]) if headers.get("scale") else None
            return Play(cseq=cseq, start=first, end=last, scale=scale)
        case "PAUSE":
            return Pause(cseq=cseq)
        case "TEARDOWN":
            return Teardown(cseq=cseq)
        case method:
            raise WireError(f"{method[:40]!r} is not a method of MANSRTSP", data=body)


def serialize_command(command: Command) -> bytes:
    """Of a Play with a scale and no start, only the scale; backwards also the stretch; else only the range."""
    match command:
        case Pause():
            lines = ["PAUSE RTSP/1.0", f"CSeq: {command.cseq}", "PauseTime: now"]
        case Teardown():
            lines = ["TEARDOWN RTSP/1.0", f"CSeq: {command.cseq}"]
        case Play():
            lines = ["PLAY RTSP/1.0", f"CSeq: {command.cseq}"]
            if command.scale is not None:
                lines.append(f"Scale: {_decimal(command.scale, 1)}")
            if command.scale is None or command.start is not None:
                begin = "now" if command.start is None else _decimal(command.start)
                end = "" if command.end is None else _decimal(command.end)
                lines.append(f"Range: npt={begin}-{end}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _decimal(value: float, least: int = 0) -> str:
    text = f"{value:.3f}".rstrip("0")
    whole, _, fraction = text.partition(".")
    fraction = fraction.ljust(least, "0")
    return f"{whole}.{fraction}" if fraction else whole


def parse_answer(body: bytes) -> Answer:
    """Raises WireError where it does not begin with an RTSP status line."""
    start, headers = _lines(body)
    status = _whole(start[1], 999) if len(start) > 1 else None
    if start[0].upper() not in {"RTSP/1.0", "MANSRTSP/1.0"} or status is None:
        raise WireError("the body is no MANSRTSP answer", data=body)
    info = headers.get("rtp-info", "")
    sequence = re.search(r"seq=([0-9]{1,5})", info, re.ASCII)
    rtptime = re.search(r"rtptime=([0-9]{1,10})", info, re.ASCII)
    return Answer(
        cseq=_whole(headers.get("cseq", ""), 2**31) or 0,
        status=status,
        reason=" ".join(start[2:])[:80],
        start=_range(headers.get("range", ""))[0],
        sequence=_whole(sequence[1], 65535) if sequence else None,
        rtptime=_whole(rtptime[1], 2**32 - 1) if rtptime else None,
        scale=_float(headers["scale"]) if headers.get("scale") else None,
    )


def serialize_answer(answer: Answer) -> bytes:
    """The body of the SIP 200."""
    lines = [f"RTSP/1.0 {answer.status} {answer.reason}", f"CSeq: {answer.cseq}"]
    if answer.scale is not None:
        lines.append(f"Scale: {_decimal(answer.scale, 1)}")
    if answer.start is not None:
        lines.append(f"Range: npt={_decimal(answer.start)}-")
    if answer.sequence is not None and answer.rtptime is not None:
        lines.append(f"RTP-Info: seq={answer.sequence};rtptime={answer.rtptime}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
