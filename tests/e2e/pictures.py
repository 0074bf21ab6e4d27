"""`python -m tests.e2e.pictures`: take the README's pictures of the running product into docs/images."""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.e2e.conftest import CHROMIUM, FLAGS, ROOT, start, stop

IMAGES = ROOT / "docs" / "images"
BELOW = "c=24.94080,60.16905,17.1,62,-28&hex=off&under=1"
SIZE = {"width": 1920, "height": 1080}


def settle(page: Page) -> None:
    """Wait until everything asked for is drawn."""
    page.wait_for_function("() => window.chengtu !== undefined", timeout=120_000)
    page.evaluate("async () => { await window.chengtu.ready; await window.chengtu.idle(); }")


def take(city: str, views: dict[str, str]) -> None:
    """Serve a city and take one picture a view; a view is what follows `#` in the wall's address."""
    kept = ROOT / "var"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        service = start(kept if kept.is_dir() else Path(folder), "--city", city)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
            context = browser.new_context(viewport=SIZE)
            page = context.new_page()
            page.goto(service.link)
            settle(page)
            for name, view in views.items():
                page.goto(f"{service.origin}/#{view}")
                page.reload()
                settle(page)
                page.screenshot(path=IMAGES / f"{name}.jpg", type="jpeg", quality=86, timeout=120_000)
            browser.close()
        stop(service)


if __name__ == "__main__":
    IMAGES.mkdir(parents=True, exist_ok=True)
    take("coquimbo", {"wall-coquimbo": ""})
    take("helsinki", {"wall-helsinki": "", "wall-helsinki-underground": BELOW})
