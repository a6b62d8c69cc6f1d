"""Signals, dead readers and a removed socket against a real daemon; the venue's ledger judges."""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.stop_stage import StopStage

pytestmark = pytest.mark.xdist_group("process_ends")

ENDS = (
    signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPWR, signal.SIGXCPU, signal.SIGQUIT,
)  # fmt: skip
CHANGES_NOTHING = (
    signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF,
    signal.SIGIO, signal.SIGSTKFLT, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU,
    signal.SIGPIPE, signal.SIGXFSZ, signal.SIGWINCH, signal.SIGCHLD, signal.SIGRTMIN,
    signal.SIGRTMAX,
)  # fmt: skip
DEADLINE_S = 60


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StopStage]:
    with StopStage(
        tmp_path_factory.mktemp("ends"),
        symbols=("BTCUSDT",),
        orders_per_symbol=2,
        settings={"session": {"stop_deadline_ms": 30_000}},
    ) as made:
        yield made


@pytest.fixture
def trading(stage: StopStage) -> Iterator[StopStage]:
    """A daemon of its own with two orders at the venue; none stays for the next one."""
    stage.renew()
    stage.start_daemon()
    stage.fill()
    assert len(stage.venue_open()) == 2
    yield stage
    if stage.venue_open():
        stage.kill_direct()
    assert stage.venue_open() == []


def ended(stage: StopStage) -> int:
    assert stage.daemon is not None
    return stage.daemon.wait(DEADLINE_S)


@contextlib.contextmanager
def unread_pipe() -> Iterator[int]:
    """A pipe of one page that nobody reads."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4_096)
    try:
        yield writer
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize(
    "number",
    [ENDS[0], *(pytest.param(one, marks=pytest.mark.campaign) for one in ENDS[1:])],
    ids=lambda number: number.name,
)
def test_every_signal_that_ends_cancels_first_and_exits_0(
    trading: StopStage, number: signal.Signals
) -> None:
    trading.send_signal(number)
    assert ended(trading) == 0
    assert trading.venue_open() == []
    assert trading.journal()[-1]["event_type"] == "run_stop"


def test_every_other_signal_changes_nothing(trading: StopStage) -> None:
    for number in CHANGES_NOTHING:
        turns = trading.status()["turns"]
        trading.send_signal(number)
        trading.until(lambda turns=turns: trading.status().get("turns", 0) > turns + 5, number.name)
    assert trading.status()["trading_state"] == "ACTIVE"
    assert len(trading.venue_open()) == 2
    # The log is another thread's; SIGUSR1 shows every thread.
    for text in ("SIGTSTP changes nothing", "thread seatrial-control"):
        trading.until(lambda text=text: text in trading.log.read_text(), f"the log has {text!r}")


@pytest.mark.slow
def test_a_daemon_that_was_stopped_and_goes_on_is_still_ended(trading: StopStage) -> None:
    """Whoever waits for signals is woken by the going on, too, and must not take it for one."""
    for _ in range(3):
        trading.send_signal(signal.SIGSTOP)
        time.sleep(0.5)  # sleep: how long nothing of the daemon runs is the fault itself
        trading.send_signal(signal.SIGCONT)
        time.sleep(0.2)  # sleep: one look at the deadlines lies between
    trading.send_signal(signal.SIGTERM)
    assert ended(trading) == 0
    assert trading.venue_open() == []


def test_two_signals_at_once_still_cancel(trading: StopStage) -> None:
    trading.send_signal(signal.SIGTERM)
    trading.send_signal(signal.SIGINT)
    assert ended(trading) == 0
    assert trading.venue_open() == []


def test_a_main_loop_that_never_turns_again_is_ended_by_its_deadline(stage: StopStage) -> None:
    stage.renew()
    text = stage.config.read_text()
    assert "stop_deadline_ms = 30000" in text
    stage.config.write_text(text.replace("stop_deadline_ms = 30000", "stop_deadline_ms = 1500"))
    stage.start_daemon()
    stage.fill()
    stage.signal("spin")
    stage.until_hung()
    stage.send_signal(signal.SIGTERM)
    assert ended(stage) == 70
    assert stage.venue_open() == []


def test_a_reader_that_stops_reading_stops_nothing(stage: StopStage) -> None:
    stage.renew()
    with unread_pipe() as writer:
        stage.start_daemon(output=writer)
        stage.fill()
        stage.signal("chatter")
        stage.until(lambda: stage.status().get("log_lines_dropped", 0) > 10_000, "lines dropped")
        turns = stage.status()["turns"]
        stage.until(lambda: stage.status().get("turns", 0) > turns + 20, "the loop turns")
        stage.send_signal(signal.SIGTERM)
        assert ended(stage) == 0
    assert stage.venue_open() == []


def test_a_kill_is_followed_while_nobody_reads_the_log(stage: StopStage) -> None:
    stage.renew()
    with unread_pipe() as writer:
        stage.start_daemon(output=writer)
        stage.fill()
        stage.signal("chatter")
        stage.until(lambda: stage.status().get("log_lines_dropped", 0) > 10_000, "lines dropped")
        assert stage.kill()["verified"] is True
        assert stage.venue_open() == []


def test_closed_standard_streams_cost_no_order_and_no_line_of_the_journal(
    stage: StopStage,
) -> None:
    stage.renew()
    stage.daemon = subprocess.Popen(
        ["sh", "-c", 'exec "$0" -m daemon --config "$1" 0<&- 1>&- 2>&-', sys.executable,
         str(stage.config)],
        cwd=Path(__file__).resolve().parents[2],
    )  # fmt: skip
    stage.until(lambda: stage.status().get("gate_state") == "READY", "READY")
    stage.fill()
    stage.send_signal(signal.SIGTERM)
    assert ended(stage) == 0
    lines = stage.journal()
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))


def test_a_socket_that_was_removed_is_made_anew_where_the_tools_look(trading: StopStage) -> None:
    trading.socket.unlink()
    trading._hang_up()
    trading.until(trading.socket.is_socket, "the socket is back")
    assert trading.kill()["verified"] is True
    assert trading.venue_open() == []


@pytest.mark.parametrize("what", ["file", "directory", "link"])
def test_a_socket_that_was_replaced_is_made_anew_and_nothing_is_deleted(
    trading: StopStage, what: str
) -> None:
    place = trading.socket
    place.unlink()
    trading._hang_up()
    if what == "file":
        place.write_text("mine")
    elif what == "directory":
        place.mkdir()
        (place / "mine").touch()
    else:
        place.symlink_to(place.name)
    trading.until(lambda: not place.is_symlink() and place.is_socket(), "the socket is back")
    (aside,) = place.parent.glob(f"{place.name}.displaced-*")
    assert [one.name for one in aside.iterdir()] == [place.name]
    assert trading.kill()["verified"] is True
    assert trading.venue_open() == []


def test_the_kernels_list_of_sockets_names_the_path(trading: StopStage) -> None:
    listed = Path("/proc/net/unix").read_text().split()
    assert str(trading.socket) in listed
    assert trading.socket.stat().st_mode & 0o777 == 0o660


def test_a_daemon_whose_venue_is_gone_ends_at_once_when_nothing_of_ours_is_open(
    tmp_path: Path,
) -> None:
    with StopStage(
        tmp_path,
        symbols=("BTCUSDT",),
        orders_per_symbol=1,
        settings={"session": {"stop_deadline_ms": 300_000}},
    ) as stage:
        stage.start_daemon()
        stage.sim.stop()
        stage.until(lambda: stage.status().get("gate_state") != "READY", "the link is lost")
        stage.send_signal(signal.SIGTERM)
        assert ended(stage) == 0
