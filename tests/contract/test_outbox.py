"""Facts that must arrive do, at least once; jobs have one holder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from anwang.kernel.errors import Conflict
from anwang.stores.state import Jobs, Outbox, Posted, Relay, State, migrate

START = datetime(2026, 11, 22, 8, tzinfo=UTC)
LEASE = timedelta(seconds=30)


class Hand:
    """A clock moved by the test."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> datetime:
        return self.at


class Receiver:
    """Takes what it gets, or fails for the topics it was told to."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.broken: set[str] = set()
        self.hang: set[str] = set()

    async def deliver(self, posted: Posted) -> None:
        if posted.topic in self.hang:
            await asyncio.Event().wait()
        if posted.topic in self.broken:
            raise OSError("receiver is away")
        self.got.append(posted.payload)


@pytest.fixture
async def ready(state: State) -> AsyncIterator[State]:
    await migrate(state)
    yield state


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def outbox(hand: Hand) -> Outbox:
    return Outbox(now=hand.now)


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def relay(ready: State, outbox: Outbox, receiver: Receiver, hand: Hand) -> Relay:
    return Relay(state=ready, outbox=outbox, deliver=receiver.deliver, now=hand.now, deliver_s=0.2)


async def post(state: State, outbox: Outbox, *payloads: bytes, topic: str = "alarms.raised") -> None:
    async with state.begin() as tx:
        for payload in payloads:
            await outbox.put(tx, topic, payload)


async def test_facts_leave_in_order_and_once(ready: State, outbox: Outbox, relay: Relay, receiver: Receiver) -> None:
    await post(ready, outbox, *(b"%d" % number for number in range(100)))
    while await relay.drain():
        pass
    assert receiver.got == [b"%d" % number for number in range(100)]
    assert await relay.drain() == 0
    assert await relay.waiting() == 0
    assert relay.delivered == 100


async def test_a_fact_of_a_rolled_back_transaction_never_leaves(ready: State, outbox: Outbox, relay: Relay) -> None:
    with pytest.raises(ZeroDivisionError):
        async with ready.begin() as tx:
            await outbox.put(tx, "alarms.raised", b"no")
            raise ZeroDivisionError
    assert await relay.drain() == 0


async def test_a_failing_receiver_is_tried_again_later_and_holds_nobody_up(
    ready: State, outbox: Outbox, relay: Relay, receiver: Receiver, hand: Hand
) -> None:
    receiver.broken = {"hits.raised"}
    receiver.hang = {"slow"}
    await post(ready, outbox, b"hit", topic="hits.raised")
    await post(ready, outbox, b"slow", topic="slow")
    await post(ready, outbox, b"alarm")
    await relay.drain()
    assert receiver.got == [b"alarm"]
    assert (relay.failed, await relay.waiting()) == (2, 2)
    assert await relay.drain() == 0  # not before its pause is over
    receiver.broken = receiver.hang = set()
    hand.at += timedelta(seconds=1)
    await relay.drain()
    assert receiver.got == [b"alarm", b"hit", b"slow"]


async def test_the_pause_grows_to_a_bound(
    ready: State, outbox: Outbox, relay: Relay, receiver: Receiver, hand: Hand
) -> None:
    receiver.broken = {"alarms.raised"}
    await post(ready, outbox, b"x")
    for attempt in range(12):
        assert await relay.drain() == 1, attempt
        hand.at += min(timedelta(seconds=2**attempt), timedelta(minutes=5)) - timedelta(microseconds=1)
        assert await relay.drain() == 0, attempt
        hand.at += timedelta(microseconds=1)


async def test_what_a_dead_relay_held_is_delivered_again(
    ready: State, outbox: Outbox, relay: Relay, receiver: Receiver, hand: Hand
) -> None:
    await post(ready, outbox, b"x")
    receiver.hang = {"alarms.raised"}
    dying = asyncio.create_task(relay._claim())
    assert len(await dying) == 1  # and then nothing more: it died
    receiver.hang = set()
    assert await relay.drain() == 0
    hand.at += timedelta(seconds=60)
    assert await relay.drain() == 1
    assert receiver.got == [b"x"]
    if ready.is_sqlite:  # nobody else can hold it, so a new start need not wait
        await post(ready, outbox, b"y")
        await relay._claim()
        await relay.take_over()
        assert await relay.drain() == 1


async def test_two_relays_do_not_deliver_the_same_row(
    ready: State, outbox: Outbox, relay: Relay, receiver: Receiver, hand: Hand
) -> None:
    other = Relay(state=ready, outbox=outbox, deliver=receiver.deliver, now=hand.now)
    await post(ready, outbox, *(b"%d" % number for number in range(300)))
    while sum(await asyncio.gather(relay.drain(), other.drain())):
        pass
    assert sorted(receiver.got, key=int) == [b"%d" % number for number in range(300)]


async def test_running_wakes_for_new_facts_and_forgets_old_ones(
    ready: State, outbox: Outbox, relay: Relay, receiver: Receiver, hand: Hand
) -> None:
    await post(ready, outbox, b"old")
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        runner = group.create_task(relay.run(pause_s=0.01))
        while receiver.got != [b"old"]:
            await asyncio.sleep(0.001)
        await post(ready, outbox, b"new")
        while receiver.got != [b"old", b"new"] or await relay.waiting():
            await asyncio.sleep(0.001)
        runner.cancel()
    assert await relay.forget() == 0
    hand.at += timedelta(days=3)
    assert await relay.forget() == 2


async def test_a_job_has_one_holder_and_keeps_its_cursor(ready: State, hand: Hand) -> None:
    jobs = Jobs(ready)
    await jobs.declare("match", first_due=START)
    await jobs.declare("match", first_due=START + timedelta(days=1))  # known already
    await jobs.declare("sweep", first_due=START + timedelta(hours=1))
    names = ["match", "sweep"]
    held = await jobs.claim(names=names, holder="a", now=START, lease=LEASE)
    assert held is not None
    assert (held.name, held.cursor, held.held_by) == ("match", None, "a")
    assert await jobs.claim(names=names, holder="b", now=START, lease=LEASE) is None
    await jobs.progress("match", holder="a", cursor=b"17", now=START, lease=LEASE)
    with pytest.raises(Conflict):
        await jobs.progress("match", holder="b", cursor=b"99", now=START, lease=LEASE)

    taken = await jobs.claim(names=names, holder="b", now=START + LEASE, lease=LEASE)  # "a" died
    assert taken is not None
    assert taken.cursor == b"17"
    with pytest.raises(Conflict):
        await jobs.finish("match", holder="a", now=START, due_at=START, cursor=b"18")
    later = START + timedelta(minutes=5)
    for failures in (1, 2):
        await jobs.finish("match", holder="b", now=later, due_at=later, cursor=b"18", error="engine is away")
        again = await jobs.claim(names=["match"], holder="b", now=later, lease=LEASE)
        assert again is not None
        assert (again.failures, again.last_error, again.cursor) == (failures, "engine is away", b"18")
    await jobs.finish("match", holder="b", now=later, due_at=later + timedelta(days=1), cursor=b"19")
    assert await jobs.claim(names=names, holder="b", now=later, lease=LEASE) is None
    await jobs.run_now("sweep", now=later)
    due = await jobs.claim(names=names, holder="b", now=later, lease=LEASE)
    assert due is not None
    assert due.name == "sweep"
    assert [(job.name, job.failures, job.last_error) for job in await jobs.all()] == [
        ("match", 0, None),
        ("sweep", 0, None),
    ]


async def test_many_holders_share_the_jobs_out(ready: State) -> None:
    jobs = Jobs(ready)
    names = [f"job {number}" for number in range(8)]
    for name in names:
        await jobs.declare(name, first_due=START)
    claimed = await asyncio.gather(
        *(jobs.claim(names=names, holder=f"holder {number}", now=START, lease=LEASE) for number in range(8))
    )
    got = [job.name for job in claimed if job is not None]
    assert len(got) == len(set(got)) > 0
