"""Looks: opened in the ledger before the first byte, closed after the last; and the counted use of lists and maps.

A *look* is two rows: opened (durable before anything is shown) and closed (bytes, seconds, how it ended). Pieces of a
look that come as requests of their own (playback segments, tiles) carry a token, bound by a MAC to the session, the
look and what is looked at, so that they need no decision, no row and no database.

Maps, lists and statistics are one row per session, kind and scope per hour with a count.

What is open is written beside the ledger every few seconds. After a crash the next start closes those looks ("process
ended") and writes those counts, with what the chain itself says about the seconds in between.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import dataclasses
import hashlib
import hmac
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from anwang.governance.actions import Action
from anwang.governance.ledger import Entry, Ledger
from anwang.governance.model import STEERS, Actor, Decision, LookId, Verdict, decide
from anwang.governance.reasons import Approval, ApprovalId, Because, Purpose, PurposeId, lack
from anwang.governance.scopes import Object, Scope, live_until
from anwang.kernel.errors import Denied, Exhausted, Invalid, Unavailable
from anwang.kernel.ids import SessionId, uuid7
from anwang.kernel.times import from_micros, rfc3339
from anwang.runtime import logs
from anwang.runtime.clock import Clock

log = logs.get(__name__)

MOST_OBJECTS = 1000
MOST_OPEN = 100_000
HOUR_US = 3_600_000_000
KEEP_SECONDS = 10.0


@dataclass(slots=True, kw_only=True)
class Look:
    """One authorised look. Whoever serves it adds to `bytes`; the rest does not change.

    idle_seconds: closed by itself when nothing was served for so long; None: whoever opened it closes it.
    needs: the purpose without which it could not have been opened, or a partner's agreement; it ends with it.
    until: when the rights to it end, None: not by any hour.
    approval: the second person's yes that it was opened with.
    masked: whoever serves it must cover what the point's privacy masks cover. unmask: the yes by which it need not,
    until bare_until.
    count: files that were made in it.
    """

    id: LookId
    actor: Actor
    action: Action
    objects: tuple[str, ...]
    opened_at: datetime
    idle_seconds: float | None
    needs: Purpose | None = None
    approval: Approval | None = None
    masked: bool = True
    unmask: Approval | None = None
    bare_until: datetime | None = None
    until: datetime | None = None
    bytes: int = 0
    count: int = 0
    outcome: str = "ended"
    _started: float = 0.0
    _used: float = 0.0


@dataclass(frozen=True, slots=True)
class Redeemed:
    """What a look token stands for."""

    look: LookId
    session: SessionId
    subject: str
    expires_at: datetime


class _Claims(msgspec.Struct, array_like=True, frozen=True):
    look: str
    session: str
    subject: str
    expires: int


class _Count(msgspec.Struct):
    """How often in one hour. entry: who and what, without the count."""

    entry: Entry
    hour: int
    count: int


class _Kept(msgspec.Struct):
    """What is open at a moment. seq: the ledger's last row then. late: rows that could not be written yet."""

    chain: str
    seq: int
    looks: list[Entry]
    counts: list[_Count]
    late: list[Entry]


def actor_entry(actor: Actor, kind: str, **fields: object) -> Entry:
    """A row about what this actor does."""
    return msgspec.structs.replace(
        Entry(
            kind=kind,
            user=actor.user_id,
            name=actor.username,
            role=actor.role.value,
            org=actor.org_path,
            session=actor.session_id,
            terminal=actor.terminal,
            unit=actor.org_name,
            purpose=actor.purpose.id if actor.purpose else "",
            reason=actor.purpose.kind.value if actor.purpose else "",
            case=actor.purpose.case_no if actor.purpose else "",
            recipient=actor.terms.recipient if actor.terms else "",
        ),
        **fields,
    )


