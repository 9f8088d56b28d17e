"""A small painter of solid things: a pinhole camera, shaded ground, boxes and cylinders, far things first.

World axes in metres: x right, y away from the viewer, z up; the ground is z = 0. Colours are 0..255 per channel. Still
pictures are drawn at twice the size and halved; moving things are drawn into small patches at three times the size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import atan2, cos, pi, radians, sin, tan

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from anwang.runtime.fonts import chinese

Colour = tuple[float, float, float]
Spot3 = tuple[float, float, float]
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
WIDTH, HEIGHT = 1280, 720


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """A colour between two; share 0 is `a`."""
    return (a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share)


def lit(colour: Colour, light: float) -> Colour:
    """The colour under more or less light; light is slightly warm, shade slightly cool."""
    warm = (light - 1) * 0.06
    return (
        min(255.0, max(0.0, colour[0] * light * (1 + warm))),
        min(255.0, max(0.0, colour[1] * light)),
        min(255.0, max(0.0, colour[2] * light * (1 - warm))),
    )


def ink(colour: Colour) -> tuple[int, int, int]:
    """The colour as bytes."""
    return (round(colour[0]), round(colour[1]), round(colour[2]))


@dataclass(frozen=True, slots=True)
class View:
    """Where the camera is and looks. yaw_deg: to the right; pitch_deg: downwards; fov_deg: horizontal."""

    at: Spot3
    yaw_deg: float = 0.0
    pitch_deg: float = 15.0
    fov_deg: float = 62.0
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def focal(self) -> float:
        """Focal length in pixels of what is shown."""
        return self.wide_focal

    @property
    def wide_focal(self) -> float:
        """Focal length in pixels of the whole view."""
        return self.width / 2 / tan(radians(self.fov_deg) / 2)

    def local(self, spot: Spot3) -> Spot3:
        """Right, up and forward of the camera, in metres."""
        x, y, z = spot[0] - self.at[0], spot[1] - self.at[1], spot[2] - self.at[2]
        yaw, pitch = radians(self.yaw_deg), radians(self.pitch_deg)
        right = x * cos(yaw) - y * sin(yaw)
        forward = x * sin(yaw) + y * cos(yaw)
        return right, forward * sin(pitch) + z * cos(pitch), forward * cos(pitch) - z * sin(pitch)

    def flat(self, local: Spot3) -> tuple[float, float]:
        """The pixel of a spot in camera coordinates."""
        scale = self.focal / max(local[2], 0.05)
        return self.width / 2 + local[0] * scale, self.height / 2 - local[1] * scale

    def pixel(self, spot: Spot3) -> tuple[float, float]:
        """The pixel of a spot of the world."""
        return self.flat(self.local(spot))

    def project(self, spots: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Pixels and depths of many spots (rows of x, y, z), all of which must lie before the camera."""
        yaw, pitch = radians(self.yaw_deg), radians(self.pitch_deg)
        c, s, cp, sp = cos(yaw), sin(yaw), cos(pitch), sin(pitch)
        turn = np.array(((c, s * sp, s * cp), (-s, c * sp, c * cp), (0.0, cp, -sp)))
        local = (spots - np.array(self.at)) @ turn
        depth = np.maximum(local[:, 2], 0.05)
        middle = np.array(self.flat((0.0, 0.0, 1.0)))
        scale = self.flat((1.0, 0.0, 1.0))[0] - middle[0]
        return middle + local[:, :2] * (scale, -scale) / depth[:, None], depth

    def polygon(self, spots: Sequence[Spot3], near: float = 0.6) -> list[tuple[float, float]]:
        """The outline on the picture, cut at the near plane; empty where all of it is behind the camera."""
        found: list[Spot3] = []
        locals_ = [self.local(spot) for spot in spots]
        for before, here in zip([locals_[-1], *locals_[:-1]], locals_, strict=True):
            if (before[2] >= near) != (here[2] >= near):
                share = (near - before[2]) / (here[2] - before[2])
                found.append(
                    (before[0] + (here[0] - before[0]) * share, before[1] + (here[1] - before[1]) * share, near)
                )
            if here[2] >= near:
                found.append(here)
        return [self.flat(spot) for spot in found]

    def horizon(self) -> float:
        """The row of the horizon in pixels; may lie outside the picture."""
        return self.height / 2 - self.focal * tan(radians(self.pitch_deg))

    def scaled(self, factor: int) -> View:
        """The same view in a larger picture."""
        return View(self.at, self.yaw_deg, self.pitch_deg, self.fov_deg, self.width * factor, self.height * factor)


