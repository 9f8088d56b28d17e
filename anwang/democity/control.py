"""Orders to the running city, one JSON object a line, from standard input or a Unix socket; each gets one line back.

{"do": "status"}
{"do": "fault", "fault": "loss", "value": 0.1, "device": "9901…"}     or "share": 0.05 of all, chosen by "seed"
{"do": "clear"}                                                       or with "device"
{"do": "alarm", "device": "9901…", "channel": "9901…", "method": 5, "type": 2, "words": "移动侦测"}
{"do": "restart", "device": "9901…"}                                  or "share": register anew
{"do": "storm", "kind": "register"}                                   everybody at once
{"do": "storm", "kind": "catalogue", "device": "9901…", "count": 200} changes of channel states
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from anwang.democity.devices.faults import Fault
from anwang.democity.devices.line import Line
from anwang.kernel.errors import AnwangError, Invalid, NotFound
from anwang.runtime import logs

Answer = dict[str, object]
MAX_ORDER_BYTES = 64 * 1024
MAX_STORM = 10_000
log = logs.get("democity.control")


class Control:
    """Obeys orders. status: what `status` answers."""

    def __init__(self, lines: Sequence[Line], *, status: Callable[[], Answer], seed: int) -> None:
        self._lines, self._status, self._seed = lines, status, seed

    def obey(self, text: str | bytes) -> Answer:
        """Do one order; never raises, the answer says what was wrong."""
        try:
            order = json.loads(text)
            if not isinstance(order, dict):
                raise Invalid("an order is a JSON object")
            return {"ok": True, **self._do(order)}
        except AnwangError as err:
            return {"ok": False, "reason": err.reason}
        except (ValueError, TypeError) as err:
            return {"ok": False, "reason": f"the order can't be read: {err}"}

    def _do(self, order: dict[str, object]) -> Answer:
        match order.get("do"):
            case "status":
                return self._status()
            case "fault":
                return self._fault(order)
            case "clear":
                return self._clear(order)
            case "alarm":
                return self._alarm(order)
            case "restart":
                chosen = self._chosen(order)
                for line, code in chosen:
                    line.restart(code)
                return {"devices": len(chosen)}
            case "storm":
                return self._storm(order)
            case other:
                raise Invalid(f"no order is called {other!r}")

    def _all(self) -> list[tuple[Line, str]]:
        return [(line, code) for line in self._lines for code in line.members]

    def _chosen(self, order: dict[str, object]) -> list[tuple[Line, str]]:
        if "device" in order:
            found = [pair for pair in self._all() if pair[1] == order["device"]]
            if not found:
                raise NotFound(f"no device {order['device']!r} here")
            return found
        share = float(str(order.get("share", 1.0)))
        if not 0 < share <= 1:
            raise Invalid("share lies between 0 and 1")
        every = self._all()
        rng = Random(f"control-{order.get('seed', self._seed)}")
        return rng.sample(every, max(1, round(len(every) * share)))

    def _fault(self, order: dict[str, object]) -> Answer:
        name = str(order.get("fault"))
        if name not in set(Fault):
            raise Invalid(f"no fault is called {name!r}", "one of " + ", ".join(Fault))
        value = float(str(order["value"])) if "value" in order else None
        chosen = self._chosen(order)
        for line, code in chosen:
            line.misbehave(code, Fault(name), value)
        return {"devices": [code for _, code in chosen]}

    def _clear(self, order: dict[str, object]) -> Answer:
        chosen = self._chosen(order)
        for line, code in chosen:
            line.members[code].mind.faults.active.clear()
        return {"devices": len(chosen)}

    def _alarm(self, order: dict[str, object]) -> Answer:
        [(line, code)] = self._chosen({"device": order.get("device")})
        kind = order.get("type")
        how = line.alarm(
            code,
            channel=str(order.get("channel") or code),
            method=int(str(order.get("method", 5))),
            alarm_type=int(str(kind)) if kind is not None else None,
            priority=int(str(order.get("priority", 2))),
            words=str(order.get("words", "")),
        )
        return {"sent": how}

    def _storm(self, order: dict[str, object]) -> Answer:
        if order.get("kind") == "register":
            chosen = self._chosen(order)
            for line, code in chosen:
                line.restart(code)
            return {"devices": len(chosen)}
        if order.get("kind") != "catalogue":
            raise Invalid("a storm is of kind register or catalogue")
        [(line, code)] = self._chosen({"device": order.get("device")})
        count = min(MAX_STORM, int(str(order.get("count", 200))))
        sent = sum(line.change(code) for _ in range(count))
        return {"notices": sent}

    async def serve(self, path: Path) -> None:
        """Listen on a Unix socket until cancelled."""
        await asyncio.to_thread(path.unlink, missing_ok=True)
        server = await asyncio.start_unix_server(self._talk, path, limit=MAX_ORDER_BYTES)
        await asyncio.to_thread(path.chmod, 0o600)
        try:
            await server.serve_forever()
        finally:
            server.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(json.dumps(self.obey(line), ensure_ascii=False).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError) as err:
            log.warning("control connection ended", reason=str(err))
        finally:
            writer.close()
