"""Finds the gateway of a point and passes the call on."""

from __future__ import annotations

from collections.abc import Sequence

from anwang.access.alarms import DeviceAlarms
from anwang.access.model import Address, Gateway, Preset, PtzOrder, Pull, Pushed, Receiver, Stream, Trace, Transport
from anwang.access.past import DeviceArchive
from anwang.kernel.errors import Unsupported


class Access:
    """Commands to devices, whatever they speak."""

    def __init__(self) -> None:
        self._gateways: dict[str, Gateway] = {}
        self._archives: dict[str, DeviceArchive] = {}
        self._alarms: dict[str, DeviceAlarms] = {}

    def register(
        self, gateway: Gateway, archive: DeviceArchive | None = None, alarms: DeviceAlarms | None = None
    ) -> None:
        """Make a gateway known under its name; `app` does this once at start.

        archive: what its devices keep. alarms: what they can be told of their alarms.
        """
        self._gateways[gateway.name] = gateway
        if alarms is not None:
            self._alarms[gateway.name] = alarms
        if archive is not None:
            self._archives[gateway.name] = archive

    def archive(self, address: Address) -> DeviceArchive:
        """Who speaks of what the point's device keeps. Raises Unsupported where its protocol has no such thing."""
        gateway = self.gateway(address)
        try:
            return self._archives[gateway.name]
        except KeyError:
            raise Unsupported(
                f"devices behind {gateway.name!r} can't be asked for what they keep", "connect it by GB/T 28181"
            ) from None

    def alarms(self, address: Address) -> DeviceAlarms:
        """Who tells the point's device of its alarms. Raises Unsupported where its protocol has no such thing."""
        gateway = self.gateway(address)
        try:
            return self._alarms[gateway.name]
        except KeyError:
            raise Unsupported(
                f"devices behind {gateway.name!r} can't be told of alarms", "connect it by GB/T 28181"
            ) from None

    def gateway(self, address: Address) -> Gateway:
        """The gateway of a point. Raises Unsupported where this process has none of that name."""
        try:
            return self._gateways[address.gateway]
        except KeyError:
            raise Unsupported(
                f"point {address.point} is reached through {address.gateway!r}, which is not running here",
                "start the access role with this gateway",
            ) from None

    async def open_stream(self, address: Address, stream: Stream, receiver: Receiver, trace: Trace) -> Pushed | Pull:
        """Ask the device of a point to send a stream to a receiver. Raises as Gateway.open_stream."""
        return await self.gateway(address).open_stream(address, stream, receiver, trace)

    async def close_stream(self, address: Address, dialog: str) -> None:
        """End a stream."""
        await self.gateway(address).close_stream(dialog)

    async def ptz(self, address: Address, order: PtzOrder) -> None:
        """Move a head. Raises as Gateway.ptz."""
        await self.gateway(address).ptz(address, order)

    async def presets(self, address: Address) -> Sequence[Preset]:
        """Stored views of a head. Raises as Gateway.presets."""
        return await self.gateway(address).presets(address)

    async def request_key_frame(self, address: Address) -> None:
        """Ask for a key frame now."""
        await self.gateway(address).request_key_frame(address)

    def transports(self, address: Address) -> Sequence[Transport]:
        """How the device may send, best first; empty where the media child pulls."""
        return self.gateway(address).transports(address)
