"""The second factor of an account: a secret that an app keeps, a code of it at each sign-in, none taken twice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from anwang.governance.factors import store, totp
from anwang.kernel.errors import Conflict, Denied, NotFound
from anwang.kernel.ids import UserId
from anwang.runtime.clock import Clock
from anwang.runtime.secrets import Sealer
from anwang.stores.state import State, Tx, sealed


@dataclass(frozen=True, slots=True)
class NewFactor:
    """What an app needs. Shown this once. address: for the square code."""

    secret: str
    address: str


@dataclass(slots=True, kw_only=True)
class SecondFactors:
    """issuer: what the app calls us."""

    state: State
    clock: Clock
    sealer: Sealer
    issuer: str

    async def begin(self, user_id: UserId, account: str) -> NewFactor:
        """A new secret; it counts from its first code on. Raises Conflict where there is one already."""
        secret = totp.new_secret()
        hidden = self.sealer.seal(secret.encode(), context=_context(user_id))
        async with self.state.begin() as tx:
            known = await store.factor(tx, user_id)
            if known is not None and known.is_confirmed:
                raise Conflict("this account has a second factor already", "remove it first")
            await store.put(tx, user_id, hidden, self.clock.now())
        return NewFactor(secret, totp.address(secret, issuer=self.issuer, account=account))

    async def confirm(self, user_id: UserId, code: str, *, first: Callable[[], Awaitable[None]]) -> None:
        """The app works. first: what must succeed for it to count. Raises NotFound, Conflict, Denied (wrong code)."""
        async with self.state.read() as tx:
            known = await store.factor(tx, user_id)
        if known is None:
            raise NotFound("no second factor was begun", "begin with a new secret")
        if known.is_confirmed:
            raise Conflict("this account has a second factor already", "remove it first")
        await self._use(user_id, known, code, first=first)

    async def is_on(self, user_id: UserId) -> bool:
        """Whether the account has one."""
        async with self.state.read() as tx:
            return bool(await store.confirmed(tx, [user_id]))

    async def which(self, users: Sequence[UserId]) -> set[str]:
        """Which of these accounts have one."""
        async with self.state.read() as tx:
            return await store.confirmed(tx, users)

    async def check(self, user_id: UserId, code: str) -> None:
        """Use up a code. Raises Denied: wrong, of another time, or used already."""
        async with self.state.read() as tx:
            known = await store.factor(tx, user_id)
        if known is None or not known.is_confirmed:
            raise NotFound("this account has no second factor")
        await self._use(user_id, known, code, first=None)

    async def remove(self, user_id: UserId) -> None:
        """It is not asked for any more. Raises NotFound."""
        async with self.state.begin() as tx:
            await self.drop(tx, user_id)

    async def drop(self, tx: Tx, user_id: UserId) -> None:
        """`remove`, with what else the transaction does. Raises NotFound."""
        if not await store.drop(tx, user_id):
            raise NotFound("this account has no second factor")

    async def _use(
        self, user_id: UserId, known: store.Factor, code: str, *, first: Callable[[], Awaitable[None]] | None
    ) -> None:
        secret = self.sealer.open(known.sealed, context=_context(user_id)).decode()
        now = self.clock.now()
        step = totp.step_of(secret, code, now.timestamp(), after=known.last_step)
        if step is not None:
            async with self.state.begin() as tx:
                if await store.take(tx, user_id, step, now, confirms=first is not None):
                    if first is not None:
                        await first()
                    return
        raise Denied("the code is wrong, or was used already", "wait for the next one; check your phone's clock")


async def reseal(state: State, sealer: Sealer) -> int:
    """Every secret with the newest key: see `stores.state.reseal`."""
    return await sealed.reseal(state, sealer, store.second_factors, key="user_id", context=_context)


def _context(user_id: str) -> str:
    return f"totp:{user_id}"
