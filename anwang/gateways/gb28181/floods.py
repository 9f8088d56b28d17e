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
        self.refused = 0
        """Requests that were too many."""

    def takes(self, sender: str, now_s: float) -> bool:
        """Whether one more request of a sender is heard."""
        bucket = self._buckets.get(sender)
        if bucket is None:
            self._buckets[sender] = _Bucket(1.0, now_s)
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
        bucket.level = level + 1.0 if level > 0.0 else 1.0
        return True

    def proven(self, sender: str) -> None:
        """A device that this address was charged for has registered."""
        if (bucket := self._buckets.get(sender)) is not None:
            bucket.level = max(0.0, bucket.level - PROVEN)

    def is_told(self, sender: str, now_s: float) -> bool:
        """Whether the sender of a request that was too many is to be told so."""
        bucket = self._buckets.get(sender)
        if bucket is None or now_s - bucket.told_s < TELL_S:
            return False
        bucket.told_s = now_s
        return True
