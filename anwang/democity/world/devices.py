"""Which device stands behind which point: single camera, NVR, lower platform, RTSP camera, or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random

from anwang.democity.world.model import Device, Point

PLATFORM = "99010400002000000001"
MAKERS = {
    1: "海康威视",
    2: "大华",
    3: "天地伟业",
    9: "宇视",
    15: "华为",
    99: "其他",
}
TURNING_SCENES = {"panorama", "plant", "river"}
# looped H.265 clips exist for these scenes (an H.265 encoder costs too much to run live)
HEVC_SCENES = {"crossing", "avenue", "gate"}
FIRST = "滨河路与建安街口 南枪"
SHOWCASE = (
    "crossing",
    "tanks",
    "night",
    "site",
    "panorama",
    "village",
    "river",
    "parking",
    "gate",
    "avenue",
    "petrol",
    "plant",
    "crossing",
    "tanks",
    "night",
    "avenue",
)


def assign(
    rng: Random, points: Sequence[Point], sites: Mapping[str, Sequence[str]]
) -> tuple[list[Point], list[Device]]:
    """The points with gateway, device and channel filled in, and the devices."""
    by_code = {point.code: point for point in points}
    done: dict[str, Point] = {}
    devices: list[Device] = []
    platform: list[str] = []
    hubs: dict[tuple[str, str], list[list[str]]] = {}
    singles: list[str] = []
    shops: list[str] = []
    for site, codes in sites.items():
        wired = [code for code in codes if by_code[code].has_video or by_code[code].kind == "alarm_point"]
        if not wired:
            continue
        first = by_code[wired[0]]
        if site.startswith("店:"):
            shops += wired
        elif first.point_class > 1 and (
            first.division == "990104" or (first.division == "990103" and len(platform) < 300)
        ):
            platform += wired
        elif site.startswith("单位:") and len(wired) >= 4 and first.division != "990121":
            groups = hubs.setdefault((first.division, first.industry), [])
            if not groups or len(groups[-1]) + len(wired) > 16:
                groups.append([])
            groups[-1] += wired
        else:
            singles += wired
    for (division, industry), groups in hubs.items():
        for group in groups:
            devices.append(_recorder(rng, division, industry, len(devices) + 1, group, by_code, done))
    devices.append(_platform(platform, by_code, done))
    devices += _rtsp(shops[:12], by_code, done)
    unconnected = set(shops[12:])
    for code in unconnected:
        done[code] = replace(by_code[code], network="未联网")
    for number, code in enumerate(singles):
        devices.append(_single(rng, number, by_code[code], done))
    return [done.get(point.code, point) for point in points], devices


def showcase(points: Sequence[Point]) -> list[str]:
    """Codes of the points to open first: H.264, networked, in use, one scene after the other."""
    found = [point.code for point in points if point.name == FIRST]
    for scene in SHOWCASE[len(found) :]:
        fitting = (
            point.code
            for point in points
            if point.scene == scene
            and point.codec == "h264"
            and point.gateway == "gb28181"
            and point.lifecycle == 1
            and point.code not in found
        )
        code = next(fitting, None)
        if code:
            found.append(code)
    return found


def _codec(number: int, point: Point) -> str:
    return "h265" if number % 6 == 4 and point.scene in HEVC_SCENES else "h264"


def _recorder(
    rng: Random,
    division: str,
    industry: str,
    number: int,
    group: Sequence[str],
    by_code: Mapping[str, Point],
    done: dict[str, Point],
) -> Device:
    code = f"{division}00{industry}1182{number:06}"
    for order, channel in enumerate(group):
        point = by_code[channel]
        done[channel] = replace(
            point, gateway="gb28181", device=code, channel=channel, codec=_codec(order + number, point)
        )
    maker = rng.choice((1, 2, 9))
    newer = rng.random() < 0.4
    return Device(
        code=code,
        name=f"{by_code[group[0]].manager} NVR",
        kind="nvr",
        maker=MAKERS[maker],
        model=f"ALS-N{16}{number:02}",
        firmware=f"V4.{rng.randrange(10, 70)}.{rng.randrange(100)}",
        division=division,
        channels=tuple(group),
        version="3.0" if newer else "2.0",
        transport="TCP" if rng.random() < 0.3 else "UDP",
        charset="GB18030" if newer else "GB2312",
    )


def _platform(channels: Sequence[str], by_code: Mapping[str, Point], done: dict[str, Point]) -> Device:
    for order, channel in enumerate(channels):
        point = by_code[channel]
        done[channel] = replace(point, gateway="gb28181", device=PLATFORM, channel=channel, codec=_codec(order, point))
    return Device(
        code=PLATFORM,
        name="经开区视频共享平台",
        kind="platform",
        maker="安澜市（模拟）",
        model="ALS-P",
        firmware="V2.8.1",
        division="990104",
        channels=tuple(channels),
        version="2.0",
        transport="TCP",
    )


def _rtsp(shops: Sequence[str], by_code: Mapping[str, Point], done: dict[str, Point]) -> list[Device]:
    found = []
    for order, code in enumerate(shops):
        codec = "h265" if order in (5, 9) else "h264"
        point = by_code[code]
        scene = "crossing" if codec == "h265" and point.scene not in HEVC_SCENES else point.scene
        done[code] = replace(point, gateway="rtsp", device=code, channel=code, codec=codec, scene=scene)
        found.append(
            Device(
                code=code,
                name=point.name,
                kind="rtsp",
                maker=MAKERS[point.maker],
                model=point.model,
                firmware="V1.2.0",
                division=point.division,
                channels=(code,),
                version="",
                transport="TCP",
                path=f"/cam/{order + 1:02}",
                audio="aac" if order % 2 == 0 else "",
            )
        )
    return found


def _single(rng: Random, number: int, point: Point, done: dict[str, Point]) -> Device:
    # three of four cameras are their own only channel; the others number device and channel apart
    apart = number % 4 == 3
    code = f"{point.code[:14]}{int(point.code[14:]) + 500_000}" if apart else point.code
    newer = rng.random() < 0.45
    done[point.code] = replace(point, gateway="gb28181", device=code, channel=point.code, codec=_codec(number, point))
    audio = "g711a" if number % 10 == 2 else "aac" if newer and number % 20 == 5 else ""
    return Device(
        code=code,
        name=point.name,
        kind="camera",
        maker=MAKERS[point.maker],
        model=point.model,
        firmware=f"V5.{rng.randrange(1, 8)}.{rng.randrange(0, 180)}",
        division=point.division,
        channels=(point.code,),
        version="3.0" if newer else "2.0",
        transport="TCP" if rng.random() < 0.2 else "UDP",
        charset="GB18030" if newer else "GB2312",
        audio=audio,
    )
