"""Live state from evidence (design law 4), in memory, for a city.

A device is
  online   when it was heard within its allowed silence (keep-alive interval x misses): a registration or a keep-alive;
           and since then it has not ended its registration;
  offline  when it was heard once, and the silence is longer, or it logged out;
  unknown  when it was never heard.

A point is
  online   when packets, a recording or a picture of it came within their short freshness, whatever else is said; or
           when its device is online and the device's catalogue says ON;
  offline  when its device is offline (a device takes its channels along), or the catalogue says OFF;
  unknown  otherwise: no device, a device never heard, a channel never listed.
A picture older than its freshness says nothing at all, so the last frame of a dead camera never looks alive.

After a restart, devices that were online at the checkpoint are believed for one more allowed silence, counted from the
restart: our own absence is not their silence.

A changed state is announced when it has lasted for the debounce of the new state. Nothing here has a timer of its own:
every row has the moment at which time alone may change it (`due`), and a tick looks for rows that are due.
"""

from __future__ import annotations

import io
import os
import secrets
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice, repeat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anwang.kernel.errors import Invalid
from anwang.registry.columns import PointColumns, Rows
from anwang.registry.facts import OFFLINE, ONLINE, STATES, UNKNOWN, DeviceStateChanged, StateChanges
from anwang.registry.model import REASONS, Evidence, EvidenceItem, EvidenceKind, LiveState, State, StateSpan, Verdict

SECOND = 1_000_000
DAY = 86_400 * SECOND
NEVER = int(np.iinfo(np.int64).max)
TEXTS = 100_000
"""Remarks of evidence kept; the oldest go first. They are for people, no state depends on them."""

SLICE = 65_536
"""Rows looked at in one tick, so that a whole city coming up never stops the event loop for long."""

Micros = NDArray[np.int64]
Numbers = NDArray[np.uint8]
Flags = NDArray[np.bool_]

