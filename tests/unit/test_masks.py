"""Privacy masks: what is a polygon, what loosens, what applies where a head points, and that every pixel is covered."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
from av.video.frame import VideoFrame
from hypothesis import given
from hypothesis import strategies as st

from anwang.access import Ptz, PtzOrder
from anwang.governance import Actor, LookId, Purpose, PurposeKind, Role
from anwang.governance.reasons import PurposeId
from anwang.kernel.errors import Exhausted, Invalid
from anwang.kernel.ids import OrgId, PointId, SessionId, UserId
from anwang.media.masks.aim import Aims
from anwang.media.masks.drawing import GREY, LETTER, NEUTRAL, Painter, label, stencil
from anwang.media.masks.model import (
    MOST_MASKS,
    UNITS,
    Drawn,
    Mask,
    MaskId,
    Polygon,
    check_drawn,
    cover_of,
    is_simple,
    loosens,
    parse_polygon,
    shares,
    version_of,
)
from anwang.media.masks.paint import Mark, Paint
from anwang.media.sight import mark_of

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SQUARE: Polygon = ((2500, 2500), (7500, 2500), (7500, 7500), (2500, 7500))
POINT = PointId("p")

corner = st.tuples(st.floats(0, 1), st.floats(0, 1))


def mask(id: str = "m", *, preset: int | None = None, polygon: Polygon = SQUARE, name: str = "window") -> Mask:
    return Mask(
        id=MaskId(id), point=POINT, preset=preset, name=name, why="", polygon=polygon,
        created_at=NOW, created_by="li", changed_at=NOW, changed_by="li",
    )  # fmt: skip


def drawn(one: Mask) -> Drawn:
    return Drawn(id=one.id, preset=one.preset, name=one.name, why=one.why, polygon=one.polygon)


# --- polygons


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ([], "3 to 64 corners"),
        ([[0, 0], [1, 1]], "3 to 64 corners"),
        ([[i / 65, (i % 2) / 2] for i in range(65)], "3 to 64 corners"),
        ([[0, 0], [1, 0], [1.01, 1]], "outside of the picture"),
        ([[0, 0], [1, 0], [float("nan"), 1]], "outside of the picture"),
        ([[0, 0], [1, 0], [1]], "outside of the picture"),
        ([[0, 0], [0.5, 0.5], [1, 1]], "next to nothing"),
        ([[0, 0], [1, 1], [1, 0], [0, 0.5]], "cross or touch"),
        ([[0, 0], [1, 0], [1, 1], [0.5, 0], [0, 1]], "cross or touch"),
        ([[0, 0], [1, 0], [0.5, 0], [0.5, 1]], "cross or touch"),
        ([[0, 0], [0, 0], [1, 0], [1, 1]], "cross or touch"),
    ],
)
def test_what_is_no_mask_is_refused_with_the_reason(points: list[list[float]], reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        parse_polygon(points)


def test_a_mask_may_be_the_whole_picture_and_have_corners_on_a_line() -> None:
    whole = parse_polygon([[0, 0], [0.5, 0], [1, 0], [1, 1], [0, 1]])
    assert whole == ((0, 0), (5000, 0), (UNITS, 0), (UNITS, UNITS), (0, UNITS))
    assert shares(whole) == [[0, 0], [0.5, 0], [1, 0], [1, 1], [0, 1]]


@given(st.lists(corner, max_size=70))
def test_whatever_is_drawn_is_a_simple_polygon_or_invalid(points: list[tuple[float, float]]) -> None:
    try:
        polygon = parse_polygon(points)
    except Invalid:
        return
    assert is_simple(polygon) and is_simple(polygon[::-1])
    assert parse_polygon(shares(polygon)) == polygon
    turned = polygon[1:] + polygon[:1]
    assert is_simple(turned), "where it begins does not matter"


@given(
    st.lists(st.floats(0, 6.28), min_size=3, max_size=40, unique_by=lambda angle: round(angle, 1)),
    st.data(),
)
def test_a_star_around_its_middle_is_simple_and_crossing_two_corners_is_seen(
    angles: list[float], data: st.DataObject
) -> None:
    """A polygon whose corners go once around a point cannot cross itself, unless it leaves half of the round out."""
    angles = sorted(angles)
    turns = [b - a for a, b in pairwise([*angles, angles[0] + 6.2832])]
    if max(turns) > 3.0:
        return
    radii = [data.draw(st.floats(0.2, 0.45)) for _ in angles]
    points = [[0.5 + r * np.cos(a), 0.5 + r * np.sin(a)] for a, r in zip(angles, radii, strict=True)]
    assert len(parse_polygon(points)) == len(points)


def test_numbers_are_bounded() -> None:
    many = [replace(drawn(mask()), id="") for _ in range(MOST_MASKS + 1)]
    with pytest.raises(Exhausted):
        check_drawn(many)
    check_drawn(many[1:])
    with pytest.raises(Invalid, match="twice"):
        check_drawn([drawn(mask()), drawn(mask())])
    for preset in (0, 256):
        with pytest.raises(Invalid, match="no preset"):
            check_drawn([replace(drawn(mask()), preset=preset)])


# --- rules


def test_only_adding_and_renaming_loosens_nothing() -> None:
    one, other = mask("a"), mask("b", preset=3)
    now = [drawn(one), drawn(other)]
    assert not loosens([one, other], now)
    assert not loosens([one, other], [*now, replace(drawn(one), id="")])
    assert not loosens([one, other], [replace(now[0], name="door", why="a flat"), now[1]])
    assert loosens([one, other], now[:1])
    assert loosens([one, other], [now[0], replace(now[1], preset=4)])
    assert loosens([one, other], [replace(now[0], polygon=SQUARE[:3]), now[1]])
    assert loosens([one], [replace(drawn(one), id="")]), "a mask drawn anew under another id is another mask"


def test_every_change_gives_another_version() -> None:
    one = mask()
    versions = {
        version_of(masks)
        for masks in ([], [one], [one, one], [replace(one, name="x")], [replace(one, preset=1)], [mask("n")])
    }
    assert len(versions) == 6


def test_where_the_view_is_not_known_all_masks_apply() -> None:
    always, third, fourth = (
        mask("a", polygon=SQUARE[:3]),
        mask("b", preset=3),
        mask("c", preset=4, polygon=SQUARE[1:]),
    )
    masks = [always, third, fourth]
    assert cover_of(masks, None).polygons == (always.polygon, third.polygon, fourth.polygon)
    assert cover_of(masks, 3).polygons == (always.polygon, third.polygon)
    assert cover_of(masks, 7).polygons == (always.polygon,)
    assert not cover_of([third], 4) and cover_of([third], None)


async def test_a_head_is_known_only_at_a_preset_that_it_was_sent_to() -> None:
    told: list[int | None] = []
    aims = Aims(lambda point: told.append(aims.preset(point)), settle_seconds=0.01)

    async def order(act: Ptz, preset: int = 0) -> int | None:
        aims.ordered(POINT, PtzOrder(act=act, preset=preset))
        at_once = aims.preset(POINT)
        await asyncio.sleep(0.03)
        return at_once

    assert aims.preset(POINT) is None
    assert await order(Ptz.PRESET_GO, 3) is None, "on the way it shows what lies between"
    assert aims.preset(POINT) == 3
    assert await order(Ptz.FOCUS_NEAR) == 3 and await order(Ptz.SWITCH_ON) == 3
    for act in (Ptz.MOVE, Ptz.CRUISE_START, Ptz.PRESET_SET):
        await order(Ptz.PRESET_GO, 3)
        assert aims.preset(POINT) == 3
        assert await order(act) is None
        assert aims.preset(POINT) is None
    await order(Ptz.HOME_ON)
    await order(Ptz.PRESET_GO, 3)
    assert aims.preset(POINT) is None, "it may go home by itself at any time"
    await order(Ptz.HOME_OFF)
    await order(Ptz.PRESET_GO, 3)
    assert aims.preset(POINT) == 3
    aims.ordered(POINT, PtzOrder(act=Ptz.PRESET_GO, preset=5))
    aims.ordered(POINT, PtzOrder(act=Ptz.MOVE))
    await asyncio.sleep(0.03)
    assert aims.preset(POINT) is None, "it was turned away before it arrived"
    assert told[:2] == [3, None]
    aims.close()


# --- drawing


@given(
    st.lists(st.tuples(st.integers(0, UNITS), st.integers(0, UNITS)), min_size=3, max_size=8, unique=True),
    st.sampled_from([(320, 180), (64, 48), (1280, 720)]),
)
def test_every_pixel_inside_is_covered(points: list[tuple[int, int]], size: tuple[int, int]) -> None:
    polygon = tuple(points)
    if not is_simple(polygon):
        return
    width, height = size
    covered = stencil((polygon,), width, height)
    dice = np.random.default_rng(1)
    for _ in range(60):  # points inside a triangle of the polygon's fan that lie inside the polygon
        x, y = dice.random(2) * UNITS
        if _is_inside(polygon, x, y):
            assert covered[min(int(y * height / UNITS), height - 1), min(int(x * width / UNITS), width - 1)]
    for x, y in polygon:
        assert covered[min(y * height // UNITS, height - 1), min(x * width // UNITS, width - 1)], "corners, too"


def _is_inside(polygon: Polygon, x: float, y: float) -> bool:
    inside = False
    for (ax, ay), (bx, by) in pairwise([*polygon, polygon[0]]):
        if (ay > y) != (by > y) and x < (bx - ax) * (y - ay) / (by - ay) + ax:
            inside = not inside
    return inside


def noise(width: int, height: int) -> VideoFrame:
    data = np.random.default_rng(3).integers(80, 250, (height * 3 // 2, width), np.uint8)
    return VideoFrame.from_ndarray(data, format="yuv420p")


def test_a_painted_picture_is_flat_inside_and_itself_outside() -> None:
    before = noise(322, 182).to_ndarray()
    frame = noise(322, 182)
    Painter(Paint((SQUARE,)), 322, 182).planes(frame, 0)
    after = frame.to_ndarray()
    covered = stencil((SQUARE,), 322, 182)
    luma = after[:182]
    assert (luma[covered] == GREY).all()
    assert (luma[~covered] == before[:182][~covered]).all()
    colour = after[182:].reshape(2, 91, 161)
    half = covered.reshape(91, 2, 161, 2).any(axis=(1, 3))
    assert (colour[:, half] == NEUTRAL).all()
    assert (colour[:, ~half] == before[182:].reshape(2, 91, 161)[:, ~half]).all()


def test_a_picture_that_somebody_else_holds_is_not_painted() -> None:
    """The decoder predicts the next pictures from the ones that it gave out."""
    frame = noise(64, 48)
    held = frame.reformat(format="yuv420p")
    before = held.to_ndarray().copy()
    copy = VideoFrame.from_ndarray(before, format="yuv420p")
    Painter(Paint((SQUARE,)), 64, 48).planes(copy, 0)
    assert (held.to_ndarray() == before).all() and not (copy.to_ndarray() == before).all()


def test_g08_the_mark_tells_the_case_in_a_line_of_its_own() -> None:
    plain = Mark(text="李 li · 北区分局", id="0123abcd", zero_us=0)
    with_case = Mark(text=plain.text + "\nA990101 · 北区分局", id=plain.id, zero_us=0)
    for width in (160, 640):
        two, three = (label(one, 1_795_305_480_000_000, width) for one in (plain, with_case))
        assert three.shape[0] > two.shape[0] and three.shape[1] <= width
        assert three[-three.shape[0] // 3 :].max() > LETTER - 40, "there are letters in the last line"


def test_g08_a_look_with_a_purpose_carries_its_case() -> None:
    someone = Actor(
        user_id=UserId("u"), username="li", display_name="李", role=Role.OPERATOR, org_id=OrgId("o"), org_name="北区",
        org_path="/", session_id=SessionId("s"), service=False, grants=(),
    )  # fmt: skip
    now = datetime(2026, 11, 30, tzinfo=UTC)
    purpose = Purpose(
        id=PurposeId("p"), user_id=UserId("u"), kind=PurposeKind.CRIMINAL_CASE, case_no="A9901", unit="北区分局",
        note="", opened_at=now, expires_at=now,
    )  # fmt: skip
    assert mark_of(someone, LookId("0123abcd" * 4)).text == "李 li · 北区"
    assert mark_of(replace(someone, purpose=purpose), LookId("0123abcd" * 4)).text == "李 li · 北区\nA9901 · 北区分局"


def test_the_mark_says_who_when_and_which_look_in_any_width() -> None:
    mark = Mark(text="李 li · 安澜市公安局北区分局指挥中心", id="0123abcd", zero_us=0)
    for width in (160, 320, 640, 1280, 1920):
        made = label(mark, 1_795_305_480_000_000, width)
        assert made.shape[1] <= width and made.shape[0] % 2 == 0 and made.shape[1] % 2 == 0
        assert made.max() > LETTER - 40, "there are letters"
    assert (label(mark, 1_795_305_480_000_000, 640) != label(mark, 1_795_305_481_000_000, 640)).any()
    frame = noise(640, 360)
    painter = Painter(Paint((), mark), 640, 360)
    painter.planes(frame, 5_000_000)
    drawn_on = frame.to_ndarray()[:360]
    made = label(mark, 5_000_000, 640)
    assert (drawn_on[360 - made.shape[0] :, : made.shape[1]] == made).all()
