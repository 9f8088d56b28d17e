"""Passwords and the throttle."""

from __future__ import annotations

import asyncio

import pytest

from anwang.governance.signin import ACCOUNT, PAIR, SOURCE, Passwords, Throttle, check_password, normal_name, source_of
from anwang.kernel.errors import Exhausted, Invalid
from anwang.runtime.clock import FakeClock
from tests.governed import cheap


@pytest.mark.parametrize(
    "password",
    ["short", "123456789", "1234567890", "Passw0rd123", "aaaaaaaaaaaa", "abababababab", "abcdefghijklm",
     "li.wei.li.wei",
     "li.wei2026", "x" * 300, "jihgfedcba"],
)  # fmt: skip
def test_a_weak_password_is_refused(password: str) -> None:
    with pytest.raises(Invalid):
        check_password(password, username="li.wei")


@pytest.mark.parametrize(
    "password", ["correct horse battery", "安全的四个不相关的词语", "tr0ub4dor&3x", "li.wei und die Elbe"]
)
def test_a_good_password_is_taken(password: str) -> None:
    check_password(password, username="li.wei")


def test_names_are_compared_in_one_form() -> None:
    assert normal_name(" Li.WEI ") == normal_name("ｌｉ．wei") == "li.wei"
    for wrong in ("", "a", "a b", "x" * 65, "a\nb", "<b>"):
        with pytest.raises(Invalid):
            normal_name(wrong)


async def test_unknown_users_cost_the_same_and_never_fit() -> None:
    passwords = cheap()
    known = await passwords.hash("correct horse battery")
    assert await passwords.verify(known, "correct horse battery")
    assert not await passwords.verify(known, "wrong horse battery")
    assert not await passwords.verify(None, "wrong horse battery")
    assert not await passwords.verify("not a hash", "x")
    assert passwords.verified == 4
    assert passwords.is_outdated(known) is False
    assert Passwords(time_cost=2, memory_kib=16).is_outdated(known)


async def test_a_flood_of_sign_ins_is_bounded() -> None:
    passwords = Passwords(time_cost=1, memory_kib=8, at_once=1, waiting=1)
    answers = await asyncio.gather(*(passwords.verify(None, "x") for _ in range(5)), return_exceptions=True)
    assert [isinstance(answer, Exhausted) for answer in answers] == [False, False, True, True, True]
    assert passwords.refused == 3


def guess(throttle: Throttle, name: str, source: str, times: int) -> None:
    for _ in range(times):
        throttle.count(name, source)


async def test_the_wait_grows_and_ends() -> None:
    clock = FakeClock()
    throttle = Throttle(clock=clock)
    guess(throttle, "li", "a", PAIR.free)
    throttle.check("li", "a", is_known=False)
    waits = []
    for _ in range(12):
        throttle.count("li", "a")
        with pytest.raises(Exhausted, match="too many") as refused:
            throttle.check("li", "a", is_known=True)
        waits.append(int("".join(filter(str.isdigit, refused.value.hint))))
    assert waits == sorted(waits)
    assert waits[0] == PAIR.first_s + 1
    assert waits[-1] == PAIR.longest_s + 1
    await clock.advance(PAIR.longest_s)
    throttle.check("li", "a", is_known=False)
    await clock.advance(PAIR.forget_s)
    throttle.count("li", "a")
    throttle.check("li", "a", is_known=False)


async def test_guessing_from_many_places_does_not_lock_the_owner_out() -> None:
    clock = FakeClock()
    throttle = Throttle(clock=clock)
    for number in range(ACCOUNT.free + 12):
        throttle.count("li", f"attacker {number}")
    with pytest.raises(Exhausted):
        throttle.check("li", "another attacker", is_known=False)
    throttle.check("li", "the owner's desk", is_known=True)
    await clock.advance(ACCOUNT.longest_s)
    throttle.check("li", "anywhere", is_known=False)


async def test_one_source_guessing_many_names_is_slowed_for_a_minute_at_most() -> None:
    clock = FakeClock()
    throttle = Throttle(clock=clock)
    for number in range(SOURCE.free + 20):
        throttle.count(f"name {number}", "a")
    with pytest.raises(Exhausted):
        throttle.check("wang", "a", is_known=True)
    throttle.check("wang", "b", is_known=False)
    await clock.advance(SOURCE.longest_s)
    throttle.check("wang", "a", is_known=False)


async def test_right_passwords_cost_nothing() -> None:
    throttle = Throttle(clock=FakeClock())
    for _ in range(200):
        throttle.check("li", "office", is_known=False)
        throttle.count("li", "office")
        throttle.succeeded("li", "office")
    throttle.check("li", "office", is_known=False)


async def test_memory_is_bounded() -> None:
    throttle = Throttle(clock=FakeClock(), bound=30)
    guess(throttle, "li", "a", 50)
    for number in range(1000):
        throttle.count(f"n{number}", f"s{number}")
    assert len(throttle._guesses) <= 30


def test_sources() -> None:
    assert source_of("192.0.2.7") == source_of("::ffff:192.0.2.7") == "192.0.2.7"
    assert source_of("2001:db8:1:2::5") == source_of("2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
    assert source_of("") == source_of("x") == "unknown"
