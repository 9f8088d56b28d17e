"""Bodies of GA/T 1400.4-2017 requests and answers: JSON to objects and back.

What keeps to the standard is decoded in one pass of C. Only what does not is mended, member by member (`mending`); so
a device with a deviation costs its own time and not that of the others. Writing is always as the standard wants it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from anwang.kernel.errors import WireError
from anwang.wire.viid import refused
from anwang.wire.viid.mending import Mender
from anwang.wire.viid.objects import (
    EXTRAS,
    MAX_OBJECTS,
    MAX_TEXT,
    STATUS_TEXTS,
    Disposition,
    DispositionNotification,
    ResponseStatus,
    StatusCode,
    SubImages,
    SubscribeNotification,
    Wire,
)
from anwang.wire.viid.times import time_text

T = TypeVar("T", bound=Wire)

CONTENT_TYPE = "application/VIID+JSON;charset=utf-8"


class BodyError(WireError):
    """A body that cannot be taken at all. status: what the answer's StatusCode is, 7 (no JSON) or 8 (not this JSON)."""

    def __init__(self, reason: str, status: StatusCode, data: bytes = b"") -> None:
        super().__init__(reason, data=data[:256])
        self.status = status


@dataclass(frozen=True, slots=True)
class Unusable:
    """What stands in a list in the place of an object and is none, or may not be taken. status: what it is answered."""

    reason: str
    status: StatusCode = StatusCode.INVALID_JSON_CONTENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Body(Generic[T]):
    """What a body carried, one entry for each that was sent and in that order, so that each gets its answer.

    refused: objects and pictures of people in it that were thrown away unread. was_mended: it did not keep to the
    standard.
    """

    objects: Sequence[T | Unusable]
    refused: int = 0
    was_mended: bool = False


def is_json(content_type: str | None) -> bool:
    """Whether a body is to be read as JSON: everything but XML; devices send `application/VIID+JSON`, others, none."""
    return content_type is None or "xml" not in content_type.lower()


def read_list(kind: type[T], body: bytes) -> Body[T]:
    """The objects of `{"<X>ListObject":{"<X>Object":[…]}}`. Raises BodyError."""
    try:
        objects: list[T] = getattr(_list_decoder(kind).decode(body).wrapper, "items", None) or []
        return _without_people(Body(objects=objects))
    except (ValueError, RecursionError):
        return _without_people(_mended_list(kind, _decoded(body), body))


def read_one(kind: type[T], body: bytes) -> Body[T]:
    """The object of `{"<X>Object":{…}}`, or the first of a list; there is always one. Raises BodyError."""
    try:
        return _without_people(Body(objects=[_object_decoder(kind).decode(body).wrapper]))
    except (ValueError, RecursionError):
        found = _without_people(_mended_list(kind, _decoded(body), body))
    first = found.objects[0] if found.objects else None
    if first is None or (isinstance(first, Unusable) and first.status is StatusCode.INVALID_JSON_CONTENT):
        raise BodyError(f"there is no {kind.wire}Object in it", StatusCode.INVALID_JSON_CONTENT, body)
    return Body(objects=found.objects[:1], refused=found.refused, was_mended=True)


def status(url: str, code: StatusCode, *, at: datetime, id: str = "", reason: str = "") -> ResponseStatus:
    """The answer to one object. url: of the request; id: as it was sent; reason: instead of the standard's words."""
    return ResponseStatus(
        request_url=url[:256],
        status_code=code,
        status_string=reason or STATUS_TEXTS[code],
        id=id[:MAX_TEXT] or None,
        local_time=time_text(at),
    )


def read_statuses(body: bytes) -> list[ResponseStatus]:
    """What an answer says of each object, of one or of a list. Raises BodyError."""
    found = read_list(ResponseStatus, body)
    return [one for one in found.objects if not isinstance(one, Unusable)]


