"""The map of 580,000 points: our index and tiles against supercluster with vt-pbf, in the same run, taking turns.

    python -m benchmarks.map [--points 580000] [--cell-bits 6] [--tiles 300]

The peer comes from npm into a folder of its own (needs Node and a registry). Both read the same points, drawn with a
fixed seed around 400 hot spots, and the same 300 random tiles that are not empty, per zoom. The peer's radius is set to
our cell. Times are processor times of the process, so that a neighbour on the machine counts for neither.

Gate, before any time counts: both tell the same number of points at each zoom, ours decode with another decoder, and
each of our points is in exactly one cluster whose centre lies in its cell.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import mapbox_vector_tile
import numpy as np

from anwang.governance import EVERYTHING
from anwang.kernel.ids import uuid7
from anwang.registry import Evidence, EvidenceKind
from anwang.registry.columns import PointColumns, world
from anwang.registry.live import Live
from anwang.registry.model import PointFilter
from anwang.registry.tiles import Tile, TileIndex
from benchmarks.ratio import Row

ZOOMS = (8, 9, 10, 11, 12)
ROUNDS = 3
CHANGES = 200

PEER = """
const fs = require('fs');
const Supercluster = require('supercluster').default || require('supercluster');
const vtpbf = require('vt-pbf');
const [, , file, radius, maxZoom] = process.argv;
const raw = fs.readFileSync(file);
const xy = new Float64Array(raw.buffer, raw.byteOffset, raw.byteLength / 8);
const features = [];
for (let i = 0; i < xy.length / 2; i++)
  features.push({type: 'Feature', geometry: {type: 'Point', coordinates: [xy[2*i], xy[2*i+1]]},
                 properties: {pid: 'p' + i, kind: 'camera', class: 1 + i % 3}});
let index = null;
const lines = require('readline').createInterface({input: process.stdin});
lines.on('line', line => {
  const ask = JSON.parse(line);
  if (ask.what === 'build') {
    if (global.gc) global.gc();
    const before = process.memoryUsage();
    const t = process.cpuUsage();
    index = new Supercluster({radius: +radius, extent: 512, maxZoom: +maxZoom, minZoom: 0});
    index.load(features);
    const spent = process.cpuUsage(t), s = (spent.user + spent.system) / 1e6;
    if (global.gc) global.gc();
    const after = process.memoryUsage();
    const used = m => m.heapUsed + m.arrayBuffers;
    console.log(JSON.stringify({s, mb: (used(after) - used(before)) / 1e6}));
  } else if (ask.what === 'count') {
    let total = 0;
    for (const f of index.getClusters([-180, -85, 180, 85], ask.zoom)) total += f.properties.point_count || 1;
    console.log(JSON.stringify({total}));
  } else if (ask.what === 'tiles') {
    const ms = [], bytes = [], counts = [];
    for (const [x, y] of ask.tiles) {
      const t = process.cpuUsage();
      const tile = index.getTile(ask.zoom, x, y);
      const buffer = tile ? vtpbf.fromGeojsonVt({points: tile}, {version: 2, extent: 512}) : [];
      const spent = process.cpuUsage(t);
      ms.push((spent.user + spent.system) / 1e3);
      bytes.push(buffer.length); counts.push(tile ? tile.features.length : 0);
    }
    console.log(JSON.stringify({ms, bytes, counts}));
  }
});
console.log(JSON.stringify({ready: features.length}));
"""


def points(n: int) -> tuple[Any, Any]:
    """Points around 400 hot spots of a large city, and a tenth anywhere in it."""
    rng = np.random.default_rng(20260101)
    spots = rng.uniform((116.7, 38.6), (118.0, 40.2), (400, 2))
    weight = rng.pareto(1.2, 400) + 0.1
    spot = rng.choice(400, n, p=weight / weight.sum())
    place = spots[spot] + rng.normal(0, 0.02, (n, 2))
    anywhere = rng.random(n) < 0.1
    place[anywhere] = rng.uniform((116.7, 38.6), (118.0, 40.2), (int(anywhere.sum()), 2))
    return place[:, 0].copy(), place[:, 1].copy()


def resident_mb() -> float:
    """Memory of this process now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


