"""Things that move through a still picture: vehicles, smoke, a flag, a crane, lamps that blink.

All repeat after the scene's period, so that a loop has no seam.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from math import cos, pi, radians, sin
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw

from anwang.democity.pictures.paint import Air, Colour, Spot3, View, add_glow, ink, lit, mix, turned

Track = Callable[[float], tuple[float, float, float]]  # seconds -> x, y, heading in degrees


class Mover(Protocol):
    """Something that draws itself into a frame."""

    def depth(self, view: View, t: float) -> float:
        """How far away it is, in metres."""

    def draw(self, frame: Image.Image, view: View, air: Air, t: float) -> None:
        """Draw it as it is at `t` seconds."""


def patch(
    frame: Image.Image,
    bounds: tuple[float, float, float, float],
    draw: Callable[[ImageDraw.ImageDraw, int, Spot2], None],
) -> None:
    """Draw into a part of a frame at a larger size, then put it back: smooth edges at little cost.

    `draw` gets a pen, the factor and the part's upper left corner.
    """
    x0, y0 = max(0, int(bounds[0]) - 2), max(0, int(bounds[1]) - 2)
    x1, y1 = min(frame.width, int(bounds[2]) + 3), min(frame.height, int(bounds[3]) + 3)
    if x0 >= x1 or y0 >= y1:
        return
    factor = 3 if (x1 - x0) * (y1 - y0) < 40_000 else 2
    part = frame.crop((x0, y0, x1, y1))
    large = part.resize((part.width * factor, part.height * factor), Image.Resampling.NEAREST)
    draw(ImageDraw.Draw(large), factor, (x0, y0))
    frame.paste(large.reduce(factor), (x0, y0))


Spot2 = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Body:
    """A vehicle's shape in metres, and its colours."""

    length: float = 4.5
    width: float = 1.85
    height: float = 1.45
    waist: float = 0.86
    nose: float = 1.15  # from the front end to the windscreen's foot
    tail: float = 0.55
    colour: Colour = (200, 204, 208)
    glass: Colour = (44, 54, 64)
    box: Colour | None = None  # a lorry's load


CAR_COLOURS: Sequence[Colour] = (
    (226, 228, 230), (52, 56, 62), (150, 156, 162), (168, 44, 40), (44, 82, 138), (214, 206, 186), (98, 106, 96),
    (236, 238, 240), (88, 44, 40), (38, 66, 66),
)  # fmt: skip


def car(index: int) -> Body:
    """One of a dozen cars."""
    colour = CAR_COLOURS[index % len(CAR_COLOURS)]
    if index % 5 == 3:
        return Body(length=4.7, height=1.75, waist=0.98, nose=1.2, tail=0.25, colour=colour)
    return Body(colour=colour)


BUS = Body(
    length=11.0, width=2.5, height=3.1, waist=1.3, nose=0.15, tail=0.1, colour=(46, 124, 110), glass=(50, 62, 72)
)
TAXI = Body(colour=(222, 176, 52))
LORRY = Body(
    length=8.2, width=2.4, height=2.7, waist=1.5, nose=0.25, tail=5.8, colour=(210, 120, 44), box=(168, 152, 128)
)
TANKER = Body(
    length=9.5, width=2.5, height=2.8, waist=1.6, nose=0.3, tail=7.0, colour=(196, 60, 48), box=(204, 210, 214)
)


