"""What a scene is, and what several have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from anwang.democity.pictures.moving import Mover
from anwang.democity.pictures.paint import Colour, Shader, Stage, View, mix

# the clock's strip and, in both streams, one whole row of macroblocks below it, in which nothing may be predicted from
# the strip: it is not the same in the loop and in what is sent
STILL_ROWS = 96
Tower = tuple[float, float, float, float, float, Colour]  # x, y, width, depth, height, colour
GLASS: Colour = (96, 118, 136)
WHITE, YELLOW, KERB = (214, 214, 208), (214, 172, 66), (206, 204, 198)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A loop: what stands, what moves, its length. The first STILL_ROWS rows stay still, for a clock to lie there."""

    stage: Stage
    shader: Shader
    movers: Sequence[Mover]
    period_s: float
    parked: Sequence[Mover] = ()

    @property
    def view(self) -> View:
        """The camera."""
        return self.stage.view

    def paint(self, *, factor: int = 2) -> Image.Image:
        """The still picture, drawn `factor` times as large and reduced."""
        still = self.stage.finish(self.shader, factor=factor)
        self.draw(still, self.parked, self.view, 0.0)
        return still

    def draw(self, frame: Image.Image, movers: Sequence[Mover], view: View, t: float) -> None:
        """Draw things into a frame, far ones first."""
        for mover in sorted(movers, key=lambda m: -m.depth(view, t)):
            mover.draw(frame, view, self.stage.air, t)

    def frame(self, still: Image.Image, t: float) -> Image.Image:
        """The picture at `t` seconds."""
        frame = still.copy()
        self.draw(frame, self.movers, self.view, t)
        frame.paste(still.crop((0, 0, frame.width, STILL_ROWS)), (0, 0))
        return frame


def tower(
    stage: Stage, x: float, y: float, w: float, d: float, h: float, colour: Colour, glass: Colour = GLASS
) -> None:
    """A building with windows and a shop front."""
    stage.box(x, y, 0, w, d, h, colour)
    stage.windows(x, y, w, d, h, glass, from_m=4.2)
    depth = stage.view.local((x + w / 2, y + d / 2, h / 2))[2] - 0.02
    shop = [(x, y - 0.05, 0.3), (x + w, y - 0.05, 0.3), (x + w, y - 0.05, 3.4), (x, y - 0.05, 3.4)]
    stage.face(shop, mix((70, 84, 92), colour, 0.2), (0, -1, 0), depth=depth)


def lamp(stage: Stage, x: float, y: float, arm_m: float, *, high_m: float = 9.0) -> None:
    """A street lamp whose arm reaches `arm_m` to the right."""
    stage.line([(x, y, 0), (x, y, high_m - 0.4), (x + arm_m, y, high_m)], (122, 128, 132), 0.15)
