"""`seatrial up`: a simulated venue, a box and its daemon, until Ctrl-C; their files stay.

Exit codes: 0 everything has ended in order, 1 a part could not be started or died, 2 wrong usage.
"""

import contextlib
import fcntl
import itertools
import json
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from control.control_errors import ControlError
from control.status_snapshot import tightening_lines
from control.tool.client import call
from control.tool.command_frame import is_interactive
from daemon.assembly_notify import services_of
from daemon.demo.processes import STOP_DEADLINE_S, DemoError, Process
from daemon.errors import SeatrialError
from daemon.settings import Config, SettingsError, VenueSettings, load_config
from daemon.settings_notify import NotifySettings
from daemon.shell.process.clock import SystemClock

if TYPE_CHECKING:
    from control.tool.watch_screen import WatchScreen

READY_S = 60.0
LOOK_S = 0.1
PATIENCE_S = 2.0
"""An end that takes longer says what it waits for."""
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command("up")
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("seatrial-box"),
    show_default=True,
    help="Configuration, state and venue: made once, gone on with later.",
)
@click.option("--symbol", "symbols", multiple=True, help="Trade this symbol; may be repeated.")
@click.option(
    "--strategy", type=click.Choice(["quiet", "heartbeat", "quoter"]), default="heartbeat",
    show_default=True, help="A built-in strategy.",
)  # fmt: skip
@click.option(
    "--caps", default="testnet-strict", show_default=True, help="A caps preset, or a file."
)
@click.option("--no-start", is_flag=True, help="Start no session: `seatrial start` does.")
@click.option("--no-watch", is_flag=True, help="No live screen: say where everything is, and wait.")
@click.option(
    "--reset-venue", is_flag=True,
    help="First set the venue's books and the box's state aside; both begin anew.",
)  # fmt: skip
def up_command(
    *,
    directory: Path,
    symbols: tuple[str, ...],
    strategy: str,
    caps: str,
    no_start: bool,
    no_watch: bool,
    reset_venue: bool,
) -> None:
    """A simulated venue, a box with its daemon, a session, the live screen; Ctrl-C ends all.

    The box and the venue's books stay in the directory: the next `up` goes on with them, and then
    symbols, strategy and caps are those of its configuration.
    """
    place = directory.absolute()
    place.mkdir(parents=True, exist_ok=True)
    told: queue.SimpleQueue[int] = queue.SimpleQueue()
    with _alone(place), _ends_told(told):
        if reset_venue:
            _set_aside(place)
        if _venue_was_killed(place):
            click.echo(_KILLED.format(directory))
        with _parts(place, (symbols, strategy, caps)) as (box, parts):
            try:
                is_up = _bring_up(box, parts, told, with_session=not no_start)
                if is_up:
                    _stay(box, parts, told, with_watch=not no_watch and is_interactive())
            except (ControlError, DemoError) as error:
                raise click.ClickException(str(error)) from error
            click.echo("ending: orders are canceled, books are compared, then the venue is closed")
            _end_daemon(parts[0], box.settings.socket_path)
    click.echo(f"down; {place} stays: `seatrial up --dir {directory}` goes on")


_KILLED = (
    "venue     it was killed before, and its books are lost: the box knows orders that it does not."
    "\n          Begin anew, with the same configuration: seatrial up --dir {} --reset-venue"
)


def _venue_was_killed(place: Path) -> bool:
    """Whether the box has seen a venue that did not write its books at its end."""
    venue = place / "venue"
    is_lost = (venue / "sim.json").exists() and not (venue / "venue.state").exists()
    return is_lost and (place / "state").exists()


def _set_aside(place: Path) -> None:
    """Move the books and the state away, whole; addresses and keys of the venue stay."""
    aside = place / time.strftime("before-%Y%m%dT%H%M%SZ", time.gmtime())
    moved = [place / "state", *(place / "venue" / name for name in ("venue.state", "ledger.json"))]
    there = [path for path in moved if path.exists()]
    if there:
        aside.mkdir()
    for path in there:
        path.rename(aside / path.name)
        click.echo(f"aside     {aside / path.name}")
    (aside / "state" / "control.sock").unlink(missing_ok=True)  # left by a kill -9


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """One `up` a directory: the lock is gone with it."""
    lock = place / ".up.lock"
    with lock.open("a") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise click.ClickException(
                f"{place}: another `seatrial up` runs on it; end that one, or name another --dir"
            ) from None
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


