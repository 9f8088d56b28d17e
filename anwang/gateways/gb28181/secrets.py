"""Passwords of single devices, sealed in the state store and open in memory; who has none uses the domain's."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Column, LargeBinary, Table, Text

from anwang.kernel.errors import Invalid
from anwang.runtime.clock import Clock
from anwang.runtime.secrets import Sealer
from anwang.stores.state import Moment, State, metadata, sealed, upsert

LONGEST = 128

secret = Table(
    "gb28181_secret",
    metadata,
    Column("device_id", Text, primary_key=True),  # 20 digits
    Column("sealed_password", LargeBinary, nullable=False),  # sealed with the master key, context gb28181:<device_id>
    Column("changed_at", Moment, nullable=False),
)


class DeviceSecrets:
    """`of` is asked for every REGISTER, so all of them are in memory."""

    def __init__(self, *, state: State, sealer: Sealer, clock: Clock, domain: str | None) -> None:
        """domain: the password of devices without one of their own; None: such devices may not register."""
        self._state = state
        self._sealer = sealer
        self._clock = clock
        self._domain = domain
        self._own: dict[str, str] = {}

    async def load(self) -> None:
        """Read them all. Raises Unavailable where a password's key is not in the key file."""
        async with self._state.read() as tx:
            rows = (await tx.execute(sa.select(secret))).all()
        self._own = {row.device_id: self._opened(row) for row in rows}

    def _opened(self, row: sa.Row[tuple[object, ...]]) -> str:
        return self._sealer.open(row.sealed_password, context=_context(row.device_id)).decode()

    def of(self, device: str) -> str | None:
        """The password a device must know."""
        return self._own.get(device, self._domain)

    def has_own(self, device: str) -> bool:
        """Whether the domain's password is not enough for this one."""
        return device in self._own

    async def put(self, device: str, password: str) -> None:
        """Give a device a password of its own. Raises Invalid."""
        if not 1 <= len(password) <= LONGEST or any(ord(c) < 32 for c in password):
            raise Invalid(f"a device's password has 1 to {LONGEST} characters, none of them a control character")
        row = {
            "device_id": device,
            "sealed_password": self._sealer.seal(password.encode(), context=_context(device)),
            "changed_at": self._clock.now(),
        }
        async with self._state.begin() as tx:
            await upsert(tx, secret, [row], key_columns=["device_id"], update_columns=["sealed_password", "changed_at"])
        self._own[device] = password

    async def drop(self, device: str) -> None:
        """Back to the domain's password."""
        async with self._state.begin() as tx:
            await tx.execute(sa.delete(secret).where(secret.c.device_id == device))
        self._own.pop(device, None)


def _context(device: str) -> str:
    return f"gb28181:{device}"


async def reseal(state: State, sealer: Sealer) -> int:
    """Every password with the newest key: see `stores.state.reseal`."""
    return await sealed.reseal(state, sealer, secret, key="device_id", context=_context)
