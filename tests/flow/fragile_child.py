"""The media child, with a codec that a certain picture makes crash or run for ever."""

from __future__ import annotations

import ctypes
import faulthandler

from anwang.media.child.__main__ import main
from anwang.wire.fmp4 import Fragment, Fragmenter, Init
from anwang.wire.units import Unit

#: user data in a picture (SEI)
CRASH, HANG = b"crash-here-please", b"hang-here-please"


class Fragile(Fragmenter):
    """See above."""

    def push(self, unit: Unit) -> list[Init | Fragment]:
        """As it is inherited, but for the two."""
        if CRASH in unit.data:
            faulthandler.disable()
            ctypes.string_at(0)
        while HANG in unit.data:
            pass
        return super().push(unit)


if __name__ == "__main__":
    from anwang.media.child import feed

    feed.Fragmenter = Fragile  # type: ignore[misc]  # the one place where a test changes what the child runs
    main()
