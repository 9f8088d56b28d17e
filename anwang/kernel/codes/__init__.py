"""National code tables as dated data: each has its source, the days on which it was in force, and how sure we are."""

from anwang.kernel.codes.gb28181 import DeviceCode, Edition, is_region, parent_division
from anwang.kernel.codes.table import Code, CodeTable

__all__ = ["Code", "CodeTable", "DeviceCode", "Edition", "is_region", "parent_division"]
