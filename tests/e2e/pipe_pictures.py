"""`python -m tests.e2e.pipe_pictures`: take the pictures of docs/pipes.md of the running product into docs/images."""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.e2e.conftest import CHROMIUM, FLAGS, Service, start, stop, watch
from tests.e2e.pictures import IMAGES, settle
from tests.e2e.test_pipes import OWNER, WIDE, changes, enter, hand_in, make_surveys, publish

STREET = "c=24.95145,60.17820,18,0,0&hex=off&on=pipe_segments,pipe_points&sel=pipe_segments,1"


def take(page: Page, name: str) -> None:
    """One picture of the page as it is once it rests."""
    settle(page)
    page.screenshot(path=IMAGES / f"{name}.jpg", type="jpeg", quality=86, timeout=120_000)


def take_the_desk(service: Service, folder: Path) -> None:
    """The utility's page: the report of a survey with defects, and the difference a year later."""
    surveys = make_surveys(folder)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        watched = enter(browser, service, WIDE, "utility", "--owner", OWNER)
        page = watched.page
        watched.settle()
        hand_in(page, surveys.bad, "竣工测量 2026")
        settle(page)
        page.get_by_test_id("problem").filter(has=page.locator(".icon")).nth(3).click()
        take(page, "pipes-report")
        hand_in(page, surveys.mended, "竣工测量 2026（改正）")
        publish(page)
        hand_in(page, surveys.later, "竣工测量 2027")
        changes(page)
        settle(page)
        page.locator('[data-testid="difference"] [data-change="changed"]').first.click()
        take(page, "pipes-difference")
        browser.close()


def take_the_wall(service: Service) -> None:
    """The pipe tools: an isolated burst, and a section across a street."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        context = browser.new_context(viewport=WIDE)
        context.set_extra_http_headers({"Authorization": f"Bearer {service.token('operator')}"})
        page = watch(context, service.origin).page
        page.goto(f"{service.origin}/#{STREET}")
        settle(page)
        page.get_by_test_id("pipe-isolation").click()
        expect(page.get_by_test_id("isolation")).to_be_visible(timeout=120_000)
        take(page, "pipes-isolation")
        page.goto(f"{service.origin}/#{STREET}")
        page.reload()
        settle(page)
        page.get_by_test_id("pipe-section").click()
        for y in (330, 590):
            page.mouse.click(800, y)
        page.keyboard.press("Enter")
        expect(page.get_by_test_id("drawing")).to_be_visible(timeout=120_000)
        take(page, "pipes-section")
        browser.close()


if __name__ == "__main__":
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as kept:
        Path(kept).chmod(0o755)
        for city in ("daxing", "helsinki"):
            served = start(Path(kept), "--city", city)
            if city == "daxing":
                take_the_desk(served, Path(kept))
            else:
                take_the_wall(served)
            stop(served)
