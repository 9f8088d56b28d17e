"""What runs over a connection is found by it: the same as by looking through everything, and without doing so."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from anwang.wire import sip
from anwang.wire.sip.calls import CallState
from anwang.wire.sip.routes import Routes
from anwang.wire.sip.subscriptions import SubscriptionState
from tests.wire.ends import DEVICE, PLATFORM, quiet

PEERS = [sip.Peer("tcp", f"192.0.2.{number}", 5060) for number in range(1, 5)]


class Hub:
    """One end that speaks with several peers; each answers, moves and vanishes as the test says."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.sip: sip.Endpoint[sip.Peer] = sip.Endpoint(
            sip.Addresses("198.51.100.5", 5060), noise=quiet(seed), packages=("presence",)
        )
        self.now = 0.0
        self.told: list[sip.Event[sip.Peer]] = []
        self.sent: list[tuple[sip.Request, sip.Peer]] = []
        self.own: list[int] = []

    def settle(self) -> None:
        self.told += self.sip.events()
        for data, peer in self.sip.to_send(self.now):
            message = sip.parse(data)
            if isinstance(message, sip.Request) and message.method in ("INVITE", "SUBSCRIBE", "MESSAGE", "BYE"):
                self.sent.append((message, peer))

    def answer(self) -> None:
        """100 or 200 to something that was asked, now and then from somewhere else than where it went."""
        request, peer = self.sent.pop(self.random.randrange(len(self.sent)))
        status = "100 Trying" if request.method == "INVITE" and self.random.random() < 0.5 else "200 OK"
        if status != "200 OK":
            self.sent.append((request, peer))
        to = str(request.to) + ("" if request.to.tag else f";tag=t{self.random.randrange(1000)}")
        lines = [
            f"SIP/2.0 {status}", f"Via: {request.headers.get('Via')}", f"From: {request.from_}", f"To: {to}",
            f"Call-ID: {request.call_id}", f"CSeq: {request.cseq}", "Content-Length: 0",
        ]  # fmt: skip
        if request.method == "SUBSCRIBE":
            lines.append(f"Expires: {request.headers.get('Expires')}")
        source = peer if self.random.random() < 0.7 else self.random.choice(PEERS)
        self.sip.receive("\r\n".join([*lines, "", ""]).encode(), source, self.now)

    def asked(self, method: str, peer: sip.Peer, number: int) -> None:
        lines = [
            f"{method} sip:{PLATFORM.user}@{PLATFORM.host} SIP/2.0",
            f"Via: SIP/2.0/TCP {peer.host}:5060;branch=z9hG4bK{number}",
            f"From: <sip:{DEVICE.user}@{DEVICE.host}>;tag=f{number}",
            f"To: <sip:{PLATFORM.user}@{PLATFORM.host}>",
            f"Call-ID: theirs{number}", f"CSeq: 1 {method}", "Event: presence", "Expires: 60", "Content-Length: 0",
        ]  # fmt: skip
        self.sip.receive("\r\n".join([*lines, "", ""]).encode(), peer, self.now)

    def over(self, peer: sip.Peer) -> dict[str, list[int]]:
        """By looking through everything."""
        parts = self.sip
        return {
            "clients": [n for n, one in parts._transactions._clients.items() if one.peer == peer],
            "servers": [n for n, one in parts._transactions._servers.items() if one.peer == peer],
            "calls": [
                n for n, one in parts._calls._calls.items()
                if one.dialog.peer == peer and one.state is not CallState.ENDED
            ],
            "subscriptions": [
                n for n, one in parts._subscriptions._all.items()
                if one.dialog.peer == peer and one.state is not SubscriptionState.ENDED
            ],
        }  # fmt: skip

    def indexed(self, peer: sip.Peer) -> dict[str, list[int]]:
        """By the indexes."""
        parts = self.sip
        return {
            "clients": parts._transactions._clients_over.over(peer),
            "servers": parts._transactions._servers_over.over(peer),
            "calls": parts._calls._over.over(peer),
            "subscriptions": parts._subscriptions._over.over(peer),
        }


