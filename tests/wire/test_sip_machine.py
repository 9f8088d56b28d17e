"""The SIP machine: both ends meet, on good and on bad networks; RFC 3261 timers; what must never happen twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anwang.kernel.errors import Conflict, Exhausted, NotFound
from anwang.wire import digest, sip
from anwang.wire.sip.timers import Timers
from tests.wire.ends import DEVICE, PLATFORM, End, World, pair, quiet

OFFER, ANSWER = b"v=0\r\nm=video 1 RTP/AVP 96\r\n", b"v=0\r\nm=video 2 RTP/AVP 96\r\n"


def message(world: World, body: bytes = b"<Query/>") -> int:
    """A MESSAGE from the platform to the device."""
    return world.a.sip.ask(
        "MESSAGE",
        local=PLATFORM,
        remote=DEVICE,
        peer=world.b.peer,
        now=world.now,
        content_type="Application/MANSCDP+xml",
        body=body,
    )


def invite(world: World) -> int:
    """An INVITE from the platform to the device."""
    return world.a.sip.invite(
        local=PLATFORM, remote=DEVICE, peer=world.b.peer, now=world.now, body=OFFER, headers=(("Subject", "a:0,b:0"),)
    )


def answering(end: End, status: int = 200) -> None:
    """Let an end answer whatever it is asked."""

    def on(event: sip.Event[sip.Peer], now: float) -> None:
        match event:
            case sip.Asked() | sip.Notified():
                end.sip.reply(event.transaction, status, now)
            case sip.Invited():
                if status == 200:
                    end.sip.accept(event.call, now, body=ANSWER)
                else:
                    end.sip.reject(event.call, status, now)
            case sip.SubscribeAsked():
                end.sip.accept_subscription(event.subscription, now)
            case _:
                pass

    end.on = on


def established(transport: str = "udp") -> tuple[World, int, int]:
    """A call that stands: the world, and its handles at both ends."""
    a, b = pair(transport)
    answering(b)
    world = World(a, b)
    call = invite(world)
    world.settle()
    (invited,) = b.of(sip.Invited)
    assert [type(event) for event in a.told] == [sip.Accepted]
    assert [type(event) for event in b.told] == [sip.Invited, sip.Confirmed]
    return world, call, invited.call


def recording(world: World, times: list[float], lost: int = 1000) -> Callable[[bytes], bool]:
    """Loses the first `lost` datagrams and notes when each was sent."""

    def drop(data: bytes) -> bool:
        times.append(world.now)
        return len(times) <= lost

    return drop


# ---- timers


def test_timers() -> None:
    timers: Timers[str] = Timers()
    assert timers.next() is None
    for index in range(1000):
        timers.set("a", float(index))
        timers.set("b", 5.0)
    timers.set("c", 5.0)
    timers.drop("c")
    assert len(timers) == 2
    assert timers.next() == 5.0
    assert list(timers.due(4.0)) == []
    assert list(timers.due(1e9)) == ["b", "a"]
    assert timers.next() is None


# ---- non-INVITE


def test_a_message_and_its_answer() -> None:
    a, b = pair()
    answering(b)
    world = World(a, b)
    number = message(world)
    world.run(60)
    (asked,) = b.of(sip.Asked)
    assert asked.request.body == b"<Query/>"
    assert asked.request.via.params[:2] == (("rport", "5060"), ("received", "198.51.100.5"))
    (answered,) = a.of(sip.Answered)
    assert (answered.transaction, answered.response.status) == (number, 200)
    assert answered.response.to.tag
    assert (a.methods(), b.methods()) == (["MESSAGE"], ["200"])
    assert a.sip.open_count == b.sip.open_count == 0
    assert a.sip.timer() is None
    assert b.sip.timer() is None


def test_retransmission_times_of_a_request_nobody_answers() -> None:
    """RFC 3261 17.1.2.2: 0.5, 1, 2, 4, 4 … s, until 32 s."""
    a, b = pair()
    world = World(a, b)
    times: list[float] = []
    world.drop = recording(world, times)
    number = message(world)
    world.run(100)
    assert times == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    (gone,) = a.of(sip.Unanswered)
    assert (gone.transaction, gone.is_lost) == (number, False)
    assert a.sip.counters.retransmitted == 10


def test_retransmission_times_of_an_invite_nobody_answers() -> None:
    """RFC 3261 17.1.1.2: doubling without bound, until 32 s."""
    a, b = pair()
    world = World(a, b)
    times: list[float] = []
    world.drop = recording(world, times)
    call = invite(world)
    world.run(100)
    assert times == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert a.of(sip.Ended) == [sip.Ended(call, sip.Cause.TIMEOUT)]


def test_nothing_is_retransmitted_over_a_connection() -> None:
    a, b = pair("tcp")
    world = World(a, b)
    world.drop = lambda data: True
    message(world)
    world.run(31.9)
    assert a.methods() == ["MESSAGE"]
    assert a.of(sip.Unanswered) == []
    world.run(0.2)
    assert len(a.of(sip.Unanswered)) == 1
    assert b"Via: SIP/2.0/TCP 198.51.100.5:5060;rport;branch=z9hG4bK" in a.sent[0]


def test_a_retransmission_is_answered_from_the_cache_and_never_processed_twice() -> None:
    a, b = pair()
    answering(b)
    world = World(a, b)
    message(world)
    world.settle()
    (first,), (answer,) = a.sent, b.sent
    for moment in (0.1, 5, 31.9):
        world.now = moment
        b.sip.tick(moment)
        b.sip.receive(first, a.peer, moment)
        assert list(b.sip.to_send(moment)) == [(answer, a.peer)]
        assert list(b.sip.events()) == []
    assert b.sip.counters.absorbed == 3
    b.sip.tick(32.1)
    b.sip.receive(first, a.peer, 32.1)
    assert len(list(b.sip.events())) == 1


def test_a_retransmission_before_the_answer_is_silent() -> None:
    a, b = pair()
    world = World(a, b)
    message(world)
    world.run(10)
    assert len(b.of(sip.Asked)) == 1
    assert b.sip.counters.absorbed == 4
    b.sip.reply(b.of(sip.Asked)[0].transaction, 404, world.now)
    world.settle()
    assert a.of(sip.Answered)[0].response.status == 404
    with pytest.raises(Conflict):
        b.sip.reply(b.of(sip.Asked)[0].transaction, 200, world.now)


def test_branches_that_a_device_uses_again() -> None:
    """Some devices send every request under one branch: Call-ID, CSeq and From tag still tell them apart."""
    _, b = pair()
    platform = sip.Peer("udp", "198.51.100.5", 5060)
    for number in (1, 2, 2, 3):
        b.sip.receive(
            b"MESSAGE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKsame\r\nFrom: <sip:a@b>;tag=1\r\n"
            b"To: <sip:c@d>\r\nCall-ID: x\r\nCSeq: %d MESSAGE\r\nContent-Length: 0\r\n\r\n" % number,
            platform,
            0.0,
        )
    assert len(list(b.sip.events())) == 3


def test_the_answer_cache_is_bounded() -> None:
    end = End("small", "udp", "192.0.2.1", max_answers=10, max_open=5, max_queue=8)
    peer = sip.Peer("udp", "192.0.2.9", 5060)

    def ask(number: int) -> None:
        end.sip.receive(
            b"MESSAGE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK%d\r\nFrom: <sip:a@b>;tag=1\r\n"
            b"To: <sip:c@d>\r\nCall-ID: x\r\nCSeq: %d MESSAGE\r\nContent-Length: 0\r\n\r\n" % (number, number),
            peer,
            0.0,
        )

    for number in range(100):
        ask(number)
        for event in end.sip.events():
            assert isinstance(event, sip.Asked)
            end.sip.reply(event.transaction, 200, 0.0)
        list(end.sip.to_send(0.0))
    assert end.sip.counters.evicted == 90
    for number in range(100, 120):
        ask(number)
    assert (end.sip.open_count, end.sip.counters.refused) == (5, 15)
    end.sip.tick(33.0)
    assert (end.sip.open_count, end.sip.counters.neglected) == (0, 5)
    for _ in range(5):
        end.sip.ask("MESSAGE", local=PLATFORM, remote=DEVICE, peer=peer, now=40.0)
    with pytest.raises(Exhausted):
        end.sip.ask("MESSAGE", local=PLATFORM, remote=DEVICE, peer=peer, now=40.0)
    end.sip.tick(41.0)
    end.sip.tick(42.0)
    assert end.sip.counters.overflowed > 0
    assert len(list(end.sip.to_send(42.0))) == 8


def test_a_lost_connection_leaves_requests_unanswered() -> None:
    a, b = pair("tcp")
    world = World(a, b)
    message(world)
    call = invite(world)
    world.drop = lambda data: True
    world.settle()
    a.sip.lost(b.peer, 1.0)
    world.settle()
    assert [event.is_lost for event in a.of(sip.Unanswered)] == [True]
    assert a.of(sip.Ended) == [sip.Ended(call, sip.Cause.LOST)]
    assert a.sip.open_count == 0


# ---- challenges


def test_a_challenged_request_is_sent_once_more() -> None:
    """gb28181.md §16: CSeq+1, new branch, same Call-ID and From tag."""
    a, b = pair(credentials=lambda request, challenge: ("u", "secret") if challenge.realm == "r" else None)
    world = World(a, b)
    known = digest.ha1("u", "r", "secret")

    def on(event: sip.Event[sip.Peer], now: float) -> None:
        if isinstance(event, sip.Asked):
            given_ = event.request.headers.get("Authorization")
            if given_ and digest.verify(digest.Authorization.parse(given_), method="MESSAGE", ha1_hex=known):
                b.sip.reply(event.transaction, 200, now)
            else:
                ask = digest.Challenge(realm="r", nonce="n", qop=("auth",))
                b.sip.reply(event.transaction, 401, now, headers=(("WWW-Authenticate", str(ask)),))

    b.on = on
    number = message(world)
    world.settle()
    first, second = (event.request for event in b.of(sip.Asked))
    assert (first.cseq.number, second.cseq.number) == (1, 2)
    assert (first.call_id, first.from_.tag) == (second.call_id, second.from_.tag)
    assert first.via.branch != second.via.branch
    (answered,) = a.of(sip.Answered)
    assert (answered.transaction, answered.response.status) == (number, 200)


@pytest.mark.parametrize("realm", ["r", "elsewhere"])
def test_a_challenge_that_cannot_be_met_is_the_answer(realm: str) -> None:
    a, b = pair(credentials=lambda request, challenge: ("u", "wrong") if challenge.realm == "r" else None)
    world = World(a, b)
    challenge = str(digest.Challenge(realm=realm, nonce="n"))

    def on(event: sip.Event[sip.Peer], now: float) -> None:
        if isinstance(event, sip.Asked):
            b.sip.reply(event.transaction, 401, now, headers=(("WWW-Authenticate", challenge),))

    b.on = on
    message(world)
    world.settle()
    assert a.of(sip.Answered)[0].response.status == 401
    assert len(b.of(sip.Asked)) == (2 if realm == "r" else 1)


def test_a_challenged_invite_is_acknowledged_and_sent_once_more() -> None:
    a, b = pair(credentials=lambda request, challenge: ("u", "secret"))
    world = World(a, b)

    def on(event: sip.Event[sip.Peer], now: float) -> None:
        if isinstance(event, sip.Invited):
            if event.request.headers.has("Proxy-Authorization"):
                b.sip.accept(event.call, now, body=ANSWER)
            else:
                ask = str(digest.Challenge(realm="r", nonce="n"))
                b.sip.reject(event.call, 407, now, headers=(("Proxy-Authenticate", ask),))

    b.on = on
    call = invite(world)
    world.settle()
    assert a.methods() == ["INVITE", "ACK", "INVITE", "ACK"]
    assert a.sip.call_state(call) is sip.CallState.TALKING
    a.sip.hang_up(call, world.now)
    world.settle()
    assert b.of(sip.Ended)[-1].cause is sip.Cause.REMOTE
    assert b"CSeq: 3 BYE" in a.sent[-1]


# ---- calls


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_call_from_invite_to_bye(transport: str) -> None:
    world, call, other = established(transport)
    a, b = world.a, world.b
    assert a.of(sip.Accepted)[0].response.body == ANSWER
    invited = b.of(sip.Invited)[0].request
    assert (invited.body, invited.headers.get("Subject"), invited.content_type) == (OFFER, "a:0,b:0", "application/sdp")
    assert invited.contacts[0].uri.user == PLATFORM.user
    # the ACK has the INVITE's number and a branch of its own
    ack = b.of(sip.Confirmed)[0].request
    assert ack.cseq == sip.CSeq(1, "ACK")
    assert ack.via.branch != invited.via.branch
    number = a.sip.ask_in_call(call, "INFO", world.now, content_type="Application/MANSRTSP", body=b"PAUSE RTSP/1.0")
    world.settle()
    (asked,) = b.of(sip.Asked)
    assert (asked.call, asked.request.cseq) == (other, sip.CSeq(2, "INFO"))
    assert a.of(sip.Answered)[0].transaction == number
    assert a.of(sip.Answered)[0].call == call
    # the device says that the recording is over, inside the dialog
    b.sip.ask_in_call(other, "MESSAGE", world.now, content_type="Application/MANSCDP+xml", body=b"121")
    world.settle()
    assert a.of(sip.Asked)[0].call == call
    a.sip.reply(a.of(sip.Asked)[0].transaction, 200, world.now)
    a.sip.hang_up(call, world.now)
    world.settle()
    assert a.of(sip.Ended)[0].cause is sip.Cause.LOCAL
    assert b.of(sip.Ended)[0].cause is sip.Cause.REMOTE
    assert a.sip.call_count == b.sip.call_count == 0
    with pytest.raises(NotFound):
        a.sip.hang_up(call, world.now)
    world.run(70)
    assert a.sip.timer() is None
    assert b.sip.timer() is None
    assert a.sip.open_count == b.sip.open_count == 0


def test_the_end_of_a_recording_told_outside_the_dialog() -> None:
    """Hikvision puts something else into From: the Call-ID alone must find the call (gb28181.md §8.4)."""
    world, call, _ = established()
    a = world.a
    call_id = a.sip.call_id(call)
    assert a.sip.find_call(call_id) == call
    for tag, expected in ((b"", call), (b";tag=whatever", 0)):
        a.sip.receive(
            b"MESSAGE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.20;branch=z9hG4bK" + (tag[1:4] or b"q") + b"\r\n"
            b"From: <sip:34020000001110000099@3402000000>;tag=z\r\nTo: <sip:34020000002000000001@3402000000>"
            + tag
            + b"\r\n"
            b"Call-ID: " + call_id.encode() + b"\r\nCSeq: 20 MESSAGE\r\nContent-Length: 0\r\n\r\n",
            sip.Peer("udp", "203.0.113.66", 1),
            world.now,
        )
        (event,) = a.sip.events()
        assert isinstance(event, sip.Asked)
        assert event.call == expected
    # whoever copies a Call-ID can't draw the call's traffic away
    a.sip.hang_up(call, world.now)
    assert {peer for data, peer in a.sip.to_send(world.now) if data.startswith(b"BYE")} == {world.b.peer}


def test_rejection_and_its_ack() -> None:
    a, b = pair()
    answering(b, 486)
    world = World(a, b)
    call = invite(world)
    acks: list[float] = []
    lose = recording(world, acks, 1)
    world.drop = lambda data: data.startswith(b"ACK") and lose(data)
    world.run(60)
    (ended,) = a.of(sip.Ended)
    assert (ended.call, ended.cause) == (call, sip.Cause.REJECTED)
    assert isinstance(ended.message, sip.Response)
    assert ended.message.status == 486
    assert a.methods() == ["INVITE", "ACK", "ACK"]
    assert b.methods() == ["100", "486", "486"]
    # an ACK to a failure has the branch of its INVITE (RFC 3261 17.1.1.3)
    assert sip.parse(a.sent[1]).via.branch == sip.parse(a.sent[0]).via.branch
    assert sip.parse(a.sent[1]).to.tag


def test_a_2xx_is_repeated_until_its_ack() -> None:
    a, b = pair()
    answering(b)
    world = World(a, b)
    acks: list[float] = []

    def drop(data: bytes) -> bool:
        if data.startswith(b"ACK"):
            acks.append(world.now)
            return len(acks) < 4
        return False

    world.drop = drop
    call = invite(world)
    world.run(20)
    assert acks == [0, 0.5, 1.5, 3.5]
    assert b.methods() == ["100", "200", "200", "200", "200"]
    assert len(a.of(sip.Accepted)) == 1
    assert a.sip.call_state(call) is sip.CallState.TALKING
    assert len(b.of(sip.Confirmed)) == 1


def test_an_ack_that_never_comes_ends_the_call() -> None:
    a, b = pair()
    answering(b)
    world = World(a, b)
    world.drop = lambda data: data.startswith(b"ACK")
    invite(world)
    world.run(40)
    assert b.of(sip.Ended)[0].cause is sip.Cause.NO_ACK
    assert a.of(sip.Ended)[0].cause is sip.Cause.REMOTE
    assert a.sip.call_count == b.sip.call_count == 0


def test_cancel_waits_for_a_provisional_response() -> None:
    a, b = pair()
    world = World(a, b)
    call = invite(world)
    world.drop = lambda data: b" 100 " in data[:20]
    a.sip.hang_up(call, 0.0)
    world.settle()
    assert "CANCEL" not in a.methods()
    world.drop = lambda data: False
    world.run(10)
    assert a.methods() == ["INVITE", "INVITE", "CANCEL", "ACK"]
    assert b.methods() == ["100", "100", "200", "487"]
    assert sip.parse(a.sent[2]).via.branch == sip.parse(a.sent[0]).via.branch
    assert sip.parse(a.sent[2]).cseq == sip.CSeq(1, "CANCEL")
    assert [event.cause for event in a.of(sip.Ended)] == [sip.Cause.CANCELLED]
    assert [event.cause for event in b.of(sip.Ended)] == [sip.Cause.CANCELLED]


def test_cancel_that_races_a_200() -> None:
    """ACK, then BYE (gb28181.md §3.3)."""
    a, b = pair()
    world = World(a, b)
    call = invite(world)
    world.settle()
    b.sip.accept(b.of(sip.Invited)[0].call, 0.0, body=ANSWER)
    a.sip.hang_up(call, 0.0)
    world.settle()
    assert a.methods() == ["INVITE", "CANCEL", "ACK", "BYE"]
    assert a.of(sip.Accepted) == []
    assert [event.cause for event in a.of(sip.Ended)] == [sip.Cause.LOCAL]
    assert [event.cause for event in b.of(sip.Ended)] == [sip.Cause.REMOTE]


def test_an_invite_that_was_given_up_and_is_accepted_late() -> None:
    """The 2xx comes after we stopped waiting: it is acknowledged and ended, or the device sends for ever."""
    a, b = pair()
    world = World(a, b)
    world.drop = lambda data: data.startswith(b"SIP/2.0 ")
    call = invite(world)
    world.run(33)
    assert a.of(sip.Ended) == [sip.Ended(call, sip.Cause.TIMEOUT)]
    world.drop = lambda data: False
    b.sip.accept(b.of(sip.Invited)[0].call, world.now, body=ANSWER)
    world.run(10)
    assert a.methods()[-2:] == ["ACK", "BYE"]
    assert b.of(sip.Ended)[0].cause is sip.Cause.REMOTE


def test_hanging_up_before_the_ack_waits_for_it() -> None:
    a, b = pair()
    world = World(a, b)
    world.drop = lambda data: data.startswith(b"ACK")
    invite(world)
    world.settle()
    other = b.of(sip.Invited)[0].call
    b.sip.accept(other, 0.0, body=ANSWER)
    world.settle()
    b.sip.hang_up(other, 0.1)
    world.settle()
    assert "BYE" not in b.methods()
    world.drop = lambda data: False
    world.run(5)
    assert b.methods()[-1] == "BYE"
    assert a.of(sip.Ended)[0].cause is sip.Cause.REMOTE
    assert b.of(sip.Ended)[0].cause is sip.Cause.LOCAL


def test_both_hang_up_at_once() -> None:
    world, call, other = established()
    world.a.sip.hang_up(call, 0.0)
    world.b.sip.hang_up(other, 0.0)
    world.settle()
    assert [event.cause for event in world.a.of(sip.Ended)] == [sip.Cause.LOCAL]
    assert [event.cause for event in world.b.of(sip.Ended)] == [sip.Cause.LOCAL]
    assert world.a.methods()[-1] == "200"
    assert world.b.methods()[-1] == "200"


def test_bye_to_an_end_that_forgot() -> None:
    world, call, _ = established()
    fresh = End("restarted", "udp", "192.0.2.20")
    world.b = fresh
    world.a.sip.hang_up(call, 0.0)
    world.settle()
    assert fresh.methods() == ["481"]
    assert world.a.of(sip.Ended)[0].cause is sip.Cause.LOCAL


def test_info_to_an_end_that_forgot_ends_the_call() -> None:
    world, call, _ = established()
    world.b = End("restarted", "udp", "192.0.2.20")
    world.a.sip.ask_in_call(call, "INFO", 0.0)
    world.settle()
    assert world.a.of(sip.Answered)[0].response.status == 481
    assert world.a.of(sip.Ended)[0].cause is sip.Cause.LOCAL


def test_a_call_nobody_answers_is_refused_in_the_end() -> None:
    a, b = pair()
    world = World(a, b)
    call = invite(world)
    world.settle()
    b.sip.progress(b.of(sip.Invited)[0].call, 0.0)
    world.run(200)
    assert a.of(sip.Progress)[0].response.status == 180
    assert b.of(sip.Ended)[0].cause is sip.Cause.TIMEOUT
    (ended,) = a.of(sip.Ended)
    assert (ended.call, ended.cause) == (call, sip.Cause.REJECTED)


def test_a_call_that_rings_for_ever_is_cancelled() -> None:
    a, b = pair()
    world = World(a, b)
    call = invite(world)
    world.settle()
    b.sip.progress(b.of(sip.Invited)[0].call, 0.0)
    world.settle()
    world.drop = lambda data: data.startswith(b"SIP/2.0 ")
    world.run(240)
    assert "CANCEL" in a.methods()
    assert [event.call for event in a.of(sip.Ended)] == [call]


def test_a_change_of_session_is_refused_and_the_call_stands() -> None:
    world, call, _ = established()
    first = sip.parse(world.a.sent[0])
    assert isinstance(first, sip.Request)
    ack = world.b.of(sip.Confirmed)[0].request
    again = first.with_headers(
        ("To", str(ack.to)), ("CSeq", "5 INVITE"), ("Via", "SIP/2.0/UDP 198.51.100.5:5060;branch=z9hG4bKre")
    )
    world.b.sip.receive(sip.serialize(again), world.a.peer, 0.0)
    assert [data.split()[1] for data, _ in world.b.sip.to_send(0.0)] == [b"488"]
    assert world.a.sip.call_state(call) is sip.CallState.TALKING


def test_lost_connection_ends_calls_and_subscriptions() -> None:
    world, _, other = established("tcp")
    world.b.sip.lost(world.a.peer, 1.0)
    world.settle()
    assert world.b.of(sip.Ended) == [sip.Ended(other, sip.Cause.LOST)]


def test_no_more_calls_than_allowed() -> None:
    a, b = pair(max_calls=2)
    world = World(a, b)
    invite(world)
    invite(world)
    with pytest.raises(Exhausted):
        invite(world)
    small = End("small", "udp", "192.0.2.20", max_calls=1)
    world.b = small
    world.settle()
    assert small.methods().count("486") == 1
    assert len(small.of(sip.Invited)) == 1


# ---- requests that the machine answers itself


def plain(method: str, **headers: str) -> bytes:
    """A request in few words; headers with _ for -, None leaves one out."""
    fields = {
        "Via": "SIP/2.0/UDP 192.0.2.20:5060;rport;branch=z9hG4bK1",
        "From": "<sip:a@b>;tag=1",
        "To": "<sip:c@d>",
        "Call-ID": "x",
        "CSeq": f"1 {method}",
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{name}: {value}" for name, value in fields.items() if value != "-"]
    return "\r\n".join([f"{method} sip:c@d SIP/2.0", *lines, "Content-Length: 0", "", ""]).encode()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (plain("OPTIONS"), 200),
        (plain("BYE"), 481),
        (plain("INFO"), 481),
        (plain("BYE", To="<sip:c@d>;tag=zz"), 481),
        (plain("INVITE", To="<sip:c@d>;tag=zz"), 481),
        (plain("CANCEL"), 481),
        (plain("NOTIFY", To="<sip:c@d>;tag=zz", Event="Catalog"), 481),
        (plain("SUBSCRIBE"), 400),
        (plain("SUBSCRIBE", Event="Catalog", To="<sip:c@d>;tag=zz"), 481),
        (plain("SUBSCRIBE", Event="conference"), 489),
        (plain("SUBSCRIBE", Event="Catalog", Expires="0"), 200),
        (plain("PUBLISH"), 405),
        (plain("MESSAGE", CSeq="1 INFO"), 400),
        (plain("MESSAGE", CSeq="-"), 400),
        (plain("MESSAGE", Call_ID="-"), 400),
        (plain("MESSAGE", From="-"), 400),
        (plain("MESSAGE", To="nonsense"), 400),
    ],
)
def test_answers_without_an_event(data: bytes, status: int) -> None:
    _, b = pair()
    b.sip.receive(data, sip.Peer("udp", "203.0.113.7", 999), 0.0)
    told = [event for event in b.sip.events() if not isinstance(event, sip.Broken)]
    assert all(isinstance(event, sip.Refused) and event.status == status for event in told), "nothing to be answered"
    ((answer, peer),) = b.sip.to_send(0.0)
    found = sip.parse(answer)
    assert isinstance(found, sip.Response)
    assert found.status == status
    assert found.via.params[:2] == (("rport", "999"), ("received", "203.0.113.7"))
    assert peer == ("udp", "203.0.113.7", 999)
    if status == 489:
        assert found.headers.get("Allow-Events") == ", ".join(sip.PACKAGES)


def test_noise_and_rubbish_are_counted() -> None:
    _, b = pair()
    peer = sip.Peer("udp", "203.0.113.7", 999)
    for data in (b"", b"\r\n\r\n", b"\x00" * 40, b"abcd"):
        b.sip.receive(data, peer, 0.0)
    b.sip.receive(b"\x16\x03\x01 not sip at all", peer, 0.0)
    b.sip.receive(b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKnone\r\nCSeq: 1 MESSAGE\r\n\r\n", peer, 0.0)
    b.sip.receive(b"SIP/2.0 200 OK\r\nVia: nonsense\r\n\r\n", peer, 0.0)
    counters = b.sip.counters
    assert (counters.received, counters.noise, counters.malformed, counters.strays) == (7, 4, 2, 1)
    assert [type(event) for event in b.sip.events()] == [sip.Broken, sip.Broken]
    assert list(b.sip.to_send(0.0)) == []


# ---- subscriptions


def subscribe(world: World, expires_s: int = 600) -> int:
    """The platform subscribes to the device's catalog."""
    return world.a.sip.subscribe(
        local=PLATFORM,
        remote=DEVICE,
        peer=world.b.peer,
        now=world.now,
        event=sip.EventType("Catalog", "1894"),
        body=b"<Query/>",
        expires_s=expires_s,
    )


