"""Works: a tank farm, a building site, a filling station."""

from __future__ import annotations

from math import cos, pi, sin

import numpy as np

from anwang.democity.pictures.moving import (
    LORRY,
    TANKER,
    TAXI,
    Blink,
    Crane,
    Mover,
    Smoke,
    Vehicle,
    car,
    lane,
    path,
    standing,
)
from anwang.democity.pictures.paint import Air, Colour, Ground, Spot3, Stage, View, lit
from anwang.democity.pictures.scenes.scene import KERB, WHITE, YELLOW, Scene, lamp, tower


def _tank(stage: Stage, x: float, y: float, radius: float, h: float, colour: Colour) -> None:
    stage.cylinder(x, y, 0, radius, h, colour, cone=radius * 0.12)
    depth = stage.view.local((x, y, h / 2))[2]
    for level in (0.34, 0.67, 0.985):  # hoops
        ring = [(x + radius * 1.004 * cos(a), y + radius * 1.004 * sin(a), h * level) for a in np.linspace(-pi, 0, 26)]
        stage.line(ring, lit(colour, 0.72), 0.12, depth=depth - 0.03)
    stair = [
        (x + radius * 1.02 * cos(a), y + radius * 1.02 * sin(a), h * (0.02 + 0.98 * (a + 2.6) / 1.9))
        for a in np.linspace(-2.6, -0.7, 20)
    ]
    stage.line(stair, (150, 124, 70), 0.2, depth=depth - 0.04)
    rail = [(x + radius * cos(a), y + radius * sin(a), h + 0.9) for a in np.linspace(-pi, pi, 40)]
    stage.line(rail, (176, 156, 84), 0.05, depth=depth - 0.05)


def _bund(stage: Stage, x0: float, y0: float, x1: float, y1: float) -> None:
    wall = (186, 182, 172)
    stage.box(x0, y0, 0, x1 - x0, 0.4, 1.1, wall)
    stage.box(x0, y1, 0, x1 - x0, 0.4, 1.1, wall)
    stage.box(x0, y0, 0, 0.4, y1 - y0, 1.1, wall)
    stage.box(x1, y0, 0, 0.4, y1 - y0, 1.1, wall)


def _plant(stage: Stage) -> None:
    """Bunded tanks in rows, a pipe rack, columns, a chimney."""
    white, cream, grey = (226, 228, 226), (216, 210, 196), (188, 196, 202)
    for row, (y, radius, h) in enumerate(((30, 7.0, 11.0), (54, 8.2, 13.0), (82, 9.0, 14.0))):
        _bund(stage, -44, y - 11, -3, y + 11)
        for i, x in enumerate((-34.0, -13.5)):
            _tank(stage, x, y, radius, h + i, (white, cream, grey)[(row + i) % 3])
        _bund(stage, 11, y - 11, 52, y + 11)
        for i, x in enumerate((21.5, 41.5)):
            _tank(stage, x, y, radius - 0.6, h + 1 - i, (grey, white, cream)[(row + i) % 3])
    for i, x in enumerate((-58.0, -70.0)):
        stage.cylinder(x, 60 + i * 22, 0, 5.0, 7.0, (170, 180, 186), cone=2.4)
    for x in range(-60, 76, 9):  # pipe rack
        stage.line([(x, 100, 0), (x, 100, 7)], (120, 126, 130), 0.4)
    for z, colour in ((5.0, (168, 60, 50)), (5.7, (70, 120, 150)), (6.4, (196, 196, 190)), (7.0, (190, 150, 60))):
        stage.line([(-70, 100, z), (80, 100, z)], colour, 0.42, depth=99)
    for x, h, radius in ((-24, 26, 1.6), (-16, 34, 2.0), (-7, 22, 1.4), (30, 30, 1.8)):
        stage.cylinder(x, 118, 0, radius, h, (198, 204, 208))
        for z in range(5, h, 6):
            stage.line([(x - radius * 1.7, 117, z), (x + radius * 1.7, 117, z)], (150, 154, 156), 0.5, depth=114)
    stage.box(44, 112, 0, 26, 16, 12, (176, 186, 192))
    stage.box(-72, 116, 0, 30, 14, 9, (190, 176, 156))


