"""What the demo shows: a live, compact table on a terminal, plain lines elsewhere."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from daemon.shell.clock import SystemClock

LINES_KEPT = 6
PLAIN_PERIOD_NS = 5_000_000_000
BAR_WIDTH = 18


class Screen:
    """Says steps and shows status. With `as_json` everything goes to stderr but the result."""

    def __init__(self, *, as_json: bool) -> None:
        """Live only when the output is a terminal."""
        self._console = Console(stderr=as_json)
        self._lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._live: Live | None = None
        self._status: Mapping[str, Any] = {}
        self._events: Sequence[Mapping[str, Any]] = ()
        self._seconds_left = 0.0
        self._next_plain_ns = 0
        self._clock = SystemClock()

    def __enter__(self) -> Self:
        """Start the live view on a terminal."""
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=5, transient=False)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the last frame standing."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def say(self, line: str) -> None:
        """One step of the story."""
        self._lines.append(line)
        if self._live is None:
            self._console.print(line, highlight=False, soft_wrap=True)
        else:
            self._live.update(self._frame())

    def show(
        self, status: Mapping[str, Any], events: Sequence[Mapping[str, Any]], *, seconds_left: float
    ) -> None:
        """The daemon's status and its last journal lines, now."""
        if status:
            self._status, self._events = status, events
        self._seconds_left = seconds_left
        if self._live is not None:
            self._live.update(self._frame())
            return
        now_ns = self._clock.monotonic_ns()
        if now_ns >= self._next_plain_ns:
            self._next_plain_ns = now_ns + PLAIN_PERIOD_NS
            self._console.print(plain_line(status, seconds_left), highlight=False, soft_wrap=True)

    def _frame(self) -> Group:
        events = "\n".join(event_line(event) for event in self._events)
        return Group(
            Panel(
                headline(self._status, self._seconds_left),
                title="seatrial demo",
                border_style="cyan",
            ),
            caps_table(self._status),
            Panel(Text(events), title="journal", border_style="dim"),
            Panel(Text("\n".join(self._lines)), title="steps", border_style="dim"),
        )


def plain_line(status: Mapping[str, Any], seconds_left: float) -> str:
    """One line for a log."""
    if not status:
        return f"daemon not answering, {seconds_left:.0f} s left"
    denied = sum((status.get("denied") or {}).values())
    return (
        f"{status.get('gate_state')} {status.get('trading_state')} "
        f"orders {status.get('session_orders', 0)} open {len(status.get('open_orders', ()))} "
        f"fills {status.get('session_fills', 0)} denied {denied} "
        f"unknown {(status.get('orders') or {}).get('UNKNOWN', 0)} "
        f"incidents {status.get('incidents_open', 0)} journal {status.get('journal_seq')} "
        f"{seconds_left:.0f} s left"
    )


def headline(status: Mapping[str, Any], seconds_left: float) -> Text:
    """State, counts, time left."""
    if not status:
        return Text(f"daemon not answering   {seconds_left:.0f} s left", style="yellow")
    trading = str(status.get("trading_state"))
    text = Text()
    text.append(f"{status.get('gate_state')} ", style="bold")
    text.append(trading, style="bold green" if trading == "ACTIVE" else "bold yellow")
    denied = sum((status.get("denied") or {}).values())
    text.append(
        f"   orders {status.get('session_orders', 0)}   open {len(status.get('open_orders', ()))}"
        f"   fills {status.get('session_fills', 0)}   denied {denied}"
        f"   incidents {status.get('incidents_open', 0)}   {seconds_left:.0f} s left"
    )
    for symbol, row in (status.get("positions") or {}).items():
        text.append(f"\n{symbol:<10} position {row['qty']:>14}   realised {row['realised_pnl']}")
    return text


def event_line(event: Mapping[str, Any]) -> str:
    """One journal line, for people: when, what, which order."""
    parts = [str(event.get("ts", ""))[11:23], f"{event.get('event_type', ''):<16}"]
    keys = ("symbol", "side", "qty", "price", "deny_reason", "trigger", "msg", "client_order_id")
    parts += [str(event[key]) for key in keys if event.get(key)]
    return "  ".join(parts)


def caps_table(status: Mapping[str, Any]) -> Table:
    """The most used caps first, as bars."""
    table = Table(box=None, pad_edge=False)
    for name in ("cap", "symbol", "used", "limit", ""):
        table.add_column(name, justify="right" if name in {"used", "limit"} else "left")
    rows = sorted(status.get("caps") or (), key=_share, reverse=True)
    for row in rows[:9]:
        share = min(1.0, _share(row))
        filled = round(share * BAR_WIDTH)
        style = "green" if share < 0.7 else "yellow" if share < 1 else "red"
        bar = Text("█" * filled + "░" * (BAR_WIDTH - filled) + f" {share:4.0%}", style=style)
        table.add_row(
            str(row["cap"]),
            str(row.get("symbol") or ""),
            _short(row["used"]),
            _short(row["limit"]),
            bar,
        )
    return table


def _share(row: Mapping[str, Any]) -> float:
    limit = float(row["limit"])
    return float(row["used"]) / limit if limit else 0.0


def _short(text: Any) -> str:
    return f"{float(text):.6g}"