def refused_in(body: bytes) -> int:
    """How many objects of people a body carries, skipped unread, so that each gets its answer. Raises BodyError."""
    try:
        try:
            members = _RAW_MEMBERS.decode(body.removeprefix(b"\xef\xbb\xbf"))
        except UnicodeDecodeError:
            members = _RAW_MEMBERS.decode(body.decode("gb18030", "replace"))
        return sum(_skipped(bytes(value)) for name, value in members.items() if refused.is_refused(name))
    except (ValueError, RecursionError) as err:
        raise BodyError(f"it is no JSON object: {err}", StatusCode.INVALID_JSON_FORMAT, body) from None


def write_list(kind: type[T], objects: Sequence[T], **paging: int) -> bytes:
    """`{"<X>ListObject":{"<X>Object":[…]}}`. paging: TotalNum and the like, inside the list object."""
    return _encoded({f"{kind.wire}ListObject": {f"{kind.wire}Object": objects, **paging}})


def write_one(one: Wire) -> bytes:
    """`{"<X>Object":{…}}`."""
    return _encoded({f"{one.wire}Object": one})


def _encoded(value: object) -> bytes:
    data = msgspec.json.encode(value)
    if b'"' + EXTRAS.encode() + b'":' not in data:
        return data
    return msgspec.json.encode(_spread(msgspec.json.decode(data)))


def _spread(value: Any) -> Any:
    """Extras among the members, which count above them."""
    if isinstance(value, list):
        return [_spread(each) for each in value]
    if not isinstance(value, dict):
        return value
    extras = value.get(EXTRAS)
    if not isinstance(extras, dict):
        return {name: _spread(each) for name, each in value.items()}
    known = {name: _spread(each) for name, each in value.items() if name != EXTRAS}
    return {**known, **{name: each for name, each in extras.items() if name not in known}}


# ---- as the standard wants it: one pass -----------------------------------------------------------------------------


class _Wrapped(msgspec.Struct):
    wrapper: Any


@cache
def _list_decoder(kind: type[Wire]) -> msgspec.json.Decoder[_Wrapped]:
    listed = Annotated[list[kind], msgspec.Meta(max_length=MAX_OBJECTS)]  # type: ignore[valid-type]
    paging = [
        (name, Any, msgspec.field(default=None)) for name in ("RecordStartNo", "PageRecordNum", "TotalNum", "Pages")
    ]
    inner = msgspec.defstruct(
        f"{kind.__name__}List",
        [("items", listed, msgspec.field(name=f"{kind.wire}Object")), *paging],
        forbid_unknown_fields=True,
    )
    return _wrapping(f"{kind.wire}ListObject", inner)


@cache
def _object_decoder(kind: type[Wire]) -> msgspec.json.Decoder[_Wrapped]:
    return _wrapping(f"{kind.wire}Object", kind)


def _wrapping(name: str, inner: type) -> msgspec.json.Decoder[_Wrapped]:
    outer = msgspec.defstruct(
        "Body", [("wrapper", inner, msgspec.field(name=name))], bases=(msgspec.Struct,), forbid_unknown_fields=True
    )
    return msgspec.json.Decoder(outer, strict=False)


# ---- as it comes ----------------------------------------------------------------------------------------------------


def _decoded(body: bytes) -> object:
    """Any JSON, of GBK bytes too. Raises BodyError."""
    try:
        try:
            return msgspec.json.decode(body.removeprefix(b"\xef\xbb\xbf"))
        except UnicodeDecodeError:
            return msgspec.json.decode(body.decode("gb18030"))
    except RecursionError:
        reason = "it is nested too deeply"
    except ValueError as err:
        reason = f"it is no JSON: {err}"
    raise BodyError(reason, StatusCode.INVALID_JSON_FORMAT, body)