def _plant_ground(ground: Ground) -> None:
    x, y = ground.x, ground.y
    ground.lay(True, (150, 146, 136), grain=12)
    ground.grass((ground.rough(9.0) > 0.25) & (y > 128))
    inside = ((x > -44) & (x < -3) | (x > 11) & (x < 52)) & (y > 19) & (y < 93)
    ground.lay(inside, (166, 162, 152), grain=8)
    road = ((x > -0.5) & (x < 8.5)) | ((y > 8) & (y < 16)) | ((y > 104) & (y < 110))
    ground.asphalt(road, (98, 100, 102))
    ground.lay(road & ((np.abs(x + 0.3) < 0.12) | (np.abs(x - 8.3) < 0.12)) & ~((y > 8) & (y < 16)), YELLOW)
    ground.lay((np.abs(x - 4) < 0.09) & (np.mod(y, 6) < 3) & ~((y > 7) & (y < 17)), WHITE)
    hatch = (y > 4.6) & (y < 7.4) & (np.abs(x - 4) < 9) & (np.mod(x + y, 1.4) < 0.7)
    ground.lay(hatch, (206, 166, 58))


def tanks() -> Scene:
    """A tank farm of a chemical park, with a road tanker on its round."""
    period = 8.0
    view = View((2.5, -12.0, 11.5), yaw_deg=-13, pitch_deg=13.0, fov_deg=64)
    air = Air(sky_top=(128, 168, 206), sky_low=(230, 230, 224), haze=(220, 222, 220), sun=(-0.55, -0.45, 0.66), far=380)
    stage = Stage(view, air, seed=31)
    stage.hills(26, (176, 186, 194), seed=1)
    _plant(stage)
    for x in (-3.0, 11.0):
        for y in (24, 52, 80):
            lamp(stage, x, y, 2.0 if x < 0 else -2.0, high_m=10)
    stage.line([(-48, 20, 0), (-48, 20, 9)], (200, 200, 200), 0.16)
    movers: list[Mover] = [
        Smoke(at=(-16, 118, 34), period_s=period, rise_m=7, drift_m=20, size_m=1.6, strength=0.5),
        Vehicle(TANKER, path([(-90, 12), (-4, 12), (2.2, 18), (2.2, 126)], period_s=period)),
        Vehicle(car(7), lane((6.2, 120), (6.2, -20), period_s=period, phase=0.35)),
        Blink(at=(-7, 117, 22.4), period_s=period),
        Blink(at=(30, 117, 30.4), period_s=period),
    ]
    return Scene(stage=stage, shader=_plant_ground, movers=movers, period_s=period)


