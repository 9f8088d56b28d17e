"""Devices that come, are introduced, and go: what follows once a REGISTER is answered, or a session is over."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from anwang.gateways.gb28181 import translate
from anwang.gateways.gb28181.calls import Calls
from anwang.gateways.gb28181.evidence import Batches
from anwang.gateways.gb28181.line import Line
from anwang.gateways.gb28181.policies import NAME, Manners
from anwang.gateways.gb28181.questions import Questions
from anwang.gateways.gb28181.registrar import Outcome
from anwang.gateways.gb28181.sessions import Peer, Session, Sessions
from anwang.gateways.gb28181.storms import Storms
from anwang.gateways.gb28181.subscriptions import Subscriptions, wanted_topics
from anwang.gateways.gb28181.turns import Turns
from anwang.kernel.errors import AnwangError, Unsupported
from anwang.kernel.ids import OrgId
from anwang.registry import DeviceStatus, Known, Policies, Registry
from anwang.runtime.clock import Clock
from anwang.wire.gb28181 import DeviceInfoQuery, DeviceInfoResponse, DeviceStatusQuery, DeviceStatusResponse

TOGETHER = 64
MOST_WAITING = 600_000


class Arrivals:
    """See the module."""

    def __init__(
        self,
        *,
        line: Line,
        clock: Clock,
        registry: Registry,
        sessions: Sessions,
        manners: Manners,
        batches: Batches,
        calls: Calls,
        subscriptions: Subscriptions,
        questions: Questions,
        storms: Storms,
        adopt_under: Callable[[str], OrgId | None],
        misses: int,
        want_catalogue: Callable[[str], None],
        want_configuration: Callable[[str], None],
        refuse: Callable[[Peer, str, str], None],
    ) -> None:
        """adopt_under: the organisation that adopts a new device at once, if any. misses: keep-alives that a device may
        miss. refuse: peer, reason and device of what was not let in.
        """
        self._line = line
        self._clock = clock
        self._registry = registry
        self._sessions = sessions
        self._manners = manners
        self._batches = batches
        self._calls = calls
        self._subscriptions = subscriptions
        self._questions = questions
        self._storms = storms
        self.adopt_under = adopt_under
        self._misses = misses
        self._want_catalogue = want_catalogue
        self._want_configuration = want_configuration
        self._refuse = refuse
        always = asyncio.Event()
        always.set()
        self.strangers = Turns(self._meet, what="admission", together=TOGETHER, most=MOST_WAITING, calm=always)
        self.introductions = Turns(
            self._introduce, what="introduction", together=TOGETHER, most=MOST_WAITING, calm=storms.calm
        )
        self.registrations = 0
        """Taken anew."""

    # --- coming ---------------------------------------------------------------------------------------------------

    def follow(self, session: Session, outcome: Outcome) -> None:
        """What a REGISTER leads to once it is answered."""
        if outcome is Outcome.LOGGED_OUT:
            self._batches.lost(session, "logged out")
            self.leave(session)
            return
        self.registrations += outcome is Outcome.REGISTERED
        self._storms.registered()
        peer = session.peer
        if peer[0] == "tcp":
            self._line.sockets.settle(peer)
        address = f"{peer[1]}:{peer[2]}"
        known = self._registry.greet(NAME, session.device, address=address, transport=peer[0])
        if known is not None:
            self._welcome(session, known, address, is_new=outcome is Outcome.REGISTERED)
        elif not self.strangers.want(session.device):
            self._turn_away(session, "too many new devices wait to be written down")

    async def _meet(self, device: str) -> None:
        """Write a device down that the registry has never seen."""
        session = self._sessions.get(device)
        if session is None:
            return  # it has gone meanwhile
        peer = session.peer
        address = f"{peer[1]}:{peer[2]}"
        try:
            await self._registry.meet(
                NAME,
                device,
                address=address,
                transport=peer[0],
                version=str(session.version),
                adopt_under=self.adopt_under(device),
            )
        except AnwangError as err:
            self._turn_away(session, err.reason)
            return
        known = self._registry.greet(NAME, device, address=address, transport=peer[0])
        current = self._sessions.get(device)  # it may have registered anew while it was written down
        if known is not None and current is not None:
            self._welcome(current, known, address, is_new=True)

    def _welcome(self, session: Session, known: Known, address: str, *, is_new: bool) -> None:
        """The registry knows the device: what it says counts from now on, and a new one is asked about itself."""
        if known.status is DeviceStatus.REFUSED:
            self._turn_away(session, "an operator refused this device")
            return
        session.silence_s = self._silence_s(known.policies)
        session.slot = known.slot
        self._batches.arrived(session, address)
        if is_new:
            self._calls.end_left(session)
            self._subscriptions.drop(session, self._line.now())
            self._line.pump()
            self._want_catalogue(session.device)
            self.introductions.want(session.device)
        elif self._subscriptions.is_due(session.device):
            self.introductions.want(session.device)

    def renew(self, device: str) -> None:
        """Its policies are others: what follows from them for one that is here follows now."""
        session, policies = self._sessions.get(device), self._registry.policies(NAME, device)
        if session is None or session.slot < 0 or policies is None:
            return  # what it is asked with its registration is asked by the new ones
        session.silence_s = self._silence_s(policies)
        self.subscribe(session)

    def _silence_s(self, policies: Policies) -> float:
        own = policies.own_keepalive_s
        return 0.0 if own is None else own * self._misses

    # --- introductions --------------------------------------------------------------------------------------------

    async def _introduce(self, device: str) -> None:
        """Ask a device who it is, how it is, and to tell of changes. Many don't answer; nothing depends on it."""
        for ask in (self._ask_who, self.ask_status):
            with contextlib.suppress(AnwangError):
                await ask(device)
        session = self._sessions.get(device)
        if session is not None:
            self.subscribe(session)
            self._want_configuration(device)

    async def ask_status(self, device: str) -> None:
        """DeviceStatus; the answer becomes the device's report. Raises Unavailable, Unsupported."""
        query = DeviceStatusQuery(sn=self._questions.next_sn(), device_id=device)
        told = await self._questions.query(device, query, DeviceStatusResponse)
        if told.is_online is None and told.is_healthy is None:
            raise Unsupported(f"device {device} does not say how it is")
        self._registry.note_report(NAME, device, translate.report(told, self._clock.micros()))

    async def _ask_who(self, device: str) -> None:
        query = DeviceInfoQuery(sn=self._questions.next_sn(), device_id=device)
        told = await self._questions.query(device, query, DeviceInfoResponse)
        session, admission = self._sessions.get(device), self._registry.admission(NAME, device)
        if session is None or admission is None:
            return
        await self._registry.describe(
            admission.id,
            name=told.name or None,
            vendor=told.manufacturer or None,
            model=told.model or None,
            version=f"{session.version} {told.firmware}".strip(),
        )

    def subscribe(self, session: Session) -> None:
        """Let the device have the subscriptions that its kind and its policies call for."""
        wanted = wanted_topics(session.device, self._manners.own(session.device))
        self._subscriptions.keep(session, wanted, self._line.now())
        self._line.pump()

    # --- going ----------------------------------------------------------------------------------------------------

    def _turn_away(self, session: Session, reason: str) -> None:
        """A device that proved itself, but may not stay."""
        self._refuse(session.peer, reason, session.device)
        self._sessions.drop(session.device)
        self.leave(session)

    def leave(self, session: Session) -> None:
        """A device is registered no more: nothing is asked of it any longer, and what it sends ends."""
        self._subscriptions.drop(session, self._line.now())
        self._calls.leave(session.device)
        self._line.pump()
        # the last device that leaves a connection leaves it to a stranger
        if session.peer[0] == "tcp" and not self._sessions.is_used(session.peer):
            self._line.sockets.unsettle(session.peer)
