"""Signs that tell of video systems (提示标识, article 13 of Regulation 799; domain.md G17): where they are, what they
say, a photo, and when somebody last looked whether they are still there.

A photo crosses stores: the object is written first, under a key of its own, then the row that names it; what the row
named before is deleted afterwards. A crash in between leaves an object that no row names, never a row without its
photo.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Protocol

from anwang.governance.actions import Action
from anwang.governance.duties import store
from anwang.governance.duties.model import IN_FORCE, Sign, SignId, SystemId
from anwang.governance.duties.photos import MOST_BYTES, photo_of
from anwang.governance.duties.service import Write
from anwang.governance.model import Actor, Page, scope_of
from anwang.governance.words import one_line
from anwang.kernel.errors import Conflict, Invalid, NotFound
from anwang.kernel.ids import uuid7
from anwang.kernel.times import civil_day
from anwang.runtime.clock import Clock
from anwang.stores.state import State, Tx

CHECK_DAYS = 365
CHINA = (73.5, 3.8, 135.1, 53.6)


class Photos(Protocol):
    """Where photos are kept; `stores.objects` fulfils it."""

    async def put(self, key: str, data: bytes | memoryview) -> None:
        """Keep one."""

    async def get(self, key: str) -> bytes:
        """Raises NotFound."""

    async def delete(self, keys: Sequence[str]) -> None:
        """Those that exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedSign:
    """What a sign shall be; see Sign."""

    place: str
    longitude: float | None
    latitude: float | None
    wording: str
    language: str
    contact: str
    checked_on: date


