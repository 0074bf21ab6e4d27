"""Underground pipe segments (管线段): what runs where, how deep, how wide, and whose it is."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy.orm import Mapped

from gis_core import (
    Access,
    Appears,
    Combine,
    Feature,
    Ingest,
    Label,
    Layer,
    Measure,
    Underground,
    by,
    field,
    line,
)
from gis_core.errors import Problem
from layers._groups import UTILITIES
from layers._pipes import WORDS, PipeClass

SHORTEST_M = 0.05


class PipeSegment(Feature):
    """One pipe between two pipe points; depths are of the crown (管顶) below the surface, in metres."""

    __tablename__ = "pipe_segments"

    geom = line()
    code: Mapped[str] = field("管段编号", "Segment code", key=True)
    pipe_class: Mapped[PipeClass] = field("管类", "Class", index=True)
    start_point: Mapped[str | None] = field("起点点号", "Start point", index=True)
    end_point: Mapped[str | None] = field("终点点号", "End point", index=True)
    diameter_mm: Mapped[float] = field("管径", "Diameter", unit="mm", within=(10, 6000))
    material: Mapped[str | None] = field("材质", "Material")
    start_depth_m: Mapped[float] = field("起点埋深", "Start depth", unit="m", within=(0, 50))
    end_depth_m: Mapped[float] = field("终点埋深", "End depth", unit="m", within=(0, 50))
    length_m: Mapped[float | None] = field("长度", "Length", unit="m", within=(SHORTEST_M, 5000))
    built_year: Mapped[int | None] = field("建设年份", "Year built", within=(1850, 2100))
    road_name: Mapped[str | None] = field("所在道路", "Road", name=True)
    owner: Mapped[str] = field("权属单位", "Owner", index=True)


def long_enough(frame: Any) -> Iterator[Problem]:
    """A stated length below 5 cm is a digitising slip (CJJ 61-2017 checks)."""
    if "length_m" in frame:
        for row in frame.index[frame["length_m"] < SHORTEST_M]:
            yield Problem(int(row), "length_m", f"{frame['length_m'][row]} m is shorter than 5 cm")


def two_ends(frame: Any) -> Iterator[Problem]:
    """A segment runs between two different points."""
    if {"start_point", "end_point"} <= set(frame.columns):
        same = frame["start_point"].notna() & (frame["start_point"] == frame["end_point"])
        for row in frame.index[same]:
            yield Problem(int(row), "end_point", f"starts and ends at {frame['end_point'][row]!r}")


LAYER = Layer(
    PipeSegment,
    title=Label("地下管线", "Pipe segments"),
    group=UTILITIES,
    style=Underground(
        by(PipeSegment.pipe_class),
        width=PipeSegment.diameter_mm,
        start_depth=PipeSegment.start_depth_m,
        end_depth=PipeSegment.end_depth_m,
    ),
    appears=(
        Appears(11, PipeSegment.diameter_mm >= 600),
        Appears(13, PipeSegment.diameter_mm >= 300),
        Appears(14),
    ),
    tile_fields=(
        PipeSegment.code,
        PipeSegment.pipe_class,
        PipeSegment.diameter_mm,
        PipeSegment.start_depth_m,
        PipeSegment.end_depth_m,
        PipeSegment.owner,
    ),
    measures=(
        Measure(
            "length",
            Label("管线长度", "Length"),
            Combine.sum,
            PipeSegment.length_m / 1000,
            unit="km",
            palette="teal",
        ),
        Measure("segments", Label("管段数", "Segments")),
        Measure("diameter", Label("平均管径", "Mean diameter"), Combine.mean, PipeSegment.diameter_mm, unit="mm"),
        Measure(
            "depth",
            Label("平均埋深", "Mean depth"),
            Combine.mean,
            (PipeSegment.start_depth_m + PipeSegment.end_depth_m) / 2,
            unit="m",
            palette="plasma",
        ),
        Measure(
            "oldest",
            Label("最早建设年份", "Oldest year"),
            Combine.min,
            PipeSegment.built_year,
            palette="magma",
        ),
    ),
    ingest=Ingest(
        aliases={
            PipeSegment.code: ("GXBH", "GDBH", "管段编号", "管线编号"),
            PipeSegment.pipe_class: ("GXLX", "class", "medium", "管类", "管线类型"),
            PipeSegment.start_point: ("QDDH", "起点点号", "起始点号"),
            PipeSegment.end_point: ("ZDDH", "终点点号", "终止点号", "连接点号"),
            PipeSegment.diameter_mm: ("GJ", "diameter", "dn", "管径"),
            PipeSegment.material: ("CZ", "材质", "材料"),
            PipeSegment.start_depth_m: ("QDMS", "depth_a", "起点埋深"),
            PipeSegment.end_depth_m: ("ZDMS", "depth_b", "终点埋深"),
            PipeSegment.built_year: ("JSNF", "built", "建设年份", "建设年代"),
            PipeSegment.owner: ("QSDW", "owner_name", "权属单位"),
        },
        words={PipeSegment.pipe_class: WORDS},
        checks=(long_enough, two_ends),
    ),
    access=Access(
        read="pipes.view",
        write="pipes.edit",
        owner=PipeSegment.owner,
        hide={PipeSegment.material: "pipes.attributes", PipeSegment.built_year: "pipes.attributes"},
    ),
)
