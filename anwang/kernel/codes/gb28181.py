"""The 20-digit code of GB/T 28181 (rule A) and its tables of industries, types and networks.

`CCCCCC AA II TTT N SSSSSS`: division 6, access unit 2, industry 2, type 3, network 1, serial 6 (2022 Annex E).
Industry codes 40-59 mean different things in the two editions; a construction site is 46 in 2016 and 44 in 2022.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Self

from anwang.kernel.codes.table import CodeTable, table
from anwang.kernel.errors import Invalid

_SHAPE = re.compile(r"[0-9]{20}", re.ASCII)
_REGION = re.compile(r"[0-9]{2}(?:[0-9]{2}){0,3}", re.ASCII)
DAY_2016, DAY_2022 = date(2016, 8, 1), date(2023, 7, 1)


class Edition(StrEnum):
    """Which edition's tables read a code."""

    E2016 = "2016"
    E2022 = "2022"


_COMMON_INDUSTRIES = [
    ("00", "社会治安路面接入"),
    ("01", "社会治安社区接入"),
    ("02", "社会治安内部接入"),
    ("03", "社会治安其他接入"),
    ("04", "交通路面接入"),
    ("05", "交通卡口接入"),
    ("06", "交通内部接入"),
    ("07", "交通其他接入"),
    ("08", "城市管理接入"),
    ("09", "卫生环保接入"),
    ("10", "商检海关接入"),
    ("11", "教育部门接入"),
]

INDUSTRIES_2016 = table(
    "industries_2016",
    "行业编码",
    "GB/T 28181-2016 Annex D, table D.3",
    DAY_2016,
    [
        *_COMMON_INDUSTRIES,
        ("40", "农林牧渔业接入"),
        ("41", "采矿企业接入"),
        ("42", "制造企业接入"),
        ("43", "冶金企业接入"),
        ("44", "电力企业接入"),
        ("45", "燃气企业接入"),
        ("46", "建筑企业接入"),
        ("47", "物流企业接入"),
        ("48", "邮政企业接入"),
        ("49", "信息企业接入"),
        ("50", "住宿和餐饮业接入"),
        ("51", "金融企业接入"),
        ("52", "房地产业接入"),
        ("53", "商务服务业接入"),
        ("54", "水利企业接入"),
        ("55", "娱乐企业接入"),
        *[(str(n), "居民自建接入") for n in range(80, 90)],
        *[(str(n), "其他主体接入") for n in range(90, 100)],
    ],
    valid_to=DAY_2022,
)

INDUSTRIES_2022 = table(
    "industries_2022",
    "行业编码",
    "GB/T 28181-2022 Annex E, table E.3",
    DAY_2022,
    [
        *_COMMON_INDUSTRIES,
        ("12", "民航部门接入"),
        ("13", "铁路部门接入"),
        ("14", "航运部门接入"),
        ("40", "农、林、牧、渔业接入"),
        ("41", "采矿业接入"),
        ("42", "制造业接入"),
        ("43", "电力、热力、燃气及水生产和供应业接入"),
        ("44", "建筑业接入"),
        ("45", "批发和零售业接入"),
        ("46", "交通运输、仓储和邮政业接入"),
        ("47", "住宿和餐饮业接入"),
        ("48", "信息传输、软件和信息技术服务业接入"),
        ("49", "金融业接入"),
        ("50", "房地产业接入"),
        ("51", "租赁和商务服务业接入"),
        ("52", "科学研究和技术服务业接入"),
        ("53", "水利、环境和公共设施管理业接入"),
        ("54", "居民服务、修理和其他服务业接入"),
        ("55", "教育业接入"),
        ("56", "卫生和社会工作接入"),
        ("57", "文化、体育和娱乐业接入"),
        ("58", "公共管理、社会保障和社会组织接入"),
        ("59", "国际组织接入"),
        *[(str(n), "自定义") for n in range(90, 100)],
    ],
)

_TYPES_2016 = [
    ("111", "DVR"),
    ("112", "视频服务器"),
    ("113", "编码器"),
    ("114", "解码器"),
    ("115", "视频切换矩阵"),
    ("116", "音频切换矩阵"),
    ("117", "报警控制器"),
    ("118", "网络视频录像机 (NVR)"),
    ("130", "混合硬盘录像机 (HVR)"),
    ("131", "摄像机"),
    ("132", "网络摄像机 (IPC)"),
    ("133", "显示器"),
    ("134", "报警输入设备"),
    ("135", "报警输出设备"),
    ("136", "语音输入设备"),
    ("137", "语音输出设备"),
    ("138", "移动传输设备"),
    ("139", "其他外围设备"),
    ("200", "中心信令控制服务器"),
    ("201", "Web 应用服务器"),
    ("202", "媒体分发服务器"),
    ("203", "代理服务器"),
    ("204", "安全服务器"),
    ("205", "报警服务器"),
    ("206", "数据库服务器"),
    ("207", "GIS 服务器"),
    ("208", "管理服务器"),
    ("209", "接入网关"),
    ("210", "媒体存储服务器"),
    ("211", "信令安全路由网关"),
    ("215", "业务分组"),
    ("216", "虚拟组织"),
    ("300", "中心用户"),
    ("400", "终端用户"),
    ("500", "视频图像信息综合应用平台"),
    ("501", "视频图像信息运维管理平台"),
]

