"""What devices tell by themselves: alarms, catalogue changes, positions. Each alarm is announced once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence

from anwang.gateways.gb28181 import translate
from anwang.gateways.gb28181.policies import NAME, Manners
from anwang.gateways.gb28181.questions import Questions
from anwang.gateways.gb28181.sessions import Session
from anwang.kernel.errors import AnwangError
from anwang.registry import Place, Registry
from anwang.runtime import logs
from anwang.runtime.clock import Clock
from anwang.wire.gb28181 import (
    AlarmNotify,
    CatalogItem,
    CatalogNotify,
    CatalogResponse,
    ItemEvent,
    Manscdp,
    MobilePositionNotify,
    Outcome,
)

log = logs.get(__name__)

MOST_TASKS = 10_000
SEEN_NOTICES = 4096


class Notices:
    """Takes them, in tasks where that needs the registry's database."""

    def __init__(
        self,
        *,
        clock: Clock,
        registry: Registry,
        manners: Manners,
        questions: Questions,
        want_catalogue: Callable[[str], None],
        on_signal: Callable[[str, AlarmNotify], None],
    ) -> None:
        """on_signal: device and alarm notice."""
        self._clock = clock
        self._registry = registry
        self._manners = manners
        self._questions = questions
        self._want_catalogue = want_catalogue
        self.on_signal = on_signal
        self._tasks: set[asyncio.Task[None]] = set()
        self._seen: OrderedDict[tuple[object, ...], None] = OrderedDict()
        self.catalogues = 0
        """Notices of catalogue changes."""
        self.alarms = dict.fromkeys(("announced", "repeated", "not_adopted"), 0)
        """Alarm notices by what became of them."""
        self.positions_unread = 0
        """Positions without a readable place, or more in one message than are taken."""
        self.refused_tasks = 0
        """Messages left unhandled for want of room."""

    def close(self) -> None:
        """Leave what is not taken yet."""
        for task in self._tasks:
            task.cancel()

    def alarm(self, session: Session, message: AlarmNotify, *, is_answered: bool = False) -> None:
        """An alarm notice is announced once however often it comes. is_answered: it came as NOTIFY, whose SIP answer is
        all; one that came as MESSAGE gets a message back.
        """
        if not is_answered:
            answer = Outcome(sn=message.sn, device_id=message.device_id, cmd_type="Alarm", is_ok=True)
            self._spawn(self._questions.tell_quietly(session, answer))
        moment = message.at or message.sn  # one without a time is told apart by its number
        key = (session.device, message.device_id, message.method, message.alarm_type, moment)
        if key in self._seen:
            self.alarms["repeated"] += 1
            return
        self._seen[key] = None
        if len(self._seen) > SEEN_NOTICES:
            self._seen.popitem(last=False)
        if not self._manners.is_adopted(session.device):
            self.alarms["not_adopted"] += 1
            return
        self.alarms["announced"] += 1
        self.on_signal(session.device, message)

    def items(self, device: str, message: CatalogResponse | CatalogNotify) -> None:
        """Entries that came unasked: a notice of changes, never a complete catalogue."""
        self._spawn(self._take_items(device, message.items, root=message.device_id))

    def notice(self, session: Session, message: Manscdp) -> None:
        """Changes of a catalogue, or positions; of anything else nothing is made."""
        if isinstance(message, CatalogNotify):
            self.catalogues += 1
            self.items(session.device, message)
        elif isinstance(message, MobilePositionNotify):
            places = translate.places(message, device=session.device, at_us=self._clock.micros())
            self.positions_unread += len(message.positions) - len(places) if message.positions else 1
            if places:
                self._spawn(self._take_places(session.device, places))

    async def _take_places(self, device: str, places: Sequence[tuple[str, Place]]) -> None:
        for channel, place in places:
            await self._registry.note_place(NAME, device, channel, place)

    async def _take_items(self, device: str, items: Sequence[CatalogItem], *, root: str) -> None:
        admission = self._registry.admission(NAME, device)
        if admission is None:
            return
        at_us = self._clock.micros()
        found = [translate.item(i, root=root, at_us=at_us) for i in items]
        await self._registry.reconcile(admission.id, [i for i in found if i is not None], complete=False)
        if any(i.event is ItemEvent.ADD for i in items):
            self._want_catalogue(device)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        if len(self._tasks) >= MOST_TASKS:
            self.refused_tasks += 1
            work.close()
            return
        task = asyncio.ensure_future(_guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _guarded(work: Coroutine[None, None, None]) -> None:
    try:
        await work
    except AnwangError as err:
        log.info("what a device said was not taken", reason=err.reason)
    except Exception:
        log.exception("handling a device failed by our own fault")
