"""`seatrial watch`: the daemon on one screen of 80 by 24 or more, with the two keys that stop.

Rules of this file:
1. It reads through the control socket only, and works while the daemon hangs: its own thread asks.
2. `k` and `c` use a connection of their own, and ask back first.
3. What it cannot know it says: a snapshot that gets old is marked, a daemon that is gone too.
"""

import contextlib
import functools
import re
import threading
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.css.query import NoMatches
from textual.message import Message
from textual.pilot import Pilot
from textual.widgets import Footer, Label, Sparkline, Static

from control.control_errors import ControlError, RpcError
from control.tool.client import ControlClient
from control.tool.daemon_lookup import direct_command
from control.tool.kill_command import SILENT_S, kill_line
from control.tool.status_text import (
    activity_line,
    alarm_lines,
    bots_table,
    caps_table,
    clean,
    fullest_caps,
    headline,
    health_line,
    milliseconds,
    orders_table,
    positions_table,
    small_caps_table,
)
from control.tool.watch_dialogs import WatchHelp, ask_filter, confirm
from control.tool.watch_panes import (
    clock_text,
    denial_rows,
    event_rows,
    events_title,
    incident_rows,
    lost_headline,
    passing,
)

POLL_S = 0.5
RETRY_S = 1.0
EVENTS_KEPT = 2_000
EVENTS_AT_FIRST = 500
WIDE_COLUMNS = 110
"""From here on incidents and denials stand beside the events."""
SIDE_COLUMNS = 46
ROWS_OF_SMALL = 24
LAGS_KEPT = 120
CAPS_SHOWN = 5
POSITIONS_SHOWN = 3
BOTS_SHOWN = 3
ORDERS_SHOWN = 2
_FONT_FACES = re.compile(r"@font-face\s*\{[^}]*\}")
QUIET_TYPES = ("input", "heartbeat", "checkpoint", "clock")
"""Lines that would push everything else out of a small screen."""


def _if_drawn(draw: "Callable[[WatchScreen], None]") -> "Callable[[WatchScreen], None]":
    """Let a drawing do nothing while the screen is made or taken down, and lacks its parts."""

    @functools.wraps(draw)
    def drawn(screen: "WatchScreen") -> None:
        with contextlib.suppress(NoMatches):
            draw(screen)

    return drawn


class _KillSteps:
    """Shows the steps of a kill, or that no answer comes."""

    def __init__(self, app: "WatchScreen", socket: Path) -> None:
        self._app = app
        self._socket = socket
        self._heard = False

    def sent(self) -> None:
        """The bytes of the request have left."""
        self._app.tell_note("kill sent…")

    def wait_s(self, elapsed_s: float) -> float:
        """Until the next whole second."""
        return 1.0 - elapsed_s % 1.0

    def step(self, step: Mapping[str, Any], elapsed_s: float) -> None:
        """A step, or a second without one."""
        self._heard = self._heard or bool(step)
        if step.get("step") in {"gate_closed", "joined"}:
            self._app.tell_note("kill: gate closed; canceling…")
        elif step.get("step") == "canceling":
            left = f"{step.get('open_orders')} of ours left at the venue"
            self._app.tell_note(f"kill: {step.get('canceled')} canceled, {left}")
        elif not self._heard and elapsed_s >= SILENT_S:
            by_hand = direct_command(self._socket, None)
            self._app.tell_note(
                f"NO ANSWER TO THE KILL for {elapsed_s:.0f} s. Elsewhere, now: {by_hand}"
            )


