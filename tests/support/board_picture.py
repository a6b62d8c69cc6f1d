"""The Grafana board on a real run: what Prometheus answers to each panel, and a picture of it.

No Grafana can be had where we build. So our own script asks the board's own queries and draws the
panels at the board's own places, in Chromium with the chart library of the operator's page.

`python -m tests.support.board_picture docs/images/grafana-board.png` makes a run and its picture.
"""

import json
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from control.tool.command_frame import Wiring
from control.tool.mounted_commands import Tool
from daemon.shell.process.clock import SystemClock
from tests.support.alerting import WatchedBox, listening, monitoring, scraped
from tests.support.bot_box import BotBox
from tests.support.browser import Browser
from tests.support.raw_bot import RawBot

ROOT = Path(__file__).resolve().parents[2]
BOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana/dashboards/seatrial.json").read_text())
UPLOT = ROOT / "daemon/shell/page/assets/uplot"
RATE_INTERVAL = "15s"
RUN_S_MAX = 180.0
PACE_S = 0.4
TOLD = (
    "Drawn by our script, not by Grafana: the board's own queries, answered by a real Prometheus "
    "that watched a real run on the simulated venue."
)
DRAWN = "document.body.dataset.drawn === 'yes'"


class WatchedBotBox(WatchedBox, BotBox):
    """A box with a gateway whose metrics are where Prometheus looks."""


@dataclass(frozen=True)
class Answer:
    """What Prometheus answers to one query of a panel: by name of the series, times and values."""

    panel: dict[str, Any]
    expr: str
    series: dict[str, list[tuple[float, float]]]


@contextmanager
def watched_run(directory: Path, *, seconds: float) -> Iterator[str]:
    """Prometheus' address, once it has watched bots, a broken link and a kill for so long."""
    box_dir = directory / "box"
    box_dir.mkdir()
    with (
        WatchedBotBox(box_dir, bots=("maker", "taker")) as box,
        listening() as human,
        monitoring(directory, box.port, human) as base,
    ):
        deadline = time.monotonic() + RUN_S_MAX
        makers = RawBot(box.address, box.keys["maker"].api_key, box.keys["maker"].secret)
        takers = RawBot(box.address, box.keys["taker"].api_key, box.keys["taker"].secret)
        turn, has_broken, was_killed = 0, False, False
        while (watched := scraped(base)) < seconds:
            assert time.monotonic() < deadline, (directory / "prometheus.log").read_text()
            turn += 1
            time.sleep(PACE_S)
            trade(turn, makers, takers)
            if turn == 5:
                box.sim.admin_post("strike", kind="cancel_only", symbol="BTCUSDT", seconds=1)
            if watched > seconds * 0.4 and not has_broken:
                has_broken = True
                box.sim.admin_post("strike", kind="abrupt_close")
            if watched > seconds * 0.7 and not was_killed:
                was_killed = True
                box.must("kill", "--reason", "in the run")
                _come_back(box)
        yield base


def _come_back(box: WatchedBotBox) -> None:
    """Remove the latch once the kill has ended, play a drill, and begin a session."""
    rearm = ("re-arm", "--yes", "--reason", "in the run")
    box.until(lambda _: box.tool(*rearm).exit_code == 0)
    words = ["--socket", str(box.socket), "drill", "cap-rejection"]
    # Refused until the session's end has been written.
    box.until(lambda _: CliRunner().invoke(Tool(), words, obj=Wiring()).exit_code == 0)
    box.must("start", "--yes", "--reason", "in the run")


def trade(turn: int, makers: RawBot, takers: RawBot) -> None:
    """One turn of two bots: quotes, takes, and now and then what a cap denies."""
    price = makers.bid()
    makers.limit(f"m{turn}", price * 0.999)
    if turn % 2:
        makers.call("DELETE", "openOrders", symbol="BTCUSDT")
    takers.call("POST", "order", symbol="BTCUSDT", side=("BUY", "SELL")[turn % 2],
                type="MARKET", quantity="0.001")  # fmt: skip
    if turn % 3 == 0:
        takers.buy("5")  # beyond a cap


def answers(base: str, *, seconds: float) -> list[Answer]:
    """What Prometheus answers now to every query of every panel, over the last so many seconds."""
    end = SystemClock().now_ns() / 1e9
    found = []
    for panel in BOARD["panels"]:
        for target in panel.get("targets", ()):
            expr = target["expr"].replace("$__rate_interval", RATE_INTERVAL)
            expr = expr.replace("$instance", ".+")
            asked = urllib.parse.urlencode(
                {"query": expr, "start": end - seconds, "end": end, "step": 1}
            )
            with urllib.request.urlopen(f"{base}/api/v1/query_range?{asked}", timeout=60) as got:
                rows = json.load(got)["data"]["result"]
            series = {
                _name(target, row["metric"]): [
                    (float(at), float(value)) for at, value in row["values"] if value != "NaN"
                ]
                for row in rows
            }
            series = {name: values for name, values in series.items() if values}
            found.append(Answer(panel, target["expr"], series))
    return found


def _name(target: dict[str, Any], labels: dict[str, str]) -> str:
    name: str = target["legendFormat"]
    for label, value in labels.items():
        name = name.replace("{{" + label + "}}", value)
    return name.split("{{")[0].strip() or target["expr"].split("{")[0]


def draw(found: list[Answer], place: Path) -> None:
    """Draw the board, whole."""
    panels: dict[int, dict[str, Any]] = {}
    for row in BOARD["panels"]:
        panels[row["id"]] = {"panel": row, "series": {}}
    for one in found:
        panels[one.panel["id"]]["series"] |= one.series
    data = json.dumps({"panels": list(panels.values()), "told": TOLD}).replace("</", "<\\/")
    library = (UPLOT / "uPlot.iife.min.js").read_text()
    style = (UPLOT / "uPlot.min.css").read_text()
    script = Path(__file__).with_name("board_picture.js").read_text()
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>seatrial</title>'
        f"<style>{style}</style><body><script>{library}</script>"
        f"<script>const BOARD = {data};</script>"
        f"<script>{script}</script></body></html>"
    )
    with tempfile.TemporaryDirectory() as folder, Browser() as browser:
        path = Path(folder) / "board.html"
        path.write_text(page)
        browser.open(path, width=1_400)
        browser.until(DRAWN)
        browser.picture(place, whole=True)


def main() -> None:
    """Make a run, and its picture."""
    with tempfile.TemporaryDirectory() as folder, watched_run(Path(folder), seconds=90) as base:
        draw(answers(base, seconds=90), Path(sys.argv[1]))


if __name__ == "__main__":
    main()
