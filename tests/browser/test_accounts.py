"""Accounts as people meet them in Chromium: the first set-up, a second factor, rights and their explanation."""

from __future__ import annotations

import json
import re
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from anwang.governance.factors.totp import STEP_SECONDS, code_of
from tests.browser.city import PATIENCE_MS, ROOT, City, until
from tests.browser.conftest import Open

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]
expect.set_options(timeout=PATIENCE_MS)
WORDS = "four unrelated words 7"


def account(city: City, role: str) -> tuple[str, str]:
    """Id and name of a new account in the whole city, made by the security administrator."""
    name = f"{role}.{secrets.token_hex(3)}"
    body = {"username": name, "display_name": "钱某", "role": role, "organisation": "city", "password": WORDS}
    with city.client("security_administrator") as api:
        answer = api.post("/users", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()["id"], name


def signs_in(page: Page, url: str, name: str) -> None:
    page.goto(f"{url}/login")
    page.get_by_label("用户名").fill(name)
    page.get_by_label("密码").fill(WORDS)
    page.get_by_role("button", name="登录").click()


def test_the_first_start_makes_three_administrators(chromium: Browser, tmp_path: Path) -> None:
    config = tmp_path / "settings.toml"
    config.write_text(
        f"data = {json.dumps(str(tmp_path / 'data'))}\nkey_file = {json.dumps(str(tmp_path / 'key'))}\n"
        '[http]\nhost = "127.0.0.1"\nport = 0\n[tls]\nenabled = false\n[gb28181]\nport = 0\n',
        "utf-8",
    )
    said = tmp_path / "log"
    with said.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "anwang", "serve", "--config", str(config)], cwd=ROOT, stdout=log, stderr=log
        )
    try:
        links = until(
            lambda: (found := re.findall(r"http\S+/setup/\S+", said.read_text("utf-8"))) and len(found) == 3 and found,
            "three links",
        )
        roles = []
        for link in links:
            page = chromium.new_page(viewport={"width": 1366, "height": 768})
            page.goto(link)
            lead = page.get_by_text("建立本平台第一个账号")
            expect(lead).to_be_visible()
            roles.append(re.search("账号：(\\w+)。", lead.inner_text())[1])  # type: ignore[index]
            name = f"first.{len(roles)}"
            page.get_by_label("用户名").fill(name)
            page.get_by_label("密码", exact=True).fill(WORDS)
            page.get_by_label("再输一次密码").fill("something else")
            page.get_by_role("button", name="建立账号").click()
            expect(page.get_by_text("两次输入不一致")).to_be_visible()
            page.get_by_label("再输一次密码").fill(WORDS)
            page.keyboard.press("Enter")
            expect(page).to_have_url(re.compile("/login"))
            signs_in(page, link.partition("/setup/")[0], name)
            expect(page.get_by_role("navigation").first).to_be_visible()
            again = chromium.new_page()
            again.goto(link)
            expect(again.get_by_text("此设置地址已用过或已过期")).to_be_visible()
            again.close()
            page.context.close()
        assert sorted(roles) == sorted(["系统管理员", "安全管理员", "审计管理员"])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def test_a_second_factor_is_set_up_asked_for_and_reset(city: City, enter: Open) -> None:
    user, name = account(city, "viewer")
    page = enter(None)
    signs_in(page, city.url, name)
    page.get_by_role("button", name="用户菜单").click()
    page.get_by_role("menuitem", name="两步验证").click()
    dialog = page.get_by_role("dialog", name="两步验证")
    secret = dialog.locator("code, .copyable").filter(has_text=re.compile("[A-Z2-7]{32}")).first.inner_text().strip()
    dialog.get_by_label("验证码").fill("000000")
    page.keyboard.press("Enter")
    expect(page.locator(".ant-message-error")).to_be_visible()
    used = int(time.time() // STEP_SECONDS)
    dialog.get_by_label("验证码").fill(code_of(secret, used))
    page.keyboard.press("Enter")
    expect(page.get_by_text("今后登录需要验证码")).to_be_visible()

    other = enter(None)
    signs_in(other, city.url, name)
    expect(other.get_by_label("验证码")).to_be_visible()
    other.get_by_label("验证码").fill(code_of(secret, used))  # no code is good twice
    other.keyboard.press("Enter")
    # the alert that asked for a code is still there for a moment
    expect(other.get_by_role("alert").filter(has_text="已使用过")).to_be_visible()
    expect(other).to_have_url(re.compile("/login"))
    other.get_by_label("验证码").fill(code_of(secret, max(used + 1, int(time.time() // STEP_SECONDS))))
    other.keyboard.press("Enter")
    expect(other).not_to_have_url(re.compile("/login"))

    admin = enter("security_administrator")
    admin.goto(f"{city.url}/system?tab=users")
    admin.get_by_role("row").filter(has_text=name).get_by_role("button", name="编辑").click()
    admin.get_by_role("dialog").get_by_role("button", name="重置两步验证").click()
    admin.get_by_role("dialog", name=re.compile("重置")).get_by_role("button", name="重置两步验证").click()
    expect(admin.get_by_text("两步验证已重置")).to_be_visible()
    third = enter(None)
    signs_in(third, city.url, name)
    expect(third).not_to_have_url(re.compile("/login"))
    with city.client("security_administrator") as api:
        assert api.delete(f"/users/{user}").status_code == 204


def test_rights_are_narrowed_and_explained(city: City, enter: Open) -> None:
    user, name = account(city, "operator")
    [camera] = city.cameras(1)
    other = next(one for one in (1, 2, 3) if one != camera["class"])
    admin = enter("security_administrator", width=1366, height=768)
    admin.goto(f"{city.url}/system?tab=users")
    admin.get_by_role("row").filter(has_text=name).get_by_role("button", name="权限").click()
    dialog = admin.get_by_role("dialog", name=re.compile("的权限"))
    dialog.get_by_label("点位类别").click()
    admin.keyboard.type({1: "一类", 2: "二类", 3: "三类"}[other])
    admin.keyboard.press("Enter")
    admin.keyboard.press("Escape")
    dialog.get_by_label("仅限时段").check()
    dialog.get_by_label("不可看录像").check()
    dialog.get_by_role("button", name="保存").click()
    expect(admin.get_by_text("权限已保存")).to_be_visible()
    with city.client("security_administrator") as api:
        [grant] = api.get(f"/users/{user}/grants").json()["items"]
    assert (grant["classes"], grant["has_history"]) == ([other], False)
    assert grant["live"] == {"days": [0, 1, 2, 3, 4, 5, 6], "start": 480, "end": 1080}

    admin.goto(f"{city.url}/map?point={camera['id']}")
    card = admin.locator(".map-right")
    card.get_by_role("button", name="权限", exact=True).click()
    picker = card.get_by_role("combobox", name="人员")
    picker.click()
    picker.fill(name)
    admin.get_by_title(re.compile(re.escape(name))).click()
    answers = card.get_by_role("list", name="可以做什么")
    expect(answers.get_by_role("listitem").filter(has_text="实时查看")).to_contain_text("看不到此点位")
    expect(card.get_by_text("类别不符")).to_be_visible()

    mine = enter("operator")
    mine.goto(f"{city.url}/map?point={camera['id']}")
    card = mine.locator(".map-right")
    card.get_by_role("button", name="权限", exact=True).click()
    answers = card.get_by_role("list", name="可以做什么")
    expect(answers.get_by_role("listitem").filter(has_text="实时查看")).to_contain_text("可以")
    expect(answers.get_by_role("listitem").filter(has_text="更早的录像").first).to_contain_text("须先登记事由")
    with city.client("security_administrator") as api:
        assert api.delete(f"/users/{user}").status_code == 204
