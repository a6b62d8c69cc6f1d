"""`docs/images/demo.svg`: what `make demo` shows, taken from a real run of it.

Write it anew: `python -m tests.support.demo_picture`. The upper half is the live view as it stood
when half of the session was over; the lower half is what stays in the terminal.
"""

import contextlib
import io
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.text import Text

from daemon.cli.demo_command import told
from daemon.demo.demo_screen import Screen
from daemon.demo.plan import DemoOptions
from daemon.demo.run import Demo

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "images" / "demo.svg"
SECONDS, WIDTH, HEIGHT = 40, 80, 24


class Watched(Screen):
    """A screen that keeps the view of the middle of the session, and every step."""

    def __init__(self) -> None:
        super().__init__(
            as_json=False,
            console=Console(file=io.StringIO(), width=WIDTH, height=HEIGHT, force_terminal=True),
        )
        self.middle: Group | None = None
        self.steps: list[str] = []

    def say(self, line: str) -> None:
        self.steps.append(line)
        super().say(line)

    def show(
        self, status: Mapping[str, Any], events: Sequence[Mapping[str, Any]], *, seconds_left: float
    ) -> None:
        super().show(status, events, seconds_left=seconds_left)
        if self.middle is None and seconds_left < SECONDS / 2 and status.get("open_orders"):
            self.middle = self.frame()


def run(directory: Path) -> tuple[Watched, dict[str, Any]]:
    options = DemoOptions(
        seconds=SECONDS,
        seed=7,
        replay=None,
        speed="1",
        directory=directory / "demo-run" / "20261130T090000Z",
        crashes=0,
        faults="none",
        caps="demo",
        as_json=False,
    )
    with Watched() as screen:
        return screen, Demo(options, screen).run()


def main() -> None:
    with tempfile.TemporaryDirectory() as directory, contextlib.chdir(directory):
        screen, result = run(Path(directory).resolve())
        program = str(Path(sys.executable).with_name("python"))
        lines = [
            line.replace(program, ".venv/bin/python")
            for line in told(result, here=Path(directory).resolve())
        ]
    assert screen.middle is not None
    paper = Console(file=io.StringIO(), width=WIDTH, record=True, force_terminal=True)
    paper.print(Text("$ make demo", style="bold"))
    paper.print(screen.middle)
    paper.print(Text(f"\n… {SECONDS // 2} seconds later\n", style="dim"))
    for line in [*screen.steps, *lines]:
        paper.print(Text(line, style="bold green" if line.startswith("verdict: OK") else ""))
    PICTURE.write_text(paper.export_svg(title="make demo", unique_id="demo"))


if __name__ == "__main__":
    main()
