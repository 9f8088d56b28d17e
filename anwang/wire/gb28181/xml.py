"""XML of MANSCDP bodies: a safe reader with the repairs that real devices need, and a writer that builds from values.

Charsets: the declaration says GB2312 or GB18030, devices often send UTF-8 under it.
The reader refuses document types and entities, and bounds depth, elements and attributes. Text is always stripped, for
the standard's own samples have spaces in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final
from xml.etree.ElementTree import Element, ParseError, XMLParser

from anwang.kernel.errors import WireError

MAX_SIZE: Final = 1024 * 1024
MAX_DEPTH: Final = 12
MAX_NODES: Final = 200_000
MAX_ATTRIBUTES: Final = 16

_DECLARED: Final = re.compile(rb"""^\s*<\?xml[^>]{0,80}?encoding\s*=\s*["']?([A-Za-z0-9_.-]{1,20})""")
_DECLARATION: Final = re.compile(r"^<\?xml[^>]{0,160}>")
_FORBIDDEN: Final = re.compile(r"<!\s*(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_BARE_AMPERSAND: Final = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});)")
_TAG: Final = re.compile(r"<[A-Za-z][^<>]{0,512}>")
_PREFIX: Final = re.compile(r"<(/?)[A-Za-z][\w-]{0,31}:")
_BARE_VALUE: Final = re.compile(r"""(\s[A-Za-z][\w:.-]{0,63}\s?=\s?)([^\s"'<>=/]{1,128})(?=[\s>/])""")
_NO_CHARACTER: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_ADDRESS: Final = re.compile(r"<Address>[^\r\n]{0,1024}</Address>")


_NONE: Final[Mapping[str, str]] = MappingProxyType({})


class Node:
    """An element: its name without prefix, its stripped text, attributes and children. Looking up ignores case."""

    __slots__ = ("attributes", "children", "key", "name", "text")

    def __init__(
        self, name: str, text: str = "", children: Iterable[Node] = (), attributes: Mapping[str, str] = _NONE
    ) -> None:
        self.name = name
        self.key = name.lower()
        self.text = text
        self.children = list(children)
        self.attributes = dict(attributes) if attributes else attributes

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Node) and (self.key, self.text, self.children, self.attributes) == (
            other.key,
            other.text,
            other.children,
            other.attributes,
        )

    def __hash__(self) -> int:
        return hash((self.key, self.text, len(self.children)))

    def __repr__(self) -> str:
        return f"Node({self.name!r}, {self.text!r}, {self.children!r})"

    def find(self, name: str) -> Node | None:
        """The first child of that name."""
        key = name.lower()
        for child in self.children:
            if child.key == key:
                return child
        return None

    def all(self, name: str) -> Iterator[Node]:
        """Every child of that name."""
        key = name.lower()
        return (child for child in self.children if child.key == key)

    def get(self, name: str) -> str:
        """The text of the first child of that name; empty where it is absent, for an empty element counts as absent."""
        child = self.find(name)
        return child.text if child else ""


def decode(body: bytes, charset: str = "") -> str:
    """The text of a body, by byte order mark, then by the charset if one is given, then by what its declaration and
    its bytes say.

    GB2312, GBK, GB18030 or nothing declared, but valid UTF-8 with three-byte characters: it is UTF-8 (common). Two-byte
    sequences alone prove nothing, for pairs of GB2312 can look like them. Never fails: what can't be read is replaced.
    """
    if body.startswith(b"\xef\xbb\xbf"):
        return body[3:].decode("utf-8", "replace")
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return body.decode("utf-16", "replace")
    if body.isascii():
        return body.decode("ascii")
    if charset:
        return body.decode(charset, "replace")
    found = _DECLARED.match(body)
    declared = found[1].lower() if found else b""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return body.decode("gb18030", "replace")
    if declared.startswith(b"utf") or any(char >= "\u0800" for char in text):
        return text
    return body.decode("gb18030", "replace")


def read(body: bytes, charset: str = "") -> Node:
    """The root element of a body. charset: see `decode`.

    Raises WireError: no XML even after repair, a document type, or a bound exceeded.
    """
    if len(body) > MAX_SIZE:
        raise WireError(f"a body of {len(body)} bytes is above {MAX_SIZE}", data=body)
    text = decode(body, charset).strip("\x00 \t\r\n")
    if _FORBIDDEN.search(text):
        raise WireError("a document type or entity is refused", data=body)
    fault: ParseError | None = None
    for attempt in (_as_it_is, _repaired, _without_address):
        candidate = attempt(text)
        if fault is not None and candidate == text:
            continue
        text = candidate
        try:
            return _parse(text, body)
        except ParseError as error:
            fault = fault or error
    raise WireError(f"no XML: {fault}", data=body)


def _as_it_is(text: str) -> str:
    return text


def _repaired(text: str) -> str:
    text = _DECLARATION.sub("", text).strip()
    text = _NO_CHARACTER.sub("", text)
    text = _BARE_AMPERSAND.sub("&amp;", text)
    text = _PREFIX.sub(r"<\1", text)
    return _TAG.sub(lambda tag: _BARE_VALUE.sub(r'\1"\2"', tag[0]) if "=" in tag[0] else tag[0], text)


def _without_address(text: str) -> str:
    return _ADDRESS.sub("", text)


def _parse(text: str, body: bytes) -> Node:
    # safe here: `read` has refused document types, so there are no entities beyond XML's own five
    parser = XMLParser()  # noqa: S314
    parser.feed(text if text.isascii() else text.encode("utf-8", "replace").decode())
    root: Element = parser.close()
    return _node(root, MAX_DEPTH, [MAX_NODES], body)


def _node(element: Element, depth: int, budget: list[int], body: bytes) -> Node:
    budget[0] -= 1
    attributes = element.attrib
    if depth <= 0 or budget[0] < 0 or len(attributes) > MAX_ATTRIBUTES:
        raise WireError("XML that is too deep, or has too many elements or attributes", data=body)
    name, text = element.tag, element.text
    if name[0] == "{":
        name = name.rpartition("}")[2]
    return Node(
        name,
        text.strip() if text else "",
        [_node(child, depth - 1, budget, body) for child in element] if len(element) else (),
        {key.lower(): value for key, value in attributes.items()} if attributes else _NONE,
    )


def write(root: Node, charset: str = "GB2312") -> bytes:
    """The document's bytes under a declaration of that charset. GB2312 and GB18030 are written with the GB18030 codec.

    Characters that XML has no place for are left out.
    """
    out = [f'<?xml version="1.0" encoding="{charset}"?>\r\n']
    _write(root, out, "")
    codec = "gb18030" if charset.upper().startswith("GB") else charset
    return "".join(out).encode(codec, "replace")


def _write(node: Node, out: list[str], indent: str) -> None:
    attributes = "".join(f' {key}="{_escaped(value, quoted=True)}"' for key, value in node.attributes.items())
    if node.children:
        out.append(f"{indent}<{node.name}{attributes}>\r\n")
        for child in node.children:
            _write(child, out, indent + "  ")
        out.append(f"{indent}</{node.name}>\r\n")
    else:
        out.append(f"{indent}<{node.name}{attributes}>{_escaped(node.text)}</{node.name}>\r\n")


def _escaped(text: str, *, quoted: bool = False) -> str:
    text = _NO_CHARACTER.sub("", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace('"', "&quot;") if quoted else text
