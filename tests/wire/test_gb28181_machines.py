"""Registration of both ends over the SIP machine, and answers in several messages put together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anwang.kernel.errors import Exhausted, WireError
from anwang.wire import digest, sip
from anwang.wire import gb28181 as gb
from tests.wire.ends import DEVICE, PLATFORM, End, World, quiet

NOW = datetime(2026, 11, 22, 0, 0, 0, tzinfo=UTC)
ACCOUNT = gb.Account(
    local=DEVICE,
    server=PLATFORM,
    contact=sip.Uri(DEVICE.user, "192.0.2.20", 5060),
    password="12345678",
    expires_s=3600,
)


class Platform:
    """A registrar on an end: challenges, checks, grants, and remembers who is here."""

    def __init__(self, end: End, password: str = "12345678", *, with_qop: bool = False) -> None:
        self.end = end
        self.ha1 = digest.ha1(DEVICE.user, "3402000000", password)
        self.nonces = gb.Nonces(b"a secret of the test", life_s=300)
        self.with_qop = with_qop
        self.here: dict[str, int] = {}
        self.asked: list[gb.RegisterAsked] = []
        self.beats: list[gb.Keepalive] = []
        #: statuses to give instead of an answer, by method
        self.instead: dict[str, int] = {}
        self.deaf: set[str] = set()
        end.on = self.on

    def on(self, event: sip.Event[sip.Peer], now: float) -> None:
        """Answer what comes."""
        if not isinstance(event, sip.Asked):
            return
        request, reply = event.request, self.end.sip.reply
        if request.method in self.deaf:
            return
        if request.method == "MESSAGE":
            beat = gb.parse(request.body)
            assert isinstance(beat, gb.Keepalive)
            self.beats.append(beat)
            known = beat.device_id in self.here
            reply(event.transaction, self.instead.get("MESSAGE") or (200 if known else 403), now)
            return
        asked = gb.read_register(request)
        self.asked.append(asked)
        if "REGISTER" in self.instead:
            reply(event.transaction, self.instead["REGISTER"], now)
            return
        proof = asked.authorization
        age = self.nonces.check(proof.nonce, asked.device_id, event.peer.host, now) if proof else gb.NonceAge.FOREIGN
        if proof and age is gb.NonceAge.FRESH and digest.verify(proof, method="REGISTER", ha1_hex=self.ha1):
            granted = gb.granted_expires(asked.expires_s)
            if granted:
                self.here[asked.device_id] = granted
            else:
                self.here.pop(asked.device_id, None)
            reply(event.transaction, 200, now, headers=gb.granted_headers(asked, granted, NOW, version=gb.V2022))
        else:
            nonce = self.nonces.make(asked.device_id, event.peer.host, now)
            headers = gb.challenge_headers(
                "3402000000",
                nonce,
                with_qop=self.with_qop,
                is_stale=age is gb.NonceAge.STALE,
                version=gb.V2022,
            )
            reply(event.transaction, 401, now, headers=headers)


class Device:
    """A registration on an end, driven as a gateway or simulator would drive it."""

    def __init__(self, end: End, peer: sip.Peer, account: gb.Account = ACCOUNT, jitter: float = 0.5) -> None:
        self.end, self.peer = end, peer
        self.machine = gb.Registration(account, noise=quiet(7), jitter=lambda: jitter)
        self.told: list[gb.RegistrationEvent] = []
        self.sent: list[sip.Request] = []

    def pump(self, now: float) -> None:
        """Carry requests to the end and its answers back, until nothing moves."""
        for event in self.end.told:
            if isinstance(event, sip.Answered):
                self.machine.answered(event.request, event.response, now)
            elif isinstance(event, sip.Unanswered):
                self.machine.unanswered(event.request, now)
        self.end.told.clear()
        for request in self.machine.to_ask(now):
            self.sent.append(request)
            self.end.sip.request(request, self.peer, now)
        self.told.extend(self.machine.events())


class City:
    """A platform and a device on a network."""

    def __init__(
        self, account: gb.Account = ACCOUNT, *, transport: str = "udp", seed: int = 0, loss: float = 0.0
    ) -> None:
        upper, lower = End("upper", transport, "198.51.100.5"), End("lower", transport, "192.0.2.20")
        self.world = World(upper, lower, seed=seed, loss=loss)
        self.platform = Platform(upper)
        self.device = Device(lower, upper.peer, account)

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Let time pass; stop early where the condition holds."""
        end = self.world.now + seconds
        while True:
            for _ in range(20):
                before = len(self.device.sent) + len(self.device.told)
                self.device.pump(self.world.now)
                self.world.settle()
                self.device.pump(self.world.now)
                if len(self.device.sent) + len(self.device.told) == before:
                    break
            if until() or self.world.now >= end:
                return
            due = self.device.machine.timer()
            step = min(1.0, end - self.world.now, max(0.0, due - self.world.now) if due is not None else 1.0)
            self.world.run(max(step, 0.0))
            self.device.pump(self.world.now)
            self.device.machine.tick(self.world.now)

    def registers(self) -> list[sip.Request]:
        """All REGISTERs the device has sent."""
        return [request for request in self.device.sent if request.method == "REGISTER"]