def site() -> Scene:
    """A building site: a frame going up, two cranes, lorries, dust."""
    period = 12.0
    view = View((-4.0, -20.0, 12.0), yaw_deg=3, pitch_deg=7.5, fov_deg=66)
    air = Air(sky_top=(132, 170, 206), sky_low=(234, 230, 218), haze=(226, 220, 208), sun=(0.5, -0.5, 0.66), far=420)
    stage = Stage(view, air, seed=41)
    x: float
    y: float
    z: float
    w: float
    d: float
    h: float
    for x, y, w, d, h, colour in (
        (-80, 130, 30, 30, 44, (202, 198, 190)),
        (-30, 150, 26, 30, 56, (196, 204, 210)),
        (52, 140, 30, 30, 50, (206, 192, 172)),
        (8, 170, 26, 26, 38, (198, 200, 200)),
    ):
        tower(stage, x, y, w, d, h, colour)
    concrete, mesh = (178, 176, 170), (70, 128, 104)
    for bx, by, w, d, floors in ((-48.0, 60.0, 30.0, 18.0, 7), (12.0, 64.0, 34.0, 18.0, 5)):
        stage.cast(bx, by, w, d, floors * 3.4)
        for floor in range(floors):
            z = floor * 3.4
            for i in range(7):
                for y in (by, by + d):
                    stage.box(bx + i * (w - 0.8) / 6, y - 0.4, z, 0.8, 0.8, 3.0, lit(concrete, 0.92), shadow=False)
            far = stage.view.local((bx + w / 2, by + d / 2, z + 3))[2] - 0.4 * floor
            back = [(bx, by + d, z), (bx + w, by + d, z), (bx + w, by + d, z + 3), (bx, by + d, z + 3)]
            stage.face(back, lit(concrete, 0.55), (0, -1, 0), depth=far + 30)
            slab = [
                (bx - 0.5, by - 0.7, z + 3.0),
                (bx + w + 0.5, by - 0.7, z + 3.0),
                (bx + w + 0.5, by - 0.7, z + 3.4),
                (bx - 0.5, by - 0.7, z + 3.4),
            ]
            stage.face(slab, concrete, (0, -1, 0), depth=by + 4)
        top = floors * 3.4
        stage.face(
            [(bx, by, top), (bx + w, by, top), (bx + w, by + d, top), (bx, by + d, top)], concrete, (0, 0, 1), depth=by
        )
        netted = [
            (bx - 0.8, by - 1.0, top * 0.45),
            (bx + w * 0.6, by - 1.0, top * 0.45),
            (bx + w * 0.6, by - 1.0, top * 0.9),
            (bx - 0.8, by - 1.0, top * 0.9),
        ]
        stage.face(netted, mesh, (0, -1, 0), depth=by + 2)
        for i in range(11):
            x = bx - 0.8 + i * (w * 0.6 + 0.8) / 10
            stage.line([(x, by - 1.1, 0), (x, by - 1.1, top * 0.95)], (150, 140, 110), 0.12, depth=by + 1.8)
        for i in range(24):
            x = bx + 1 + (i * 7 % 23) * (w - 2) / 23
            stage.line(
                [(x, by + 3 + i % 5 * 2, top), (x, by + 3 + i % 5 * 2, top + 1.4)], (130, 96, 70), 0.08, depth=by - 1
            )
    masts = ((-10.0, 92.0, 27.0), (53.0, 84.0, 24.0))
    for x, y, h in masts:
        for dx in (-0.8, 0.8):
            stage.line([(x + dx, y, 0), (x + dx, y, h)], (224, 168, 44), 0.22)
        for i in range(int(h / 1.6)):
            z = i * 1.6
            side = -0.8 if i % 2 else 0.8
            stage.line([(x + side, y, z), (x - side, y, z + 1.6)], (224, 168, 44), 0.12)
        stage.box(x - 1.1, y - 1.1, h - 2.6, 2.2, 2.2, 2.2, (214, 216, 214), shadow=False)
    for i in range(5):  # site cabins
        stage.box(46, 20 + i * 6.4, 0, 14, 5.6, 2.8, (222, 224, 222), top=(58, 104, 160))
        stage.windows(46, 20 + i * 6.4, 14, 5.6, 2.8, (96, 118, 136), floor_m=2.6, fill=(0.45, 0.45), from_m=0.2)
    for i in range(38):  # fence
        x = -96 + i * 5.2
        stage.box(x, 112, 0, 5.0, 0.2, 2.5, (64, 122, 150) if i % 2 else (222, 224, 222))
    for x, y, s in ((-18, 34, 2.2), (-11, 33, 1.7), (20, 40, 2.6), (31, 36, 2.0), (-30, 28, 1.6)):
        stage.cylinder(x, y, 0, s * 1.8, 0.05, (168, 142, 104), cone=s)
    for i in range(6):
        stage.box(-6 + i % 3 * 2.6, 26 + i // 3 * 3.0, 0, 2.3, 2.4, 0.9, (150, 110, 74) if i % 2 else (140, 146, 150))
    # an excavator at rest
    stage.box(-24.5, 17.2, 0.1, 4.2, 3.0, 0.9, (52, 54, 56))
    stage.box(-24.2, 17.5, 1.0, 3.6, 2.4, 1.7, (228, 172, 48), shadow=False)
    stage.box(-22.4, 17.4, 2.7, 1.5, 1.4, 1.1, (60, 72, 82), shadow=False)
    stage.line(
        [(-21.0, 18.6, 2.2), (-17.6, 18.2, 5.4), (-15.0, 17.9, 2.6), (-15.8, 17.8, 0.8)], (228, 172, 48), 0.5, depth=31
    )

    def shader(ground: Ground) -> None:
        x, y = ground.x, ground.y
        ground.lay(True, (172, 152, 120), grain=20)
        ground.lay(ground.rough(7.0) > 0.35, (160, 136, 102), grain=18)
        ground.grass(y > 113, (120, 132, 92))
        way = (np.abs(y - 12 - 1.2 * ground.rough(14.0)) < 4.2) | (
            (np.abs(x - 30 - ground.rough(11.0)) < 4) & (y > 10) & (y < 96)
        )
        ground.lay(way, (178, 168, 150), grain=10)
        ruts = way & ((np.abs(y - 11) < 0.3) | (np.abs(y - 13.4) < 0.3))
        ground.lay(ruts, (158, 144, 122), grain=10)
        ground.lay((x > -60) & (x < -46) & (y > 14) & (y < 44), (146, 122, 88), grain=16)
        ground.lay((x > -10.5) & (x < 4.5) & (y > 3) & (y < 8), (150, 158, 162), grain=6)  # wheel wash
        ground.lay((x > -8) & (x < 2) & (y > 4.2) & (y < 6.8), (112, 132, 142), grain=10)

    movers: list[Mover] = [
        Crane(at=(-10.0, 92.0, 27.0), period_s=period, jib_m=34, middle_deg=-95, swing_deg=34),
        Crane(at=(53.0, 84.0, 24.0), period_s=period, jib_m=36, middle_deg=-80, swing_deg=26, colour=(206, 84, 60)),
        Vehicle(LORRY, lane((-76, 11.5), (84, 11.5), period_s=period, phase=0.3)),
        Vehicle(LORRY, lane((30, 108), (30, 2), period_s=period, phase=0.05)),
        Smoke(
            at=(-15.8, 17.8, 0.4),
            period_s=period,
            rise_m=2.2,
            drift_m=7,
            size_m=1.0,
            colour=(206, 190, 160),
            strength=0.28,
        ),
    ]
    return Scene(stage=stage, shader=shader, movers=movers, period_s=period)


def petrol() -> Scene:
    """A filling station: canopy, pumps, a car that fills up and drives on."""
    period = 8.0
    view = View((-13.0, -23.0, 9.0), yaw_deg=27, pitch_deg=12.5, fov_deg=62)
    air = Air(sun=(-0.5, -0.4, 0.75), sky_low=(228, 232, 232), far=380)
    stage = Stage(view, air, seed=83)
    x: float
    y: float
    z: float
    for x, y, w, d, h, colour in (
        (-10, 62, 34, 20, 18, (206, 194, 174)),
        (30, 70, 30, 20, 30, (184, 196, 204)),
        (70, 60, 34, 24, 22, (196, 150, 120)),
        (76, 20, 30, 26, 18, (208, 204, 194)),
    ):
        tower(stage, x, y, w, d, h, colour)
    stage.box(2, 30, 0, 30, 9, 4.2, (232, 232, 228), top=(206, 208, 208))
    stage.face([(3, 29.9, 0.3), (24, 29.9, 0.3), (24, 29.9, 2.7), (3, 29.9, 2.7)], (86, 118, 136), (0, -1, 0), depth=46)
    stage.plain([(2, 29.85, 3.1), (32, 29.85, 3.1), (32, 29.85, 3.9), (2, 29.85, 3.9)], (196, 60, 46), depth=45.9)
    for x in (4.0, 16.0, 28.0):
        for y in (9.0, 18.0):
            stage.box(x - 0.3, y - 0.3, 0, 0.6, 0.6, 5.0, (224, 226, 226))
            stage.box(x - 1.9, y - 0.55, 0, 3.8, 1.1, 0.25, (206, 206, 200), shadow=False)
            for dx in (-1.5, 0.9):
                stage.box(x + dx, y - 0.3, 0.25, 0.6, 0.6, 1.7, (196, 60, 46), top=(226, 228, 226))
                stage.plain(
                    [
                        (x + dx + 0.1, y - 0.31, 1.2),
                        (x + dx + 0.5, y - 0.31, 1.2),
                        (x + dx + 0.5, y - 0.31, 1.6),
                        (x + dx + 0.1, y - 0.31, 1.6),
                    ],
                    (150, 200, 190),
                    depth=y + 8,
                )
    stage.cast(-1, 5, 34, 17, 5.0)
    for z0, z1, colour in ((5.0, 5.5, (226, 228, 228)), (5.5, 6.0, (196, 60, 46)), (6.0, 6.5, (232, 234, 232))):
        stage.box(-1, 5, z0, 34, 17, z1 - z0, colour, shadow=False, top=(210, 214, 214))
    under: list[Spot3] = [(-1, 5, 5.0), (33, 5, 5.0), (33, 22, 5.0), (-1, 22, 5.0)]
    stage.face(under, (176, 180, 182), (0, 0, 1), depth=34)
    for x in (4, 10, 16, 22, 28):
        for y in (9.0, 18.0):
            stage.plain(
                [
                    (x - 0.8, y - 0.8, 4.98),
                    (x + 0.8, y - 0.8, 4.98),
                    (x + 0.8, y + 0.8, 4.98),
                    (x - 0.8, y + 0.8, 4.98),
                ],
                (246, 246, 236),
                depth=33.5,
            )
    stage.box(-9, 26, 0, 1.8, 0.6, 7.4, (196, 60, 46))
    for i in range(4):
        z = 5.9 - i * 1.15
        stage.plain(
            [(-8.8, 25.9, z), (-7.4, 25.9, z), (-7.4, 25.9, z + 0.8), (-8.8, 25.9, z + 0.8)], (34, 40, 44), depth=38
        )
        stage.plain(
            [(-8.5, 25.85, z + 0.2), (-7.7, 25.85, z + 0.2), (-7.7, 25.85, z + 0.6), (-8.5, 25.85, z + 0.6)],
            (240, 170, 60),
            depth=37.9,
        )
    for i in range(12):
        stage.tree(-22 + i * 7, 46 + i % 2 * 2, 6.8 + i % 3 * 0.6)

    def shader(ground: Ground) -> None:
        x, y = ground.x, ground.y
        ground.grass(True)
        ground.lay((y > -2) & (y < 42) & (x > -20) & (x < 52), (168, 166, 158), grain=9)
        ground.lay((np.mod(x, 6) < 0.07) | (np.mod(y, 6) < 0.07), (146, 144, 138))
        ground.grass((y >= 42) | (x <= -20) | (x >= 52))
        ground.grass((np.abs(y + 3.4) < 1.3) & ((x > 4) & (x < 26)), (92, 122, 70))
        ground.asphalt(y < -4.8)
        ground.lay(np.abs(y + 4.8) < 0.18, KERB)
        ground.lay((np.abs(y + 9.0) < 0.09) & (np.mod(x, 6) < 2.8), WHITE)
        ground.lay((np.abs(y - 13.4) < 0.08) & (x > -1) & (x < 33), YELLOW)

    parked = [Vehicle(car(8), standing(27.0, 15.8, 90.0)), Vehicle(car(2), standing(15.0, 6.6, 90.0))]
    movers: list[Mover] = [
        Vehicle(car(3), lane((-60, -7.0), (80, -7.0), period_s=period, phase=0.2)),
        Vehicle(car(6), lane((-60, -6.8), (80, -6.8), period_s=period, phase=0.62)),
        Vehicle(
            TAXI,
            path(
                [(60, 11.4), (40, 11.4), (-4, 11.4), (-12, 4.0), (-16, -8.0), (-60, -10.6)], period_s=period, phase=0.3
            ),
        ),
    ]
    return Scene(stage=stage, shader=shader, movers=movers, period_s=period, parked=parked)


def plant() -> Scene:
    """The tank farm from a mast."""
    period = 8.0
    view = View((4.0, -34.0, 24.0), yaw_deg=0, pitch_deg=13.0, fov_deg=88, width=2560, height=1440)
    air = Air(
        sky_top=(118, 162, 206), sky_low=(230, 230, 224), haze=(220, 222, 220), sun=(0.5, -0.5, 0.66), near=70, far=560
    )
    stage = Stage(view, air, seed=131)
    stage.hills(90, (172, 184, 192), seed=1)
    _plant(stage)
    for x in (-3.0, 11.0):
        for y in (24, 52, 80):
            lamp(stage, x, y, 2.0 if x < 0 else -2.0, high_m=10)
    for i in range(30):
        stage.tree(-100 + i * 7, 134 + i % 3, 7 + i % 2)
    movers: list[Mover] = [
        Smoke(at=(-16, 118, 34), period_s=period, rise_m=9, drift_m=22, size_m=1.8, strength=0.5),
        Vehicle(TANKER, path([(-90, 12), (-4, 12), (2.2, 18), (2.2, 126)], period_s=period)),
        Vehicle(car(7), lane((6.2, 126), (6.2, -30), period_s=period, phase=0.35)),
        Vehicle(LORRY, lane((110, 13.6), (-110, 13.6), period_s=period, phase=0.6)),
        Blink(at=(-7, 117, 22.4), period_s=period),
        Blink(at=(30, 117, 30.4), period_s=period),
    ]
    return Scene(stage=stage, shader=_plant_ground, movers=movers, period_s=period)
