"""Wide views, for cameras that turn: the city, the river."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, pi, sin

import numpy as np

from anwang.democity.pictures.moving import (
    BUS,
    Body,
    Mover,
    Vehicle,
    car,
    lane,
)
from anwang.democity.pictures.paint import Air, Colour, Ground, Stage, View, lit
from anwang.democity.pictures.scenes.scene import GLASS, WHITE, YELLOW, Scene


def panorama() -> Scene:
    """The city from a tower: blocks, a park, the river with its bridge, hills."""
    period = 12.0
    view = View((0.0, -40.0, 78.0), yaw_deg=0, pitch_deg=19.0, fov_deg=92, width=2560, height=1440)
    air = Air(sun=(-0.5, -0.45, 0.72), sky_top=(92, 146, 204), near=160, far=1500)
    stage = Stage(view, air, seed=101)
    stage.hills(150, (154, 174, 190), seed=1)
    stage.hills(86, (150, 172, 178), seed=2, roughness=0.8)
    rng = np.random.default_rng(12)
    walls: Sequence[Colour] = (
        (206, 192, 170), (186, 116, 92), (176, 186, 194), (214, 206, 192), (170, 186, 198), (200, 160, 128),
        (220, 216, 206),
    )  # fmt: skip

    def river(x: float, y: float) -> bool:
        return 150 < x + 0.16 * y < 258

    def park(x: float, y: float) -> bool:
        return -100 < x < -8 and 64 < y < 232

    for j in range(13):
        for i in range(-11, 12):
            x0, y0 = i * 92.0, 66.0 + j * 92.0 - 92.0
            for k in range(4):
                x, y = x0 + 16 + (k % 2) * 36, y0 + 16 + (k // 2) * 36
                w, d = rng.uniform(18, 28), rng.uniform(16, 26)
                h = float(rng.choice((12, 16, 22, 30, 46, 64)) * rng.uniform(0.8, 1.15)) * (0.55 if y < 70 else 1.0)
                if (
                    any(river(a, b) or park(a, b) for a in (x - 16, x + w + 16) for b in (y, y + d))
                    or rng.random() < 0.16
                ):
                    continue
                if abs(x + w / 2) > 120 + y * 1.05 or y < 50:
                    continue
                if y < 240 and abs(x) < 130:
                    h = min(h, 26.0)
                colour = walls[int(rng.integers(0, len(walls)))]
                stage.box(x, y, 0, w, d, h, colour, shadow=y < 420)
                if y < 560:
                    coarse = 1.0 if y < 240 else 1.8
                    stage.windows(x, y, w, d, h, GLASS, floor_m=3.4 * coarse, pitch_m=3.6 * coarse, from_m=2.0)
                if y < 400 and h > 20:
                    stage.box(x + w * 0.3, y + d * 0.3, h, w * 0.3, d * 0.3, 3, lit(colour, 0.9), shadow=False)
    for _ in range(190):
        x, y = rng.uniform(-94, -14), rng.uniform(70, 226)
        if (x + 52) ** 2 / 26**2 + (y - 150) ** 2 / 40**2 > 1.25:
            stage.tree(x, y, rng.uniform(7, 11), (84, 122, 64))
    for i in range(60):
        y = 20 + i * 16
        stage.tree(146 - 0.16 * y - 7, y, 8, (84, 122, 64))
        stage.tree(262 - 0.16 * y + 7, y, 8, (84, 122, 64))
    for y in (54.0, 238.0, 422.0):
        x0, x1 = 146 - 0.16 * y, 262 - 0.16 * y
        stage.box(x0 - 6, y - 9, 3.2, x1 - x0 + 12, 18, 1.2, (196, 194, 188), top=(104, 106, 110), shadow=False)
        for i in range(5):
            stage.box(x0 + 8 + i * (x1 - x0 - 16) / 4, y - 8, -1, 3, 16, 4.2, (170, 168, 162), shadow=False)

    def shader(ground: Ground) -> None:
        x, y = ground.x, ground.y
        ground.lay(True, (168, 164, 154), grain=14)
        ground.grass(ground.rough(26.0) > 0.28, (118, 134, 92))
        ground.grass((x > -100) & (x < -8) & (y > 64) & (y < 232), (104, 138, 78))
        ground.lay((x + 52) ** 2 / 30**2 + (y - 150) ** 2 / 44**2 < 1, (186, 178, 156), grain=8)
        ground.lay((x + 52) ** 2 / 24**2 + (y - 150) ** 2 / 38**2 < 1, (92, 132, 150), grain=10)
        along = x + 0.16 * y
        ground.grass((along > 136) & (along < 272), (112, 138, 84))
        ground.pavement((along > 146) & (along < 150) | (along > 258) & (along < 262))
        water = (along > 150) & (along < 258)
        ground.lay(water, (96, 134, 150), grain=14)
        dx, dy = np.mod(x + 46, 92.0) - 46, np.mod(y - 54 + 46, 92.0) - 46
        roads = ((np.abs(dx) < 8) | (np.abs(dy) < 8)) & ~((along > 142) & (along < 266)) & (y < 1300)
        roads &= ~((x > -92) & (x < -9) & (y > 66) & (y < 230))
        ground.pavement(((np.abs(dx) < 11) | (np.abs(dy) < 11)) & ~((along > 136) & (along < 272)) & ~roads & (y < 500)
                        & ~((x > -92) & (x < -9) & (y > 66) & (y < 230)))  # fmt: skip
        ground.asphalt(roads)
        ground.lay(roads & (np.abs(dx) < 0.25) & (np.abs(dy) > 12), YELLOW)
        ground.lay(roads & (np.abs(dy) < 0.25) & (np.abs(dx) > 12), YELLOW)
        for lane_at in (3.6,):
            ground.lay(roads & (np.abs(np.abs(dx) - lane_at) < 0.12) & (np.abs(dy) > 12) & (np.mod(y, 8) < 3.4), WHITE)
            ground.lay(roads & (np.abs(np.abs(dy) - lane_at) < 0.12) & (np.abs(dx) > 12) & (np.mod(x, 8) < 3.4), WHITE)

    movers: list[Mover] = []
    for number in range(7):
        shift = number / 7
        movers.append(Vehicle(car(number), lane((-2.0, 240), (-2.0, -40), period_s=period, phase=shift)))
        movers.append(Vehicle(car(number + 3), lane((2.0, -40), (2.0, 240), period_s=period, phase=shift + 0.05)))
        movers.append(Vehicle(car(number + 5), lane((-150, 52.0), (130, 52.0), period_s=period, phase=shift + 0.02)))
        movers.append(Vehicle(car(number + 8), lane((130, 56.0), (-150, 56.0), period_s=period, phase=shift + 0.09)))
    movers.append(Vehicle(BUS, lane((5.6, -40), (5.6, 240), period_s=period, phase=0.3)))
    ship = Body(length=22, width=6, height=4.2, waist=1.8, nose=6.0, tail=4.0, colour=(236, 238, 238))
    movers.append(Vehicle(ship, lane((166, 236), (206, -14), period_s=period, phase=0.2)))
    return Scene(stage=stage, shader=shader, movers=movers, period_s=period)


def river() -> Scene:
    """Along the river: banks, a bridge, two boats."""
    period = 12.0
    view = View((6.0, -20.0, 24.0), yaw_deg=0, pitch_deg=12.0, fov_deg=92, width=2560, height=1440)
    air = Air(sun=(0.45, -0.35, 0.75), sky_top=(98, 152, 208), near=80, far=1000)
    stage = Stage(view, air, seed=111)
    stage.hills(110, (156, 176, 190), seed=1)
    stage.hills(60, (150, 172, 172), seed=2)
    rng = np.random.default_rng(3)
    walls: Sequence[Colour] = ((206, 192, 170), (180, 190, 198), (214, 206, 192), (190, 134, 106), (170, 186, 198))
    for side in (-1, 1):
        for j in range(12):
            for k in range(3):
                x = side * (96 + k * 60 + rng.uniform(0, 16)) - (24 if side < 0 else 0)
                y = 10 + j * 46 + rng.uniform(0, 10)
                w, d, h = (
                    rng.uniform(20, 28),
                    rng.uniform(18, 28),
                    float(rng.choice((18, 26, 40, 60))) * rng.uniform(0.8, 1.2),
                )
                if j > 1 or k > 0:
                    colour = walls[int(rng.integers(0, 5))]
                    stage.box(x, y, 0, w, d, h, colour)
                    if y < 360:
                        stage.windows(
                            x, y, w, d, h, GLASS, pitch_m=3.4 if y < 200 else 5.4, floor_m=3.4 if y < 200 else 5.4
                        )
        for i in range(36):
            stage.tree(side * 76, 6 + i * 12, 8.0 + i % 3, (86, 124, 64))
            stage.tree(side * 84, i * 12, 8.4 + i % 4 * 0.6, (92, 128, 66))
        for i in range(18):
            stage.line([(side * 66, i * 24, 0), (side * 66, i * 24, 5)], (90, 96, 100), 0.16)
        stage.line([(side * 61, -10, 1.1), (side * 61, 420, 1.1)], (214, 216, 214), 0.12, depth=120)
    y = 170.0
    for i in range(7):
        stage.box(-60 + i * 19, y + 2, -1, 4, 12, 9, (178, 176, 170), shadow=False)
    stage.box(-92, y, 8, 184, 16, 1.6, (204, 202, 196), top=(106, 108, 112), shadow=False)
    stage.line([(-92, y - 0.2, 10.8), (92, y - 0.2, 10.8)], (224, 226, 226), 0.3, depth=y)
    for arch in (-40.0, 0.0, 40.0):
        stage.line(
            [(arch + 20 * cos(a), y - 0.3, 9.6 + 11 * sin(a)) for a in np.linspace(0, pi, 24)],
            (196, 70, 54),
            0.8,
            depth=y - 1,
        )
        for a in np.linspace(0.4, pi - 0.4, 8):
            stage.line(
                [(arch + 20 * cos(a), y - 0.3, 9.6), (arch + 20 * cos(a), y - 0.3, 9.6 + 11 * sin(a))],
                (206, 210, 212),
                0.14,
                depth=y - 0.9,
            )

    def shader(ground: Ground) -> None:
        x, y = ground.x, ground.y
        ground.grass(True, (112, 138, 84))
        ground.asphalt((np.abs(np.abs(x) - 92) < 5) & True)
        ground.pavement((np.abs(x) > 61) & (np.abs(x) < 69), (186, 178, 164))
        ground.lay((np.abs(x) > 58) & (np.abs(x) <= 61), (164, 160, 152), grain=8)
        water = np.abs(x) <= 58
        ground.lay(water, (98, 136, 154), grain=10)
        ground.lay(water & (ground.rough(5.5) + 0.6 * ground.rough(1.7) > 0.62), (126, 160, 174), grain=6)
        ground.lay(water & (np.abs(x - 22) < 16) & (ground.rough(1.3) > 0.66), (214, 226, 228), grain=4)
        ground.lay(water & (y > 168) & (y < 186), (76, 108, 124), grain=8)

    boat = Body(
        length=17, width=4.6, height=3.4, waist=1.5, nose=5.0, tail=3.0, colour=(232, 234, 234), glass=(70, 92, 108)
    )
    barge = Body(
        length=30, width=6.5, height=3.6, waist=1.8, nose=22.0, tail=2.0, colour=(150, 74, 56), glass=(206, 208, 204)
    )
    movers: list[Mover] = [
        Vehicle(boat, lane((14, 300), (14, -34), period_s=period, phase=0.3)),
        Vehicle(barge, lane((-20, -60), (-20, 330), period_s=period, phase=0.25)),
        Vehicle(boat, lane((34, -40), (34, 300), period_s=period, phase=0.7)),
    ]
    return Scene(stage=stage, shader=shader, movers=movers, period_s=period)
