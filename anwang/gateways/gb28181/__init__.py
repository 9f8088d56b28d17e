"""GB/T 28181 (2016 and 2022) as the upper platform."""

from anwang.gateways.gb28181.kept import KeptCalls
from anwang.gateways.gb28181.secrets import DeviceSecrets, reseal
from anwang.gateways.gb28181.service import Gb28181Gateway

__all__ = ["DeviceSecrets", "Gb28181Gateway", "KeptCalls", "reseal"]
