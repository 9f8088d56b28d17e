"""What a request to the engine asks for: tells an INSERT that carries data from every other statement.

ClickHouse's HTTP protocol puts the statement and the data of an insert one after the other, either both in the body or
the statement in the URL. The data may be megabytes of binary, so only the head is looked at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from anwang.kernel.errors import Invalid

LONGEST_TEXT = 1 << 20

TOKEN = re.compile(
    rb"""
      (?P<space> \s+ | --[^\n]* | /\*.*?\*/ )
    | (?P<quoted> '(?:[^'\\]|\\.|'')*' | `(?:[^`\\]|\\.|``)*` | "(?:[^"\\]|\\.|"")*" )
    | (?P<word> [A-Za-z_][A-Za-z0-9_]* )
    | (?P<open> [(\[{] )
    | (?P<shut> [)\]}] )
    | (?P<end> ; )
    | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)
AFTER_FORMAT = re.compile(rb"[ \t\f]*\r?\n?")
PLAIN_INSERT = {b"VALUES", b"SELECT", b"WITH", b"FROM", b"WATCH"}
WITH_RESULT = {"SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN", "CHECK", "FROM", "VALUES"}
DESCRIBES = {"DESCRIBE", "DESC"}
STATEFUL = {"SET", "USE", "BEGIN", "COMMIT", "ROLLBACK"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement. data: what an `INSERT ... FORMAT name` brought along, None for any other statement.

    format: the format named in the text; of the data for an insert, of the result otherwise; None if it names none.
    """

    text: str
    verb: str
    data: bytes | memoryview | None
    format: str | None

    @property
    def writes(self) -> bool:
        """Whether it belongs in the lane for intake: data, and the look at a table that comes before it."""
        return self.data is not None or self.verb in DESCRIBES

    @property
    def has_result(self) -> bool:
        """Whether a result set comes back, even if empty."""
        return self.verb in WITH_RESULT


def parse(query: bytes, body: bytes) -> Statement:
    """The statement of a request. query: the URL's parameter; body: what followed.

    Raises Invalid for an empty text, one over 1 MiB, several statements, and statements that only make sense in a
    session (SET, USE, temporary tables): nothing is remembered between requests.
    """
    if query.strip():
        found = _insert_with_data(query, body)
        if found is not None:
            return found
        text = query + b"\n" + body if body else query
    else:
        found = _insert_with_data(body, b"")
        if found is not None:
            return found
        text = body
    return _plain(text)


def _insert_with_data(text: bytes, rest: bytes) -> Statement | None:
    words = 0
    depth = 0
    for token in TOKEN.finditer(text, 0, min(len(text), LONGEST_TEXT)):
        kind = token.lastgroup
        if kind == "open":
            depth += 1
        elif kind == "shut":
            depth -= 1
        elif kind == "quoted":
            words += 1
        elif kind == "word":
            word = token.group().upper()
            if words == 0 and word != b"INSERT":
                return None
            if depth == 0 and words >= 2:
                if word == b"FORMAT":
                    return _with_data(text, token.start(), token.end(), rest)
                if word in PLAIN_INSERT:
                    return None
            words += 1
        elif kind != "space" and words == 0:
            return None
    return None


def _with_data(text: bytes, head_end: int, format_start: int, rest: bytes) -> Statement | None:
    name = re.compile(rb"\s+([A-Za-z_][A-Za-z0-9_]*)").match(text, format_start)
    if name is None or name.group(1).upper() == b"VALUES":  # Values is text like the statement itself
        return None
    skipped = AFTER_FORMAT.match(text, name.end())
    start = skipped.end() if skipped else name.end()
    data: bytes | memoryview = memoryview(text)[start:]
    if rest:
        data = rest if not len(data) else bytes(data) + rest
    return Statement(text=_decode(text[:head_end]), verb="INSERT", data=data, format=name.group(1).decode())


def _plain(text: bytes) -> Statement:
    if len(text) > LONGEST_TEXT:
        raise Invalid(f"a statement of {len(text)} bytes is longer than {LONGEST_TEXT}")
    words: list[bytes] = []
    named: str | None = None
    end = len(text)
    depth = 0
    for token in TOKEN.finditer(text):
        kind = token.lastgroup
        if end < len(text) and kind not in ("space", "end"):
            raise Invalid("several statements in one request", "send them one by one")
        if kind == "end":
            end = min(end, token.start())
        elif kind == "open":
            depth += 1
        elif kind == "shut":
            depth -= 1
        elif kind == "word":
            word = token.group()
            if depth == 0 and words and words[-1].upper() == b"FORMAT":
                named = word.decode()
            words.append(word)
        elif kind == "quoted":
            words.append(b"''")
    if not words:
        raise Invalid("the request has no statement")
    verb = words[0].decode().upper()
    if verb in STATEFUL or [word.upper() for word in words[:2]] in ([b"CREATE", b"TEMPORARY"], [b"DROP", b"TEMPORARY"]):
        raise Invalid(f"{verb} needs a session, and nothing is remembered here", "send settings and database each time")
    return Statement(text=_decode(text[:end]), verb=verb, data=None, format=named)


def _decode(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as err:
        raise Invalid(f"the statement is not UTF-8 at byte {err.start}") from None
