"""Codes that a device lists twice in one catalogue answer: one of its channels can't be reached then."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from anwang.wire.gb28181 import CatalogResponse

MOST_DEVICES = 512
MOST_NAMES = 100_000


class Twins:
    """Names by code, of the answers that come in now; the device heard least recently is forgotten first."""

    def __init__(self) -> None:
        self._answers: OrderedDict[str, tuple[int, dict[str, str]]] = OrderedDict()

    def found(self, device: str, message: CatalogResponse) -> Iterator[str]:
        """Codes in this message that an earlier entry of the same answer has under another name."""
        sn, names = self._answers.get(device, (message.sn, {}))
        if sn != message.sn:
            names = {}
        self._answers[device] = (message.sn, names)
        self._answers.move_to_end(device)
        if len(self._answers) > MOST_DEVICES:
            self._answers.popitem(last=False)
        for item in message.items:
            if len(names) < MOST_NAMES and names.setdefault(item.device_id, item.name) != item.name:
                yield item.device_id