# ---- registration


@pytest.mark.parametrize("with_qop", [False, True])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_register_challenge_and_grant(with_qop: bool, transport: str) -> None:
    city = City(replace(ACCOUNT, version=gb.V2022, user_agent="sim"), transport=transport)
    city.platform.with_qop = with_qop
    city.device.machine.start(0.0)
    city.run(1)
    first, second = city.registers()
    assert not first.headers.has("Authorization")
    assert (first.cseq.number, second.cseq.number) == (1, 2)
    assert (first.call_id, first.from_.tag) == (second.call_id, second.from_.tag)
    assert second.headers.get("X-GB-Ver") == "3.0"
    assert second.from_.uri == second.to.uri == DEVICE
    assert city.platform.here == {DEVICE.user: 3600}
    assert city.platform.asked[1].version == gb.V2022
    assert city.platform.asked[1].user_agent == "sim"
    assert city.platform.asked[1].contact == str(ACCOUNT.contact)
    assert city.device.told == [gb.Registered(3600, NOW, gb.V2022, False)]
    assert city.device.machine.state is gb.RegistrationState.REGISTERED


def test_a_2016_device_says_no_version() -> None:
    city = City()
    city.device.machine.start(0.0)
    city.run(1)
    assert not city.registers()[0].headers.has("X-GB-Ver")
    assert city.platform.asked[0].version is None


def test_refresh_at_four_fifths_and_keepalives_between() -> None:
    city = City()
    city.device.machine.start(0.0)
    city.run(3000)
    assert len(city.platform.beats) == 3000 // 60
    assert [beat.sn for beat in city.platform.beats] == list(range(1, 51))
    # after 2880 s, with the last nonce, which is stale by then: one more round
    assert [asked.cseq for asked in city.platform.asked] == [1, 2, 3, 4]
    assert city.platform.asked[2].authorization is not None
    assert [event.is_refresh for event in city.device.told if isinstance(event, gb.Registered)] == [False, True]
    assert len({request.call_id for request in city.registers()}) == 1
    assert city.world.a.sip.open_count == city.world.b.sip.open_count == 0


def test_a_fresh_nonce_saves_a_round() -> None:
    city = City(replace(ACCOUNT, expires_s=100))
    city.platform.with_qop = True
    city.device.machine.start(0.0)
    city.run(170)
    assert [asked.cseq for asked in city.platform.asked] == [1, 2, 3, 4]
    proofs = [asked.authorization for asked in city.platform.asked]
    assert [proof.nc if proof else "" for proof in proofs] == ["", "00000001", "00000002", "00000003"]


def test_a_wrong_password_backs_off_for_at_least_a_minute() -> None:
    city = City(replace(ACCOUNT, password="wrong"))
    city.device.machine.start(0.0)
    city.run(1)
    assert city.device.told == [gb.RegistrationFailed(401, 90.0)]
    assert len(city.registers()) == 2
    assert city.device.machine.state is gb.RegistrationState.BACKOFF
    city.run(88)
    assert len(city.registers()) == 2
    city.run(2)
    assert len(city.registers()) == 4
    assert city.registers()[0].call_id != city.registers()[2].call_id
    assert "wrong" not in repr(city.device.machine._account)


