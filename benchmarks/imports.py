"""Import of a city's points while people go on reading.

    python -m benchmarks.imports [--rows 580000] [--url sqlite:////tmp/x/state.db]

A generated file in generation A's columns is staged, checked, published and published again (unchanged but for every
hundredth row). Meanwhile a reader asks for a page of points, a writer writes a row, a tile is cut, and the event loop
is watched. Printed: seconds, and how long each waited.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np

from anwang.governance import EVERYTHING
from anwang.registry import OrgKind, PointFilter, Registry
from anwang.registry.imports import ImportKind, ImportOptions, Imports, ImportStatus
from anwang.runtime.clock import SystemClock
from anwang.stores.state import State, metadata
from benchmarks.ratio import Row

HEADER = [
    "设备编码", "设备名称", "设备厂商", "行政区域", "监控点位类型", "设备型号", "IPV4地址", "MAC地址", "摄像机类型",
    "摄像机功能类型", "补光属性", "摄像机编码格式", "安装地址", "经度", "纬度", "摄像机位置类型", "监控方位",
    "联网属性", "所属辖区公安机关", "安装时间", "管理单位", "管理单位联系方式", "录像保存天数", "设备状态",
    "所属部门/行业",
]  # fmt: skip


def write_file(path: Path, rows: int, *, changed_every: int = 0) -> None:
    """Plausible rows, the same for the same number."""
    rng = np.random.default_rng(5)
    lon, lat = rng.uniform(116.7, 118.0, rows).round(6), rng.uniform(38.6, 40.2, rows).round(6)
    roads = [f"{a}{b}{c}" for a in "人民解放建设和平新华" for b in "东西南北中" for c in ("路", "大街", "道")]
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(HEADER)
        for n in range(rows):
            road = roads[n * 7 % len(roads)]
            mark = "（改）" if changed_every and n % changed_every == 0 else ""
            writer.writerow(
                [
                    f"9901{n % 16 + 1:02d}0000132{n:07d}", f"{road}{n}号路口{n % 4 + 1}枪机{mark}", n % 15 + 1,
                    f"9901{n % 16 + 1:02d}", n % 3 + 1, f"DS-2CD{n % 900}",
                    f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}",
                    f"AA-BB-{n >> 24 & 255:02X}-{n >> 16 & 255:02X}-{n >> 8 & 255:02X}-{n & 255:02X}", n % 4 + 1, 5,
                    n % 3 + 1, 2, f"{road}{n}号", lon[n], lat[n], n % 15 + 1, n % 8 + 1, "已联网", "990101000000",
                    "2019-05-01", "安澜市公安局科技信息化处", "02212345678", 30, 1, 1,
                ]
            )  # fmt: skip


async def pieces(path: Path) -> AsyncIterator[bytes]:
    """A file as an upload."""
    with path.open("rb") as raw:
        while piece := await asyncio.to_thread(raw.read, 1 << 16):
            yield piece


class Watch:
    """The longest waits while something goes on."""

    def __init__(self, registry: Registry, state: State) -> None:
        self.worst: dict[str, float] = {}
        self.all: dict[str, list[float]] = {}
        self._registry = registry
        self._state = state

    async def _each(self, name: str, pause: float, ask: Callable[[], Any]) -> None:
        while True:
            started = time.perf_counter()
            await ask()
            self.all.setdefault(name, []).append((time.perf_counter() - started) * 1e3)
            await asyncio.sleep(pause)

    async def _stall(self) -> None:
        while True:
            started = time.perf_counter()
            await asyncio.sleep(0.002)
            self.all.setdefault("loop", []).append((time.perf_counter() - started) * 1e3 - 2)

    async def _write(self) -> None:
        async with self._state.begin() as tx:
            await tx.execute(
                metadata.tables["numbers"].update().where(metadata.tables["numbers"].c.name == "x").values(next=1)
            )

    async def during(self, work: Any) -> dict[str, dict[str, float]]:
        """Run it; p50, p99 and the longest of each, in milliseconds."""
        self.all = {}
        tasks = [
            asyncio.create_task(self._stall()),
            asyncio.create_task(
                self._each("read page", 0.02, lambda: self._registry.points(EVERYTHING, PointFilter(), limit=50))
            ),
            asyncio.create_task(self._each("write", 0.1, self._write)),
            asyncio.create_task(
                self._each("tile", 0.05, lambda: self._registry.tiles.tile(8, 211, 97, PointFilter(), EVERYTHING))
            ),
        ]
        try:
            await work
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return {
            name: {
                "p50": round(float(np.percentile(ms, 50)), 1),
                "p99": round(float(np.percentile(ms, 99)), 1),
                "max": round(max(ms), 1),
            }
            for name, ms in self.all.items()
        }


async def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """All steps, with their times."""
    report: dict[str, Any] = {"rows": arguments.rows}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        state = await State.open(arguments.url or f"sqlite:///{home}/state.db")
        async with state.begin() as tx:
            await tx.run_sync(metadata.create_all)
        registry = Registry(state=state, clock=SystemClock(), folder=home / "registry")
        await registry.load()
        city = await registry.add_organisation(name="安澜市", kind=OrgKind.CITY, police_code="990101000000")
        imports = Imports(registry=registry, state=state, clock=SystemClock(), folder=home / "imports")
        watch = Watch(registry, state)

        async def work() -> None:
            while await imports.work():
                pass

        for name, every in (("first", 0), ("again", 100)):
            write_file(home / "points.csv", arguments.rows, changed_every=every)
            report["file_mb"] = round((home / "points.csv").stat().st_size / 1e6)
            for step in ("check", "publish"):
                started = time.perf_counter()
                if step == "check":
                    one = await imports.stage(
                        EVERYTHING, ImportKind.POINTS, pieces(home / "points.csv"), by="bench",
                        options=ImportOptions(organisation=city.id),
                    )  # fmt: skip
                else:
                    await imports.publish(EVERYTHING, one.id)
                waits = await watch.during(work())
                report[f"{name} {step}"] = {"s": round(time.perf_counter() - started, 1), "waits_ms": waits}
            one = await imports.get(EVERYTHING, one.id)
            assert one.status is ImportStatus.PUBLISHED, one
            report[f"{name} sums"] = [one.added, one.changed, one.unchanged, one.fault_count]
        assert registry.counts(EVERYTHING).all.total == arguments.rows
        started = time.perf_counter()
        second = Registry(state=state, clock=SystemClock(), folder=home / "registry")
        await second.load()
        report["start_s"] = round(time.perf_counter() - started, 1)
        for q in ("rmdl57", "人民东路 57号", "990101000013200", "nothinglikeit"):
            started = time.perf_counter()
            found = await registry.points(EVERYTHING, PointFilter(q=q), limit=20)
            report.setdefault("search_ms", {})[q] = [round((time.perf_counter() - started) * 1e3), len(found.items)]
        report["rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        await state.close()
    return report


def measure(quick: bool) -> list[Row]:
    """Both imports, and how long others waited meanwhile."""
    report = asyncio.run(run(argparse.Namespace(rows=5_000 if quick else 580_000, url="")))
    gate = f"{report['rows']:,} rows published, all of them points"
    rows = []
    for step in ("first check", "first publish", "again check", "again publish"):
        waits = ", ".join(f"{name} {ms['p99']:.0f} ms" for name, ms in report[step]["waits_ms"].items())
        rows.append(
            Row(
                what=f"{step} of {report['rows']:,} rows; p99 of waits meanwhile",
                ours=f"{report[step]['s']:.0f} s; {waits}",
                gate=gate,
            )
        )
    rows.append(Row(what="start of a registry with them", ours=f"{report['start_s']:.1f} s", gate=gate))
    found = ", ".join(f"{q}: {ms} ms" for q, (ms, _) in report["search_ms"].items())
    rows.append(Row(what="search", ours=found))
    rows.append(Row(what="largest memory of the process", ours=f"{report['rss_mb']:,} MB"))
    return rows


def main() -> int:
    """Print the report as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=580_000)
    parser.add_argument("--url", default="")
    json.dump(asyncio.run(run(parser.parse_args())), sys.stdout, indent=1, ensure_ascii=False)
    print()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