@dataclass(frozen=True, slots=True)
class Vehicle:
    """A vehicle on a track. lamps: 0 by day, 1 at night."""

    body: Body
    track: Track
    lamps: float = 0.0

    def depth(self, view: View, t: float) -> float:
        """See Mover."""
        x, y, _ = self.track(t)
        return view.local((x, y, 0.5))[2]

    def draw(self, frame: Image.Image, view: View, air: Air, t: float) -> None:
        """See Mover."""
        x, y, heading = self.track(t)
        shape = _shape(self.body)
        away = view.local((x, y, 0.7))[2]
        if not shape.reach + 1 < away < 260:
            return
        c, n = cos(radians(heading)), sin(radians(heading))
        turn = np.array(((c, -n, 0), (n, c, 0), (0, 0, 1)))
        spots = shape.spots @ turn + (x, y, 0.0)
        normals = shape.normals @ turn
        middles = np.add.reduceat(spots, shape.starts) / shape.counts[:, None]
        towards = np.einsum("ij,ij->i", normals, np.array(view.at) - middles)
        flat, depth = view.project(spots)
        bounds = (flat[:, 0].min() - 3, flat[:, 1].min() - 3, flat[:, 0].max() + 3, flat[:, 1].max() + 3)
        if bounds[2] < 0 or bounds[0] > frame.width or bounds[3] < 0 or bounds[1] > frame.height:
            return
        if air.shadow > 0:
            dx, dy = -air.sun[0] / max(air.sun[2], 0.2) * 0.45, -air.sun[1] / max(air.sun[2], 0.2) * 0.45
            _shade(
                frame,
                [tuple(spot) for spot in view.project(shape.foot @ turn + (x + dx, y + dy, 0.0))[0]],
                air.shadow + 0.16,
            )
        face_depth = np.add.reduceat(depth, shape.starts) / shape.counts
        colours = air.shades(shape.colours, normals, face_depth)
        order = np.argsort(-(face_depth - shape.nearer))
        seen = [int(face) for face in order if towards[face] > 0]

        def paint(pen: ImageDraw.ImageDraw, factor: int, corner: Spot2) -> None:
            moved = (flat - corner) * factor
            for face in seen:
                start = shape.starts[face]
                outline = moved[start : start + shape.counts[face]].ravel().tolist()
                pen.polygon(outline, fill=tuple(colours[face]))

        patch(frame, bounds, paint)
        if self.lamps:
            self._shine(frame, view, x, y, heading)

    def _shine(self, frame: Image.Image, view: View, x: float, y: float, heading: float) -> None:
        half = self.body.length / 2
        left, right = -self.body.width * 0.36, self.body.width * 0.36
        spots = turned(
            [(left, half, 0.65), (right, half, 0.65), (left, -half, 0.75), (right, -half, 0.75), (0, half + 7, 0.0)],
            x,
            y,
            heading,
        )
        front = turned([(0, 1, 0)], 0, 0, heading)[0]
        coming = front[0] * (view.at[0] - x) + front[1] * (view.at[1] - y) > 0
        lights: list[tuple[Spot3, float, Colour, float]] = [(spots[4], 2.6, (120, 112, 86), 0.34)]
        if coming:
            lights += [(spots[0], 0.62, (255, 246, 214), 0.95), (spots[1], 0.62, (255, 246, 214), 0.95)]
        else:
            lights += [(spots[2], 0.5, (255, 40, 28), 0.85), (spots[3], 0.5, (255, 40, 28), 0.85)]
        for at, radius, colour, strength in lights:
            local = view.local(at)
            if local[2] < 2:
                continue
            cx, cy = view.flat(local)
            glow_onto(frame, cx, cy, radius * view.focal / local[2], colour, strength * self.lamps)


def glow_onto(frame: Image.Image, cx: float, cy: float, radius: float, colour: Colour, strength: float) -> None:
    """Add a soft light to a part of a frame."""
    size = max(2, min(110, round(radius)))
    box = (round(cx) - size, round(cy) - size, round(cx) + size, round(cy) + size)
    if box[2] <= 0 or box[3] <= 0 or box[0] >= frame.width or box[1] >= frame.height:
        return
    light = _light(size, colour, round(strength, 2))
    frame.paste(ImageChops.add(frame.crop(box), light), box[:2])


@lru_cache(maxsize=1024)
def _light(size: int, colour: Colour, strength: float) -> Image.Image:
    light = np.zeros((2 * size, 2 * size, 3), np.float32)
    add_glow(light, size, size, size, colour, strength)
    return Image.fromarray(np.clip(light, 0, 255).astype(np.uint8))


