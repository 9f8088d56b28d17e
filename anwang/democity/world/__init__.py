"""What stands where in 安澜市: divisions, roads, organisations, points and the devices behind them.

Everything is synthetic and made from a seed; the same seed makes the same bytes. The city lies where nobody lives, in
the dunes of the Kumtag desert, so that no drawn street can be taken for a real one.
"""

from anwang.democity.world.files import write
from anwang.democity.world.generate import generate
from anwang.democity.world.model import Beat, City, Device, Division, Organisation, Place, Point, Road
from anwang.democity.world.patrols import Fix, Round

__all__ = [
    "Beat", "City", "Device", "Division", "Fix", "Organisation", "Place", "Point", "Road", "Round", "generate", "write",
]  # fmt: skip
