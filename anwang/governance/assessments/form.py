"""An impact assessment as a page to print. Pure.

It holds what article 56 of the PIPL names. The law knows no form of its own.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from html import escape

from anwang.governance.assessments.model import Assessment, Review
from anwang.kernel.times import BEIJING


class PageLanguage(StrEnum):
    """Of a page."""

    CHINESE = "zh-CN"
    ENGLISH = "en"


WORDS: dict[PageLanguage, dict[str, str]] = {
    PageLanguage.CHINESE: {
        "title": "个人信息保护影响评估报告",
        "subject": "评估对象",
        "system": "视频图像信息系统",
        "unit": "个人信息处理者",
        "edition": "版次",
        "necessity": "处理目的、方式的合法、正当、必要性与适度性",
        "risks": "对个人权益的影响及安全风险",
        "measures": "保护措施",
        "conclusion": "评估结论",
        "made_on": "评估日期",
        "review_by": "复评期限",
        "author": "评估人",
        "approved": "批准人、批准时间",
        "note": "批准意见",
        "standing": "状态",
        "nobody": "尚未批准",
        "overdue": "复评已逾期",
        "draft": "草稿",
        "due": "即将复评",
        "current": "有效",
        "superseded": "已被新版取代",
        "law": "依据《中华人民共和国个人信息保护法》第五十五条、第五十六条；本报告至少保存三年。",
        "sign": "单位（盖章）：",
        "day": "日期：",
    },
    PageLanguage.ENGLISH: {
        "title": "Personal information impact assessment",
        "subject": "Subject",
        "system": "Video system",
        "unit": "Responsible unit",
        "edition": "Edition",
        "necessity": "Why it is lawful, necessary and proportionate",
        "risks": "Effects on people and risks",
        "measures": "Protective measures",
        "conclusion": "Conclusion",
        "made_on": "Made on",
        "review_by": "Review by",
        "author": "Author",
        "approved": "Approved by, at",
        "note": "Note of the approval",
        "standing": "State",
        "nobody": "not approved yet",
        "overdue": "review overdue",
        "draft": "draft",
        "due": "due for review",
        "current": "current",
        "superseded": "superseded by a new edition",
        "law": "Personal Information Protection Law of the PRC, articles 55, 56. Kept for three years at least.",
        "sign": "Unit (seal):",
        "day": "Date:",
    },
}
PAGE = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><title>{title}</title><style>
@page {{ size: A4; margin: 18mm; }}
body {{ max-width: 174mm; margin: 8mm auto; color: #000; background: #fff; }}
body {{ font: 12pt/1.5 "Noto Serif CJK SC", SimSun, serif; }}
h1 {{ font-size: 18pt; text-align: center; }}
table {{ width: 100%; border-collapse: collapse; margin: 4mm 0; }}
th, td {{ border: 1px solid #000; padding: 1.5mm 2.5mm; text-align: left; overflow-wrap: anywhere; }}
th {{ width: 32%; font-weight: normal; vertical-align: top; }}
td {{ white-space: pre-wrap; }}
.sign {{ display: flex; justify-content: space-between; margin-top: 16mm; }}
</style></head><body>
<h1>{title}</h1>
<table>{rows}</table>
<p>{law}</p>
<div class="sign"><span>{sign}</span><span>{day}</span></div>
</body></html>
"""


def rows_of(one: Assessment, today: date, language: PageLanguage) -> list[tuple[str, str]]:
    """Name and text of each thing that it says."""
    words, said, approval = WORDS[language], one.said, one.approval
    review: Review = one.review(today)
    at = approval.at.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M") if approval else ""
    return [
        (words["subject"], said.subject),
        *([(words["system"], said.system_name)] if said.system_id is not None else []),
        (words["unit"], said.org_name),
        (words["edition"], str(one.edition)),
        (words["standing"], words[review.value]),
        (words["necessity"], said.necessity),
        (words["risks"], said.risks),
        (words["measures"], said.measures),
        (words["conclusion"], said.conclusion),
        (words["made_on"], said.made_on.isoformat()),
        (words["review_by"], said.review_by.isoformat()),
        (words["author"], one.author),
        (words["approved"], f"{approval.by} {at}" if approval else words["nobody"]),
        *([(words["note"], approval.note)] if approval and approval.note else []),
    ]


def page_of(one: Assessment, today: date, language: PageLanguage) -> str:
    """A page of its own, without scripts, for A4."""
    words = WORDS[language]
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows_of(one, today, language)
    )
    return PAGE.format(
        language=language.value,
        title=escape(words["title"]),
        rows=rows,
        law=escape(words["law"]),
        sign=escape(words["sign"]),
        day=escape(words["day"]),
    )
