"""Reading many datagrams at once: what comes is what was sent, from whom, at the pace that was asked for."""

from __future__ import annotations

import asyncio
import socket

import pytest

from anwang.media.child.datagrams import BATCH, SLOT_BYTES, Batch, Rounds


def pair(family: int = socket.AF_INET) -> tuple[socket.socket, socket.socket]:
    """(receiver, sender)."""
    host = "127.0.0.1" if family == socket.AF_INET else "::1"
    receiver, sender = (socket.socket(family, socket.SOCK_DGRAM) for _ in range(2))
    receiver.bind((host, 0))
    sender.connect(receiver.getsockname())
    return receiver, sender


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_batch_is_what_was_sent(family: int) -> None:
    receiver, sender = pair(family)
    other = socket.socket(family, socket.SOCK_DGRAM)
    batch = Batch(family)
    sent = [b"", b"a" * 1412, b"b" * 65_000, b"c"]
    for datagram in sent:
        sender.send(datagram)
    assert batch.read(receiver.fileno()) == len(sent)
    assert [batch.datagram(number) for number in range(len(sent))] == sent
    assert bytes(batch.memory[SLOT_BYTES : SLOT_BYTES + 1412]) == sent[1]
    assert {batch.source(number) for number in range(len(sent))} == {sender.getsockname()[:2]}
    assert batch.is_all_from(batch.name(0))
    sender.send(b"d")
    other.sendto(b"e", receiver.getsockname())
    known = batch.name(0)
    assert batch.read(receiver.fileno()) == 2
    assert not batch.is_all_from(known)
    assert batch.source(1)[1] == other.getsockname()[1]
    with pytest.raises(BlockingIOError):
        batch.read(receiver.fileno())
    for one in (receiver, sender, other):
        one.close()


def test_a_round_reads_all_there_is_and_ends_with_its_socket() -> None:
    async def run() -> None:
        receiver, sender = pair()
        rounds, done = Rounds(), asyncio.Event()
        got: list[bytes] = []

        def received(batch: Batch) -> None:
            got.extend(batch.datagram(number) for number in range(len(batch.sizes)))
            if len(got) == wanted:
                rounds.remove(receiver)  # in the midst of it, as a stream that ends does
                receiver.close()
                done.set()

        wanted = 2 * BATCH
        rounds.add(receiver, received, lambda err: pytest.fail(str(err)))
        rounds.pace(receiver, True)
        rounds.pace(receiver, False)
        for number in range(wanted):
            sender.send(b"%d" % number)
        async with asyncio.timeout(30):
            await done.wait()
        assert got == [b"%d" % number for number in range(wanted)]
        sender.close()

    asyncio.run(run())


def test_what_may_wait_is_read_too() -> None:
    async def run() -> None:
        receiver, sender = pair()
        rounds, done = Rounds(), asyncio.Event()
        rounds.add(receiver, lambda batch: done.set(), lambda err: pytest.fail(str(err)))
        rounds.pace(receiver, True)
        sender.send(b"x")
        async with asyncio.timeout(30):
            await done.wait()
        called = asyncio.Event()
        rounds.later(called.set)
        async with asyncio.timeout(30):
            await called.wait()
        rounds.remove(receiver)
        receiver.close()
        sender.close()

    asyncio.run(run())