@contextmanager
def _ends_told(told: "queue.SimpleQueue[int]") -> Iterator[None]:
    """A signal that ends is noted, and ends nothing by itself: the parts end in order."""
    before = {one: signal.signal(one, lambda number, _frame: told.put(number)) for one in ENDS}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


@contextmanager
def _parts(
    place: Path, wanted: tuple[tuple[str, ...], str, str]
) -> Iterator[tuple[Config, tuple[Process, Process]]]:
    """The venue and the daemon, which ends first."""
    try:
        sim = ["daemon.cli.sim_command", "--state", str(place / "venue")]
        with Process("the venue", sim, place / "venue.log", has_own_group=True) as venue:
            ready = venue.read_json_line()
            config = _config(place, ready, wanted)
            box = load_config(config)
            of_this_venue(config, box.settings.venue, ready)
            _tell_bad_urls(box.settings.notify)
            arguments = ["daemon", "--config", str(config)]
            log = place / "seatriald.log"
            with Process("seatriald", arguments, log, has_own_group=True) as daemon:
                yield box, (daemon, venue)
            if code := venue.stop():
                raise DemoError(
                    f"the venue ended with {code}, its books may be lost: {venue.last_words()} "
                    f"({venue.log}); the next `up` may find other orders than the box knows"
                )
    except (DemoError, SettingsError) as error:
        raise click.ClickException(str(error)) from error


def _config(place: Path, ready: dict[str, Any], wanted: tuple[tuple[str, ...], str, str]) -> Path:
    """The box's configuration; `seatrial init` makes it the first time."""
    config = place / "seatrial.toml"
    if config.exists():
        click.echo(f"box       {config} (as it was)")
        if given := of_a_new_box(click.get_current_context()):
            click.echo(
                f"note      {given}: only for a new box; edit that file, or name another --dir"
            )
        return config
    symbols, strategy, caps = wanted
    chosen = [word for symbol in symbols or ("BTCUSDT",) for word in ("--symbol", symbol)]
    made = subprocess.run(  # noqa: S603 - our own tool
        [sys.executable, "-m", "control.main", "init", "--dir", str(place), "--sim", "-",
         "--strategy", strategy, "--caps", caps, *chosen],
        input=json.dumps(ready), capture_output=True, text=True, timeout=READY_S, check=False,
    )  # fmt: skip
    if made.returncode:
        raise DemoError((made.stderr or made.stdout).strip().removeprefix("seatrial: "))
    click.echo(f"box       {config} (new)")
    return config


def of_this_venue(config: Path, box: VenueSettings, ready: Mapping[str, Any]) -> None:
    """Refuse a box that was made for another venue: its daemon would never be ready.

    Raises:
        DemoError: with what to do instead.
    """
    if (box.environment, box.rest) != ("sim", ready["rest"]):
        raise DemoError(
            f"{config} is a box of {box.rest or box.environment}, and not of the venue that `up` "
            f"starts, {ready['rest']}; name another --dir, or start its own venue and "
            f"seatriald --config {config}"
        )


def of_a_new_box(ctx: click.Context) -> str:
    """Options that were typed and mean nothing to a box that is there already."""
    named = {"symbols": "--symbol", "strategy": "--strategy", "caps": "--caps"}
    typed = (ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in named)
    return ", ".join(itertools.compress(named.values(), typed))


def _bring_up(
    box: Config, parts: Sequence[Process], told: "queue.SimpleQueue[int]", *, with_session: bool
) -> bool:
    """Wait until the daemon knows its venue, and start a session. False: a signal came before.

    Raises:
        ControlError: the daemon did not come up in time.
        DemoError: a part has died meanwhile, or the daemon cannot serve and says why.
    """
    socket = box.settings.socket_path
    status = _until_ready(socket, parts, told)
    if status is None:
        return False
    click.echo(f"daemon    {socket}")
    if port := status.get("metrics_port"):
        click.echo(f"page      http://127.0.0.1:{port}/")
    for line in tightening_lines(status):
        click.echo(f"caps      {line}")
    if not with_session:
        click.echo("session   none: seatrial start --reason … begins one")
        return True
    try:
        call(socket, "start", reason="seatrial up")
        click.echo("session   has begun")
    except ControlError as error:  # a latch or an incident of an earlier day: a human's to clear
        click.echo(f"session   not begun: {error}")
    return True


def _tell_bad_urls(notify: NotifySettings) -> None:
    """Who counts on an alarm learns now that none would come, and not on the bad day."""
    try:
        problems = [(name, service.problem()) for name, service in services_of(notify)]
    except (SeatrialError, ValueError) as error:
        problems = [("[notify]", str(error))]
    for name, problem in problems:
        if problem:
            click.echo(f"notify    {name}: nothing can be sent: {problem}")