def test_a_silent_server_backs_off() -> None:
    city = City()
    city.platform.deaf = {"REGISTER"}
    city.device.machine.start(0.0)
    city.run(40)
    (failed,) = city.device.told
    assert isinstance(failed, gb.RegistrationFailed)
    assert failed.status == 0
    assert abs(failed.retry_at - (32.0 + 90.0)) < 1.5
    city.platform.deaf = set()
    city.run(120)
    assert city.device.machine.is_registered


def test_three_lost_keepalives_register_again() -> None:
    city = City()
    city.device.machine.start(0.0)
    city.run(61)
    assert len(city.platform.beats) == 1
    city.platform.deaf = {"MESSAGE"}
    city.run(300, until=lambda: any(isinstance(event, gb.ServerLost) for event in city.device.told))
    assert city.world.now == pytest.approx(240 + 32, abs=2)
    city.platform.deaf = set()
    city.run(2)
    assert city.device.told[-2:] == [gb.ServerLost(0), gb.Registered(3600, NOW, gb.V2022, False)]
    assert len({request.call_id for request in city.registers()}) == 2


def test_a_keepalive_between_two_misses_clears_them() -> None:
    city = City()
    city.device.machine.start(0.0)
    city.run(1)
    for _ in range(4):
        city.platform.instead = {"MESSAGE": 500}
        city.run(120)
        city.platform.instead = {}
        city.run(60)
    assert len(city.device.told) == 1


def test_a_platform_that_forgot_is_registered_at_again_soon() -> None:
    city = City()
    city.device.machine.start(0.0)
    city.run(30)
    city.platform.here.clear()
    city.run(40)
    assert city.device.told[1:] == [gb.ServerLost(403), gb.Registered(3600, NOW, gb.V2022, False)]
    assert city.platform.here


def test_log_out_with_its_challenge() -> None:
    city = City()
    city.device.machine.start(0.0)
    city.run(400)
    city.device.machine.stop(city.world.now)
    city.run(2)
    assert city.device.told[-1] == gb.LoggedOut(True)
    assert city.platform.here == {}
    assert city.platform.asked[-1].is_log_out
    assert city.device.machine.timer() is None
    city.device.machine.start(city.world.now)
    city.run(2)
    assert city.platform.here


def test_log_out_that_nobody_hears() -> None:
    city = City()
    city.device.machine.start(0.0)
    city.run(1)
    city.platform.deaf = {"REGISTER"}
    city.device.machine.stop(city.world.now)
    city.run(40)
    assert city.device.told[-1] == gb.LoggedOut(False)


def test_a_lost_connection_registers_after_the_retry_time() -> None:
    city = City(transport="tcp")
    city.device.machine.start(0.0)
    city.run(10)
    city.world.b.sip.lost(city.world.a.peer, city.world.now)
    city.device.machine.disconnected(city.world.now)
    city.run(80)
    assert not city.device.machine.is_registered
    city.run(20)
    assert city.device.machine.is_registered


def test_faulty_sub_devices_are_told_at_once() -> None:
    city = City()
    city.device.machine.start(0.0)
    city.run(1)
    for _ in range(2):
        city.device.machine.report(("34020000001320000009",), city.world.now)
        city.run(1)
    (beat,) = city.platform.beats
    assert (beat.is_ok, beat.faulty) == (False, ("34020000001320000009",))


def answer(machine: gb.Registration, status: int, *headers: tuple[str, str], now: float = 0.0) -> sip.Request:
    """Answer the request that a machine has just made; returns that request."""
    (request,) = machine.to_ask(now)
    machine.answered(request, sip.response_to(request, status, headers=headers), now)
    return request


def test_redirection_and_the_way_back() -> None:
    """gb28181.md §4.5."""
    machine = gb.Registration(ACCOUNT, noise=quiet(1), jitter=lambda: 0.0)
    machine.start(0.0)
    other = sip.Uri("34020000002000000002", "198.51.100.77", 5061)
    answer(machine, 302, ("Contact", f"<{other}>"), ("Expires", "3600"))
    assert list(machine.events()) == [gb.Redirected(other)]
    assert machine.server == other
    request = answer(machine, 503, ("Retry-After", "200 (busy)"))
    assert request.uri == str(other)
    assert list(machine.events()) == [gb.RegistrationFailed(503, 200.0)]
    assert machine.server == PLATFORM
    machine.tick(200.0)
    assert answer(machine, 200, now=200.0).uri == str(PLATFORM)
    (registered,) = machine.events()
    assert isinstance(registered, gb.Registered)
    assert registered.expires_s == 3600  # nothing said: what was asked for


