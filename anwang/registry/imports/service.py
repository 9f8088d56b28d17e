"""Imports: a file is staged, checked by a child process with progress, previewed, and published as a whole or not.

New points of a large import are made in many short transactions, hidden by an open batch; then one short transaction
writes the changed ones and closes the batch, and all of it is there at once. Nobody who writes meanwhile waits longer
than for a few hundred rows. What was begun goes on after a restart: checking from the start, publishing where it was.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

import anwang
from anwang.governance import EVERYTHING, Scope
from anwang.kernel.errors import Conflict, Exhausted, Invalid, NotFound, Unavailable
from anwang.kernel.ids import uuid7
from anwang.registry import store as points_store
from anwang.registry.facts import Fact, ImportMoved, PointsChanged
from anwang.registry.files import columns_of, differences, record_of, row_hash
from anwang.registry.imports import store, trees
from anwang.registry.imports.model import (
    AT_WORK,
    GEOJSON,
    Import,
    ImportFault,
    ImportKind,
    ImportOptions,
    ImportStatus,
    Preview,
)
from anwang.registry.imports.reading import FRAME, Brief, Chunk, End, Message, Org, count_lines
from anwang.registry.model import Page, Point
from anwang.registry.outlines import rings_of
from anwang.registry.quality import BY_ID, told
from anwang.registry.service import Registry, cursor_of, limited, read_cursor
from anwang.registry.siting import RESTRICTED, buffer_of
from anwang.runtime import logs
from anwang.runtime.clock import Clock
from anwang.stores.state import State as Database

log = logs.get(__name__)

STEP = 2000
"""Rows made, or deleted, per transaction."""
PREVIEW = 100
LISTED = 200
SILENT_S = 120.0
"""A child that says nothing for so long is ended."""
OPEN_IMPORTS = 20
"""Files that may wait for someone; one more is refused."""
TRIES = 5
"""How often publishing looks again when points change under it."""
_UNFINISHED = (*AT_WORK, ImportStatus.READY, ImportStatus.FAILED)


class Imports:
    """Files on their way in. Keep `run` running. folder: for the files themselves, readable by nobody else."""

    def __init__(
        self,
        *,
        registry: Registry,
        state: Database,
        clock: Clock,
        folder: Path,
        announce: Callable[[Fact], None] | None = None,
        largest_bytes: int = 512 * 1024 * 1024,
    ) -> None:
        self._registry = registry
        self._state = state
        self._clock = clock
        self._folder = folder
        self._announce = announce or (lambda _: None)
        self._largest = largest_bytes
        self._wake = asyncio.Event()
        self._stopped: set[str] = set()

    # --- use cases -----------------------------------------------------------------------------------------------

    async def stage(
        self,
        seen: Scope,
        kind: ImportKind,
        body: AsyncIterator[bytes],
        *,
        by: str,
        filename: str = "",
        options: ImportOptions | None = None,
    ) -> Import:
        """Take a file; checking begins at once. Raises Exhausted (too large, too many waiting), NotFound (default
        organisation), Invalid (options), Conflict (who does not see all may import points only).
        """
        options = options or ImportOptions()
        root = seen.root
        if root is None:
            raise Conflict("an import is into one organisation", "ask someone who may see all of it")
        if kind is not ImportKind.POINTS and not seen.sees_all:
            raise Conflict(f"{kind} are of the whole city", "ask someone who may see all of it")
        if options.networking_zero not in ("", "networked", "not_networked"):
            raise Invalid("networking_zero is networked, not_networked or empty")
        if options.organisation is not None:
            self._registry.organisation(seen, options.organisation)
        import_id = uuid7(self._clock.micros() // 1000)
        async with self._state.read() as tx:
            waiting = await store.count_imports(tx, _UNFINISHED)
        if waiting >= OPEN_IMPORTS:
            raise Exhausted(f"{waiting} imports wait to be published", "publish or cancel one of them")
        await self._save(import_id, body)
        async with self._state.begin() as tx:
            await store.add_import(
                tx,
                {
                    "id": import_id,
                    "kind": str(kind),
                    "status": str(ImportStatus.STAGED),
                    "filename": filename[:200],
                    "by": by,
                    "org_path": root,
                    "options": msgspec.to_builtins(options),
                    "created_at": self._clock.now(),
                },
            )
        self._wake.set()
        return await self._get(import_id)

    async def _save(self, import_id: str, body: AsyncIterator[bytes]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(import_id)
        size = 0
        out = await asyncio.to_thread(path.open, "xb")
        try:
            async for piece in body:
                size += len(piece)
                if size > self._largest:
                    raise Exhausted(f"the file is larger than {self._largest} bytes", "import it in parts")
                await asyncio.to_thread(out.write, piece)
            await asyncio.to_thread(_sync, out)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        finally:
            out.close()

    def _path(self, import_id: str) -> Path:
        return self._folder / f"{import_id}.import"

    async def _get(self, import_id: str) -> Import:
        async with self._state.read() as tx:
            found = await store.get_import(tx, import_id)
        if found is None:
            raise NotFound(f"there is no import {import_id[:64]}")
        return found[0]

    async def get(self, seen: Scope, import_id: str) -> Import:
        """One import. Raises NotFound."""
        found = await self._get(import_id)
        if not seen.covers_path(found.org_path):
            raise NotFound(f"there is no import {import_id[:64]}")
        return found

    async def all(self, seen: Scope, *, limit: int = 50, cursor: str | None = None) -> Page[Import]:
        """Imports, newest first."""
        limit = limited(limit)
        async with self._state.read() as tx:
            found = await store.list_imports(tx, seen, before=read_cursor(cursor, ""), limit=limit + 1)
        return Page(found[:limit], cursor_of(found[limit - 1].id) if len(found) > limit else None)

    async def faults(
        self, seen: Scope, import_id: str, *, limit: int = LISTED, cursor: str | None = None
    ) -> Page[ImportFault]:
        """What is wrong with a file, in its order. Raises NotFound."""
        limit = limited(limit)
        await self.get(seen, import_id)
        after = read_cursor(cursor, "-1")
        if not after.lstrip("-").isdigit():
            raise Invalid("this cursor is not one of ours", "begin again without a cursor")
        async with self._state.read() as tx:
            found = await store.faults_page(tx, import_id, after=int(after), limit=limit + 1)
        more = len(found) > limit
        return Page([fault for _, fault in found[:limit]], cursor_of(found[limit - 1][0]) if more else None)

    async def preview(self, seen: Scope, import_id: str) -> Preview | None:
        """What publishing would do; None before the file was checked. Raises NotFound."""
        one = await self.get(seen, import_id)
        if one.status in (ImportStatus.STAGED, ImportStatus.VALIDATING):
            return None
        async with self._state.read() as tx:
            rows = await store.preview_rows(tx, import_id, limit=PREVIEW)
        return Preview(added=one.added, changed=one.changed, unchanged=one.unchanged, rows=rows)

    async def publish(self, seen: Scope, import_id: str, *, skip_faulty: bool = False) -> Import:
        """Begin to publish. Raises NotFound, Conflict: not checked yet, or rows that cannot be kept (unless they are to
        be left out).
        """
        one = await self.get(seen, import_id)
        if one.status is ImportStatus.FAILED and one.reason:
            raise Conflict(f"the file cannot be read: {one.reason}", "stage a corrected file")
        if one.status is ImportStatus.FAILED and not skip_faulty:
            raise Conflict(
                f"{one.error_rows} rows cannot be kept", "correct the file, or publish the others with skip_faulty"
            )
        if one.added + one.changed == 0:
            raise Conflict("nothing would change", "cancel it")
        async with self._state.begin() as tx:
            moved = await store.move_import(
                tx, import_id, to=ImportStatus.PUBLISHING, only_from=(ImportStatus.READY, ImportStatus.FAILED),
                done=0, skipped=one.error_rows,
            )  # fmt: skip
        if not moved:
            raise Conflict(f"the import is {one.status}", "only a checked one can be published")
        self._wake.set()
        return await self._get(import_id)

    async def cancel(self, seen: Scope, import_id: str) -> Import:
        """Give an import up; nothing of it stays. Raises NotFound, Conflict once it is published."""
        one = await self.get(seen, import_id)
        async with self._state.begin() as tx:
            moved = await store.move_import(
                tx, import_id, to=ImportStatus.CANCELLED, only_from=_UNFINISHED, finished_at=self._clock.now()
            )
        if not moved:
            raise Conflict(f"the import is {one.status}", "only one under way can be cancelled")
        self._stopped.add(import_id)
        self._wake.set()
        return await self._get(import_id)

    # --- work ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Check and publish, one import after the other, until cancelled."""
        while True:
            self._wake.clear()
            while await self.work():
                pass
            await self._wake.wait()

    async def work(self) -> bool:
        """Do what the oldest import needs; False if none needs anything."""
        await self._tidy()
        async with self._state.read() as tx:
            import_id = await store.next_at_work(tx)
        if import_id is None:
            return False
        one = await self._get(import_id)
        try:
            if one.status is ImportStatus.PUBLISHING:
                await self._publish(one)
            else:
                await self._validate(one)
        except _Stopped:
            log.info("import cancelled", id=import_id)
        except (Invalid, Unavailable, Conflict) as err:
            await self._fail(import_id, err.reason)
        except Exception as err:
            log.exception("import failed", id=import_id)
            await self._fail(import_id, f"{type(err).__name__}: {err}"[:300])
        await self._tidy()
        return True

    async def _tidy(self) -> None:
        """Finish imports that are over: findings of what was published, and nothing left of what was not needed."""
        async with self._state.read() as tx:
            over = await store.untidied(tx)
        for one in over:
            if one.status is ImportStatus.PUBLISHED and one.kind is ImportKind.POINTS:
                await self._write_findings(one.id)
                await self._drop_rows(one.id, faults=False)
            elif one.status is ImportStatus.CANCELLED:
                await self._forget(one.id)
            self._path(one.id).unlink(missing_ok=True)
            self._stopped.discard(one.id)
            async with self._state.begin() as tx:
                await store.change_import(tx, one.id, holds=False)

    async def _forget(self, import_id: str) -> None:
        self._path(import_id).unlink(missing_ok=True)
        async with self._state.read() as tx:
            found = await store.get_import(tx, import_id)
        if found is not None and found[1].batch:
            row = found[1]
            async with self._state.read() as tx:
                top = await store.highest_ix(tx, batch=row.batch, first_ix=row.first_ix, count=max(row.added, 1))
            for below in range(row.first_ix + STEP - 1, top + STEP, STEP):
                async with self._state.begin() as tx:
                    await store.forget_points(tx, batch=row.batch, below_ix=below)
            async with self._state.begin() as tx:
                await store.close_batch(tx, row.batch)
                await store.change_import(tx, import_id, batch=0, first_ix=-1)
        await self._drop_rows(import_id, faults=True)

    async def _drop_rows(self, import_id: str, *, faults: bool) -> None:
        async with self._state.read() as tx:
            last = await store.last_row(tx, import_id)
        for below in range(STEP, last + STEP, STEP):
            async with self._state.begin() as tx:
                await store.drop_rows(tx, import_id, below=below, faults=faults)
        if faults:
            async with self._state.begin() as tx:
                await store.drop_rows(tx, import_id, faults=True)

    async def _fail(self, import_id: str, reason: str) -> None:
        async with self._state.begin() as tx:
            await store.move_import(tx, import_id, to=ImportStatus.FAILED, only_from=AT_WORK, reason=reason[:300])
        await self._tell(import_id)

    async def _tell(self, import_id: str) -> None:
        one = await self._get(import_id)
        self._announce(ImportMoved(id=one.id, kind=str(one.kind), status=str(one.status), rows=one.rows, done=one.done))

    def _check_stopped(self, import_id: str) -> None:
        if import_id in self._stopped:
            raise _Stopped

    # --- checking ------------------------------------------------------------------------------------------------

    async def _validate(self, one: Import) -> None:
        await self._drop_rows(one.id, faults=True)
        if not self._path(one.id).exists():
            raise Unavailable("the file is no longer there", "stage it again")
        lines = await asyncio.to_thread(count_lines, self._path(one.id))
        blank = dict.fromkeys(("done", "error_rows", "fault_count", "faults_kept", "added", "changed", "unchanged"), 0)
        async with self._state.begin() as tx:
            blank["changes"] = await points_store.changes(tx)
            moved = await store.move_import(
                tx, one.id, to=ImportStatus.VALIDATING, only_from=AT_WORK, rows=max(lines - 1, 0),
                checked_at=self._clock.now(), **blank,
            )  # fmt: skip
        if not moved:
            raise _Stopped
        await self._tell(one.id)
        if one.kind is ImportKind.POINTS:
            await self._validate_points(one)
        else:
            await self._validate_tree(one)
        await self._tell(one.id)

    async def _validate_points(self, one: Import) -> None:
        sums = _Sums()
        told = 0
        async with self._state.read() as tx:
            is_empty = not await points_store.any_point(tx)
        async with aclosing(self._child(one)) as messages:
            async for message in messages:
                self._check_stopped(one.id)
                if isinstance(message, End):
                    await self._checked(one.id, sums, message)
                    return
                await self._take(one, message, sums, is_empty)
                told += 1
                if told % 25 == 0:
                    await self._tell(one.id)
        raise Unavailable("the child that checks the file ended early", "stage it again; see the log")

    async def _checked(self, import_id: str, sums: _Sums, end: End) -> None:
        failed = bool(end.reason) or sums.errors > 0
        async with self._state.begin() as tx:
            await store.move_import(
                tx,
                import_id,
                to=ImportStatus.FAILED if failed else ImportStatus.READY,
                only_from=(ImportStatus.VALIDATING,),
                rows=end.rows,
                done=end.rows,
                reason=end.reason,
                **sums.columns(),
            )

    async def _take(self, one: Import, chunk: Chunk, sums: _Sums, is_empty: bool) -> None:
        """Compare a chunk with the points there are and stage it."""
        known: Mapping[str, Sequence[Any]] = {}
        full: Mapping[int, Point] = {}
        if chunk.rows and not is_empty:
            async with self._state.read() as tx:
                known = _by_code(await store.known_of_codes(tx, sorted({row[3]["code"] for row in chunk.rows})))
                known = {
                    code: [twin for twin in twins if twin.org_path.startswith(one.org_path)]
                    for code, twins in known.items()
                }
                wanted = [
                    known[columns["code"]][nth].ix
                    for _, nth, _, columns in chunk.rows
                    if nth < len(known.get(columns["code"], ()))
                    and known[columns["code"]][nth].row_hash != columns["row_hash"]
                ]
                full = {p.ix: p for p in await points_store.points_by_ix(tx, EVERYTHING, wanted)} if wanted else {}
        staged = await asyncio.to_thread(self._staged, one.id, chunk, known, full, sums)
        faults = [(one.id, sums.kept + n, *fault) for n, fault in enumerate(chunk.faults)]
        sums.kept += len(faults)
        sums.errors, sums.faults = chunk.errors, chunk.fault_count
        async with self._state.begin() as tx:
            await store.insert_raw(tx, store.import_rows, store.STAGED_NAMES, staged)
            await store.insert_raw(tx, store.import_faults, store.FAULT_NAMES, faults)
            await store.change_import(tx, one.id, done=chunk.done, **sums.columns())

    def _staged(
        self,
        import_id: str,
        chunk: Chunk,
        known: Mapping[str, Sequence[Any]],
        full: Mapping[int, Point],
        sums: _Sums,
    ) -> list[list[object]]:
        rows: list[list[object]] = []
        for line, nth, record, columns in chunk.rows:
            twins = known.get(columns["code"], ())
            twin = twins[nth] if nth < len(twins) else None
            if twin is None:
                rows.append(_row(import_id, line, store.ADDED, sums.added, -1, 0, None, columns))
                sums.added += 1
                continue
            before = full.get(twin.ix)
            diff = None
            if before is not None:
                columns, diff = self._merged(before, record)
            columns["id"] = twin.id
            change = store.CHANGED if diff else store.UNCHANGED
            sums.changed += bool(diff)
            sums.unchanged += not diff
            rows.append(_row(import_id, line, change, -1, twin.ix, twin.version, diff, columns))
        return rows

    def _merged(
        self, before: Point, record: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, tuple[object, object]]]:
        """The columns of a point after a row, which changes only what it says, and what that changes."""
        old = record_of(before)
        said = {key: value for key, value in record.items() if value is not None}
        if "organisation" not in said or said["organisation"] == before.org_id:
            said.pop("organisation", None)
        after = {**old, **said}
        if "facing" in said and "heading_deg" not in said and said["facing"] != old.get("facing"):
            after.pop("heading_deg", None)
        columns = columns_of(after)
        org = self._registry.all_organisations[str(after["organisation"])]
        owners = {key: after.get(key) for key in ("paid", "owns", "maintains")}
        may_see = [part for part in str(after.get("may_see") or "").split("/") if part]
        columns.update(owners, may_see=may_see, org_id=org.id, org_path=org.org_path)
        columns["row_hash"] = row_hash(columns)
        diff = differences(old, record_of(replace(before, **_as_point(columns, before, org.id, org.org_path))))
        return columns, diff

    async def _child(self, one: Import) -> AsyncGenerator[Message, None]:
        """The messages of the process that reads the file. It is ended with this iterator."""
        root = str(Path(anwang.__file__).parents[1])
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "import sys; from anwang.registry.imports.reading import main; sys.exit(main())",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])},
            limit=FRAME,
        )
        if process.stdin is None or process.stdout is None:
            raise Unavailable("the child has no pipes")
        try:
            brief = await self._brief(one)
            data = await asyncio.to_thread(msgspec.msgpack.encode, brief)
            process.stdin.write(len(data).to_bytes(4, "big") + data)
            await process.stdin.drain()
            decoder = msgspec.msgpack.Decoder(Message)
            while True:
                try:
                    async with asyncio.timeout(SILENT_S):
                        size = int.from_bytes(await process.stdout.readexactly(4), "big")
                        if size > FRAME:
                            raise Unavailable("the child sent too much at once")
                        frame = await process.stdout.readexactly(size)
                except asyncio.IncompleteReadError:
                    return
                yield decoder.decode(frame)
        except (TimeoutError, BrokenPipeError, ConnectionResetError) as err:
            raise Unavailable(f"the child that checks the file stopped: {err!r}") from err
        finally:
            process.stdin.close()
            if process.returncode is None:
                process.kill()
            # reads what is left, so that the pipe is closed with the process
            await process.communicate()

    async def _brief(self, one: Import) -> Brief:
        registry = self._registry
        setting = registry.reviews.setting()
        orgs = []
        for org in registry.all_organisations.values():
            names = "/".join(named.name for named in registry.organisation_path(org.org_path))
            orgs.append(Org(org.id, org.org_path, org.name, names, org.police_code, org.gb_id))
        async with self._state.read() as tx:
            base = await points_store.all_base(tx, layers=("divisions",))
            areas = await points_store.all_base(tx, layers=(RESTRICTED,))
        outlines = [
            (code, name, rings) for _, code, name, _, geometry in base if code for rings in [rings_of(geometry)]
        ]
        return Brief(
            path=str(self._path(one.id)),
            options=one.options,
            scope=one.org_path,
            today=self._clock.now().date().isoformat(),
            now_ms=self._clock.micros() // 1000,
            organisations=orgs,
            divisions=dict(setting.divisions),
            retired=dict(setting.retired),
            outlines=outlines,
            restricted=[(name, buffer_of(buffer), rings_of(geometry)) for _, _, name, buffer, geometry in areas],
            roads=registry.base_map.roads().tolist(),
        )

    async def _validate_tree(self, one: Import) -> None:
        read = await asyncio.to_thread(trees.read, one.kind, self._path(one.id), self._registry.all_organisations)
        known = self._registry.all_organisations if one.kind is ImportKind.ORGANISATIONS else {}
        added = sum(row.key not in known for row in read.rows) if known else len(read.rows)
        faults = [
            (one.id, n, f.row, f.column, f.value[:100], f.rule, str(f.severity), f.message)
            for n, f in enumerate(read.faults[:10_000])
        ]
        async with self._state.begin() as tx:
            await store.insert_raw(tx, store.import_faults, store.FAULT_NAMES, faults)
            await store.move_import(
                tx,
                one.id,
                to=ImportStatus.FAILED if read.errors or not read.rows else ImportStatus.READY,
                only_from=(ImportStatus.VALIDATING,),
                rows=len(read.rows) + read.errors,
                done=len(read.rows) + read.errors,
                error_rows=read.errors,
                fault_count=len(read.faults),
                faults_kept=len(faults),
                added=added,
                changed=len(read.rows) - added,
                reason="" if read.rows or read.errors else "文件中没有可用的内容",
            )

    # --- publishing ----------------------------------------------------------------------------------------------

    async def _publish(self, one: Import) -> None:
        await self._tell(one.id)
        if one.kind is ImportKind.POINTS:
            await self._publish_points(one)
        else:
            await self._publish_tree(one)
        await self._tell(one.id)

    async def _publish_points(self, one: Import) -> None:
        batch, first_ix, last = await self._begin_publishing(one)
        now = self._clock.now()
        for after in range(one.done, last, STEP):
            self._check_stopped(one.id)
            until = min(after + STEP, last)
            async with self._state.begin() as tx:
                await store.make_points(tx, one.id, batch=batch, first_ix=first_ix, after=after, until=until, now=now)
                await store.change_import(tx, one.id, done=until)
            if after // STEP % 25 == 0:
                await self._tell(one.id)
        stale = await self._show(one, batch)
        if stale:
            await self._again(one, stale)
            return
        await self._registry.take_batch(batch)
        await self._follow_changed(one.id)
        self._announce(PointsChanged(points=(), added=one.added, changed=one.changed))

    async def _show(self, one: Import, batch: int) -> int:
        """The one short transaction in which all of it appears; else how many rows no longer hold.

        Comparing every row takes seconds, so it is done beforehand, and only if points were changed since the check;
        the transaction then makes sure that none was changed in between.
        """
        now = self._clock.now()
        for _ in range(TRIES):
            async with self._state.read() as tx:
                found = await store.get_import(tx, one.id)
                changes = await points_store.changes(tx)
                if found is not None and changes != found[1].changes:
                    stale = await store.stale_rows(tx, one.id, found[1].checked_at)
                    if stale:
                        return stale
            async with self._state.begin() as tx:
                found = await store.get_import(tx, one.id, lock=True)
                if found is None or found[0].status is not ImportStatus.PUBLISHING:
                    raise _Stopped
                if await points_store.changes(tx) != changes:
                    continue
                await points_store.note_change(tx)
                await store.change_points(tx, one.id, by=one.by, reason=f"导入 {one.filename}"[:200], now=now)
                await store.close_batch(tx, batch)
                await store.move_import(
                    tx,
                    one.id,
                    to=ImportStatus.PUBLISHED,
                    only_from=(ImportStatus.PUBLISHING,),
                    done=one.rows,
                    finished_at=now,
                )
            return 0
        raise Conflict("points are changed too often to publish now", "publish again")

    async def _begin_publishing(self, one: Import) -> tuple[int, int, int]:
        """The batch, the number of the first new point, the last line; taken once, also over restarts."""
        async with self._state.begin() as tx:
            found = await store.get_import(tx, one.id, lock=True)
            if found is None or found[0].status is not ImportStatus.PUBLISHING:
                raise _Stopped
            batch, first_ix = found[1].batch, found[1].first_ix
            if not batch:
                batch = await points_store.take_numbers(tx, "imports.batch", 1)
                first_ix = await points_store.take_numbers(tx, "points.ix", max(one.added, 1))
                await store.open_batch(tx, batch)
                await store.change_import(tx, one.id, batch=batch, first_ix=first_ix)
            return batch, first_ix, await store.last_row(tx, one.id)

    async def _again(self, one: Import, stale: int) -> None:
        """Points changed since the check: take the hidden ones away and check anew; a person publishes again."""
        log.info("import checked again", id=one.id, stale=stale)
        await self._forget_batch(one.id)
        async with self._state.begin() as tx:
            await store.move_import(tx, one.id, to=ImportStatus.STAGED, only_from=(ImportStatus.PUBLISHING,))

    async def _forget_batch(self, import_id: str) -> None:
        async with self._state.begin() as tx:
            found = await store.get_import(tx, import_id, lock=True)
            if found is None or not found[1].batch:
                return
            await store.forget_points(tx, batch=found[1].batch, below_ix=(1 << 31) - 1)
            await store.close_batch(tx, found[1].batch)
            await store.change_import(tx, import_id, batch=0, first_ix=-1)

    async def _follow_changed(self, import_id: str) -> None:
        async with self._state.read() as tx:
            numbers = await store.changed_numbers(tx, import_id)
            for start in range(0, len(numbers), 500):
                part = numbers[start : start + 500]
                self._registry.put_columns(await points_store.points_by_ix(tx, EVERYTHING, part))

    async def _write_findings(self, import_id: str) -> None:
        """Faults of rows that were published, all of one rule and point in one finding."""
        after = -1
        while True:
            async with self._state.read() as tx:
                found = await store.faulty_points(tx, import_id, after=after, limit=500)
                if found:  # faults of a row follow each other: the last one's may go on behind this page
                    found += await store.faulty_points(tx, import_id, after=found[-1].n, limit=500, only=found[-1].id)
            if not found:
                break
            after = found[-1].n
            by_finding: dict[tuple[str, str, str], list[str]] = {}
            for f in found:
                if f.rule in BY_ID:
                    by_finding.setdefault((f.rule, f.id, f.org_path), []).append(f.message)
            rows = [
                self._registry.reviews.row(rule, point, BY_ID[rule].severity, told(several), point, org_path)
                for (rule, point, org_path), several in by_finding.items()
            ]
            async with self._state.begin() as tx:
                await points_store.put_findings(tx, rows)
        await self._registry.find_all_duplicates()

    async def _publish_tree(self, one: Import) -> None:
        organisations = self._registry.all_organisations
        read = await asyncio.to_thread(trees.read, one.kind, self._path(one.id), organisations)
        if one.kind is ImportKind.ORGANISATIONS:
            await self._registry.put_organisations(trees.organisations(read, organisations, self._new_id))
        if one.kind is ImportKind.DIVISIONS:
            await self._registry.put_divisions(trees.divisions(read))
        if one.kind in GEOJSON:
            await self._registry.replace_base(str(one.kind), trees.features(read))
        async with self._state.begin() as tx:
            await store.move_import(
                tx,
                one.id,
                to=ImportStatus.PUBLISHED,
                only_from=(ImportStatus.PUBLISHING,),
                done=one.rows,
                finished_at=self._clock.now(),
            )

    def _new_id(self) -> str:
        return uuid7(self._clock.micros() // 1000)


class _Stopped(Exception):
    """Someone cancelled the import."""


class _Sums:
    """What was counted while checking."""

    def __init__(self) -> None:
        self.added = self.changed = self.unchanged = self.errors = self.faults = self.kept = 0

    def columns(self) -> dict[str, Any]:
        """As columns of the import."""
        return {
            "added": self.added,
            "changed": self.changed,
            "unchanged": self.unchanged,
            "error_rows": self.errors,
            "fault_count": self.faults,
            "faults_kept": self.kept,
        }


def _by_code(rows: Sequence[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(row.code, []).append(row)
    return found


def _row(
    import_id: str,
    line: int,
    change: int,
    seq: int,
    ix: int,
    version: int,
    diff: Mapping[str, tuple[object, object]] | None,
    columns: Mapping[str, Any],
) -> list[object]:
    """A staged row as the driver takes it, in the order of STAGED_NAMES."""
    told = [columns[name] for name in store.FILE_NAMES]
    for name in ("file", "may_see"):
        place = store.FILE_NAMES.index(name)
        told[place] = msgspec.json.encode(told[place]).decode()
    changes = None if diff is None else msgspec.json.encode({key: list(pair) for key, pair in diff.items()}).decode()
    return [import_id, line, change, seq, ix, version, changes, *told]


def _as_point(columns: Mapping[str, Any], before: Point, org_id: str, org_path: str) -> dict[str, Any]:
    """Columns as fields of a point, for comparing files."""
    owners = replace(
        before.owners,
        paid=columns["paid"],
        owns=columns["owns"],
        maintains=columns["maintains"],
        may_see=tuple(columns["may_see"]),
    )
    names = (
        "code", "name", "longitude", "latitude", "division", "department", "zone", "address", "camera_type", "ptz",
        "heading_deg", "fov_deg", "file", "kind", "point_class", "lifecycle",
    )  # fmt: skip
    return {
        **{name: columns[name] for name in names},
        "streams": tuple(str(columns["streams"]).split(",")),
        "org_id": org_id,
        "org_path": org_path,
        "owners": owners,
    }


def _sync(out: Any) -> None:
    out.flush()
    os.fsync(out.fileno())
