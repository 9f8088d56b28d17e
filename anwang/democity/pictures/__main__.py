"""`python -m anwang.democity.pictures FOLDER [SCENE [--h265]]` draws loops; `--stills` the package's pictures."""

from __future__ import annotations

import argparse
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from anwang.democity.pictures import drawing, first
from anwang.democity.pictures.scenes import HEVC_SCENES, SCENES, WIDE


def _end_with_parent() -> None:
    """End when standard input does, so that nobody is outlived.

    Not with `sys.stdin`: a thread that waits in it holds its lock, and the interpreter aborts when it ends meanwhile.
    """
    while os.read(0, 4096):
        pass
    os._exit(0)


def main(arguments: Sequence[str]) -> None:
    """Draw, and end."""
    parser = argparse.ArgumentParser(prog="python -m anwang.democity.pictures")
    parser.add_argument("folder", type=Path, nargs="?", help="where the loops go")
    parser.add_argument("scene", nargs="?", choices=sorted({*SCENES, *WIDE}), help="without: loops of all stills")
    parser.add_argument("--h265", action="store_true", help="of " + ", ".join(sorted(HEVC_SCENES)))
    parser.add_argument("--stills", action="store_true", help="draw the stills that come with the package")
    parser.add_argument("--with-parent", action="store_true", help="end when standard input ends")
    found = parser.parse_args(arguments)
    if found.with_parent:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    os.nice(10)
    if found.stills:
        first.write()
    elif found.folder is None or (found.h265 and found.scene not in HEVC_SCENES):
        parser.error("say a folder and a scene")
    else:
        found.folder.mkdir(parents=True, exist_ok=True)  # where it can't be made, nothing is drawn for it
        if found.scene is None:
            drawing.make_stills(found.folder)
        else:
            drawing.make(found.folder, found.scene, hevc=found.h265)


if __name__ == "__main__":
    main(sys.argv[1:])
