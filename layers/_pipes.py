"""What pipe points and pipe segments share: the classes of CJJ 61-2017 with its colours, and their short code lists."""

from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

from data import codes
from gis_core import Codes

EDGE = "#8fa3c4"
"""A colour for lists by which nothing is coloured."""

C = TypeVar("C", bound=Codes)


class PipeClass(Codes):
    """Classes of underground pipelines.

    Colours of CJJ 61-2017 as used in survey drawings, lightened where the standard's black or brown could not be
    told from a dark map.
    """

    water = "给水", "Water supply", "#00d5ff"
    storm = "雨水", "Storm water", "#3f8cff"
    sewage = "污水", "Sewage", "#a9744f"
    combined = "合流", "Combined sewer", "#8a6d5a"
    gas = "燃气", "Gas", "#ff4dff"
    heat = "热力", "Heat", "#ff8c1a"
    power = "电力", "Power", "#ff4040"
    telecom = "通信", "Telecom", "#3ddc5b"
    industrial = "工业", "Industrial", "#b9c2d0"
    other = "其他", "Other", "#9a5cff"


class Status(Codes):
    """In use or not (CJJ 61-2017, C.0.3)."""

    in_use = "在用", "In use", "#3ddc5b"
    abandoned = "废弃", "Abandoned", "#ff5964"
    empty = "空管", "Empty", "#ffd166"
    other = "其他", "Other", "#9a5cff"


class Secrecy(Codes):
    """Who may be told of it, as the survey says."""

    open = "公开", "Open", "#3ddc5b"
    internal = "内部", "Internal", "#ffd166"
    restricted = "秘密", "Restricted", "#ff8c1a"
    secret = "机密", "Secret", "#ff5964"


class Laying(Codes):
    """How a pipe is laid (CJJ 61-2017, C.0.2); the letters of each are in `data/codes/layings.csv`."""

    direct = "直埋", "Direct burial", EDGE
    conduit = "管埋", "In conduit", EDGE
    duct_block = "管块", "Duct block", EDGE
    trench = "管沟", "Trench", EDGE
    overhead = "架空", "Overhead", EDGE
    surface = "地面", "On the ground", EDGE
    riser = "上架", "Riser", EDGE
    passage = "小通道", "Through a drain", EDGE
    gallery = "综合管廊", "Utility tunnel", EDGE
    shelter = "人防", "Air-raid tunnel", EDGE
    in_chamber = "井内连线", "Within a chamber", EDGE
    trenchless = "顶管", "Trenchless", EDGE
    underwater = "水下", "Under water", EDGE


ALOFT: Final = (Laying.overhead, Laying.surface, Laying.riser)
"""Ways of laying in which a depth may be negative: above the ground."""


class Section(Codes):
    """The form of a pipe's cross-section."""

    round = "圆形", "Round", EDGE
    rectangular = "矩形", "Rectangular", EDGE
    egg = "卵形", "Egg-shaped", EDGE


class DepthReference(Codes):
    """What a pipe's depths and levels are of."""

    crown = "管顶", "Crown", EDGE
    invert = "管底", "Invert", EDGE


class Flow(Codes):
    """Which way it flows, from the start point to the end point or back."""

    forward = "顺向", "Forward", EDGE
    backward = "逆向", "Backward", EDGE
    none = "无流向", "None", EDGE


class PressureClass(Codes):
    """Pressure classes of gas pipes (GB 50028)."""

    low = "低压", "Low", "#7bd88f"
    medium_b = "中压B", "Medium B", "#ffd166"
    medium_a = "中压A", "Medium A", "#ffb347"
    subhigh_b = "次高压B", "Sub-high B", "#ff8c1a"
    subhigh_a = "次高压A", "Sub-high A", "#ff6a3d"
    high = "高压", "High", "#ff4040"


class HeatSide(Codes):
    """The two pipes of a heating network."""

    supply = "供水", "Supply", "#ff4040"
    vars()["return"] = "回水", "Return", "#3f8cff"  # a word of Python's own


class SurveyKind(Codes):
    """Whether a point could be seen and measured, or was found with a detector."""

    exposed = "明显点", "Exposed", EDGE
    hidden = "隐蔽点", "Hidden", EDGE


