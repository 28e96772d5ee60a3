"""Node, Chromium, and the SDKs of `sdks/package.json`, for tests that run them unchanged.

The SDKs are installed once by npm, as the lock file says, and stay in `~/.cache/touchline`. Where
a tool is missing the test is skipped, or fails if TOUCHLINE_REQUIRE_SDKS is set.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

import pytest
from aiohttp import web

FOLDER = Path(__file__).parent / "sdks"
#: Names under which Chromium is installed.
CHROMIUM = ("chromium", "chromium-headless-shell", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--mute-audio",
    "--disable-background-networking", "--disable-component-update", "--disable-default-apps",
    "--disable-dev-shm-usage", "--disable-domain-reliability", "--disable-extensions",
    "--disable-sync", "--no-proxy-server",
)  # fmt: skip


def required(*names: str) -> str:
    """The path of the first of these commands that there is."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    return found or _unavailable(f"{names[0]} is not installed")


def node_modules() -> Path:
    """The installed SDKs."""
    lock = (FOLDER / "package-lock.json").read_bytes()
    cache = Path.home() / ".cache" / "touchline" / f"sdks-{hashlib.sha256(lock).hexdigest()[:12]}"
    if not cache.exists():
        _install(cache)
    return cache / "node_modules"


def _install(cache: Path) -> None:
    """Into a neighbouring folder, then renamed, so that a cache is complete or absent."""
    npm = required("npm")
    cache.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=cache.parent) as work:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(FOLDER / name, work)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        result = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
        if result.returncode:
            _unavailable(f"npm cannot install the SDKs: {result.stderr.strip()[-300:]}")
        try:
            Path(work, "done").mkdir()
            Path(work, "node_modules").rename(Path(work, "done", "node_modules"))
            Path(work, "done").rename(cache)
        except OSError:
            if not cache.exists():  # otherwise another process was faster
                raise


def _unavailable(problem: str) -> NoReturn:
    reason = f"tests with SDKs of JavaScript did not run: {problem}"
    if os.environ.get("TOUCHLINE_REQUIRE_SDKS"):
        pytest.fail(reason)
    pytest.skip(reason)


async def node(script: str, *arguments: str) -> str:
    """Run a script of `sdks/` and return its output, with the SDKs to require."""
    program = required("node", "nodejs")
    process = await asyncio.create_subprocess_exec(
        *(program, FOLDER / script, *arguments),
        env={**os.environ, "NODE_PATH": str(node_modules())},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return out.decode()


class Site:
    """A web site of its own origin: the pages of `sdks/pages`, and the SDKs below /sdk/."""

    def __init__(self, port: int) -> None:
        self.origin = f"http://localhost:{port}"
        #: The same pages to the network, another origin to browsers.
        self.other_origin = f"http://127.0.0.1:{port}"
        #: What went wrong in pages.
        self.reports: list[str] = []
        #: The pages that were asked for.
        self.visited: list[str] = []

    @classmethod
    @asynccontextmanager
    async def serving(cls) -> AsyncIterator[Site]:
        app = web.Application()
        runner = web.AppRunner(app, access_log=None)

        async def report(request: web.Request) -> web.Response:
            site.reports.append(await request.text())
            return web.Response()

        async def page(request: web.Request) -> web.FileResponse:
            site.visited.append(request.match_info["name"])
            return web.FileResponse(FOLDER / "pages" / request.match_info["name"])

        app.router.add_post("/report", report)
        app.router.add_get("/{name:[a-z]+[.](?:html|js)}", page)
        app.router.add_static("/sdk/", node_modules())
        await runner.setup()
        tcp = web.TCPSite(runner, "127.0.0.1", 0)
        await tcp.start()
        site = cls(runner.addresses[0][1])
        try:
            yield site
        finally:
            await runner.cleanup()


@asynccontextmanager
async def chromium(url: str, profile: Path) -> AsyncIterator[None]:
    """A headless Chromium that shows a page; ended at the end, with all of its processes."""
    program = required(*CHROMIUM)
    log = profile.with_suffix(".log").open("wb")
    with log:
        process = await asyncio.create_subprocess_exec(
            *(program, *_FLAGS, f"--user-data-dir={profile}", url),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def until(condition: Callable[[], bool], site: Site, timeout_s: float = 90) -> None:
    """Wait for a condition; what pages reported stands in the failure."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while not condition():
        if asyncio.get_running_loop().time() > deadline:
            pytest.fail(f"not true within {timeout_s:g} s; the pages say: {site.reports}")
        await asyncio.sleep(0.05)
