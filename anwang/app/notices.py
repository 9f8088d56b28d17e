"""Facts of the slices become events for browsers: bounded, best effort, the newest state wins.

What a later fact replaces (states, places, counts, the waiting list, who steers a camera) has room of its own and is
never crowded out. Devices that come and go together become one note. Only devices' alarm notices wait in a queue; those
that found no room, and events that the bus did not take, are counted, and browsers are told to read everything anew.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from anwang.access import Holder
from anwang.governance import Action, Actor
from anwang.kernel.errors import AnwangError
from anwang.kernel.ids import PointId
from anwang.kernel.times import from_micros, rfc3339
from anwang.registry import (
    DeviceStateChanged,
    DriftChanged,
    Fact,
    ImportMoved,
    PointsChanged,
    PointsMoved,
    Registry,
    State,
    StateChanges,
    WaitingChanged,
)
from anwang.runtime import logs
from anwang.runtime.clock import Clock
from anwang.web.events import Events, Notice, as_it_is
from anwang.wire.gb28181 import AlarmNotify

log = logs.get(__name__)

MOST_WAITING = 2_000
"""Devices' alarm notices that wait to be published."""
MOST_CHANGES = 2_000
"""State changes named in one event; beyond that browsers are told to ask by cursor."""
MOST_NAMED = 20
"""Devices named one by one when they come or go together; beyond that one note counts them."""
EVERY_SECONDS = 0.1
MOVES_SECONDS = 1.0
"""Between two events of where points are."""
RETRY_SECONDS = 1.0


@dataclass(slots=True)
class _States:
    """Changes of states not published yet, the newest of each point. many: how many, once they are not named."""

    changes: dict[PointId, list[str]] = field(default_factory=dict)
    cursor: str = ""
    many: int = 0

    def add(self, fact: StateChanges) -> None:
        self.cursor = fact.cursor
        if self.many or len(self.changes) + len(fact) > MOST_CHANGES:
            self.many += len(self.changes) + len(fact)
            self.changes.clear()
            return
        for point, state, at_us in fact.rows():
            self.changes[point] = [point, state.value, rfc3339(from_micros(at_us))]

    def notice(self) -> Notice | None:
        if not self.cursor:
            return None
        told: dict[str, Any] = {"changes": list(self.changes.values()), "cursor": self.cursor}
        return Notice("state", None, {**told, "many": self.many} if self.many else told)


@dataclass(slots=True)
class _Devices:
    """Devices that went into one state since the last event: the first ones, and how many with how many points."""

    first: list[DeviceStateChanged] = field(default_factory=list)
    count: int = 0
    points: int = 0

    def add(self, fact: DeviceStateChanged) -> None:
        if len(self.first) < MOST_NAMED:
            self.first.append(fact)
        self.count += 1
        self.points += fact.points

    def notices(self) -> Iterator[Notice]:
        if self.count <= MOST_NAMED:
            for fact in self.first:
                yield _device_note(fact, {"device": fact.device_id, "points": fact.points})
        else:
            named = f"{self.first[0].device_id} +{self.count - 1}"  # as any language reads it
            yield _device_note(self.first[0], {"device": named, "points": self.points, "devices": self.count})


def _device_note(fact: DeviceStateChanged, params: dict[str, Any]) -> Notice:
    return Notice(
        "note",
        None,
        {
            "level": "info" if fact.state.value == "online" else "warn",
            "text": f"device_{fact.state.value}",
            "params": params,
            "cause": f"device:{fact.device_id}" if "devices" not in params else f"devices:{fact.state.value}",
            "at": rfc3339(from_micros(fact.at_us)),
        },
    )


@dataclass(slots=True)
class _Moves:
    """Places not published yet, the newest of each point. many: how many, once they are not named."""

    changes: dict[PointId, list[Any]] = field(default_factory=dict)
    many: int = 0

    def add(self, fact: PointsMoved) -> None:
        if self.many or len(self.changes) + len(fact.points) > MOST_CHANGES:
            self.many += len(self.changes) + len(fact.points)
            self.changes.clear()
            return
        place = fact.place
        told = [place.longitude, place.latitude, place.direction_deg, rfc3339(from_micros(place.received_us))]
        for point in fact.points:
            self.changes[point] = [point, *told]

    def notice(self) -> Notice | None:
        if not self.changes and not self.many:
            return None
        told: dict[str, Any] = {"changes": list(self.changes.values())}
        return Notice("position", None, {**told, "many": self.many} if self.many else told)