def words_of(known: type[C], pairs: Iterable[tuple[str, str]]) -> dict[str, C]:
    """Foreign words and the codes they stand for, given the codes' names."""
    return {word: known[name] for word, name in pairs}


def _class_words() -> dict[str, PipeClass]:
    """Letters and Chinese names of major and minor classes; of 排水 (PS) nobody can say which, so it is no word."""
    words: dict[str, PipeClass] = {"合流": PipeClass.combined}
    for minor in codes.minor_classes().values():
        known = PipeClass[minor.pipe_class]
        words |= {minor.letters: known, minor.zh: known}
        if minor.major != "PS":
            words |= {minor.major: known, minor.major_zh: known}
    return words


WORDS: Final = _class_words()
STATUS_WORDS: Final = words_of(
    Status,
    (
        *((known.digit, known.name) for known in codes.statuses().values()),
        ("正常", "in_use"), ("使用", "in_use"), ("停用", "abandoned"), ("报废", "abandoned"), ("备用", "empty"),
    ),
)  # fmt: skip
SECRECY_WORDS: Final = words_of(Secrecy, (("公开级", "open"), ("内部级", "internal"), ("秘密级", "restricted"),
                                          ("机密级", "secret"), ("绝密", "secret"), ("绝密级", "secret")))  # fmt: skip
LAYING_WORDS: Final = words_of(
    Laying,
    (
        *((known.letters, known.name) for known in codes.layings().values()),
        *((known.zh, known.name) for known in codes.layings().values()),
        ("综合管廊(沟)", "gallery"), ("综合管沟", "gallery"), ("非开挖", "trenchless"), ("定向钻", "trenchless"),
        ("顶管/定向钻", "trenchless"), ("顶管(非开挖或定向钻)", "trenchless"), ("套管", "conduit"),
    ),
)  # fmt: skip
SECTION_WORDS: Final = words_of(Section, (("圆", "round"), ("圆管", "round"), ("方", "rectangular"),
                                          ("方形", "rectangular"), ("方沟", "rectangular"), ("矩", "rectangular"),
                                          ("拱形", "egg"), ("卵", "egg"), ("蛋形", "egg")))  # fmt: skip
REFERENCE_WORDS: Final = words_of(DepthReference, (("外顶", "crown"), ("管外顶", "crown"), ("顶", "crown"),
                                                   ("内底", "invert"), ("管内底", "invert"), ("底", "invert"),
                                                   ("沟底", "invert")))  # fmt: skip
FLOW_WORDS: Final = words_of(Flow, (("0", "forward"), ("1", "backward"), ("2", "none"), ("顺", "forward"),
                                    ("正向", "forward"), ("+", "forward"), ("逆", "backward"), ("反向", "backward"),
                                    ("-", "backward"), ("无", "none")))  # fmt: skip
PRESSURE_WORDS: Final = words_of(PressureClass, (("次高B", "subhigh_b"), ("次高A", "subhigh_a"), ("DY", "low"),
                                                 ("中B", "medium_b"), ("中A", "medium_a"), ("GY", "high")))  # fmt: skip
SIDE_WORDS: Final = words_of(HeatSide, (("供", "supply"), ("回", "return")))
SURVEY_WORDS: Final = words_of(SurveyKind, (("明显", "exposed"), ("明显管线点", "exposed"), ("隐蔽", "hidden"),
                                            ("隐蔽管线点", "hidden")))  # fmt: skip

ABOUT: Final[Mapping[str, tuple[str, ...]]] = {
    "subclass": ("XLDM", "管线小类", "小类代号", "管线代号"),
    "feature_code": ("YSDM", "YSBM", "要素代码", "要素编码"),
    "road_name": ("SZDL", "DLMC", "道路名称", "所在道路"),
    "owner": ("QSDW", "权属单位", "权属单位名称"),
    "surveyed_by": ("TCDW", "探测单位", "探查单位"),
    "surveyed_on": ("TCRQ", "TCSJ", "探测日期", "探查日期", "测量日期"),
    "status": ("SYZT", "ZT", "使用状态", "状态"),
    "secrecy": ("MJ", "密级", "保密等级"),
}
"""Names under which foreign files have what points and segments share."""