def test_servers_that_send_us_round_in_a_ring() -> None:
    machine = gb.Registration(ACCOUNT, noise=quiet(1), jitter=lambda: 0.0)
    machine.start(0.0)
    for number in range(4):
        answer(machine, 302, ("Contact", f"<sip:x@198.51.100.{number}>"))
    assert isinstance(list(machine.events())[-1], gb.RegistrationFailed)


def test_an_interval_too_brief() -> None:
    machine = gb.Registration(replace(ACCOUNT, expires_s=60), noise=quiet(1), jitter=lambda: 0.0)
    machine.start(0.0)
    answer(machine, 423, ("Min-Expires", "3600"))
    assert answer(machine, 200, ("Expires", "3600")).headers.get("Expires") == "3600"
    assert machine.is_registered


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("WWW-Authenticate", "Basic realm=x"),),
        (("WWW-Authenticate", 'Digest realm="r", nonce="n", algorithm=WHIRL'),),
        (("WWW-Authenticate", 'Asymmetric nonce="a&b" algorithm="x"'),),
    ],
)
def test_challenges_that_cannot_be_met(headers: tuple[tuple[str, str], ...]) -> None:
    machine = gb.Registration(ACCOUNT, noise=quiet(1), jitter=lambda: 0.0)
    machine.start(0.0)
    answer(machine, 401, *headers)
    assert list(machine.events()) == [gb.RegistrationFailed(401, 60.0)]


def test_answers_to_older_requests_change_nothing() -> None:
    machine = gb.Registration(ACCOUNT, noise=quiet(1), jitter=lambda: 0.0)
    machine.start(0.0)
    old = answer(machine, 503)
    list(machine.events())
    machine.tick(60.0)
    machine.answered(old, sip.response_to(old, 200), 60.0)
    machine.unanswered(old, 60.0)
    assert list(machine.events()) == []
    (fresh,) = machine.to_ask(60.0)
    machine.answered(fresh, sip.response_to(fresh, 100), 60.0)
    assert machine.state is gb.RegistrationState.REGISTERING


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), loss=st.sampled_from([0.1, 0.3]))
def test_a_device_stays_registered_on_a_bad_network(seed: int, loss: float) -> None:
    city = City(replace(ACCOUNT, expires_s=600), seed=seed, loss=loss)
    city.device.machine.start(0.0)
    city.run(1500)
    assert city.device.machine.is_registered or city.device.machine.timer() is not None
    assert any(isinstance(event, gb.Registered) for event in city.device.told)
    assert len({beat.sn for beat in city.platform.beats}) == len(city.platform.beats), "a keep-alive counted twice"


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 100, 200, 302, 401, 403, 423, 500]),
            st.sampled_from(
                [
                    ("X", "y"),
                    ("Expires", "0"),
                    ("Expires", "x"),
                    ("Expires", "90"),
                    ("Min-Expires", "99999999999"),
                    ("Contact", "<sip:a@b>;expires=5"),
                    ("Contact", "*"),
                    ("WWW-Authenticate", "Digest realm=r,nonce=n,stale=true"),
                    ("WWW-Authenticate", "Digest"),
                ]
            ),
            st.floats(0, 200),
            st.sampled_from(["", "start", "stop", "disconnected", "report"]),
        ),
        max_size=25,
    )
)
def test_any_answers_in_any_order(steps: list[tuple[int, tuple[str, str], float, str]]) -> None:
    machine = gb.Registration(ACCOUNT, noise=quiet(1), jitter=lambda: 0.5)
    now = 0.0
    machine.start(now)
    for status, header, wait, deed in steps:
        requests = list(machine.to_ask(now))
        assert len(requests) <= 20
        for request in requests:
            if status == 0:
                machine.unanswered(request, now)
            else:
                machine.answered(request, sip.response_to(request, status, headers=(header,)), now)
        if deed == "report":
            machine.report((str(now),), now)
        elif deed:
            getattr(machine, deed)(now)
        list(machine.events())
        now += wait
        machine.tick(now)
        moment = machine.timer()
        assert moment is None or moment >= now
        if machine.state in {gb.RegistrationState.REGISTERED, gb.RegistrationState.BACKOFF}:
            assert moment is not None, "it would sleep for ever"