@dataclass(slots=True, kw_only=True)
class Signs:
    """Use cases."""

    state: State
    clock: Clock
    write: Write
    photos: Photos

    def today(self) -> date:
        """In China."""
        return civil_day(self.clock.now())

    def next_check_on(self, sign: Sign) -> date:
        """By when somebody must look again."""
        return sign.checked_on + timedelta(days=CHECK_DAYS)

    async def add(self, actor: Actor, system_id: str, wanted: WantedSign) -> Sign:
        """Enter a sign of a system. Raises Denied, NotFound (system), Invalid, Unavailable."""
        async with self.state.begin() as tx:
            system = await store.system(tx, system_id, seen_by=scope_of(actor, Action.MANAGE_DUTIES))
            if system is None:
                raise NotFound("there is no such video system", "it may have been removed")
            made = self._made(SignId(uuid7(self.clock.micros() // 1000)), system.id, system.name, wanted)
            await store.add_sign(tx, made)
            await self.write(actor, Action.MANAGE_DUTIES, (made.id, system.id), f"sign entered: {_told(made)}")
        return made

    async def change(self, actor: Actor, sign_id: str, wanted: WantedSign, *, version: int) -> Sign:
        """It is otherwise, or was looked at. version: of what was read. Raises as `add`, and Conflict."""
        async with self.state.begin() as tx:
            found = await self._get(tx, actor, sign_id, Action.MANAGE_DUTIES, lock=True)
            if found.version != version:
                raise Conflict("someone else has changed this sign meanwhile", "read it again, then change it")
            plain = self._made(found.id, found.system_id, found.system_name, wanted)
            made = replace(plain, version=version + 1, photo_key=found.photo_key)
            await store.save_sign(tx, made)
            await self.write(actor, Action.MANAGE_DUTIES, (made.id, made.system_id), f"sign changed: {_told(made)}")
        return made

    async def remove(self, actor: Actor, sign_id: str) -> None:
        """It is not there any more; its photo is deleted. Raises Denied, NotFound, Unavailable."""
        async with self.state.begin() as tx:
            found = await self._get(tx, actor, sign_id, Action.MANAGE_DUTIES, lock=True)
            await store.remove_sign(tx, found.id)
            await self.write(actor, Action.MANAGE_DUTIES, (found.id, found.system_id), f"sign removed: {_told(found)}")
        await self._delete(found.photo_key)

    async def page(self, actor: Actor, *, system_id: str, cursor: str, limit: int) -> Page[Sign]:
        """Signs within the actor's scope, those first that nobody has looked at for longest. system_id: "" for all."""
        scope = scope_of(actor, Action.READ_DUTIES)
        day, _, after = cursor.partition("/")
        try:
            since = date.fromisoformat(day) if cursor else None
        except ValueError:
            raise Invalid("this cursor is not one of ours", "send `next` of the page before") from None
        async with self.state.read() as tx:
            found = await store.signs_page(
                tx, seen_by=scope, system_id=system_id, since=since, after=after, limit=limit + 1
            )
        return Page.cut(found, limit, lambda each: f"{each.checked_on.isoformat()}/{each.id}")

    async def put_photo(self, actor: Actor, sign_id: str, body: AsyncIterable[bytes]) -> Sign:
        """Its photo is this one from now on. Raises Denied, NotFound, Invalid, Unavailable."""
        async with self.state.read() as tx:
            await self._get(tx, actor, sign_id, Action.MANAGE_DUTIES)
        data = bytearray()
        async for piece in body:
            data += piece
            if len(data) > MOST_BYTES:
                break
        photo = photo_of(bytes(data))
        key = f"signs/{sign_id}/{uuid7(self.clock.micros() // 1000)}.{photo.suffix}"
        await self.photos.put(key, bytes(data))
        async with self.state.begin() as tx:
            found = await self._get(tx, actor, sign_id, Action.MANAGE_DUTIES, lock=True)
            made = replace(found, photo_key=key)
            await store.save_sign(tx, made)
            told = f"photo of a sign: {photo.width}x{photo.height} {photo.suffix}, {len(data)} bytes"
            await self.write(actor, Action.MANAGE_DUTIES, (made.id, made.system_id), told)
        await self._delete(found.photo_key)
        return made

    async def photo(self, actor: Actor, sign_id: str) -> bytes:
        """Raises Denied, NotFound, Unavailable."""
        async with self.state.read() as tx:
            found = await self._get(tx, actor, sign_id, Action.READ_DUTIES)
        if not found.photo_key:
            raise NotFound("there is no photo of this sign", "send one")
        return await self.photos.get(found.photo_key)

    async def _delete(self, key: str) -> None:
        if key:
            await self.photos.delete([key])

    async def _get(self, tx: Tx, actor: Actor, sign_id: str, action: Action, *, lock: bool = False) -> Sign:
        found = await store.sign(tx, sign_id, seen_by=scope_of(actor, action), lock=lock)
        if found is None:
            raise NotFound("there is no such sign", "it may have been removed")
        return found

    def _made(self, sign_id: SignId, system_id: SystemId, system_name: str, wanted: WantedSign) -> Sign:
        lon, lat = wanted.longitude, wanted.latitude
        if (lon is None) != (lat is None):
            raise Invalid("a sign has both coordinates or none", "give longitude and latitude in WGS-84 degrees")
        west, south, east, north = CHINA
        if lon is not None and lat is not None and not (west <= lon <= east and south <= lat <= north):
            raise Invalid("the coordinates do not lie in China", "longitude first, in WGS-84 degrees")
        if not IN_FORCE <= wanted.checked_on <= self.today():
            raise Invalid("the day of a check lies between 2025-04-01 and today", "write it as 2026-11-30")
        return Sign(
            id=sign_id,
            system_id=system_id,
            system_name=system_name,
            place=one_line(wanted.place, "a place", most=200),
            longitude=lon,
            latitude=lat,
            wording=one_line(wanted.wording, "a wording", most=500),
            language=one_line(wanted.language, "a language", most=50),
            contact=one_line(wanted.contact, "a contact", most=200),
            checked_on=wanted.checked_on,
        )


def _told(sign: Sign) -> str:
    return f"{sign.place}, looked at on {sign.checked_on.isoformat()}: {sign.wording}"