DEVICE_KINDS = (EvidenceKind.REGISTRATION, EvidenceKind.KEEPALIVE, EvidenceKind.CATALOGUE)
POINT_KINDS = (EvidenceKind.CATALOGUE, EvidenceKind.PACKET, EvidenceKind.PICTURE, EvidenceKind.RECORDING)
REGISTRATION, KEEPALIVE = 0, 1
CATALOGUE, PACKET, PICTURE, RECORDING = 0, 1, 2, 3
_CODE = {kind: number for number, kind in enumerate(EvidenceKind)}
#: by number of the kind: its column for devices and for points, -1 where it does not apply
_DEVICE_COLUMN = np.array([DEVICE_KINDS.index(k) if k in DEVICE_KINDS else -1 for k in EvidenceKind], np.int8)
_POINT_COLUMN = np.array([POINT_KINDS.index(k) if k in POINT_KINDS else -1 for k in EvidenceKind], np.int8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The numbers of the rules above, in seconds."""

    keepalive_s: float = 60.0
    keepalive_misses: int = 3
    packet_fresh_s: float = 15.0
    picture_fresh_s: float = 120.0
    recording_fresh_s: float = 90.0
    online_debounce_s: float = 0.0
    offline_debounce_s: float = 5.0
    unknown_debounce_s: float = 5.0
    ring: int = 1 << 21
    """Changes kept in memory for cursors and the 24-hour strip; older ones are in series."""

    def silence_us(self, keepalive_s: float | None = None) -> int:
        """How long a device may be silent."""
        return round((keepalive_s or self.keepalive_s) * self.keepalive_misses * SECOND)


def device_states(at: Micros, ok: Flags, silence: Micros, hold_until: Micros, now: int) -> tuple[Numbers, Micros]:
    """The states of devices and the moments when time alone may change them.

    at, ok: shape (3, n) in the order of DEVICE_KINDS, 0 for never heard. silence: allowed, µs. hold_until: until when a
    device is believed after a restart, 0 for not.
    """
    registered = np.where(ok[REGISTRATION], at[REGISTRATION], 0)
    ended = np.where(ok[REGISTRATION], 0, at[REGISTRATION])
    heard = np.maximum(registered, at[KEEPALIVE])
    until = np.where((heard > 0) & (heard >= ended), heard + silence, 0)
    until = np.where(hold_until - silence > ended, np.maximum(until, hold_until), until)
    alive = until > now
    state = np.where(alive, ONLINE, np.where((heard > 0) | (ended > 0) | (hold_until > 0), OFFLINE, UNKNOWN))
    return state.astype(np.uint8), np.where(alive, until, NEVER)


def point_states(
    device: Numbers, has_device: Flags, at: Micros, ok: Flags, fresh: Sequence[int], now: int
) -> tuple[Numbers, Micros]:
    """The states of points and the moments when time alone may change them.

    device: states of their devices. at, ok: shape (4, n) in the order of POINT_KINDS. fresh: µs, by POINT_KINDS.
    """
    until = np.zeros(at.shape[1], np.int64)
    for kind in (PACKET, PICTURE, RECORDING):
        until = np.maximum(until, np.where(ok[kind] & (at[kind] > 0), at[kind] + fresh[kind], 0))
    alive = until > now
    listed = at[CATALOGUE] > 0
    by_device = np.where(
        device == ONLINE,
        np.where(listed, np.where(ok[CATALOGUE], ONLINE, OFFLINE), UNKNOWN),
        device,
    )
    state = np.where(alive, ONLINE, np.where(has_device, by_device, UNKNOWN))
    return state.astype(np.uint8), np.where(alive, until, NEVER)


class _Table:
    """Rows of subjects of one sort: evidence and state."""

    _FIELDS = ("state", "since", "pending", "pending_since", "due")

    def __init__(self, kinds: int, capacity: int = 256) -> None:
        self.at = np.zeros((kinds, capacity), np.int64)
        self.ok = np.zeros((kinds, capacity), np.bool_)
        self.state = np.zeros(capacity, np.uint8)
        self.since = np.zeros(capacity, np.int64)
        self.pending = np.zeros(capacity, np.uint8)
        self.pending_since = np.zeros(capacity, np.int64)
        self.due = np.full(capacity, NEVER, np.int64)

    @property
    def capacity(self) -> int:
        return len(self.state)

    def room(self, size: int, extra: Sequence[str] = ()) -> None:
        if size <= self.capacity:
            return
        capacity = max(size, self.capacity * 3 // 2)
        for name in ("at", "ok"):
            old = getattr(self, name)
            new = np.zeros((old.shape[0], capacity), old.dtype)
            new[:, : old.shape[1]] = old
            setattr(self, name, new)
        for name in (*self._FIELDS, *extra):
            old = getattr(self, name)
            fill = {"due": NEVER, "device": -1}.get(name, 0)
            new = np.full(capacity, fill, old.dtype)
            new[: len(old)] = old
            setattr(self, name, new)

    def hear(self, rows: Rows, columns: NDArray[np.int8], at: Micros, ok: Flags) -> None:
        """Take evidence that is in the order of time; what is older than what is known changes nothing."""
        newer = at >= self.at[columns, rows]
        if not newer.all():
            rows, columns, at, ok = rows[newer], columns[newer], at[newer], ok[newer]
        self.at[columns, rows] = at
        self.ok[columns, rows] = ok

    def settle(self, rows: Rows, computed: Numbers, due: Micros, wait: Micros, now: int) -> tuple[Rows, Numbers]:
        """Move rows to their computed state once it has lasted; the rows that moved, and their old states.

        wait: how long the computed state must have lasted, µs, per row.
        """
        state, pending = self.state[rows], self.pending[rows]
        differs = computed != state
        fresh = differs & (pending != computed)
        since = np.where(fresh, now, self.pending_since[rows])
        moves = differs & (now - since >= wait)
        self.pending[rows] = computed
        self.pending_since[rows] = since
        waits = differs & ~moves
        self.due[rows] = np.where(waits, np.minimum(due, since + wait), due)
        moved = rows[moves]
        old = state[moves]
        self.state[moved] = computed[moves]
        self.since[moved] = now
        return moved, old


class _Devices(_Table):
    def __init__(self) -> None:
        super().__init__(len(DEVICE_KINDS))
        self.silence = np.zeros(self.capacity, np.int64)
        self.hold_until = np.zeros(self.capacity, np.int64)


class _Points(_Table):
    def __init__(self) -> None:
        super().__init__(len(POINT_KINDS))
        self.device = np.full(self.capacity, -1, np.int32)


class _Ring:
    """The newest changes in the order of time; the number of a change is its cursor."""

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self.total = 0
        self._ix = np.zeros(1024, np.int32)
        self._old = np.zeros(1024, np.uint8)
        self._new = np.zeros(1024, np.uint8)
        self._at = np.zeros(1024, np.int64)

    @property
    def first(self) -> int:
        """The oldest number still here."""
        return max(0, self.total - len(self._ix))

    def add(self, ix: Rows, old: Numbers, new: Numbers, at: Micros) -> None:
        if len(ix) > self.bound:
            drop = len(ix) - self.bound
            self.total += drop
            ix, old, new, at = ix[drop:], old[drop:], new[drop:], at[drop:]
        self._grow(min(self.bound, self.total + len(ix)))
        places = np.arange(self.total, self.total + len(ix)) % len(self._ix)
        self._ix[places], self._old[places], self._new[places], self._at[places] = ix, old, new, at
        self.total += len(ix)

    def _grow(self, wanted: int) -> None:
        size = len(self._ix)
        if wanted <= size:
            return
        while size < wanted:
            size *= 2
        numbers = np.arange(self.first, self.total)
        here, there = numbers % len(self._ix), numbers % size
        for name in ("_ix", "_old", "_new", "_at"):
            old = getattr(self, name)
            new = np.zeros(size, old.dtype)
            new[there] = old[here]
            setattr(self, name, new)

    def since(self, number: int) -> tuple[Rows, Numbers, Numbers, Micros]:
        """Changes from a number on. The number must not be older than `first`."""
        places = np.arange(max(number, self.first), self.total) % len(self._ix)
        return self._ix[places], self._old[places], self._new[places], self._at[places]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What `Live.restore` needs."""

    keys: list[str]
    arrays: dict[str, NDArray[Any]]

    def pack(self) -> bytes:
        """As one file; a tenth of a second for a city."""
        out = io.BytesIO()
        np.savez(out, keys=np.frombuffer("\n".join(self.keys).encode(), np.uint8), **self.arrays)  # type: ignore[arg-type]  # the stub takes any name for allow_pickle
        return out.getvalue()


class Live:
    """What is believed of every device and point, and why."""

    def __init__(self, columns: PointColumns, rules: Rules | None = None) -> None:
        self.rules = rules or Rules()
        self._columns = columns
        self._devices = _Devices()
        self._points = _Points()
        self._slots: dict[str, int] = {}
        self.keys: list[str] = []
        """By number of the device: its key."""
        self._texts: dict[tuple[bool, int, EvidenceKind], tuple[str, str]] = {}
        self._dirty_devices: list[Rows] = []
        self._dirty_points: list[Rows] = []
        self._ring = _Ring(self.rules.ring)
        self._blind: list[tuple[int, int]] = []
        self._epoch = secrets.token_hex(4)
        self._listeners: list[Callable[[StateChanges], None]] = []
        self._device_listeners: list[Callable[[DeviceStateChanged], None]] = []
        self.noted = 0
        """Evidence taken since the start."""
        self.strange = 0
        """Evidence about subjects nobody knows, or of a kind that does not fit; dropped and counted."""
        rule = self.rules
        self._fresh = [
            round(seconds * SECOND)
            for seconds in (0, rule.packet_fresh_s, rule.picture_fresh_s, rule.recording_fresh_s)
        ]
        self._wait = np.array(
            [
                round(seconds * SECOND)
                for seconds in (rule.unknown_debounce_s, rule.online_debounce_s, rule.offline_debounce_s)
            ],
            np.int64,
        )

    # --- who there is --------------------------------------------------------------------------------------------

    def add_device(self, key: str, keepalive_s: float | None = None) -> int:
        """The number of a device, a new one included. keepalive_s: its own interval, None for the usual."""
        slot = self._slots.get(key)
        if slot is None:
            slot = self._slots[key] = len(self.keys)
            self.keys.append(key)
            self._devices.room(slot + 1, ("silence", "hold_until"))
        silence = self.rules.silence_us(keepalive_s)
        if self._devices.silence[slot] != silence:
            self._devices.silence[slot] = silence
            self._dirty_devices.append(np.array([slot], np.int32))
        return slot

    def device(self, key: str) -> int:
        """The number of a device, -1 for an unknown one."""
        return self._slots.get(key, -1)

    def bind(self, ix: Rows, slots: Rows) -> None:
        """Say under which devices points lie; -1 for none."""
        if not len(ix):
            return
        self._points.room(max(self._columns.size, int(ix.max()) + 1), ("device",))
        self._points.device[ix] = slots
        self._dirty_points.append(np.asarray(ix, np.int32))

    # --- what was heard ------------------------------------------------------------------------------------------

    def note(self, batch: Sequence[Evidence]) -> None:
        """Take evidence. Cheap and never waiting: arrays are written, states follow at the next tick."""
        if not batch:
            return
        n = len(batch)
        subjects, kinds, at_us, oks, sources, details = zip(*batch, strict=True)
        slots = np.fromiter(map(self._slots.get, subjects, repeat(-1)), np.int32, n)
        codes = np.fromiter(map(_CODE.__getitem__, kinds), np.int8, n)
        at = np.fromiter(at_us, np.int64, n)
        ok = np.fromiter(oks, np.bool_, n)
        if n > 1 and (at[1:] < at[:-1]).any():
            order = np.argsort(at, kind="stable")
            self.note([batch[i] for i in order])
            return
        self.noted += n
        points = slots < 0
        if points.any():
            where = np.flatnonzero(points)
            ix = np.fromiter((self._columns.find(subjects[i]) for i in where), np.int32, len(where))
            columns = _POINT_COLUMN[codes[where]]
            good = (ix >= 0) & (columns >= 0)
            self.strange += int(len(where) - np.count_nonzero(good))
            self._hear_points(ix[good], columns[good], at[where][good], ok[where][good])
            whole = np.flatnonzero(~points)
            slots, codes, at, ok = slots[whole], codes[whole], at[whole], ok[whole]
        if len(slots):
            columns = _DEVICE_COLUMN[codes]
            if (columns < 0).any():
                good = columns >= 0
                self.strange += int(len(good) - np.count_nonzero(good))
                slots, columns, at, ok = slots[good], columns[good], at[good], ok[good]
            self._devices.hear(slots, columns, at, ok)
            moved = ~ok | (self._devices.pending[slots] != ONLINE) | (self._devices.state[slots] != ONLINE)
            if moved.any():
                self._dirty_devices.append(slots[moved])
        if any(sources) or any(details):
            self._keep_texts(batch)

    def note_alive(self, slots: Rows, at: Micros) -> None:
        """Keep-alives of known devices by number, in the order of time: the fast way for the busiest message."""
        self._hear_alive(KEEPALIVE, slots, at)

    def note_registered(self, devices: Sequence[int], slots: Rows, at: Micros, sources: Sequence[str]) -> None:
        """The same of registrations. devices: the numbers again, as they are. sources: where each came from."""
        self._hear_alive(REGISTRATION, slots, at)
        for slot, source in zip(devices, sources, strict=True):
            self._texts[True, slot, EvidenceKind.REGISTRATION] = (source[:80], "")
        self._bound_texts()

    def _hear_alive(self, kind: int, slots: Rows, at: Micros) -> None:
        self.noted += len(slots)
        columns = np.full(len(slots), kind, np.int8)
        self._devices.hear(slots, columns, at, np.ones(len(slots), np.bool_))
        moved = (self._devices.pending[slots] != ONLINE) | (self._devices.state[slots] != ONLINE)
        if moved.any():
            self._dirty_devices.append(slots[moved])

    def _hear_points(self, ix: Rows, columns: NDArray[np.int8], at: Micros, ok: Flags) -> None:
        if not len(ix):
            return
        self._points.room(max(self._columns.size, int(ix.max()) + 1), ("device",))
        self._points.hear(ix, columns, at, ok)
        self._dirty_points.append(ix)

    def _keep_texts(self, batch: Sequence[Evidence]) -> None:
        for subject, kind, _, _, source, detail in batch:
            if not source and not detail:
                continue
            slot = self._slots.get(subject, -1)
            number = slot if slot >= 0 else self._columns.find(subject)
            if number >= 0:
                self._texts[slot >= 0, number, kind] = (source[:80], detail[:200])
        self._bound_texts()

    def _bound_texts(self) -> None:
        if len(self._texts) > TEXTS:
            # many at once: each deletion from the front alone would walk over all those before it
            for oldest in list(islice(self._texts, len(self._texts) - TEXTS + TEXTS // 10)):
                del self._texts[oldest]

    # --- what follows from it ------------------------------------------------------------------------------------

    def subscribe(self, listener: Callable[[StateChanges], None]) -> Callable[[], None]:
        """Be told of changed points in batches, in the event loop, at once; what is returned ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def subscribe_devices(self, listener: Callable[[DeviceStateChanged], None]) -> Callable[[], None]:
        """Be told of changed devices."""
        self._device_listeners.append(listener)
        return lambda: self._device_listeners.remove(listener)

    def tick(self, now: int) -> StateChanges | None:
        """Let time pass and evidence work; what changed, already announced. Call it about once a second, and again at
        once while `behind`.
        """
        lost = self._tick_devices(now)
        changed_devices = np.zeros(0, np.int32)
        if lost is not None:
            changed_devices = lost[0]
        ix = self._tick_points(changed_devices, now)
        if lost is not None and self._device_listeners:
            self._announce_devices(*lost, now)
        return ix

    @property
    def behind(self) -> bool:
        """Whether the last tick left work to the next."""
        return any(len(rows) >= SLICE for rows in (*self._dirty_devices, *self._dirty_points))

    def _tick_devices(self, now: int) -> tuple[Rows, Numbers] | None:
        table, n = self._devices, len(self.keys)
        if n == 0:
            return None
        rows = _gather(self._dirty_devices, np.flatnonzero(table.due[:n] <= now), n)
        if rows is None:
            return None
        computed, due = device_states(
            table.at[:, rows], table.ok[:, rows], table.silence[rows], table.hold_until[rows], now
        )
        moved, old = table.settle(rows, computed, due, self._wait[computed], now)
        return (moved, old) if len(moved) else None

    def _tick_points(self, devices: Rows, now: int) -> StateChanges | None:
        table = self._points
        n = min(self._columns.size, table.capacity)
        if n == 0:
            return None
        due = np.flatnonzero(table.due[:n] <= now)
        if len(devices):
            touched = np.zeros(len(self.keys) + 1, np.bool_)
            touched[devices] = True
            touched[-1] = False
            due = np.concatenate([due, np.flatnonzero(touched[table.device[:n]])])
        rows = _gather(self._dirty_points, due, table.capacity)
        if rows is None:
            return None
        rows = rows[rows < n]
        rows = rows[self._columns.alive[rows]]
        device = table.device[rows]
        has_device = device >= 0
        states = np.where(has_device, self._devices.state[np.maximum(device, 0)], UNKNOWN).astype(np.uint8)
        computed, until = point_states(states, has_device, table.at[:, rows], table.ok[:, rows], self._fresh, now)
        # the device's own debounce has passed already: its channels go with it at once
        wait = np.where(has_device & (states == OFFLINE), 0, self._wait[computed])
        moved, old = table.settle(rows, computed, until, wait, now)
        if not len(moved):
            return None
        new = table.state[moved]
        self._ring.add(moved, old, new, np.full(len(moved), now, np.int64))
        cause = np.full(len(moved), -1, np.int32)
        if len(devices):
            under = table.device[moved]
            cause = np.where(touched[under], under, -1).astype(np.int32)
        changes = StateChanges(
            ix=moved,
            old=old,
            new=new,
            at_us=now,
            cause=cause,
            why=self._reasons(moved, now),
            cursor=self.cursor,
            ids=self._columns.ids,
        )
        for listener in list(self._listeners):
            listener(changes)
        return changes

    def _announce_devices(self, moved: Rows, old: Numbers, now: int) -> None:
        n = min(self._columns.size, self._points.capacity)
        under = np.bincount(self._points.device[:n][self._points.device[:n] >= 0], minlength=len(self.keys))
        for slot, before in zip(moved.tolist(), old.tolist(), strict=True):
            gateway, _, device_id = self.keys[slot].partition("/")
            state = STATES[self._devices.state[slot]]
            fact = DeviceStateChanged(
                gateway=gateway,
                device_id=device_id,
                before=STATES[before],
                state=state,
                reason=self._device_verdict(state, slot, now).key,
                at_us=now,
                points=int(under[slot]),
            )
            for listener in list(self._device_listeners):
                listener(fact)

    # --- what is asked -------------------------------------------------------------------------------------------

    @property
    def cursor(self) -> str:
        """Where the changes stand now."""
        return f"{self._epoch}-{self._ring.total}"

    def changes_since(self, cursor: str, limit: int = 20_000) -> tuple[Rows, Numbers, Micros, str] | None:
        """Numbers, new states and moments of what changed after a cursor, the newest change per point only, at most
        `limit` changes of the log, and the cursor after them. None when the cursor is too old or of another run.
        """
        epoch, _, number = cursor.partition("-")
        if epoch != self._epoch or not number.isascii() or not number.isdigit() or len(number) > 18:
            return None
        start = int(number)
        if start < self._ring.first or start > self._ring.total:
            return None
        ix, _, new, at = self._ring.since(start)
        ix, new, at = ix[:limit], new[:limit], at[:limit]
        last = len(ix) - 1 - np.unique(ix[::-1], return_index=True)[1]
        return ix[last], new[last], at[last], f"{self._epoch}-{start + len(ix)}"

    def states(self) -> Numbers:
        """By number of the point: its place in STATES. A view: do not write."""
        self._points.room(self._columns.size, ("device",))
        return self._points.state[: self._columns.size]

    def state(self, ix: int) -> tuple[State, int | None]:
        """State of a point and since when."""
        if ix >= self._points.capacity:
            return State.UNKNOWN, None
        return STATES[self._points.state[ix]], int(self._points.since[ix]) or None

    def device_state(self, key: str) -> tuple[State, int | None]:
        """State of a device and since when."""
        slot = self._slots.get(key, -1)
        if slot < 0:
            return State.UNKNOWN, None
        return STATES[self._devices.state[slot]], int(self._devices.since[slot]) or None

    def device_counts(self) -> dict[State, int]:
        """How many devices are in each state."""
        counts = np.bincount(self._devices.state[: len(self.keys)], minlength=len(STATES))
        return {state: int(counts[number]) for number, state in enumerate(STATES)}

    def last_heard(self, key: str) -> int | None:
        """When a device was last heard."""
        slot = self._slots.get(key, -1)
        return None if slot < 0 else int(self._devices.at[:, slot].max()) or None

    def recording(self, ix: Rows, now: int) -> Flags:
        """Which points are being recorded."""
        self._points.room(self._columns.size, ("device",))
        at = self._points.at[RECORDING, ix]
        fresh: Flags = self._points.ok[RECORDING, ix] & (at > 0) & (at + self._fresh[RECORDING] > now)
        return fresh

    def explain(self, ix: int, now: int) -> LiveState:
        """The state of a point with all evidence for and against it."""
        self._points.room(ix + 1, ("device",))
        state, since = self.state(ix)
        slot = int(self._points.device[ix])
        items = [self._item(True, slot, kind) for kind in (REGISTRATION, KEEPALIVE)] if slot >= 0 else []
        items += [self._item(False, ix, kind) for kind in range(len(POINT_KINDS))]
        recording = bool(self.recording(np.array([ix], np.int32), now)[0])
        verdict = self._verdict(state, slot, items, now)
        return LiveState(state=state, since_us=since, evidence=tuple(items), verdict=verdict, recording=recording)

    def explain_device(self, key: str, now: int) -> LiveState:
        """The state of a device with all evidence for and against it."""
        slot = self._slots.get(key, -1)
        if slot < 0:
            return LiveState(state=State.UNKNOWN, since_us=None, evidence=(), verdict=Verdict("device_never_heard"))
        state, since = self.device_state(key)
        items = tuple(self._item(True, slot, kind) for kind in range(len(DEVICE_KINDS)))
        return LiveState(state=state, since_us=since, evidence=items, verdict=self._device_verdict(state, slot, now))

    def _item(self, is_device: bool, number: int, column: int) -> EvidenceItem:
        table = self._devices if is_device else self._points
        kind = DEVICE_KINDS[column] if is_device else POINT_KINDS[column]
        at = int(table.at[column, number])
        source, detail = self._texts.get((is_device, number, kind), ("", ""))
        ok = bool(table.ok[column, number]) and at > 0
        return EvidenceItem(kind=kind, at_us=at or None, ok=ok, source=source, detail=detail)

    def _device_verdict(self, state: State, slot: int, now: int) -> Verdict:
        heard = int(self._devices.at[:, slot].max())
        silence = int(self._devices.silence[slot])
        if state is State.UNKNOWN:
            return Verdict("device_never_heard")
        if state is State.ONLINE:
            held = int(self._devices.hold_until[slot]) > now and heard + silence <= now
            return Verdict("device_held" if held else "device_heard")
        if not self._devices.ok[REGISTRATION, slot] and self._devices.at[REGISTRATION, slot] >= heard:
            return Verdict("device_left")
        return Verdict("device_silent", {"silent_s": (now - heard) // SECOND, "allowed_s": silence // SECOND})

    def _verdict(self, state: State, slot: int, items: Sequence[EvidenceItem], now: int) -> Verdict:
        by_kind = {item.kind: item for item in items}
        for kind, fresh in (
            (EvidenceKind.PACKET, self._fresh[PACKET]),
            (EvidenceKind.RECORDING, self._fresh[RECORDING]),
            (EvidenceKind.PICTURE, self._fresh[PICTURE]),
        ):
            item = by_kind[kind]
            if item.ok and item.at_us is not None and item.at_us + fresh > now:
                return Verdict(f"{kind}_fresh")
        if slot < 0:
            return Verdict("no_device")
        device = STATES[self._devices.state[slot]]
        if device is not State.ONLINE:
            return self._device_verdict(device, slot, now)
        listed = by_kind[EvidenceKind.CATALOGUE]
        if listed.at_us is None:
            return Verdict("not_listed")
        if not listed.ok:
            return Verdict("listed_off")
        tried = by_kind[EvidenceKind.PACKET]
        if tried.at_us is not None and not tried.ok:
            return Verdict("no_media", {"ago_s": (now - tried.at_us) // SECOND})
        return Verdict("listed_on")

    def _reasons(self, ix: Rows, now: int) -> Numbers:
        """What decides the states of many points, as `_verdict` says it of one: places in REASONS."""
        table, devices = self._points, self._devices
        slot = np.maximum(table.device[ix], 0)
        has_device = table.device[ix] >= 0
        if not len(self.keys):
            has_device = np.zeros(len(ix), np.bool_)
        state, heard = devices.state[slot], devices.at[:, slot].max(axis=0)
        left = ~devices.ok[REGISTRATION, slot] & (devices.at[REGISTRATION, slot] >= heard)
        listed, is_on = table.at[CATALOGUE, ix] > 0, table.ok[CATALOGUE, ix]
        tried = (table.at[PACKET, ix] > 0) & ~table.ok[PACKET, ix]

        def fresh(kind: int) -> Flags:
            flags: Flags = (
                table.ok[kind, ix] & (table.at[kind, ix] > 0) & (table.at[kind, ix] + self._fresh[kind] > now)
            )
            return flags

        why = np.select(
            [
                fresh(PACKET), fresh(RECORDING), fresh(PICTURE), ~has_device, state == UNKNOWN,
                (state == OFFLINE) & left, state == OFFLINE, ~listed, ~is_on, tried,
            ],
            [
                REASONS.index(key)
                for key in (
                    "packet_fresh", "recording_fresh", "picture_fresh", "no_device", "device_never_heard",
                    "device_left", "device_silent", "not_listed", "listed_off", "no_media",
                )
            ],
            REASONS.index("listed_on"),
        )  # fmt: skip
        return why.astype(np.uint8)

    @property
    def blind(self) -> Sequence[tuple[int, int]]:
        """Stretches of the last day in which nobody watched; the last one ends with this start."""
        return self._blind

    def history(self, ix: int, start: int, end: int) -> list[StateSpan]:
        """What was believed of a point over a time, half-open; stretches in which we did not run are unknown."""
        here, old, new, at = self._ring.since(self._ring.first)
        mine = np.flatnonzero(here == ix)
        old, new, at = old[mine], new[mine], at[mine]
        state, since = self.state(ix)
        begin = int(np.searchsorted(at, start, side="right"))
        unmoved = state if (since or end) <= start else State.UNKNOWN
        first = STATES[old[begin]] if begin < len(at) else unmoved
        marks: list[tuple[int, State]] = [(start, first)]
        marks += [(int(at[i]), STATES[new[i]]) for i in range(begin, len(at)) if int(at[i]) < end]
        if begin >= len(at) and since is not None and start < since < end:
            marks.append((since, state))
        for down, up in self._blind:
            marks = _cover(marks, down, up, start, end)
        spans: list[StateSpan] = []
        for i, (moment, what) in enumerate(marks):
            until = marks[i + 1][0] if i + 1 < len(marks) else None
            if spans and spans[-1].state is what:
                spans[-1] = StateSpan(spans[-1].start_us, until, what)
            elif until is None or until > moment:
                spans.append(StateSpan(moment, until, what))
        return spans

    # --- over a restart ------------------------------------------------------------------------------------------

    def snapshot(self, now: int) -> Snapshot:
        """What there is now; `pack` it in a thread. Rows that change meanwhile are packed old or new, both are true."""
        n, d = min(self._columns.size, self._points.capacity), len(self.keys)
        ix, old, new, at = self._ring.since(self._ring.first)
        keep = at >= now - DAY
        return Snapshot(
            keys=list(self.keys),
            arrays={
                "form": np.array([1, now], np.int64),
                "blind": np.array(self._blind, np.int64).reshape(-1, 2),
                "hi": self._columns.hi[:n],
                "lo": self._columns.lo[:n],
                "p_at": self._points.at[:, :n],
                "p_ok": self._points.ok[:, :n],
                "p_state": self._points.state[:n],
                "p_since": self._points.since[:n],
                "d_at": self._devices.at[:, :d],
                "d_ok": self._devices.ok[:, :d],
                "d_state": self._devices.state[:d],
                "d_since": self._devices.since[:d],
                "r_ix": ix[keep],
                "r_old": old[keep],
                "r_new": new[keep],
                "r_at": at[keep],
            },
        )

    def restore(self, data: bytes, now: int) -> None:
        """Believe a checkpoint again; devices and points that no longer exist are left out. Raises Invalid."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as saved:
                arrays = {name: saved[name] for name in saved.files}
            form, taken = (int(value) for value in arrays["form"])
            keys = bytes(arrays["keys"]).decode().split("\n") if len(arrays["keys"]) else []
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as err:
            raise Invalid(f"the checkpoint of live states cannot be read: {err}") from err
        if form != 1:
            raise Invalid(f"the checkpoint of live states has form {form}, this program knows 1")
        self._restore_devices(keys, arrays, now)
        n = min(len(arrays["hi"]), self._columns.size)
        self._points.room(self._columns.size, ("device",))
        same = np.flatnonzero(
            (self._columns.hi[:n] == arrays["hi"][:n]) & (self._columns.lo[:n] == arrays["lo"][:n])
        ).astype(np.int32)
        table = self._points
        table.at[:, same], table.ok[:, same] = arrays["p_at"][:, same], arrays["p_ok"][:, same]
        table.state[same] = table.pending[same] = arrays["p_state"][same]
        table.since[same] = arrays["p_since"][same]
        self._dirty_points.append(same)
        self._blind = [(int(a), int(b)) for a, b in arrays["blind"] if int(b) > now - DAY]
        if now > taken:
            self._blind.append((taken, now))
        kept = np.isin(arrays["r_ix"], same) & (arrays["r_at"] > now - DAY)
        self._ring.add(arrays["r_ix"][kept], arrays["r_old"][kept], arrays["r_new"][kept], arrays["r_at"][kept])

    def _restore_devices(self, keys: Sequence[str], arrays: dict[str, NDArray[Any]], now: int) -> None:
        table = self._devices
        found = [(i, slot) for i, key in enumerate(keys) if (slot := self._slots.get(key, -1)) >= 0]
        if not found:
            return
        there, here = (np.array(numbers, np.int32) for numbers in zip(*found, strict=True))
        table.at[:, here], table.ok[:, here] = arrays["d_at"][:, there], arrays["d_ok"][:, there]
        state = arrays["d_state"][there]
        table.state[here] = table.pending[here] = state
        table.since[here] = arrays["d_since"][there]
        table.hold_until[here] = np.where(state == ONLINE, now + table.silence[here], 0)
        self._dirty_devices.append(here)


def _gather(dirty: list[Rows], due: NDArray[np.intp], size: int) -> Rows | None:
    """The rows to look at, each once and at most SLICE of them; what is over stays in `dirty`."""
    if not dirty and not len(due):
        return None
    marked = np.zeros(size, np.bool_)
    marked[due] = True
    for rows in dirty:
        marked[rows] = True
    dirty.clear()
    found = np.flatnonzero(marked).astype(np.int32)
    if len(found) > SLICE:
        dirty.append(found[SLICE:])
    return found[:SLICE]


def _cover(marks: list[tuple[int, State]], down: int, up: int, start: int, end: int) -> list[tuple[int, State]]:
    """Lay an unknown stretch [down, up) over marks."""
    down, up = max(down, start), min(up, end)
    if down >= up:
        return marks
    after = State.UNKNOWN
    out = []
    for moment, state in marks:
        if moment <= up:
            after = state
        if moment < down:
            out.append((moment, state))
    out += [(down, State.UNKNOWN), (up, after)]
    return out + [(moment, state) for moment, state in marks if moment > up]


def write_checkpoint(path: Path, data: bytes) -> None:
    """Put a checkpoint in place as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(path)