def test_a_subscription_refreshes_itself_until_it_is_given_up() -> None:
    a, b = pair()
    answering(a)
    answering(b)
    world = World(a, b)
    own = subscribe(world)
    world.settle()
    (asked,) = b.of(sip.SubscribeAsked)
    assert (asked.event, asked.expires_s) == (sip.EventType("Catalog", "1894"), 600)
    b.sip.notify(asked.subscription, world.now, body=b"<Notify/>")
    world.settle()
    (told,) = a.of(sip.Notified)
    assert (told.subscription, told.state, told.request.body) == (own, "active", b"<Notify/>")
    assert told.request.headers.get("Event") == "Catalog;id=1894"
    assert b.of(sip.Answered)[0].subscription == asked.subscription
    world.run(3600)
    assert len(a.of(sip.Subscribed)) == 1 + 7  # every 480 s
    assert len(b.of(sip.Refreshed)) == 7
    a.sip.unsubscribe(own, world.now)
    world.settle()
    assert [event.cause for event in a.of(sip.SubscriptionEnded)] == [sip.Cause.LOCAL]
    assert [event.cause for event in b.of(sip.SubscriptionEnded)] == [sip.Cause.REMOTE]
    assert a.methods()[-1] == "200"  # to the last NOTIFY, which says terminated
    world.run(70)
    assert a.sip.timer() is None
    assert b.sip.timer() is None


