"""Real Chromium against the real demo: one small 安澜市 for all tests of this folder.

Both end with the folder's last test: Playwright's loop must not run while other tests of the process make their own.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser.city import CHROMIUM, PATIENCE_MS, ROOT, City, opened
from tests.conftest import missing

POINTS = int(os.environ.get("ANWANG_BROWSER_POINTS", "120"))


@pytest.fixture(scope="package")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """`anwang demo`, small, on free ports."""
    if not (ROOT / "anwang/web/static/index.html").exists():
        missing("the built user interface (make install)")
    with opened(tmp_path_factory.mktemp("city"), points=POINTS) as demo:
        yield demo


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium: H.264, no H.265."""
    program = shutil.which("chromium")
    if program is None:
        missing("Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM)
        yield browser
        browser.close()


Open = Callable[..., Page]


@pytest.fixture
def enter(city: City, chromium: Browser) -> Iterator[Open]:
    """`enter("operator")`: a fresh window in which that person is signed in. What the page's scripts throw fails."""
    contexts: list[BrowserContext] = []
    thrown: list[str] = []

    def window(who: str | None, *, width: int = 1180, height: int = 700, theme: str = "dark") -> Page:
        context = chromium.new_context(viewport={"width": width, "height": height}, accept_downloads=True)
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        context.set_default_navigation_timeout(PATIENCE_MS)
        context.add_init_script(
            f"localStorage.getItem('anwang.theme') ?? localStorage.setItem('anwang.theme', '{theme}')"
        )
        if who is not None:
            city.sign_in(context, who)
        page = context.new_page()
        page.on("pageerror", lambda error: thrown.append(str(error)))
        return page

    yield window
    for context in contexts:
        context.close()
    assert thrown == []
