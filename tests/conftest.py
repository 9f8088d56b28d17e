"""What all tests share. A missing service skips loudly on a workbench and fails in CI."""

from __future__ import annotations

import os
import socket
from typing import Any, NoReturn

import pytest
import structlog
from hypothesis import settings as hypothesis_settings

# as the product's own logs: a traceback without its local variables, which takes seconds to lay out
structlog.configure(processors=[
    *structlog.get_config()["processors"][:-1],
    structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
])  # fmt: skip

# a machine that is busy with other tests is no slow code
hypothesis_settings.register_profile("anwang", deadline=None)
hypothesis_settings.load_profile("anwang")

TOGETHER = ("tests/browser/",)
"""Folders whose tests share what is dear to start, so that one worker runs all of them."""
BY_FILE = ("tests/flow/", "tests/unit/democity/test_pictures.py")
"""Where the tests of one file share it: a platform, a drawn scene."""


def missing(what: str) -> NoReturn:
    """Skip for want of a service or program; in CI (CI=true) that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must provide {what}")
    pytest.skip(f"no {what} on this machine")


def listening(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something accepts TCP connections there."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Tests as workers become free, those of TOGETHER on one.

    The mark xdist_group reaches no scheduler with pytest 9.2: pytest-xdist 3.8 puts the group into a node id which
    pytest no longer reads.
    """
    from xdist.scheduler.loadscope import LoadScopeScheduling

    class Grouped(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            if nodeid.startswith(BY_FILE):
                return nodeid.partition("::")[0]
            return next((folder for folder in TOGETHER if nodeid.startswith(folder)), nodeid)

    return Grouped(config, log) if config.getvalue("dist") == "loadgroup" else None
