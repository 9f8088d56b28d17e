"""What was heard of devices, on its way to the registry in batches: registrations, keep-alives, losses."""

from __future__ import annotations

from anwang.gateways.gb28181.policies import NAME
from anwang.gateways.gb28181.sessions import Session, Sessions
from anwang.registry import Evidence, EvidenceKind, Registry, device_key
from anwang.runtime import logs
from anwang.runtime.clock import Clock

log = logs.get(__name__)

LOGGED_LOSSES = 20
"""Lost devices named in the log each second; of a whole district's, the others are counted."""
MOST_EVIDENCE = 20_000


class Batches:
    """What has not gone to the registry yet, in the order in which it was heard."""

    def __init__(self, registry: Registry, sessions: Sessions, clock: Clock) -> None:
        self._registry = registry
        self._sessions = sessions
        self._clock = clock
        self._evidence: list[Evidence] = []
        self._arrived: tuple[list[int], list[int], list[str]] = ([], [], [])
        self._lost_now = 0

    def arrived(self, session: Session, address: str) -> None:
        """A device that the registry knows has registered."""
        slots, at_us, sources = self._arrived
        slots.append(session.slot)
        at_us.append(self._clock.micros())
        sources.append(f"{address}/{session.peer[0]}")
        if len(slots) >= MOST_EVIDENCE:
            self.flush()

    def lost(self, session: Session, why: str) -> None:
        """A device is gone."""
        self._lost_now += 1
        if self._lost_now <= LOGGED_LOSSES:
            log.info("device lost", device=session.device, why=why)
        key, source = device_key(NAME, session.device), f"{session.peer[1]}:{session.peer[2]}"
        self._note(Evidence(key, EvidenceKind.REGISTRATION, self._clock.micros(), False, source, why))

    def listed(self, device: str, count: int, *, complete: bool) -> None:
        """A device has sent its catalogue."""
        detail = f"{count} listed" if complete else f"{count} listed, fewer than it announced"
        key = device_key(NAME, device)
        self._note(Evidence(key, EvidenceKind.CATALOGUE, self._clock.micros(), complete, detail=detail))

    def _note(self, evidence: Evidence) -> None:
        self._flush_arrived()  # who registered before this keeps its place before it
        self._evidence.append(evidence)
        if len(self._evidence) >= MOST_EVIDENCE:
            self.flush()

    def flush(self) -> None:
        """What was heard since the last call goes to the registry."""
        fresh = self._sessions.take_fresh()
        now_us, now_s = self._clock.micros(), self._clock.monotonic()
        heard = [now_us - round((now_s - session.heard_s) * 1_000_000) for session in fresh]
        for session, at_us in zip(fresh, heard, strict=True):
            if not session.is_told:  # where from is for people; it is told once, and again when it changes
                session.is_told = True
                source = f"{session.peer[1]}:{session.peer[2]}"
                key = device_key(NAME, session.device)
                self._evidence.append(Evidence(key, EvidenceKind.KEEPALIVE, at_us, True, source))
        if self._lost_now > LOGGED_LOSSES:
            log.info("more devices lost", count=self._lost_now - LOGGED_LOSSES)
        self._lost_now = 0
        evidence, self._evidence = self._evidence, []
        self._registry.note(evidence)
        self._flush_arrived()
        if fresh:
            self._registry.note_alive([session.slot for session in fresh], heard)

    def _flush_arrived(self) -> None:
        arrived, self._arrived = self._arrived, ([], [], [])
        if arrived[0]:
            self._registry.note_registered(*arrived)
