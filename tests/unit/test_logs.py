"""Logs tell what went wrong and never what is secret."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from anwang.runtime import logs

SECRET = " ".join(["open", "sesame"])
"""In no line of this file as it is, for a traceback shows lines."""


@pytest.fixture
def as_it_was() -> Iterator[None]:
    """Logs are the process's: put them back."""
    root = logging.getLogger()
    handlers, level, before = root.handlers[:], root.level, structlog.get_config()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.configure(**before)


def fail(password: str) -> None:
    """Where a secret is a local variable while something goes wrong."""
    raise ValueError(f"{len(password)} characters are too few")


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.usefixtures("as_it_was")
def test_a_failure_is_told_without_the_values_of_its_variables(
    as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(as_json=as_json)
    log = logs.get("test")
    try:
        fail(SECRET)
    except ValueError:
        log.exception("it failed", user="li", password=SECRET, deep={"token": SECRET})
    said = capsys.readouterr().err
    assert "it failed" in said and "11 characters are too few" in said and "fail" in said
    assert SECRET not in said
    if as_json:
        assert json.loads(said.splitlines()[0])["password"] == logs.REDACTED
