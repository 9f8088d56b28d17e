"""Passwords, and how often one may guess.

Guessing is slowed per (account, source), per account and per source. What slows an account as a whole does not touch
sources from which its owner has signed in before, and every wait has an end: nobody can lock another out for good.
A source is an IPv4 address or an IPv6 /64.
"""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
import secrets
import unicodedata
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from anwang.kernel.errors import Exhausted, Invalid
from anwang.runtime.clock import Clock

R = TypeVar("R")
SHORTEST, LONGEST = 10, 256

_FIRST_GUESSED = """
    1234567890 0123456789 12345678910 123456789a a123456789 1q2w3e4r5t 1qaz2wsx3edc q1w2e3r4t5 1qaz@wsx3edc qwertyuiop
    qwertyuiop123 asdfghjkl1 asdfghjkl123 zxcvbnm123 password12 password123 password1234 passw0rd123 p@ssw0rd123
    p@ssword123 p@ssw0rd1234 password@123 administrator administrator1 admin12345 admin123456 admin@12345 admin@123456
    adminadmin root123456 rootroot123 welcome123 welcome1234 changeme123 changeme1234 letmein1234 iloveyou123
    woaini1314520
    woaini520520 abcd123456 abcdefghij abc1234567 abc123456789 abcd1234567 aa12345678 aa123456789 a1b2c3d4e5 qwer123456
    qwer1234567 qwe123456789 5201314520 1314520520 hikvision123 hik12345678 hik123456789 dahua123456 admin_123456
    camera123456 video123456 anwang12345 anwang123456 anwang1234567 shipin123456 jiankong123 public12345 test123456
    testtest123 guest123456 monitor1234 security123 operator123 system12345 default1234 1122334455 1234512345 0987654321
    9876543210 147258369a 1472583690 1597534682 7418529630 qazwsxedcr qazwsxedc123
"""
_COMMON = frozenset(_FIRST_GUESSED.split())


def normal_name(text: str) -> str:
    """A user name as it is kept and compared. Raises Invalid."""
    name = unicodedata.normalize("NFKC", text).strip().casefold()
    if not 2 <= len(name) <= 64 or not all(letter.isalnum() or letter in "._-@" for letter in name):
        raise Invalid("a user name has 2 to 64 letters, digits or . _ - @", "for example li.wei")
    return name


def check_password(password: str, *, username: str) -> None:
    """Raises Invalid, saying which rule a new password breaks."""
    plain = unicodedata.normalize("NFKC", password).casefold()
    hint = f"use at least {SHORTEST} characters that nobody would guess: four unrelated words, for example"
    if len(password) < SHORTEST:
        raise Invalid(f"the password is shorter than {SHORTEST} characters", hint)
    if len(password) > LONGEST:
        raise Invalid(f"the password is longer than {LONGEST} characters", "shorten it")
    if plain in _COMMON or len(set(plain)) < 4 or _is_a_run(plain):
        raise Invalid("the password is among the first that are guessed", hint)
    if username and username.casefold() in plain and len(plain) - len(username) < SHORTEST - 2:
        raise Invalid("the password is little more than the user name", hint)


def _is_a_run(text: str) -> bool:
    steps = {ord(after) - ord(before) for before, after in itertools.pairwise(text)}
    return len(steps) == 1 and abs(next(iter(steps))) <= 1


class Passwords:
    """Argon2id (RFC 9106) in threads, a few at a time: each hash takes memory_kib of memory and its time.

    at_once and waiting bound what a flood of sign-ins can cost; beyond them a sign-in is refused with Exhausted.
    """

    def __init__(self, *, time_cost: int = 2, memory_kib: int = 19 * 1024, at_once: int = 2, waiting: int = 64) -> None:
        self._hasher = PasswordHasher(time_cost=time_cost, memory_cost=memory_kib, parallelism=1)
        self._turns = asyncio.Semaphore(at_once)
        self._bound = at_once + waiting
        self._inside = 0
        self._nobody = self._hasher.hash(secrets.token_hex(16))
        self.verified = 0  # hashes compared since the start, those of unknown users too
        self.refused = 0  # sign-ins turned away because too many waited

    async def hash(self, password: str) -> str:
        """The encoded hash to keep."""
        return await self._work(lambda: self._hasher.hash(_canonical(password)))

    async def verify(self, encoded: str | None, password: str) -> bool:
        """Whether the password fits. encoded None (no such user) costs the same and is never right."""

        def compare() -> bool:
            try:
                self._hasher.verify(encoded or self._nobody, _canonical(password))
            except (VerifyMismatchError, VerificationError, InvalidHashError):
                return False
            return encoded is not None

        self.verified += 1
        return await self._work(compare)

    def is_outdated(self, encoded: str) -> bool:
        """Whether it was made with other parameters than these."""
        return self._hasher.check_needs_rehash(encoded)

    async def _work(self, job: Callable[[], R]) -> R:
        if self._inside >= self._bound:
            self.refused += 1
            raise Exhausted("too many people sign in at this moment", "try again in a few seconds")
        self._inside += 1
        try:
            async with self._turns:
                return await asyncio.to_thread(job)
        finally:
            self._inside -= 1