class WatchScreen(App[None]):
    """The dashboard."""

    TITLE = "seatrial"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Screen { layout: vertical; overflow: hidden; }
    #head { height: auto; max-height: 5; }
    #banner { height: auto; max-height: 6; }
    #middle { height: auto; max-height: 10; }
    #caps { width: 1fr; height: auto; }
    #lag { width: 15; height: 3; }
    #lags { width: 16; height: auto; padding: 0 0 0 1; }
    #orders { height: auto; max-height: 9; }
    #lower { height: 1fr; min-height: 3; }
    #left { width: 1fr; }
    #events, #incidents, #denials { height: 1fr; border-top: solid $primary;
      border-title-color: $text-muted; }
    #side { width: 46; padding: 0 0 0 1; display: none; }
    #help { width: 84; max-width: 100%; height: auto; padding: 1 2; border: thick $primary;
      background: $surface; }
    WatchHelp { align: center middle; }
    AskWords { align: center middle; }
    #confirm { width: 64; height: auto; padding: 1 2; border: thick $error; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("k", "kill", "KILL", priority=False),
        Binding("c", "cancel_all", "Cancel all"),
        Binding("ctrl+c", "quit", show=False, priority=True),
        Binding("slash", "filter", "Filter"),
        Binding("escape", "show_all", show=False),
        Binding("e", "pane('events')", "Events"),
        Binding("i", "pane('incidents')", "Incidents"),
        Binding("d", "pane('denials')", "Denials"),
        Binding("up", "scroll(1)", show=False),
        Binding("down", "scroll(-1)", show=False),
        Binding("pageup", "scroll_page(1)", show=False),
        Binding("pagedown", "scroll_page(-1)", show=False),
        Binding("end", "follow", show=False),
        Binding("question_mark", "help", "Help"),
        Binding("q", "quit", "Quit"),
    ]

    class Told(Message):
        """Carries a result from a thread to the screen's own thread."""

        def __init__(self, show: Callable[[], None]) -> None:
            super().__init__()
            self.show = show

    def __init__(self, socket: Path, *, poll_s: float = POLL_S) -> None:
        super().__init__()
        self._socket = socket
        self._poll_s = poll_s
        self._over = threading.Event()
        self._snapshot: Mapping[str, Any] = {}
        self._lost = "connecting…"
        self._note = ""
        self._events: deque[Mapping[str, Any]] = deque(maxlen=EVENTS_KEPT)
        self._words = ""
        self._back = 0
        self._pane = "events"
        self._lags: deque[float] = deque([0.0] * 2, maxlen=LAGS_KEPT)

    def compose(self) -> ComposeResult:
        """Top to bottom in the order of what matters."""
        yield Static(id="head")
        yield Static(id="banner")
        with Horizontal(id="middle"):
            yield Static(id="caps")
            with Vertical(id="lags"):
                yield Label("answers, ms", id="lag-title")
                yield Sparkline(list(self._lags), id="lag", summary_function=max)
        yield Static(id="orders")
        with Horizontal(id="lower"):
            with Vertical(id="left"):
                yield Static(id="events")
            with Vertical(id="side"):
                yield Static(id="incidents")
                yield Static(id="denials")
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Start the polling threads."""
        self._show()
        self._poll()
        self._follow()
        self.set_interval(1.0, self._show_head)

    def picture(self, file: Path, after_s: float = 4.0, size: tuple[int, int] = (80, 24)) -> None:
        """Run without a terminal for a while, and save what a screen of that size shows as SVG."""
        drawn = ""

        async def wait_and_draw(pilot: Pilot[object]) -> None:
            nonlocal drawn
            await pilot.pause(after_s)
            drawn = self.export_screenshot(title="seatrial watch")
            self.exit()

        self.run(headless=True, size=size, auto_pilot=wait_and_draw)
        # The fonts that it names would be fetched from elsewhere; any monospaced one will do.
        file.write_text(_FONT_FACES.sub("", drawn), encoding="utf-8")

    def on_unmount(self) -> None:
        """Stop the polling threads."""
        self._over.set()

    # ------------------------------------------------------------------ threads that ask

    @work(thread=True, exit_on_error=False)
    def _poll(self) -> None:
        """Ask for the status until the screen closes; a daemon that is gone may come back."""
        while not self._over.is_set():
            try:
                with ControlClient(self._socket) as client:
                    while not self._over.is_set():
                        snapshot = client.call("status", timeout_s=5.0)
                        self._tell(self._on_snapshot, snapshot, client.took_s * 1_000)
                        self._over.wait(self._poll_s)
            except ControlError as error:
                self._tell(self._on_lost, str(error))
                self._over.wait(RETRY_S)

    @work(thread=True, exit_on_error=False)
    def _follow(self) -> None:
        """Follow the journal until the screen closes."""
        while not self._over.is_set():
            try:
                with ControlClient(self._socket) as client:
                    for event in client.follow(
                        tail=EVENTS_AT_FIRST, without=QUIET_TYPES, wait_s=1.0
                    ):
                        if self._over.is_set():
                            return
                        if event:
                            self._tell(self._on_event, event)
            except ControlError:
                self._over.wait(RETRY_S)  # the status thread says what is wrong

    def _tell(self, what: Callable[..., None], *args: Any) -> None:
        """Run something on the screen's own thread, unless the screen is closing."""
        if not self._over.is_set():
            self.post_message(self.Told(lambda: what(*args)))

    def on_watch_screen_told(self, message: Told) -> None:
        """Take a result of a polling thread."""
        message.show()

    # ------------------------------------------------------------------ what they found

    def _on_snapshot(self, snapshot: Mapping[str, Any], took_ms: float) -> None:
        self._snapshot = snapshot
        self._lost = ""
        self._lags.append(took_ms)
        self._show()

    def _on_lost(self, why: str) -> None:
        self._lost = why
        self._show()

    def _on_event(self, event: Mapping[str, Any]) -> None:
        self._events.append(event)
        if self._back and passing([event], self._words):
            self._back += 1  # what is looked at stays where it is
        self._show_events()

    @_if_drawn
    def _show_head(self) -> None:
        snapshot = self._snapshot
        clock = clock_text(datetime.now(UTC), is_short=self.size.width < WIDE_COLUMNS)
        first = lost_headline(snapshot) if self._lost else headline(snapshot)
        first = first.append("  ") if snapshot else Text()
        head: list[RenderableType] = [first.append(clock, "dim")]
        head += alarm_lines(snapshot)[: 2 + self._more // 6]
        head += [line for line in (activity_line(snapshot), health_line(snapshot)) if line]
        self.query_one("#head", Static).update(Group(*head))

    @property
    def _more(self) -> int:
        """Rows that this screen has above the smallest."""
        return max(self.size.height - ROWS_OF_SMALL, 0)

    @_if_drawn
    def on_resize(self) -> None:
        """Use the room that there is."""
        more = self._more
        for name, rows_max in (("head", 5), ("middle", 10), ("orders", 9)):
            self.query_one(f"#{name}").styles.max_height = rows_max + more // 3
        self.query_one("#side").display = self.size.width >= WIDE_COLUMNS
        self._show()

    @_if_drawn
    def _show(self) -> None:
        snapshot = self._snapshot
        self._show_head()
        banner = Text()
        if self._note:
            banner.append(clean(self._note) + ("\n" if self._lost else ""), style="bold yellow")
        if self._lost:
            age = ", what is shown is old" if snapshot else ""
            banner.append(f"NO ANSWER{age}: {clean(self._lost)}", style="bold white on red")
        panel = self.query_one("#banner", Static)
        panel.update(banner)
        panel.display = bool(banner.plain)
        more = self._more // 4
        if self.size.width >= WIDE_COLUMNS:
            caps = caps_table(snapshot, fullest_caps(snapshot, CAPS_SHOWN + more))
        else:
            caps = small_caps_table(snapshot, CAPS_SHOWN + more)
        self.query_one("#caps", Static).update(caps or Text("no caps are published", "dim"))
        latest = self._lags[-1]
        title = f"answers {latest:.1f} ms"
        lag_ms = milliseconds(snapshot, "loop_lag")
        if lag_ms is not None:
            title += f"\nloop lag {lag_ms:.1f}"
        self.query_one("#lag-title", Label).update(title)
        self.query_one("#lag", Sparkline).data = list(self._lags)
        tables = [
            made
            for made in (
                positions_table(
                    {"positions": _first(snapshot.get("positions"), POSITIONS_SHOWN + more)}
                ),
                bots_table({**snapshot, "bots": _first(snapshot.get("bots"), BOTS_SHOWN + more)}),
                orders_table(snapshot, ORDERS_SHOWN + more),
            )
            if made is not None
        ]
        self.query_one("#orders", Static).update(Group(*tables))
        self._show_events()

    @_if_drawn
    def _show_events(self) -> None:
        panel = self.query_one("#events", Static)
        room, width = max(panel.content_size.height, 3), max(panel.content_size.width, 20)
        shown = passing(self._events, self._words)
        self._back = min(self._back, max(len(shown) - room, 0))
        lines = {
            "events": lambda: event_rows(shown, room=room, width=width, back=self._back),
            "incidents": lambda: incident_rows(self._snapshot, room=room, width=width),
            "denials": lambda: denial_rows(self._snapshot, self._events, room=room, width=width),
        }[self._pane]()
        panel.update(Group(*lines))
        title = self._pane
        if title == "events":
            title = events_title(words=self._words, back=self._back, count=len(shown))
        panel.border_title = escape(title)
        if self.query_one("#side").display:
            denied = functools.partial(denial_rows, events=self._events)
            for name, rows_of in (("incidents", incident_rows), ("denials", denied)):
                side = self.query_one(f"#{name}", Static)
                side.border_title = name
                room = max(side.content_size.height, 2)
                side.update(Group(*rows_of(self._snapshot, room=room, width=SIDE_COLUMNS - 2)))

    # ------------------------------------------------------------------ keys

    def action_kill(self) -> None:
        """Ask for confirmation, then kill."""
        question = "KILL: latch, cancel all of ours, verify at the venue?"
        self.push_screen(confirm(question), lambda reason: self._confirmed("kill", reason))

    def action_filter(self) -> None:
        """Ask for the words that events must have."""
        self.push_screen(ask_filter(self._words), self._filtered)

    def action_show_all(self) -> None:
        """Every event again."""
        self._filtered("")

    def _filtered(self, words: str | None) -> None:
        self._words, self._back, self._pane = words or "", 0, "events"
        self._show_events()

    def action_pane(self, name: str) -> None:
        """Show events, incidents or denials."""
        self._pane = name
        self._show_events()

    def action_scroll(self, lines: int) -> None:
        """Back in the events, or forth."""
        self._back = max(self._back + lines, 0)
        self._show_events()

    def action_scroll_page(self, pages: int) -> None:
        """Back by what is shown, or forth."""
        self.action_scroll(pages * max(self.query_one("#events").content_size.height - 1, 1))

    def action_follow(self) -> None:
        """To the newest event, and on with it."""
        self._back = 0
        self._show_events()

    def action_help(self) -> None:
        """The keys."""
        self.push_screen(WatchHelp())

    def action_cancel_all(self) -> None:
        """Ask for confirmation, then cancel all."""
        question = "Cancel all our open orders? Nothing is latched."
        self.push_screen(confirm(question), lambda reason: self._confirmed("cancel-all", reason))

    def _confirmed(self, method: str, reason: str | None) -> None:
        if reason is None:
            return
        # Before anything is shown, and in a thread of its own: a terminal that takes no more
        # bytes holds this one, and every worker that it would have to begin.
        asked = (method, reason or "from watch")
        threading.Thread(target=self._act, args=asked, name=method, daemon=True).start()
        self._note = f"{method} asked for…"
        self._show()

    def _act(self, method: str, reason: str) -> None:
        try:
            with ControlClient(self._socket) as client:
                if method == "kill":
                    steps = _KillSteps(self, self._socket)
                    result = client.call_telling(method, steps, reason=reason, progress=True)
                else:
                    result = client.call(method, reason=reason)
            note = kill_line(result) if method == "kill" else f"{method} done"
        except RpcError as error:
            note = f"{method} REFUSED: {error}"
        except ControlError as error:
            note = f"{method} FAILED: {error}. Now run: {direct_command(self._socket, None)}"
        except Exception as error:  # noqa: BLE001 - a bug must not end the screen without a word
            note = f"{method} FAILED: {type(error).__name__}: {error}"
        self.tell_note(note)

    def tell_note(self, note: str) -> None:
        """Show a line above everything else; from any thread."""
        self._tell(self._on_note, note)

    def _on_note(self, note: str) -> None:
        self._note = note
        self._show()


def _first(value: Any, count: int) -> Any:
    """The first entries of a mapping or a list; the screen is small."""
    if isinstance(value, Mapping):
        return dict(list(value.items())[:count])
    return value[:count] if isinstance(value, list) else value
