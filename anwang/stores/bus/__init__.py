"""Bus: live events and commands between roles; inside one process by default, NATS JetStream between machines.

`publish` numbers each message, and the numbers never restart; `subscribe(after=number)` replays what came later, as far
as the window reaches, and says `Lagged` where it doesn't. `request` and `serve` are for commands that want an answer.
What must arrive goes through the outbox of `stores.state`; media never comes here.
"""

from anwang.stores.bus.engines import open_bus
from anwang.stores.bus.local import LocalBus
from anwang.stores.bus.port import LARGEST_PAYLOAD, Bus, Event, Handler, Lagged, Message, Service
from anwang.stores.bus.subjects import check_filter, check_subject, matches

__all__ = [
    "LARGEST_PAYLOAD",
    "Bus",
    "Event",
    "Handler",
    "Lagged",
    "LocalBus",
    "Message",
    "Service",
    "check_filter",
    "check_subject",
    "matches",
    "open_bus",
]
