"""The promises of the bus, in one process and over NATS JetStream."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nats
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anwang.kernel.errors import Conflict, Denied, Exhausted, Internal, Invalid, Unavailable
from anwang.stores.bus import (
    LARGEST_PAYLOAD,
    Bus,
    Event,
    Lagged,
    LocalBus,
    Message,
    check_filter,
    check_subject,
    matches,
    open_bus,
)
from anwang.stores.bus.log import BLOCK, HEAD, pack, unpack
from anwang.stores.bus.nats import NatsBus
from anwang.stores.bus.port import OK, pack_error, unpack_reply
from tests.conftest import listening, missing

NATS = "nats://127.0.0.1:4222"
KEEP = 40


class Bench:
    """One bus, and a way to close and open it again with the same window."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self._folder = folder
        self.stream = f"test_{uuid.uuid4().hex[:12]}"
        self._open: list[Bus] = []

    async def open(self) -> Bus:
        bus: Bus
        if self.kind == "local":
            bus = await LocalBus.open(self._folder, keep=KEEP, ring=8)
        else:
            bus = await NatsBus.open(NATS, stream=self.stream, keep=KEEP)
        self._open.append(bus)
        return bus

    async def close(self) -> None:
        for bus in self._open:
            await bus.close()
        if self.kind == "nats":
            client = await nats.connect(NATS)
            with suppress(nats.js.errors.NotFoundError):
                await client.jetstream().delete_stream(self.stream)
            await client.close()


