"""Many devices from few sockets: they load a platform from outside, over nothing but its SIP port.

`Load` registers, keeps alive and answers; who is invited sends real pictures. `anwang sim devices` runs it.
"""

from anwang.democity.load.mass import Load, load
from anwang.democity.load.options import STEM, LoadOptions
from anwang.democity.load.tally import Report

__all__ = ["STEM", "Load", "LoadOptions", "Report", "load"]
