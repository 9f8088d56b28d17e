"""Drafts of the notices that PIPL article 57 asks for: to the authority, and to the people concerned. Pure.

They hold what the article names, in the order in which it names it, and mark what nobody has written yet. Whoever sends
one reads it first: the authority may have a form of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from html import escape

from anwang.governance.breaches.model import Breach, BreachKind
from anwang.kernel.times import BEIJING


class NoticeTo(StrEnum):
    """Who is told."""

    AUTHORITY = "authority"
    PEOPLE = "people"


class NoticeLanguage(StrEnum):
    """Of a notice."""

    CHINESE = "zh-CN"
    ENGLISH = "en"


KINDS: dict[NoticeLanguage, dict[BreachKind, str]] = {
    NoticeLanguage.CHINESE: {
        BreachKind.VIDEO: "视频图像",
        BreachKind.PICTURES: "图片",
        BreachKind.PLATES: "车辆号牌",
        BreachKind.POSITIONS: "位置、轨迹信息",
        BreachKind.CONTACTS: "姓名、联系方式",
        BreachKind.ACCOUNTS: "账号信息",
        BreachKind.CASES: "案件编号、查看事由",
        BreachKind.OTHER: "其他个人信息",
    },
    NoticeLanguage.ENGLISH: {
        BreachKind.VIDEO: "video",
        BreachKind.PICTURES: "pictures",
        BreachKind.PLATES: "number plates",
        BreachKind.POSITIONS: "positions and movements",
        BreachKind.CONTACTS: "names and contact details",
        BreachKind.ACCOUNTS: "account data",
        BreachKind.CASES: "case numbers and purposes",
        BreachKind.OTHER: "other personal information",
    },
}
WORDS: dict[NoticeLanguage, dict[str, str]] = {
    NoticeLanguage.CHINESE: {
        "authority": "个人信息安全事件报告",
        "people": "个人信息安全事件告知书",
        "dear_authority": "履行个人信息保护职责的部门：",
        "dear_people": "您好：我们在此告知您，您的个人信息可能受到下述事件影响。",
        "unit": "报告单位",
        "unit_people": "个人信息处理者",
        "event": "事件",
        "what": "事件经过",
        "found": "发现时间",
        "happened": "发生时间",
        "kinds": "涉及的个人信息种类",
        "affected": "涉及人数",
        "cause": "发生原因",
        "harm": "可能造成的危害",
        "measures": "已采取的补救措施",
        "advice": "个人可以采取的减轻危害的措施",
        "contact": "联系方式",
        "unknown": "尚未查明",
        "missing": "【待填写】",
        "until": "至",
        "going_on": "持续中或尚未查明",
        "law": "依据《中华人民共和国个人信息保护法》第五十七条。",
        "draft": "草稿，由系统按登记内容生成，发出前须经核对。",
        "sign": "单位（盖章）：",
        "day": "日期：",
        "stop": "：",
        "comma": "、",
    },
    NoticeLanguage.ENGLISH: {
        "authority": "Report of a personal information incident",
        "people": "Notice of a personal information incident",
        "dear_authority": "To the department in charge of protecting personal information:",
        "dear_people": "We inform you that your personal information may be concerned by the incident below.",
        "unit": "Reporting unit",
        "unit_people": "Responsible unit",
        "event": "Incident",
        "what": "What happened",
        "found": "Found",
        "happened": "Happened",
        "kinds": "Kinds of personal information",
        "affected": "People concerned",
        "cause": "Causes",
        "harm": "Harm that may come of it",
        "measures": "Measures taken",
        "advice": "What you can do to lessen harm",
        "contact": "Contact",
        "unknown": "not known yet",
        "missing": "[to be written]",
        "until": "to",
        "going_on": "going on, or not known yet",
        "law": "Personal Information Protection Law of the PRC, article 57.",
        "draft": "Draft made from the record; to be checked before it is sent.",
        "sign": "Unit (seal):",
        "day": "Date:",
        "stop": ": ",
        "comma": ", ",
    },
}
PAGE = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><title>{title}</title><style>
@page {{ size: A4; margin: 18mm; }}
body {{ max-width: 174mm; margin: 8mm auto; color: #000; background: #fff; }}
body {{ font: 12pt/1.5 "Noto Serif CJK SC", SimSun, serif; }}
h1 {{ font-size: 18pt; text-align: center; }}
table {{ width: 100%; border-collapse: collapse; margin: 4mm 0; }}
tr {{ break-inside: avoid; }}
th, td {{ border: 1px solid #000; padding: 1.5mm 2.5mm; text-align: left; overflow-wrap: anywhere; }}
th {{ width: 32%; font-weight: normal; vertical-align: top; }}
td {{ white-space: pre-wrap; }}
.sign {{ display: flex; justify-content: space-between; margin-top: 16mm; }}
</style></head><body>
<h1>{title}</h1>
<p>{dear}</p>
<table>{rows}</table>
<p>{law}</p>
<p>{draft}</p>
<div class="sign"><span>{sign}</span><span>{day}</span></div>
</body></html>
"""


def rows_of(one: Breach, to: NoticeTo, language: NoticeLanguage) -> list[tuple[str, str]]:
    """Name and text of each thing that is told."""
    words, told = WORDS[language], one.told
    people = to is NoticeTo.PEOPLE
    kinds = words["comma"].join(KINDS[language][each] for each in told.kinds)
    rows = [
        (words["unit_people" if people else "unit"], one.org_name),
        (words["event"], told.title),
        (words["what"], told.what),
        (words["found"], _moment(told.found_at)),
        (words["happened"], _span(one, words)),
        (words["kinds"], kinds),
        (words["affected"], words["unknown"] if told.affected is None else str(told.affected)),
        *((words[name], getattr(told, name) or words["missing"]) for name in ("cause", "harm", "measures", "advice")),
        (words["contact"], told.contact),
    ]
    if people:  # how many others there are is nothing to them
        rows = [row for row in rows if row[0] != words["affected"]]
    return rows


def text_of(one: Breach, to: NoticeTo, language: NoticeLanguage) -> str:
    """As plain text, to be pasted into a letter or a message."""
    words = WORDS[language]
    lines: Sequence[str] = [
        words[to.value],
        "",
        words[f"dear_{to.value}"],
        "",
        *(f"{name}{words['stop']}{value}" for name, value in rows_of(one, to, language)),
        "",
        words["law"],
        words["draft"],
    ]
    return "\n".join(lines) + "\n"


def page_of(one: Breach, to: NoticeTo, language: NoticeLanguage) -> str:
    """A page of its own, without scripts, for A4."""
    words = WORDS[language]
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows_of(one, to, language)
    )
    return PAGE.format(
        language=language.value,
        title=escape(words[to.value]),
        dear=escape(words[f"dear_{to.value}"]),
        rows=rows,
        law=escape(words["law"]),
        draft=escape(words["draft"]),
        sign=escape(words["sign"]),
        day=escape(words["day"]),
    )


def _span(one: Breach, words: dict[str, str]) -> str:
    until = words["going_on"] if one.told.until_at is None else _moment(one.told.until_at)
    return f"{_moment(one.told.from_at)} {words['until']} {until}"


def _moment(at: datetime) -> str:
    return at.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M")