def _mended_list(kind: type[T], value: object, body: bytes) -> Body[T]:
    mender = Mender()
    items = _items(kind, value, mender)
    if items is None and not mender.refused:
        raise BodyError(f"there is no {kind.wire}ListObject in it", StatusCode.INVALID_JSON_CONTENT, body)
    if items is not None and len(items) > MAX_OBJECTS:
        raise BodyError(f"{len(items)} objects are above {MAX_OBJECTS}", StatusCode.INVALID_JSON_CONTENT, body)
    objects = [
        mender.mended(kind, each) if isinstance(each, dict) else Unusable(f"a {kind.wire}Object is no object")
        for each in items or ()
    ]
    return Body(objects=objects, refused=mender.refused, was_mended=True)


def _items(kind: type[Wire], value: object, mender: Mender) -> list[object] | None:
    """The objects, wherever they stand: in a list wrapper of either name, alone, or in a bare array."""
    if not isinstance(value, dict):
        return mender.items(kind, value)
    wrappers = {f"{kind.wire}{end}".lower() for end in ("ListObject", "ObjectList", "List", "Object")}
    found: list[object] | None = None
    for name, inner in value.items():
        if name.lower() in wrappers and found is None:
            found = mender.items(kind, inner)
        elif refused.is_refused(name):
            mender.refused += refused.count(inner)
    return found if found is not None or mender.refused else mender.items(kind, value)


_RAW_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_RAW_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])


def _skipped(data: bytes) -> int:
    """How many objects a member holds, without looking into any."""
    if data[:1] == b"[":
        return max(1, len(_RAW_ITEMS.decode(data)))
    if data[:1] != b"{":
        return 1
    lists = [bytes(one) for one in _RAW_MEMBERS.decode(data).values() if bytes(one)[:1] == b"["]
    return max(1, sum(len(_RAW_ITEMS.decode(one)) for one in lists))


# ---- pictures of people ---------------------------------------------------------------------------------------------


def _without_people(body: Body[T]) -> Body[T]:
    """Without the sub-images that show people; nearly always there are none."""
    number = 0
    objects: list[T | Unusable] = []
    for one in body.objects:
        clean, dropped = _taken(one)
        objects.append(clean)
        number += dropped
    if not number:
        return body
    return Body(objects=objects, refused=body.refused + number, was_mended=body.was_mended)


def _taken(one: T | Unusable) -> tuple[T | Unusable, int]:
    if isinstance(one, Unusable):
        return one, 0
    if isinstance(one, Disposition) and one.disposition_category in refused.CATEGORIES:
        return Unusable("controls of people are not taken", StatusCode.INVALID_OPERATION), 1
    return _clean(one)


def _with_images(one: T, images: SubImages) -> T:
    changed: dict[str, Any] = {"sub_image_list": images}
    return msgspec.structs.replace(one, **changed)


def _clean(one: T) -> tuple[T, int]:
    images = getattr(one, "sub_image_list", None)
    if isinstance(images, SubImages) and images.items:
        kept = [image for image in images.items if image.type not in refused.IMAGE_TYPES]
        if len(kept) == len(images.items):
            return one, 0
        trimmed = msgspec.structs.replace(images, items=kept)
        return _with_images(one, trimmed), len(images.items) - len(kept)
    if isinstance(one, DispositionNotification) and one.motor_vehicle_object is not None:
        vehicle, number = _clean(one.motor_vehicle_object)
        return (msgspec.structs.replace(one, motor_vehicle_object=vehicle), number) if number else (one, 0)
    if isinstance(one, SubscribeNotification) and one.motor_vehicle_object_list is not None:
        cleaned = [_clean(vehicle) for vehicle in one.motor_vehicle_object_list.items or ()]
        number = sum(dropped for _, dropped in cleaned)
        if number:
            listed = msgspec.structs.replace(one.motor_vehicle_object_list, items=[vehicle for vehicle, _ in cleaned])
            return msgspec.structs.replace(one, motor_vehicle_object_list=listed), number
    return one, 0
