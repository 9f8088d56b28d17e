"""Streets: a crossing, an avenue by day and by night."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anwang.democity.pictures.moving import (
    BUS,
    TAXI,
    Mover,
    Vehicle,
    car,
    lane,
    standing,
)
from anwang.democity.pictures.paint import Air, Colour, Ground, Shader, Stage, View
from anwang.democity.pictures.scenes.scene import KERB, WHITE, YELLOW, Scene, Tower, lamp, tower


def crossing() -> Scene:
    """A street crossing in afternoon light."""
    period = 8.0
    view = View((12.5, -21.0, 8.6), yaw_deg=-19, pitch_deg=17.5, fov_deg=66)
    air = Air()
    stage = Stage(view, air, seed=3)
    half, cross0, cross1 = 10.5, 6.0, 20.0

    def shader(ground: Ground) -> None:
        x, y = ground.x, ground.y
        ground.pavement(True)
        ground.grass((np.abs(x) > half + 5.5) & ((y > cross1 + 5.5) | (y < cross0 - 5.5)))
        main, side = np.abs(x) < half, (y > cross0) & (y < cross1)
        road = main | side
        for cx in (-half - 4, half + 4):
            for cy in (cross0 - 4, cross1 + 4):
                near = (np.abs(x) < half + 4) & (y > cross0 - 4) & (y < cross1 + 4)
                road |= near & ((x - cx) ** 2 + (y - cy) ** 2 > 16) & (np.abs(x - cx) < 4) & (np.abs(y - cy) < 4)
        kerb = (np.abs(np.abs(x) - half - 0.15) < 0.18) & ((y < cross0 - 4) | (y > cross1 + 4))
        kerb |= ((np.abs(y - cross0 + 0.15) < 0.18) | (np.abs(y - cross1 - 0.15) < 0.18)) & (np.abs(x) > half + 4)
        ground.lay(kerb, KERB)
        ground.asphalt(road)
        before, after = y < cross0 - 6.2, y > cross1 + 6.2
        ground.lay(main & (before | after) & (np.abs(np.abs(x) - 0.22) < 0.08), YELLOW)
        for at in (3.5, 7.0):
            line = np.abs(np.abs(x) - at) < 0.075
            solid = (y > cross0 - 26) & before | (y < cross1 + 26) & after
            ground.lay(line & (solid | (before | after) & (np.mod(y, 6.0) < 2.6)), WHITE)
        far = np.abs(x) > half + 6.2
        mid = (cross0 + cross1) / 2
        ground.lay(side & far & (np.abs(np.abs(y - mid) - 0.2) < 0.08), YELLOW)
        ground.lay(side & far & (np.abs(np.abs(y - mid) - 3.5) < 0.075) & (np.mod(x, 6.0) < 2.6), WHITE)
        across, along = np.mod(x, 1.0) < 0.5, np.mod(y, 1.0) < 0.5
        for y0 in (cross0 - 4.6, cross1 + 1.4):
            ground.lay(main & (y > y0) & (y < y0 + 3.2) & across, WHITE, grain=12)
        for x0 in (-half - 4.6, half + 1.4):
            ground.lay(side & (x > x0) & (x < x0 + 3.2) & along, WHITE, grain=12)
        ground.lay(main & (np.abs(y - cross0 + 5.7) < 0.2) & (x > 0.3), WHITE)
        ground.lay(main & (np.abs(y - cross1 - 5.7) < 0.2) & (x < -0.3), WHITE)
        ground.lay(side & (np.abs(x + half + 5.7) < 0.2) & (y < mid), WHITE)
        ground.lay(side & (np.abs(x - half - 5.7) < 0.2) & (y > mid), WHITE)

    towers: Sequence[Tower] = (
        (-62, 34, 30, 20, 34, (206, 192, 170)), (-27, 38, 11, 18, 15, (186, 116, 92)),
        (-108, 30, 36, 26, 26, (176, 184, 190)), (17, 36, 18, 16, 19, (214, 206, 192)),
        (40, 42, 22, 20, 40, (170, 186, 198)), (-60, 74, 26, 20, 58, (188, 198, 206)),
        (-24, 92, 15, 20, 30, (206, 186, 160)), (18, 84, 22, 22, 30, (196, 152, 122)),
        (52, 96, 26, 24, 54, (184, 194, 202)), (-44, 140, 22, 22, 44, (198, 200, 200)),
        (18, 150, 20, 24, 62, (190, 200, 208)), (-20, 190, 14, 20, 52, (204, 196, 184)),
        (-100, 110, 30, 30, 46, (196, 190, 180)), (20, 210, 18, 20, 40, (200, 200, 198)),
        (80, 140, 30, 24, 36, (204, 196, 186)),
    )  # fmt: skip
    for x, y, w, d, h, colour in towers:
        tower(stage, x, y, w, d, h, colour)
        if h < 24:
            sign = [(x + 1, y - 0.3, 3.5), (x + w - 1, y - 0.3, 3.5), (x + w - 1, y - 0.3, 4.6), (x + 1, y - 0.3, 4.6)]
            stage.plain(sign, ((176, 52, 44), (44, 96, 140), (196, 140, 44))[int(abs(x)) % 3])
    for i in range(9):
        stage.tree(-half - 4.2, 30 + i * 13, 7.4 + (i % 3) * 0.6)
        stage.tree(half + 4.2, 32 + i * 13, 7.2 + (i % 2) * 0.9)
    for i in range(5):
        stage.tree(-24 - i * 10, cross1 + 4.2, 6.6 + i % 2)
        stage.tree(24 + i * 10, cross1 + 4.4, 6.8)
        stage.tree(-26 - i * 9, cross0 - 4.4, 6.4)
    for x, y in ((-half - 1.6, cross1 + 2.0), (half + 1.6, cross1 + 2.0), (-half - 1.6, cross0 - 2.0)):
        stage.line([(x, y, 0), (x, y, 6.4)], (70, 76, 82), 0.2)
        arm = -1 if x > 0 else 1
        stage.line([(x, y, 6.2), (x + arm * 6.5, y, 6.4)], (70, 76, 82), 0.16)
        for along in (3.0, 6.0):
            sx = x + arm * along
            stage.box(sx - 0.25, y - 0.2, 5.3, 0.5, 0.3, 1.3, (40, 44, 48), shadow=False)
            stage.plain(
                [
                    (sx - 0.14, y - 0.22, 5.42),
                    (sx + 0.14, y - 0.22, 5.42),
                    (sx + 0.14, y - 0.22, 5.7),
                    (sx - 0.14, y - 0.22, 5.7),
                ],
                (64, 214, 132),
            )
    for i in range(7):
        for x, arm in ((-half - 1.2, 1), (half + 1.2, -1)):
            y = 44 + i * 26
            stage.line([(x, y, 0), (x, y, 8.6), (x + arm * 2.2, y, 9.0)], (120, 126, 130), 0.16)

    movers: list[Mover] = []
    for lane_x, rounds, count, shift in ((-1.9, 1, 3, 0.1), (-5.2, 1, 3, 0.45), (-8.6, 1, 2, 0.3)):
        for i in range(count):
            track = lane((lane_x, 112), (lane_x, -24), period_s=period, rounds=rounds, phase=shift + i / count)
            movers.append(Vehicle(car(i * 3 + round(lane_x)), track))
    for lane_x, count, shift in ((1.9, 3, 0.2), (5.2, 2, 0.05)):
        for i in range(count):
            track = lane((lane_x, -24), (lane_x, 112), period_s=period, phase=shift + i / count)
            movers.append(Vehicle(TAXI if i == 1 else car(i * 2 + 5), track))
    movers.append(Vehicle(BUS, lane((8.6, -30), (8.6, 116), period_s=period, phase=0.55)))
    waiting = ((car(1), -18.6, 9.6), (car(7), -24.6, 9.4), (TAXI, -18.4, 11.6))
    movers += [Vehicle(body, standing(x, y, 90)) for body, x, y in waiting]
    return Scene(stage=stage, shader=shader, movers=movers, period_s=period)


def _avenue_ground(half: float) -> Shader:
    def shader(ground: Ground) -> None:
        x, y = ground.x, ground.y
        ground.grass(True)
        ground.pavement(np.abs(x) < half + 8)
        green = (np.abs(x) > half + 1.5) & (np.abs(x) < half + 3.5) & (np.mod(y, 9) < 7.4)
        ground.grass(green, (92, 120, 70))
        ground.lay(np.abs(np.abs(x) - half - 0.16) < 0.17, KERB)
        ground.asphalt(np.abs(x) < half)
        bed = np.abs(x) < 1.0
        ground.lay(bed, KERB)
        ground.grass(np.abs(x) < 0.78, (86, 118, 66))
        ground.lay(np.abs(np.abs(x) - 1.3) < 0.08, YELLOW)
        for at in (4.7, 8.2):
            ground.lay((np.abs(np.abs(x) - at) < 0.075) & (np.mod(y, 7.0) < 3.0), WHITE)
        ground.lay(np.abs(np.abs(x) - half + 0.35) < 0.075, WHITE)

    return shader


def _avenue_traffic(period: float, *, lamps: float = 0.0) -> list[Mover]:
    movers: list[Mover] = []
    for lane_x, count, shift, first in ((-3.0, 3, 0.12, 0), (-6.5, 3, 0.41, 4), (-9.9, 2, 0.2, 7)):
        for i in range(count):
            track = lane((lane_x, 128), (lane_x, -10), period_s=period, phase=shift + i / count)
            movers.append(Vehicle(car(first + i * 3), track, lamps))
    for lane_x, count, shift, first in ((3.0, 3, 0.3, 2), (6.5, 3, 0.02, 5), (9.9, 1, 0.6, 9)):
        for i in range(count):
            body = BUS if lane_x > 9 else TAXI if i == 2 else car(first + i * 2)
            track = lane((lane_x, -10), (lane_x, 128), period_s=period, phase=shift + i / count)
            movers.append(Vehicle(body, track, lamps))
    return movers


def avenue() -> Scene:
    """A tree-lined avenue in the morning."""
    period = 8.0
    view = View((4.6, -6.0, 7.6), yaw_deg=-6, pitch_deg=13.5, fov_deg=60)
    air = Air(sun=(0.62, -0.2, 0.62), sky_top=(116, 166, 214), sky_low=(238, 232, 218), haze=(226, 222, 212), far=460)
    stage = Stage(view, air, seed=11)
    blocks: Sequence[Tower] = (
        (-44, 16, 22, 26, 20, (196, 150, 118)), (-52, 50, 28, 24, 46, (206, 198, 184)),
        (-46, 84, 22, 26, 30, (178, 190, 198)), (-50, 122, 26, 30, 60, (196, 204, 210)),
        (-46, 170, 24, 26, 40, (208, 190, 166)), (-52, 220, 30, 30, 70, (196, 200, 204)),
        (24, 20, 24, 22, 17, (214, 204, 186)), (26, 48, 22, 26, 38, (188, 128, 98)),
        (24, 84, 26, 24, 26, (208, 206, 198)), (26, 116, 24, 30, 52, (184, 196, 206)),
        (25, 166, 22, 26, 34, (204, 184, 160)), (26, 214, 30, 30, 62, (192, 200, 208)),
    )  # fmt: skip
    for x, y, w, d, h, colour in blocks:
        tower(stage, x, y, w, d, h, colour)
    for i in range(16):
        stage.tree(-14.4, 12 + i * 11.5, 7.6 + (i % 3) * 0.7, (84, 118, 60))
        stage.tree(14.4, 17 + i * 11.5, 7.4 + (i % 4) * 0.5, (84, 118, 60))
    for i in range(7):
        lamp(stage, -12.4, 26 + i * 27, 2.4)
        lamp(stage, 12.4, 26 + i * 27, -2.4)
    return Scene(stage=stage, shader=_avenue_ground(11.7), movers=_avenue_traffic(period), period_s=period)


def night() -> Scene:
    """The avenue late in the evening."""
    period = 8.0
    view = View((-3.4, -6.0, 7.4), yaw_deg=6, pitch_deg=13.5, fov_deg=60)
    air = Air(
        sky_top=(10, 14, 30), sky_low=(38, 40, 60), haze=(34, 37, 54), sun=(0.1, -0.3, 0.9), ambient=0.2,
        direct=0.08, ground=0.42, near=20, far=330, shadow=0.0, clouds=0.0,
    )  # fmt: skip
    stage = Stage(view, air, seed=23)
    rng = np.random.default_rng(5)
    warm: Sequence[Colour] = ((255, 214, 140), (246, 230, 190), (190, 214, 240), (255, 196, 120))
    blocks: Sequence[Tower] = (
        (-46, 20, 22, 28, 26, (150, 140, 130)), (-50, 56, 26, 26, 52, (140, 146, 156)),
        (-46, 92, 22, 30, 34, (150, 140, 130)), (-52, 134, 26, 30, 64, (140, 150, 160)),
        (-46, 180, 26, 26, 44, (150, 146, 140)), (24, 18, 24, 26, 30, (150, 140, 132)),
        (26, 52, 24, 28, 48, (140, 146, 156)), (24, 90, 26, 26, 28, (160, 140, 124)),
        (26, 126, 24, 30, 58, (140, 150, 160)), (25, 176, 26, 26, 40, (150, 144, 140)),
    )  # fmt: skip
    for number, (x, y, w, d, h, colour) in enumerate(blocks):
        stage.box(x, y, 0, w, d, h, colour)

        def glowing(row: int, column: int, number: int = number) -> Colour | None:
            return warm[(row * 5 + column * 3 + number) % 4] if rng.random() < 0.34 else None

        stage.windows(x, y, w, d, h, (64, 74, 92), from_m=4.2, glowing=glowing)
        depth = stage.view.local((x + w / 2, y + d / 2, h / 2))[2] - 0.02
        side = x if x > 0 else x + w
        sign = [(side, y + 1, 1.0), (side, y + d - 1, 1.0), (side, y + d - 1, 3.3), (side, y + 1, 3.3)]
        stage.plain(sign, ((252, 226, 170), (250, 160, 110), (150, 214, 236))[number % 3], depth=depth)
        stage.glow((side, y + d / 2, 2.2), 9, (70, 58, 40), 0.6)
    for i in range(14):
        stage.tree(-14.4, 15 + i * 13, 7.4 + (i % 3) * 0.6, (70, 92, 58))
        stage.tree(14.4, 21 + i * 13, 7.2 + (i % 4) * 0.5, (70, 92, 58))
    for i in range(8):
        for x, arm in ((-12.4, 2.6), (12.4, -2.6)):
            y = 18 + i * 25
            lamp(stage, x, y, arm)
            near = 1 / (1 + i * 0.55)
            stage.glow((x + arm, y, 9.0), 0.75, (255, 226, 170), 1.0)
            stage.glow((x + arm, y, 9.0), 3.0, (120, 92, 50), 0.55 * near)
            stage.glow((x + arm, y, 0.2), 8.5, (104, 82, 48), 0.75 * near, True)
    return Scene(stage=stage, shader=_avenue_ground(11.7), movers=_avenue_traffic(period, lamps=1.0), period_s=period)
