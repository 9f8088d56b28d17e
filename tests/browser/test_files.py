"""Camera files as people meet them in Chromium: from a finding to the field at fault, two at one file, what it was."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.city import PATIENCE_MS, City, until
from tests.browser.conftest import Open

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]
expect.set_options(timeout=PATIENCE_MS)
WRONG = "120000000000"
"""A police unit of another city."""


def field(one: dict[str, Any], key: str) -> str:
    """What a point's file says."""
    return next((str(each["value"]) for each in one["file"] if each["key"] == key), "")


@contextmanager
def changed(city: City, index: int, **changes: Any) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
    """A point with something else in its file, and what was there before; put back at the end."""
    with city.client("administrator") as api:
        listed = api.get("/points", params={"kind": "camera", "limit": index + 1}).json()["items"][index]
        before = api.get(f"/points/{listed['id']}").json()
        was = {key: field(before, key) for key in changes}
        patch(api, before, changes)
        yield before, was
        now = api.get(f"/points/{listed['id']}").json()
        patch(api, now, was)


def patch(api: Any, one: dict[str, Any], changes: dict[str, Any]) -> None:
    """Change a file over the API."""
    body = {"version": one["version"], "changes": changes, "reason": "巡检"}
    answer = api.patch(f"/points/{one['id']}", json=body)
    assert answer.status_code == 200, answer.text


def drawer(page: Page) -> Any:
    """The file that stands open."""
    return page.locator(".ant-drawer").filter(has=page.get_by_role("tab", name="一机一档"))


def test_a_finding_leads_to_its_field_and_is_gone_once_that_is_right(city: City, enter: Open) -> None:
    with changed(city, 6, police_unit=WRONG) as (point, was):
        page = enter("administrator", width=1366, height=768)
        page.goto(f"{city.url}/devices?tab=findings")
        rules = page.get_by_role("complementary", name="按规则统计")
        rules.get_by_role("button", name=re.compile("公安机关与行政区域一致 1")).click()
        expect(page).to_have_url(re.compile("rule=DQ11"))
        row = page.get_by_role("row").filter(has_text=point["name"])
        expect(row).to_contain_text("公安机关代码前 4 位 1200")
        row.click()
        wrong = page.get_by_label("所属辖区公安机关")
        expect(wrong).to_be_focused()
        expect(wrong).to_have_value(WRONG)
        wrong.fill("9901")
        page.keyboard.press("Enter")
        expect(drawer(page).get_by_role("alert")).to_contain_text("12 位")
        wrong.fill(was["police_unit"])
        page.get_by_label("修改原因").fill("按辖区更正")
        page.keyboard.press("Enter")
        expect(page.get_by_text("档案已保存")).to_be_visible()
        expect(page.get_by_text("没有符合条件的数据问题")).to_be_visible()
        drawer(page).get_by_role("tab", name="修改记录").click()
        newest = drawer(page).get_by_role("listitem").first
        expect(newest).to_contain_text("按辖区更正")
        expect(newest).to_contain_text(city.accounts["administrator"]["username"])
        expect(newest.locator("del")).to_have_text(WRONG)
        expect(newest.locator("ins")).to_have_text(was["police_unit"])


def test_two_people_at_one_file_lose_nothing(city: City, enter: Open) -> None:
    with changed(city, 7, street="一街", project="一期") as (point, _):
        page = enter("administrator", width=1366, height=768)
        page.goto(f"{city.url}/devices?tab=files&file={point['id']}")
        drawer(page).get_by_role("button", name="修改").click()
        page.get_by_label("街道").fill("我的街")
        page.get_by_label("项目名称").fill("我的项目")
        with city.client("administrator") as api:
            patch(api, api.get(f"/points/{point['id']}").json(), {"street": "别人的街"})
        page.keyboard.press("Enter")
        expect(page.get_by_text("他人已将此档案保存为版本")).to_be_visible()
        expect(page.get_by_text("他人已改为：别人的街")).to_be_visible()
        expect(page.get_by_label("项目名称")).to_have_value("我的项目")
        page.get_by_role("button", name="采用").click()
        page.get_by_role("button", name="保存").click()
        expect(page.get_by_text("档案已保存")).to_be_visible()
        with city.client("administrator") as api:
            now = api.get(f"/points/{point['id']}").json()
            assert (field(now, "street"), field(now, "project")) == ("别人的街", "我的项目")


