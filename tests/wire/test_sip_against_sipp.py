"""The SIP machine on a real socket against SIPp, in both roles: an opinion of RFC 3261 that is not ours."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from anwang.wire import sip
from tests.conftest import missing

CALLS = 20
SDP = b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\n"


class Driver:
    """An endpoint on a UDP socket of loopback."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0.05)
        self.port: int = self.socket.getsockname()[1]
        self.sip: sip.Endpoint[sip.Peer] = sip.Endpoint(sip.Addresses("127.0.0.1", self.port))
        self.told: list[sip.Event[sip.Peer]] = []

    def run(self, on: Callable[[sip.Event[sip.Peer], float], None], done: Callable[[], bool]) -> None:
        """Until the condition holds, for at most 30 s."""
        end = time.monotonic() + 30
        while not done():
            now = time.monotonic()
            assert now < end, "SIPp did not come to an end"
            try:
                data, (host, port) = self.socket.recvfrom(65535)
                self.sip.receive(data, sip.Peer("udp", host, port), now)
            except TimeoutError:
                pass
            self.sip.tick(now)
            for event in self.sip.events():
                self.told.append(event)
                on(event, now)
            for data, peer in self.sip.to_send(now):
                self.socket.sendto(data, (peer.host, peer.port))


@pytest.fixture
def driver() -> Iterator[Driver]:
    if shutil.which("sipp") is None:
        missing("SIPp")
    made = Driver()
    yield made
    made.socket.close()


def sipp(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """SIPp on loopback, which gives up by itself."""
    fixed = ["-i", "127.0.0.1", "-m", str(CALLS), "-timeout", "25", "-timeout_error", "-nostdin"]
    return subprocess.Popen(["sipp", *arguments, *fixed], cwd=folder, stdout=subprocess.DEVNULL)


def test_sipp_calls_us(driver: Driver, tmp_path: Path) -> None:
    def on(event: sip.Event[sip.Peer], now: float) -> None:
        if isinstance(event, sip.Invited):
            driver.sip.accept(event.call, now, body=SDP)

    caller = sipp(tmp_path, "-sn", "uac", f"127.0.0.1:{driver.port}", "-r", "50", "-d", "10")
    driver.run(on, lambda: caller.poll() is not None)
    assert caller.returncode == 0, "SIPp counted a failed call"
    assert sum(isinstance(event, sip.Confirmed) for event in driver.told) == CALLS
    assert [event.cause for event in driver.told if isinstance(event, sip.Ended)] == [sip.Cause.REMOTE] * CALLS


def test_we_call_sipp(driver: Driver, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    called = sipp(tmp_path, "-sn", "uas", "-p", str(port))
    for _ in range(CALLS):  # SIPp may not listen yet: retransmission bridges that
        driver.sip.invite(
            local=sip.Uri("34020000002000000001", "127.0.0.1", driver.port),
            remote=sip.Uri("service", "127.0.0.1", port),
            peer=sip.Peer("udp", "127.0.0.1", port),
            now=time.monotonic(),
            body=SDP,
        )

    def on(event: sip.Event[sip.Peer], now: float) -> None:
        if isinstance(event, sip.Accepted):
            driver.sip.hang_up(event.call, now)

    driver.run(on, lambda: called.poll() is not None)
    assert called.returncode == 0, "SIPp counted a failed call"
    assert [event.cause for event in driver.told if isinstance(event, sip.Ended)] == [sip.Cause.LOCAL] * CALLS
