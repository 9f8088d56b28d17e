"""Routes of the signs that tell of video systems."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from anwang.governance.duties.model import Sign
from anwang.governance.duties.photos import MOST_BYTES, photo_of
from anwang.governance.duties.signs import Signs, WantedSign
from anwang.governance.http import Cursor, Limit, NamedDto, Shape
from anwang.governance.http.duties import Keeper, Reader

UPLOADS = "/api/v1/signs/"
"""Below it bodies may be as large as UPLOAD_BYTES."""
UPLOAD_BYTES = MOST_BYTES


class ChangedSignDto(Shape):
    """What a sign is. longitude, latitude: WGS-84 degrees, or both null. checked_on: the day on which somebody last saw
    it. version: of what was read; any for a new one.
    """

    place: str = Field(max_length=400)
    longitude: float | None
    latitude: float | None
    wording: str = Field(max_length=1000)
    language: str = Field(max_length=100)
    contact: str = Field(max_length=400)
    checked_on: date
    version: int = 1

    def wanted(self) -> WantedSign:
        """As the service takes it."""
        return WantedSign(
            place=self.place,
            longitude=self.longitude,
            latitude=self.latitude,
            wording=self.wording,
            language=self.language,
            contact=self.contact,
            checked_on=self.checked_on,
        )


class NewSignDto(ChangedSignDto):
    """A sign to enter. system: the video system that it tells of."""

    system: str = Field(max_length=100)


class SignDto(Shape):
    """A sign. next_check_on: by when somebody must look again; is_due: that day is over. photo: a new text whenever
    there is another photo, "" while there is none.
    """

    id: str
    system: NamedDto
    place: str
    longitude: float | None
    latitude: float | None
    wording: str
    language: str
    contact: str
    checked_on: date
    next_check_on: date
    is_due: bool
    photo: str
    version: int


class SignsDto(Shape):
    """A page of signs, those first that nobody has looked at for longest."""

    items: list[SignDto]
    next: str | None


def _dto(signs: Signs, one: Sign) -> SignDto:
    next_check_on = signs.next_check_on(one)
    return SignDto(
        id=one.id,
        system=NamedDto(id=one.system_id, name=one.system_name),
        place=one.place,
        longitude=one.longitude,
        latitude=one.latitude,
        wording=one.wording,
        language=one.language,
        contact=one.contact,
        checked_on=one.checked_on,
        next_check_on=next_check_on,
        is_due=signs.today() > next_check_on,
        photo=one.photo_key.rpartition("/")[2],
        version=one.version,
    )


def build_router(signs: Signs) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/api/v1", tags=["governance"])

    @router.post("/signs", status_code=201)
    async def add_sign(actor: Keeper, body: NewSignDto) -> SignDto:
        """Enter a sign (提示标识)."""
        return _dto(signs, await signs.add(actor, body.system, body.wanted()))

    @router.get("/signs")
    async def list_signs(
        actor: Reader,
        system: Annotated[str, Query(max_length=100)] = "",
        cursor: Cursor = "",
        limit: Limit = 50,
    ) -> SignsDto:
        """Signs, those first that nobody has looked at for longest. system: only those of one."""
        page = await signs.page(actor, system_id=system, cursor=cursor, limit=limit)
        return SignsDto(items=[_dto(signs, each) for each in page.items], next=page.next)

    @router.put("/signs/{sign_id}")
    async def change_sign(actor: Keeper, sign_id: str, body: ChangedSignDto) -> SignDto:
        """It is otherwise, or somebody has looked at it."""
        return _dto(signs, await signs.change(actor, sign_id, body.wanted(), version=body.version))

    @router.delete("/signs/{sign_id}", status_code=204, response_class=Response)
    async def remove_sign(actor: Keeper, sign_id: str) -> None:
        """It is not there any more; its photo is deleted."""
        await signs.remove(actor, sign_id)

    @router.put("/signs/{sign_id}/photo")
    async def put_photo(actor: Keeper, sign_id: str, request: Request) -> SignDto:
        """Take a photo of it as the request's body: JPEG or PNG, 5 MiB at most."""
        return _dto(signs, await signs.put_photo(actor, sign_id, request.stream()))

    @router.get("/signs/{sign_id}/photo", response_class=Response)
    async def read_photo(actor: Reader, sign_id: str) -> Response:
        """Its photo."""
        data = await signs.photo(actor, sign_id)
        headers = {"x-content-type-options": "nosniff", "content-security-policy": "default-src 'none'"}
        return Response(data, media_type=photo_of(data).media_type, headers=headers)

    return router
