"""Making a package: each clip under a look of its own, streamed into the object store, then sealed and signed."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import msgspec

from anwang import __version__
from anwang.governance import Action, Actor, Signer, Trail
from anwang.kernel.errors import Internal, NotFound
from anwang.kernel.times import Span, from_micros, rfc3339
from anwang.media.export import Clip, Drawing, Redacting, file_name
from anwang.media.export import Export as Clips
from anwang.media.exports import package
from anwang.media.exports.model import Export, ExportForm, Item
from anwang.media.exports.package import Drawn, File, Gap, Manifest, Part, Place, Second, Source, Who, Writer
from anwang.media.looks import Look, RecordingLooks
from anwang.media.model import Segment
from anwang.media.sight import mark_of
from anwang.runtime import logs
from anwang.runtime.clock import Clock
from anwang.stores.objects import Segment as Spooled
from anwang.wire.fmp4 import read_movie
from anwang.wire.units import Kind

MOST_ROWS = 10_000
"""Of the ledger, in a chain of custody."""
_BLOCK = 1 << 20
T = TypeVar("T")


async def in_thread(call: Callable[..., T], *given: object) -> T:
    """What a blocking call returns. Who is cancelled meanwhile waits for it: its file may be closed then."""
    doing = asyncio.ensure_future(asyncio.to_thread(call, *given))
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait({doing})
        raise


log = logs.get(__name__)


class Vouches(Protocol):
    """What is needed of governance.Governance."""

    @property
    def signer(self) -> Signer:
        """Of the ledger's anchors."""

    async def trail(self, ids: Collection[str], *, since: int, most: int) -> Trail:
        """What the ledger says of these since a moment."""

    async def note_changed_content(self, point: str, object_id: str) -> None:
        """Write an alert: stored content is not what it was. Raises Unavailable."""


@dataclass(slots=True)
class Progress:
    """How far an export is."""

    bytes_done: int = 0
    seconds_done: float = 0.0