def _was_shut_down(parts: Sequence[Process]) -> bool:
    """Whether the daemon has ended in order: somebody told it to (`seatrial shutdown`).

    Raises:
        DemoError: a part has died; with its last complaint.
    """
    if parts[0].exit_code == 0:
        click.echo("daemon    was shut down (`seatrial shutdown`, or a signal)")
        return True
    for part in parts:
        if (code := part.exit_code) is not None:
            raise DemoError(
                f"{part.name} has ended with {code}: {part.last_complaint()} ({part.log})"
            )
    return False


def _until_ready(
    socket: Path, parts: Sequence[Process], told: "queue.SimpleQueue[int]"
) -> Mapping[str, Any] | None:
    """The status of READY; None: a signal asks to end, or the daemon was shut down."""
    clock = SystemClock()
    until_ns = clock.monotonic_ns() + int(READY_S * 1e9)
    while told.empty() and not _was_shut_down(parts):
        if not socket.exists() and (line := parts[0].last_words()).startswith("ERROR"):
            raise DemoError(f"{parts[0].name} cannot serve: {line} ({parts[0].log})")
        said = f"{parts[0].last_complaint()} ({parts[0].log})"
        problem = ControlError(f"the daemon was not ready within {READY_S:.0f} s: {said}")
        try:
            status = call(socket, "status")
            if status.get("gate_state") == "READY":
                return status
        except ControlError as error:
            problem = error
        if clock.monotonic_ns() > until_ns:
            raise problem
        time.sleep(LOOK_S)
    return None


def _end_daemon(daemon: Process, socket: Path) -> None:
    """Tell the daemon to end, and while it takes long, say once what it waits for."""
    daemon.terminate()
    clock = SystemClock()
    speak_ns = clock.monotonic_ns() + int(PATIENCE_S * 1e9)
    until_ns = clock.monotonic_ns() + int(STOP_DEADLINE_S * 1e9)
    while daemon.is_running and clock.monotonic_ns() < until_ns:
        if speak_ns and clock.monotonic_ns() > speak_ns:
            speak_ns = 0
            click.echo(f"waiting   {_waited_for(socket, daemon)}")
        time.sleep(LOOK_S)


def _waited_for(socket: Path, daemon: Process) -> str:
    """What keeps the daemon from its end, as far as it says so."""
    try:
        status = call(socket, "status", timeout_s=1)
    except ControlError:
        return f"{daemon.name}: {daemon.last_words()}"
    counts = status.get("orders") or {}
    ends = ("FILLED", "CANCELED", "EXPIRED", "REJECTED")
    unproven = {name: many for name, many in counts.items() if name not in ends}
    orders = ", ".join(f"{many} {name}" for name, many in unproven.items()) or "none open"
    asked = "; ".join(str(one.get("text", "")) for one in status.get("not_ready") or ())
    said = f"the venue must say that ours are gone; orders: {orders}"
    return f"{said}{f'; {asked}' if asked else ''}"


def _stay(
    box: Config,
    parts: Sequence[Process],
    told: "queue.SimpleQueue[int]",
    *,
    with_watch: bool,
) -> None:
    """The live screen until it is left, or a wait for the signal or the daemon's orderly end.

    Raises:
        DemoError: a part has died.
    """
    socket = box.settings.socket_path
    if with_watch:
        # Imported here: a screen library is slow, and a script has no use for it.
        from control.tool.watch_screen import WatchScreen  # noqa: PLC0415 - see above

        screen = WatchScreen(socket)
        over = threading.Event()
        watcher = threading.Thread(target=_end_screen, args=(screen, parts, told, over))
        watcher.start()
        try:
            screen.run()
        finally:
            over.set()
            watcher.join()
        _was_shut_down(parts)
        return
    click.echo(f"running   seatrial status --socket {socket}; Ctrl-C ends")
    while told.empty() and not _was_shut_down(parts):
        time.sleep(LOOK_S)


def _end_screen(
    screen: "WatchScreen",
    parts: Sequence[Process],
    told: "queue.SimpleQueue[int]",
    over: threading.Event,
) -> None:
    """Leave the live screen when a signal comes or a part dies: it looks at neither."""
    while not over.wait(LOOK_S):
        if not told.empty() or not all(part.is_running for part in parts):
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                screen.call_from_thread(screen.exit)
            return