def _shade(frame: Image.Image, outline: Sequence[tuple[float, float]], strength: float) -> None:
    x0, y0 = max(0, int(min(p[0] for p in outline)) - 2), max(0, int(min(p[1] for p in outline)) - 2)
    x1, y1 = (
        min(frame.width, int(max(p[0] for p in outline)) + 3),
        min(frame.height, int(max(p[1] for p in outline)) + 3),
    )
    if x0 >= x1 or y0 >= y1:
        return
    mask = Image.new("L", ((x1 - x0) * 2, (y1 - y0) * 2), 0)
    ImageDraw.Draw(mask).polygon(
        [((x - x0) * 2, (y - y0) * 2) for x, y in outline], fill=round(min(1.0, strength) * 255)
    )
    frame.paste((24, 30, 42), (x0, y0, x1, y1), mask.reduce(2))


Face = tuple[list[Spot3], Colour, Spot3, float]  # outline, colour, normal, how much nearer it is drawn


@dataclass(frozen=True, slots=True)
class _Shape:
    """A body's faces as arrays: all corners, where each face begins and how many it has."""

    spots: NDArray[np.float64]
    starts: NDArray[np.int64]
    counts: NDArray[np.int64]
    normals: NDArray[np.float64]
    colours: NDArray[np.float64]
    nearer: NDArray[np.float64]
    foot: NDArray[np.float64]
    reach: float


@cache
def _shape(body: Body) -> _Shape:
    faces = _vehicle_faces(body)
    counts = np.array([len(spots) for spots, _, _, _ in faces])
    w, half = body.width / 2 + 0.25, body.length / 2 + 0.25
    return _Shape(
        spots=np.array([spot for spots, _, _, _ in faces for spot in spots], np.float64),
        starts=np.concatenate([[0], np.cumsum(counts)[:-1]]),
        counts=counts,
        normals=np.array([normal for _, _, normal, _ in faces], np.float64),
        colours=np.array([colour for _, colour, _, _ in faces], np.float64),
        nearer=np.array([nearer for _, _, _, nearer in faces]),
        foot=np.array([(-w, -half, 0), (w, -half, 0), (w, half, 0), (-w, half, 0)], np.float64),
        reach=half,
    )


def _vehicle_faces(body: Body) -> list[Face]:
    w, half = body.width / 2, body.length / 2
    waist, top, paint, glass = body.waist, body.height, body.colour, body.glass
    faces = _block(-w, w, -half, half, 0.32, waist, paint, mix(paint, (255, 255, 255), 0.1))
    for y in (-half * 0.62, half * 0.62):  # wheels
        for side in (-1.0, 1.0):
            x = side * (w + 0.01)
            ring = [(x, y + 0.34 * cos(2 * pi * i / 10), 0.33 + 0.33 * sin(2 * pi * i / 10)) for i in range(10)]
            faces.append((ring, (30, 32, 36), (side, 0, 0), 1.0))
    for x in (-w * 0.72, w * 0.72):  # lamps
        for y, colour, towards in ((half + 0.01, (240, 240, 226), 1.0), (-half - 0.01, (190, 40, 34), -1.0)):
            low, high = waist - 0.26, waist - 0.1
            lamp = [(x - 0.2, y, low), (x + 0.2, y, low), (x + 0.2, y, high), (x - 0.2, y, high)]
            faces.append((lamp, colour, (0, towards, 0), 1.0))
    rw, front, back = w - 0.14, half - body.nose, -half + body.tail
    roof_front, roof_back = front - min(0.75, body.nose * 0.6), back + min(0.6, body.tail * 0.6)
    feet: list[Spot3] = [(-w, back, waist), (w, back, waist), (w, front, waist), (-w, front, waist)]
    roof: list[Spot3] = [(-rw, roof_back, top), (rw, roof_back, top), (rw, roof_front, top), (-rw, roof_front, top)]
    normals = ((0.0, -0.8, 0.6), (0.96, 0.0, 0.28), (0.0, 0.8, 0.6), (-0.96, 0.0, 0.28))
    for i, normal in enumerate(normals):
        j = (i + 1) % 4
        faces.append(([feet[i], feet[j], roof[j], roof[i]], glass, normal, 0.4))
    faces.append((roof, paint, (0, 0, 1), 0.4))
    if body.box:
        faces += _block(-w, w, -half, back - 0.25, 0.9, top + 0.35, body.box, mix(body.box, (255, 255, 255), 0.1))
    return faces


