"""Places: a village, a car park, a gate, a control room."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anwang.democity.pictures.moving import (
    Barrier,
    Blink,
    Body,
    Flag,
    Mover,
    Smoke,
    Vehicle,
    car,
    lane,
    path,
    standing,
)
from anwang.democity.pictures.paint import Air, Colour, Ground, Spot3, Stage, View, lit
from anwang.democity.pictures.scenes.scene import KERB, WHITE, YELLOW, Scene, tower


def _house(stage: Stage, x: float, y: float, w: float, d: float, h: float, wall: Colour, roof: Colour) -> None:
    stage.box(x, y, 0, w, d, h, wall)
    stage.windows(x, y, w, d, h, (92, 108, 120), floor_m=3.0, pitch_m=3.4, fill=(0.42, 0.42), from_m=0.3)
    far = stage.view.local((x + w / 2, y + d / 2, h))[2] - 0.3
    ridge, eave = h + d * 0.26, 0.6
    a: list[Spot3] = [
        (x - eave, y - eave, h),
        (x + w + eave, y - eave, h),
        (x + w, y + d / 2, ridge),
        (x, y + d / 2, ridge),
    ]
    b: list[Spot3] = [
        (x - eave, y + d + eave, h),
        (x + w + eave, y + d + eave, h),
        (x + w, y + d / 2, ridge),
        (x, y + d / 2, ridge),
    ]
    stage.face(b, lit(roof, 0.86), (0, 0.5, 0.8), depth=far + 0.1)
    for side in (x, x + w):
        stage.face(
            [(side, y, h), (side, y + d, h), (side, y + d / 2, ridge)],
            wall,
            (1 if side > x else -1, 0, 0),
            depth=far + 0.05,
        )
    stage.face(a, roof, (0, -0.5, 0.8), depth=far)
    for i in range(1, 7):
        share = i / 7
        za, ya = h + (ridge - h) * share, y - eave + (d / 2 + eave) * share
        stage.line(
            [(x - eave * (1 - share), ya, za), (x + w + eave * (1 - share), ya, za)],
            lit(roof, 0.86),
            0.07,
            depth=far - 0.01,
        )


def village() -> Scene:
    """A village road between fields, hills behind."""
    period = 12.0
    view = View((1.2, -11.0, 6.8), yaw_deg=-3, pitch_deg=9.5, fov_deg=60)
    air = Air(
        sky_top=(104, 158, 210), sky_low=(226, 234, 234), haze=(206, 220, 222), sun=(-0.5, -0.5, 0.7), near=60, far=620
    )
    stage = Stage(view, air, seed=53)
    x: float
    y: float
    stage.hills(74, (150, 172, 186), seed=1)
    stage.hills(44, (132, 158, 156), seed=2, roughness=0.8)
    stage.hills(20, (126, 150, 124), seed=3, roughness=0.6)
    brick, grey, red = (206, 196, 178), (118, 122, 126), (164, 88, 66)
    for x, y, w, d, h, wall, roof in (
        (-26, 24, 13, 8, 3.6, brick, grey),
        (-30, 44, 15, 9, 6.4, (222, 218, 208), red), (-25, 66, 12, 8, 3.6, (214, 200, 176), grey),
        (-44, 56, 13, 8, 3.6, brick, grey), (-46, 32, 12, 8, 3.6, (210, 204, 192), red),
        (-28, 92, 14, 9, 6.4, (220, 214, 202), grey), (-50, 86, 14, 8, 3.6, brick, red),
        (-24, 122, 13, 8, 3.6, (214, 206, 192), grey), (20, 62, 15, 9, 6.4, (224, 220, 210), red),
        (19, 94, 13, 8, 3.6, brick, grey), (38, 80, 14, 8, 3.6, (214, 200, 176), grey),
        (20, 128, 14, 8, 3.6, brick, red),
    ):  # fmt: skip
        _house(stage, x, y, w, d, h, wall, roof)
        stage.box(x - 1.5, y - 5.2, 0, w + 3, 0.25, 1.5, (196, 186, 168))
    for i in range(18):
        stage.tree(7.2 + (i % 2) * 0.7, 20 + i * 9.5, 8.4 + (i % 4) * 1.0, (96, 128, 66))
        if i % 3:
            stage.tree(-8.4, 30 + i * 12, 7.4 + i % 3, (92, 124, 64))
    for i in range(6):
        x, y = -7.2, 18 + i * 26
        stage.line([(x, y, 0), (x, y, 7.2)], (150, 146, 138), 0.2)
        stage.line([(x - 0.9, y, 6.7), (x + 0.9, y, 6.7)], (120, 118, 112), 0.12)
        for dx in (-0.8, 0.8):
            stage.line(
                [(x + dx, y, 6.75), (x + dx, y + 13, 6.2), (x + dx, y + 26, 6.75)], (84, 88, 92), 0.03, depth=y + 14
            )
    stage.line([(-15.5, 40, 0), (-15.5, 40, 9.0)], (196, 198, 200), 0.14)

    def shader(ground: Ground) -> None:
        x, y = ground.x, ground.y
        ground.grass(True, (128, 146, 86))
        field = (x > 10.5) & (np.mod(y, 34) > 1.6)
        ground.lay(field & (np.mod(np.floor(y / 34), 2) == 0), (174, 164, 92), grain=18)
        ground.lay(field & (np.mod(np.floor(y / 34), 2) == 1), (116, 148, 72), grain=16)
        furrow = field & (np.mod(x * 0.96 + y * 0.12, 1.5) < 0.5)
        ground.lay(furrow & (np.mod(np.floor(y / 34), 2) == 0), (158, 146, 82), grain=14)
        ground.lay(furrow & (np.mod(np.floor(y / 34), 2) == 1), (100, 134, 62), grain=14)
        ground.lay((x < -9) & (x > -58) & (y > 16) & (y < 138), (178, 164, 136), grain=14)
        ground.lay((np.abs(x) < 4.4) & True, (160, 150, 126), grain=14)
        ground.lay(np.abs(x) < 3.1, (178, 176, 168), grain=8)
        ground.lay((np.abs(x) < 3.1) & (np.mod(y, 5.5) < 0.08), (146, 144, 138))
        ground.lay((np.abs(y - 39) < 2.0) & (x < 0) & (x > -40), (172, 166, 152), grain=10)

    cart = Body(length=3.0, width=1.3, height=1.6, waist=0.9, nose=0.4, tail=1.5, colour=(60, 110, 150))
    movers: list[Mover] = [
        Vehicle(car(3), lane((1.4, -14), (1.4, 150), period_s=period, phase=0.1)),
        Vehicle(cart, lane((-1.4, 120), (-1.4, -14), period_s=period, phase=0.45)),
        Flag(at=(-15.5, 40, 8.9), period_s=period, width_m=2.6, height_m=1.7),
        Smoke(at=(-22, 50, 9.2), period_s=period, rise_m=4, drift_m=9, size_m=0.6, strength=0.34),
    ]
    return Scene(stage=stage, shader=shader, movers=movers, period_s=period)


def parking() -> Scene:
    """A car park from above its corner; one car comes in."""
    period = 8.0
    view = View((0.0, -14.0, 12.5), yaw_deg=7, pitch_deg=24.0, fov_deg=66)
    air = Air(sun=(-0.4, -0.5, 0.76), sky_low=(226, 230, 230))
    stage = Stage(view, air, seed=61)
    x: float
    y: float
    for x, y, w, d, h, colour in (
        (-60, 72, 34, 20, 22, (204, 190, 168)),
        (-20, 76, 36, 20, 16, (178, 190, 198)),
        (22, 74, 34, 22, 26, (198, 140, 110)),
        (64, 70, 30, 24, 20, (206, 202, 192)),
    ):
        tower(stage, x, y, w, d, h, colour)
    rows = (6.0, 24.0, 42.0)
    parked: list[Mover] = []
    pick = np.random.default_rng(9)
    for row in rows:
        for i in range(20):
            x = -29 + i * 3.0
            if abs(x - 1) < 3.2:
                continue
            for y, heading in ((row - 3.0, 0.0), (row + 3.0, 180.0)):
                if pick.random() < 0.68:
                    parked.append(Vehicle(car(int(pick.integers(0, 40))), standing(x + 1.5, y, heading)))
    for i in range(14):
        stage.tree(-34 + (i % 2), 4 + i * 4.6, 5.8 + i % 3 * 0.5)
        stage.tree(35 - (i % 2), 2 + i * 4.6, 6.0 + i % 3 * 0.4)
    for i in range(9):
        stage.tree(-30 + i * 8, 58, 6.4 + i % 2)
    for x in (-16, 19):
        for y in rows:
            stage.line([(x, y, 0), (x, y, 8.6)], (150, 154, 158), 0.16, depth=500)
    stage.box(5.4, -3.6, 0, 2.2, 2.2, 2.6, (214, 218, 220), top=(64, 110, 160))

    def shader(ground: Ground) -> None:
        x, y = ground.x, ground.y
        ground.grass(True)
        ground.pavement(np.abs(x - 0.5) < 33)
        lot = (np.abs(x - 0.5) < 31) & (y > -9) & (y < 52)
        ground.lay((np.abs(x - 0.5) < 31.3) & (y > -9.3) & (y < 52.3), KERB)
        ground.asphalt(lot, (104, 106, 108))
        ground.asphalt((np.abs(x - 1) < 3.6) & (y <= -8))
        for row in rows:
            bay = lot & (np.abs(y - row) < 5.6) & (np.abs(x - 1) > 3.2) & (x > -29.1) & (x < 31)
            ground.lay(bay & (np.abs(np.mod(x + 29, 3.0)) < 0.11), WHITE)
            ground.lay(lot & (np.abs(y - row) < 0.1) & (np.abs(x - 1) > 3.2), WHITE)
            ground.grass(lot & (np.abs(y - row) < 0.55) & (np.abs(x - 1) > 4.0), (96, 124, 72))
        arrow = lot & (np.abs(x - 1) < 0.25) & (np.mod(y, 18) < 2.2)
        ground.lay(arrow, WHITE)

    inward = [(2.6, -30.0), (2.6, 10.0), (2.6, 15.0), (9.0, 15.4), (46.0, 15.4)]
    outward = [(-46.0, 33.4), (-6.0, 33.4), (-0.6, 29.0), (-0.6, -34.0)]
    movers: list[Mover] = [
        Vehicle(car(3), path(inward, period_s=period, phase=0.1)),
        Vehicle(car(5), path(outward, period_s=period, phase=0.55)),
    ]
    return Scene(stage=stage, shader=shader, movers=movers, period_s=period, parked=parked)


def gate() -> Scene:
    """The gate of a compound: barrier, lodge, a car that comes in and one that leaves."""
    period = 8.0
    view = View((5.5, -15.0, 5.6), yaw_deg=-15, pitch_deg=12.0, fov_deg=60)
    air = Air(sun=(-0.35, -0.55, 0.75), sky_low=(224, 232, 236), far=360)
    stage = Stage(view, air, seed=71)
    x: float
    for x, y, w, d, h, colour in (
        (-46, 52, 30, 18, 24, (208, 196, 176)),
        (-8, 66, 34, 20, 30, (214, 210, 200)),
        (34, 50, 26, 20, 22, (190, 140, 112)),
        (-84, 44, 30, 22, 20, (196, 200, 200)),
        (-30, 110, 60, 24, 52, (190, 200, 208)),
    ):
        tower(stage, x, y, w, d, h, colour)
    stone, dark = (198, 188, 170), (92, 84, 76)
    for x, run in ((-40.0, 29.5), (10.5, 40.0)):
        stage.box(x, 10, 0, run, 0.5, 0.8, stone)
        for i in range(int(run / 0.45)):
            px = x + i * 0.45
            stage.line([(px, 10.2, 0.8), (px, 10.2, 2.3)], (64, 70, 76), 0.06)
        stage.line([(x, 10.2, 2.2), (x + run, 10.2, 2.2)], (64, 70, 76), 0.08, depth=25)
    for x in (-10.5, 8.3):
        stage.box(x, 9.2, 0, 2.2, 2.2, 5.4, stone, top=(222, 214, 198))
        stage.box(x - 0.2, 9.0, 5.4, 2.6, 2.6, 0.35, dark, shadow=False)
    stage.box(-10.2, 9.6, 5.6, 20.4, 1.4, 1.5, (172, 60, 46), shadow=False)
    stage.face(
        [(-7.6, 9.55, 5.9), (7.6, 9.55, 5.9), (7.6, 9.55, 6.8), (-7.6, 9.55, 6.8)],
        (226, 190, 110),
        (0, -1, 0),
        depth=22,
    )
    stage.text((0.0, 9.5, 6.36), 0.86, "安澜市（模拟）园区", (120, 34, 28), depth=21.9)
    stage.box(-1.5, 8.4, 0, 3.0, 4.6, 2.9, (206, 212, 214), top=(84, 92, 98))
    stage.windows(-1.5, 8.4, 3.0, 4.6, 2.9, (70, 96, 116), floor_m=2.6, pitch_m=1.5, fill=(0.8, 0.5), from_m=0.3)
    for i in range(8):
        stage.tree(-15 - i * 5, 13.5 + i % 2, 6.6 + i % 3 * 0.6)
        stage.tree(14 + i * 5, 14 + i % 2, 6.4 + i % 3 * 0.6)
        stage.tree(-8 if i % 2 else 8.6, 24 + i * 5, 6.2)
    stage.line([(-19, 15, 0), (-19, 15, 10.2)], (204, 206, 208), 0.14)

    def shader(ground: Ground) -> None:
        x, y = ground.x, ground.y
        ground.grass(True)
        ground.pavement(y < 13)
        ground.pavement((np.abs(x) < 10) & (y < 50), (160, 156, 150))
        ground.lay(np.abs(y + 5.3) < 0.17, KERB)
        ground.asphalt(y < -5.4)
        way = (np.abs(x) < 7.6) & (y > -6) & (y < 80)
        ground.asphalt(way, (96, 98, 101))
        ground.lay(way & (np.abs(x) < 0.12) & ((y < 7) | (y > 15)), YELLOW)
        ground.lay(way & (np.abs(np.abs(x) - 7.3) < 0.08), WHITE)
        ground.lay(way & (y > 5.4) & (y < 6.0), WHITE)
        bumps = way & (np.abs(y - 3.2) < 0.45)
        ground.lay(bumps & (np.mod(x, 1.0) < 0.5), (214, 172, 50))
        ground.lay(bumps & (np.mod(x, 1.0) >= 0.5), (52, 54, 58))
        ground.lay((np.abs(y + 9.4) < 0.09) & (np.mod(x, 6) < 2.6), WHITE)

    movers: list[Mover] = [
        Vehicle(
            car(9), path([(60, -7.6), (12, -7.6), (4.4, -3.0), (4.2, 6.0), (4.2, 74)], period_s=period, phase=0.15)
        ),
        Vehicle(car(4), path([(-4.2, 78), (-4.2, 0), (-10.0, -7.4), (-70, -7.4)], period_s=period, phase=0.5)),
        Flag(at=(-19, 15, 10.0), period_s=period, width_m=2.7, height_m=1.8),
        Barrier(at=(2.0, 8.0, 1.05), period_s=period, length_m=5.2, opens=0.28, closes=0.52),
        Barrier(at=(-2.0, 8.0, 1.05), period_s=period, length_m=-5.2, opens=0.93, closes=0.16),
    ]
    return Scene(stage=stage, shader=shader, movers=movers, period_s=period)


def control() -> Scene:
    """A control room with its screens; the chair is empty."""
    period = 8.0
    view = View((0.0, -3.6, 2.75), yaw_deg=0, pitch_deg=14.0, fov_deg=76)
    air = Air(
        sky_top=(60, 64, 70), sky_low=(60, 64, 70), haze=(150, 156, 160), sun=(0.1, -0.55, 0.82), ambient=0.66,
        direct=0.32, near=90, far=300, shadow=0.3, clouds=0.0,
    )  # fmt: skip
    stage = Stage(view, air, seed=97)
    x: float
    stage.face([(-6, 7, 0), (6, 7, 0), (6, 7, 4.4), (-6, 7, 4.4)], (196, 200, 200), (0, -1, 0), depth=60)
    stage.face([(-6, -4, 0), (-6, 7, 0), (-6, 7, 4.4), (-6, -4, 4.4)], (184, 190, 192), (1, 0, 0), depth=61)
    stage.face([(6, -4, 0), (6, 7, 0), (6, 7, 4.4), (6, -4, 4.4)], (176, 182, 186), (-1, 0, 0), depth=61)
    stage.face([(-6, 6.98, 0), (6, 6.98, 0), (6, 6.98, 0.14), (-6, 6.98, 0.14)], (96, 102, 108), (0, -1, 0), depth=59)
    rng = np.random.default_rng(4)
    tones: Sequence[Colour] = ((58, 92, 110), (70, 104, 84), (96, 92, 78), (54, 70, 92), (84, 84, 88), (66, 98, 104))
    for row in range(2):  # the wall of pictures
        for column in range(5):
            x, z = -3.6 + column * 1.46, 1.55 + row * 0.92
            stage.plain(
                [
                    (x - 0.05, 6.9, z - 0.05),
                    (x + 1.43, 6.9, z - 0.05),
                    (x + 1.43, 6.9, z + 0.87),
                    (x - 0.05, 6.9, z + 0.87),
                ],
                (22, 24, 28),
                depth=50,
            )
            tone = tones[int(rng.integers(0, 6))]
            stage.plain(
                [(x, 6.88, z), (x + 1.38, 6.88, z), (x + 1.38, 6.88, z + 0.82), (x, 6.88, z + 0.82)], tone, depth=49
            )
            stage.plain(
                [(x, 6.87, z), (x + 1.38, 6.87, z), (x + 1.38, 6.87, z + 0.36), (x, 6.87, z + 0.30)],
                lit(tone, 0.72),
                depth=48.9,
            )
            for i in range(3):
                bx = x + 0.1 + i * 0.44
                stage.plain(
                    [
                        (bx, 6.86, z + 0.2),
                        (bx + 0.28, 6.86, z + 0.2),
                        (bx + 0.28, 6.86, z + 0.44 + 0.12 * (i % 2)),
                        (bx, 6.86, z + 0.44 + 0.12 * (i % 2)),
                    ],
                    lit(tone, 1.35),
                    depth=48.8,
                )
    for x in (-4.4, -1.4, 1.6):  # desks and monitors
        stage.box(x, 2.6, 0, 2.8, 1.0, 0.74, (214, 206, 190), top=(222, 216, 204))
        for i in range(2):
            mx = x + 0.28 + i * 1.22
            stage.box(mx, 3.1, 0.86, 1.06, 0.06, 0.62, (30, 32, 36), shadow=False)
            stage.plain(
                [(mx + 0.04, 3.09, 0.9), (mx + 1.02, 3.09, 0.9), (mx + 1.02, 3.09, 1.44), (mx + 0.04, 3.09, 1.44)],
                (36, 62, 78),
                depth=6.3,
            )
            for k in range(4):
                z = 0.96 + k * 0.11
                stage.plain(
                    [
                        (mx + 0.1, 3.08, z),
                        (mx + 0.3 + 0.14 * ((k * 3 + i) % 5), 3.08, z),
                        (mx + 0.3 + 0.14 * ((k * 3 + i) % 5), 3.08, z + 0.05),
                        (mx + 0.1, 3.08, z + 0.05),
                    ],
                    ((96, 190, 150), (120, 170, 210), (210, 170, 90))[k % 3],
                    depth=6.2,
                )
        stage.box(x + 0.9, 2.68, 0.74, 0.9, 0.26, 0.03, (60, 64, 70), shadow=False)
        stage.box(x + 1.0, 1.5, 0.42, 0.62, 0.6, 0.1, (48, 60, 74))
        stage.box(x + 1.0, 1.42, 0.52, 0.62, 0.1, 0.62, (52, 66, 82), shadow=False)
        stage.line([(x + 1.31, 1.8, 0), (x + 1.31, 1.8, 0.42)], (40, 42, 46), 0.1)
    racks: list[tuple[float, float, float]] = []
    for i in range(4):
        y = 1.6 + i * 1.25
        stage.box(5.0, y, 0, 0.95, 1.15, 2.2, (44, 48, 54))
        if i > 1:
            racks += [(4.97, y + 0.2 + 0.09 * (k % 8), 0.4 + 0.19 * k) for k in range(4, 9)]
    stage.box(-5.9, 4.6, 0, 0.7, 1.6, 2.0, (150, 160, 166))
    stage.box(-5.7, 1.2, 0, 0.5, 0.5, 0.5, (176, 140, 110))
    stage.tree(-5.45, 1.45, 1.5, (86, 124, 70))
    stage.plain([(4.3, 6.95, 2.3), (5.2, 6.95, 2.3), (5.2, 6.95, 2.62), (4.3, 6.95, 2.62)], (30, 150, 90), depth=50)

    def shader(ground: Ground) -> None:
        ground.lay(True, (168, 170, 170), grain=3)
        ground.lay((np.mod(ground.x, 0.6) < 0.02) | (np.mod(ground.y, 0.6) < 0.02), (140, 143, 145))

    lamps: Sequence[Colour] = ((70, 240, 140), (70, 240, 140), (250, 190, 70))
    movers: list[Mover] = [
        Blink(
            at=spot,
            period_s=period,
            colour=lamps[i % 3],
            radius_m=0.05,
            times=4 + i * 5 % 13,
            share=0.3 + 0.4 * (i % 2),
        )
        for i, spot in enumerate(racks)
    ]
    return Scene(stage=stage, shader=shader, movers=movers, period_s=period)