@pytest.mark.parametrize("seed", range(10))
def test_the_indexes_know_what_runs_over_each_peer(seed: int) -> None:
    hub, random = Hub(seed), Random(seed)
    for step in range(400):
        peer = random.choice(PEERS)
        match random.randrange(11):
            case 10:
                for call in random.sample(list(hub.sip._calls._calls), min(1, len(hub.sip._calls._calls))):
                    if hub.sip.call_state(call) is not CallState.ENDED:
                        hub.sip.hang_up(call, hub.now)
            case 0:
                hub.sip.invite(local=PLATFORM, remote=DEVICE, peer=peer, now=hub.now, body=b"v=0\r\n")
            case 1:
                number = hub.sip.subscribe(
                    local=PLATFORM, remote=DEVICE, peer=peer, now=hub.now, event=sip.EventType("presence"), body=b"",
                    expires_s=60,
                )  # fmt: skip
                hub.own.append(number)
            case 2:
                hub.sip.ask("MESSAGE", local=PLATFORM, remote=DEVICE, peer=peer, now=hub.now, body=b"x")
            case 3 | 4 | 5 if hub.sent:
                hub.answer()
            case 6:
                hub.asked(random.choice(["INVITE", "SUBSCRIBE", "MESSAGE"]), peer, step)
            case 7 if hub.own:
                number = hub.own.pop(random.randrange(len(hub.own)))
                if hub.sip.subscription_state(number) is not SubscriptionState.ENDED:
                    hub.sip.unsubscribe(number, hub.now, random.choice(PEERS))
            case 8:
                hub.now += random.random() * 20
                hub.sip.tick(hub.now)
            case 9 if random.random() < 0.5:
                due = hub.over(peer)
                hub.settle()
                hub.told.clear()
                hub.sip.lost(peer, hub.now)
                hub.settle()
                ended = [e.call for e in hub.told if isinstance(e, sip.Ended)]
                gone = [e.subscription for e in hub.told if isinstance(e, sip.SubscriptionEnded)]
                assert set(due["calls"]) <= set(ended) and set(due["subscriptions"]) <= set(gone)
                assert hub.over(peer)["clients"] == []
        hub.settle()
        for one in PEERS:
            assert hub.indexed(one) == {name: sorted(numbers) for name, numbers in hub.over(one).items()}
    hub.sip.tick(hub.now + 10_000)
    for one in PEERS:
        hub.sip.lost(one, hub.now + 10_000)
        assert hub.indexed(one) == {"clients": [], "servers": [], "calls": [], "subscriptions": []}


class Unwalked(dict[int, Any]):
    """A table that nobody may look through."""

    def __iter__(self) -> Any:
        raise AssertionError("everything is looked through")

    items = values = keys = __iter__


def test_a_connection_with_nothing_over_it_costs_no_look_at_the_others() -> None:
    hub = Hub(1)
    for peer in PEERS:
        hub.sip.invite(local=PLATFORM, remote=DEVICE, peer=peer, now=0.0, body=b"v=0\r\n")
        hub.sip.subscribe(
            local=PLATFORM, remote=DEVICE, peer=peer, now=0.0, event=sip.EventType("presence"), body=b"", expires_s=60
        )
        hub.asked("MESSAGE", peer, PEERS.index(peer))
    hub.settle()
    transactions = hub.sip._transactions
    for holder, name in (
        (transactions, "_clients"), (transactions, "_servers"), (hub.sip._calls, "_calls"),
        (hub.sip._subscriptions, "_all"),
    ):  # fmt: skip
        setattr(holder, name, Unwalked(getattr(holder, name)))
    for number in range(1000):
        hub.sip.lost(sip.Peer("tcp", "203.0.113.9", number), 1.0)
    hub.told.clear()
    hub.sip.lost(PEERS[0], 1.0)
    hub.settle()
    assert [event.cause for event in hub.told if isinstance(event, sip.Ended)] == [sip.Cause.LOST]
    assert [event.cause for event in hub.told if isinstance(event, sip.SubscriptionEnded)] == [sip.Cause.LOST]


def test_handles_move_and_leave_nothing_behind() -> None:
    routes: Routes[str] = Routes()
    for number in (3, 1, 2):
        routes.put(number, "a")
    routes.drop(2, "a")
    routes.drop(9, "a")
    routes.drop(9, "nobody")
    routes.put(2, "b")
    assert (routes.over("a"), routes.over("b"), routes.over("c")) == ([1, 3], [2], [])
    for number in (1, 3):
        routes.drop(number, "a")
    routes.drop(2, "b")
    assert routes._over == {}
