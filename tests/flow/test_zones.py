"""Which of our addresses a device is told to send media to: its zone's, by where it is or what its file says."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import pytest

from tests.conftest import missing
from tests.flow.device import ScriptDevice
from tests.flow.pictures import decoded, is_run, view
from tests.flow.served import Served, serving
from tests.flow.test_device import Ps, adopted

HOWS = ["udp", "tcp passive", "tcp active"]


@pytest.fixture(scope="module")
def zoned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A platform of both families whose devices at 127.x belong to a zone, and a zone without any address."""
    with serving(
        tmp_path_factory.mktemp("zoned"),
        gb28181={"host": "::"},
        media={"host": "::"},
        **{
            "zones.yard": {"networks": ["127.0.0.0/8"], "media_host": "127.0.0.3"},
            "zones.mast": {"media_host": "127.0.0.4"},
        },
    ) as made:
        yield made


def told(device: ScriptDevice) -> str:
    """The address in the offer that the device got last."""
    found = re.search(rb"(?m)^c=(IN IP[46] \S+?)\r?$", device.calls[-1].invite.body)
    assert found, device.calls[-1].invite.body
    return found[1].decode()


def test_media_go_to_the_address_of_the_devices_zone(zoned: Served, ps: Ps) -> None:
    """It was looked up by the file's column alone, which no device has that came by itself."""
    with adopted(zoned, 740, ps=ps[0]) as (device, point):
        seen = view(zoned, point["id"], fragments=10)
        assert told(device) == "IN IP4 127.0.0.3"
        assert seen.error == {} and is_run(decoded(seen.data), ps[1])
        steps = zoned.get(f"/plays/{seen.hello['play']}")["steps"]
        assert any(s["step"] == "reserved" and s["detail"].startswith("tcp_passive 127.0.0.3:") for s in steps)
        device.calls[-1].bye.wait(15)
        change = {"changes": {"zone": "mast"}, "version": point["version"], "reason": "on the mast"}
        answer = zoned.admin.patch(f"/api/v1/points/{point['id']}", json=change)
        assert answer.status_code == 200, answer.text
        seen = view(zoned, point["id"], fragments=10)
        assert told(device) == "IN IP4 127.0.0.4", "what a person says counts before the address"
        assert seen.error == {} and is_run(decoded(seen.data), ps[1])


@pytest.mark.parametrize("how", HOWS)
def test_a_device_on_ipv6_is_seen(zoned: Served, ps: Ps, how: str) -> None:
    """It was told an IPv6 address with a port that was open for IPv4 only."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        missing("IPv6 in the kernel")
    options = {"ps": ps[0], "takes_tcp": how != "udp", "host": "::1"}
    with adopted(zoned, 741 + HOWS.index(how), **options) as (device, point):
        if how == "tcp active":
            zoned.order(device=device.code, transport="tcp-active")
        seen = view(zoned, point["id"], fragments=10)
        assert seen.error == {} and is_run(decoded(seen.data), ps[1])
        call = device.calls[-1]
        assert told(device) == "IN IP6 ::1"
        assert call.how == {"udp": "udp", "tcp passive": "we connect", "tcp active": "we listen"}[how]
        assert call.bye.wait(15), "our own requests reach it, too"
        assert call.invite.start.split()[1].endswith(f"@[::1]:{device.own_port}")
        steps = zoned.get(f"/plays/{seen.hello['play']}")["steps"]
        assert any(s["step"] == "first_packet" and s["detail"].startswith("from [::1]:") for s in steps)
