"""REGISTER by the fast way and by the full one: the same answer, and the same session after it."""

from __future__ import annotations

import asyncio
import hashlib
import re
from dataclasses import astuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anwang.gateways.gb28181.registrar import ADDRESS_BURST, ADDRESS_LEAK_S, REPEATABLE, Outcome, Registrar
from anwang.gateways.gb28181.sessions import Peer, Sessions
from anwang.runtime.clock import FakeClock
from anwang.wire import sip
from anwang.wire.gb28181 import Nonces, login_reply, read_login, read_register

SERVER = "34020000002000000001"
DOMAIN = SERVER[:10]
PASSWORDS = {"34020000001320000001": "the first one's", "34020000001320000002": "密码"}
STRANGER = "34020000001320000009"
HOST = "192.0.2.20"


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


class Desk:
    """A registrar with what it stands on."""

    def __init__(self, clock: FakeClock) -> None:
        self.sessions = Sessions(keepalive_s=60, misses=3)
        self.registrar = Registrar(
            self.sessions,
            realm=DOMAIN,
            clock=clock,
            password_of=PASSWORDS.get,
            offer_qop=lambda device: device.endswith("2"),
            nonces=Nonces(b"the same at both desks"),
        )
        self.clock = clock

    def fast(self, data: bytes, peer: Peer) -> tuple[bytes, Outcome] | None:
        login = read_login(data)
        assert login is not None
        answer = self.registrar.login(login, peer, self.clock.monotonic())
        if answer is None:
            return None
        return login_reply(login, peer[1], peer[2], answer[0], answer[1]), answer[2]

    def full(self, data: bytes, peer: Peer) -> tuple[bytes, Outcome, bool]:
        """The answer, what happened, and whether the fast way may give it."""
        end: sip.Endpoint[Peer] = sip.Endpoint(Network())
        now = self.clock.monotonic()
        end.receive(data, peer, now)
        (event,) = end.events()
        assert isinstance(event, sip.Asked)
        asked = read_register(event.request)
        verdict = self.registrar.judge(asked, peer)
        answer = self.registrar.answer(asked, peer, verdict)
        end.reply(event.transaction, answer.status, now, headers=answer.headers)
        ((reply, _),) = end.to_send(now)
        return reply, answer.outcome, verdict in REPEATABLE

    def state(self) -> list[tuple[object, ...]]:
        return [astuple(session) for _, session in sorted(self.sessions.by_code.items())]


class Network:
    """See wire.sip.Network."""

    def is_reliable(self, peer: Peer) -> bool:
        return peer[0] != "udp"

    def transport(self, peer: Peer) -> str:
        return peer[0].upper()

    def local(self, peer: Peer) -> tuple[str, int]:
        return "198.51.100.5", 5060

    def source(self, peer: Peer) -> tuple[str, int]:
        return peer[1], peer[2]


def values(reply: bytes) -> tuple[int, list[tuple[str, str]]]:
    found = sip.parse(reply)
    assert isinstance(found, sip.Response)
    return found.status, sorted(found.headers.items)


