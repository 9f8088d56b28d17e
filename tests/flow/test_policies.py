"""Policies of a device, on the wire: what a device that deviates comes to with the default, and with its policy."""

from __future__ import annotations

from typing import Any

import pytest

from tests.flow.device import ScriptDevice
from tests.flow.pictures import decoded, is_run, view
from tests.flow.served import DOOR_KEY, Served, until
from tests.flow.test_device import Ps, adopted, code


def announced(served: Served, number: int) -> str:
    """The code of a recorder that is expected: its policies can be set before it has ever registered."""
    own = code(118, number)
    served.post("/devices", {"device_id": own, "name": f"recorder {number}", "organisation": served.organisation})
    return own


def failed(served: Served, point: dict[str, Any]) -> dict[str, Any]:
    """A play that shows nothing; its trace."""
    seen = view(served, point["id"], fragments=1)
    assert seen.data == b"" and seen.error["kind"] == "unavailable"
    found = until(lambda: (p := served.get(f"/plays/{seen.error['play']}"))["finished_at"] and p, "the trace ends")
    assert isinstance(found, dict) and found["outcome"] == "failed"
    return found


def plays(served: Served, point: dict[str, Any], ps: Ps) -> None:
    """A play that shows what was sent."""
    seen = view(served, point["id"], fragments=10)
    assert seen.error == {} and is_run(decoded(seen.data), ps[1])


def test_a_moving_device_is_asked_where_it_is_as_soon_as_its_policy_says_so(served: Served) -> None:
    """It was asked with its next registration or catalogue, which may be a day away."""
    with adopted(served, 690) as (device, _):
        device.subscribable = True

        def asked(*, over: bool = False) -> list[bytes]:
            found = [m for m in device.heard if m.method == "SUBSCRIBE" and b"<CmdType>MobilePosition<" in m.body]
            return [m.body for m in found if (m["Expires"] == "0") == over]

        assert asked() == []
        served.order(device=device.code, extra={"position_interval_s": "7"})
        until(lambda: len(asked()) == 1, "it is asked")
        assert b"<Interval>7</Interval>" in asked()[0]
        served.order(device=device.code, extra={"position_interval_s": "9"})
        until(lambda: (len(asked()), len(asked(over=True))) == (2, 1), "it is asked anew, and the old question is over")
        assert b"<Interval>9</Interval>" in asked()[1]
        served.order(device=device.code, extra={})
        until(lambda: len(asked(over=True)) == 2, "nobody asks any more")


# --- offer_qop -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_device_that_insists_on_qop_registers_where_it_is_offered(served: Served, transport: str) -> None:
    own = announced(served, 700 + (transport == "tcp"))
    with ScriptDevice(served.sip_port, own, transport=transport) as device:
        device.qop = "must"
        for policy in ({}, {"offer_qop": "no"}, {"offer_qop": "perhaps"}):
            served.order(device=own, extra=policy)
            assert device.register() == 401 and "qop" not in device.challenge
        assert device.keepalive() == 403, "it is not in"
        served.order(device=own, extra={"offer_qop": "yes"})
        assert device.register("a wrong password") == 403
        assert 'qop="auth"' in device.challenge
        assert device.register() == 200
        assert device.keepalive() == 200
        until(lambda: (found := served.device(own)) and found["evidence"]["state"] == "online", "it is online")


def test_a_device_that_chokes_on_qop_registers_where_it_is_not_offered(served: Served) -> None:
    own = announced(served, 702)
    with ScriptDevice(served.sip_port, own) as device:
        device.qop = "cannot"
        served.order(device=own, extra={"offer_qop": "yes"})
        assert device.register() == 401 and device.keepalive() == 403
        served.order(device=own, extra={})
        assert device.register() == 200 and device.keepalive() == 200


def test_a_device_that_overlooks_qop_registers_all_the_same(served: Served) -> None:
    """It answers as RFC 2069 has it, whatever was offered: what it has used is what is verified."""
    own = announced(served, 703)
    with ScriptDevice(served.sip_port, own) as device:
        served.order(device=own, extra={"offer_qop": "yes"})
        assert device.register() == 200 and 'qop="auth"' in device.challenge
        assert device.register(DOOR_KEY + "x") == 403


def test_a_challenge_that_takes_the_long_way_offers_the_same(served: Served) -> None:
    """Most REGISTERs are answered without a parser; one with a folded header is not."""
    own = announced(served, 704)
    with ScriptDevice(served.sip_port, own) as device:
        for policy in ("no", "yes"):
            served.order(device=own, extra={"offer_qop": policy})
            asked = device.request("REGISTER", extra="Expires: 3600\r\nSubject: folded\r\n over two lines\r\n")
            assert asked.status == 401 and ('qop="auth"' in asked["WWW-Authenticate"]) == (policy == "yes")


# --- ssrc ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["udp", "tcp-passive", "tcp-active"])
def test_media_with_another_ssrc_than_agreed_is_taken_by_policy(served: Served, ps: Ps, transport: str) -> None:
    number = 710 + ["udp", "tcp-passive", "tcp-active"].index(transport)
    with adopted(served, number, ps=ps[0], takes_tcp=transport != "udp") as (device, point):
        device.rtp_ssrc = 4711
        for policy in ({}, {"ssrc": "strict"}, {"ssrc": "lenient"}):
            served.order(device=device.code, transport=transport, extra=policy)
            play = failed(served, point)
            assert "Media arrive, but under another SSRC than agreed" in play["verdict"]
            assert "set its SSRC policy to any" in play["verdict"]
        served.order(device=device.code, extra={"ssrc": "any"})
        plays(served, point, ps)


# --- media_source ----------------------------------------------------------------------------------------------------


def test_media_from_an_address_that_nothing_foretells_is_taken_by_policy(served: Served, ps: Ps) -> None:
    with adopted(served, 720, ps=ps[0]) as (device, point):
        device.media_host = "127.0.0.2"
        for policy in ({}, {"media_source": "strict"}, {"media_source": "all"}):
            served.order(device=device.code, extra=policy)
            play = failed(served, point)
            assert "a connection from 127.0.0.2, where the device's answer says 127.0.0.1" in play["verdict"]
            assert "set its media source policy to any" in play["verdict"]
            assert device.calls[-1].how == "we connect" and device.calls[-1].bye.wait(10)
        served.order(device=device.code, extra={"media_source": "any"})
        plays(served, point, ps)


@pytest.mark.parametrize("transport", ["udp", "tcp-active"])
def test_where_nobody_connects_to_us_the_source_needs_no_policy(served: Served, ps: Ps, transport: str) -> None:
    """Over UDP whoever sends the agreed SSRC first is the source; over TCP active it is we who connect."""
    with adopted(served, 721 + (transport == "udp"), ps=ps[0], takes_tcp=transport != "udp") as (device, point):
        device.media_host = "127.0.0.2"
        served.order(device=device.code, transport=transport, extra={"media_source": "strict"})
        plays(served, point, ps)