def test_points_with_one_code_stand_side_by_side(city: City, enter: Open) -> None:
    with city.client("administrator") as api:
        first, second = api.get("/points", params={"kind": "camera", "limit": 10}).json()["items"][8:10]
    with changed(city, 8, code=second["code"]):
        page = enter("administrator", width=1366, height=768)
        page.goto(f"{city.url}/devices?tab=findings&rule=DQ03")
        named = page.get_by_role("gridcell", name=re.compile(f"^{re.escape(first['name'])}"))
        page.get_by_role("row").filter(has=named).click()
        twins = page.get_by_role("region", name="编码相同的点位")
        expect(twins.get_by_role("columnheader")).to_have_count(2)
        expect(twins).to_contain_text(f"{first['name']}（本点位）")
        twins.get_by_role("button", name=second["name"]).click()
        expect(twins).to_contain_text(f"{second['name']}（本点位）")
        expect(page).to_have_url(re.compile(f"file={second['id']}"))


def test_who_only_reads_changes_nothing(city: City, enter: Open) -> None:
    [camera] = city.cameras(1)
    page = enter("operator", width=1366, height=768)
    page.goto(f"{city.url}/devices?tab=files&file={camera['id']}&field=ipv4")
    expect(drawer(page).get_by_role("button", name=re.compile("修改 — "))).to_have_attribute("aria-disabled", "true")
    expect(page.locator(".file-asked")).to_contain_text("IPv4")
    drawer(page).get_by_text("GB/T 28181-2022（B）").click()
    expect(drawer(page)).to_contain_text("CivilCode")


def test_a_device_shows_its_channels_and_they_their_files(city: City, enter: Open) -> None:
    page = enter("administrator", width=1366, height=768)
    page.goto(f"{city.url}/devices?tab=adopted")
    page.get_by_role("button", name="查看通道").first.or_(page.locator(".table .device-count").first).click()
    channels = page.get_by_role("region", name="通道")
    until(lambda: channels.get_by_role("row").count() > 1, "its channels")
    channels.get_by_role("link", name="一机一档").first.click()
    expect(drawer(page).get_by_text("标识", exact=True)).to_be_visible()


def test_a_unit_is_made_and_renamed(city: City, enter: Open) -> None:
    page = enter("administrator", width=1366, height=768)
    page.goto(f"{city.url}/system?tab=units")
    page.get_by_role("button", name="新建下级").click()
    page.get_by_role("textbox", name="名称").fill("临时指挥部")
    page.keyboard.press("Enter")
    expect(page.get_by_text("组织已建立")).to_be_visible()
    unit = page.get_by_role("region", name="临时指挥部")
    unit.get_by_role("button", name="修改").click()
    page.get_by_role("textbox", name="名称").fill("联合指挥部")
    page.keyboard.press("Enter")
    expect(page.get_by_text("组织已保存")).to_be_visible()
    expect(page.get_by_role("tree")).to_contain_text("联合指挥部")


def test_one_press_is_one_frame(city: City, enter: Open) -> None:
    [span] = city.recorded(1, 8)
    page = enter("investigator", width=1366, height=768)
    page.goto(f"{city.url}/playback?points={span['id']}&at={span['start']}")
    video = page.locator(".tile video")
    gap = video.evaluate(
        """video => new Promise(found => {
          let last = null, seen = []
          const next = (_, { mediaTime }) => {
            if (last !== null && mediaTime > last) seen.push(mediaTime - last)
            last = mediaTime
            if (seen.length > 20) found(Math.min(...seen))
            else video.requestVideoFrameCallback(next)
          }
          video.requestVideoFrameCallback(next)
        })"""
    )
    page.keyboard.press("k")
    page.keyboard.press(".")
    page.wait_for_timeout(500)
    for key, frames in ((".", 1), (".", 1), (",", -1)):
        before = video.evaluate("video => video.currentTime")
        page.keyboard.press(key)
        page.wait_for_function(
            "was => { const v = document.querySelector('.tile video'); return !v.seeking && v.currentTime !== was }",
            arg=before,
        )
        assert video.evaluate("video => video.currentTime") - before == pytest.approx(frames * gap, abs=gap / 5)
