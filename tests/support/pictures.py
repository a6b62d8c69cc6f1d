"""The pictures of the documents, each of one real run: `python -m tests.support.pictures DIR`.

The page at three widths in light and dark, after an incident and after a kill; watch at two sizes.
The Grafana board has a run of its own (`board_picture.py`), and so has the report (`browser.py`).
"""

import sys
import tempfile
import time
from pathlib import Path

from control.tool.watch_screen import WatchScreen
from tests.support.board_picture import PACE_S, trade
from tests.support.bot_box import BotBox
from tests.support.browser import Browser
from tests.support.raw_bot import RawBot

RUN_S = 90.0
WIDTHS = (1280, 768, 390)
SIZES = ((80, 24), (120, 40))
DRAWN = "document.querySelectorAll('canvas').length >= 3"


class BusyBox(BotBox):
    """A box with bots, and a strategy of ours."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, bots=("maker", "taker"))
        self._strategy = "heartbeat"


def main() -> None:
    """Make a run, and draw what it shows."""
    out = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder, BusyBox(Path(folder)) as box:
        maker = RawBot(box.address, box.keys["maker"].api_key, box.keys["maker"].secret)
        taker = RawBot(box.address, box.keys["taker"].api_key, box.keys["taker"].secret)
        url = f"http://127.0.0.1:{box.status()['metrics_port']}/"
        with Browser() as browser:

            def draw(name: str, width: int, scheme: str, *, turns: int = 8) -> None:
                browser.open(url, width=width, scheme=scheme)
                browser.until(DRAWN)
                for turn in range(turns):
                    trade(turn, maker, taker)
                    time.sleep(PACE_S)
                browser.picture(out / f"{name}-{width}-{scheme}.png", whole=True)

            begun, turn = time.monotonic(), 0
            while time.monotonic() - begun < RUN_S:
                turn += 1
                trade(turn, maker, taker)
                time.sleep(PACE_S)
            for width in WIDTHS:
                for scheme in ("light", "dark"):
                    draw("page", width, scheme)
            for columns, rows in SIZES:
                file = out / f"watch-{columns}x{rows}.svg"
                WatchScreen(box.socket).picture(file, size=(columns, rows))
            box.sim.admin_post("strike", kind="foreign_order")
            box.tool("reconcile")  # finds it, and so says that the books are not clean
            box.until(lambda status: bool(status["incidents"]))
            draw("page-incident", 1280, "light", turns=4)
            box.must("kill", "--reason", "spread too wide")
            draw("page-killed", 1280, "light", turns=4)


if __name__ == "__main__":
    main()
