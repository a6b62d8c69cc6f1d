"""A report over a journal that is still being written says so, and how to end it."""

import socket
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from evidence.evidence_commands import evidence_group
from evidence.read.running_daemon import running_daemons
from tests.support.journal_maker import JournalMaker


def test_only_a_socket_that_answers_is_a_running_daemon(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as short:
        home = Path(short)
        (home / "state").mkdir()
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(home / "state/control.sock"))
            listening.listen()
            found = [home / "state/control.sock"]
            assert running_daemons([home]) == running_daemons([home / "state/journal"]) == found
        assert running_daemons([home, tmp_path]) == [], "a socket that a killed daemon has left"


def unended(state: Path) -> None:
    made = JournalMaker()
    made.run_start()
    made.session_start()
    made.trade(orders=3)
    made.save(state)


@pytest.mark.parametrize("is_running", [True, False])
def test_an_open_session_of_a_running_daemon_is_told_as_such(
    tmp_path: Path, is_running: bool
) -> None:
    with tempfile.TemporaryDirectory() as short:
        state = Path(short)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(state / "control.sock"))
            if is_running:
                listening.listen()
            unended(state)
            words = ["report", str(state / "journal"), "--out-dir", str(tmp_path / "out")]
            told = CliRunner().invoke(evidence_group, words)
    assert told.exit_code == 2
    assert ("still runs" in told.stderr) == is_running
    assert (f"seatrial shutdown --socket {state}/control.sock" in told.stderr) == is_running
