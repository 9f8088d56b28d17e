"""Purposes, second persons and the ledger as people meet them: in real Chromium, on the real platform."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.browser.city import PATIENCE_MS, City, moment
from tests.browser.conftest import Open

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]
expect.set_options(timeout=PATIENCE_MS)
SHORT, LONG = "A440300-2026-118", "A440300-2026-733"


def playback(city: City, minutes: float) -> str:
    """The address of playback with so long a clip chosen, that begins with something recorded."""
    [span] = city.recorded(1, 8)
    start = moment(span["start"]) + timedelta(seconds=2)
    end = moment(span["start"]) + timedelta(seconds=6) if minutes == 0 else start + timedelta(minutes=minutes)
    begins, ends = (at.isoformat().replace("+00:00", "Z") for at in (start, end))
    return f"{city.url}/playback?span=30&at={begins}&clip={begins}~{ends}&points={span['id']}"


def states(page: Page, case: str) -> None:
    """States a purpose in the dialog that has opened, with the keyboard once its kind is chosen."""
    dialog = page.get_by_role("dialog", name="登记事由")
    expect(dialog).to_be_visible()
    dialog.get_by_text("刑事案件", exact=True).click()
    dialog.get_by_label("案件/警情/工单编号").fill(case)
    page.keyboard.press("Enter")


def is_film(data: bytes) -> bool:
    return data[4:8] == b"ftyp" and b"moov" in data


def test_a_clip_asks_for_a_purpose_in_place_and_the_audit_administrator_finds_it(city: City, enter: Open) -> None:
    page = enter("operator")
    page.goto(playback(city, 0))
    with page.expect_download() as download:
        page.get_by_role("button", name="下载片段").click()
        states(page, SHORT)
    assert is_film(download.value.path().read_bytes())
    chip = page.get_by_role("button", name=re.compile(f"^事由: 刑事案件 {SHORT}"))
    expect(chip).to_be_visible()
    chip.click()
    expect(page.get_by_text("延长/另行登记")).to_be_visible()
    page.keyboard.press("Escape")

    reader = enter("audit_administrator")
    reader.goto(city.url)
    expect(reader).to_have_url(re.compile("/ledger"))
    reader.get_by_label("编号").fill(SHORT)
    reader.keyboard.press("Enter")
    reader.get_by_label("人员").fill(city.accounts["operator"]["username"])
    reader.keyboard.press("Enter")
    expect(reader).to_have_url(re.compile(f"actor=.*case={SHORT}|case={SHORT}.*actor="))
    row = reader.get_by_role("row").filter(has_text="下载录像").filter(has_text="开始查看")
    expect(row).to_have_count(1)
    row.click()
    drawer = reader.get_by_role("dialog")
    expect(drawer).to_contain_text(SHORT)
    expect(drawer).to_contain_text("终端")
    look = drawer.locator("dt", has_text=re.compile("^查看$")).locator("xpath=following-sibling::dd[1]")
    look.get_by_role("button").click()
    expect(reader).to_have_url(re.compile("/ledger\\?object=[0-9a-f-]+$"))
    expect(reader.get_by_role("row").filter(has_text="开始查看")).to_have_count(1)


def test_a_long_clip_waits_for_a_second_person(city: City, enter: Open) -> None:
    page = enter("investigator")
    address = playback(city, 15)
    page.goto(address)
    page.get_by_role("button", name="下载片段").click()
    states(page, LONG)
    asked = page.get_by_role("dialog", name="申请第二人审批")
    expect(asked).to_contain_text(LONG)
    asked.get_by_label("申请理由").fill("嫌疑车辆经过此处")
    asked.get_by_role("button", name="提交申请").click()
    page.get_by_role("link", name="在“审批”中查看进度").click()
    expect(page).to_have_url(re.compile("/approvals"))
    expect(page.get_by_role("row").filter(has_text=LONG)).to_contain_text("待审批")

    officer = enter("officer_a", width=390, height=844)
    officer.goto(f"{city.url}/approvals")
    request = officer.get_by_role("row").filter(has_text=LONG)
    expect(request).to_contain_text("嫌疑车辆经过此处")
    assert officer.evaluate("document.documentElement.scrollWidth") <= 390
    request.get_by_role("button", name="批准", exact=True).click()
    officer.get_by_role("dialog").get_by_role("button", name="批准", exact=True).click()
    expect(request).to_have_count(0)

    granted = page.get_by_role("row").filter(has_text=LONG)
    expect(granted).to_contain_text("已批准")
    page.get_by_role("dialog").get_by_role("link", name="去回放").click()
    expect(page).to_have_url(re.compile("/playback.*clip="))
    with page.expect_download() as download:
        page.get_by_role("button", name="下载片段").click()
    assert is_film(download.value.path().read_bytes())