def test_a_notify_before_the_200() -> None:
    a, b = pair()
    answering(a)
    world = World(a, b)
    own = subscribe(world)
    world.settle()
    theirs = b.of(sip.SubscribeAsked)[0].subscription
    world.drop = lambda data: data.startswith(b"SIP/2.0 200") and b"SUBSCRIBE" in data
    b.sip.accept_subscription(theirs, 0.0)
    b.sip.notify(theirs, 0.0, body=b"<Notify/>")
    world.settle()
    assert [event.subscription for event in a.of(sip.Notified)] == [own]
    assert a.sip.subscription_state(own) is sip.SubscriptionState.PENDING
    world.drop = lambda data: False
    world.run(5)
    assert a.sip.subscription_state(own) is sip.SubscriptionState.ACTIVE


def test_a_subscriber_that_vanishes_expires() -> None:
    a, b = pair()
    answering(b)
    world = World(a, b)
    subscribe(world, 60)
    world.settle()
    world.b.told.clear()
    world.drop = lambda data: data.startswith(b"SUBSCRIBE")
    world.run(200)
    assert [event.cause for event in b.of(sip.SubscriptionEnded)] == [sip.Cause.EXPIRED]
    assert a.of(sip.SubscriptionEnded)[0].cause in {sip.Cause.REMOTE, sip.Cause.TIMEOUT}


