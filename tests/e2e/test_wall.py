"""The map wall in Chromium, over the real service of the street-scale city."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.e2e.conftest import Service, Watched, watch

pytestmark = pytest.mark.browser


def colours(png: bytes) -> set[bytes]:
    """The distinct pixel values of a screenshot, filters left in place: an empty map has a handful."""
    data, place = b"", 8
    while place < len(png):
        (length,), kind = struct.unpack(">I", png[place : place + 4]), png[place + 4 : place + 8]
        if kind == b"IDAT":
            data += png[place + 8 : place + 8 + length]
        place += 12 + length
    raw = zlib.decompress(data)
    return {raw[i : i + 3] for i in range(0, len(raw) - 3, 97)}


def drawn(watched: Watched, layer: str) -> int:
    """How many features of a base-map layer are on the screen."""
    count: Any = watched.page.evaluate(
        "layer => window.chengtu.map.queryRenderedFeatures({layers: window.chengtu.map.getStyle().layers"
        ".filter(l => l.source === layer).map(l => l.id)}).length",
        layer,
    )
    return int(count)


def test_the_link_shows_the_city_and_no_request_leaves_the_machine(browser: Browser, helsinki: Service) -> None:
    context = browser.new_context(viewport={"width": 1920, "height": 1080})
    watched = watch(context, helsinki.origin)
    watched.page.goto(helsinki.link)
    watched.settle()
    assert "token" not in watched.page.url, "the one-time token does not stay in the address"
    assert drawn(watched, "roads") > 100
    names = watched.page.evaluate(
        "() => [...new Set(window.chengtu.map.queryRenderedFeatures({layers: ['roads-label']})"
        ".map(f => f.properties.name).filter(Boolean))]"
    )
    assert len(names) >= 5, "streets bear their names"
    assert len(colours(watched.page.screenshot())) > 300
    assert watched.page.get_by_test_id("layer-pipe_segments").is_visible(), "the printed link sees the pipes"
    assert watched.foreign == []
    assert watched.errors == []

    again = browser.new_context()
    second = watch(again, helsinki.origin)
    second.page.goto(helsinki.link)
    second.page.wait_for_url("**/?link=used*")
    second.settle()
    assert second.page.get_by_test_id("layer-pipe_segments").count() == 0, "a used link opens the public's view only"
    context.close()
    again.close()


def test_every_readable_layer_is_in_the_tree_with_its_count_and_label(wall: Watched, helsinki: Service) -> None:
    wall.page.goto(helsinki.origin)
    wall.settle()
    catalogue = wall.page.evaluate("async () => (await fetch('/api/catalog')).json()")
    assert len(catalogue["layers"]) >= 12
    for layer in catalogue["layers"]:
        row = wall.page.get_by_test_id(f"layer-{layer['name']}")
        assert layer["title"]["zh"] in row.inner_text()
        assert ("模拟" in row.inner_text()) == (layer["simulated"] > 0), f"{layer['name']} says whether it is simulated"


def test_english_is_one_switch_away(wall: Watched, helsinki: Service) -> None:
    wall.page.goto(helsinki.origin)
    wall.settle()
    wall.page.get_by_test_id("language").click()
    assert "Pipe segments" in wall.page.get_by_test_id("layer-pipe_segments").inner_text()


def test_a_layer_can_be_switched_off_and_the_address_remembers_it(wall: Watched, helsinki: Service) -> None:
    wall.page.goto(helsinki.origin)
    wall.settle()
    before = drawn(wall, "roads")
    wall.page.get_by_test_id("layer-toggle-roads").click()
    wall.page.wait_for_function("() => location.hash.includes('roads')")
    wall.page.evaluate("() => window.chengtu.idle()")
    assert before > 0
    assert drawn(wall, "roads") == 0


def test_search_finds_a_street_and_flies_there(wall: Watched, helsinki: Service) -> None:
    wall.page.goto(helsinki.origin)
    wall.settle()
    wall.page.get_by_test_id("search-input").fill("Mannerheim")
    first = wall.page.get_by_test_id("search-result").first
    first.wait_for()
    assert "Mannerheim" in first.inner_text()
    before = wall.page.evaluate("() => window.chengtu.map.getCenter().toArray()")
    first.click()
    wall.page.wait_for_function(
        "old => Math.hypot(...window.chengtu.map.getCenter().toArray().map((v, i) => v - old[i])) > 1e-4", arg=before
    )


@pytest.mark.parametrize(("width", "height"), [(3840, 2160), (1180, 820)])
def test_nothing_spills_at_wall_and_tablet_size(browser: Browser, helsinki: Service, width: int, height: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": height})
    watched = watch(context, helsinki.origin)
    watched.page.goto(helsinki.origin)
    watched.settle()
    spill = watched.page.evaluate(
        "() => [document.documentElement.scrollWidth - innerWidth, document.documentElement.scrollHeight - innerHeight]"
    )
    assert spill == [0, 0]
    assert watched.errors == []
    context.close()
