"""GA/T 1400: vectors of gat1400.md §17, bodies as the standard and as other implementations write them, and rubbish.

Bodies are written by plain `json`, never by our own writer; digests are checked by libraries that are not ours.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import Authorization as OtherAuthorization
from werkzeug.datastructures import WWWAuthenticate

from anwang.kernel.errors import Invalid, WireError
from anwang.wire.viid import access, refused
from anwang.wire.viid.bodies import (
    Body,
    BodyError,
    Unusable,
    is_json,
    read_list,
    read_one,
    read_statuses,
    refused_in,
    status,
    write_list,
    write_one,
)
from anwang.wire.viid.ids import BasicId, BasicType, BusinessId, BusinessType, ContentId, ContentType, belongs
from anwang.wire.viid.images import format_of, picture
from anwang.wire.viid.objects import (
    Ape,
    ApeStatus,
    Disposition,
    DispositionNotification,
    Keepalive,
    Lane,
    MotorVehicle,
    Register,
    ResponseStatus,
    StatusCode,
    SubImage,
    SubImages,
    Subscribe,
    SubscribeNotification,
    SystemTime,
    Tollgate,
    UnRegister,
    Wire,
    lacking,
)
from anwang.wire.viid.times import TimeFrom, event_time, parse_time, time_text

DEVICE, TOLLGATE = "34020000001320000011", "34020000001210000001"
SOURCE = "34020000001210000001022025060108301500001"
VEHICLE = SOURCE + "0200001"
MOMENT = datetime(2025, 6, 1, 0, 30, 15, tzinfo=UTC)
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 4
KINDS: list[type[Wire]] = [
    MotorVehicle, Ape, ApeStatus, Tollgate, Lane, Subscribe, SubscribeNotification, Disposition,
    DispositionNotification, ResponseStatus, Register, UnRegister, Keepalive, SystemTime,
]  # fmt: skip


def image(**changes: Any) -> dict[str, Any]:
    return {
        "ImageID": SOURCE,
        "EventSort": 1,
        "DeviceID": DEVICE,
        "StoragePath": "",
        "Type": "09",
        "FileFormat": "Jpeg",
        "ShotTime": "20250601083015",
        "Width": 1920,
        "Height": 1080,
        "Data": base64.b64encode(JPEG).decode(),
    } | changes


def vehicle(**changes: Any) -> dict[str, Any]:
    """The sample of §7."""
    return {
        "MotorVehicleID": VEHICLE,
        "InfoKind": 1,
        "SourceID": SOURCE,
        "TollgateID": TOLLGATE,
        "DeviceID": DEVICE,
        "StorageUrl1": "",
        "LeftTopX": 812,
        "LeftTopY": 440,
        "RightBtmX": 1460,
        "RightBtmY": 1020,
        "HasPlate": True,
        "PlateClass": "02",
        "PlateColor": "5",
        "PlateNo": "皖B12345",
        "VehicleClass": "K33",
        "VehicleColor": "2",
        "Speed": 46.5,
        "Direction": "4",
        "LaneNo": 2,
        "PassTime": "20250601083015",
        "SubImageList": {"SubImageInfoObject": [image()]},
    } | changes


def listed(*objects: Any) -> bytes:
    return json.dumps({"MotorVehicleListObject": {"MotorVehicleObject": list(objects)}}, ensure_ascii=False).encode()


def only(body: bytes) -> MotorVehicle:
    found = read_list(MotorVehicle, body)
    assert len(found.objects) == 1
    one = found.objects[0]
    assert isinstance(one, MotorVehicle)
    return one


# ---- as the standard writes it ---------------------------------------------------------------------------------------


def test_a_list_as_the_standard_writes_it() -> None:
    found = read_list(MotorVehicle, listed(vehicle(), vehicle(PlateNo="津AD12345")))
    assert not found.was_mended, "it takes the way that stays in C"
    assert found.refused == 0
    first, second = found.objects
    assert isinstance(first, MotorVehicle)
    assert isinstance(second, MotorVehicle)
    assert (first.motor_vehicle_id, first.source_id, first.tollgate_id) == (VEHICLE, SOURCE, TOLLGATE)
    assert (first.plate_no, first.plate_color, first.has_plate, first.speed, first.lane_no) == (
        "皖B12345",
        "5",
        True,
        46.5,
        2,
    )
    assert (first.left_top_x, first.left_top_y, first.right_btm_x, first.right_btm_y) == (812, 440, 1460, 1020)
    assert second.plate_no == "津AD12345"
    assert first.sub_image_list is not None
    assert first.sub_image_list.items is not None
    shot = first.sub_image_list.items[0]
    assert (shot.type, shot.width, shot.event_sort) == ("09", 1920, 1)
    assert picture(shot.data or "") == (JPEG, "jpeg")
    assert not lacking(first)
    assert lacking(MotorVehicle(motor_vehicle_id=VEHICLE))[:2] == ["InfoKind", "SourceID"]
    assert len(repr(first)) < 4000, "no picture in a log"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_by_its_names(kind: type[Wire]) -> None:
    assert not read_list(
        kind, json.dumps({f"{kind.wire}ListObject": {f"{kind.wire}Object": [{}, {}]}}).encode()
    ).was_mended
    assert read_list(kind, json.dumps({f"{kind.wire}ObjectList": {f"{kind.wire}Object": [{}, {}]}}).encode()).was_mended
    assert not read_one(kind, json.dumps({f"{kind.wire}Object": {}}).encode()).was_mended
    assert json.loads(write_one(kind())) == {f"{kind.wire}Object": {}}
    assert json.loads(write_list(kind, [], TotalNum=0)) == {
        f"{kind.wire}ListObject": {f"{kind.wire}Object": [], "TotalNum": 0}
    }


def test_wire_names_are_those_of_the_fact_sheet() -> None:
    """Not derived by rule only: the members whose spelling is uneven, as §7 to §11 have them."""
    for kind, names in {
        MotorVehicle: "MotorVehicleID StorageUrl1 RightBtmX IsDecked NumOfPassenger DescOfFrontItem SubImageList "
        "CarOfVehicle",
        Ape: "ApeID IPAddr IPV6Addr OwnerApsID UserId Password FunctionType CapDirection",
        ApeStatus: "ApeID IsOnline CurrentTime",
        Tollgate: "TollgateID TollgateCat TollgateUsage LaneNum ActiveTime PlaceCode",
        Lane: "TollgateID LaneId LaneNo MaxSpeed CityPass ApeID",
        Subscribe: "SubscribeID SubscribeDetail ResourceURI ReceiveAddr ReportInterval OperateType TabID",
        SubscribeNotification: "NotificationID InfoIDs DeviceList DeviceStatusList TollgateObjectList LaneObjectList "
        "MotorVehicleObjectList ExecuteOperation",
        Disposition: "DispositionID TargetImageURI PriorityLevel DispositionRange TollgateList DispositionRemoveOrg",
        DispositionNotification: "CntObjectID MotorVehicleObject TriggerTime",
        ResponseStatus: "RequestURL StatusCode StatusString Id LocalTime",
        Register: "DeviceID ProtocolVersion",
        SystemTime: "VIIDServerID TimeMode LocalTime TimeZone",
        SubImage: "ImageID EventSort StoragePath FileFormat ShotTime Data",
    }.items():
        assert set(names.split()) <= set(kind.__struct_encode_fields__)


def test_what_is_written_is_read_by_plain_json() -> None:
    one = MotorVehicle(motor_vehicle_id=VEHICLE, has_plate=False, lane_no=2, plate_color="5", speed=46.5)
    assert json.loads(write_list(MotorVehicle, [one])) == {
        "MotorVehicleListObject": {
            "MotorVehicleObject": [
                {"MotorVehicleID": VEHICLE, "HasPlate": False, "LaneNo": 2, "PlateColor": "5", "Speed": 46.5}
            ]
        }
    }
    status = ResponseStatus(
        request_url="/VIID/System/Register", status_code=StatusCode.OK, status_string="OK", id=DEVICE
    )
    assert json.loads(write_one(status)) == {
        "ResponseStatusObject": {
            "RequestURL": "/VIID/System/Register",
            "StatusCode": 0,
            "StatusString": "OK",
            "Id": DEVICE,
        }
    }


def test_a_notification_carries_lists_under_the_other_name() -> None:
    """§10.2: `ObjectList` inside, `ListObject` outside."""
    sent = {
        "NotificationID": "340200000000042025060108302000001",
        "SubscribeID": "340200000000032025060100000000001",
        "Title": "motor vehicles",
        "TriggerTime": "20250601083020",
        "InfoIDs": VEHICLE,
        "MotorVehicleObjectList": {"MotorVehicleObject": [vehicle()]},
        "DeviceList": {"APEObject": [{"ApeID": DEVICE, "Longitude": 117.2, "Password": "secret"}]},
    }
    whole = {"SubscribeNotificationListObject": {"SubscribeNotificationObject": [sent]}}
    plain = read_list(SubscribeNotification, json.dumps(whole).encode())
    sent["MotorVehicleListObject"] = sent.pop("MotorVehicleObjectList")["MotorVehicleObject"]  # type: ignore[index]
    bare = read_list(SubscribeNotification, json.dumps({"SubscribeNotificationObject": sent}).encode())
    assert not plain.was_mended
    assert bare.was_mended
    assert plain.objects == bare.objects
    one = plain.objects[0]
    assert isinstance(one, SubscribeNotification)
    assert one.motor_vehicle_object_list is not None
    assert [each.plate_no for each in one.motor_vehicle_object_list.items or ()] == ["皖B12345"]
    assert one.device_list is not None
    assert "secret" not in repr(one)


def test_a_hit_carries_its_vehicle() -> None:
    sent = {"NotificationID": "1", "CntObjectID": VEHICLE, "MotorVehicleObject": vehicle(LaneNo="2", Speed="")}
    body = {"DispositionNotificationListObject": {"DispositionNotificationObject": [sent]}}
    one = read_list(DispositionNotification, json.dumps(body).encode()).objects[0]
    assert isinstance(one, DispositionNotification)
    assert one.motor_vehicle_object is not None
    assert (one.motor_vehicle_object.lane_no, one.motor_vehicle_object.speed) == (2, None)


# ---- as it comes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"MotorVehicleListObject": {"MotorVehicleObject": vehicle()}},
        {"MotorVehicleObjectList": {"MotorVehicleObject": [vehicle()]}},
        {"MotorVehicleList": [vehicle()]},
        {"MotorVehicleListObject": [vehicle()]},
        {"MotorVehicleListObject": vehicle()},
        {"MotorVehicleObject": vehicle()},
        {"MotorVehicleObject": [vehicle()]},
        {"motorVehicleListObject": {"motorVehicleObject": [vehicle()]}},
        {"MotorVehicleListObject": {"MotorVehicleObject": [vehicle()], "PageSize": 20}},
        [vehicle()],
        vehicle(),
    ],
)
def test_wrappers_of_other_implementations(body: Any) -> None:
    found = read_list(MotorVehicle, json.dumps(body).encode())
    assert found.was_mended
    assert found.objects == read_list(MotorVehicle, listed(vehicle())).objects


@pytest.mark.parametrize(
    ("changes", "name", "wanted"),
    [
        ({"LaneNo": "2"}, "lane_no", 2),
        ({"LaneNo": " 2 "}, "lane_no", 2),
        ({"LaneNo": 2.0}, "lane_no", 2),
        ({"LaneNo": "2.0"}, "lane_no", 2),
        ({"LaneNo": ""}, "lane_no", None),
        ({"LaneNo": None}, "lane_no", None),
        ({"Speed": "46.5"}, "speed", 46.5),
        ({"Speed": 46}, "speed", 46.0),
        ({"HasPlate": 1}, "has_plate", True),
        ({"HasPlate": 0}, "has_plate", False),
        ({"HasPlate": "1"}, "has_plate", True),
        ({"HasPlate": "0"}, "has_plate", False),
        ({"HasPlate": "true"}, "has_plate", True),
        ({"HasPlate": "False"}, "has_plate", False),
        ({"HasPlate": ""}, "has_plate", None),
        ({"PlateColor": 5}, "plate_color", "5"),
        ({"PlateReliability": 98}, "plate_reliability", "98"),
        ({"PlateNo": None}, "plate_no", None),
        ({"StorageURL1": "http://10.0.0.9/1.jpg", "StorageUrl1": None}, "storage_url1", "http://10.0.0.9/1.jpg"),
        ({"DisAppearTime": "20250601083016"}, "disappear_time", "20250601083016"),
        ({"SubImageList": None}, "sub_image_list", None),
        ({"SubImageList": ""}, "sub_image_list", None),
    ],
)
def test_values_of_other_implementations(changes: dict[str, Any], name: str, wanted: object) -> None:
    assert getattr(only(listed(vehicle(**changes))), name) == wanted


@pytest.mark.parametrize(
    "images",
    [
        {"SubImageInfoObject": image()},
        [image()],
        image(),
        {"SubImageInfoObject": [image(Width="1920", Type=9)]},
        {"subImageInfoObject": [image()]},
    ],
)
def test_pictures_of_other_implementations(images: Any) -> None:
    listed_images = only(listed(vehicle(SubImageList=images))).sub_image_list
    assert listed_images is not None
    assert [(one.width, (one.type or "").lstrip("0")) for one in listed_images.items or ()] == [(1920, "9")]


def test_lanes_in_both_spellings() -> None:
    for name in ("LaneId", "LaneID", "laneid"):
        one = read_one(Lane, json.dumps({"LaneObject": {name: 3}}).encode()).objects[0]
        assert isinstance(one, Lane)
        assert one.lane_id == 3


def test_what_fits_nowhere_is_kept_and_written_again() -> None:
    sent = vehicle(VendorScore={"a": [1, 2]}, Speed="fast", LaneNo=10**12, PlateNo="津" * 5000)
    sent["SubImageList"]["SubImageInfoObject"][0]["Vendor"] = "x"
    one = only(listed(sent))
    assert one.extras == {"VendorScore": {"a": [1, 2]}, "Speed": "fast", "LaneNo": 10**12, "PlateNo": "津" * 5000}
    assert (one.speed, one.lane_no, one.plate_no) == (None, None, None)
    again = json.loads(write_list(MotorVehicle, [one]))["MotorVehicleListObject"]["MotorVehicleObject"][0]
    assert again == sent
    assert only(listed(again)) == one


def test_extras_are_bounded() -> None:
    one = only(listed(vehicle(Blob="x" * 100_000)))
    assert one.extras is None
    assert one.plate_no == "皖B12345"
    assert only(listed(vehicle(Deep=json.loads("[" * 100 + "]" * 100)))).extras is not None
    assert only(listed(vehicle()).replace(b'"InfoKind"', b'"Long": ' + b"1" * 400 + b', "InfoKind"')).info_kind == 1


def test_gbk_bytes_and_a_byte_order_mark() -> None:
    text = listed(vehicle()).decode()
    for body in (text.encode("gbk"), text.encode("gb18030"), b"\xef\xbb\xbf" + text.encode()):
        assert only(body).plate_no == "皖B12345"


def test_each_entry_has_its_place() -> None:
    found = read_list(MotorVehicle, listed(vehicle(), 5, None, "x", vehicle(PlateNo="津A12345")))
    assert [isinstance(one, Unusable) for one in found.objects] == [False, True, True, True, False]


@pytest.mark.parametrize("kind", [None, "application/VIID+JSON", "application/json;charset=utf-8", "text/plain", ""])
def test_content_types(kind: str | None) -> None:
    assert is_json(kind)
    assert not is_json("application/VIID+XML")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", StatusCode.INVALID_JSON_FORMAT),
        (b"{", StatusCode.INVALID_JSON_FORMAT),
        (b"<a/>", StatusCode.INVALID_JSON_FORMAT),
        (b"[" * 100_000, StatusCode.INVALID_JSON_FORMAT),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, StatusCode.INVALID_JSON_FORMAT),
        (b"\xff\xff\xff", StatusCode.INVALID_JSON_FORMAT),
        (b'{"a":"\\ud800"}', StatusCode.INVALID_JSON_FORMAT),
        (b"5", StatusCode.INVALID_JSON_CONTENT),
        (b"null", StatusCode.INVALID_JSON_CONTENT),
        (b"{}", StatusCode.INVALID_JSON_CONTENT),
        (b'{"MotorVehicleListObject":null}', StatusCode.INVALID_JSON_CONTENT),
        (
            b'{"MotorVehicleListObject":{"MotorVehicleObject":[' + b"1," * 20_000 + b"1]}}",
            StatusCode.INVALID_JSON_CONTENT,
        ),
    ],
)
def test_bodies_that_are_refused(body: bytes, status: StatusCode) -> None:
    with pytest.raises(BodyError) as caught:
        read_list(MotorVehicle, body)
    assert caught.value.status is status


@pytest.mark.parametrize(
    "body",
    [
        b'{"ResponseStatusObject":{"StatusCode":0,"Id":"1"}}',
        b'{"ResponseStatusObject":{"StatusCode":"0","Id":1}}',
        b'{"ResponseStatusListObject":{"ResponseStatusObject":[{"StatusCode":0,"Id":"1"}]}}',
        b'{"ResponseStatusListObject":{"ResponseStatusObject":{"StatusCode":"0","Id":"1"}}}',
        b'{"ResponseStatusList":{"ResponseStatusObject":[{"StatusCode":"0","Id":"1"}]}}',
    ],
)
def test_answers_of_other_implementations(body: bytes) -> None:
    assert [(one.status_code, one.id) for one in read_statuses(body)] == [(0, "1")]


def test_an_answer_in_the_words_of_the_standard() -> None:
    one = status("/VIID/MotorVehicles", StatusCode.INVALID_JSON_CONTENT, at=MOMENT, id=VEHICLE)
    assert json.loads(write_one(one))["ResponseStatusObject"] == {
        "RequestURL": "/VIID/MotorVehicles",
        "StatusCode": 8,
        "StatusString": "Invalid JSON Content",
        "Id": VEHICLE,
        "LocalTime": "20250601083015",
    }


def test_a_registration() -> None:
    body = json.dumps({"RegisterObject": {"DeviceID": DEVICE}}).encode()
    assert read_one(Register, body).objects == [Register(device_id=DEVICE)]
    assert read_one(Keepalive, json.dumps({"KeepaliveObject": {"DeviceID": int(DEVICE)}}).encode()).objects == [
        Keepalive(device_id=DEVICE)
    ]
    with pytest.raises(BodyError, match="no RegisterObject"):
        read_one(Register, b'{"RegisterObject":5}')


# ---- people ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "number"),
    [
        ({"FaceListObject": {"FaceObject": [{"FaceID": "1", "Name": "x"}, {"FaceID": "2"}]}}, 2),
        ({"PersonListObject": {"PersonObject": [{}, {}, {}]}}, 3),
        ({"FaceListObject": {"FaceObject": {"FaceID": "1"}}}, 1),
        ({"FaceObject": {"FaceID": "1", "SubImageList": {}}}, 1),
        ({"faceListObject": [{}, {}]}, 2),
        ({"FaceListObject": None}, 1),
        ({"MotorVehicleListObject": {}}, 0),
    ],
)
def test_objects_of_people_are_counted(body: Any, number: int) -> None:
    assert refused_in(json.dumps(body).encode()) == number
    assert refused_in(json.dumps(body | {"x": "中"}, ensure_ascii=False).encode("gbk")) == number


def test_objects_of_people_are_thrown_away_wherever_they_stand() -> None:
    faces = {"FaceObject": [{"FaceID": "SECRET"}, {"FaceID": "SECRET"}]}
    sent = vehicle(FaceList=faces, Ext={"more": [{"PersonList": {"PersonObject": [{"Name": "SECRET"}]}}]},
                   FeatureList={"FeatureInfoObject": [{"FeatureData": "SECRET"}]})  # fmt: skip
    sent["SubImageList"]["SubImageInfoObject"][0]["FaceInfo"] = {"x": "SECRET"}
    sent["SubImageList"]["PersonList"] = [{"x": "SECRET"}]
    sent["+"] = {"FaceList": [{"x": "SECRET"}]}
    body = {"MotorVehicleListObject": {"MotorVehicleObject": [sent], "FaceList": [1]}, "FaceListObject": faces}
    found = read_list(MotorVehicle, json.dumps(body).encode())
    assert found.refused == 2 + 1 + 1 + 1 + 1 + 2
    assert b"SECRET" not in write_list(MotorVehicle, [one for one in found.objects if isinstance(one, MotorVehicle)])


def test_no_json_becomes_extras_unseen() -> None:
    body = listed(vehicle()).replace(b'"InfoKind"', b'"\\u002b": {"FaceList": [{"x": "SECRET"}]}, "InfoKind"')
    assert only(body).extras is None
    assert b"SECRET" not in write_list(MotorVehicle, [only(body)])


def test_pictures_of_people_are_thrown_away() -> None:
    shots = [image(), image(Type="04"), image(Type="05"), image(Type="10"), image(Type="11"), image(Type="02")]
    for sent in (shots, [one | {"Width": "", "Type": one["Type"].lstrip("0")} for one in shots]):
        found = read_list(MotorVehicle, listed(vehicle(SubImageList={"SubImageInfoObject": sent}), vehicle()))
        assert found.refused == 4
        one = found.objects[0]
        assert isinstance(one, MotorVehicle)
        assert one.sub_image_list is not None
        assert [(each.type or "").lstrip("0") for each in one.sub_image_list.items or ()] == ["9", "2"]
    hit = {"MotorVehicleObject": vehicle(SubImageList={"SubImageInfoObject": shots}), "FaceObject": {"FaceID": "1"}}
    told = read_one(DispositionNotification, json.dumps({"DispositionNotificationObject": hit}).encode())
    assert told.refused == 5
    both = {
        "MotorVehicleObjectList": {"MotorVehicleObject": [hit["MotorVehicleObject"]]},
        "PersonObjectList": {"PersonObject": [1, 2]},
    }
    assert read_one(SubscribeNotification, json.dumps({"SubscribeNotificationObject": both}).encode()).refused == 6


@pytest.mark.parametrize("category", ["1", "2", "02", 2])
def test_controls_of_people_are_thrown_away(category: object) -> None:
    sent = [{"DispositionID": "1", "DispositionCategory": "3"}, {"DispositionCategory": category, "Title": "SECRET"}]
    found = read_list(Disposition, json.dumps({"DispositionListObject": {"DispositionObject": sent}}).encode())
    assert found.refused == 1
    kept, refusal = found.objects
    assert isinstance(kept, Disposition)
    assert isinstance(refusal, Unusable)
    assert refusal.status is StatusCode.INVALID_OPERATION
    assert "SECRET" not in repr(found)
    single = read_one(Disposition, json.dumps({"DispositionObject": sent[1]}).encode())
    assert single.objects == [refusal]


@pytest.mark.parametrize(
    "name", ["FaceObject", "faceList", "facelist", "FACE_LIST", "PersonObjectList", "DriverFaceInfo", "persons"]
)
def test_names_that_are_refused(name: str) -> None:
    assert refused.is_refused(name)


@pytest.mark.parametrize(
    "name", ["SurfaceType", "NumOfPassenger", "Interface", "MotorVehicleObject", "NonMotorVehicle", "x", ""]
)
def test_names_that_are_not(name: str) -> None:
    assert not refused.is_refused(name)


# ---- times and ids ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("20250601083015", MOMENT),
        ("20250601083015120", MOMENT + timedelta(milliseconds=120)),
        ("2025-06-01 08:30:15", MOMENT),
        ("2025-06-01 08:30:15.120", MOMENT + timedelta(milliseconds=120)),
        ("2025/06/01 08:30:15", MOMENT),
        ("2025-06-01T08:30:15", MOMENT),
        ("2025-06-01T00:30:15Z", MOMENT),
        ("2025-06-01T08:30:15+08:00", MOMENT),
        (" 20250601083015 ", MOMENT),
        ("19700101080000", None),
        ("20250631083015", None),
        ("20250601083060", None),
        ("2025-06-01", None),
        ("20250601", None),
        ("0", None),
        ("", None),
        ("2025060108301512", None),
        ("２０２５０６０１０８３０１５", None),
        ("2025-06-01T08:30:15" + "0" * 100, None),
    ],
)
def test_times_in_their_forms(text: str, moment: datetime | None) -> None:
    assert parse_time(text) == moment


@given(st.integers(0, 3_155_000_000_000))
def test_times_survive(millis: int) -> None:
    moment = datetime(2000, 1, 2, tzinfo=UTC) + timedelta(milliseconds=millis)
    assert parse_time(time_text(moment, with_millis=True)) == moment
    assert parse_time(time_text(moment)) == moment.replace(microsecond=0)


@given(st.text(max_size=45) | st.from_regex(r"[0-9T:. Z+/-]{0,40}", fullmatch=True))
def test_any_text_is_a_time_or_none(text: str) -> None:
    moment = parse_time(text)
    assert moment is None or moment.tzinfo is UTC


def test_the_time_of_a_pass_is_the_first_that_is_said() -> None:
    received = MOMENT + timedelta(minutes=5)
    shots = SubImages(items=[SubImage(), SubImage(shot_time="20250601083003")])
    source = SOURCE[:22] + "20250601083004" + "00001"
    full = {
        "pass_time": "20250601083001",
        "appear_time": "20250601083002",
        "sub_image_list": shots,
        "source_id": source,
    }
    order = list(TimeFrom)
    for second, name in enumerate(full, 1):
        moment, origin = event_time(MotorVehicle(**full), received)  # type: ignore[arg-type]
        assert (moment, origin) == (datetime(2025, 6, 1, 0, 30, second, tzinfo=UTC), order[second - 1])
        full = {**full, name: None if name == "sub_image_list" else "0"}
    assert event_time(MotorVehicle(**full), received) == (received, TimeFrom.RECEIVED)  # type: ignore[arg-type]


def test_section_17_ids() -> None:
    source = BasicId(TOLLGATE, BasicType.IMAGE, MOMENT, 1)
    assert str(source) == TOLLGATE + "02" + "20250601083015" + "00001" == SOURCE
    assert str(ContentId(source, ContentType.MOTOR_VEHICLE, 1)) == SOURCE + "02" + "00001"
    midnight = datetime(2025, 5, 31, 16, tzinfo=UTC)
    subscription = BusinessId("340200000000", BusinessType.SUBSCRIBE, midnight, 1)
    assert str(subscription) == "340200000000" + "03" + "20250601000000" + "00001"
    assert BasicId.parse(SOURCE) == source
    assert ContentId.parse(VEHICLE).source == source
    assert BusinessId.parse(str(subscription)) == subscription
    assert belongs(VEHICLE, SOURCE)
    assert not belongs(VEHICLE, SOURCE[:-1] + "2")


@pytest.mark.parametrize("text", ["", SOURCE[:-1], SOURCE + "0", "x" * 41, SOURCE.replace("2025", "1025"), "１" * 41])
def test_ids_that_are_none(text: str) -> None:
    with pytest.raises(WireError):
        BasicId.parse(text)
    with pytest.raises(WireError):
        ContentId.parse(text + "0200001")
    with pytest.raises(WireError):
        BusinessId.parse(text[8:])


def test_ids_that_cannot_be_written() -> None:
    for wrong in (
        BasicId("1", "02", MOMENT, 1),
        BasicId(TOLLGATE, "2", MOMENT, 1),
        BasicId(TOLLGATE, "02", MOMENT, 100_000),
    ):
        with pytest.raises(WireError):
            str(wrong)


# ---- pictures --------------------------------------------------------------------------------------------------------


def test_a_picture_in_its_spellings() -> None:
    text = base64.b64encode(JPEG).decode()
    broken = "\r\n".join(text[at : at + 76] for at in range(0, len(text), 76))
    for spelled in (text, "data:image/jpeg;base64," + text, broken, text.rstrip("="), text + "\n"):
        assert picture(spelled) == (JPEG, "jpeg")


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"\x89PNG\r\n\x1a\n", "png"),
        (b"BM", "bmp"),
        (b"GIF89a", "gif"),
        (b"II*\0", "tiff"),
        (b"RIFF0000WEBP", "webp"),
        (b"MZ", None),
    ],
)
def test_a_picture_is_what_its_first_bytes_say(start: bytes, name: str | None) -> None:
    assert format_of(start + bytes(64)) == name


@pytest.mark.parametrize(
    "text", ["", "====", "津A12345", base64.b64encode(b"MZ" + bytes(60)).decode(), "!" * 40, "/9j/4A=AQ"]
)
def test_what_is_no_picture(text: str) -> None:
    with pytest.raises(WireError):
        picture(text)


def test_a_picture_has_a_bound() -> None:
    large = JPEG + bytes(2000)
    assert picture(base64.b64encode(large).decode(), max_bytes=len(large)).data == large
    with pytest.raises(WireError, match="above"):
        picture(base64.b64encode(large).decode(), max_bytes=len(large) - 1)
    with pytest.raises(WireError, match="above"):
        picture("A" * 100_000, max_bytes=1000)


# ---- digest ----------------------------------------------------------------------------------------------------------

NAME, REALM, SECRET, PATH = "34020000001320000001", "viid", "12345678", "/VIID/System/Register"
NONCE = "6fe9ba44a76be22a"


def test_section_17_digest() -> None:
    header = access.answered(
        access.challenge(REALM, NONCE), method="POST", uri=PATH, username=NAME, password=SECRET, cnonce="0a4f113b"
    )
    given_ = access.read_authorization(header)
    assert access.ha1(NAME, REALM, SECRET) == "799b761af2b6ed1891ee882db859872a"
    assert hashlib.md5(b"POST:" + PATH.encode()).hexdigest() == "e981db7569f065fda647d8236af6f901"
    assert given_.response == "07a4f2323ad4dc4db8df8b4f5ea4b23b"
    assert (given_.nc, given_.qop) == ("00000001", "auth")


def test_the_challenge_is_one_that_simple_clients_take_apart() -> None:
    header = access.challenge(REALM, NONCE)
    assert header == 'Digest realm="viid",qop="auth",nonce="6fe9ba44a76be22a"'
    naive = dict(part.split("=") for part in header.removeprefix("Digest ").split(","))
    assert {name: value.strip('"') for name, value in naive.items()} == {"realm": REALM, "qop": "auth", "nonce": NONCE}
    for realm, nonce in (('a"b', NONCE), ("a,b", NONCE), (REALM, "YWJj="), (REALM, ""), ("", NONCE)):
        with pytest.raises(Invalid):
            access.challenge(realm, nonce)


def independent(method: str, url: str, password: str) -> str:
    """What another library answers to our challenge."""
    flow = httpx.DigestAuth(NAME, password).auth_flow(request := httpx.Request(method, url))
    next(flow)
    asked = httpx.Response(401, headers={"WWW-Authenticate": access.challenge(REALM, NONCE)}, request=request)
    return flow.send(asked).headers["Authorization"]


def test_another_library_answers_our_challenge() -> None:
    known = access.ha1(NAME, REALM, SECRET)
    good = access.read_authorization(independent("POST", "http://10.0.0.1:8080" + PATH, SECRET))
    assert access.is_proved(good, method="POST", target=PATH, ha1_hex=known)
    assert access.is_proved(good, method="POST", target="http://10.0.0.1:8080" + PATH + "/", ha1_hex=known)
    assert not access.is_proved(good, method="GET", target=PATH, ha1_hex=known)
    assert not access.is_proved(good, method="POST", target="/VIID/System/UnRegister", ha1_hex=known)
    wrong = access.read_authorization(independent("POST", "http://10.0.0.1:8080" + PATH, "87654321"))
    assert not access.is_proved(wrong, method="POST", target=PATH, ha1_hex=known)


def test_another_library_reads_our_headers() -> None:
    asked = WWWAuthenticate.from_header(access.challenge(REALM, NONCE))
    assert asked is not None
    assert (asked.type, asked.realm, asked.nonce, asked.qop) == ("digest", REALM, NONCE, "auth")
    header = access.answered(
        str(asked.to_header()), method="POST", uri=PATH, username=NAME, password=SECRET, cnonce="0a4f113b", nc=10
    )
    told = OtherAuthorization.from_header(header)
    assert told is not None
    assert (told.username, told.uri, told.nc, told.response) == (NAME, PATH, "0000000a", told.get("response"))


@pytest.mark.parametrize("uri", [PATH, "http://10.0.0.1:8080" + PATH, PATH + "/"])
@pytest.mark.parametrize("form", ["quoted", "bare", "short"])
def test_authorizations_of_other_implementations(uri: str, form: str) -> None:
    """§2.1: the whole address as uri, and without qop the short form; computed here by hand."""

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    known, asked = md5(f"{NAME}:{REALM}:{SECRET}"), md5(f"POST:{uri}")
    common = f'Digest username="{NAME}",realm="{REALM}",nonce="{NONCE}",uri="{uri}"'
    if form == "short":
        header = f'{common},response="{md5(f"{known}:{NONCE}:{asked}")}"'
    else:
        proof = md5(f"{known}:{NONCE}:00000001:0a4f113b:auth:{asked}")
        quality = 'qop="auth",nc="00000001"' if form == "quoted" else "qop=auth,nc=00000001"
        header = f'{common},{quality},cnonce="0a4f113b",response="{proof.upper()}"'
    told = access.read_authorization(header)
    assert access.is_proved(told, method="POST", target=PATH, ha1_hex=known)
    assert not access.is_proved(told, method="POST", target="/VIID/System/Keepalive", ha1_hex=known)


# ---- rubbish ---------------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(
    ["MotorVehicleListObject", "MotorVehicleObject", "MotorVehicleObjectList", "SubImageList", "SubImageInfoObject",
     "LaneNo", "Speed", "HasPlate", "PlateNo", "FaceList", "FeatureList", "Type", "+", "x", "MotorVehicleID"]
)  # fmt: skip
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=30,
)


def taken(kind: type[Wire], body: bytes) -> Body[Any] | None:
    try:
        found = read_list(kind, body)
    except BodyError:
        return None
    objects = [one for one in found.objects if isinstance(one, kind)]
    written = write_list(kind, objects)
    again = [one for one in read_list(kind, written).objects if isinstance(one, kind)]
    assert json.loads(write_list(kind, again)) == json.loads(written), "what is written is read again"
    return found


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_or_read(body: bytes) -> None:
    taken(MotorVehicle, body)
    for reader in (refused_in, read_statuses):
        with contextlib.suppress(BodyError):
            reader(body)


@settings(max_examples=300)
@given(TREES, st.sampled_from(KINDS))
def test_any_json_is_refused_or_read(tree: Any, kind: type[Wire]) -> None:
    taken(kind, json.dumps(tree).encode())
    taken(MotorVehicle, json.dumps({"MotorVehicleListObject": {"MotorVehicleObject": [tree]}}).encode())


@given(st.integers(0, 3000), st.integers(0, 255))
def test_a_byte_changed_is_refused_or_read(at: int, byte: int) -> None:
    body = bytearray(listed(vehicle()))
    body[at % len(body)] = byte
    taken(MotorVehicle, bytes(body))


@given(st.text(max_size=60))
def test_any_text_is_a_picture_or_refused(text: str) -> None:
    with contextlib.suppress(WireError):
        picture(text)