def test_a_notifier_that_ends_it() -> None:
    a, b = pair()
    answering(a)
    answering(b)
    world = World(a, b)
    own = subscribe(world)
    world.settle()
    b.sip.end_subscription(b.of(sip.SubscribeAsked)[0].subscription, 1.0, "noresource")
    world.settle()
    (ended,) = a.of(sip.SubscriptionEnded)
    assert (ended.subscription, ended.cause, ended.reason) == (own, sip.Cause.REMOTE, "noresource")
    assert a.of(sip.Notified)[0].state == "terminated"
    with pytest.raises(NotFound):
        a.sip.unsubscribe(own, 1.0)


def test_a_rejected_subscription() -> None:
    a, b = pair()
    world = World(a, b)
    own = subscribe(world)
    world.settle()
    b.sip.reject_subscription(b.of(sip.SubscribeAsked)[0].subscription, 404, 0.0)
    world.settle()
    (ended,) = a.of(sip.SubscriptionEnded)
    assert (ended.subscription, ended.cause) == (own, sip.Cause.REJECTED)


@pytest.mark.parametrize(("status", "ends"), [(481, True), (404, True), (500, False), (200, False)])
def test_answers_to_a_notify_that_end_the_subscription(status: int, ends: bool) -> None:
    """RFC 6665 4.2.2."""
    a, b = pair()
    answering(b)
    world = World(a, b)
    subscribe(world)
    world.settle()
    answering(a, status)
    b.sip.notify(b.of(sip.SubscribeAsked)[0].subscription, 0.0, body=b"<Notify/>")
    world.settle()
    assert bool(b.of(sip.SubscriptionEnded)) is ends


