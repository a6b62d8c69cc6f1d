"""`seatrial watch`: the daemon on one screen of 80 by 24, with the two keys that stop.

Rules of this file:
1. It reads through the control socket only, and works while the daemon hangs: its own thread asks.
2. `k` and `c` use a connection of their own, and ask back first.
3. What it cannot know it says: a snapshot that gets old is marked, a daemon that is gone too.
"""

import re
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from rich.console import Group, RenderableType
from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.pilot import Pilot
from textual.screen import ModalScreen
from textual.widgets import Footer, Input, Label, Sparkline, Static

from control.control_errors import ControlError, RpcError
from control.tool.client import ControlClient
from control.tool.daemon_lookup import direct_command
from control.tool.kill_command import SILENT_S, kill_line
from control.tool.status_text import (
    activity_line,
    alarm_lines,
    bots_table,
    clean,
    event_line,
    headline,
    health_line,
    milliseconds,
    orders_table,
    positions_table,
    small_caps_table,
)

POLL_S = 0.5
RETRY_S = 1.0
EVENTS_KEPT = 200
LAGS_KEPT = 120
CAPS_SHOWN = 5
POSITIONS_SHOWN = 3
BOTS_SHOWN = 3
ORDERS_SHOWN = 3
_FONT_FACES = re.compile(r"@font-face\s*\{[^}]*\}")
QUIET_TYPES = ("input", "heartbeat", "checkpoint", "clock")
"""Lines that would push everything else out of a small screen."""


class Confirm(ModalScreen[str | None]):
    """A question with a field for the reason. Enter confirms, Escape cancels."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Back")]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """One question, one line to write on."""
        with Vertical(id="confirm"):
            yield Label(self._question, markup=False)
            yield Input(placeholder="reason (goes into the record)", max_length=500)
            yield Label("Enter: do it    Escape: back", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter."""
        self.dismiss(clean(event.value.strip()))


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
    Screen { layout: vertical; }
    #head { height: auto; max-height: 5; }
    #banner { height: auto; max-height: 6; }
    #middle { height: auto; max-height: 10; }
    #caps { width: 1fr; height: auto; }
    #lag { width: 15; height: 3; }
    #lags { width: 16; height: auto; padding: 0 0 0 1; }
    #orders { height: auto; max-height: 9; }
    #events { height: 1fr; min-height: 3; border-top: solid $primary; }
    #confirm { width: 64; height: auto; padding: 1 2; border: thick $error; background: $surface; }
    Confirm { align: center middle; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("k", "kill", "KILL", priority=False),
        Binding("c", "cancel_all", "Cancel all"),
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
        yield Static(id="events")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Start the polling threads."""
        self._show()
        self._poll()
        self._follow()

    def picture(self, file: Path, after_s: float = 4.0) -> None:
        """Run without a terminal for a while, and save what an 80 by 24 screen shows as SVG."""
        drawn = ""

        async def wait_and_draw(pilot: Pilot[object]) -> None:
            nonlocal drawn
            await pilot.pause(after_s)
            drawn = self.export_screenshot(title="seatrial watch")
            self.exit()

        self.run(headless=True, size=(80, 24), auto_pilot=wait_and_draw)
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
                    for event in client.follow(tail=50, without=QUIET_TYPES, wait_s=1.0):
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
        self._show_events()

    def _show(self) -> None:
        snapshot = self._snapshot
        head: list[RenderableType] = [headline(snapshot)] if snapshot else []
        head += alarm_lines(snapshot)[:2]
        head += [line for line in (activity_line(snapshot), health_line(snapshot)) if line]
        self.query_one("#head", Static).update(Group(*head))
        banner = Text()
        if self._note:
            banner.append(clean(self._note) + ("\n" if self._lost else ""), style="bold yellow")
        if self._lost:
            age = ", what is shown is old" if snapshot else ""
            banner.append(f"NO ANSWER{age}: {clean(self._lost)}", style="bold white on red")
        panel = self.query_one("#banner", Static)
        panel.update(banner)
        panel.display = bool(banner.plain)
        caps = small_caps_table(snapshot, CAPS_SHOWN)
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
                positions_table({"positions": _first(snapshot.get("positions"), POSITIONS_SHOWN)}),
                bots_table({**snapshot, "bots": _first(snapshot.get("bots"), BOTS_SHOWN)}),
                orders_table(snapshot, ORDERS_SHOWN),
            )
            if made is not None
        ]
        self.query_one("#orders", Static).update(Group(*tables))
        self._show_events()

    def _show_events(self) -> None:
        panel = self.query_one("#events", Static)
        room = max(panel.content_size.height, 3)
        lines = [event_line(event) for event in list(self._events)[-room:]]
        for line in lines:
            line.truncate(max(panel.content_size.width, 20), overflow="ellipsis")
        panel.update(Group(*lines))

    # ------------------------------------------------------------------ keys

    def action_kill(self) -> None:
        """Ask for confirmation, then kill."""
        question = "KILL: latch, cancel all of ours, verify at the venue?"
        self.push_screen(Confirm(question), lambda reason: self._confirmed("kill", reason))

    def action_cancel_all(self) -> None:
        """Ask for confirmation, then cancel all."""
        question = "Cancel all our open orders? Nothing is latched."
        self.push_screen(Confirm(question), lambda reason: self._confirmed("cancel-all", reason))

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
