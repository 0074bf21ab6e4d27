"""The dirty camera register: hidden characters, directions inside names, one camera written down twice."""

from __future__ import annotations

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from data.packs.daxing.cameras import clean, merge_cameras, split_direction


@pytest.mark.parametrize(
    ("dirty", "plain"),
    [
        ("天华北街\u200b与天华西路交口  南向北", "天华北街与天华西路交口 南向北"),
        ("\ufeff兴华桥下\u00a0南北双向\n", "兴华桥下 南北双向"),
        ("兴业大街（高峰期）１号", "兴业大街(高峰期)1号"),
    ],
)
def test_hidden_characters_go(dirty: str, plain: str) -> None:
    assert clean(dirty) == plain


@pytest.mark.parametrize(
    ("name", "place", "direction"),
    [
        ("开发区 科创六街与经海路交口 北向南", "开发区 科创六街与经海路交口", "北向南"),
        ("五环路主路团河桥双向", "五环路主路团河桥", "双向"),
        ("兴旺路与金星路路口南向北和东西双向", "兴旺路与金星路路口", "南向北、东西双向"),
        ("北环西路贵园东里北门 东向西", "北环西路贵园东里北门", "东向西"),
        ("大兴区 崔曹路口西 西向东【六环外】", "大兴区 崔曹路口西 【六环外】", "西向东"),
        ("开发区 博兴六路与兴海路 方向等确认", "开发区 博兴六路与兴海路", None),
        ("五环路兴华桥东外环(高峰期)", "五环路兴华桥东 (高峰期)", "外环"),
        ("金星桥南天桥", "金星桥南天桥", None),
        ("德茂桥北龙门 东南、西北双向", "德茂桥北龙门", "东南、西北双向"),
    ],
)
def test_the_direction_is_read_from_the_name(name: str, place: str, direction: str | None) -> None:
    assert split_direction(name) == (place, direction)


def test_one_camera_written_down_twice_is_one() -> None:
    step = 0.0001  # about 9 m of longitude
    raw = gpd.GeoDataFrame(
        {
            "cameraId": [1, 2, 3, 4],
            "name": ["兴华桥下 南北双向", "大兴区 兴华桥下\u200b  南北双向", "兴华桥下 东西双向", "兴华桥下 南北双向"],
            "createDate": pd.to_datetime(["2020-01-01", "2023-01-01", "2020-01-01", "2020-01-01"]),
            "camera_type": ["inner6Actived", "outer6", "outer6", "outer6"],
            "town": ["黄村镇", None, "黄村镇", "黄村镇"],
        },
        geometry=[shapely.Point(116.3 + step * n, 39.7) for n in (0, 1, 0, 100)],
        crs="EPSG:4326",
    )
    kept = merge_cameras(raw, None, "EPSG:4548").set_index("code")
    assert sorted(kept.index) == ["2", "3", "4"], "the newest stays; another direction, and another place, are others"
    assert kept.loc["2", "name"] == "兴华桥下"
    assert kept.loc["2", "direction"] == "南北双向"
    assert kept.loc["3", "town"] == "黄村镇"
