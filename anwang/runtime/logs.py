"""Structured logs: JSON lines for machines, coloured lines for people; secrets are redacted by the key's name."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_SECRET = re.compile(r"pass|secret|token|authorization|cookie|credential|private|^key$|_key$|ha1", re.IGNORECASE)
REDACTED = "[redacted]"
NOISY = ("uvicorn.access", "alembic", "asyncio", "aiosqlite", "urllib3", "clickhouse_connect", "httpx", "httpcore")
"""Libraries that tell too much; the last two whole addresses and headers, with what is secret in them."""

Logger = structlog.stdlib.BoundLogger


def redact(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace values whose key names a secret, at any depth."""
    for key, value in event.items():
        if _SECRET.search(key):
            event[key] = REDACTED
        elif isinstance(value, dict):
            event[key] = redact(None, "", dict(value))
    return event


def configure(*, level: str = "INFO", as_json: bool = True) -> None:
    """Set up the process's logs once, to standard error."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        # plain: the pretty one, used where its library happens to be installed, prints local variables, secrets too
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)


def get(name: str) -> Logger:
    """The logger of a module."""
    logger: Logger = structlog.stdlib.get_logger(name)
    return logger
