"""Routes that move heads: nothing moves before it is written, and what moves can always be stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from prometheus_client import CollectorRegistry

from anwang.access import Access, Address, Gateway, Heads, Ptz, PtzOrder
from anwang.governance import Ledger, Object
from anwang.governance.store import StateHeads
from anwang.kernel.ids import PointId
from anwang.media.http import device, live
from anwang.runtime.clock import FakeClock
from anwang.stores.state import State
from anwang.web.api import build_api
from anwang.web.health import Health
from tests.contract.test_governance import BreakableDisk
from tests.governed import everyone, governed, make_tables, token_of
from tests.recordings import POINT


class Dome:
    """A gateway that only notes what it is told, and what was written by then."""

    name = "dome"

    def __init__(self) -> None:
        self.told: list[Ptz] = []

    async def ptz(self, address: Address, order: PtzOrder) -> None:
        self.told.append(order.act)


@pytest.mark.parametrize(
    ("path", "moving", "stopping"),
    [
        ("ptz", {"act": "move", "pan": 0.5, "ms": 5000}, {"act": "stop"}),
        ("ptz/cruise", {"act": "start", "track": 3}, {"act": "stop", "track": 3}),
    ],
)
async def test_a_head_moves_only_when_that_is_written(
    tmp_path: Path, state: State, path: str, moving: dict[str, Any], stopping: dict[str, Any]
) -> None:
    clock, disk, dome, access = FakeClock(), BreakableDisk(), Dome(), Access()
    access.register(cast(Gateway, dome))
    heads = Heads(access, on_change=lambda point, holder: None)
    await make_tables(state)
    ledger = await Ledger.open(tmp_path / "l", writer="main", heads=StateHeads(state), clock=clock, sync=disk)

    async def where(point: PointId) -> Object:
        return Object(point, "/city/north/", name="北门")

    async def address_of(point: PointId) -> Address:
        return Address(point=point, gateway="dome", device="d", channel="c")

    async with governed(state, tmp_path, clock, ledger=ledger) as governance:
        await everyone(governance)
        token = await token_of(governance, "operator.one")
        needed: dict[str, Any] = {
            "access": access, "heads": heads, "governance": governance, "clock": clock, "where": where,
            "address_of": address_of, "streams": None, "decoders": None, "sight": None,
        }  # fmt: skip
        app = build_api(
            governance=governance,
            routers=[
                live.build_router(live.Live(**needed)),
                device.build_router(device.DeviceSide(**needed, door=cast(Any, None), upload_url=lambda host: "")),
            ],
            health=Health(clock=clock),
            metrics=CollectorRegistry(),
            describe=list,
        )
        transport = httpx.ASGITransport(app)
        headers = {"authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://site", headers=headers) as client:
            url = f"/api/v1/points/{POINT}/{path}"
            assert (await client.post(url, json=moving)).status_code == 204
            assert len(dome.told) == 1
            disk.broken = True
            assert (await client.post(url, json=moving)).status_code == 503
            assert len(dome.told) == 1, "what can't be written does not move"
            await client.post(url, json=stopping)
            assert dome.told[-1] in (Ptz.STOP, Ptz.CRUISE_STOP), "what moves stops"
            disk.broken = False
        await heads.close()
