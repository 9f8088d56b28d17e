"""What a SIP machine tells its owner. Handles are small integers, unique within one machine and never 0."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic

from anwang.kernel.errors import WireError
from anwang.wire.sip.message import Request, Response
from anwang.wire.sip.network import P
from anwang.wire.sip.values import EventType

# ---- transactions


@dataclass(frozen=True, slots=True)
class Asked(Generic[P]):
    """A request came, for the first time. Answer it with `reply`; within 32 s, an INVITE within 180 s."""

    transaction: int
    request: Request
    peer: P
    #: the call or subscription it belongs to, 0 for neither (filled in by `Endpoint`)
    call: int = 0
    subscription: int = 0


@dataclass(frozen=True, slots=True)
class Answered(Generic[P]):
    """Our request got a response. request: as it was sent last, with credentials where it was challenged."""

    transaction: int
    response: Response
    request: Request
    peer: P
    call: int = 0
    subscription: int = 0


@dataclass(frozen=True, slots=True)
class Unanswered(Generic[P]):
    """Our request got no final response in time, or its connection is gone (is_lost)."""

    transaction: int
    request: Request
    peer: P
    is_lost: bool = False
    call: int = 0
    subscription: int = 0


@dataclass(frozen=True, slots=True)
class Acked(Generic[P]):
    """An ACK that belongs to a 2xx."""

    request: Request
    peer: P


@dataclass(frozen=True, slots=True)
class Cancelled(Generic[P]):
    """The peer gave up an INVITE that we have not answered; the CANCEL itself is answered."""

    transaction: int
    request: Request
    peer: P


@dataclass(frozen=True, slots=True)
class Stray(Generic[P]):
    """A 2xx to an INVITE whose transaction is over: a retransmission, or one that came late."""

    response: Response
    peer: P


@dataclass(frozen=True, slots=True)
class Broken(Generic[P]):
    """Bytes that are no message. They were counted and dropped."""

    error: WireError
    peer: P


TransactionEvent = Asked[P] | Answered[P] | Unanswered[P] | Acked[P] | Cancelled[P] | Stray[P] | Broken[P]


# ---- calls


class Cause(StrEnum):
    """Why a call or subscription ended."""

    LOCAL = "local"
    REMOTE = "remote"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"
    LOST = "lost"
    NO_ACK = "no_ack"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Progress:
    """Our INVITE got a provisional response above 100."""

    call: int
    response: Response


@dataclass(frozen=True, slots=True)
class Accepted(Generic[P]):
    """Our INVITE got a 2xx and was acknowledged; the SDP is response.body."""

    call: int
    response: Response
    peer: P


@dataclass(frozen=True, slots=True)
class Invited(Generic[P]):
    """Someone calls. Answer with `accept` or `reject`; 100 is sent already."""

    call: int
    request: Request
    peer: P


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The ACK to our 2xx came: media may flow. request: the ACK."""

    call: int
    request: Request


@dataclass(frozen=True, slots=True)
class Ended:
    """A call is over; told once. message: the response or request that ended it, where there is one."""

    call: int
    cause: Cause
    message: Request | Response | None = None


# ---- subscriptions


@dataclass(frozen=True, slots=True)
class Subscribed:
    """Our SUBSCRIBE or its refresh got a 2xx. expires_s: granted."""

    subscription: int
    expires_s: int
    response: Response


@dataclass(frozen=True, slots=True)
class Notified(Generic[P]):
    """A NOTIFY for a subscription of ours, perhaps before its 200. Answer with `reply`. state: the notifier's word."""

    subscription: int
    transaction: int
    request: Request
    peer: P
    state: str


@dataclass(frozen=True, slots=True)
class SubscribeAsked(Generic[P]):
    """Someone wants to subscribe. Answer with `accept_subscription` or `reject_subscription`. expires_s: asked for."""

    subscription: int
    request: Request
    peer: P
    event: EventType
    expires_s: int


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A subscriber of ours has refreshed; it is answered. request: perhaps with another body."""

    subscription: int
    expires_s: int
    request: Request


@dataclass(frozen=True, slots=True)
class SubscriptionEnded:
    """A subscription is over, ours or theirs; told once. reason: the notifier's word where it gave one."""

    subscription: int
    cause: Cause
    reason: str = ""
    message: Request | Response | None = None


@dataclass(frozen=True, slots=True)
class Refused(Generic[P]):
    """A request that the machine has refused by itself: an unknown method, or a dialog that nobody knows."""

    request: Request
    peer: P
    status: int


CallEvent = Progress | Accepted[P] | Invited[P] | Confirmed | Ended
SubscriptionEvent = Subscribed | Notified[P] | SubscribeAsked[P] | Refreshed | SubscriptionEnded
#: all that an `Endpoint` may tell
Event = Asked[P] | Answered[P] | Unanswered[P] | Broken[P] | Refused[P] | CallEvent[P] | SubscriptionEvent[P]