@dataclass(frozen=True, slots=True)
class Air:
    """Light and haze. sun: direction towards it; near, far: haze begins and is complete, in metres; ground: how light
    the ground is.
    """

    sky_top: Colour = (96, 150, 205)
    sky_low: Colour = (214, 228, 236)
    haze: Colour = (205, 218, 226)
    sun: Spot3 = (-0.45, -0.35, 0.82)
    ambient: float = 0.62
    direct: float = 0.5
    near: float = 40.0
    far: float = 420.0
    shadow: float = 0.42
    clouds: float = 0.5
    ground: float = 1.0

    def shade(self, colour: Colour, normal: Spot3, distance: float) -> Colour:
        """A surface's colour with light and haze."""
        facing = max(0.0, normal[0] * self.sun[0] + normal[1] * self.sun[1] + normal[2] * self.sun[2])
        return self.veil(lit(colour, self.ambient + self.direct * facing), distance)

    def shades(
        self, colours: NDArray[np.float64], normals: NDArray[np.float64], distances: NDArray[np.float64]
    ) -> NDArray[np.uint8]:
        """`shade` for many surfaces at once, as bytes."""
        light = self.ambient + self.direct * np.maximum(0.0, normals @ np.array(self.sun))
        warm = (light - 1) * 0.06
        tint = np.stack([1 + warm, np.ones_like(warm), 1 - warm], axis=1)
        tone = np.clip(colours * light[:, None] * tint, 0, 255)
        share = np.clip(np.maximum(0.0, (distances - self.near) / (self.far - self.near)) ** 0.8, 0, 0.92)[:, None]
        seen: NDArray[np.uint8] = (tone * (1 - share) + np.array(self.haze) * share).round().astype(np.uint8)
        return seen

    def veil(self, colour: Colour, distance: float) -> Colour:
        """A colour seen through the haze."""
        share = min(0.92, max(0.0, (distance - self.near) / (self.far - self.near)) ** 0.8)
        return mix(colour, self.haze, share)


class Noise:
    """Smooth repeatable noise in -1..1 over the plane."""

    def __init__(self, seed: int) -> None:
        self._table = np.random.default_rng(seed).uniform(-1, 1, (256, 256)).astype(np.float32)

    def at(self, x: Floats, y: Floats, size: float) -> Floats:
        """Noise whose features are `size` metres wide."""
        u, v = x / size, y / size
        column, row = np.floor(u), np.floor(v)
        fu, fv = u - column, v - row
        fu, fv = fu * fu * (3 - 2 * fu), fv * fv * (3 - 2 * fv)
        i, j = column.astype(np.int32) & 255, row.astype(np.int32) & 255
        i1, j1 = (i + 1) & 255, (j + 1) & 255
        table = self._table
        top = table[j, i] * (1 - fu) + table[j, i1] * fu
        low = table[j1, i] * (1 - fu) + table[j1, i1] * fu
        found: Floats = top * (1 - fv) + low * fv
        return found