@dataclass(frozen=True, slots=True)
class Packed:
    """size: of the package. sha256: of its manifest."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Packer:
    """city: named in the manifest."""

    clips: Clips
    looks: RecordingLooks
    governs: Vouches
    clock: Clock
    city: str

    async def pack(self, one: Export, actor: Actor, sink: Spooled, progress: Progress) -> Packed:
        """Write the whole package. Raises as RecordingLooks.open and Export.clip, and Unavailable (disk, ledger)."""
        writer = Writer(sink)
        files = [
            await self._file(one, actor, item, number, writer, progress) for number, item in enumerate(one.items, 1)
        ]
        key = self.governs.signer.newest
        since = int(one.created_at.timestamp()) * 1_000_000
        ids = {one.id, *(file.look for file in files)}
        trail = await self.governs.trail(ids, since=since, most=MOST_ROWS)
        others = [
            await in_thread(writer.add, name, data)
            for name, data in (
                (package.CUSTODY, _custody(one, trail)),
                (package.README, package.notice(one.id, key)),
                (package.KEY, package.pem_of(key)),
            )
        ]
        text = package.encode(self._manifest(one, files, others, key))
        signature = bytes.fromhex(self.governs.signer.sign(key, text).decode())
        await in_thread(writer.add, package.MANIFEST, text)
        await in_thread(writer.add, package.SIGNATURE, signature)
        await in_thread(writer.close)
        progress.bytes_done = writer.size
        return Packed(writer.size, hashlib.sha256(text).hexdigest())

    def _manifest(self, one: Export, files: Sequence[File], others: Sequence[package.Other], key: str) -> Manifest:
        why = one.why
        return Manifest(
            schema=package.SCHEMA,
            city=self.city,
            program=f"anwang {__version__}",
            export=one.id,
            form=one.choice.form.value,
            asked_at=rfc3339(one.created_at),
            asked_by=Who(username=one.username, name=one.display_name, role=one.role, unit=one.unit),
            recipient=one.choice.recipient,
            note=one.choice.note,
            purpose=package.Purpose(id=why.id, kind=why.kind, case_no=why.case_no, unit=why.unit) if why.id else None,
            sealed_at=rfc3339(self.clock.now()),
            key=key,
            files=files,
            others=others,
        )

    async def _file(
        self, one: Export, actor: Actor, item: Item, number: int, writer: Writer, progress: Progress
    ) -> File:
        before = progress.seconds_done
        about = f"export {one.id}, {one.choice.form}"
        async with self.looks.alone(actor, Action.EXPORT, item.point, item.span, about) as look:
            mark = mark_of(actor, look.id) if one.choice.with_mark else None
            made = await self.clips.plan(look, mark, redacting=_redacting(one, item))
            name = f"clips/{number:03d}_{file_name(item.name, made.span)}"
            await in_thread(writer.begin, name)
            head = b""
            async for share, block in self._blocks(made, look):
                head = head or block
                await in_thread(writer.write, block)
                progress.bytes_done = writer.size
                progress.seconds_done = before + share * item.span.micros / 1_000_000
            stored = await in_thread(writer.end)
            sources = await self._sources(made)
            progress.seconds_done = before + item.span.micros / 1_000_000
        movie = await in_thread(read_movie, head if isinstance(made, Drawing) else made.front)
        masks = len(self.clips.paint(made, look, made.pieces[0].segment).polygons) if isinstance(made, Drawing) else 0
        return File(
            name=name,
            size=stored.size,
            sha256=stored.sha256,
            point=Place(id=item.point, code=item.code, name=item.name),
            stream=made.stream,
            wanted=_part(item.span),
            shown=_part(made.span),
            gaps=[
                Gap(start=_iso(gap.start_us), end=_iso(gap.end_us), cause=gap.cause.value, detail=gap.detail)
                for gap in made.gaps
            ],
            codec=movie.codecs,
            original=isinstance(made, Clip),
            sound=movie.track(Kind.AUDIO) is not None,
            drawn=Drawn(mark=mark is not None, masks=masks, redactions=len(one.covering(item))),
            look=look.id,
            second=None if look.approval is None else Second(approval=look.approval.id, by=look.approval.decided_by),
            sources=sources,
        )

    async def _blocks(self, made: Clip | Drawing, look: Look) -> AsyncIterator[tuple[float, bytes]]:
        """The file's bytes, each with the share of it that is done by then."""
        done = 0
        if isinstance(made, Clip):
            async for block in self.clips.read(made, look, 0, made.size):
                done += len(block)
                yield done / made.size, block
            return
        async for block in self.clips.draw(made, look, is_patient=True):
            done += 1
            yield min(1.0, done / (len(made.pieces) + 1)), block

    async def _sources(self, made: Clip | Drawing) -> list[Source]:
        segments = [part.segment for part in made.parts] if isinstance(made, Clip) else [p.segment for p in made.pieces]
        found = {}
        for one in segments:
            if one.id not in found:
                digest = await self._digest(one) if isinstance(made, Clip) else ""
                as_sealed = digest == one.sha256 if digest and one.sha256 else None
                if as_sealed is False:
                    log.error("a recording is not what it was when it was sealed", segment=one.id, point=one.point)
                    await self.governs.note_changed_content(one.point, one.id)
                found[one.id] = Source(
                    segment=one.id,
                    start=_iso(one.start_us),
                    end=_iso(one.end_us),
                    size=one.size_bytes,
                    sha256=digest,
                    as_sealed=as_sealed,
                )
        return list(found.values())

    async def _digest(self, one: Segment) -> str:
        """SHA-256 of a segment that is sealed; "" while it grows."""
        sealed, is_open = await self.clips.footage.find(one.point, one.id)
        if is_open or sealed.size_bytes != one.size_bytes:
            return ""
        found = hashlib.sha256()
        for start in range(0, one.size_bytes, _BLOCK):
            end = min(start + _BLOCK, one.size_bytes)
            data = await self.clips.footage.read(sealed, start, end)
            if len(data) != end - start:
                raise NotFound("this piece of video does not exist", "it may have been deleted since")
            found.update(data)
        return found.hexdigest()


def _redacting(one: Export, item: Item) -> Redacting | None:
    if one.choice.form is ExportForm.ORIGINAL:
        return None
    return Redacting(redactions=one.covering(item), with_sound=one.choice.with_sound)


def _custody(one: Export, trail: Trail) -> bytes:
    if not trail.rows:
        raise Internal("the ledger says nothing of this export")
    head = trail.head
    told = [{"chain": chain, **msgspec.to_builtins(row), "at": _iso(row.at)} for chain, row in trail.rows]
    ledger = {"chain": head.chain, "row": head.seq, "hash": head.hash, "at": _iso(head.at)}
    return package.encode({"export": one.id, "ledger": ledger, "rows": told})


def _part(span: Span) -> Part:
    return Part(start=_iso(span.start), end=_iso(span.end))


def _iso(micros: int) -> str:
    return rfc3339(from_micros(micros))
