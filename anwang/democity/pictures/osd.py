"""What is burnt into a picture: the time and name as people read them, and a clock that machines read.

The clock is 26 by 2 cells at the top left over the time, each a 160th of the picture's width, light for 1. Read row by
row they are 44 bits of milliseconds since 1970 UTC, most significant first, then the CRC-8 (`POLYNOMIAL`) of those
bits as 6 bytes (4 zero bits in front). The cells begin at column `BAR_X`, row `BAR_Y` of a picture `FULL_WIDTH` wide.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from anwang.kernel.times import BEIJING, EPOCH
from anwang.runtime.fonts import chinese

Bytes = NDArray[np.uint8]
COLUMNS, ROWS = 26, 2
FULL_WIDTH = 1280
"""Of the picture that BAR_X and BAR_Y are measured in."""
BAR_X, BAR_Y = 16, 0
CELL_SHARE = 160
LIGHT, DARK = 222, 28
LIGHT_ABOVE = (LIGHT + DARK) // 2
CHECK_BITS, POLYNOMIAL = 8, 0x07
WEEKDAYS = "一二三四五六日"


def rows_of(width: int) -> int:
    """Height of the strip along the top that carries time, name and clock: four or two rows of macroblocks."""
    return 64 if width >= 1280 else 32


def time_text(micros: int) -> str:
    """The time as cameras burn it in: Beijing time with the weekday."""
    moment = datetime.fromtimestamp(micros / 1e6, BEIJING)
    return f"{moment:%Y-%m-%d} 星期{WEEKDAYS[moment.weekday()]} {moment:%H:%M:%S}"


def crc8(data: bytes) -> int:
    """CRC-8, start 0."""
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ POLYNOMIAL) & 0xFF if value & 0x80 else value << 1
    return value


def clock_cells(unix_ms: int) -> NDArray[np.bool_]:
    """The cells of a moment, ROWS by COLUMNS."""
    value = (unix_ms & (1 << 44) - 1) << 8 | crc8((unix_ms & (1 << 44) - 1).to_bytes(6, "big"))
    bits = np.array([value >> (51 - i) & 1 for i in range(52)], np.bool_)
    return bits.reshape(ROWS, COLUMNS)


def read_clock(luma: Bytes) -> int | None:
    """Milliseconds since 1970 from a picture's brightness (rows, columns), or None where no clock can be read."""
    height, width = luma.shape
    cell, scale = width / CELL_SHARE, width / FULL_WIDTH
    value = 0
    for row in range(ROWS):
        for column in range(COLUMNS):
            y = round(BAR_Y * scale + (row + 0.5) * cell)
            x = round(BAR_X * scale + (column + 0.5) * cell)
            if y >= height or x >= width:
                return None
            value = value << 1 | int(luma[y, x] > LIGHT_ABOVE)
    unix_ms = value >> CHECK_BITS
    return unix_ms if crc8(unix_ms.to_bytes(6, "big")) == value & 0xFF else None


def draw_clock(luma: Bytes, unix_ms: int, width: int) -> None:
    """Burn the clock into brightness rows that begin at the picture's top, in place."""
    cell, scale = width // CELL_SHARE, width / FULL_WIDTH
    x, y = round(BAR_X * scale), round(BAR_Y * scale)
    cells = np.where(clock_cells(unix_ms), np.uint8(LIGHT), np.uint8(DARK))
    luma[y : y + ROWS * cell, x : x + COLUMNS * cell] = cells.repeat(cell, 0).repeat(cell, 1)


@lru_cache(maxsize=512)
def _mask(text: str, size_px: int) -> tuple[Bytes, Bytes]:
    """Cover (0..255) and brightness of white letters with a dark rim."""
    font = chinese(size_px)
    rim = max(1, size_px // 13)
    left, _, right, _ = font.getbbox(text, stroke_width=rim)
    width, height = int(right - left) + 2 * rim + 2, round(size_px * 1.3)
    width, height = width + width % 2, height + height % 2
    cover = Image.new("L", (width, height), 0)
    ImageDraw.Draw(cover).text((rim - left, 0), text, fill=255, font=font, stroke_width=rim, stroke_fill=255)
    bright = Image.new("L", (width, height), 16)
    ImageDraw.Draw(bright).text((rim - left, 0), text, fill=235, font=font)
    return np.asarray(cover), np.asarray(bright)


def burn(planes: Bytes, height: int, text: str, *, x: int, y: int, size_px: int, right: bool = False) -> None:
    """Write text into planes of YUV 4:2:0 (`height` rows of brightness, then colours as PyAV has them), in place.

    x, y: upper left corner (upper right with `right`), made even. Text beyond the edge is cut.
    """
    cover, bright = _mask(text, size_px)
    width = planes.shape[1]
    if right:
        x = max(0, x - cover.shape[1])
    x, y = x & ~1, y & ~1
    w, h = min(cover.shape[1], width - x) & ~1, min(cover.shape[0], height - y) & ~1
    share = cover[:h, :w].astype(np.uint16)
    area = planes[y : y + h, x : x + w]
    area[:] = (area * (255 - share) + bright[:h, :w] * share) // 255
    soft = share.reshape(h // 2, 2, w // 2, 2).mean(axis=(1, 3))
    u = planes[height : height + height // 4].reshape(height // 2, width // 2)
    v = planes[height + height // 4 : height + height // 2].reshape(height // 2, width // 2)
    for plane in (u, v):
        part = plane[y // 2 : (y + h) // 2, x // 2 : (x + w) // 2]
        part[:] = (part + (128.0 - part) * soft / 255).astype(np.uint8)


def burn_osd(planes: Bytes, height: int, *, name: str = "", time: str = "") -> None:
    """Burn time (left) and name (right) into the top rows of a picture of this width, in place."""
    width = planes.shape[1]
    scale = width / FULL_WIDTH
    size, y = round(25 * scale), round(16 * scale)
    if time:
        burn(planes, height, time, x=round(BAR_X * scale), y=y, size_px=size)
    if name:
        burn(planes, height, name, x=width - round(BAR_X * scale), y=y, size_px=size, right=True)


def unix_ms(moment: datetime) -> int:
    """Milliseconds since 1970."""
    return round((moment - EPOCH).total_seconds() * 1000)
