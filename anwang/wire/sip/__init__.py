"""SIP as GB/T 28181 needs it (RFC 3261 subset), both ends, no I/O.

Codecs: `parse`, `serialize`, `StreamFramer`, header values. Engine: `Endpoint`, fed with bytes and the time, gives
bytes and events (`Asked`, `Answered`, `Invited`, `Notified`, …). A `Network` tells it who its peers are; `Addresses`
is one.

    message = parse(datagram)                # Request or Response, or WireError
    for data in framer.messages(): ...       # the same out of a TCP stream
"""

from anwang.wire.sip.calls import CallState
from anwang.wire.sip.dialogs import DialogNames, compose
from anwang.wire.sip.endpoint import ALLOW, PACKAGES, Endpoint
from anwang.wire.sip.events import (
    Accepted,
    Acked,
    Answered,
    Asked,
    Broken,
    Cancelled,
    Cause,
    Confirmed,
    Ended,
    Event,
    Invited,
    Notified,
    Progress,
    Refreshed,
    Refused,
    Stray,
    SubscribeAsked,
    Subscribed,
    SubscriptionEnded,
    Unanswered,
)
from anwang.wire.sip.framing import StreamFramer
from anwang.wire.sip.message import (
    REASONS,
    Headers,
    Message,
    Request,
    Response,
    is_noise,
    parse,
    response_to,
    serialize,
)
from anwang.wire.sip.network import Addresses, Network, Peer
from anwang.wire.sip.subscriptions import SubscriptionState
from anwang.wire.sip.transactions import Counters, Credentials, Transactions, stamp, stateless_tag
from anwang.wire.sip.values import Address, CSeq, EventType, Params, Uri, Via

__all__ = [
    "ALLOW",
    "PACKAGES",
    "REASONS",
    "Accepted",
    "Acked",
    "Address",
    "Addresses",
    "Answered",
    "Asked",
    "Broken",
    "CSeq",
    "CallState",
    "Cancelled",
    "Cause",
    "Confirmed",
    "Counters",
    "Credentials",
    "DialogNames",
    "Ended",
    "Endpoint",
    "Event",
    "EventType",
    "Headers",
    "Invited",
    "Message",
    "Network",
    "Notified",
    "Params",
    "Peer",
    "Progress",
    "Refreshed",
    "Refused",
    "Request",
    "Response",
    "Stray",
    "StreamFramer",
    "SubscribeAsked",
    "Subscribed",
    "SubscriptionEnded",
    "SubscriptionState",
    "Transactions",
    "Unanswered",
    "Uri",
    "Via",
    "compose",
    "is_noise",
    "parse",
    "response_to",
    "serialize",
    "stamp",
    "stateless_tag",
]
