"""Asking devices how they are set: after each new registration and once a day, never many at once.

Only what a device's edition has is asked (GB/T 28181-2016 9.5.3.7 and A.2.4.7, -2022 A.2.4.7), one type at a time:
devices that answer one type in a message of its own, and those that name the element otherwise, are understood alike.
What a device does not answer is not asked again for a day.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

from anwang.gateways.gb28181 import translate
from anwang.gateways.gb28181.catalogue import Rounds
from anwang.gateways.gb28181.policies import CONFIGURATION, NAME, Manners
from anwang.gateways.gb28181.questions import Questions
from anwang.gateways.gb28181.sessions import Sessions
from anwang.gateways.gb28181.turns import Turns
from anwang.kernel.errors import AnwangError, Unavailable, Unsupported
from anwang.registry import Answer, Registry, SelfReport, device_key, values_of
from anwang.runtime.clock import Clock
from anwang.wire.gb28181 import (
    V2014,
    V2022,
    ConfigQuery,
    ConfigResponse,
    DeviceInfoQuery,
    DeviceInfoResponse,
    Version,
)

DAY_S = 86_400.0
SLACK_S = 3600.0
"""The daily round may come a little earlier than a day after the registration before it."""
FRESH_US = 600_000_000
"""A report about its status that is not older needs no question of its own."""
TOGETHER = 64
MOST_WAITING = 600_000
SINCE_2014 = ("BasicParam", "VideoParamOpt")
SINCE_2022 = (
    "VideoParamAttribute",
    "VideoRecordPlan",
    "VideoAlarmRecord",
    "PictureMask",
    "FrameMirror",
    "AlarmReport",
    "OSDConfig",
)

Pairs = list[tuple[str, str]]


def types_of(version: Version) -> tuple[str, ...]:
    """What ConfigDownload knows in an edition and is no secret: neither upload addresses nor SVAC devices' tables."""
    return (*(SINCE_2014 if version >= V2014 else ()), *(SINCE_2022 if version >= V2022 else ()))


class Configurations:
    """See the module. take: device and what it said; None: nobody is asked."""

    def __init__(
        self,
        *,
        clock: Clock,
        registry: Registry,
        sessions: Sessions,
        manners: Manners,
        questions: Questions,
        ask_status: Callable[[str], Awaitable[None]],
        take: Callable[[str, Answer], Awaitable[None]] | None,
        per_second: float,
        calm: asyncio.Event,
    ) -> None:
        self._clock = clock
        self._registry = registry
        self._sessions = sessions
        self._manners = manners
        self._questions = questions
        self._ask_status = ask_status
        self._take = take
        self._step_s = 1 / per_second
        self._next_s = 0.0
        self._silent: dict[tuple[str, str], float] = {}
        self._rounds = Rounds(sessions, lambda slot: DAY_S)
        self.turns = Turns(self._ask, what="configuration", together=TOGETHER, most=MOST_WAITING, calm=calm)

    def want(self, device: str) -> None:
        """Ask it soon."""
        if self._take is not None:
            self.turns.want(device)

    def due(self, now_s: float, most: int) -> Iterator[str]:
        """Go on with the walk over all devices; those whose day is over."""
        return self._rounds.due(now_s, most)

    async def _ask(self, device: str) -> None:
        session = self._sessions.get(device)
        if self._take is None or session is None or not self._may_ask(device):
            return
        await self._pace()
        pairs, groups = await self._info(device)
        for type_ in types_of(session.version):
            found = await self._config(device, type_)
            if found is None:
                break
            pairs += found
            groups |= {name.partition(".")[0] for name, _ in found}
        report = await self._report(device)
        off_s = None if report is None else report.clock_off_s
        if not groups and off_s is None:
            return
        at_us = 0 if report is None else report.received_us
        answer = Answer(values=values_of(pairs), groups=frozenset(groups), clock_off_s=off_s, clock_at_us=at_us)
        await self._take(device, answer)

    async def _info(self, device: str) -> tuple[Pairs, set[str]]:
        query = DeviceInfoQuery(sn=self._questions.next_sn(), device_id=device)
        if self._is_silent(device, "DeviceInfo"):
            return [], set()
        try:
            found = await self._questions.query(device, query, DeviceInfoResponse)
        except Unavailable:
            self._note_silent(device, "DeviceInfo")
            return [], set()
        except Unsupported:
            return [], set()
        pairs = translate.description(found)
        return pairs, {""} if pairs else set()

    async def _config(self, device: str, type_: str) -> Pairs | None:
        """What it says of one type; nothing where it refuses, None where it is not asked any further."""
        if self._is_silent(device, "ConfigDownload"):
            return None
        query = ConfigQuery(sn=self._questions.next_sn(), device_id=device, kinds=(type_,))
        try:
            return translate.configuration(await self._questions.query(device, query, ConfigResponse))
        except Unavailable:
            self._note_silent(device, "ConfigDownload")
            return None
        except Unsupported:
            return []

    async def _report(self, device: str) -> SelfReport | None:
        """What it said of itself lately; asked anew where that is long ago."""
        key = device_key(NAME, device)
        known = self._registry.told.report(key)
        if known is not None and self._clock.micros() - known.received_us <= FRESH_US:
            return known
        if self._is_silent(device, "DeviceStatus"):
            return None
        try:
            await self._ask_status(device)
        except Unavailable:
            self._note_silent(device, "DeviceStatus")
            return None
        except AnwangError:
            return None
        return self._registry.told.report(key)

    def _may_ask(self, device: str) -> bool:
        return self._manners.is_adopted(device) and self._manners.own(device).get(CONFIGURATION, "") != "no"

    async def _pace(self) -> None:
        """Wait for its share of a second."""
        now = self._clock.monotonic()
        at = max(now, self._next_s)
        self._next_s = at + self._step_s
        if at > now:
            await self._clock.sleep(at - now)

    def _is_silent(self, device: str, what: str) -> bool:
        """Whether it left this question without an answer within a day."""
        since = self._silent.get((device, what))
        if since is None:
            return False
        if self._clock.monotonic() - since < DAY_S - SLACK_S:
            return True
        del self._silent[device, what]
        return False

    def _note_silent(self, device: str, what: str) -> None:
        session = self._sessions.get(device)
        if session is None or session.is_lost:
            return  # it went meanwhile: nobody can answer so
        if len(self._silent) >= MOST_WAITING:
            self._silent.clear()
        self._silent[device, what] = self._clock.monotonic()