@pytest.fixture(params=["local", "nats"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    if request.param == "nats" and not listening(4222):
        missing("NATS on 127.0.0.1:4222")
    made = Bench(request.param, tmp_path / "bus")
    yield made
    await made.close()


@pytest.fixture
async def bus(bench: Bench) -> Bus:
    return await bench.open()


async def take(events: AsyncIterator[Event], count: int) -> list[Event]:
    async with asyncio.timeout(20):
        return [await anext(events) for _ in range(count)]


def payloads(events: list[Event]) -> list[bytes]:
    assert all(isinstance(event, Message) for event in events), events
    return [event.payload for event in events if isinstance(event, Message)]


async def fill(bus: Bus, start: int, count: int, subject: str = "alarm.raised") -> list[int]:
    return [await bus.publish(subject, b"%d" % number) for number in range(start, start + count)]


def texts(start: int, count: int) -> list[bytes]:
    return [b"%d" % number for number in range(start, start + count)]


async def test_messages_arrive_in_order_with_growing_numbers(bus: Bus) -> None:
    await bus.publish("alarm.raised", b"before")
    async with bus.subscribe("alarm.*") as events:
        numbers = await fill(bus, 0, 30)
        await bus.publish("alarm.raised.deep", b"other")
        await bus.publish("hit.raised", b"other")
        numbers.append(await bus.publish("alarm.closed", b"last"))
        got = await take(events, 31)
    assert payloads(got) == [*texts(0, 30), b"last"]
    assert [event.seq for event in got if isinstance(event, Message)] == numbers == sorted(set(numbers))
    last = got[-1]
    assert isinstance(last, Message)
    assert last.subject == "alarm.closed"
    assert last.at.tzinfo is UTC
    assert abs(last.at - datetime.now(UTC)) < timedelta(minutes=1)


async def test_a_subscriber_hears_of_what_comes_while_it_waits(bus: Bus) -> None:
    async with bus.subscribe(">") as events:
        waiting = asyncio.ensure_future(take(events, 1))
        await asyncio.sleep(0)
        await bus.publish("a", b"x")
        assert payloads(await waiting) == [b"x"]


async def test_each_subscriber_gets_everything_it_asked_for(bus: Bus) -> None:
    async with bus.subscribe("a.>") as one, bus.subscribe("b.>") as two, bus.subscribe(">") as three:
        for number in range(6):
            await bus.publish(f"{'ab'[number % 2]}.{number}", b"%d" % number)
        assert payloads(await take(one, 3)) == [b"0", b"2", b"4"]
        assert payloads(await take(two, 3)) == [b"1", b"3", b"5"]
        assert payloads(await take(three, 6)) == texts(0, 6)


async def test_a_cursor_replays_what_came_later_then_goes_on_live(bus: Bus) -> None:
    numbers = await fill(bus, 0, 20)
    for seen in (0, 5, 11, 19):
        async with bus.subscribe("alarm.raised", after=numbers[seen]) as events:
            numbers += await fill(bus, len(numbers), 1)
            assert payloads(await take(events, len(numbers) - seen - 1)) == texts(seen + 1, len(numbers) - seen - 1)
    async with bus.subscribe("nothing.else", after=numbers[0]) as events:
        await bus.publish("nothing.else", b"only")
        assert payloads(await take(events, 1)) == [b"only"]


async def test_a_cursor_survives_a_restart_and_numbers_never_restart(bench: Bench) -> None:
    bus = await bench.open()
    numbers = await fill(bus, 0, 10)
    await bus.close()
    bus = await bench.open()
    async with bus.subscribe("alarm.raised", after=numbers[3]) as events:
        later = await fill(bus, 10, 3)
        assert payloads(await take(events, 9)) == texts(4, 9)
    assert later[0] > numbers[-1]


async def test_a_cursor_older_than_the_window_is_told_what_it_lost(bus: Bus) -> None:
    numbers = await fill(bus, 0, 4 * KEEP)
    async with bus.subscribe("alarm.raised", after=numbers[0]) as events:
        lag, *rest = await take(events, KEEP + 1)
        assert isinstance(lag, Lagged)
        first = rest[0]
        assert isinstance(first, Message)
        assert lag.count == first.seq - numbers[0] - 1
        assert payloads(rest) == texts(first.seq - numbers[0], KEEP)
    assert 4 * KEEP - 2 * KEEP <= lag.count + 1 <= 4 * KEEP - KEEP


async def test_a_slow_subscriber_is_told_too_and_goes_on(bus: Bus) -> None:
    async with bus.subscribe("alarm.raised") as events:
        await fill(bus, 0, 1)
        assert payloads(await take(events, 1)) == [b"0"]
        await fill(bus, 1, 5 * KEEP)
        got: list[Event] = []
        while not got or payload_of(got[-1]) != b"%d" % (5 * KEEP):
            got += await take(events, 1)
        lags = [event.count for event in got if isinstance(event, Lagged)]
        seen = [event.seq for event in got if isinstance(event, Message)]
        assert lags
        assert sum(lags) + len(seen) == 5 * KEEP
        assert seen == sorted(set(seen))
        assert len(seen) >= KEEP


def payload_of(event: Event) -> bytes | None:
    return event.payload if isinstance(event, Message) else None


async def test_a_cursor_from_another_bus_is_noticed(bus: Bus) -> None:
    (number,) = await fill(bus, 0, 1)
    async with bus.subscribe(">", after=number + 1_000_000) as events:
        await fill(bus, 1, 1)
        lag, message = await take(events, 2)
    assert lag == Lagged(1_000_000)
    assert payloads([message]) == [b"1"]


async def test_bad_subjects_and_large_payloads_are_refused(bus: Bus) -> None:
    for subject in ("", ".", "a.", ".a", "a..b", "a.*", ">", "a b", "安", "a\n", "x" * 300):
        with pytest.raises(Invalid):
            await bus.publish(subject, b"")
        with pytest.raises(Invalid):
            await bus.request(subject, b"", timeout_s=1)
    for text in ("", "a.", "a.>.b", "a*", "a b", ">.a"):
        with pytest.raises(Invalid):
            async with bus.subscribe(text):
                pass
    with pytest.raises(Invalid):
        await bus.publish("a", b"x" * (LARGEST_PAYLOAD + 1))
    await bus.publish("a", b"x" * LARGEST_PAYLOAD)


async def test_a_request_gets_its_answer_or_its_error(bus: Bus) -> None:
    async def double(payload: bytes) -> bytes:
        if payload == b"refuse":
            raise Denied("not this one", "another")
        if payload == b"break":
            raise ZeroDivisionError
        if payload == b"hang":
            await asyncio.Event().wait()
        return payload * 2

    with pytest.raises(Unavailable, match="nobody"):
        await bus.request("ptz.move", b"x", timeout_s=5)
    service = await bus.serve("ptz.move", double)
    answers = await asyncio.gather(*(bus.request("ptz.move", b"%d" % n, timeout_s=10) for n in range(20)))
    assert answers == [b"%d%d" % (n, n) for n in range(20)]
    with pytest.raises(Denied, match="not this one") as denied:
        await bus.request("ptz.move", b"refuse", timeout_s=5)
    assert denied.value.hint == "another"
    with pytest.raises(Internal, match="ZeroDivisionError"):
        await bus.request("ptz.move", b"break", timeout_s=5)
    with pytest.raises(Unavailable, match="answer"):
        await bus.request("ptz.move", b"hang", timeout_s=0.05)
    stopping = asyncio.create_task(service.stop())
    async with asyncio.timeout(10):
        while True:
            await asyncio.sleep(0)
            try:
                await bus.request("ptz.move", b"x", timeout_s=5)
            except Unavailable as err:
                if "nobody" in err.reason:
                    break
    stopping.cancel()
    await asyncio.gather(stopping, return_exceptions=True)


async def test_the_setting_names_the_engine(bench: Bench, tmp_path: Path) -> None:
    url = "local:" if bench.kind == "local" else f"{NATS}/{bench.stream}"
    bus = await open_bus(url, folder=tmp_path / "bus")
    assert type(bus) is (LocalBus if bench.kind == "local" else NatsBus)
    assert await bus.publish("a", b"x") > 0
    await bus.close()
    with pytest.raises(Unavailable):
        await bus.publish("a", b"x")
    for bad in ("", "amqp://x", "nats:"):
        with pytest.raises(Invalid):
            await open_bus(bad, folder=tmp_path / "bus")
    with pytest.raises(Unavailable):
        await open_bus("nats://127.0.0.1:1", folder=tmp_path)


class TestOnlyNats:
    """What the old server must really have understood."""

    @pytest.fixture
    async def bench(self, tmp_path: Path) -> AsyncIterator[Bench]:
        if not listening(4222):
            missing("NATS on 127.0.0.1:4222")
        made = Bench("nats", tmp_path)
        yield made
        await made.close()

    async def test_the_server_has_the_configuration_we_asked_for(self, bench: Bench, bus: Bus) -> None:
        client = await nats.connect(NATS)
        js = client.jetstream()
        stream = (await js.stream_info(bench.stream)).config
        assert stream.subjects == [f"{bench.stream}.on.>"]
        assert (stream.max_msgs, stream.storage, stream.discard, stream.retention) == (KEEP, "file", "old", "limits")
        numbers = await fill(bus, 0, 3)
        async with bus.subscribe("alarm.*", after=numbers[0]):
            (consumer,) = await js.consumers_info(bench.stream)
            config = consumer.config
            assert config.filter_subject == f"{bench.stream}.on.alarm.*"
            assert not config.filter_subjects
            assert (config.deliver_policy, config.opt_start_seq) == ("by_start_sequence", numbers[1])
            assert (config.ack_policy, config.mem_storage, config.inactive_threshold) == ("none", True, 60)
        assert await js.consumers_info(bench.stream) == []  # gone with its subscriber
        wider = await NatsBus.open(NATS, stream=bench.stream, keep=KEEP * 2)
        assert (await js.stream_info(bench.stream)).config.max_msgs == KEEP * 2
        await wider.close()
        await client.close()

    async def test_a_consumer_that_the_server_forgot_is_made_again(self, bench: Bench, bus: Bus) -> None:
        client = await nats.connect(NATS)
        js = client.jetstream()
        async with bus.subscribe("alarm.raised") as events:
            await fill(bus, 0, 1)
            assert payloads(await take(events, 1)) == [b"0"]
            (consumer,) = await js.consumers_info(bench.stream)
            await js.delete_consumer(bench.stream, consumer.name)
            await fill(bus, 1, 2)
            assert payloads(await take(events, 2)) == texts(1, 2)
        await client.close()

    async def test_two_processes_share_one_bus(self, bench: Bench, bus: Bus) -> None:
        other = await bench.open()

        async def who(_payload: bytes) -> bytes:
            return b"other"

        await other.serve("who", who)
        assert await bus.request("who", b"", timeout_s=5) == b"other"
        async with bus.subscribe("a") as events:
            await other.publish("a", b"x")
            assert payloads(await take(events, 1)) == [b"x"]


class TestOnlyLocal:
    """What the window on disk promises."""

    async def test_a_torn_tail_is_cut_and_numbers_go_on(self, tmp_path: Path) -> None:
        bus = await LocalBus.open(tmp_path, keep=100)
        numbers = await fill(bus, 0, 5)
        (path,) = tmp_path.glob("bus-*.log")
        whole = path.read_bytes()
        for cut in range(1, 40):  # no close(): as after kill -9 or power loss
            path.write_bytes(whole[:-cut])
            again = await LocalBus.open(tmp_path, keep=100)
            async with again.subscribe(">", after=0) as events:
                number = await again.publish("alarm.raised", b"new")
                got = payloads(await take(events, 5))
            assert number > numbers[-1]
            assert got[:4] == texts(0, 4)
            assert got[4] == b"new"
            assert again._log.torn_bytes > 0 or cut == len(whole) // 5
            for extra in tmp_path.glob("bus-*.log"):
                if extra != path:
                    extra.unlink()
        await bus.close()

    async def test_numbers_are_reserved_before_they_are_used(self, tmp_path: Path) -> None:
        bus = await LocalBus.open(tmp_path, keep=10, volatile=["cursor.>"])
        last = [await bus.publish("cursor.moved", b"") for _ in range(3 * BLOCK)][-1]
        again = await LocalBus.open(tmp_path, keep=10)  # the first never closed: it crashed
        assert last < await again.publish("a", b"") <= last + BLOCK + 1
        await again.close()
        third = await LocalBus.open(tmp_path, keep=10)
        assert await third.publish("a", b"") == again._log.last + 1  # a clean end leaves no hole
        await third.close()

    async def test_volatile_subjects_are_live_only_and_their_loss_is_told(self, tmp_path: Path) -> None:
        bus = await LocalBus.open(tmp_path, keep=100, ring=8, volatile=["cursor.>"])
        async with bus.subscribe(">") as events:
            await bus.publish("cursor.moved", b"c")
            await bus.publish("a", b"a")
            assert payloads(await take(events, 2)) == [b"c", b"a"]
            for number in range(20):
                await bus.publish("cursor.moved" if number % 2 else "a", b"%d" % number)
            got: list[Event] = []
            while sum(event.count if isinstance(event, Lagged) else 1 for event in got) < 20:
                got += await take(events, 1)
        assert sum(event.count for event in got if isinstance(event, Lagged)) == 6  # 12 left the ring, half volatile
        await bus.close()
        again = await LocalBus.open(tmp_path, keep=100)
        async with again.subscribe(">", after=0) as events:
            await again.publish("end", b"end")
            lag, *kept = await take(events, 13)
        assert lag == Lagged(1)  # the number before the oldest kept one was a volatile message's
        assert {event.subject for event in kept if isinstance(event, Message)} == {"a", "end"}
        await again.close()

    async def test_the_files_stay_bounded(self, tmp_path: Path) -> None:
        bus = await LocalBus.open(tmp_path, keep=80)
        await fill(bus, 0, 1000)
        assert 80 <= sum(file.count for file in bus._log._files) <= 100
        assert len(list(tmp_path.glob("bus-*.log"))) == len(bus._log._files) <= 10
        await bus.close()

    async def test_a_full_disk_gives_out_no_number(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import anwang.stores.bus.log as log

        bus = await LocalBus.open(tmp_path, keep=80)
        (first,) = await fill(bus, 0, 1)
        real = log.os.write
        monkeypatch.setattr(log.os, "write", lambda descriptor, data: real(descriptor, data[:7]))
        with pytest.raises(Unavailable, match="full"):
            await bus.publish("alarm.raised", b"lost")
        monkeypatch.undo()
        assert await fill(bus, 1, 1) == [first + 1]
        async with bus.subscribe(">", after=0) as events:
            assert payloads(await take(events, 2)) == texts(0, 2)
        await bus.close()

    async def test_a_subject_has_one_service_and_it_is_bounded(self, tmp_path: Path) -> None:
        bus = await LocalBus.open(tmp_path)
        release = asyncio.Event()

        async def wait(payload: bytes) -> bytes:
            await release.wait()
            return payload

        service = await bus.serve("a", wait)
        with pytest.raises(Conflict):
            await bus.serve("a", wait)
        running = [asyncio.create_task(bus.request("a", b"", timeout_s=20)) for _ in range(256)]
        await asyncio.sleep(0)
        with pytest.raises(Exhausted):
            await bus.request("a", b"", timeout_s=20)
        stopping = asyncio.create_task(service.stop())
        release.set()
        await stopping
        assert await asyncio.gather(*running) == [b""] * 256
        await bus.close()


WORDS = st.text(alphabet="abAZ09_-", min_size=1, max_size=3)
SUBJECTS = st.lists(WORDS, min_size=1, max_size=4).map(".".join)


@given(SUBJECTS, st.data())
def test_a_filter_made_from_a_subject_matches_it(subject: str, data: st.DataObject) -> None:
    words = subject.split(".")
    for index in data.draw(st.lists(st.integers(0, len(words) - 1), max_size=3)):
        words[index] = "*"
    assert matches(check_filter(".".join(words)), check_subject(subject))
    cut = data.draw(st.integers(0, len(words) - 1))
    assert matches(check_filter(".".join([*words[:cut], ">"])), subject)
    assert not matches(".".join([*words, ">"]), subject)
    assert not matches(".".join([*words, "*"]), subject)
    assert not matches(subject, subject + ".x")


@given(st.text(max_size=30))
def test_any_text_is_a_subject_or_invalid(text: str) -> None:
    for check in (check_subject, check_filter):
        with suppress(Invalid):
            assert check(text) == text
            assert " " not in text


@given(st.binary(max_size=200))
def test_random_bytes_are_no_record_and_never_worse(data: bytes) -> None:
    assert unpack(data, 0) is None or len(data) > HEAD.size
    with suppress(Unavailable, Invalid, Denied, Internal, Conflict, Exhausted):
        unpack_reply(data)


@given(SUBJECTS, st.binary(max_size=200), st.integers(0, 1 << 60), st.integers(0, 7))
def test_a_record_comes_back_and_a_changed_one_does_not(subject: str, payload: bytes, seq: int, bit: int) -> None:
    message = Message(seq, subject, payload, datetime(2026, 11, 22, 8, 0, 0, 5, tzinfo=UTC))
    record = pack(message)
    assert unpack(b"x" + record + b"y", 1) == (message, len(record) + 1)
    for index in range(4, len(record)):
        broken = bytearray(record)
        broken[index] ^= 1 << bit
        assert unpack(bytes(broken), 0) is None
    assert unpack(record[:-1], 0) is None


def test_errors_travel() -> None:
    assert unpack_reply(OK + b"x") == b"x"
    with pytest.raises(Denied, match="why") as denied:
        unpack_reply(pack_error(Denied("why", "what")))
    assert denied.value.hint == "what"
