"""A headless Chromium, driven over its debugging protocol.

Tornado, which the notebooks' kernel brings, speaks to it: no driver is needed.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from tornado.websocket import websocket_connect

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
PATIENCE = 120  # seconds, on a machine that does much else
LARGEST = 64 * 2**20  # bytes of a message, such as a picture
DESK, PHONE = 1280, 390  # widths of a window, in CSS pixels


class Browser:
    """One tab. ``troubles`` collects script errors, failed requests and requests to other hosts."""

    def __init__(self, profile: Path, own: str):
        """Start it with a folder of its own; addresses that begin with ``own`` are the site's."""
        self.own = own
        self.troubles: list[str] = []
        self.loaded = False
        self.numbers = itertools.count(1)
        self.loop = asyncio.new_event_loop()
        self.process = subprocess.Popen(
            [
                str(PROGRAM),
                "--headless",
                "--no-sandbox",  # a container's root has none
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-background-networking",
                "--remote-debugging-port=0",
                f"--user-data-dir={profile}",
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self.socket = self.loop.run_until_complete(self._connect(profile))
        except BaseException:
            self.process.kill()
            raise
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    async def _connect(self, profile: Path) -> Any:
        listening = profile / "DevToolsActivePort"  # written when it listens
        end = time.monotonic() + PATIENCE
        while not (listening.exists() and listening.read_text().count("\n")):
            assert self.process.poll() is None and time.monotonic() < end, "Chromium did not start"
            await asyncio.sleep(0.05)
        port, path = listening.read_text().split("\n")
        address = f"ws://127.0.0.1:{port}"
        whole = await websocket_connect(address + path, max_message_size=LARGEST)
        await whole.write_message(json.dumps({"id": 0, "method": "Target.getTargets"}))
        answer = json.loads(await whole.read_message())
        whole.close()
        page = next(
            each["targetId"] for each in answer["result"]["targetInfos"] if each["type"] == "page"
        )
        return await websocket_connect(f"{address}/devtools/page/{page}", max_message_size=LARGEST)

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its result."""
        return self.loop.run_until_complete(self._send(method, params))

    async def _send(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": params}
        await self.socket.write_message(json.dumps(message))
        while True:
            answer = await self._read()
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]

    async def _read(self) -> dict[str, Any]:
        text = await asyncio.wait_for(self.socket.read_message(), PATIENCE)
        assert text is not None, "Chromium closed the connection"
        message = json.loads(text)
        self._note(message.get("method"), message.get("params", {}))
        return message

    def _note(self, event: str | None, params: dict[str, Any]) -> None:
        if event == "Page.loadEventFired":
            self.loaded = True
        elif event == "Runtime.exceptionThrown":
            self.troubles.append(f"script error: {json.dumps(params['exceptionDetails'])[:500]}")
        elif event == "Runtime.consoleAPICalled" and params["type"] == "error":
            self.troubles.append(f"console: {json.dumps(params['args'])[:500]}")
        elif event == "Network.requestWillBeSent":
            url = params["request"]["url"]
            if not url.startswith((self.own, "data:", "blob:")):
                self.troubles.append(f"asks another host: {url}")
        elif event == "Network.responseReceived" and params["response"]["status"] >= 400:
            self.troubles.append(f"{params['response']['status']}: {params['response']['url']}")

    def size(self, width: int, height: int = 900) -> None:
        """Set the size of the window in CSS pixels."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def visit(self, url: str) -> None:
        """Load a page and wait until it is there."""
        self.loaded = False
        self.send("Page.navigate", url=url)
        self.wait_for_load()

    def wait_for_load(self) -> None:
        """Wait for the load that was started."""

        async def wait() -> None:
            while not self.loaded:
                await self._read()

        self.loop.run_until_complete(wait())

    def run(self, script: str) -> Any:
        """The value of an expression; a promise is waited for."""
        found = self.send(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait_until(self, condition: str, seconds: float = 20.0) -> bool:
        """Whether an expression becomes true in time."""
        return self.run(
            "new Promise(done => { const end = Date.now() + " + str(1000 * seconds) + ";"
            "const look = () => { if (" + condition + ") done(true);"
            "else if (Date.now() > end) done(false); else setTimeout(look, 20); }; look(); })"
        )

    def wider_than_window(self) -> list[str]:
        """What sticks out of the window on the right, so that the whole page would scroll."""
        return self.run(
            """(() => {
              const page = document.documentElement, width = page.clientWidth;
              if (page.scrollWidth <= width) return [];
              return [...document.querySelectorAll("body *")]
                .filter(each => each.getBoundingClientRect().right > width + 1)
                .map(each => `${each.tagName}.${each.className}: ${each.textContent.slice(0, 60)}`)
                .slice(0, 5).concat([`${page.scrollWidth} pixels`]);
            })()"""
        )

    def missing_images(self) -> list[str]:
        """What stands for images that did not load."""
        return self.run(
            "[...document.images].filter(each => !each.complete || !each.naturalWidth)"
            ".map(each => each.alt)"
        )

    def check_file(self, page: Path) -> None:
        """Open a page that stands alone, which must be in order at desk and at phone width."""
        self.own = "file://"
        for width in (DESK, PHONE):
            self.size(width)
            self.visit(page.as_uri())
            assert not self.wider_than_window(), width
            assert not self.missing_images()
        assert not self.troubles

    def close(self) -> None:
        """End the browser."""

        async def close() -> None:
            self.socket.close()  # of the loop that runs

        try:
            self.loop.run_until_complete(close())
        finally:
            self.process.terminate()
            self.process.wait(timeout=30)
            self.loop.close()