# ---- the platform's side


def test_nonces_know_their_device_address_and_age() -> None:
    nonces = gb.Nonces(b"secret", life_s=300)
    nonce = nonces.make("1", "192.0.2.1", 1000.7)
    assert len(nonce) == 40
    assert nonces.check(nonce, "1", "192.0.2.1", 1300) is gb.NonceAge.FRESH
    assert nonces.check(nonce, "1", "192.0.2.1", 1302) is gb.NonceAge.STALE
    assert nonces.check(nonce, "2", "192.0.2.1", 1000) is gb.NonceAge.FOREIGN
    assert nonces.check(nonce, "1", "192.0.2.2", 1000) is gb.NonceAge.FOREIGN
    assert gb.Nonces(b"other").check(nonce, "1", "192.0.2.1", 1000) is gb.NonceAge.FOREIGN
    later = f"{2000:08x}" + nonce[8:]
    assert nonces.check(later, "1", "192.0.2.1", 2000) is gb.NonceAge.FOREIGN


@given(st.text(max_size=50), st.text(max_size=5))
def test_any_nonce_is_foreign(text: str, device: str) -> None:
    assert gb.Nonces(b"secret").check(text, device, device, 5.0) is gb.NonceAge.FOREIGN


@given(st.text(max_size=12), st.text(st.sampled_from('abf019"\\ ,'), max_size=12), st.booleans(), st.booleans())
def test_a_challenge_says_what_was_put_into_it(realm: str, nonce: str, with_qop: bool, is_stale: bool) -> None:
    headers = dict(gb.challenge_headers(realm, nonce, with_qop=with_qop, is_stale=is_stale, version=gb.V2022))
    wanted = digest.Challenge(realm=realm, nonce=nonce, qop=("auth",) if with_qop else (), is_stale=is_stale)
    assert headers == {"WWW-Authenticate": str(wanted), "X-GB-Ver": "3.0"}


def test_what_is_granted() -> None:
    assert [gb.granted_expires(asked) for asked in (None, 0, 1, 3600, 10**9)] == [3600, 0, 60, 3600, 86400]


def test_what_a_register_says() -> None:
    def read(*headers: str) -> gb.RegisterAsked:
        head = ["REGISTER sip:p@x SIP/2.0", "From: <sip:1@x>;tag=1", "CSeq: 1 REGISTER", "Call-ID: c", *headers]
        message = sip.parse("\r\n".join([*head, "", ""]).encode())
        assert isinstance(message, sip.Request)
        return gb.read_register(message)

    asked = read("To: <sip:1@y>", "Contact: *", "Authorization: Capability algorithm=x", "X-GB-Ver: x")
    assert (asked.expires_s, asked.contact, asked.authorization, asked.version) == (None, "", None, None)
    assert gb.granted_headers(asked, 60, NOW) == (("Expires", "60"), ("Date", "2026-11-22T08:00:00.000"))
    for to in ("To: <sip:2@x>", "To: <sip:x>", "To: y"):
        with pytest.raises(WireError):
            read(to)


# ---- answers in several messages


def item(number: int) -> gb.CatalogItem:
    """The n-th channel."""
    return gb.CatalogItem(device_id=f"3402000000132{number:07d}", name=str(number))


def assembly(**changes: float) -> gb.Assembly[gb.CatalogItem]:
    """One that waits for answer 17 of "nvr"."""
    made: gb.Assembly[gb.CatalogItem] = gb.Assembly(gb.item_identity, **changes)  # type: ignore[arg-type]
    made.expect("nvr", 17, 0.0)
    return made


def test_pages_put_together_again() -> None:
    items = [item(number) for number in range(25)]
    made = assembly()
    for page in gb.pages(items, 10):
        message = gb.parse(gb.serialize(gb.CatalogResponse(sn=17, device_id="nvr", total=25, items=page)))
        assert isinstance(message, gb.CatalogResponse)
        assert made.add("nvr", message.sn, message.total, message.items, 1.0)
    (done,) = made.events()
    assert (done.items, done.is_complete, done.packets) == (tuple(items), True, 3)
    assert made.timer() is None
    assert not made.add("nvr", 17, 25, items[:1], 2.0)
    assert made.strays == 1


