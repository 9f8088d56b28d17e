"""What devices are asked to tell of by themselves: catalogue changes, alarms, positions (GB/T 28181-2016 9.11).

A device has at most one living subscription of each kind. The machine refreshes it before it expires. What ends without
us (a lost connection, no answer, a notifier's word) is asked for again when the device registers next or its catalogue
has come, so a device that can't be subscribed to is asked now and then, not all the time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum

from anwang.gateways.gb28181.policies import AlarmPolicy, alarm_policy, position_interval_s
from anwang.gateways.gb28181.sessions import Peer, Session
from anwang.kernel.errors import AnwangError
from anwang.wire.gb28181 import AlarmQuery, CatalogQuery, Manscdp, MobilePositionQuery, type_of
from anwang.wire.sip import Cause, Endpoint, EventType, SubscriptionEnded, Uri

EXPIRES_SECONDS = 3600
_CAMERAS = frozenset({"131", "132"})


class Topic(StrEnum):
    """What a device may be asked to tell of."""

    CATALOGUE = "catalogue"
    ALARM = "alarm"
    POSITION = "position"


def wanted_topics(device: str, extra: Mapping[str, str]) -> dict[Topic, int]:
    """What a device is to be asked for, by its kind and its policies: by topic the interval in seconds, 0 for none."""
    is_camera = type_of(device) in _CAMERAS
    wanted = {} if is_camera else {Topic.CATALOGUE: 0}
    alarms = alarm_policy(extra)
    if alarms is AlarmPolicy.YES or (alarms is AlarmPolicy.AUTO and not is_camera):
        wanted[Topic.ALARM] = 0
    if interval_s := position_interval_s(extra):
        wanted[Topic.POSITION] = interval_s
    return wanted


class Subscriptions:
    """All of them, by device and topic."""

    def __init__(
        self,
        endpoint: Endpoint[Peer],
        *,
        local: Uri,
        next_sn: Callable[[], int],
        written: Callable[[Session, Manscdp], bytes],
    ) -> None:
        """local: who we are. written: a message as this device reads it."""
        self._endpoint = endpoint
        self._local = local
        self._next_sn = next_sn
        self._written = written
        self._living: dict[str, dict[Topic, tuple[int, int]]] = {}
        """By device and topic: the subscription, and the interval it was asked with."""
        self._by_number: dict[int, tuple[str, Topic]] = {}
        self._due: set[str] = set()
        self.refused = 0
        """Times a device did not take a subscription."""

    def count(self, topic: Topic) -> int:
        """Living ones of a topic."""
        return sum(1 for _, own in self._by_number.values() if own is topic)

    def device_of(self, number: int) -> str:
        """Whose a subscription is, '' where it is over."""
        found = self._by_number.get(number)
        return found[0] if found is not None else ""

    def topics(self, device: str) -> set[Topic]:
        """What a device has been asked to tell of."""
        return set(self._living.get(device, ()))

    def is_due(self, device: str) -> bool:
        """Whether something has ended that the device is to be asked for again."""
        return device in self._due

    def keep(self, session: Session, wanted: Mapping[Topic, int], now: float) -> None:
        """Let the device have exactly these: by topic the interval in seconds, 0 where the topic has none."""
        self._due.discard(session.device)
        living = self._living.get(session.device, {})
        for topic, (_, interval) in list(living.items()):
            if wanted.get(topic) != interval:
                self._cancel(session.device, topic, session.peer, now)
        for topic, interval in wanted.items():
            if topic not in self._living.get(session.device, {}):
                self._ask(session, topic, interval, now)

    def drop(self, session: Session, now: float) -> None:
        """The device has restarted or has left: what it was asked before is over. It may have forgotten, or not."""
        self._due.discard(session.device)
        for topic in list(self._living.get(session.device, ())):
            self._cancel(session.device, topic, session.peer, now)

    def ended(self, event: SubscriptionEnded) -> None:
        """One is over, told by the machine."""
        found = self._by_number.get(event.subscription)
        if found is None:
            return  # we have ended it ourselves
        self._forget(*found)
        self.refused += event.cause is Cause.REJECTED
        if event.cause is not Cause.REJECTED:
            self._due.add(found[0])

    def _ask(self, session: Session, topic: Topic, interval: int, now: float) -> None:
        sn = self._next_sn()
        message: Manscdp
        match topic:
            case Topic.CATALOGUE:
                message, event = CatalogQuery(sn=sn, device_id=session.device), f"Catalog;id={sn}"
            case Topic.ALARM:
                message = AlarmQuery(sn=sn, device_id=session.device, start_priority=1, end_priority=4, method="0")
                event = "presence"  # as all published samples but the catalogue's have it
            case Topic.POSITION:
                message, event = MobilePositionQuery(sn=sn, device_id=session.device, interval_s=interval), "presence"
        number = self._endpoint.subscribe(
            local=self._local,
            remote=Uri(session.device, self._local.host),
            target=Uri(session.device, session.peer[1], session.peer[2]),
            peer=session.peer,
            now=now,
            event=EventType.parse(event),
            body=self._written(session, message),
            expires_s=EXPIRES_SECONDS,
        )
        self._living.setdefault(session.device, {})[topic] = number, interval
        self._by_number[number] = session.device, topic

    def _cancel(self, device: str, topic: Topic, peer: Peer, now: float) -> None:
        number = self._living[device][topic][0]
        self._forget(device, topic)
        try:
            self._endpoint.unsubscribe(number, now, peer)
        except AnwangError:
            return  # it is over already

    def _forget(self, device: str, topic: Topic) -> None:
        own = self._living[device]
        del self._by_number[own.pop(topic)[0]]
        if not own:
            del self._living[device]