class Notices:
    """Collects facts without waiting; a task publishes them. dropped: what was never published, since the start."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._states = _States()
        self._moves = _Moves()
        self._moved_s = -MOVES_SECONDS
        self._devices: dict[State, _Devices] = {}
        self._points = PointsChanged(points=())
        self._drifts: dict[str, DriftChanged] = {}
        self._more_drifts = 0
        self._latest: dict[tuple[str, str], Notice] = {}
        self._alarms: deque[Notice] = deque()
        self._untold = 0
        self._more = asyncio.Event()
        self._events: Events | None = None
        self._registry: Registry | None = None
        self.dropped = 0

    def attach(self, events: Events, registry: Registry) -> None:
        """Where to publish, and whom to ask for what an actor may see."""
        self._events, self._registry = events, registry

    def registry_fact(self, fact: Fact) -> None:
        """What the registry announces."""
        match fact:
            case StateChanges():
                self._states.add(fact)
                self._put_latest("counts", {})
            case DeviceStateChanged():
                self._devices.setdefault(fact.state, _Devices()).add(fact)
            case WaitingChanged():
                self._put_latest("device", {"waiting": fact.waiting})
            case DriftChanged():
                self._drift(fact)
            case PointsMoved():
                self._moves.add(fact)
            case PointsChanged():
                before = self._points
                self._points = PointsChanged(
                    points=(),
                    added=before.added + fact.added,
                    changed=before.changed + fact.changed,
                    removed=before.removed + fact.removed,
                )
                self._put_latest(
                    "points",
                    {"added": self._points.added, "changed": self._points.changed, "removed": self._points.removed},
                )
            case ImportMoved():
                self._put_latest("job", {"import": fact.id}, of=fact.id)
        self._more.set()

    def _drift(self, fact: DriftChanged) -> None:
        """The list is to be read anew; who watches the whole city is told which device opened one, if they are few."""
        self._put_latest("drift", {})
        if not fact.is_open:
            return
        if fact.device_id not in self._drifts and len(self._drifts) >= MOST_NAMED:
            self._more_drifts += 1
        else:
            self._drifts[fact.device_id] = fact

    def _drift_notes(self) -> list[Notice]:
        drifts, more = self._drifts, self._more_drifts
        self._drifts, self._more_drifts = {}, 0
        at = rfc3339(self._clock.now())
        notes = [
            (f"drift_{one.kind}", {"device": code}, f"drift:{code}") for code, one in drifts.items() if not more
        ] or [("drifts", {"device": f"{code} +{len(drifts) + more - 1}"}, "drifts") for code in list(drifts)[:1]]
        return [
            Notice("note", None, {"level": "warn", "text": text, "params": params, "cause": cause, "at": at})
            for text, params, cause in notes
        ]

    def head(self, point: PointId, holder: Holder | None) -> None:
        """Who moves a camera's head now, for those who see the camera."""
        told = None if holder is None else {"id": holder.actor, "name": holder.name}
        self._put_latest("ptz", {"point": point, "holder": told}, of=point)

    def _put_latest(self, type_: str, data: dict[str, Any], *, of: str = "") -> None:
        """Publish soon, in place of what waits under the same type and thing."""
        self._latest[type_, of] = Notice(type_, None, data)
        self._more.set()

    def signal(self, device: str, alarm: AlarmNotify) -> None:
        """An alarm notice of a device: shown in the ticker; alarms proper come with their own slice.

        When too many wait, the oldest is dropped, counted and said.
        """
        if len(self._alarms) == MOST_WAITING:
            self._alarms.popleft()
            self._missed()
        self._alarms.append(
            Notice(
                "note",
                None,
                {
                    "level": "warn",
                    "text": "device_alarm",
                    "params": {
                        "device": device,
                        "source": alarm.device_id,
                        "method": alarm.method,
                        "kind": alarm.alarm_type,
                        "description": alarm.description[:200],
                    },
                    "cause": f"alarm:{alarm.device_id}",
                    "at": rfc3339(self._clock.now()),
                },
            )
        )
        self._more.set()

    def _missed(self) -> None:
        self.dropped += 1
        self._untold += 1

    def shape(self, registry: Registry) -> Callable[[Actor, Notice], Any]:
        """What an actor gets of a notice: states of points in their scope, device news only for who administers."""

        def shaped(actor: Actor, notice: Notice) -> Any:
            if notice.type in ("state", "position"):
                changes = [c for c in notice.data["changes"] if _sees(registry, actor, c[0])]
                if not changes and not notice.data.get("many"):
                    return None
                return {**notice.data, "changes": changes}
            if notice.type == "ptz" and not _sees(registry, actor, notice.data["point"]):
                return None
            if notice.type in ("device", "drift", "job") and not actor.may(Action.ADOPT):
                return None
            if notice.type == "note" and not actor.scope.sees_all:
                return None
            return as_it_is(actor, notice)

        return shaped

    async def run(self) -> None:
        """Publish what waits, for ever."""
        while True:
            await self._more.wait()
            self._more.clear()
            await self.publish()
            if self._moves.changes or self._moves.many:  # they wait for their second
                self._more.set()
            if self._untold:  # the bus did not take something: say so once it does
                await self._clock.sleep(RETRY_SECONDS)
                self._more.set()
            await asyncio.sleep(EVERY_SECONDS)

    async def publish(self) -> None:
        """Publish all that waits now: what browsers missed first, then states, then the rest."""
        if self._untold and await self._sent(Notice("lagged", None, {"count": self._untold})):
            self._untold = 0
        for notice in self._taken():
            if not await self._sent(notice):
                self._missed()

    def _taken(self) -> list[Notice]:
        states, self._states = self._states, _States()
        devices, self._devices = self._devices, {}
        latest, self._latest = self._latest, {}
        alarms, self._alarms = self._alarms, deque()
        self._points = PointsChanged(points=())
        state, moves = states.notice(), self._taken_moves()
        notes = [notice for group in devices.values() for notice in group.notices()]
        notes += self._drift_notes()
        return [*([] if state is None else [state]), *moves, *latest.values(), *notes, *alarms]

    def _taken_moves(self) -> list[Notice]:
        """Once a second: nobody on a map is told more often, however many move."""
        now_s = self._clock.monotonic()
        if now_s - self._moved_s < MOVES_SECONDS:
            return []
        moves, self._moves = self._moves.notice(), _Moves()
        if moves is None:
            return []
        self._moved_s = now_s
        return [moves]

    async def _sent(self, notice: Notice) -> bool:
        if self._events is None:
            return False
        try:
            await self._events.publish(notice)
        except AnwangError as err:
            log.warning("an event could not be published", type=notice.type, reason=err.reason)
            return False
        return True


def _sees(registry: Registry, actor: Actor, point: str) -> bool:
    return actor.scope.sees_all or registry.sees(actor.sight, PointId(point))