def test_giving_up_before_the_answer() -> None:
    a, b = pair()
    answering(a)
    world = World(a, b)
    own = subscribe(world)
    a.sip.unsubscribe(own, 0.0)
    world.settle()
    answering(b)
    b.sip.accept_subscription(b.of(sip.SubscribeAsked)[0].subscription, 0.0)
    world.settle()
    assert [event.cause for event in a.of(sip.SubscriptionEnded)] == [sip.Cause.LOCAL]
    assert [event.cause for event in b.of(sip.SubscriptionEnded)] == [sip.Cause.REMOTE]


def test_a_subscribe_nobody_answers_is_forgotten() -> None:
    a, b = pair()
    world = World(a, b)
    own = subscribe(world)
    world.run(100)
    assert [event.cause for event in a.of(sip.SubscriptionEnded)] == [sip.Cause.TIMEOUT]
    assert a.sip.subscription_state(own) is sip.SubscriptionState.ENDED
    with pytest.raises(NotFound):
        b.sip.accept_subscription(b.of(sip.SubscribeAsked)[0].subscription, world.now)


# ---- bad networks


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    loss=st.sampled_from([0.0, 0.1, 0.3]),
    double=st.sampled_from([0.0, 0.3]),
    spread=st.sampled_from([0.0, 0.2, 2.0]),
)
def test_messages_are_processed_once_whatever_the_network_does(
    seed: int, loss: float, double: float, spread: float
) -> None:
    a, b = pair()
    answering(b)
    world = World(a, b, seed=seed, loss=loss, double=double, spread=spread)
    asked = [message(world, b"%d" % number) for number in range(10)]
    world.run(40)
    bodies = [event.request.body for event in b.of(sip.Asked)]
    assert len(bodies) == len(set(bodies)), "processed twice"
    settled = [event.transaction for event in a.of(sip.Answered)] + [gone.transaction for gone in a.of(sip.Unanswered)]
    assert sorted(settled) == sorted(asked), "each request has one end"
    world.run(80)
    assert a.sip.open_count == b.sip.open_count == 0
    assert (a.sip.timer(), b.sip.timer()) == (None, None)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    loss=st.sampled_from([0.0, 0.1, 0.3]),
    double=st.sampled_from([0.0, 0.3]),
    spread=st.sampled_from([0.0, 0.2, 2.0]),
    hang_up_at=st.sampled_from([0.0, 0.01, 0.3, 1.0, 30.0]),
    status=st.sampled_from([200, 486]),
)
def test_calls_end_once_whatever_the_network_does(
    seed: int, loss: float, double: float, spread: float, hang_up_at: float, status: int
) -> None:
    a, b = pair()
    answering(b, status)
    world = World(a, b, seed=seed, loss=loss, double=double, spread=spread)
    call = invite(world)
    world.run(hang_up_at)
    if a.sip.call_state(call) is not sip.CallState.ENDED:
        a.sip.hang_up(call, world.now)
    world.run(300)
    assert [event.call for event in a.of(sip.Ended)] == [call]
    assert len(a.of(sip.Accepted)) <= 1
    heard = [event.call for event in b.of(sip.Invited)]
    assert len(heard) <= 1, "an INVITE was processed twice"
    assert [event.call for event in b.of(sip.Ended)] == heard, "the device's side leaks"
    assert a.sip.call_count == b.sip.call_count == 0
    assert a.sip.open_count == b.sip.open_count == 0
    assert (a.sip.timer(), b.sip.timer()) == (None, None)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    loss=st.sampled_from([0.0, 0.1, 0.3]),
    double=st.sampled_from([0.0, 0.3]),
    spread=st.sampled_from([0.0, 0.2, 2.0]),
)
def test_subscriptions_end_on_both_sides_whatever_the_network_does(
    seed: int, loss: float, double: float, spread: float
) -> None:
    a, b = pair()
    answering(a)
    answering(b)
    world = World(a, b, seed=seed, loss=loss, double=double, spread=spread)
    own = subscribe(world, 60)
    world.run(130)
    if a.sip.subscription_state(own) is not sip.SubscriptionState.ENDED:
        a.sip.unsubscribe(own, world.now)
    world.run(300)
    assert [event.subscription for event in a.of(sip.SubscriptionEnded)] == [own]
    accepted = [event.subscription for event in b.of(sip.SubscribeAsked)]
    assert [event.subscription for event in b.of(sip.SubscriptionEnded)] == accepted
    assert a.sip.open_count == b.sip.open_count == 0
    assert (a.sip.timer(), b.sip.timer()) == (None, None)


