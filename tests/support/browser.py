"""A real Chromium without a window, asked over its own protocol: what it fetched, said and drew.

`python -m tests.support.browser REPORT.html DIR` draws the two pictures of the README.
"""

import base64
import contextlib
import itertools
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self

from websockets.sync.client import ClientConnection, connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DEADLINE_S = 60.0
LOADED = "Page.loadEventFired"
PAGE_DEADLINE_S = 60.0
_WHOLE = """({x: 0, y: 0, width: document.documentElement.clientWidth,
              height: document.documentElement.scrollHeight, scale: 1})"""
PICTURES = {"light": "report-light.png", "dark": "report-dark.png"}
PICTURE_SIZE = (1100, 1684)


class Browser:
    """`with Browser() as browser: browser.open(path)`. It writes into its own profile only."""

    def __init__(self) -> None:
        self._profile = Path(tempfile.mkdtemp(prefix="seatrial-browser-"))
        self._process: subprocess.Popen[str] | None = None
        self._socket: ClientConnection | None = None
        self._stack = contextlib.ExitStack()
        self._ids = itertools.count(1)
        self._session = ""
        self._target = ""
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        assert CHROMIUM is not None
        self._process = subprocess.Popen(
            [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
             "--no-first-run", "--disable-background-networking", "--disable-component-update",
             "--remote-debugging-port=0", f"--user-data-dir={self._profile}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if line.startswith("DevTools listening on "):
                address = line.removeprefix("DevTools listening on ").strip()
                self._socket = self._stack.enter_context(
                    connect(address, max_size=None, open_timeout=DEADLINE_S)
                )
                return self
        raise AssertionError("Chromium ended without a word")

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait(DEADLINE_S)
            assert self._process.stderr is not None
            self._process.stderr.close()
        shutil.rmtree(self._profile, ignore_errors=True)

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """One command; the events that arrive before its answer are kept."""
        assert self._socket is not None
        number = next(self._ids)
        message = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._socket.send(json.dumps(message))
        while True:
            answer = self._next()
            if answer.get("id") == number:
                assert "error" not in answer, answer["error"]
                result: dict[str, Any] = answer["result"]
                return result

    def _next(self) -> dict[str, Any]:
        assert self._socket is not None
        message: dict[str, Any] = json.loads(self._socket.recv(DEADLINE_S))
        if "method" in message:
            self.events.append(message)
        return message

    def open(self, page: Path | str, *, scheme: str = "light", width: int = 1100,
             height: int = 900, media: str = "") -> None:  # fmt: skip
        """Show a file or an address in a new tab, instead of the last, until it is loaded."""
        self._session, self.events = "", []
        if self._target:
            self.ask("Target.closeTarget", targetId=self._target)
        target = self._target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime", "Accessibility"):
            self.ask(f"{domain}.enable")
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.ask("Emulation.setEmulatedMedia", media=media, features=features)
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height,
                 deviceScaleFactor=1, mobile=width < 600)  # fmt: skip
        self.events = []
        self.ask("Page.navigate", url=page if isinstance(page, str) else page.as_uri())
        while not self.seen(LOADED):
            self._next()

    def seen(self, method: str) -> list[dict[str, Any]]:
        """The parameters of every event of one kind since the page was asked for."""
        return [event["params"] for event in self.events if event["method"] == method]

    def run(self, expression: str) -> Any:
        """The value of an expression in the page (the page's own policy forbids it scripts)."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def awaited(self, expression: str) -> Any:
        """What a promise of a JSON text comes to."""
        answer = self.ask(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return json.loads(answer["result"]["value"])

    def until(self, expression: str) -> None:
        """Wait until an expression is true in the page."""
        deadline = time.monotonic() + PAGE_DEADLINE_S
        while not self.run(expression):
            assert time.monotonic() < deadline, f"it did not come to {expression}"
            time.sleep(0.1)

    def names(self, role: str) -> list[str]:
        """What a screen reader would call every element of one role."""
        nodes = self.ask("Accessibility.getFullAXTree")["nodes"]
        return [
            node.get("name", {}).get("value", "")
            for node in nodes
            if not node.get("ignored") and node.get("role", {}).get("value") == role
        ]

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """Draw what is in the window, or the whole page."""
        shot = self.ask(
            "Page.captureScreenshot", format="png", optimizeForSpeed=False,
            captureBeyondViewport=whole,
            **({"clip": self.run(_WHOLE)} if whole else {}),
        )  # fmt: skip
        path.write_bytes(base64.b64decode(shot["data"]))


def main() -> None:
    """Draw a report in light and in dark."""
    page, out = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    width, height = PICTURE_SIZE
    with Browser() as browser:
        for scheme, name in PICTURES.items():
            browser.open(page, scheme=scheme, width=width, height=height)
            browser.picture(out / name)
            print(out / name, (out / name).stat().st_size, "bytes")


if __name__ == "__main__":
    main()
