"""What pipe points and pipe segments share: the classes of CJJ 61-2017 with its colours."""

from gis_core import Codes


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


WORDS = {
    "给水": PipeClass.water,
    "JS": PipeClass.water,
    "雨水": PipeClass.storm,
    "YS": PipeClass.storm,
    "污水": PipeClass.sewage,
    "WS": PipeClass.sewage,
    "合流": PipeClass.combined,
    "HS": PipeClass.combined,
    "燃气": PipeClass.gas,
    "RQ": PipeClass.gas,
    "热力": PipeClass.heat,
    "RL": PipeClass.heat,
    "电力": PipeClass.power,
    "DL": PipeClass.power,
    "通信": PipeClass.telecom,
    "TX": PipeClass.telecom,
    "工业": PipeClass.industrial,
    "GY": PipeClass.industrial,
    "其他": PipeClass.other,
    "QT": PipeClass.other,
}