def register(
    device: str, *, call_id: str, cseq: int, proof: str = "", expires: str = "3600", version: str = ""
) -> bytes:
    lines = [
        f"REGISTER sip:{SERVER}@{DOMAIN} SIP/2.0",
        f"Via: SIP/2.0/UDP {HOST}:5060;rport;branch=z9hG4bK{cseq}",
        f"From: <sip:{device}@{DOMAIN}>;tag=a",
        f"To: <sip:{device}@{DOMAIN}>",
        f"Call-ID: {call_id}",
        f"CSeq: {cseq} REGISTER",
        f"Contact: <sip:{device}@{HOST}:5060>",
        *([f"Authorization: {proof}"] if proof else []),
        "Max-Forwards: 70",
        *([f"Expires: {expires}"] if expires else []),
        *([f"X-GB-Ver: {version}"] if version else []),
        "Content-Length: 0",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def proof_of(device: str, nonce: str, password: str, *, realm: str = DOMAIN, qop: bool = False) -> str:
    uri = f"sip:{SERVER}@{DOMAIN}"
    middle = f"{nonce}:00000001:c:auth" if qop else nonce
    response = md5(f"{md5(f'{device}:{realm}:{password}')}:{middle}:{md5(f'REGISTER:{uri}')}")
    tail = ', qop=auth, nc=00000001, cnonce="c"' if qop else ""
    return (
        f'Digest username="{device}", realm="{realm}", nonce="{nonce}", uri="{uri}", response="{response}", '
        f"algorithm=MD5{tail}"
    )


STEP = st.fixed_dictionaries(
    {
        "device": st.sampled_from([*PASSWORDS, STRANGER]),
        "call_id": st.sampled_from(["one@x", "two@x"]),
        "expires": st.sampled_from(["", "0", "30", "3600", "99999999"]),
        "version": st.sampled_from(["", "2.0", "3.0", "9.9"]),
        "peer": st.sampled_from(
            [("udp", HOST, 5060), ("udp", HOST, 6000), ("tcp", HOST, 6001), ("udp", "192.0.2.9", 1)]
        ),
        "password": st.sampled_from(["right", "right", "right", "wrong"]),
        "realm": st.sampled_from([DOMAIN, DOMAIN, "another"]),
        "nonce": st.sampled_from(["given", "given", "given", "none", "foreign"]),
        "qop": st.booleans(),
        "later_s": st.sampled_from([0.0, 0.25, 1.0, 290.0, 400.0]),
    }
)


@settings(max_examples=200, deadline=None)
@given(st.lists(STEP, min_size=1, max_size=12))
def test_both_ways_answer_alike_and_leave_the_same_behind(steps: list[dict[str, str]]) -> None:
    """The fast desk passes on what it can't do, as the gateway does; the full desk does everything."""
    clock = FakeClock()
    fast, full = Desk(clock), Desk(clock)
    nonces: dict[str, str] = {}
    for number, step in enumerate(steps):
        device, peer = step["device"], step["peer"]
        nonce = {"given": nonces.get(device, ""), "foreign": "0" * 40}.get(step["nonce"], "")
        password = PASSWORDS.get(device, "x") if step["password"] == "right" else "wrong"
        proof = proof_of(device, nonce, password, realm=step["realm"], qop=bool(step["qop"])) if nonce else ""
        data = register(
            device,
            call_id=step["call_id"],
            cseq=number + 1,
            proof=proof,
            expires=step["expires"],
            version=step["version"],
        )
        quick = fast.fast(data, peer)
        reply, outcome, may_be_fast = full.full(data, peer)
        if quick is not None:
            assert may_be_fast
            assert (values(quick[0]), quick[1]) == (values(reply), outcome)
        else:
            assert (values(fast.full(data, peer)[0])) == values(reply)
        assert fast.state() == full.state()
        if found := re.search(rb'nonce="([^"]+)"', reply):
            nonces[device] = found[1].decode()
        asyncio.run(clock.advance(float(step["later_s"])))


def test_a_refresh_with_a_valid_nonce_costs_one_round_trip() -> None:
    clock = FakeClock()
    desk, device, peer = Desk(clock), "34020000001320000001", ("udp", HOST, 5060)
    first = desk.fast(register(device, call_id="one@x", cseq=1), peer)
    assert first is not None and first[1] is Outcome.CHALLENGED
    nonce = re.search(rb'nonce="([^"]+)"', first[0])[1].decode()  # type: ignore[index]  # a 401 has one
    for cseq, outcome in ((2, Outcome.REGISTERED), (3, Outcome.REFRESHED), (4, Outcome.REFRESHED)):
        proof = proof_of(device, nonce, PASSWORDS[device])
        told = desk.fast(register(device, call_id="one@x", cseq=cseq, proof=proof), peer)
        assert told is not None and told[1] is outcome
        asyncio.run(clock.advance(100))
    asyncio.run(clock.advance(100))
    late = desk.fast(register(device, call_id="one@x", cseq=5, proof=proof), peer)
    assert late is not None and late[1] is Outcome.CHALLENGED and b"stale=TRUE" in late[0]


def test_a_guesser_is_left_to_the_full_way_until_the_password_is_right() -> None:
    clock = FakeClock()
    desk, device, peer = Desk(clock), "34020000001320000001", ("udp", HOST, 5060)
    first = desk.fast(register(device, call_id="one@x", cseq=1), peer)
    assert first is not None
    nonce = re.search(rb'nonce="([^"]+)"', first[0])[1].decode()  # type: ignore[index]  # a 401 has one
    wrong = register(device, call_id="one@x", cseq=2, proof=proof_of(device, nonce, "wrong"))
    assert desk.fast(wrong, peer) is None and desk.full(wrong, peer)[1] is Outcome.REFUSED
    right = register(device, call_id="one@x", cseq=3, proof=proof_of(device, nonce, PASSWORDS[device]))
    assert desk.fast(right, peer) is None, "the full way forgets the failures"
    assert desk.full(right, peer)[1] is Outcome.REGISTERED
    assert desk.fast(right, peer) is not None


def test_one_address_cannot_guess_the_domain_s_password_through_many_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    desk, peer, other = Desk(clock), ("udp", HOST, 5060), ("udp", "198.51.100.77", 5060)

    def tried(number: int, password: str, peer: Peer = peer) -> Outcome:
        device = f"3402000000132{number:07d}"
        monkeypatch.setitem(PASSWORDS, device, "the domain's")
        first = desk.full(register(device, call_id=f"{number}@x", cseq=1), peer)
        found = re.search(rb'nonce="([^"]+)"', first[0])
        if found is None:
            return first[1]
        proof = proof_of(device, found[1].decode(), password)
        data = register(device, call_id=f"{number}@x", cseq=2, proof=proof)
        quick = desk.fast(data, peer)
        return desk.full(data, peer)[1] if quick is None else quick[1]

    assert tried(1, "the domain's") is Outcome.REGISTERED
    assert {tried(number, "guess") for number in range(100, 100 + ADDRESS_BURST)} == {Outcome.REFUSED}
    assert tried(500, "the domain's") is Outcome.REFUSED, "not even the right one, so that it is not told from others"
    assert tried(1, "the domain's") is Outcome.REFRESHED, "who is registered is not held up"
    assert tried(501, "the domain's", other) is Outcome.REGISTERED, "nor is another address"
    asyncio.run(clock.advance(ADDRESS_LEAK_S + 0.1))
    assert tried(502, "guess") is Outcome.REFUSED
    assert tried(503, "the domain's") is Outcome.REFUSED, "one try is let pass at a time"
    asyncio.run(clock.advance(ADDRESS_BURST * ADDRESS_LEAK_S))
    assert tried(503, "the domain's") is Outcome.REGISTERED