class Peer:
    """supercluster and vt-pbf in a Node process."""

    def __init__(self, folder: Path, lon: Any, lat: Any, radius: float) -> None:
        subprocess.run(
            ["npm", "install", "--silent", "--no-audit", "--no-fund", "supercluster@8", "vt-pbf@3"],
            cwd=folder,
            check=True,
            env={**os.environ, "npm_config_update_notifier": "false"},
        )
        (folder / "peer.cjs").write_text(
            PEER.replace("require('supercluster').default || require('supercluster')", "M")
        )
        code = (
            "(async () => { const M = (await import('supercluster')).default;\n"
            + (folder / "peer.cjs").read_text()
            + "\n})()"
        )
        (folder / "peer.cjs").write_text(code)
        np.column_stack([lon, lat]).tofile(folder / "points.bin")
        self._process = subprocess.Popen(
            ["node", "--expose-gc", "--max-old-space-size=4096", "peer.cjs", "points.bin", str(radius), "15"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._read()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def ask(self, **what: Any) -> Any:
        """One question, one answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


def ours(lon: Any, lat: Any) -> tuple[PointColumns, Live]:
    """The columns with the same points."""
    n = len(lon)
    columns = PointColumns(n)
    columns.load(
        {
            "ix": range(n),
            "id": [uuid7(1_700_000_000_000 + i) for i in range(n)],
            "longitude": lon,
            "latitude": lat,
            "kind": ["camera"] * n,
            "point_class": [1 + i % 3 for i in range(n)],
            "lifecycle": ["in_use"] * n,
            "org_path": ["/a/"] * n,
            "owns": [None] * n,
            "division": [None] * n,
            "department": [None] * n,
            "zone": ["default"] * n,
            "heading_deg": [None] * n,
            "fov_deg": [None] * n,
        }
    )
    columns.settle()
    live = Live(columns)
    live.states()
    return columns, live


async def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Gate, then times."""
    lon, lat = points(arguments.points)
    columns, live = ours(lon, lat)
    x, y = world(lon, lat)
    rng = np.random.default_rng(7)
    tiles = {
        zoom: np.unique(np.column_stack([x >> (31 - zoom), y >> (31 - zoom)]), axis=0).astype(int) for zoom in ZOOMS
    }
    tiles = {zoom: found[rng.choice(len(found), arguments.tiles)].tolist() for zoom, found in tiles.items()}
    chosen = PointFilter()
    with tempfile.TemporaryDirectory() as folder:
        peer = Peer(Path(folder), lon, lat, 512 / 2**arguments.cell_bits)
        index = TileIndex(columns, live, cell_bits=arguments.cell_bits)
        builds: dict[str, list[float]] = {"ours_s": [], "peer_s": []}
        memory = resident_mb()
        peer_mb = 0.0
        for _ in range(ROUNDS):
            started = time.process_time()
            index.build()
            builds["ours_s"].append(time.process_time() - started)
            answer = peer.ask(what="build")
            builds["peer_s"].append(answer["s"])
            peer_mb = max(peer_mb, answer["mb"])
        report: dict[str, Any] = {
            "points": arguments.points,
            "cells per tile side": 2**arguments.cell_bits,
            "build": {name: round(min(values), 3) for name, values in builds.items()},
            "memory_mb": {"ours": round(resident_mb() - memory, 1), "peer": round(peer_mb, 1)},
            "tiles": {},
        }
        await gate(index, peer, columns, x, y, arguments.cell_bits)
        for zoom in ZOOMS:
            mine: list[float] = []
            theirs: list[float] = []
            sizes: list[int] = []
            peer_bytes: list[int] = []
            peer_features: list[int] = []
            for part in range(0, len(tiles[zoom]), 25):
                some = tiles[zoom][part : part + 25]
                for tx, ty in some:
                    started = time.process_time()
                    tile = await index.tile(zoom, tx, ty, chosen, EVERYTHING)
                    mine.append((time.process_time() - started) * 1e3)
                    sizes.append(len(tile.data))
                answer = peer.ask(what="tiles", zoom=zoom, tiles=some)
                theirs += answer["ms"]
                peer_bytes += answer["bytes"]
                peer_features += answer["counts"]
            features = [
                sum(len(layer["features"]) for layer in mapbox_vector_tile.decode(
                    (await index.tile(zoom, tx, ty, chosen, EVERYTHING)).data).values())
                for tx, ty in tiles[zoom][:50]
            ]  # fmt: skip
            report["tiles"][zoom] = {
                "ours_ms": spread(mine),
                "peer_ms": spread(theirs),
                "p99_ratio": round(float(np.percentile(mine, 99) / np.percentile(theirs, 99)), 2),
                "ours_kb": round(float(np.mean(sizes)) / 1e3, 1),
                "peer_kb": round(float(np.mean(peer_bytes)) / 1e3, 1),
                "features": {"ours": round(float(np.mean(features))), "peer": round(float(np.mean(peer_features)))},
            }
        peer.close()
        report["change_ms"] = spread(await changes(index, columns, live, x, y))
    return report


async def changes(index: TileIndex, columns: PointColumns, live: Live, x: Any, y: Any) -> list[float]:
    """From the evidence that a point is online to the bytes of a tile that says so, milliseconds by the clock, each of
    another point. Raises AssertionError where a tile does not tell it, or the index is made anew for it.
    """
    chosen, zoom = PointFilter(), 11
    made = await index.view(chosen, EVERYTHING)
    took: list[float] = []
    for ix in np.random.default_rng(11).choice(columns.count, CHANGES, replace=False).tolist():
        place = zoom, int(x[ix]) >> (31 - zoom), int(y[ix]) >> (31 - zoom)
        before = online(await index.tile(*place, chosen, EVERYTHING))
        started = time.perf_counter()
        now = time.time_ns() // 1000
        live.note([Evidence(columns.ids(np.array([ix], np.int32))[0], EvidenceKind.PACKET, now)])
        live.tick(now)
        tile = await index.tile(*place, chosen, EVERYTHING)
        took.append((time.perf_counter() - started) * 1e3)
        assert online(tile) == before + 1, "the tile tells the change"
        assert await index.view(chosen, EVERYTHING) is made, "nothing was built anew"
    return took


def online(tile: Tile) -> int:
    """How many points of a tile are online, alone or in clusters."""
    layers = mapbox_vector_tile.decode(tile.data)
    alone = [one["properties"] for one in layers.get("points", {"features": []})["features"]]
    clusters = [one["properties"] for one in layers.get("clusters", {"features": []})["features"]]
    return sum(one["state"] == "online" for one in alone) + sum(one.get("n_online", 0) for one in clusters)


async def gate(index: TileIndex, peer: Peer, columns: PointColumns, x: Any, y: Any, cell_bits: int) -> None:
    """Raises AssertionError unless both tell the same points."""
    for zoom in ZOOMS:
        total = 0
        where = np.unique(np.column_stack([x >> (31 - zoom), y >> (31 - zoom)]), axis=0)
        for tx, ty in where.tolist():
            layers = mapbox_vector_tile.decode(
                (await index.tile(zoom, tx, ty, PointFilter(), EVERYTHING)).data, default_options={"y_coord_down": True}
            )
            total += len(layers.get("points", {"features": []})["features"])
            for feature in layers.get("clusters", {"features": []})["features"]:
                total += feature["properties"]["count"]
                assert feature["properties"]["count"] > 1
                cell = feature["properties"]["cid"] >> 5
                column = sum(((cell >> 2 * bit) & 1) << bit for bit in range(31)) - (tx << cell_bits)
                side = 4096 >> cell_bits
                assert column * side <= feature["geometry"]["coordinates"][0] <= (column + 1) * side
        told = peer.ask(what="count", zoom=zoom)["total"]
        assert total == told == columns.count, (zoom, total, told)


def spread(values: list[float]) -> dict[str, float]:
    """p50 and p99."""
    return {"p50": round(float(np.percentile(values, 50)), 2), "p99": round(float(np.percentile(values, 99)), 2)}


def measure(quick: bool) -> list[Row]:
    """Gate, build, tiles: processor times."""
    chosen = argparse.Namespace(points=20_000 if quick else 580_000, cell_bits=6, tiles=25 if quick else 300)
    report = asyncio.run(run(chosen))
    size, gate = f"{chosen.points:,} points", "equal counts at each zoom, decoded by another decoder"
    build, memory = report["build"], report["memory_mb"]
    ratio = build["ours_s"] / build["peer_s"]
    rows = [
        Row(
            what=f"index of {size}", ours=f"{build['ours_s']:.2f} s", peer=f"{build['peer_s']:.2f} s",
            ratio=f"{ratio:.2f}", target="<= 0.5", holds=ratio <= 0.5, gate=gate,
        ),
        Row(what=f"memory of the index of {size}", ours=f"{memory['ours']:.0f} MB", peer=f"{memory['peer']:.0f} MB"),
    ]  # fmt: skip
    for zoom, told in report["tiles"].items():
        mine, theirs = told["ours_ms"], told["peer_ms"]
        rows.append(
            Row(
                what=f"tile at zoom {zoom}, p99", ours=f"{mine['p99']} ms", peer=f"{theirs['p99']} ms",
                ratio=f"{told['p99_ratio']:.2f}", target="<= 0.5", holds=told["p99_ratio"] <= 0.5, gate=gate,
            )
        )  # fmt: skip
    told = report["change_ms"]
    rows.append(
        Row(
            what=f"from evidence of a state to the tile that shows it, p99 of {CHANGES}, {size}",
            ours=f"{told['p99']} ms", target="<= 1,000 ms, nothing built anew", holds=told["p99"] <= 1000,
            gate="each tile tells one more online, of the same index",
        )
    )  # fmt: skip
    return rows


def main() -> int:
    """Print the report as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=580_000)
    parser.add_argument("--cell-bits", type=int, default=6, help="our clusters: 2**bits cells per tile side")
    parser.add_argument("--tiles", type=int, default=300)
    json.dump(asyncio.run(run(parser.parse_args())), sys.stdout, indent=1)
    print()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
