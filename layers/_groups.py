"""The headings under which the layers stand, in the order of the wall's tree."""

from gis_core import Group, Label

BASE = Group("base", Label("基础底图", "Base map"), 0)
GRID = Group("grid", Label("城市网格", "City grid"), 1)
UTILITIES = Group("utilities", Label("地下管网", "Underground utilities"), 2)
WATER = Group("water", Label("防汛排涝", "Flood control"), 3)
MOBILITY = Group("mobility", Label("交通出行", "Mobility"), 4)
SAFETY = Group("safety", Label("公共安全", "Public safety"), 5)
