"""A camera that turns: a window that moves over a wide picture, encoded whole while someone looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import copysign

import av
from PIL import Image

from anwang.democity.pictures.clips import Format, encoder, pixels, rgb_frame, to_planes
from anwang.democity.pictures.live import Picture, Spliced, one_unit, whole_frame
from anwang.democity.pictures.osd import Bytes
from anwang.democity.pictures.paint import Spot3, View
from anwang.democity.pictures.scenes import Scene
from anwang.wire.units import Codec


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """Where the camera looks. pan, tilt: -1..1 across the wide picture, right and up; zoom: 1 is widest, at most 4."""

    pan: float = 0.0
    tilt: float = 0.0
    zoom: float = 1.0

    def moved(self, pan: float, tilt: float, zoom: float, seconds: float) -> Pose:
        """After a while at these speeds (-1..1 each). The further it is zoomed in, the slower it turns."""
        return Pose(
            pan=min(1.0, max(-1.0, self.pan + pan * 0.8 * seconds / self.zoom)),
            tilt=min(1.0, max(-1.0, self.tilt + tilt * 0.8 * seconds / self.zoom)),
            zoom=min(4.0, max(1.0, self.zoom * 2.2 ** (zoom * seconds))),
        )


HOME = Pose()
#: drawing far traffic costs thrice what encoding it does
RESTS = 2
_WIDEST = 0.7  # share of the wide picture's width that is seen at zoom 1


@dataclass(slots=True)
class Track:
    """A cruise (巡航轨迹): its stops in order, each a preset; seconds at each; speed, up to 15, on the way."""

    name: str
    stops: list[int]
    stay_s: int = 5
    speed: int = 8


@dataclass(slots=True)
class HomePreset:
    """看守位: the preset that the head returns to after so many idle seconds."""

    preset: int
    reset_s: int = 30
    is_on: bool = True


class Head:
    """A camera's motor: speeds that a command sets, presets, cruises, and the pose that follows. Times in microseconds.

    It moves while somebody looks: nobody sees the difference.
    """

    def __init__(self) -> None:
        self.tracks: dict[int, Track] = {1: Track("门前巡视", [1, 2, 3])}
        self.home: HomePreset | None = None
        self._cruising: Track | None = None
        self._stop = 0
        self._idle_s = 0.0
        self.pose = HOME
        self.presets: dict[int, Pose] = {1: HOME, 2: Pose(pan=-0.8, zoom=1.8), 3: Pose(pan=0.8, tilt=-0.3, zoom=2.2)}
        self._speed = (0.0, 0.0, 0.0)
        self._target: Pose | None = None
        self._at: int | None = None

    def drive(self, pan: float, tilt: float, zoom: float) -> None:
        """Turn at these speeds (-1..1) until told otherwise; zeros stop."""
        self._speed, self._target = (pan, tilt, zoom), None
        self._cruising, self._idle_s = None, 0.0

    def cruise(self, number: int) -> bool:
        """Begin a round of presets; any other command ends it. False where there is no such track."""
        track = self.tracks.get(number)
        if track is None or not any(stop in self.presets for stop in track.stops):
            return False
        self.drive(0, 0, 0)
        self._cruising, self._stop = track, -1
        self._idle_s = float(track.stay_s)
        return True

    def call(self, preset: int) -> bool:
        """Go to a preset; False where there is none."""
        self.drive(0, 0, 0)
        self._target = self.presets.get(preset)
        return self._target is not None

    def aim(self, *, pan_deg: float | None, zoom: float | None) -> None:
        """Go to an angle, 0..360 clockwise from the left edge of the wide picture, and a zoom."""
        pan = self.pose.pan if pan_deg is None else pan_deg / 180 - 1
        wanted = Pose(
            pan=min(1.0, max(-1.0, pan)), tilt=self.pose.tilt, zoom=min(4.0, max(1.0, zoom or self.pose.zoom))
        )
        self.drive(0, 0, 0)
        self._target = wanted

    def store(self, preset: int) -> None:
        """Keep the present pose as a preset."""
        self.presets[preset] = self.pose

    def at(self, micros: int) -> Pose:
        """The pose at this time; times must not run backwards."""
        seconds = 0.0 if self._at is None else min(1.0, max(0.0, (micros - self._at) / 1e6))
        self._at = micros
        if self._target is not None:
            self.pose = _towards(self.pose, self._target, seconds)
            if self.pose == self._target:
                self._target = None
        elif any(self._speed):
            self.pose = self.pose.moved(*self._speed, seconds)
        else:
            self._idle_s += seconds
            self._wander()
        return self.pose

    def _wander(self) -> None:
        """Where to, when nobody says: the cruise's next stop, or home."""
        if self._cruising is not None:
            if self._idle_s >= self._cruising.stay_s:
                stops = [stop for stop in self._cruising.stops if stop in self.presets]
                self._stop = (self._stop + 1) % len(stops) if stops else 0
                self._target = self.presets[stops[self._stop]] if stops else None
                self._idle_s = 0.0
        elif self.home is not None and self.home.is_on and self._idle_s >= self.home.reset_s:
            self._target = self.presets.get(self.home.preset)
            self._idle_s = 0.0