class Looks:
    """All looks of this process. key: for the tokens' MAC. kept: the file that survives a crash."""

    def __init__(self, *, ledger: Ledger, clock: Clock, key: bytes, kept: Path) -> None:
        self._ledger = ledger
        self._clock = clock
        self._key = key
        self._kept = kept
        self._kept_text = b""
        self._open: dict[LookId, Look] = {}
        self._late: list[Entry] = []
        self._counts: dict[tuple[str, str, str], _Count] = {}

    @property
    def open_now(self) -> int:
        """Looks that are open."""
        return len(self._open)

    async def open(
        self,
        actor: Actor,
        action: Action,
        objects: Sequence[Object],
        *,
        because: Because,
        detail: str = "",
        idle_seconds: float | None = None,
    ) -> Look:
        """Decide about every object and write the opened row; when this returns, the row is durable and bytes may flow.

        objects: 1..1000. detail: what a reader of the ledger should know, for example the recorded span.
        Raises NotFound or Denied (written, too), Unavailable (ledger), Invalid, Exhausted.
        """
        masked = self.check(actor, action, objects, because=because, detail=detail)
        ids = tuple(each.id for each in objects)
        bare = None if masked else because.unmask
        if len(self._open) >= MOST_OPEN:
            raise Exhausted(f"{MOST_OPEN} looks are open already", "close some players")
        now = self._clock.now()
        look = Look(
            id=LookId(uuid7(self._clock.micros() // 1000)),
            actor=actor,
            action=action,
            objects=ids,
            opened_at=now,
            idle_seconds=idle_seconds,
            needs=because.purpose
            if bare or actor.terms or lack(action, dataclasses.replace(because, purpose=None))
            else None,
            until=_until(actor, objects, now) if because.span is None and action in STEERS else None,
            approval=because.approval,
            masked=bare is None,
            unmask=bare,
            bare_until=None if bare is None else _bare_until(bare, because),
            _started=self._clock.monotonic(),
            _used=self._clock.monotonic(),
        )
        await self._ledger.append(
            actor_entry(
                actor,
                "opened",
                action=action.value,
                objects=ids,
                look=look.id,
                detail=detail if bare is None else f"{detail} without masks, approval {bare.id}".lstrip(),
                approval=used.id if (used := because.approval or bare) else "",
            )
        )
        self._open[look.id] = look
        return look

    def check(
        self, actor: Actor, action: Action, objects: Sequence[Object], *, because: Because, detail: str = ""
    ) -> bool:
        """Decide about every object as `open` does; whether what masks cover must be covered. Raises as `open`."""
        if not 1 <= len(objects) <= MOST_OBJECTS:
            raise Invalid(f"a look has 1 to {MOST_OBJECTS} objects, not {len(objects)}")
        masked = False
        for each in objects:
            decision = decide(actor, action, each, now=because.now, span=because.span, because=because)
            if decision.verdict is not Verdict.ALLOWED:
                self._refused(actor, action, each.id, decision, detail)
                decision.enforce()
            masked = masked or decision.masked
        return masked

    def _refused(self, actor: Actor, action: Action, object_id: str, decision: Decision, detail: str) -> None:
        outcome = f"no {decision.lack}" if decision.lack else decision.verdict.value
        entry = actor_entry(actor, "denied", action=action.value, objects=(object_id,), outcome=outcome, detail=detail)
        try:
            self._ledger.post(entry)
        except Unavailable as err:  # refused is refused, written or not
            log.error("a refusal could not be written to the ledger", error=str(err), action=action.value)

    async def close(
        self, look: Look, *, bytes: int | None = None, seconds: float | None = None, outcome: str | None = None
    ) -> None:
        """Write the closed row. bytes, seconds, outcome: as given, else as the look itself counted. Twice does nothing.

        Never raises: a row that can't be written now is written as soon as the ledger works again.
        """
        if self._open.pop(look.id, None) is None:
            return
        entry = actor_entry(
            look.actor,
            "closed",
            action=look.action.value,
            objects=look.objects,
            look=look.id,
            count=look.count,
            bytes=look.bytes if bytes is None else bytes,
            seconds=round(self._clock.monotonic() - look._started if seconds is None else seconds, 3),
            outcome=look.outcome if outcome is None else outcome,
        )
        await self._write_late(entry)

    async def _write_late(self, *entries: Entry) -> None:
        due = [*self._late, *entries]
        self._late = []
        try:
            if due:
                await self._ledger.append(*due)
        except Unavailable as err:
            self._late = [*due, *self._late]
            log.error("closed looks wait for the ledger", error=str(err), waiting=len(self._late))
        except asyncio.CancelledError:
            # cancelled before or after the write: a row too many can be explained, a missing one can't
            self._late = [*due, *self._late]
            raise

    @asynccontextmanager
    async def closing(self, look: Look) -> AsyncIterator[None]:
        """`close` behind a block; an exception's class becomes the outcome."""
        try:
            yield
        except BaseException as err:
            look.outcome = "cancelled" if isinstance(err, asyncio.CancelledError) else type(err).__name__
            raise
        finally:
            await asyncio.shield(self.close(look))

    def serve(self, look_id: LookId, bytes: int) -> None:
        """Add bytes to an open look that is served in pieces, and keep it from closing by itself.

        Raises Denied when it is closed. A look of another process is not known here: its token is proof enough there.
        """
        look = self._open.get(look_id)
        if look is None:
            raise Denied("this look is over", "open the recording again")
        look.bytes += bytes
        look._used = self._clock.monotonic()

    def is_open(self, look_id: LookId) -> bool:
        """Whether the look is open in this process."""
        return look_id in self._open

    def mint(self, look: Look, *, subject: str, seconds: float) -> str:
        """A token for pieces of the look. subject: what it is good for, for example `<point>/main`."""
        expires = self._clock.micros() + int(seconds * 1_000_000)
        claims = _Claims(look.id, look.actor.session_id, subject, expires)
        return _b64(text := msgspec.msgpack.encode(claims)) + "." + _b64(self._mac(text))

    def redeem(self, token: str, *, session: SessionId, subject: str) -> Redeemed:
        """Check a token without any database. Raises Denied: forged, expired, of another session or for something else.

        The caller has authenticated the session, so that one that was ended can't redeem.
        """
        try:
            text, mac = (_unb64(part) for part in token.split("."))
            claims = msgspec.msgpack.decode(text, type=_Claims)
        except (ValueError, binascii.Error, msgspec.DecodeError):
            raise _not_good() from None
        if not hmac.compare_digest(mac, self._mac(text)):
            raise _not_good()
        if claims.session != session or claims.subject != subject or claims.expires <= self._clock.micros():
            raise _not_good()
        return Redeemed(LookId(claims.look), SessionId(claims.session), claims.subject, from_micros(claims.expires))

    def _mac(self, text: bytes) -> bytes:
        return hmac.digest(self._key, text, hashlib.sha256)

    def count_use(self, actor: Actor, kind: str, scope: Scope, n: int = 1) -> None:
        """Count that the actor read a map, list or statistics. Raises Unavailable while the ledger can't be written."""
        if self._ledger.failing:
            raise Unavailable(self._ledger.failing, "nobody may look until it can be written")
        hour = self._clock.micros() // HOUR_US * HOUR_US
        path = scope.told()
        key = (actor.session_id, kind, path)
        counted = self._counts.get(key)
        if counted is not None and counted.hour == hour:
            counted.count += n
            return
        if counted is not None:
            self._ledger.post(_used(counted))
        if len(self._counts) >= MOST_OPEN:
            oldest = next(iter(self._counts))
            self._ledger.post(_used(self._counts.pop(oldest)))
        self._counts[key] = _Count(actor_entry(actor, "used", action=kind, scope=path), hour, n)

    async def tick(self) -> None:
        """What time does: end looks that are idle or whose purpose or hours are over, write full hours and what had to
        wait.
        """
        moment, now = self._clock.now(), self._clock.monotonic()
        for look in list(self._open.values()):
            outcome = _over(look, moment)
            if outcome is not None:
                await self.close(look, outcome=outcome)
            elif look.idle_seconds is not None and now - look._used >= look.idle_seconds:
                await self.close(look, seconds=look._used - look._started, outcome="idle")
        hour = self._clock.micros() // HOUR_US * HOUR_US
        over = [key for key, counted in self._counts.items() if counted.hour < hour]
        await self._write_late(*[_used(self._counts.pop(key)) for key in over])

    async def end_session(self, session: SessionId) -> None:
        """Close the session's looks and write its counts."""
        for look in [each for each in self._open.values() if each.actor.session_id == session]:
            await self.close(look, outcome="session ended")
        await self._write_late(*[_used(self._counts.pop(key)) for key in list(self._counts) if key[0] == session])

    async def end_purpose(self, purpose: PurposeId) -> None:
        """Close the looks that needed it."""
        for look in [each for each in self._open.values() if each.needs and each.needs.id == purpose]:
            await self.close(look, outcome="purpose ended")

    async def recheck(self, about: Callable[[str], Object | None]) -> None:
        """Close the looks at what their people could not see any more: it has another owner, or is no longer shared
        with them. about: what is known of an object now; None where it is no point, or gone.
        """
        for look in list(self._open.values()):
            shared = not look.actor.is_partner
            places = [one for each in look.objects if (one := about(each)) is not None]
            if not all(
                any(grant.area.miss(one, shared=shared) is None for grant in look.actor.grants) for one in places
            ):
                await self.close(look, outcome="out of sight")

    async def end_approval(self, approval: ApprovalId) -> None:
        """Close the looks that were opened with it."""
        for look in list(self._open.values()):
            if any(used is not None and used.id == approval for used in (look.approval, look.unmask)):
                await self.close(look, outcome="approval refused")

    async def keep(self) -> None:
        """Write down what is open, if it changed."""
        head = self._ledger.head
        text = msgspec.json.encode(
            _Kept(
                head.chain,
                head.seq,
                [_left_open(look) for look in self._open.values()],
                list(self._counts.values()),
                self._late,
            )
        )
        if text != self._kept_text:
            await asyncio.to_thread(_replace, self._kept, text)
            self._kept_text = text

    async def recover(self) -> int:
        """Close in the ledger what a process that died had open; how many rows were written."""
        try:
            kept = msgspec.json.decode(await asyncio.to_thread(self._kept.read_bytes), type=_Kept)
        except FileNotFoundError:
            # nothing was kept yet: at most KEEP_SECONDS of a first run are in the chain
            kept = _Kept(self._ledger.chain, max(0, self._ledger.head.seq - 100_000), [], [], [])
        except (OSError, msgspec.DecodeError) as err:
            log.warning("what was open before the last end is not known", error=str(err))
            return 0
        left = {entry.look: entry for entry in kept.looks}
        due = {_which(entry): entry for entry in [*map(_used, kept.counts), *kept.late]}
        for entry in kept.late:
            left.pop(entry.look, None)
        async for _, rows in self._ledger.rows({kept.chain: kept.seq}, chains=[kept.chain]):
            for row in rows:
                if row.kind == "opened":
                    left[row.look] = Entry(**{name: getattr(row, name) for name in Entry.__struct_fields__})
                elif row.kind == "closed":
                    left.pop(row.look, None)
                due.pop(_which(row), None)
        closed = [
            msgspec.structs.replace(entry, kind="closed", outcome="process ended", detail="") for entry in left.values()
        ]
        rows_due = [*closed, *due.values()]
        if rows_due:
            await self._ledger.append(*rows_due)
        await asyncio.to_thread(self._kept.unlink, missing_ok=True)
        return len(rows_due)

    async def close_all(self, outcome: str) -> None:
        """Close every look and write every count: the process ends in order."""
        for look in list(self._open.values()):
            await self.close(look, outcome=outcome)
        counts, self._counts = self._counts, {}
        await self._write_late(*[_used(counted) for counted in counts.values()])
        await self.keep()


def _over(look: Look, now: datetime) -> str | None:
    """Why the look may not go on, or None."""
    if look.until is not None and now >= look.until:
        return "hours ended"
    if look.needs is not None and now >= look.needs.expires_at:
        return "purpose ended"
    if look.bare_until is not None and now >= look.bare_until:
        return "approval ended"
    if look.approval is not None and look.action is Action.VIEW_PLAYBACK and now >= look.approval.expires_at:
        return "approval ended"  # what is being taken away is taken to its end
    return None


def _bare_until(unmask: Approval, because: Because) -> datetime:
    """When a look without masks must end: with its approval; a live one also with the time that was approved."""
    return unmask.expires_at if because.span is not None else min(unmask.expires_at, from_micros(unmask.span.end))


def _until(actor: Actor, objects: Sequence[Object], now: datetime) -> datetime | None:
    """When the first of the objects is out of its hours."""
    ends = [
        live_until([one for one in actor.grants if one.area.miss(each, shared=not actor.is_partner) is None], now)
        for each in objects
    ]
    return min((end for end in ends if end is not None), default=None)


def _used(counted: _Count) -> Entry:
    hour = rfc3339(from_micros(counted.hour))
    return msgspec.structs.replace(counted.entry, count=counted.count, detail=f"hour from {hour}")


def _which(entry: Entry) -> tuple[str, ...]:
    return entry.kind, entry.session, entry.look, entry.action, entry.scope, entry.detail


def _left_open(look: Look) -> Entry:
    return actor_entry(
        look.actor, "opened", action=look.action.value, objects=look.objects, look=look.id, bytes=look.bytes
    )


def _replace(path: Path, text: bytes) -> None:
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(text)
        file.flush()
        os.fdatasync(file.fileno())
    part.replace(path)


def _not_good() -> Denied:
    return Denied("this link is not valid, not yours or has run out", "open the recording again")


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
