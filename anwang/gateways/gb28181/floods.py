"""How much one sender may ask: a bucket that leaks for each, so that a flood costs itself and not the city.

A registered device has a bucket of its own, whatever address it shares: behind one may be a district. All others have
that of their address. Whoever proves who it is gives back to its address what it has taken, so that thousands of
devices which come at once after a power cut are held up only as far as they don't go on. An address that floods, or in
whose name somebody does, keeps those from registering who are behind it, and nobody who is registered.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

MOST_BUCKETS = 50_000
PROVEN = 8
"""Requests that a device may have cost its address until it is registered: keep-alives that we no longer knew, both
its REGISTERs, and all of them twice where messages get lost."""
PROVEN_S = 10.0
"""A device gives back once in so long, however often it registers."""
KNOWN = 10
"""So many times as much as a stranger may a registered device ask."""
TELL_S = 1.0
"""One in so long is told that it asks too much; the others are dropped, for answers to a flood are one."""


@dataclass(slots=True)
class _Bucket:
    """level: requests in it that have not leaked away at at_s. told_s: when its sender was told last."""

    level: float
    at_s: float
    told_s: float = float("-inf")


class Floods:
    """The buckets of those heard of last. A sender's name is a device's code or an address."""

    def __init__(self, *, per_second: float, burst: int) -> None:
        """per_second: what leaks. burst: what fits in, beyond that."""
        self._per_second = per_second
        self._burst = burst
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._proven: OrderedDict[str, float] = OrderedDict()
        self.refused = 0
        """Requests that were too many."""

    def takes(self, sender: str, now_s: float, *, is_known: bool = False) -> bool:
        """Whether one more request of a sender is heard. is_known: it is registered, and may ask ten times as much:
        a platform below us tells of each of its channels in a message.
        """
        cost = 1.0 / KNOWN if is_known else 1.0
        bucket = self._buckets.get(sender)
        if bucket is None:
            self._buckets[sender] = _Bucket(cost, now_s)
            if len(self._buckets) > MOST_BUCKETS:
                self._buckets.popitem(last=False)
            return True
        self._buckets.move_to_end(sender)
        level = bucket.level - (now_s - bucket.at_s) * self._per_second
        bucket.at_s = now_s
        if level > self._burst:
            bucket.level = level
            self.refused += 1
            return False
        bucket.level = level + cost if level > 0.0 else cost
        return True

    def proven(self, sender: str, device: str, now_s: float) -> None:
        """A device that this address was charged for has registered. Once in a while: it may do nothing else."""
        if now_s - self._proven.get(device, float("-inf")) < PROVEN_S:
            return
        self._proven[device] = now_s
        self._proven.move_to_end(device)
        if len(self._proven) > MOST_BUCKETS:
            self._proven.popitem(last=False)
        if (bucket := self._buckets.get(sender)) is not None:
            bucket.level = max(0.0, bucket.level - PROVEN)

    def is_told(self, sender: str, now_s: float) -> bool:
        """Whether the sender of a request that was too many is to be told so."""
        bucket = self._buckets.get(sender)
        if bucket is None or now_s - bucket.told_s < TELL_S:
            return False
        bucket.told_s = now_s
        return True
