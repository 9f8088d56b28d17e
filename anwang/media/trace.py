"""The record of one play (播放轨迹): its steps, the messages, and a sentence that says what to do next."""

from __future__ import annotations

from dataclasses import dataclass, field

from anwang.access import Step
from anwang.kernel.ids import PlayId, PointId
from anwang.media.plays import MOST_STEPS, PlayMessage, message_of
from anwang.runtime.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceStep:
    """One step: when, what, and the wire message if there was one (secrets redacted)."""

    at_us: int
    step: Step
    detail: str
    message: PlayMessage | None = None


@dataclass(slots=True, kw_only=True)
class PlayTrace:
    """Collects the steps of one play, whoever adds them. Implements access.Trace."""

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

    def step(self, step: Step, detail: str = "", *, message: bytes = b"", outgoing: bool = False) -> None:
        """Note a step; beyond MOST_STEPS it is only counted."""
        if len(self.steps) >= MOST_STEPS:
            self.dropped += 1
            return
        at = self.clock.micros()
        self.started_us = self.started_us or at
        told = message_of(at, message, outgoing=outgoing) if message else None
        self.steps.append(TraceStep(at_us=at, step=step, detail=detail, message=told))

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
            "Packets arrive, but no key frame that can be decoded.",
            "Check the camera's codec and key frame interval; ask for a key frame.",
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