def _canonical(password: str) -> str:
    # the same keys give the same password on every keyboard and system; an absurd length never reaches the hash
    return unicodedata.normalize("NFKC", password[: LONGEST * 4])


def source_of(address: str) -> str:
    """The address that guesses are counted for: IPv6 by /64, anything unparsable as one."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


@dataclass(frozen=True, slots=True)
class Allowance:
    """free: wrong guesses that cost nothing; then waits of first_s, doubled each time, up to longest_s; all is
    forgotten forget_s after the last."""

    free: int
    first_s: float
    longest_s: float
    forget_s: float


PAIR = Allowance(5, 2.0, 900.0, 3600.0)
ACCOUNT = Allowance(20, 2.0, 300.0, 1800.0)
SOURCE = Allowance(30, 1.0, 60.0, 600.0)


@dataclass(slots=True)
class _Guesses:
    wrong: int
    until: float
    forget: float


class Throttle:
    """Counts wrong guesses in this process's memory; at most `bound` keys, the longest unused forgotten first."""

    def __init__(self, *, clock: Clock, bound: int = 50_000) -> None:
        self._clock = clock
        self._bound = bound
        self._guesses: OrderedDict[tuple[str, str], _Guesses] = OrderedDict()
        self.refused = 0

    def check(self, username: str, source: str, *, is_known: bool) -> None:
        """Raises Exhausted while a wait lasts. is_known: the account's owner has signed in from there before."""
        now = self._clock.monotonic()
        wait = max(self._wait(key, now) for key, _ in self._keys(username, source, is_known=is_known))
        if wait > 0:
            self.refused += 1
            raise Exhausted("too many wrong passwords", f"try again in {int(wait) + 1} s")

    def count(self, username: str, source: str) -> None:
        """Count a guess before it is compared, so that many at once gain nothing; a right one is taken back."""
        now = self._clock.monotonic()
        for key, allowance in self._keys(username, source, is_known=False):
            guesses = self._guesses.get(key)
            if guesses is None or guesses.forget <= now:
                guesses = self._guesses[key] = _Guesses(0, 0.0, 0.0)
            guesses.wrong += 1
            beyond = guesses.wrong - allowance.free
            if beyond > 0:
                guesses.until = now + min(allowance.first_s * 2 ** min(beyond - 1, 30), allowance.longest_s)
            guesses.forget = now + allowance.forget_s
            self._guesses.move_to_end(key)
        while len(self._guesses) > self._bound:
            self._guesses.popitem(last=False)

    def take_back(self, username: str, source: str) -> None:
        """The guess just counted was never compared."""
        for key, allowance in self._keys(username, source, is_known=False):
            guesses = self._guesses.get(key)
            if guesses is not None:
                guesses.wrong -= 1
                if guesses.wrong <= allowance.free:
                    guesses.until = 0.0

    def succeeded(self, username: str, source: str) -> None:
        """The guess was right: the pair and the account start anew; the source's other guesses stay counted."""
        self.take_back(username, source)
        self._guesses.pop((username, source), None)
        self._guesses.pop((username, ""), None)

    def _wait(self, key: tuple[str, str], now: float) -> float:
        guesses = self._guesses.get(key)
        return 0.0 if guesses is None else guesses.until - now

    @staticmethod
    def _keys(username: str, source: str, *, is_known: bool) -> list[tuple[tuple[str, str], Allowance]]:
        keys = [((username, source), PAIR), (("", source), SOURCE)]
        return keys if is_known else [*keys, ((username, ""), ACCOUNT)]