class Ground:
    """The ground's materials, one byte a pixel while they are laid over one another.

    x, y: metres, one value a pixel (at twice the picture's size).
    """

    def __init__(self, x: Floats, y: Floats, seed: int) -> None:
        self.x, self.y = x, y
        self._noise = Noise(seed)
        self._index = np.zeros(x.shape, np.uint8)
        self._colours: list[Colour] = [(128, 128, 128)]
        self._grain: list[float] = [4.0]
        self._tiles: list[float] = [0.0]

    def rough(self, size: float) -> Floats:
        """Noise for uneven borders, features `size` metres wide."""
        return _doubled(self._noise.at(self.x[::2, ::2], self.y[::2, ::2], size), self.x.shape)

    def lay(self, where: Mask | bool, colour: Colour, *, grain: float = 4.0, tiles: float = 0.0) -> None:
        """Cover a part. grain: unevenness of the tone; tiles: difference between slabs of 1.2 m."""
        number = len(self._colours)
        self._colours.append(colour)
        self._grain.append(grain)
        self._tiles.append(tiles)
        if where is True:
            self._index[:] = number
        elif where is not False:
            np.putmask(self._index, where, number)

    def asphalt(self, where: Mask | bool, tone: Colour = (88, 91, 95)) -> None:
        """Road surface."""
        self.lay(where, tone, grain=7)

    def grass(self, where: Mask | bool, tone: Colour = (104, 128, 78)) -> None:
        """Lawn."""
        self.lay(where, tone, grain=15)

    def pavement(self, where: Mask | bool, tone: Colour = (172, 166, 156)) -> None:
        """Slabs with joints."""
        self.lay(where, tone, grain=4, tiles=5)
        joints = (np.mod(self.x, 1.2) < 0.07) | (np.mod(self.y, 1.2) < 0.07)
        self.lay(joints if where is True else joints & where, lit(tone, 0.9), grain=4, tiles=5)

    def colour(self) -> Floats:
        """The finished ground, colours per pixel."""
        x, y = self.x[::2, ::2], self.y[::2, ::2]
        noise = self._noise
        uneven = noise.at(x, y, 0.4) * 0.35 + noise.at(x, y, 4.5) * 0.6 + noise.at(x + 40, y, 19.0) * 0.5
        slabs = np.sin(np.floor(x / 1.2) * 12.9 + np.floor(y / 1.2) * 78.2).astype(np.float32)
        index = self._index
        tone = np.array(self._grain, np.float32)[index] * _doubled(uneven, index.shape)
        tone += np.array(self._tiles, np.float32)[index] * _doubled(slabs, index.shape)
        found: Floats = np.array(self._colours, np.float32)[index]
        found += tone[..., None]
        return found


def _doubled(half: Floats, shape: tuple[int, ...]) -> Floats:
    return np.repeat(np.repeat(half, 2, axis=0)[: shape[0]], 2, axis=1)[:, : shape[1]]


Shader = Callable[[Ground], None]


