"""A real city served by the real command, looked at in a real Chromium."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = os.environ.get("CHENGTU_CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
]
READY_S = 900


@dataclass
class Service:
    """A running `chengtu serve` and the link it printed."""

    process: subprocess.Popen[str]
    link: str
    home: Path
    arguments: tuple[str, ...]

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        parts = urlsplit(self.link)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def key(self) -> str:
        """The one-time token of the printed link."""
        return parse_qs(urlsplit(self.link).query)["token"][0]

    def token(self, role: str, *options: str) -> str:
        """A fresh token from the command line."""
        command = [*CHENGTU, "token", "--role", role, *options, *self.arguments, "--home", str(self.home)]
        made = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        return made.stdout.strip()


CHENGTU = (sys.executable, "-c", "from scripts.cli import main; main()")


def start(home: Path, *arguments: str) -> Service:
    """Start the service and wait until it says that it is ready."""
    command = [*CHENGTU, "serve", "--port", "0", "--home", str(home), *arguments]
    home.mkdir(parents=True, exist_ok=True)
    log = home / "serve.log"
    with log.open("w") as said:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=said, text=True, cwd=ROOT, start_new_session=True
        )
    watchdog = threading.Timer(READY_S, process.kill)
    watchdog.start()
    assert process.stdout is not None
    ready = next((line for line in process.stdout if line.startswith("ready ")), None)
    watchdog.cancel()
    if ready is None:
        process.wait()
        process.stdout.close()
        raise AssertionError("the service ended before it was ready:\n" + log.read_text()[-4000:])
    return Service(process, ready.split(maxsplit=1)[1].strip(), home, arguments)


def stop(service: Service) -> int:
    """Ask the service to stop and wait until it has."""
    service.process.send_signal(signal.SIGTERM)
    ended = service.process.wait(timeout=60)
    assert service.process.stdout is not None
    service.process.stdout.close()
    return ended


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """A home folder for the whole browser session; fetched wheels are kept for the next one."""
    kept = ROOT / "var" / "wheels"
    with tempfile.TemporaryDirectory(prefix="chengtu-e2e-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        kept.mkdir(parents=True, exist_ok=True)
        (Path(folder) / "wheels").symlink_to(kept)
        yield Path(folder)


@pytest.fixture(scope="module")
def helsinki(home: Path) -> Iterator[Service]:
    """The street-scale city, served."""
    service = start(home, "--city", "helsinki")
    yield service
    assert stop(service) == 0, "SIGTERM ends the service cleanly"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium with software rendering, as CI has it.

    Not kept for the session: while Playwright is open its event loop runs in this thread, and no other test could
    run one of its own.
    """
    if not Path(CHROMIUM).exists():
        pytest.fail(f"{CHROMIUM} is missing: apt-get install chromium, or name another in CHENGTU_CHROMIUM")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield opened
        opened.close()


@dataclass
class Watched:
    """A page, and everything that went wrong on it."""

    page: Page
    foreign: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def settle(self) -> None:
        """Wait until map and tiles are drawn."""
        self.page.wait_for_function("() => window.chengtu !== undefined", timeout=60_000)
        self.page.evaluate("async () => { await window.chengtu.ready; await window.chengtu.idle(); }")


def watch(context: BrowserContext, origin: str) -> Watched:
    """A page on which any request to another host is refused and remembered."""
    page = context.new_page()
    watched = Watched(page)

    def guard(route: Route) -> None:
        if route.request.url.startswith((origin, "data:", "blob:")):
            route.continue_()
        else:
            watched.foreign.append(route.request.url)
            route.abort()

    page.route("**/*", guard)
    page.on("pageerror", lambda error: watched.errors.append(str(error)))
    page.on("console", lambda m: watched.errors.append(m.text) if m.type == "error" else None)
    return watched


@pytest.fixture
def wall(browser: Browser, helsinki: Service) -> Iterator[Watched]:
    """The wall at full HD, signed in as an operator."""
    context = browser.new_context(viewport={"width": 1920, "height": 1080})
    context.set_extra_http_headers({"Authorization": f"Bearer {helsinki.token('operator')}"})
    watched = watch(context, helsinki.origin)
    yield watched
    context.close()
