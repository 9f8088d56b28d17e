"""Make the Chinese font that ships with the product: a subset of Noto Sans CJK SC (SIL Open Font License 1.1).

    python scripts/font.py /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc

It holds ASCII, the punctuation and symbols of GB 2312 rows 1-3, its 6,763 characters (rows 16-87) and a few later ones.
Needs fontTools (requirements-dev.txt).
"""

from __future__ import annotations

import sys
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTCollection

TARGET = Path(__file__).parent.parent / "anwang" / "runtime" / "fonts" / "NotoSansSC-Subset.otf"
# signs and characters that GB 2312 lacks and names or readings need
FURTHER = "瞭渟昇祎垚犇骉焜炘琋芃禤珅翊赟燊韡甯甦尅淼²³℃％·—×°№啰喆堃淏玥珺璟祎翀茗菡钰镕陞頔²³₂μ≤≥≠≈→←↑↓✓●○▲△■□◆◇–"


def wanted() -> set[int]:
    """The code points of the subset."""
    points = set(range(0x20, 0x7F))
    for row in (*range(1, 4), *range(16, 88)):
        for cell in range(1, 95):
            try:
                points.add(ord(bytes((0xA0 + row, 0xA0 + cell)).decode("gb2312")))
            except UnicodeDecodeError:
                continue
    return points | {ord(character) for character in FURTHER}


def main(collection: str) -> None:
    """Write the subset of the collection's simplified Chinese face."""
    faces = TTCollection(collection).fonts
    face = next(one for one in faces if one["name"].getDebugName(4) == "Noto Sans CJK SC")
    options = Options(
        hinting=False,
        desubroutinize=False,
        layout_features=[],
        name_IDs=[0, 1, 2, 3, 4, 5, 6, 13, 14],
        notdef_outline=True,
    )
    subsetter = Subsetter(options=options)
    subsetter.populate(unicodes=wanted())
    subsetter.subset(face)
    face.save(TARGET)
    print(f"{TARGET.name}: {len(face.getGlyphOrder())} glyphs, {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main(sys.argv[1])
