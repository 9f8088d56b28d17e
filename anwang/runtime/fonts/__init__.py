"""The Chinese font that ships with the product, for text burnt into pictures: Noto Sans CJK SC, subset (see OFL.txt).

It covers ASCII and all of GB 2312. `scripts/font.py` makes it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from PIL import ImageFont

CHINESE = Path(__file__).with_name("NotoSansSC-Subset.otf")


@cache
def chinese(size_px: int) -> ImageFont.FreeTypeFont:
    """The face at a size, in pixels of its em square."""
    return ImageFont.truetype(CHINESE, size_px)
