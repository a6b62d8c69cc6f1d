"""What the demo shows: a live view that fits the terminal, plain lines elsewhere.

Rules of this file:
1. The live view has a budget of lines: state and steps first, then caps, then the journal. At 80x24
   everything that matters is on the screen.
2. The live view goes away at the end; every step stays, as plain lines, for the scroll-back.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from control.tool.status_text import amount, event_line, small_caps_table
from daemon.shell.process.clock import SystemClock

STEPS_SHOWN = 6
CAPS_MIN, CAPS_MAX = 3, 9
EVENTS_MAX = 8
PLAIN_FIRST_NS = 1_000_000_000
"""A session that has just been started has nothing to show."""
PLAIN_PERIOD_NS = 3_000_000_000
AMOUNT_DIGITS = 6
"""Significant digits of an amount for people; the journal and `--json` have all of them."""


class Screen:
    """Says steps and shows status. With `as_json` everything goes to stderr but the result."""

    def __init__(self, *, as_json: bool, console: Console | None = None) -> None:
        """Live only when the output is a terminal."""
        self._console = console or Console(stderr=as_json)
        self._steps: list[str] = []
        self._live: Live | None = None
        self._status: Mapping[str, Any] = {}
        self._events: Sequence[Mapping[str, Any]] = ()
        self._seconds_left = 0.0
        self._clock = SystemClock()
        self._next_plain_ns = 0
        self._asked_to_end: int | None = None

    def __enter__(self) -> Self:
        """Start the live view on a terminal."""
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=5, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the live view away and leave the story."""
        if self._live is None:
            return
        self._live.stop()
        self._live = None
        for line in self._steps:
            self._console.print(line, highlight=False, soft_wrap=True, markup=False)

    def end(self, code: int) -> None:
        """Leave the demo with this exit code. For a signal's handler.

        What a handler raises is lost where it strikes a callback of the interpreter (each import
        has one). So it is raised again by the next step that is told or shown.

        Raises:
            SystemExit: always.
        """
        self._asked_to_end = code
        raise SystemExit(code)

    def say(self, line: str) -> None:
        """One step of the story."""
        self._go_on()
        self._steps.append(line)
        if self._live is None:
            self._console.print(line, highlight=False, soft_wrap=True, markup=False)
        else:
            self._live.update(self.frame())

    def show(
        self, status: Mapping[str, Any], events: Sequence[Mapping[str, Any]], *, seconds_left: float
    ) -> None:
        """The daemon's status and its last journal lines, now."""
        self._go_on()
        if status:
            self._status, self._events = status, events
        self._seconds_left = max(0.0, seconds_left)
        if self._live is not None:
            self._live.update(self.frame())
            return
        now_ns = self._clock.monotonic_ns()
        self._next_plain_ns = self._next_plain_ns or now_ns + PLAIN_FIRST_NS
        if now_ns >= self._next_plain_ns:
            self._next_plain_ns = now_ns + PLAIN_PERIOD_NS
            line = plain_line(status, self._seconds_left)
            self._console.print(line, highlight=False, soft_wrap=True, markup=False)

    def _go_on(self) -> None:
        if self._asked_to_end is not None:
            raise SystemExit(self._asked_to_end)

    def frame(self) -> Group:
        """The live view, within the terminal's height: never a line more."""
        head = [headline(self._status, self._seconds_left), *positions(self._status)]
        steps = [_row(Text(step)) for step in self._steps[-STEPS_SHOWN:]]
        room = self._console.height - len(head) - len(steps) - 4  # titles, and the cursor's line
        caps = min(CAPS_MAX, max(CAPS_MIN, (room - 1) // 2))
        events = max(0, min(EVENTS_MAX, room - caps - 1))
        parts: list[RenderableType] = [_row(line) for line in head]
        parts += [_title("steps"), *steps]
        if (table := small_caps_table(self._status, caps)) is not None:
            table.show_header = False
            parts += [_title("fullest caps"), table]
        if events and self._events:
            parts.append(_title("journal"))
            parts += [_row(event_line(one)) for one in self._events[-events:]]
        return Group(*parts)


def _row(line: Text) -> Text:
    """One line of the screen, cut at its edge."""
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def _title(name: str) -> Text:
    return Text(f"── {name} ", style="dim")


def plain_line(status: Mapping[str, Any], seconds_left: float) -> str:
    """One line for a log."""
    if not status:
        return f"daemon not answering, {seconds_left:.0f} s left"
    return (
        f"{status.get('gate_state')} {status.get('trading_state')}: {counts(status)}, "
        f"unknown {(status.get('orders') or {}).get('UNKNOWN', 0)}, "
        f"journal {status.get('journal_seq')} lines, {seconds_left:.0f} s left"
    )


def counts(status: Mapping[str, Any]) -> str:
    """What has happened so far, in one line."""
    denied = sum((status.get("denied") or {}).values())
    return (
        f"orders {status.get('session_orders', 0)}, open {len(status.get('open_orders', ()))}, "
        f"fills {status.get('session_fills', 0)}, denied {denied}, "
        f"incidents {status.get('incidents_open', 0)}"
    )


def headline(status: Mapping[str, Any], seconds_left: float) -> Text:
    """State, counts, time left."""
    if not status:
        return Text(f"seatrial demo  daemon not answering  {seconds_left:.0f} s left", "yellow")
    trading = str(status.get("trading_state"))
    text = Text("seatrial demo  ")
    text.append(f"{status.get('gate_state')} ", style="bold")
    text.append(trading, style="bold green" if trading == "ACTIVE" else "bold yellow")
    text.append(f"  {seconds_left:.0f} s left\n{counts(status)}")
    return text


def positions(status: Mapping[str, Any]) -> list[Text]:
    """One line a symbol."""
    return [
        Text(
            f"{symbol:<10} position {amount(row['qty']):>12}"
            f"   realised {amount(row['realised_pnl'], AMOUNT_DIGITS)}"
        )
        for symbol, row in (status.get("positions") or {}).items()
    ]


def near(path: str | Path, here: Path | None) -> str:
    """A path as short as it can be typed from here (None: the current directory)."""
    try:
        return str(Path(path).relative_to(here or Path.cwd()))
    except ValueError:
        return str(path)


def program(name: str) -> str:
    """A program beside this interpreter, as short as it can be typed."""
    return near(Path(sys.executable).with_name(name), None)
