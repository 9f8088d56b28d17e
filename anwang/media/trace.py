"""The record of one play (播放轨迹): its steps, the messages, and a sentence that says what to do next."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from anwang.access import Step
from anwang.kernel.ids import PlayId, PointId
from anwang.media.plays import MOST_STEPS, PlayMessage, message_of
from anwang.runtime.clock import Clock

FIRST_MESSAGES, LAST_MESSAGES = 40, 20
"""So many messages are kept of the beginning of a play and of its end: what is steered for hours has many between."""
FIRST_CHARACTERS, LAST_CHARACTERS = 48 << 10, 24 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceStep:
    """One step: when and what."""

    at_us: int
    step: Step
    detail: str


@dataclass(slots=True, kw_only=True)
class PlayTrace:
    """Collects the steps and messages of one play, whoever adds them. Implements access.Trace.

    late: told when a message comes after the end, such as the answer to our BYE.
    """

    id: PlayId
    point: PointId
    stream: str
    why: str
    clock: Clock
    actor: str = ""
    started_us: int = 0
    ended_us: int | None = None
    steps: list[TraceStep] = field(default_factory=list)
    noticed: dict[str, str] = field(default_factory=dict)
    dropped: int = 0
    late: Callable[[PlayTrace], None] = lambda trace: None
    is_kept: bool = False
    """It was written down when it had ended: what comes now is no further attempt."""
    _first: list[PlayMessage] = field(default_factory=list)
    _last: deque[PlayMessage] = field(default_factory=deque)
    _left_out: int = 0

    def step(self, step: Step, detail: str = "") -> None:
        """Note a step; beyond MOST_STEPS it is only counted."""
        if len(self.steps) >= MOST_STEPS:
            self.dropped += 1
            return
        at = self.clock.micros()
        self.started_us = self.started_us or at
        self.steps.append(TraceStep(at_us=at, step=step, detail=detail))

    def message(self, data: bytes, *, outgoing: bool) -> None:
        """Keep a message: the first and the last ones, how many are left out between them is told."""
        told = message_of(self.clock.micros(), data, outgoing=outgoing)
        if not self._last and len(self._first) < FIRST_MESSAGES and _size([*self._first, told]) <= FIRST_CHARACTERS:
            self._first.append(told)
        else:
            self._last.append(told)
            while len(self._last) > LAST_MESSAGES or _size(self._last) > LAST_CHARACTERS:
                self._last.popleft()
                self._left_out += 1
        if self.ended_us is not None:
            self.late(self)

    @property
    def messages(self) -> Sequence[PlayMessage]:
        """Those that are kept, in the order in which they went."""
        last = list(self._last)
        if self._left_out:
            last[0] = msgspec.structs.replace(last[0], skipped=self._left_out)
        return [*self._first, *last]

    def notice(self, kind: str, detail: str) -> None:
        """Something odd about the media, said once per kind (media.control.Odd)."""
        self.noticed[kind] = detail
        self.step(Step.CONNECTED, detail)

    @property
    def is_connected(self) -> bool:
        """Whether a media connection stood, whatever came over it."""
        return any(s.step is Step.CONNECTED and s.detail not in self.noticed.values() for s in self.steps)

    def reached(self, step: Step) -> TraceStep | None:
        """The first step of that kind, or None."""
        return next((s for s in self.steps if s.step is step), None)

    def micros_to(self, step: Step) -> int | None:
        """Microseconds from the start to a step, or None if it was not reached."""
        found = self.reached(step)
        return None if found is None else found.at_us - self.started_us


def _size(messages: Iterable[PlayMessage]) -> int:
    return sum(len(one.text) for one in messages)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Where a play stands: a code for programs, a sentence and the next step for people."""

    ok: bool
    code: str
    sentence: str
    next_step: str


def judge(trace: PlayTrace) -> Verdict:
    """What the steps say. The first missing step of the expected order decides."""
    if failed := trace.reached(Step.FAILED):
        return _explain(trace, failed.detail)
    if picture := trace.reached(Step.FIRST_PICTURE):
        total = (picture.at_us - trace.started_us) // 1000
        sentence = f"The first picture came after {total} ms.{_noticed(trace)}"
        return Verdict(ok=True, code="playing", sentence=sentence, next_step="")
    if key := trace.reached(Step.FIRST_KEY_FRAME):
        total = (key.at_us - trace.started_us) // 1000
        sentence = f"The first key frame came after {total} ms.{_noticed(trace)}"
        return Verdict(ok=True, code="delivering", sentence=sentence, next_step="")
    return _explain(trace, "")


def _noticed(trace: PlayTrace) -> str:
    return "".join(f" Noticed: {detail}." for detail in trace.noticed.values())


def _explain(trace: PlayTrace, why: str) -> Verdict:
    cause = f" {why.rstrip('.')}." if why else ""

    def verdict(code: str, sentence: str, next_step: str) -> Verdict:
        return Verdict(ok=False, code=code, sentence=f"{sentence}{cause}", next_step=next_step)

    if trace.reached(Step.FIRST_KEY_FRAME):
        return verdict("ended", "The stream ran and then ended.", "See the last step for the cause.")
    if trace.reached(Step.FIRST_PACKET):
        return verdict(
            "no_key_frame",
            f"Packets arrive, but no key frame that can be decoded.{_noticed(trace)}",
            "Check the camera's codec and key frame interval; ask for a key frame.",
        )
    if malformed := trace.noticed.get("malformed"):
        return verdict(
            "malformed",
            f"Something arrives, but it is no RTP: {malformed}.",
            "Look whether that is the device and whether it sends RTP over this transport; try another one.",
        )
    if ssrc := trace.noticed.get("ssrc"):
        return verdict(
            "wrong_ssrc",
            f"Media arrive, but under another SSRC than agreed: {ssrc}.",
            "Let the device answer with the SSRC it was given, or set its SSRC policy to any.",
        )
    if stranger := trace.noticed.get("stranger"):
        return verdict(
            "wrong_source",
            f"Media were refused for the address they came from: {stranger}.",
            "If that is the device, set its media source policy to any; else look what keeps it from connecting.",
        )
    if trace.is_connected:
        return verdict(
            "half_open",
            "The device opened its media connection, but sent nothing over it.",
            "Look whether the device still runs, and for a firewall or NAT between that forgets connections; try UDP.",
        )
    if trace.reached(Step.ACKNOWLEDGED) or trace.reached(Step.ANSWERED):
        return verdict(
            "no_media",
            "The device agreed to send, but no media arrived.",
            "Check the media address of the device's zone and the firewall between device and RTP ports; try TCP.",
        )
    if refused := trace.reached(Step.REFUSED):
        return verdict(
            "refused", f"The device refused: {refused.detail}.", "Look at the device's answer in the messages."
        )
    if trace.reached(Step.INVITED):
        return verdict(
            "no_answer",
            "The device did not answer the invitation.",
            "Check that it is online (evidence) and reachable at its last address.",
        )
    if trace.reached(Step.RESERVED):
        return verdict("not_invited", "The device could not be asked.", "See the point's evidence.")
    return verdict("not_reserved", "No receiver could be reserved.", "Check the media processes in System health.")
