"""Codes of the camera file (一机一档), generation A (police point-attribute table) and B (GB/T 28181-2022 A.2.1.9).

The same digit may mean different things: camera type 5 is 卡口枪机 in A and 遥控半球 in B. Inside we use words; maps
here turn each generation's digits into them and back.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from anwang.kernel.codes.table import table

_A = "视频监控点位基础信息采集表 (c. 2016), 27 exported columns"
_B = "GB/T 28181-2022 A.2.1.9"
_A_DAY, _B_DAY = date(2016, 1, 1), date(2023, 7, 1)

MAKERS = table(
    "makers",
    "设备厂商",
    _A,
    _A_DAY,
    [
        ("1", "海康威视"),
        ("2", "大华"),
        ("3", "天地伟业"),
        ("4", "科达"),
        ("5", "安讯士"),
        ("6", "博世"),
        ("7", "亚安"),
        ("8", "英飞拓"),
        ("9", "宇视"),
        ("10", "海信"),
        ("11", "中星电子"),
        ("12", "明景"),
        ("13", "联想"),
        ("14", "中兴"),
        ("15", "华为"),
        ("99", "其他"),
    ],
)

POINT_CLASSES_A = table(
    "point_classes_a",
    "监控点位类型",
    _A,
    _A_DAY,
    [
        ("1", "一类视频监控点"),
        ("2", "二类视频监控点"),
        ("3", "三类视频监控点"),
        ("4", "公安内部视频监控点"),
        ("9", "其他点位"),
    ],
)
POINT_CLASSES_B = table(
    "point_classes_b",
    "监控点位类型",
    _B,
    _B_DAY,
    [("1", "一类视频监控点"), ("2", "二类视频监控点"), ("3", "三类视频监控点"), ("9", "其他点位")],
)

CAMERA_TYPES_A = table(
    "camera_types_a",
    "摄像机类型",
    _A,
    _A_DAY,
    [("1", "球机"), ("2", "半球"), ("3", "固定枪机"), ("4", "遥控枪机"), ("5", "卡口枪机"), ("99", "未知")],
)
CAMERA_TYPES_B = table(
    "camera_types_b",
    "摄像机结构类型",
    _B,
    _B_DAY,
    [
        ("1", "球机"),
        ("2", "半球"),
        ("3", "固定枪机"),
        ("4", "遥控枪机"),
        ("5", "遥控半球"),
        ("6", "多目设备的全景/拼接通道"),
        ("7", "多目设备的分割通道"),
    ],
)
CAMERA_TYPE_WORDS_A: Mapping[str, str] = {
    "1": "dome",
    "2": "hemisphere",
    "3": "bullet",
    "4": "ptz_bullet",
    "5": "checkpoint_bullet",
    "99": "unknown",
}
CAMERA_TYPE_WORDS_B: Mapping[str, str] = {
    "1": "dome",
    "2": "hemisphere",
    "3": "bullet",
    "4": "ptz_bullet",
    "5": "ptz_hemisphere",
    "6": "panorama",
    "7": "split",
}
CAMERA_TYPE_LABELS: Mapping[str, str] = {
    "dome": "球机",
    "hemisphere": "半球",
    "bullet": "固定枪机",
    "ptz_bullet": "遥控枪机",
    "checkpoint_bullet": "卡口枪机",
    "ptz_hemisphere": "遥控半球",
    "panorama": "全景通道",
    "split": "分割通道",
    "unknown": "未知",
}
#: where one generation has no word for the other's: what is nearest
CAMERA_TYPE_TO_A: Mapping[str, str] = {
    **{word: code for code, word in CAMERA_TYPE_WORDS_A.items()},
    "ptz_hemisphere": "2",
    "panorama": "3",
    "split": "3",
}
CAMERA_TYPE_TO_B: Mapping[str, str] = {
    **{word: code for code, word in CAMERA_TYPE_WORDS_B.items()},
    "checkpoint_bullet": "3",
    "unknown": "",
}
#: camera types whose head or lens can be moved
MOVABLE = frozenset({"dome", "ptz_bullet", "ptz_hemisphere"})

FUNCTION_TYPES_A = table(
    "function_types_a",
    "摄像机功能类型",
    _A,
    _A_DAY,
    [
        ("1", "车辆卡口"),
        ("2", "人员卡口"),
        ("3", "微卡口"),
        ("4", "特征摄像机"),
        ("5", "普通监控"),
        ("6", "高空瞭望"),
        ("99", "其他"),
    ],
)
FUNCTION_TYPES_B = table(
    "function_types_b",
    "摄像机采集功能类型",
    _B,
    _B_DAY,
    [
        ("01", "人脸卡口", "catalogued only: the product takes no such data"),
        ("02", "人员卡口", "catalogued only: the product takes no such data"),
        ("03", "机动车卡口"),
        ("04", "非机动车卡口"),
        ("05", "物品卡口"),
        ("99", "其他"),
    ],
)

FILL_LIGHTS_A = table(
    "fill_lights_a", "补光属性", _A, _A_DAY, [("1", "无补光"), ("2", "红外补光"), ("3", "白光补光"), ("9", "其他")]
)
FILL_LIGHTS_B = table(
    "fill_lights_b",
    "补光属性",
    _B,
    _B_DAY,
    [("1", "无补光"), ("2", "红外补光"), ("3", "白光补光"), ("4", "激光补光"), ("9", "其他")],
)

CODECS_A = table(
    "codecs_a", "摄像机编码格式", _A, _A_DAY, [("1", "MPEG-4"), ("2", "H.264"), ("3", "SVAC"), ("4", "H.265")]
)
CODECS_B = table(
    "codecs_b",
    "视频编码格式 (f 字段)",
    "GB/T 28181-2022 Annex G, f field",
    _B_DAY,
    [("1", "MPEG-4"), ("2", "H.264"), ("3", "SVAC"), ("4", "3GP"), ("5", "H.265")],
    sure="K",
)

FACINGS_A = table(
    "facings_a",
    "监控方位",
    _A,
    _A_DAY,
    [
        ("1", "东"),
        ("2", "西"),
        ("3", "南"),
        ("4", "北"),
        ("5", "东南"),
        ("6", "东北"),
        ("7", "西南"),
        ("8", "西北"),
        ("9", "全向"),
    ],
)
FACINGS_B = table(
    "facings_b",
    "光轴方向",
    _B,
    _B_DAY,
    [
        ("1", "东", "西向东"),
        ("2", "西", "东向西"),
        ("3", "南", "北向南"),
        ("4", "北", "南向北"),
        ("5", "东南", "西北到东南"),
        ("6", "东北", "西南到东北"),
        ("7", "西南", "东北到西南"),
        ("8", "西北", "东南到西北"),
    ],
)
#: where a camera with this facing looks, degrees clockwise from north; 9 (全向) has none
FACING_DEG: Mapping[str, float] = {
    "1": 90.0,
    "2": 270.0,
    "3": 180.0,
    "4": 0.0,
    "5": 135.0,
    "6": 45.0,
    "7": 225.0,
    "8": 315.0,
}

LIFECYCLES_A = table("lifecycles_a", "设备状态", _A, _A_DAY, [("1", "在用"), ("2", "维修"), ("3", "拆除")])
LIFECYCLE_WORDS_A: Mapping[str, str] = {"1": "in_use", "2": "repair", "3": "removed"}

DEPARTMENTS = table(
    "departments",
    "所属部门/行业",
    _A + ", extensible",
    _A_DAY,
    [
        ("1", "公安机关"),
        ("2", "环保部门"),
        ("3", "文博部门"),
        ("4", "医疗部门"),
        ("5", "旅游管理"),
        ("6", "新闻广电"),
        ("7", "食品医药监督管理部门"),
        ("8", "教育管理部门"),
        ("9", "检察院"),
        ("10", "法院"),
        ("11", "金融部门"),
        ("12", "交通部门"),
        ("13", "住房和城乡建设部门"),
        ("14", "水利部门"),
        ("15", "林业部门"),
        ("16", "安全生产监督部门"),
        ("17", "市政市容委"),
        ("18", "国土局"),
    ],
)

NETWORKINGS = table(
    "networkings",
    "联网属性",
    _A + "; the numbers differ between cities",
    _A_DAY,
    [("0", "已联网"), ("1", "未联网"), ("9", "其他")],
    sure="U",
)

ROOM_TYPES = table("room_types", "安装位置", _B, date(2016, 8, 1), [("1", "室外"), ("2", "室内")])

IMAGING_TYPES = table(
    "imaging_types",
    "光电成像类型",
    _B,
    _B_DAY,
    [("1", "可见光成像"), ("2", "热成像"), ("3", "雷达成像"), ("4", "X光成像"), ("5", "深度光场成像"), ("9", "其他")],
)

MOBILE_TYPES = table(
    "mobile_types",
    "移动采集设备类型",
    _B,
    _B_DAY,
    [
        ("1", "移动机器人载摄像机"),
        ("2", "执法记录仪"),
        ("3", "移动单兵设备"),
        ("4", "车载视频记录设备"),
        ("5", "无人机载摄像设备"),
        ("9", "其他"),
    ],
)

SECURITY_LEVELS = table(
    "security_levels", "安全能力等级", "GB 35114-2017", date(2018, 11, 1), [("A", "A 级"), ("B", "B 级"), ("C", "C 级")]
)

POSITION_TYPES_2016 = table(
    "position_types_2016",
    "摄像机位置类型扩展",
    "GB/T 28181-2016 A.2.1.9 PositionType; withdrawn in 2022, accepted from old peers",
    date(2016, 8, 1),
    [
        ("1", "省际检查站"),
        ("2", "党政机关"),
        ("3", "车站码头"),
        ("4", "中心广场"),
        ("5", "体育场馆"),
        ("6", "商业中心"),
        ("7", "宗教场所"),
        ("8", "校园周边"),
        ("9", "治安复杂区域"),
        ("10", "交通干线"),
    ],
    valid_to=_B_DAY,
)

USE_TYPES_2016 = table(
    "use_types_2016",
    "摄像机用途属性",
    "GB/T 28181-2016 A.2.1.9 UseType; withdrawn in 2022, accepted from old peers",
    date(2016, 8, 1),
    [("1", "治安"), ("2", "交通"), ("3", "重点")],
    valid_to=_B_DAY,
)
