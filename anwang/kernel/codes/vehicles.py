"""Codes of vehicles and their plates: 号牌种类, and two numberings of colours that agree in nothing but the words.

hpys 1 is yellow and ColorType 1 black: a number alone means nothing, so we keep words and these maps.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from anwang.kernel.codes.table import table

_UPLOAD = "缉查布控 upload interface (GA/T 1049.10-2014 and vendors' headers)"
_UPLOAD_DAY = date(2014, 1, 1)

PLATE_CLASSES = table(
    "plate_classes",
    "号牌种类",
    "GA/T 16.7",
    date(2012, 1, 1),
    [
        ("01", "大型汽车"),
        ("02", "小型汽车"),
        ("03", "使馆汽车"),
        ("04", "领馆汽车"),
        ("05", "境外汽车"),
        ("06", "外籍汽车"),
        ("07", "普通摩托车"),
        ("08", "轻便摩托车"),
        ("09", "使馆摩托车"),
        ("10", "领馆摩托车"),
        ("11", "境外摩托车"),
        ("12", "外籍摩托车"),
        ("13", "低速车"),
        ("14", "拖拉机"),
        ("15", "挂车"),
        ("16", "教练汽车"),
        ("17", "教练摩托车"),
        ("18", "试验汽车"),
        ("19", "试验摩托车"),
        ("20", "临时入境汽车"),
        ("21", "临时入境摩托车"),
        ("22", "临时行驶车"),
        ("23", "警用汽车"),
        ("24", "警用摩托车"),
        ("25", "原农机"),
        ("26", "香港入出境"),
        ("27", "澳门入出境"),
        ("31", "武警"),
        ("32", "军队"),
        ("41", "无号牌"),
        ("42", "假号牌"),
        ("43", "挪用号牌"),
        ("51", "大型新能源汽车", "not confirmed in GA/T 1400, usual in practice"),
        ("52", "小型新能源汽车", "not confirmed in GA/T 1400, usual in practice"),
        ("99", "其他"),
    ],
)

PLATE_COLOURS = table(
    "plate_colours",
    "号牌颜色 (hpys)",
    _UPLOAD,
    _UPLOAD_DAY,
    [
        ("0", "白"),
        ("1", "黄"),
        ("2", "蓝"),
        ("3", "黑"),
        ("4", "其他"),
        ("5", "绿"),
        ("6", "红"),
        ("7", "黄绿双色"),
        ("8", "渐变绿"),
    ],
)
PLATE_COLOUR_WORDS: Mapping[str, str] = {
    "0": "white",
    "1": "yellow",
    "2": "blue",
    "3": "black",
    "4": "other",
    "5": "green",
    "6": "red",
    "7": "yellow_green",
    "8": "gradient_green",
}

COLOURS_1400 = table(
    "colours_1400",
    "颜色 (ColorType), 号牌与车身",
    "GA/T 1400.3-2017 ColorType",
    date(2017, 1, 1),
    [
        ("1", "黑"),
        ("2", "白"),
        ("3", "灰"),
        ("4", "红"),
        ("5", "蓝"),
        ("6", "黄"),
        ("7", "橙"),
        ("8", "棕"),
        ("9", "绿", "plates of new-energy vehicles too: there is no code of their own"),
        ("10", "紫"),
        ("11", "青"),
        ("12", "粉"),
        ("13", "透明"),
        ("99", "其他"),
    ],
    sure="K",
)
COLOUR_WORDS_1400: Mapping[str, str] = {
    "1": "black",
    "2": "white",
    "3": "grey",
    "4": "red",
    "5": "blue",
    "6": "yellow",
    "7": "orange",
    "8": "brown",
    "9": "green",
    "10": "purple",
    "11": "cyan",
    "12": "pink",
    "13": "transparent",
    "99": "other",
}

BODY_COLOURS = table(
    "body_colours",
    "车身颜色 (csys)",
    "GA/T 16.8",
    _UPLOAD_DAY,
    [
        ("A", "白"),
        ("B", "灰"),
        ("C", "黄"),
        ("D", "粉"),
        ("E", "红"),
        ("F", "紫"),
        ("G", "绿"),
        ("H", "蓝"),
        ("I", "棕"),
        ("J", "黑"),
        ("Z", "其他"),
    ],
    sure="K",
)
BODY_COLOUR_WORDS: Mapping[str, str] = {
    "A": "white",
    "B": "grey",
    "C": "yellow",
    "D": "pink",
    "E": "red",
    "F": "purple",
    "G": "green",
    "H": "blue",
    "I": "brown",
    "J": "black",
    "Z": "other",
}