def _block(x0: float, x1: float, y0: float, y1: float, z0: float, z1: float, side: Colour, top: Colour) -> list[Face]:
    dim = lit(side, 0.86)
    return [
        ([(x0, y0, z0), (x1, y0, z0), (x1, y0, z1), (x0, y0, z1)], side, (0, -1, 0), 0.0),
        ([(x0, y1, z0), (x1, y1, z0), (x1, y1, z1), (x0, y1, z1)], side, (0, 1, 0), 0.0),
        ([(x0, y0, z0), (x0, y1, z0), (x0, y1, z1), (x0, y0, z1)], dim, (-1, 0, 0), 0.0),
        ([(x1, y0, z0), (x1, y1, z0), (x1, y1, z1), (x1, y0, z1)], dim, (1, 0, 0), 0.0),
        ([(x0, y0, z1), (x1, y0, z1), (x1, y1, z1), (x0, y1, z1)], top, (0, 0, 1), 0.0),
    ]


def lane(
    start: tuple[float, float], end: tuple[float, float], *, period_s: float, rounds: int = 1, phase: float = 0.0
) -> Track:
    """Drive from start to end `rounds` times a period, beginning at `phase` (share of the way)."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    heading = float(np.degrees(np.arctan2(dx, dy)))

    def track(t: float) -> tuple[float, float, float]:
        share = (t / period_s * rounds + phase) % 1.0
        return start[0] + dx * share, start[1] + dy * share, heading

    return track


def standing(x: float, y: float, heading_deg: float) -> Track:
    """A track that stays where it is."""
    return lambda t: (x, y, heading_deg)


def path(spots: Sequence[tuple[float, float]], *, period_s: float, phase: float = 0.0) -> Track:
    """Drive along a chain of spots once a period, turning smoothly at the corners."""
    lengths = [((b[0] - a[0]) ** 2 + (b[1] - a[1]) ** 2) ** 0.5 for a, b in pairwise(spots)]
    total = sum(lengths)

    def at(distance: float) -> tuple[float, float]:
        distance = min(max(distance, 0.0), total)
        for (a, b), length in zip(pairwise(spots), lengths, strict=True):
            if distance <= length:
                share = distance / length
                return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share
            distance -= length
        return spots[-1]

    def track(t: float) -> tuple[float, float, float]:
        done = ((t / period_s + phase) % 1.0) * total
        before, after = at(done - 3.2), at(done + 3.2)
        middle = at(done)
        x, y = (before[0] + after[0] + 2 * middle[0]) / 4, (before[1] + after[1] + 2 * middle[1]) / 4
        return x, y, float(np.degrees(np.arctan2(after[0] - before[0], after[1] - before[1])))

    return track


@dataclass(frozen=True, slots=True)
class Smoke:
    """Puffs that rise and drift from a chimney or a vent."""

    at: Spot3
    period_s: float
    rise_m: float = 16.0
    drift_m: float = 12.0
    size_m: float = 2.2
    colour: Colour = (236, 238, 240)
    puffs: int = 9
    strength: float = 0.5

    def depth(self, view: View, t: float) -> float:
        """See Mover."""
        return view.local(self.at)[2]

    def draw(self, frame: Image.Image, view: View, air: Air, t: float) -> None:
        """See Mover."""
        for index in range(self.puffs):
            age = (t / self.period_s * 2 + index / self.puffs) % 1.0
            sway = sin(2 * pi * (t / self.period_s + index * 0.37)) * self.size_m * 0.35
            spot = (self.at[0] + self.drift_m * age**1.4 + sway, self.at[1], self.at[2] + self.rise_m * age**0.75)
            local = view.local(spot)
            cx, cy = view.flat(local)
            radius = (self.size_m * (0.5 + 1.9 * age)) * view.focal / local[2]
            fade = self.strength * min(1.0, age * 7) * (1 - age) ** 1.1
            _puff(frame, cx, cy, radius, self.colour, fade)


def _puff(frame: Image.Image, cx: float, cy: float, radius: float, colour: Colour, strength: float) -> None:
    box = (
        max(0, int(cx - radius)),
        max(0, int(cy - radius)),
        min(frame.width, int(cx + radius) + 1),
        min(frame.height, int(cy + radius) + 1),
    )
    if box[0] >= box[2] or box[1] >= box[3] or strength <= 0.01:
        return
    ys, xs = np.ogrid[box[1] : box[3], box[0] : box[2]]
    away = ((xs - cx) ** 2 + (ys - cy) ** 2) / (radius * radius)
    mask = (np.clip(1 - away, 0, 1) ** 1.3 * strength * 255).astype(np.uint8)
    frame.paste(ink(colour), box, Image.fromarray(mask))


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag waving on a pole; foot is the pole's top."""

    at: Spot3
    period_s: float
    width_m: float = 2.4
    height_m: float = 1.6
    colour: Colour = (196, 44, 40)

    def depth(self, view: View, t: float) -> float:
        """See Mover."""
        return view.local(self.at)[2]

    def draw(self, frame: Image.Image, view: View, air: Air, t: float) -> None:
        """See Mover."""
        steps, depth = 14, self.depth(view, t)
        upper, lower, tones = [], [], []
        for i in range(steps + 1):
            along = i / steps
            wave = sin(2 * pi * (along * 1.3 - 3 * t / self.period_s * 2)) * along
            x, z = self.at[0] + along * self.width_m, self.at[2] + wave * 0.22 * self.height_m
            upper.append(view.pixel((x, self.at[1], z)))
            lower.append(view.pixel((x, self.at[1], z - self.height_m)))
            tones.append(1.0 + 0.25 * cos(2 * pi * (along * 1.3 - 3 * t / self.period_s * 2)) * along)
        every = upper + lower
        bounds = (
            min(p[0] for p in every),
            min(p[1] for p in every),
            max(p[0] for p in every),
            max(p[1] for p in every),
        )

        def paint(pen: ImageDraw.ImageDraw, factor: int, corner: Spot2) -> None:
            def moved(p: tuple[float, float]) -> tuple[float, float]:
                return (p[0] - corner[0]) * factor, (p[1] - corner[1]) * factor

            for i in range(steps):
                quad = [moved(upper[i]), moved(upper[i + 1]), moved(lower[i + 1]), moved(lower[i])]
                pen.polygon(quad, fill=ink(air.veil(lit(self.colour, tones[i]), depth)))

        patch(frame, bounds, paint)


