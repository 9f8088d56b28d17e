"""`anwang doctor`: what is wrong is found, and what is right is not called wrong."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from anwang.app.claim import Claim
from anwang.app.doctor import Finding, Grade, examine
from anwang.runtime import machine
from anwang.runtime.secrets import open_keys
from anwang.runtime.settings import Gb28181, Http, Media, Retention, Settings, Stores, Zone


def of(settings: Settings, subject: str) -> list[Finding]:
    return [finding for finding in examine(settings) if finding.subject == subject]


def test_where_the_key_lies_is_told(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (inside,) = of(Settings(data=str(data), key_file=str(data / "key")), "master key")
    assert (inside.grade, "inside the data folder" in inside.detail) == (Grade.BAD, True)
    key = tmp_path / "key"
    outside = Settings(data=str(data), key_file=str(key))
    assert of(outside, "master key")[0].grade is Grade.OK
    assert not key.exists()  # looking makes nothing
    open_keys(key)
    key.chmod(0o644)
    (found,) = of(outside, "master key")
    assert (found.grade, found.hint) == (Grade.BAD, f"chmod 600 {key}")


def zone_findings(zone: Zone, **sections: object) -> list[Finding]:
    return of(Settings(zones={"police": zone}, **sections), "zone police")  # type: ignore[arg-type]  # sections by name


def test_an_address_of_another_machine_is_told() -> None:
    (found,) = zone_findings(Zone(sip_host="203.0.113.9"))
    assert (found.grade, "no address of this machine" in found.detail) == (Grade.WARN, True)
    (found,) = zone_findings(Zone(media_host="video.example"))
    assert found.grade is Grade.BAD


def test_an_address_that_nobody_listens_on_is_wrong() -> None:
    ours = Zone(sip_host="127.0.0.1", media_host="127.0.0.1", http_host="127.0.0.1:8443")
    assert [f.grade for f in zone_findings(ours)] == [Grade.OK] * 3
    elsewhere = "127.0.0.2"
    found = zone_findings(ours, gb28181=Gb28181(host=elsewhere), media=Media(host=elsewhere), http=Http(host=elsewhere))
    assert [(f.grade, "does not listen there" in f.detail) for f in found] == [(Grade.BAD, True)] * 3
    (found_six,) = zone_findings(Zone(media_host="::1"), media=Media(host="0.0.0.0"))
    assert found_six.grade is Grade.BAD


def test_packets_that_leave_from_another_address_are_told() -> None:
    found = zone_findings(Zone(networks=("127.0.0.0/8",), sip_host="127.0.0.3"))
    assert [f.grade for f in found] == [Grade.OK, Grade.WARN, Grade.OK]
    assert found[1].hint.startswith("add a route to 127.0.0.0/8 by 127.0.0.3")
    found = zone_findings(Zone(networks=("127.0.0.0/8",), sip_host="127.0.0.1"))
    assert [f.grade for f in found] == [Grade.OK, Grade.OK]


def test_whose_a_port_is_decides(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = Settings(data=str(tmp_path), http=Http(host="127.0.0.1", port=port))
        assert of(settings, "HTTP")[0].grade is Grade.BAD
        with Claim.take(tmp_path):  # this process is the platform, and the port is its own
            assert machine.lock_holder(tmp_path / ".claim") == os.getpid()
            assert of(settings, "HTTP")[0].grade is Grade.OK
            assert machine.holds_port(os.getppid(), port, udp=False) is not True
    assert of(settings, "HTTP")[0].grade is Grade.OK
    with Claim.take(tmp_path):
        (found,) = of(settings, "HTTP")
        assert (found.grade, "although the platform runs" in found.detail) == (Grade.BAD, True)


def test_an_address_that_is_not_ours_cannot_be_listened_on() -> None:
    settings = Settings(http=Http(host="203.0.113.9"), media=Media(host="203.0.113.9"))
    assert of(settings, "HTTP")[0].grade is Grade.BAD
    assert [f.grade for f in of(settings, "RTP ports")] == [Grade.BAD]


def test_rtp_ports_of_other_programs_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    port, taken = 1, None
    while port % 2:  # the kernel gives odd ones, too
        taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        if port % 2:
            taken.close()
    (found, *_) = of(Settings(media=Media(host="127.0.0.1", rtp_ports=(port, port + 9))), "RTP ports")
    if taken is not None:
        taken.close()
    assert (found.grade, found.hint) == (Grade.WARN, "another program uses them")
    monkeypatch.setattr(machine, "outgoing_ports", lambda: {30004})
    assert [f.grade for f in of(Settings(), "RTP ports")][-1] is Grade.WARN
    monkeypatch.setattr(machine, "outgoing_ports", lambda: set(range(40000, 60000)))
    assert "outgoing" not in str(of(Settings(), "RTP ports"))


def test_every_disk_in_use_is_told(tmp_path: Path) -> None:
    elsewhere = Path("/dev/shm") / tmp_path.name
    settings = Settings(
        data=str(tmp_path), stores=Stores(objects_url=f"file://{elsewhere}"), media=Media(free_bytes_floor=1 << 60)
    )
    found = of(settings, "disk")
    assert {f.grade for f in found} == {Grade.BAD}
    assert any("objects" in f.detail for f in found)


def test_where_media_go_is_told_as_devices_are_told() -> None:
    """A zone with an address for SIP alone gets its media there, too."""
    found = zone_findings(Zone(networks=("127.0.0.0/8",), sip_host="127.0.0.3"))
    assert found[-1].detail == "127.0.0.0/8 sees us as 127.0.0.3, sends media to 127.0.0.3"


def test_recordings_that_go_before_the_law_lets_them_are_told() -> None:
    assert of(Settings(retention=Retention(minimum_days=30)), "retention") == []
    (told,) = of(Settings(retention=Retention(minimum_days=29)), "retention")
    assert told.grade is Grade.WARN and "29 days" in told.detail and "30" in told.hint
