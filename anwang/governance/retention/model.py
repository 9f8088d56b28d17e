"""What is kept how long, and what is known of what expires."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Protocol

from anwang.governance.scopes import Object
from anwang.kernel.errors import Invalid
from anwang.kernel.ids import PointId
from anwang.kernel.times import Span
from anwang.runtime import settings as runtime_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How long content is kept: never less than minimum, never more than maximum (without a hold)."""

    minimum: timedelta
    maximum: timedelta


@dataclass(frozen=True, slots=True)
class Rules:
    """The rule of each point: by its class, or its kind where that has one, and never shorter than what the video
    system that it belongs to has promised (the retention it was entered with, Regulation 799 art. 14 and 17).

    by_class: classes without one follow class 3. by_kind: the maximum of a kind of points. about: what is known of a
    point, None of an unknown one. promised: what systems have promised, by the path of their organisation; the engine
    keeps it up to date.
    """

    by_class: Mapping[int, Rule]
    by_kind: Mapping[str, timedelta] = field(default_factory=dict)
    about: Callable[[PointId], Object | None] = lambda _: None
    promised: dict[str, timedelta] = field(default_factory=dict)

    @classmethod
    def of(
        cls, wanted: runtime_settings.Retention, about: Callable[[PointId], Object | None] = lambda _: None
    ) -> Rules:
        """From the settings. Raises Invalid where a class or kind would be kept shorter than the minimum."""
        minimum = timedelta(days=wanted.minimum_days)
        days = {1: wanted.class_1_days, 2: wanted.class_2_days, 3: wanted.class_3_days}
        named = {f"class_{number}_days": most for number, most in days.items()}
        named |= {f"kind_days.{kind}": most for kind, most in wanted.kind_days.items()}
        for name, most in named.items():
            if most < wanted.minimum_days:
                raise Invalid(
                    f"retention.{name} is {most}, but nothing may be deleted before {wanted.minimum_days} days",
                    "raise it, or lower retention.minimum_days where the law lets you",
                )
        return cls(
            {number: Rule(minimum=minimum, maximum=timedelta(days=most)) for number, most in days.items()},
            {kind: timedelta(days=most) for kind, most in wanted.kind_days.items()},
            about,
        )

    def rule(self, point_class: int, point: PointId | None = None) -> Rule:
        """The rule of a point, or of a class where there is no point."""
        plain = self.by_class.get(point_class, self.by_class[3])
        known = None if point is None else self.about(point)
        if known is None:
            return plain
        minimum = self.least(plain.minimum, known.org_path)
        return Rule(minimum=minimum, maximum=max(minimum, self.by_kind.get(known.kind, plain.maximum)))

    def _promise(self, org_path: str) -> timedelta:
        """Of the nearest system above, or at it."""
        if self.promised:
            end = len(org_path)
            while end > 0:
                if (found := self.promised.get(org_path[:end])) is not None:
                    return found
                end = org_path.rfind("/", 0, end - 1) + 1
        return timedelta(0)

    def least(self, minimum: timedelta, org_path: str) -> timedelta:
        """A minimum there, no shorter than what was promised."""
        return max(minimum, self._promise(org_path))

    @property
    def longest(self) -> timedelta:
        """No minimum is longer."""
        return max([self.minimum, *self.promised.values()])

    @property
    def minimum(self) -> timedelta:
        """What no class falls short of."""
        return max(rule.minimum for rule in self.by_class.values())

    def expires_before(self, point_class: int, now: datetime, point: PointId | None = None) -> datetime:
        """Content of the point, or of the class, that ended before this has expired."""
        rule = self.rule(point_class, point)
        return now - max(rule.minimum, rule.maximum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expirable:
    """One object that may be deleted. id: the keeper's own. span: what it covers. point: None where it has no point.

    sha256: of the object, hexadecimal; empty where nobody computed it. expires_at: of a copy, which has an end of its
    own; None: its class says.
    """

    id: str
    point: PointId | None
    point_class: int
    span: Span
    bytes: int
    sha256: str = ""
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """What a keeper did delete: count, bytes, and the ids of the objects that are gone."""

    count: int
    bytes: int
    ids: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Short:
    """A point whose content reaches back less far than it must. since_us: its oldest. wanted_us: what it must reach.

    why: what the most of what is missing is missing for.
    """

    point: PointId
    point_class: int
    since_us: int
    wanted_us: int
    why: str


@dataclass(frozen=True, slots=True)
class Gone:
    """One object that was deleted. bytes, sha256: None where the proof does not know."""

    id: str
    bytes: int | None
    sha256: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What one deletion took away (G11). span: of its content. objects: empty in a list.

    digest: as the ledger has it, see `digest`. org_path: of the nearest organisation above all its points.
    by, second, approval, why: of a person's deletion before the time; empty where the engine's rules deleted.
    """

    id: str
    keeper: str
    at: datetime
    count: int
    bytes: int
    first_at: datetime
    last_at: datetime
    org_path: str
    digest: str
    objects: Sequence[Gone] = ()
    by: str = ""
    second: str = ""
    approval: str = ""
    why: str = ""


class FindingKind(StrEnum):
    """What a daily report tells of content."""

    LATE = "late"
    """Past its maximum, held by nobody, and still there."""
    HELD = "held"
    """Past its maximum and held."""
    SHORT = "short"
    """Reaches back less far than the minimum."""
    EARLY = "early"
    """Deleted before the minimum, which must never be."""
    BY_HAND = "by_hand"
    """Deleted before its maximum by two persons."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Of one point and keeper. count, bytes: of its objects. since: where the oldest begins. why: for people."""

    id: str
    kind: FindingKind
    keeper: str
    point: PointId | None
    org_path: str
    point_class: int
    count: int
    bytes: int
    since: datetime
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A civil day's proof (G10). failed: why keepers could not delete, as of the engine's last run. left_out: findings
    beyond those that are listed. digest: over it and its findings, as the ledger has it.
    """

    day: date
    made_at: datetime
    failed: Mapping[str, str]
    left_out: int
    digest: str


class Keeper(Protocol):
    """A slice that keeps content; fulfilled outside governance, registered by `app`.

    `expired` yields what ended before `Rules.expires_before` of its class, oldest first, and may yield more: the engine
    checks again. The same object is yielded until it is deleted.
    """

    name: str

    async def expired(self, now: datetime, limit: int, after: Expirable | None) -> Sequence[Expirable]:
        """At most `limit` objects that have expired, oldest first; after: the last one of the batch before."""

    async def delete(self, items: Sequence[Expirable]) -> Deleted:
        """Delete them, object and index; those already gone count as deleted."""

    async def within(self, point: PointId, span: Span, limit: int, after: Expirable | None) -> Sequence[Expirable]:
        """At most `limit` objects of a point that reach into the span, oldest first."""

    async def short(self, now: datetime, limit: int, after: PointId | None) -> tuple[Sequence[Short], PointId | None]:
        """Of at most `limit` points behind `after`, those that are kept too short; and the last one looked at, None
        when all have been."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Content of a point that must not be deleted, whatever its age. review_at: someone must look at it by then."""

    id: str
    point: PointId
    org_path: str
    start_at: datetime
    end_at: datetime
    owner_id: str
    owner_name: str
    reason: str
    review_at: datetime
    created_at: datetime


def digest(objects: Iterable[Gone]) -> str:
    """SHA-256 over one line each, sorted: id, bytes, SHA-256, a blank between. Ledger and proof have it in common."""
    lines = (f"{one.id} {one.bytes} {one.sha256}" for one in objects)
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