_LINES = st.sampled_from(
    [
        "Via: SIP/2.0/UDP 192.0.2.20;branch=z9hG4bK1",
        "Via: SIP/2.0/UDP 192.0.2.20;rport;branch=z9hG4bK2",
        "From: <sip:a@b>;tag=1",
        "From: <sip:a@b>",
        "To: <sip:c@d>",
        "To: <sip:c@d>;tag=2",
        "Call-ID: x",
        "Call-ID: y",
        "Event: Catalog",
        "Expires: 0",
        "Expires: 99999999999999999999",
        "Subscription-State: terminated",
        "Contact: <sip:e@f:70000>",
        "Contact: *",
        "WWW-Authenticate: Digest realm=r,nonce=n",
    ]
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    "INVITE",
                    "ACK",
                    "BYE",
                    "CANCEL",
                    "INFO",
                    "MESSAGE",
                    "SUBSCRIBE",
                    "NOTIFY",
                    "OPTIONS",
                    "100",
                    "180",
                    "200",
                    "401",
                    "487",
                ]
            ),
            st.sampled_from(["INVITE", "ACK", "BYE", "CANCEL", "MESSAGE", "SUBSCRIBE", "NOTIFY", ""]),
            st.lists(_LINES, max_size=8, unique=True),
            st.floats(0, 40),
        ),
        max_size=12,
    )
)
def test_any_messages_in_any_order_never_break_the_machine(steps: list[tuple[str, str, list[str], float]]) -> None:
    end = End("target", "udp", "192.0.2.1", max_open=8, max_answers=8, max_calls=3, max_subscriptions=3)
    peer = sip.Peer("udp", "192.0.2.20", 5060)
    call = end.sip.invite(local=PLATFORM, remote=DEVICE, peer=peer, now=0.0, body=b"")
    now = 0.0
    for index, (word, cseq, lines, wait) in enumerate(steps):
        start = f"SIP/2.0 {word} x" if word.isdigit() else f"{word} sip:c@d SIP/2.0"
        text = "\r\n".join([start, *lines, f"CSeq: 1 {cseq or word}", "Content-Length: 0", "", ""])
        end.sip.receive(text.encode(), peer, now)
        for event in end.sip.events():
            if isinstance(event, sip.Asked) and index % 2:
                end.sip.reply(event.transaction, 200, now)
            elif isinstance(event, sip.Invited) and index % 3:
                end.sip.accept(event.call, now, body=b"")
        for data, _ in end.sip.to_send(now):
            sip.parse(data)
        now += wait
        end.sip.tick(now)
    if end.sip.call_state(call) is not sip.CallState.ENDED:
        end.sip.hang_up(call, now)
    for _ in range(100):
        moment = end.sip.timer()
        if moment is None:
            break
        now = max(now, moment)
        end.sip.tick(now)
        list(end.sip.events())
    assert end.sip.open_count == 0


@given(st.binary(max_size=300))
def test_any_bytes_never_break_the_machine(data: bytes) -> None:
    end = End("target", "udp", "192.0.2.1")
    end.sip.receive(data, sip.Peer("udp", "192.0.2.20", 5060), 0.0)
    list(end.sip.events())
    assert quiet(1)(4) == quiet(1)(4)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (plain("INFO"), 481),
        (plain("NOTIFY", To="<sip:c@d>;tag=zz", Event="Catalog"), 481),
        (plain("SUBSCRIBE", Event="Catalog", To="<sip:c@d>;tag=zz"), 481),
        (plain("SUBSCRIBE", Event="conference"), 489),
        (plain("PUBLISH"), 405),
    ],
)
def test_what_is_refused_unasked_is_told_with_its_peer(data: bytes, status: int) -> None:
    _, b = pair()
    peer = sip.Peer("udp", "203.0.113.7", 999)
    b.sip.receive(data, peer, 0.0)
    (told,) = b.sip.events()
    assert isinstance(told, sip.Refused)
    assert (told.status, told.peer, told.request.from_.uri.user) == (status, peer, "a")
