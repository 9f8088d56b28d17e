"""What others know about points and times, for the time axis."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from anwang import governance
from anwang.kernel.ids import PointId
from anwang.kernel.times import Span, to_micros
from anwang.media import Event, Hold, Signals

Held = Callable[[Sequence[PointId], Span], Awaitable[Mapping[PointId, Sequence[governance.Hold]]]]


class AxisMarks:
    """timeline.Marks out of what was heard at points and what governance holds.

    held: the holds of points that reach into a span.
    """

    def __init__(self, signals: Signals, held: Held) -> None:
        self._signals = signals
        self._held = held

    async def events(self, points: Sequence[PointId], span: Span) -> Mapping[PointId, Sequence[Event]]:
        """See Marks."""
        return await self._signals.of(points, span)

    async def holds(self, points: Sequence[PointId], span: Span) -> Mapping[PointId, Sequence[Hold]]:
        """See Marks."""
        return {
            point: [
                Hold(start_us=to_micros(one.start_at), end_us=to_micros(one.end_at), id=one.id, reason=one.reason)
                for one in found
            ]
            for point, found in (await self._held(points, span)).items()
        }