TYPES_2016 = table(
    "types_2016", "类型编码", "GB/T 28181-2016 Annex D, table D.3", DAY_2016, _TYPES_2016, valid_to=DAY_2022
)
TYPES_2022 = table(
    "types_2022",
    "类型编码",
    "GB/T 28181-2022 Annex E, table E.3",
    DAY_2022,
    [
        *_TYPES_2016,
        ("120", "在线视频图像信息采集系统"),
        ("121", "视频卡口"),
        ("122", "多目设备"),
        ("123", "停车场出入口控制设备"),
        ("124", "人员出入口控制设备"),
        ("125", "安检设备"),
        ("140", "报警输出设备 (继电器控制)"),
        ("141", "道闸"),
        ("142", "智能门"),
        ("143", "凭证识别单元"),
        ("502", "视频图像分析系统"),
        ("503", "视频图像信息数据库"),
        ("505", "视频图像分析设备"),
    ],
)

NETWORKS_2016 = table(
    "networks_2016",
    "网络标识",
    "GB/T 28181-2016 Annex D, digit 14",
    DAY_2016,
    [
        *[(str(n), "监控报警专网") for n in range(5)],
        ("5", "公安信息网"),
        ("6", "政务网"),
        ("7", "Internet 网"),
        ("8", "社会资源接入网"),
        ("9", "预留"),
    ],
    valid_to=DAY_2022,
)
NETWORKS_2022 = table(
    "networks_2022",
    "网络标识",
    "GB/T 28181-2022 Annex E, digit 14",
    DAY_2022,
    [
        ("0", "公安视频传输网"),
        ("1", "公安视频传输网"),
        ("2", "行业专网"),
        ("3", "政法信息网"),
        ("4", "公安移动信息网"),
        ("5", "公安信息网"),
        ("6", "电子政务外网"),
        ("7", "互联网"),
        ("8", "专线"),
        ("9", "预留"),
    ],
)


def industries(edition: Edition) -> CodeTable:
    """The industry table of an edition."""
    return INDUSTRIES_2022 if edition is Edition.E2022 else INDUSTRIES_2016


def types(edition: Edition) -> CodeTable:
    """The type table of an edition."""
    return TYPES_2022 if edition is Edition.E2022 else TYPES_2016


def networks(edition: Edition) -> CodeTable:
    """The network table of an edition; treat the digit as a remark, peers do not keep to it."""
    return NETWORKS_2022 if edition is Edition.E2022 else NETWORKS_2016


#: types of devices that have others below them
MAIN_DEVICES = frozenset(str(n) for n in range(111, 131))
#: types of what may be shown as a picture
CAMERAS = frozenset({"131", "132"})


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """A 20-digit code, taken apart. It is text: leading zeros count, and it does not fit 64 bits."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises Invalid for anything but twenty ASCII digits."""
        if _SHAPE.fullmatch(text) is None:
            raise Invalid(
                f"{text[:64]!r} is not a 20-digit device code", "GB/T 28181 Annex E: 20 digits, no separators"
            )
        return cls(text)

    @property
    def centre(self) -> str:
        """中心编码, digits 1-8."""
        return self.text[:8]

    @property
    def division(self) -> str:
        """The administrative division, digits 1-6 (GB/T 2260)."""
        return self.text[:6]

    @property
    def access_unit(self) -> str:
        """The unit below the county, digits 7-8; 00 for none."""
        return self.text[6:8]

    @property
    def industry(self) -> str:
        """行业编码, digits 9-10."""
        return self.text[8:10]

    @property
    def type(self) -> str:
        """类型编码, digits 11-13."""
        return self.text[10:13]

    @property
    def network(self) -> str:
        """网络标识, digit 14."""
        return self.text[13]

    @property
    def serial(self) -> str:
        """序号, digits 15-20."""
        return self.text[14:]

    @property
    def domain(self) -> str:
        """The SIP domain of a server with this code: its first ten digits."""
        return self.text[:10]

    @property
    def is_camera(self) -> bool:
        """Whether the type is a playable channel (131, 132)."""
        return self.type in CAMERAS

    @property
    def is_main_device(self) -> bool:
        """Whether the type is a device that has channels (111-130)."""
        return self.type in MAIN_DEVICES

    def __str__(self) -> str:
        return self.text


def is_region(text: str) -> bool:
    """Whether a catalogue id is a bare division of 2, 4, 6 or 8 digits (2022 Annex J)."""
    return _REGION.fullmatch(text) is not None


def parent_division(code: str) -> str | None:
    """The division above a code of GB/T 2260, GB/T 10114 or the statistical codes; None above a province.

    Twelve digits (village) belong to nine, nine to six, six to the prefecture. Counties governed by the province
    (`xx90xx`) belong to the province itself. Raises Invalid for another shape.
    """
    if not code.isascii() or not code.isdigit() or len(code) not in (2, 4, 6, 8, 9, 12):
        raise Invalid(f"{code[:32]!r} is not a division code", "2, 4, 6, 8, 9 or 12 digits")
    if len(code) == 12:
        return code[:9]
    if len(code) in (8, 9):
        return code[:6]
    padded = code.ljust(6, "0")
    if padded[2:] == "0000":
        return None
    if padded[4:] == "00" or padded[2:4] == "90":
        return padded[:2] + "0000"
    return padded[:4] + "00"