@dataclass(slots=True)
class Stage:
    """A still picture being built: sky and ground first, then solids from far to near."""

    view: View
    air: Air = field(default_factory=Air)
    seed: int = 1
    _draws: list[tuple[float, Callable[[ImageDraw.ImageDraw, View], None]]] = field(default_factory=list)
    _shadows: list[Sequence[Spot3]] = field(default_factory=list)
    _glows: list[tuple[Spot3, float, Colour, float, float]] = field(default_factory=list)

    def ground_colour(self, shader: Shader, factor: int) -> Image.Image:
        """Sky above the horizon and the shaded ground below it, `factor` times as large as the view."""
        view, air = self.view.scaled(factor), self.air
        height, width = view.height, view.width
        rows = np.arange(height, dtype=np.float32)[:, None]
        horizon = view.horizon()
        share = np.clip(rows / max(1.0, horizon), 0, 1) ** 1.15
        top, low = np.array(air.sky_top, np.float32), np.array(air.sky_low, np.float32)
        picture = np.empty((height, width, 3), np.float32)
        picture[:] = (top * (1 - share) + low * share)[:, None, :]
        first = max(0, int(horizon) + 2)
        if air.clouds and horizon > 40:
            picture[: min(first, height)] = self._clouds(picture[: min(first, height)], horizon)
        if first < height:
            pitch, yaw = radians(view.pitch_deg), radians(view.yaw_deg)
            across = (np.arange(width, dtype=np.float32)[None, :] - width / 2) / view.focal
            down = -(np.arange(first, height, dtype=np.float32)[:, None] - height / 2) / view.focal
            reach = -self.view.at[2] / np.minimum(down * cos(pitch) - sin(pitch), -1e-4)
            forward = reach * (cos(pitch) + down * sin(pitch))
            right = reach * across
            x = self.view.at[0] + right * cos(yaw) + forward * sin(yaw)
            y = self.view.at[1] - right * sin(yaw) + forward * cos(yaw)
            ground = Ground(x.astype(np.float32), y.astype(np.float32), self.seed)
            shader(ground)
            colour = ground.colour() * np.float32(air.ground)
            veil = np.clip((forward - air.near) / (air.far - air.near), 0, 1) ** 0.8 * 0.95
            veil = np.broadcast_to(veil, x.shape)[..., None]
            picture[first:] = colour * (1 - veil) + np.array(air.haze, np.float32) * veil
        return Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))

    def _clouds(self, sky: Floats, horizon: float) -> Floats:
        height, width = sky.shape[:2]
        x = np.broadcast_to(np.arange(width, dtype=np.float32)[None, ::2], (height, (width + 1) // 2))
        y = np.broadcast_to(np.arange(height, dtype=np.float32)[:, None] * 3.2, x.shape)
        noise = Noise(self.seed + 50)
        cover = noise.at(x, y, 420) * 0.6 + noise.at(x, y, 150) * 0.3 + noise.at(x, y, 52) * 0.16
        share = np.clip(cover * 1.5 - 0.05, 0, 0.8) * self.air.clouds
        share = np.repeat(share, 2, axis=1)[:, :width, None]
        found: Floats = sky * (1 - share) + np.array((250, 250, 250), np.float32) * share
        return found

    def hills(self, height_px: float, colour: Colour, *, seed: int = 0, roughness: float = 1.0) -> None:
        """A ridge at the horizon."""
        rng = np.random.default_rng(self.seed * 31 + seed)
        waves = [(rng.uniform(0.6, 1.4) * k, rng.uniform(0, 6.28), roughness / k) for k in (1, 2.3, 4.9, 11, 23)]

        def draw(pen: ImageDraw.ImageDraw, view: View) -> None:
            scale, horizon = view.width / self.view.width, view.horizon()
            ridge = []
            for px in range(0, view.width + 8, 8):
                along = px / view.width * 6.28
                lift = sum(size * sin(along * rate + shift) for rate, shift, size in waves)
                ridge.append((px, horizon - height_px * scale * (1 + 0.42 * lift)))
            pen.polygon([(0, horizon + 4), *ridge, (view.width, horizon + 4)], fill=ink(colour))

        self._draws.append((9000.0 - seed, draw))

    def face(self, spots: Sequence[Spot3], colour: Colour, normal: Spot3, *, depth: float | None = None) -> None:
        """One flat surface."""
        middle = [sum(axis) / len(spots) for axis in zip(*spots, strict=True)]
        distance = self.view.local((middle[0], middle[1], middle[2]))[2]
        shade = ink(self.air.shade(colour, normal, distance))

        def draw(pen: ImageDraw.ImageDraw, view: View) -> None:
            outline = view.polygon(spots)
            if len(outline) > 2:
                pen.polygon(outline, fill=shade)

        self._draws.append((distance if depth is None else depth, draw))

    def line(self, spots: Sequence[Spot3], colour: Colour, width_m: float, *, depth: float | None = None) -> None:
        """A thin thing: mast, cable, rail."""
        distance = self.view.local(spots[0])[2] if depth is None else depth
        shade = ink(self.air.veil(colour, distance))

        def draw(pen: ImageDraw.ImageDraw, view: View) -> None:
            if all(view.local(spot)[2] > 0.6 for spot in spots):
                thick = max(1, round(width_m * view.focal / max(1.0, distance)))
                pen.line([view.pixel(spot) for spot in spots], fill=shade, width=thick, joint="curve")

        self._draws.append((distance, draw))

    def custom(self, depth: float, draw: Callable[[ImageDraw.ImageDraw, View], None]) -> None:
        """Anything else at a depth."""
        self._draws.append((depth, draw))

    def glow(self, at: Spot3, radius_m: float, colour: Colour, strength: float = 1.0, flat: bool = False) -> None:
        """Light in the air, or flat on the ground, added at the end."""
        self._glows.append((at, radius_m, colour, strength, 0.34 if flat else 1.0))

    def text(self, at: Spot3, size_m: float, words: str, colour: Colour, *, depth: float) -> None:
        """Words on something that faces the camera, middle at a spot."""
        shade = ink(self.air.veil(colour, depth))

        def draw(pen: ImageDraw.ImageDraw, view: View) -> None:
            local = view.local(at)
            font = chinese(max(6, round(size_m * view.focal / local[2])))
            pen.text(view.flat(local), words, fill=shade, font=font, anchor="mm")

        self._draws.append((depth, draw))

    def shadow(self, spots: Sequence[Spot3]) -> None:
        """A shadow on the ground with this outline."""
        self._shadows.append(spots)

    def cast(self, x: float, y: float, w: float, d: float, h: float) -> None:
        """The shadow of a box on the ground."""
        sun = self.air.sun
        dx, dy = -sun[0] / max(sun[2], 0.2) * h, -sun[1] / max(sun[2], 0.2) * h
        base = [(x, y), (x + w, y), (x + w, y + d), (x, y + d)]
        spots = [*base, *((a + dx, b + dy) for a, b in base)]
        self._shadows.append([(a, b, 0.0) for a, b in _hull(spots)])

    def box(
        self,
        x: float,
        y: float,
        z: float,
        w: float,
        d: float,
        h: float,
        colour: Colour,
        *,
        top: Colour | None = None,
        shadow: bool = True,
    ) -> None:
        """A box standing with its near left lower corner at (x, y, z); only the faces that can be seen are drawn."""
        at = self.view.at
        if shadow and z < 0.5:
            self.cast(x, y, w, d, h)
        far = max(self.view.local((x + w / 2, y + d / 2, z + h / 2))[2], 0.1)
        if at[1] < y:
            self.face([(x, y, z), (x + w, y, z), (x + w, y, z + h), (x, y, z + h)], colour, (0, -1, 0), depth=far)
        if at[1] > y + d:
            y2 = y + d
            self.face([(x, y2, z), (x + w, y2, z), (x + w, y2, z + h), (x, y2, z + h)], colour, (0, 1, 0), depth=far)
        if at[0] < x:
            self.face([(x, y, z), (x, y + d, z), (x, y + d, z + h), (x, y, z + h)], colour, (-1, 0, 0), depth=far)
        if at[0] > x + w:
            x2 = x + w
            self.face([(x2, y, z), (x2, y + d, z), (x2, y + d, z + h), (x2, y, z + h)], colour, (1, 0, 0), depth=far)
        if at[2] > z + h:
            lid = top or mix(colour, (255, 255, 255), 0.12)
            self.face(
                [(x, y, z + h), (x + w, y, z + h), (x + w, y + d, z + h), (x, y + d, z + h)], lid, (0, 0, 1), depth=far
            )

    def windows(
        self,
        x: float,
        y: float,
        w: float,
        d: float,
        h: float,
        glass: Colour,
        *,
        floor_m: float = 3.3,
        pitch_m: float = 3.0,
        fill: tuple[float, float] = (0.62, 0.5),
        glowing: Callable[[int, int], Colour | None] | None = None,
        from_m: float = 1.0,
    ) -> None:
        """Rows of windows on the faces of a building that can be seen."""
        at = self.view.at
        far = max(self.view.local((x + w / 2, y + d / 2, h / 2))[2], 0.1) - 0.01
        faces: list[tuple[Spot3, Spot3, float, Spot3]] = []
        if at[1] < y:
            faces.append(((x, y, 0), (1, 0, 0), w, (0, -1, 0)))
        if at[0] < x:
            faces.append(((x, y, 0), (0, 1, 0), d, (-1, 0, 0)))
        if at[0] > x + w:
            faces.append(((x + w, y, 0), (0, 1, 0), d, (1, 0, 0)))
        for origin, along, length, normal in faces:
            columns, floors = max(1, int(length / pitch_m)), max(1, int((h - from_m) / floor_m))
            step = length / columns
            for row in range(floors):
                low = from_m + row * floor_m + floor_m * (1 - fill[1]) / 2
                for column in range(columns):
                    start = column * step + step * (1 - fill[0]) / 2
                    end = start + step * fill[0]
                    spots = [
                        (origin[0] + along[0] * s, origin[1] + along[1] * s, z)
                        for s, z in (
                            (start, low),
                            (end, low),
                            (end, low + floor_m * fill[1]),
                            (start, low + floor_m * fill[1]),
                        )
                    ]
                    colour = glowing(row, column) if glowing else None
                    if colour is None:
                        tone = 0.86 + 0.28 * ((row * 7 + column * 13 + int(x)) % 5) / 4
                        self.face(spots, lit(glass, tone), normal, depth=far)
                    else:
                        self._plain(spots, colour, far)

    def _plain(self, spots: Sequence[Spot3], colour: Colour, depth: float) -> None:
        shade = ink(self.air.veil(colour, depth * 0.5))

        def draw(pen: ImageDraw.ImageDraw, view: View) -> None:
            outline = view.polygon(spots)
            if len(outline) > 2:
                pen.polygon(outline, fill=shade)

        self._draws.append((depth, draw))

    def plain(self, spots: Sequence[Spot3], colour: Colour, *, depth: float | None = None) -> None:
        """A surface that has its own light: sign, lamp, screen."""
        self._plain(spots, colour, self.view.local(spots[0])[2] if depth is None else depth)

    def cylinder(
        self, x: float, y: float, z: float, radius: float, h: float, colour: Colour, *, cone: float = 0.0
    ) -> None:
        """A standing cylinder with a flat or conical roof."""
        far = self.view.local((x, y, z + h / 2))[2]
        if z < 0.5:
            self.shadow(_round_shadow(self.air, x, y, radius, h))
        steps = 64
        ring = [(x + radius * cos(2 * pi * i / steps), y + radius * sin(2 * pi * i / steps)) for i in range(steps + 1)]
        at = self.view.at
        for (ax, ay), (bx, by) in pairwise(ring):
            nx, ny = (ax + bx) / 2 - x, (ay + by) / 2 - y
            if nx * (at[0] - x) + ny * (at[1] - y) > -0.05 * radius * radius:
                normal = (nx / radius, ny / radius, 0.0)
                self.face([(ax, ay, z), (bx, by, z), (bx, by, z + h), (ax, ay, z + h)], colour, normal, depth=far)
        roof = mix(colour, (255, 255, 255), 0.18)
        for (ax, ay), (bx, by) in pairwise(ring):
            nx, ny = ((ax + bx) / 2 - x) / radius, ((ay + by) / 2 - y) / radius
            slope = cone / radius
            normal = (nx * slope, ny * slope, 1.0)
            self.face([(ax, ay, z + h), (bx, by, z + h), (x, y, z + h + cone)], roof, normal, depth=far - 0.005)

    def tree(self, x: float, y: float, h: float, colour: Colour = (74, 112, 62)) -> None:
        """A round tree: trunk and a crown of blobs, lit from the sun's side."""
        far = self.view.local((x, y, h / 2))[2]
        if far < 1:
            return
        rng = np.random.default_rng(int(abs(x) * 131 + abs(y) * 17 + h * 7) + self.seed)
        blobs = [(rng.normal(0, h * 0.16), rng.uniform(0.45, 0.92) * h, rng.uniform(0.16, 0.26) * h) for _ in range(16)]
        blobs.sort(key=lambda b: b[1])
        sun, air = self.air.sun, self.air
        dim = self.air.ambient / 0.62
        shade = [air.veil(lit(colour, dim * (0.62 + 0.5 * (b[1] / h) + 0.10 * rng.uniform(-1, 1))), far) for b in blobs]
        trunk = ink(air.veil(lit((88, 72, 58), dim), far))
        self.shadow(_round_shadow(air, x, y, h * 0.3, h * 0.5))

        def draw(pen: ImageDraw.ImageDraw, view: View) -> None:
            scale = view.focal / far
            px, py = view.pixel((x, y, 0))
            pen.line([(px, py), (px, py - h * 0.5 * scale)], fill=trunk, width=max(1, round(h * 0.05 * scale)))
            for (dx, dz, r), tone in zip(blobs, shade, strict=True):
                cx, cy = px + dx * scale, py - dz * scale
                pen.ellipse((cx - r * scale, cy - r * scale, cx + r * scale, cy + r * scale), fill=ink(lit(tone, 0.84)))
                lx, ly = cx + sun[0] * r * scale * 0.3, cy - 0.28 * r * scale
                r2 = r * 0.72
                pen.ellipse((lx - r2 * scale, ly - r2 * scale, lx + r2 * scale, ly + r2 * scale), fill=ink(tone))

        self._draws.append((far, draw))

    def finish(self, shader: Shader, *, factor: int = 2) -> Image.Image:
        """The still picture in the view's size, with shadows, solids, glows and a trace of grain."""
        large = self.view.scaled(factor)
        picture = self.ground_colour(shader, factor)
        if self._shadows:
            mask = Image.new("L", (self.view.width, self.view.height), 0)
            pen = ImageDraw.Draw(mask)
            for spots in self._shadows:
                outline = self.view.polygon(spots)
                if len(outline) > 2:
                    pen.polygon(outline, fill=round(255 * self.air.shadow))
            mask = mask.filter(ImageFilter.GaussianBlur(1.6)).resize(picture.size, Image.Resampling.BILINEAR)
            picture.paste(Image.new("RGB", picture.size, (26, 32, 46)), (0, 0), mask)
        pen = ImageDraw.Draw(picture)
        for _, draw in sorted(self._draws, key=lambda one: -one[0]):
            draw(pen, large)
        picture = picture.resize((self.view.width, self.view.height), Image.Resampling.BOX)
        if self._glows:
            picture = _add_glows(picture, self.view, self._glows)
        return _grain(picture, self.seed)


def _add_glows(
    picture: Image.Image, view: View, glows: Sequence[tuple[Spot3, float, Colour, float, float]]
) -> Image.Image:
    light = np.asarray(picture, np.float32).copy()
    for at, radius_m, colour, strength, flat in glows:
        local = view.local(at)
        if local[2] < 1:
            continue
        cx, cy = view.flat(local)
        add_glow(light, cx, cy, radius_m * view.focal / local[2], colour, strength, flat)
    return Image.fromarray(np.clip(light, 0, 255).astype(np.uint8))


def add_glow(
    light: Floats, cx: float, cy: float, radius: float, colour: Colour, strength: float, flat: float = 1.0
) -> None:
    """Add a soft light to a picture of floats, in place; flat: its height as a share of its width."""
    height, width = light.shape[:2]
    x0, x1 = max(0, int(cx - radius)), min(width, int(cx + radius) + 1)
    y0, y1 = max(0, int(cy - radius * flat)), min(height, int(cy + radius * flat) + 1)
    if x0 >= x1 or y0 >= y1:
        return
    ys, xs = np.ogrid[y0:y1, x0:x1]
    away = ((xs - cx) ** 2 + ((ys - cy) / flat) ** 2) / (radius * radius)
    soft = np.clip(1 - away, 0, 1) ** 2.2 * strength
    light[y0:y1, x0:x1] += soft[..., None].astype(np.float32) * np.array(colour, np.float32)


def _grain(picture: Image.Image, seed: int) -> Image.Image:
    """What a real lens and sensor do to a drawing: darker corners, fine noise."""
    pixels = np.asarray(picture, np.float32)
    height, width = pixels.shape[:2]
    ys, xs = np.ogrid[0:height, 0:width]
    away = ((xs - width / 2) / (width / 2)) ** 2 + ((ys - height / 2) / (height / 2)) ** 2
    corner = (1 - 0.11 * away**1.2).astype(np.float32)[..., None]
    noise = np.random.default_rng(seed).normal(0, 1.3, (height, width, 1)).astype(np.float32)
    return Image.fromarray(np.clip(pixels * corner + noise, 0, 255).astype(np.uint8))


def _round_shadow(air: Air, x: float, y: float, radius: float, h: float) -> list[Spot3]:
    dx, dy = -air.sun[0] / max(air.sun[2], 0.2) * h, -air.sun[1] / max(air.sun[2], 0.2) * h
    circle = [(x + radius * cos(pi * i / 10), y + radius * sin(pi * i / 10)) for i in range(20)]
    return [(a, b, 0.0) for a, b in _hull([*circle, *((a + dx, b + dy) for a, b in circle)])]


def _hull(spots: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The convex hull (Andrew's monotone chain)."""
    ordered = sorted(set(spots))

    def half(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        chain: list[tuple[float, float]] = []
        for x, y in points:
            while (
                len(chain) > 1
                and (chain[-1][0] - chain[-2][0]) * (y - chain[-2][1])
                - (chain[-1][1] - chain[-2][1]) * (x - chain[-2][0])
                <= 0
            ):
                chain.pop()
            chain.append((x, y))
        return chain[:-1]

    return half(ordered) + half(ordered[::-1])


def turned(spots: Sequence[Spot3], x: float, y: float, heading_deg: float) -> list[Spot3]:
    """Spots of a thing that faces +y, turned clockwise to a heading and moved to (x, y)."""
    c, s = cos(radians(heading_deg)), sin(radians(heading_deg))
    return [(x + a * c + b * s, y - a * s + b * c, z) for a, b, z in spots]


def bearing_deg(dx: float, dy: float) -> float:
    """The heading of a movement, clockwise from +y."""
    return atan2(dx, dy) * 180 / pi