def test_nothing_found() -> None:
    assert list(gb.pages([], 10)) == [()]
    made = assembly()
    made.add("nvr", 17, 0, (), 1.0)
    assert list(made.events()) == [gb.Assembled("nvr", 17, (), 0, True, 1)]


def test_nothing_came() -> None:
    made = assembly()
    assert made.timer() == 120.0
    made.tick(119.0)
    assert list(made.events()) == []
    made.tick(120.0)
    assert list(made.events()) == [gb.Assembled("nvr", 17, (), None, False, 0)]


def test_a_lost_page_is_partial_and_nothing_is_deleted() -> None:
    made = assembly()
    made.add("nvr", 17, 30, [item(number) for number in range(10)], 1.0)
    made.add("nvr", 17, 30, [item(number) for number in range(20, 30)], 5.0)
    made.tick(12.9)
    assert list(made.events()) == []
    made.tick(13.0)
    (done,) = made.events()
    assert (len(done.items), done.is_complete) == (20, False)


def test_a_page_that_came_twice_counts_once() -> None:
    made = assembly()
    for numbers in (range(5), range(5), range(5, 10)):
        made.add("nvr", 17, 10, [item(number) for number in numbers], 1.0)
    (done,) = made.events()
    assert (len(done.items), done.is_complete, done.packets) == (10, True, 3)


def test_sum_num_that_counts_only_its_own_message() -> None:
    """Merge until quiet; such an answer never claims to be complete."""
    made = assembly()
    for number in range(5):
        made.add("nvr", 17, 1, [item(number)], number * 1.0)
    assert list(made.events()) == []
    made.tick(100.0)
    (done,) = made.events()
    assert (len(done.items), done.is_complete) == (5, False)


def test_a_single_message_is_doubted_only_for_a_moment() -> None:
    made = assembly()
    made.add("nvr", 17, 2, [item(1), item(2)], 1.0)
    assert made.timer() == 3.0 and made.is_settling("nvr", 17)
    made.tick(3.0)
    assert not made.is_settling("nvr", 17)
    assert [done.is_complete for done in made.events()] == [True]
    hasty = assembly(settle_s=0.0)
    hasty.add("nvr", 17, 2, [item(1), item(2)], 1.0)
    assert [done.is_complete for done in hasty.events()] == [True]


def test_bounds_of_assembly() -> None:
    made = assembly(max_items=10, max_open=2)
    made.add("nvr", 17, 50, [item(number) for number in range(50)], 1.0)
    made.tick(100.0)
    (done,) = made.events()
    assert (len(done.items), done.is_complete, made.cut) == (10, False, 40)
    made.expect("a", 1, 0.0)
    made.expect("b", 1, 0.0)
    made.expect("b", 1, 5.0)
    with pytest.raises(Exhausted):
        made.expect("c", 1, 0.0)
    made.drop("a", 1)
    made.expect("c", 1, 0.0)
    assert len(made) == 2


def test_recordings_are_told_apart_by_their_times() -> None:
    one = gb.RecordItem(device_id="1", start=NOW, end=NOW)
    assert gb.record_identity(one) == gb.record_identity(replace(one, name="x"))
    assert gb.record_identity(one) != gb.record_identity(replace(one, file_path="x"))


@given(
    st.lists(st.tuples(st.integers(-1, 6), st.lists(st.integers(0, 6), max_size=5), st.floats(0, 20)), max_size=12),
)
def test_any_answer_ends_once(steps: list[tuple[int, list[int], float]]) -> None:
    made = assembly()
    now = 0.0
    for total, numbers, wait in steps:
        made.add("nvr", 17, total, [item(number) for number in numbers], now)
        now += wait
        made.tick(now)
    made.tick(now + 200)
    (done,) = made.events()
    ids = [one.device_id for one in done.items]
    assert len(ids) == len(set(ids))
    if done.is_complete:
        assert done.total == len(ids)
    assert (len(made), made.timer()) == (0, None)
