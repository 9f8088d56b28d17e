"""The named deviations of devices, each with a default: what an operator has set, and what follows from it here.

What can't be read counts as not said: a policy that somebody mistyped must not cost a device its registration.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from anwang.access import Checking, Transport
from anwang.gateways.gb28181.sessions import Session
from anwang.registry import DeviceStatus, Registry
from anwang.wire.gb28181 import Manscdp, parse, serialize

NAME = "gb28181"
"""Of this gateway, in addresses of points and in the registry."""
ALARMS = "alarm_subscription"
POSITION = "position_interval_s"
CONFIGURATION = "configuration"
"""`no`: a device is not asked how it is set; a few restart when they are."""
LEAST_INTERVAL_S, MOST_INTERVAL_S = 1, 3600
_TRANSPORTS = {
    "tcp-passive": Transport.TCP_PASSIVE,
    "tcp-active": Transport.TCP_ACTIVE,
    "udp": Transport.UDP,
}
#: charset policies: what a device reads and writes whatever its declarations say; the others go by edition and bytes
_CHARSETS = {"gb18030": "GB18030", "utf-8": "UTF-8"}


class AlarmPolicy(StrEnum):
    """Whether a device is asked to tell of its alarms. Without a subscription it may still send them as messages."""

    AUTO = "auto"
    """Recorders, alarm hosts and platforms are asked, cameras are not: theirs come as messages."""
    YES = "yes"
    NO = "no"


def alarm_policy(extra: Mapping[str, str]) -> AlarmPolicy:
    """What is said of alarms; `auto` by default."""
    try:
        return AlarmPolicy(extra.get(ALARMS, ""))
    except ValueError:
        return AlarmPolicy.AUTO


def position_interval_s(extra: Mapping[str, str]) -> int:
    """How often a moving device tells where it is; 0, the default: it is not asked."""
    text = extra.get(POSITION, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        return 0
    return min(max(int(text), LEAST_INTERVAL_S), MOST_INTERVAL_S) if int(text) else 0


class Manners:
    """How each device is treated, looked up when it is treated so."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def is_adopted(self, device: str) -> bool:
        """Whether an operator has let it in."""
        admission = self._registry.admission(NAME, device)
        return admission is not None and admission.status is DeviceStatus.ADOPTED

    def transport(self, device: str) -> Transport:
        """Of its media."""
        policies = self._registry.policies(NAME, device)
        return _TRANSPORTS[(policies.transport if policies is not None else "") or "tcp-passive"]

    def offers_qop(self, device: str) -> bool:
        """Whether a challenge offers qop=auth, which a few devices need and others can't read."""
        return self.own(device).get("offer_qop", "") == "yes"

    def checking(self, device: str) -> Checking:
        """Of the SSRC in what it sends."""
        return Checking.ANY if self.own(device).get("ssrc", "") == "any" else Checking.STRICT

    def takes_any_source(self, device: str) -> bool:
        """Whether its media may come from an address that nothing foretells."""
        return self.own(device).get("media_source", "") == "any"

    def takes_sound(self, device: str) -> bool:
        """Whether its sound is wanted."""
        policies = self._registry.policies(NAME, device)
        return policies is None or policies.audio

    def own(self, device: str) -> Mapping[str, str]:
        """The policies that only this gateway knows, as they were set."""
        policies = self._registry.policies(NAME, device)
        return {} if policies is None else policies.extra

    def written(self, session: Session, message: Manscdp) -> bytes:
        """A message as this device reads it."""
        return serialize(message, session.version, self._charset(session.device))

    def read(self, body: bytes, device: str) -> Manscdp:
        """A body as this device writes it. Raises WireError."""
        return parse(body, self._charset(device))

    def _charset(self, device: str) -> str:
        policies = self._registry.policies(NAME, device)
        return "" if policies is None else _CHARSETS.get(policies.charset, "")
