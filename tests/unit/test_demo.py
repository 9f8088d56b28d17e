"""What `anwang demo` writes down for people and for devices."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path

import pytest

from anwang.app.demo import accounts_of, beside, reachable
from anwang.runtime import machine
from anwang.runtime.settings import Http, Tls
from anwang.web.listener import Listener


def test_accounts_are_named_by_role(tmp_path: Path) -> None:
    made = accounts_of(tmp_path / "accounts.json")
    assert list(made) == [
        "administrator", "security_administrator", "audit_administrator", "operator", "viewer", "investigator",
        "officer_a", "officer_b",
    ]  # fmt: skip
    assert all(set(account) == {"username", "password"} and account["password"] for account in made.values())
    assert made["administrator"]["username"] == "admin"


def test_a_file_of_an_earlier_version_keeps_its_passwords(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    old = {name: {"username": name, "password": f"old-{name}", "role": "x"} for name in ("admin", "operator", "viewer")}
    path.write_text(json.dumps({**old, "gb28181": {"port": 1}}), "utf-8")
    made = accounts_of(path)
    assert made["administrator"] == {"username": "admin", "password": "old-admin"}
    assert made["viewer"] == {"username": "viewer", "password": "old-viewer"}
    path.write_text(json.dumps(made), "utf-8")
    assert accounts_of(path) == made


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_devices_are_told_an_address_that_they_can_reach(host: str) -> None:
    told = ipaddress.ip_address(reachable(host))
    assert not told.is_unspecified
    assert ipaddress.ip_address(beside(host)).is_loopback
    assert str(told) in {machine.outward_address(4), machine.outward_address(6)}


@pytest.mark.parametrize("host", ["192.0.2.10", "127.0.0.1", "2001:db8::7", "city.example"])
def test_a_chosen_address_is_told_as_it_is(host: str) -> None:
    assert (reachable(host), beside(host)) == (host, host)


@pytest.mark.parametrize(
    ("host", "called"),
    [
        ("::", "localhost"),
        ("0.0.0.0", "localhost"),
        ("127.0.0.1", "localhost"),
        ("192.0.2.10", "192.0.2.10"),
        ("2001:db8::7", "[2001:db8::7]"),
    ],
)
def test_the_platform_says_the_address_that_it_listens_on(host: str, called: str, tmp_path: Path) -> None:
    async def app(*_: object) -> None: ...

    listener = Listener(app, http=Http(host=host, port=8080), tls=Tls(enabled=False), data=tmp_path)
    assert listener.url.startswith(f"http://{called}:")
