"""The filing form (备案表) as a table and as a page to print. Pure.

What it holds is what article 14 of Regulation 799 names. How it must look the county police decide; theirs is copied
from this one, or this one is handed in where they take it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from anwang.governance.duties.model import Form, Spot
from anwang.kernel.times import BEIJING

TITLE = "公共安全视频图像信息系统备案表"
HEADER = (TITLE, "", "", "")
NOTE = "内容依据《公共安全视频图像信息系统管理条例》第十四条；表样以县级公安机关的要求为准。"
KINDS = {
    "camera": "摄像机",
    "checkpoint": "卡口",
    "alarm_point": "报警点",
    "sensor": "传感器",
    "watchtower": "高空瞭望",
}

COLUMNS = ("所属单位", "设置地点", "设备种类", "数量")
UNLISTED = "另有 {count} 台设备未逐一列出，见点位导出文件。"
PAGE = """<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8"><title>{title}</title><style>
@page {{ size: A4; margin: 18mm; }}
body {{ max-width: 174mm; margin: 8mm auto; color: #000; background: #fff; }}
body {{ font: 12pt/1.5 "Noto Serif CJK SC", SimSun, serif; }}
h1 {{ font-size: 18pt; text-align: center; }}
table {{ width: 100%; border-collapse: collapse; margin: 4mm 0; }}
thead {{ display: table-header-group; }}
tr {{ break-inside: avoid; }}
th, td {{ border: 1px solid #000; padding: 1.5mm 2.5mm; text-align: left; overflow-wrap: anywhere; }}
.facts th {{ width: 40%; font-weight: normal; }}
.sign {{ display: flex; justify-content: space-between; margin-top: 16mm; }}
</style></head><body>
<h1>{title}</h1>
<table class="facts">{facts}</table>
<table><thead><tr>{columns}</tr></thead>
<tbody>{places}</tbody></table>
<p>{unlisted}</p>
<p>{note}</p>
<div class="sign"><span>单位（盖章）：</span><span>公安机关（盖章）：</span><span>日期：</span></div>
</body></html>
"""

Cell = str | int


def facts_of(form: Form) -> list[tuple[str, Cell]]:
    """What the form says of the whole system."""
    filed = form.filed
    return [
        ("系统名称", filed.name),
        ("建设使用单位", filed.unit),
        ("法律依据", filed.legal_basis),
        ("投入使用日期", filed.in_use_on.isoformat()),
        ("视频图像信息留存期限（日）", filed.retention_days),
        ("联系方式", filed.contact),
        ("采集设备总数", filed.total),
        *((f"其中：{KINDS.get(kind, kind)}", count) for kind, count in filed.devices.items()),
        ("编制时间", form.made_at.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M")),
        ("编制人", form.made_by),
        ("备案回执编号", form.receipt_no),
        ("备案日期", form.filed_on.isoformat() if form.filed_on else ""),
    ]


def rows_of(form: Form, spots: Sequence[Spot]) -> list[tuple[Cell, Cell, Cell, Cell]]:
    """All of it below HEADER."""
    return [
        *((name, value, "", "") for name, value in facts_of(form)),
        (NOTE, "", "", ""),
        ("", "", "", ""),
        COLUMNS,
        *((each.unit, each.address, KINDS.get(each.kind, each.kind), each.count) for each in spots),
        *([(_unlisted(form, spots), "", "", "")] if _unlisted(form, spots) else []),
    ]


def page_of(form: Form, spots: Sequence[Spot]) -> str:
    """A page of its own, without scripts, for A4."""
    facts = "".join(f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>" for name, value in facts_of(form))
    places = "".join(
        f"<tr>{_cells((each.unit, each.address, KINDS.get(each.kind, each.kind), each.count))}</tr>" for each in spots
    )
    return PAGE.format(
        title=TITLE,
        facts=facts,
        columns=_cells(COLUMNS, "th"),
        places=places,
        unlisted=escape(_unlisted(form, spots)),
        note=NOTE,
    )


def _unlisted(form: Form, spots: Sequence[Spot]) -> str:
    """A sentence where places were too many to list."""
    left = form.filed.total - sum(each.count for each in spots)
    return UNLISTED.format(count=left) if left > 0 else ""


def _cells(values: Iterable[Cell], tag: str = "td") -> str:
    return "".join(f"<{tag}>{escape(str(value))}</{tag}>" for value in values)