def _towards(pose: Pose, target: Pose, seconds: float) -> Pose:
    def step(value: float, goal: float, reach: float) -> float:
        return goal if abs(goal - value) <= reach else value + copysign(reach, goal - value)

    return Pose(
        pan=step(pose.pan, target.pan, 1.2 * seconds),
        tilt=step(pose.tilt, target.tilt, 1.2 * seconds),
        zoom=step(pose.zoom, target.zoom, 2.0 * seconds),
    )


@dataclass(frozen=True, slots=True)
class _Window(View):
    """The part of a wide view that is seen; left, top: in pixels of the wide picture; scale: pixels shown per pixel."""

    left: float = 0.0
    top: float = 0.0
    scale: float = 1.0

    @property
    def focal(self) -> float:
        """See View."""
        return self.wide_focal * self.scale

    def flat(self, local: Spot3) -> tuple[float, float]:
        """See View."""
        reach = self.focal / max(local[2], 0.05)
        x, y = (self.width / 2 - self.left) * self.scale, (self.height / 2 - self.top) * self.scale
        return x + local[0] * reach, y - local[1] * reach


class Turning:
    """The stream of a camera that turns."""

    codec = Codec.H264

    def __init__(
        self,
        scene: Scene,
        still: Image.Image,
        form: Format,
        name: str,
        head: Head,
        *,
        at_rest: Callable[[], Spliced | None] = lambda: None,
    ) -> None:
        """at_rest: asked for a source that shows the scene for a head that was not turned, cheaper than encoding it."""
        self._scene, self._still, self._form, self._name, self._head = scene, still, form, name, head
        self._at_rest = at_rest
        self._resting: Spliced | None = None
        self._encoder: av.VideoCodecContext | None = None
        self._count = 0
        self._seen: tuple[Pose, Image.Image, View] | None = None
        self._drawn: tuple[Pose, Bytes] | None = None

    def restart(self) -> None:
        """See Source."""
        self._encoder = None
        if self._resting:
            self._resting.restart()

    def next(self, micros: int) -> Picture:
        """See Source. Where it changes between encoding and the loop at rest, a key frame comes."""
        form, pose = self._form, self._head.at(micros)
        if pose != HOME:
            self._resting = None
        elif self._resting is None and (self._encoder is None or self._count % form.group == 0):
            self._resting = self._at_rest()
        if self._resting:
            self._encoder = None
            return self._resting.next(micros)
        if self._encoder is None:
            self._encoder = encoder(form.width, form.height, form.step, crf=form.crf + 2, preset="ultrafast")
            self._count = 0
        planes = self._picture(pose, micros).copy()
        whole_frame(planes, form, micros, self._name)
        picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        picture.pts = self._count
        self._count += 1
        own = one_unit(self._encoder, picture)
        return Picture(own.head + own.first + own.rest, own.is_key, form.duration_90k)

    def _picture(self, pose: Pose, micros: int) -> Bytes:
        """What is seen, without time and name. While the head rests, things move in every second frame only."""
        if self._drawn and self._drawn[0] == pose and self._count % RESTS:
            return self._drawn[1]
        base, view = self._base(pose)
        frame = base.copy()
        self._scene.draw(frame, self._scene.movers, view, micros / 1e6 % self._scene.period_s)
        planes = pixels(to_planes(rgb_frame(frame), self._form.width, self._form.height))
        self._drawn = pose, planes
        return planes

    def _base(self, pose: Pose) -> tuple[Image.Image, View]:
        if self._seen and self._seen[0] == pose:
            return self._seen[1], self._seen[2]
        base, view = window(self._scene, self._still, self._form, pose)
        self._seen = (replace(pose), base, view)
        return base, view


def window(scene: Scene, still: Image.Image, form: Format, pose: Pose) -> tuple[Image.Image, View]:
    """The part of a wide picture that is seen from a pose, and the view to draw things into it."""
    wide = scene.view
    width = wide.width * _WIDEST / pose.zoom
    height = width * form.height / form.width
    left = (wide.width - width) * (pose.pan + 1) / 2
    top = (wide.height - height) * (1 - pose.tilt) / 2
    base = still.resize(
        (form.width, form.height), Image.Resampling.BILINEAR, box=(left, top, left + width, top + height)
    )
    plain = {name: getattr(wide, name) for name in ("at", "yaw_deg", "pitch_deg", "fov_deg", "width", "height")}
    return base, _Window(**plain, left=left, top=top, scale=form.width / width)
