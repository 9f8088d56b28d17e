"""Who is asked how it is set, how often and how fast (domain.md G24)."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anwang.gateways.gb28181 import translate
from anwang.gateways.gb28181.configurations import DAY_S, Configurations, types_of
from anwang.gateways.gb28181.sessions import Session, Sessions
from anwang.kernel.errors import Unavailable, WireError
from anwang.registry import Answer
from anwang.registry.drift import MOST_KEYS, values_of
from anwang.runtime.clock import FakeClock
from anwang.wire import gb28181 as gb


class City:
    """Devices that answer DeviceInfo only, where they answer; asked: device and moment of each DeviceInfo."""

    def __init__(self, *, is_silent: bool = False) -> None:
        self.clock = FakeClock()
        self.is_silent = is_silent
        self.asked: list[tuple[str, float]] = []
        self.taken: list[str] = []
        self.sessions = Sessions(keepalive_s=60, misses=3)
        always = asyncio.Event()
        always.set()
        stub: Any = SimpleNamespace(
            next_sn=lambda: 1, query=self.query, is_adopted=lambda device: True, own=lambda device: {},
            told=SimpleNamespace(report=lambda key: None),
        )  # fmt: skip
        self.configurations = Configurations(
            clock=self.clock, registry=stub, sessions=self.sessions, manners=stub, questions=stub,
            ask_status=self.status, take=self.take, per_second=4.0, calm=always,
        )  # fmt: skip

    def register(self, device: str) -> None:
        self.sessions.put(
            Session(device=device, peer=("udp", "10.0.0.1", 5060), call=1, expires_s=1e9, heard_s=0, version=gb.V2011)
        )
        self.configurations.want(device)

    async def query(self, device: str, query: gb.Manscdp, kind: type[gb.Manscdp]) -> gb.Manscdp:
        self.asked.append((device, self.clock.monotonic()))
        if self.is_silent:
            raise Unavailable("no answer")
        return gb.DeviceInfoResponse(sn=1, device_id=device, is_ok=True, firmware="V1")

    async def status(self, device: str) -> None:
        raise Unavailable("no answer")

    async def take(self, device: str, answer: Answer) -> None:
        self.taken.append(device)

    async def run(self, seconds: float) -> None:
        running = asyncio.create_task(self.configurations.turns.run())
        for _ in range(round(seconds * 20)):
            await self.clock.advance(0.05)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_g24_a_city_is_asked_one_after_the_other() -> None:
    city = City()
    for number in range(12):
        city.register(f"d{number}")
        city.configurations.want(f"d{number}")  # wanting twice is once
    await city.run(5)
    assert sorted(city.taken) == sorted(f"d{number}" for number in range(12))
    moments = [at for _, at in city.asked]
    assert all(later - earlier >= 0.24 for earlier, later in pairwise(moments)), moments


async def test_g24_a_silent_device_is_asked_once_a_day() -> None:
    city = City(is_silent=True)
    for _ in range(5):
        city.register("d1")
        await city.run(1)
    assert len(city.asked) == 1 and city.taken == []
    await city.clock.advance(DAY_S)
    city.is_silent = False
    city.register("d1")
    await city.run(1)
    assert len(city.asked) == 2 and city.taken == ["d1"]


async def test_g24_one_that_is_gone_when_its_turn_comes_counts_as_nothing() -> None:
    city = City(is_silent=True)
    city.register("d1")
    city.sessions.get("d1").is_lost = True  # type: ignore[union-attr]
    await city.run(1)
    city.register("d1")
    await city.run(1)
    assert len(city.asked) == 2, "its silence was not its own"


def test_g24_each_edition_is_asked_what_it_has() -> None:
    assert types_of(gb.V2011) == ()
    assert types_of(gb.V2014) == types_of(gb.V2016) == ("BasicParam", "VideoParamOpt")
    assert {"PictureMask", "FrameMirror", "OSDConfig"} < set(types_of(gb.V2022))
    assert "SnapShotConfig" not in types_of(gb.V2022), "it holds addresses to upload to"


BODY = """<?xml version="1.0" encoding="GB18030"?>
<Response><CmdType>ConfigDownload</CmdType><SN>7</SN><DeviceID>34020000001320000001</DeviceID><Result>OK</Result>
<BasicParam><Name>北门</Name><Expiration>3600</Expiration><HeartBeatInterval>60</HeartBeatInterval>
<SIPServerIP>10.0.0.1</SIPServerIP><Password>hunter2</Password></BasicParam>
<PictureMask><On>1</On><SumNum>2</SumNum><RegionList Num="2"><Item><Seq>1</Seq><Point>0,0,10,10</Point></Item>
<Item><Seq>2</Seq><Point>20,20,30,30</Point></Item></RegionList></PictureMask><FrameMirror>3</FrameMirror></Response>"""


def test_g24_what_config_download_says_becomes_named_values() -> None:
    message = gb.parse(BODY.encode("gb18030"))
    assert isinstance(message, gb.ConfigResponse)
    assert values_of(translate.configuration(message)) == {
        "basic.expiration_s": "3600", "basic.heartbeat_interval_s": "60", "basic.name": "北门",
        "basic.sip_server_ip": "10.0.0.1", "mask.on": "1", "mask.sum_num": "2",
        "mask.region_list.item.seq": "1", "mask.region_list.item.point": "0,0,10,10",
        "mask.region_list.item_2.seq": "2", "mask.region_list.item_2.point": "20,20,30,30", "mirror.value": "3",
    }  # fmt: skip
    assert b"hunter2" not in gb.serialize(message), "not even in what would be written again"


@pytest.mark.parametrize("name", ["BasicParam", "PictureMask", "FrameMirror", "Unknown"])
@given(text=st.text(max_size=400), data=st.binary(max_size=300))
def test_g24_random_answers_never_do_worse_than_a_wire_error(name: str, text: str, data: bytes) -> None:
    node = gb.Node(name, "" if name != "FrameMirror" else text, [gb.Node("A.b", text), gb.Node("Password", text)])
    told = gb.ConfigResponse(sn=1, device_id="x", is_ok=True, others=(node,) * 9)
    values = values_of(translate.configuration(told))
    assert len(values) <= MOST_KEYS and not any("password" in key for key in values)
    for body in (data, BODY.encode("gb18030").replace(b"60", data, 1)):
        try:
            message = gb.parse(body)
        except WireError:
            continue
        if isinstance(message, gb.ConfigResponse):
            assert len(values_of(translate.configuration(cast(gb.ConfigResponse, message)))) <= MOST_KEYS
