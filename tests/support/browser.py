"""A headless Chromium for tests: opens pages, waits for what they show, clicks, takes pictures."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

__all__ = ["Browser", "browser"]

_SECONDS = 60
# The deepest element of the page whose whole text is the wanted one; the n-th such.
_FIND = """(() => {
  const same = [...document.querySelectorAll('*')].filter(e => e.innerText?.trim() === %s);
  const leaves = same.filter(e => !same.some(other => other !== e && e.contains(other)));
  const found = leaves.at(%d);
  if (!found) return null;
  found.scrollIntoView({block: 'center'});
  const box = found.getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2];
})()"""


class Browser:
    """One page, driven over Chromium's DevTools protocol.

    Raises:
        AssertionError: From all methods, when the page does not do within a minute what is asked.
    """

    def __init__(self, address: str, size: tuple[int, int]) -> None:
        self._loop = asyncio.new_event_loop()
        self._number = 0
        self._session, self._socket = self._run(self._connect(address))
        self._command("Page.enable")
        self._command(
            "Emulation.setDeviceMetricsOverride",
            width=size[0],
            height=size[1],
            deviceScaleFactor=1,
            mobile=False,
        )

    def open(self, address: str) -> None:
        """Go to an address, from an empty page: a change behind # alone would load nothing."""
        self._command("Page.navigate", url="about:blank")
        self._command("Page.navigate", url=address)

    @property
    def text(self) -> str:
        """All that the page shows."""
        return self.evaluate("document.body ? document.body.innerText : ''")

    def wait_for(self, *texts: str) -> None:
        """Wait until the page shows all of the texts."""
        self._until(lambda: all(text in self.text for text in texts), f"shows {texts}")

    def click(self, text: str, nth: int = 0) -> None:
        """Click on what has exactly this text; of several, on the n-th, as in a list."""
        place: list[float] = []

        def found() -> bool:
            place[:] = self.evaluate(_FIND % (json.dumps(text), nth)) or []
            return bool(place)

        self._until(found, f"has {text!r} to click on")
        for kind in ("mousePressed", "mouseReleased"):
            x, y = place
            self._command(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1
            )

    def press(self, key: str) -> None:
        """Press a key that writes nothing, such as ``Escape``."""
        for kind in ("rawKeyDown", "keyUp"):
            self._command("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def settle(self) -> None:
        """Wait until the page shows the same for a second: nothing moves or loads any more."""
        pictures: list[str] = []

        def still() -> bool:
            time.sleep(0.5)
            pictures.append(self._command("Page.captureScreenshot", format="png")["data"])
            return len(pictures) > 2 and len({*pictures[-3:]}) == 1

        self._until(still, "stands still")

    def evaluate(self, script: str) -> Any:
        """Give the value of a JavaScript expression."""
        answer = self._command("Runtime.evaluate", expression=script, returnByValue=True)
        return answer["result"].get("value")

    def picture(self, path: Path) -> None:
        """Save what is visible as a PNG file."""
        answer = self._command("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(answer["data"]))

    def close(self) -> None:
        """Let go of the page."""
        self._run(self._session.close())
        self._loop.close()

    def _until(self, holds: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _SECONDS
        while not holds():
            assert time.monotonic() < deadline, f"no page that {what}; it shows: {self.text}"
            time.sleep(0.1)

    async def _connect(
        self, address: str
    ) -> tuple[aiohttp.ClientSession, aiohttp.ClientWebSocketResponse]:
        session = aiohttp.ClientSession()
        async with session.get(f"{address}/json") as answer:
            pages = [one for one in await answer.json() if one["type"] == "page"]
        # A picture is one message of some megabytes.
        socket = await session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0)
        return session, socket

    def _command(self, method: str, **params: Any) -> dict[str, Any]:
        return self._run(self._ask(method, params))

    async def _ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": params})
        while True:
            message = await self._socket.receive_json(timeout=_SECONDS)
            if message.get("id") == self._number:
                assert "error" not in message, message["error"]
                return message["result"]

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run_until_complete(work)


@pytest.fixture
def browser() -> Iterator[Browser]:
    """A fresh Chromium of 1440 by 900 points; skips when it is not installed."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = ["--headless", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
        options += ["--disable-background-networking", "--no-first-run"]
        if os.geteuid() == 0:
            options.append("--no-sandbox")
        command = [program, *options, f"--user-data-dir={profile}", "--remote-debugging-port=0"]
        process = subprocess.Popen(
            [*command, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            page = Browser(f"http://127.0.0.1:{_port(Path(profile), process)}", (1440, 900))
            yield page
            page.close()
        finally:
            process.terminate()
            process.wait()


def _port(profile: Path, process: subprocess.Popen[bytes]) -> int:
    written = profile / "DevToolsActivePort"
    deadline = time.monotonic() + _SECONDS
    while not (written.exists() and written.read_text().count("\n")):
        assert process.poll() is None, "Chromium ended before it was asked anything"
        assert time.monotonic() < deadline, "Chromium did not start"
        time.sleep(0.1)
    return int(written.read_text().splitlines()[0])
