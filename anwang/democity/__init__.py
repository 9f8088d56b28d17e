"""安澜市, the simulated city. It speaks only the wire.

`run_city` is a process of its own (`python -m anwang.democity`); `generate` and `write` make only the files to import.
All is invented and generated from a seed.
"""

from anwang.democity.city import CityOptions, run_city
from anwang.democity.world import generate, write

__all__ = ["CityOptions", "generate", "run_city", "write"]