@dataclass(frozen=True, slots=True)
class Crane:
    """A tower crane's jib that swings to and fro, with a load on its rope."""

    at: Spot3  # top of the tower
    period_s: float
    jib_m: float = 34.0
    middle_deg: float = -60.0
    swing_deg: float = 32.0
    colour: Colour = (224, 168, 44)

    def depth(self, view: View, t: float) -> float:
        """See Mover."""
        return view.local(self.at)[2]

    def draw(self, frame: Image.Image, view: View, air: Air, t: float) -> None:
        """See Mover."""
        turn = self.middle_deg + self.swing_deg * sin(2 * pi * t / self.period_s)
        x, y, z = self.at
        depth = self.depth(view, t)
        shade, dark = ink(air.veil(self.colour, depth)), ink(air.veil((90, 94, 98), depth))

        def on(along: float, up: float) -> tuple[float, float]:
            a, b, c = turned([(0.0, along, up)], x, y, turn)[0]
            return view.pixel((a, b, z + c))

        trolley = self.jib_m * (0.62 + 0.16 * sin(2 * pi * t / self.period_s + 1.0))
        drop = -9.0 - 3.0 * cos(2 * pi * t / self.period_s)
        lower = [on(s, 0.0) for s in np.linspace(-9, self.jib_m, 24)]
        upper = [on(s, 1.6) for s in np.linspace(-9, self.jib_m, 24)]
        apex = on(0, 5.0)
        hook, load = on(trolley, 0), on(trolley, drop)
        every = [*lower, *upper, apex, load, (load[0], load[1] + 26), (load[0] - 16, load[1]), (load[0] + 16, load[1])]
        bounds = (
            min(p[0] for p in every),
            min(p[1] for p in every),
            max(p[0] for p in every),
            max(p[1] for p in every),
        )

        def paint(pen: ImageDraw.ImageDraw, factor: int, corner: Spot2) -> None:
            def m(p: tuple[float, float]) -> tuple[float, float]:
                return (p[0] - corner[0]) * factor, (p[1] - corner[1]) * factor

            pen.line([m(p) for p in lower], fill=shade, width=factor)
            pen.line([m(p) for p in upper], fill=shade, width=factor)
            for i in range(len(lower) - 1):
                pen.line([m(lower[i]), m(upper[i + 1])], fill=shade, width=1)
                pen.line([m(upper[i]), m(lower[i])], fill=shade, width=1)
            for end in (upper[0], upper[15]):
                pen.line([m(apex), m(end)], fill=dark, width=1)
            weight = [m(on(-8.5, 0.4)), m(on(-6, 0.4)), m(on(-6, -2.2)), m(on(-8.5, -2.2))]
            pen.polygon(weight, fill=dark)
            pen.line([m(hook), m(load)], fill=dark, width=max(1, factor // 2))
            lx, ly = m(load)
            size = 1.3 * view.focal / depth * factor
            pen.polygon(
                [(lx - size, ly), (lx + size, ly), (lx + size, ly + size * 0.7), (lx - size, ly + size * 0.7)],
                fill=dark,
            )

        patch(frame, bounds, paint)


@dataclass(frozen=True, slots=True)
class Blink:
    """A lamp: bright for a share of its time."""

    at: Spot3
    period_s: float
    colour: Colour = (255, 60, 40)
    radius_m: float = 1.2
    times: int = 6
    share: float = 0.45

    def depth(self, view: View, t: float) -> float:
        """See Mover."""
        return view.local(self.at)[2]

    def draw(self, frame: Image.Image, view: View, air: Air, t: float) -> None:
        """See Mover."""
        if (t / self.period_s * self.times) % 1.0 < self.share:
            local = view.local(self.at)
            cx, cy = view.flat(local)
            glow_onto(frame, cx, cy, max(3.0, self.radius_m * view.focal / local[2]), self.colour, 0.9)


@dataclass(frozen=True, slots=True)
class Barrier:
    """A barrier arm that rises to let a car through. opens, closes: shares of the period."""

    at: Spot3
    period_s: float
    length_m: float
    opens: float
    closes: float

    def depth(self, view: View, t: float) -> float:
        """See Mover."""
        return view.local(self.at)[2]

    def draw(self, frame: Image.Image, view: View, air: Air, t: float) -> None:
        """See Mover."""
        share = t / self.period_s % 1.0
        since_open, open_for = (share - self.opens) % 1.0, (self.closes - self.opens) % 1.0
        rise = min(1.0, since_open / 0.08) if since_open < open_for else max(0.0, 1 - (since_open - open_for) / 0.08)
        angle = rise * 1.4
        x, y, z = self.at
        spots = [
            view.pixel((x + self.length_m * s * cos(angle), y, z + abs(self.length_m) * s * sin(angle)))
            for s in np.linspace(0, 1, 11)
        ]
        foot, head = view.pixel((x, y, 0)), view.pixel((x, y, z + 0.15))
        every = [*spots, foot, head]
        bounds = (
            min(p[0] for p in every) - 6,
            min(p[1] for p in every) - 4,
            max(p[0] for p in every) + 6,
            max(p[1] for p in every) + 4,
        )
        thick = 0.13 * view.focal / self.depth(view, t)

        def paint(pen: ImageDraw.ImageDraw, factor: int, corner: Spot2) -> None:
            def m(p: tuple[float, float]) -> tuple[float, float]:
                return (p[0] - corner[0]) * factor, (p[1] - corner[1]) * factor

            pen.line([m(foot), m(head)], fill=(222, 168, 48), width=round(thick * 3.2 * factor))
            for i, (a, b) in enumerate(pairwise(spots)):
                pen.line(
                    [m(a), m(b)], fill=(206, 52, 44) if i % 2 else (240, 240, 236), width=max(1, round(thick * factor))
                )

        patch(frame, bounds, paint)
