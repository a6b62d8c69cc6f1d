"""The second process' road with bad streams, bad disks, other clients: the ledger is the judge."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.bad_streams import BAD, SLOW_MACHINE_S, check, run
from tests.support.sim_process import ROOT
from tests.support.stop_stage import StopStage

SLOW_VENUE = [
    {
        "kind": "delay_answer",
        "rate": 1.0,
        "purposes": ["cancel", "query"],
        "params": {"ms_min": 700, "ms_max": 700},
    }
]
"""Rounds take long enough for lines to be said between them."""


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StopStage]:
    """No daemon: its orders are placed by hand, with its name."""
    directory = tmp_path_factory.mktemp("direct")
    with StopStage(directory, symbols=("BTCUSDT",), orders_per_symbol=2, round_trip=False) as made:
        made.start_daemon()
        made.kill_hard()
        yield made


def place(stage: StopStage, client_order_id: str) -> None:
    price = Decimal(stage.ledger_since(2**62)["prices"]["BTCUSDT"]["bid"]) * Decimal("0.99")
    stage.sim.signed(
        "POST",
        "order",
        symbol="BTCUSDT",
        side="BUY",
        type="LIMIT",
        timeInForce="GTC",
        quantity="0.001",
        price=f"{price:.2f}",
        newClientOrderId=client_order_id,
    )


def place_by_hand(stage: StopStage) -> None:
    """Two orders with the daemon's name, as if it had died after it placed them."""
    instance = json.loads((stage.state_dir / "identity.json").read_text())["instance"]
    before = len(stage.ledger_since(0)["orders"])
    for number in (before, before + 1):
        place(stage, f"st{instance}-1-{number}")
    assert len(stage.venue_open()) == 2


@contextlib.contextmanager
def hanging(path: Path) -> Iterator[None]:
    """A pipe that nobody writes: whoever opens it hangs, as on a disk that is gone."""
    hidden = path.with_name("hidden")
    path.rename(hidden)
    os.mkfifo(path)
    try:
        yield
    finally:
        os.close(os.open(path, os.O_RDWR))  # whoever hangs still ends, and is no orphan of ours
        hidden.replace(path)


def words(stage: StopStage, *more: str) -> list[str]:
    return ["kill", "--direct", "--config", str(stage.config), "--reason", "a", *more]


@pytest.mark.slow
@pytest.mark.parametrize("where", ["stdout", "stderr"])
@pytest.mark.parametrize("bad", BAD)
def test_it_cancels_whatever_becomes_of_its_words(direct: StopStage, bad: str, where: str) -> None:
    place_by_hand(direct)
    check(words(direct), bad, where)
    assert direct.venue_open() == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [None, signal.SIGHUP, signal.SIGPIPE, signal.SIGTTOU])
def test_a_reader_or_a_terminal_that_leaves_in_mid_round_does_not_end_the_cancelling(
    direct: StopStage, number: signal.Signals | None
) -> None:
    place_by_hand(direct)
    direct.sim.load_faults(SLOW_VENUE)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "control.main", *words(direct)],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert process.stderr is not None
        assert b"asking the venue" in process.stderr.readline()
        process.stderr.close()
        if number is not None:
            process.send_signal(number)
        assert process.wait(timeout=60) == 0
    finally:
        direct.sim.load_faults([])
    assert direct.venue_open() == []


@pytest.mark.slow
def test_a_latch_that_cannot_be_written_stops_all_the_same_and_the_code_says_so(
    direct: StopStage,
) -> None:
    place_by_hand(direct)
    latch = direct.state_dir / "kill-latch"
    shutil.rmtree(latch, ignore_errors=True)
    latch.write_text("a file in its place")
    try:
        done = run(words(direct))
        told = json.loads(run(words(direct, "--json")).stdout)
    finally:
        latch.unlink()
    assert direct.venue_open() == []
    assert done.returncode == 6, done
    assert b"KILLED BUT NOT LATCHED" in done.stdout
    assert b"seatrial: NOT LATCHED: the kill latch in" in done.stderr
    assert (told["verified"], told["latched"], told["latched_ms"]) == (True, False, None)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["identity.json", "journal"])
def test_a_state_directory_that_hangs_holds_the_cancels_for_about_a_second(
    direct: StopStage, what: str
) -> None:
    place_by_hand(direct)
    path = direct.state_dir / what
    if what == "journal":
        path = next(path.glob("journal-*.jsonl"))
    with hanging(path):
        began_s = time.monotonic()
        done = run(words(direct))
        took_s = time.monotonic() - began_s
    assert direct.venue_open() == []
    assert done.returncode == (6 if what == "identity.json" else 0), done
    assert took_s < 4 + 4 + SLOW_MACHINE_S, "the journal's two seconds and a receive window"


@pytest.mark.slow
def test_of_two_instances_ours_is_stopped_as_soon_as_the_disk_says_which_it_is(
    direct: StopStage,
) -> None:
    place_by_hand(direct)
    place(direct, "stother1-1-1")
    shutil.rmtree(direct.state_dir / "kill-latch", ignore_errors=True)
    path = direct.state_dir / "identity.json"
    identity = path.read_bytes()
    try:
        with hanging(path):
            process = subprocess.Popen(
                [sys.executable, "-m", "control.main", *words(direct)],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            assert process.stderr is not None
            assert b"the one instance that has orders there" in process.stderr.readline()
            path.write_bytes(identity)  # the disk answers
            told, errors = process.communicate(timeout=60)
        left = [row["client_order_id"] for row in direct.venue_open()]
    finally:
        direct.sim.signed("DELETE", "openOrders", symbol="BTCUSDT")
    assert left == ["stother1-1-1"]
    assert process.returncode == 0, errors
    assert b"2 canceled" in told
    assert list((direct.state_dir / "kill-latch").iterdir())


@pytest.mark.slow
def test_where_the_disk_of_the_state_is_not_mounted_the_one_instance_there_is_stopped(
    direct: StopStage,
) -> None:
    place_by_hand(direct)
    place(direct, "stother1-1-2")
    mounted = direct.state_dir.rename(direct.state_dir.with_name("elsewhere"))
    direct.state_dir.mkdir()  # where it was mounted
    try:
        refused = run(words(direct))
        of_both = len(direct.venue_open())
        direct.sim.signed("DELETE", "order", symbol="BTCUSDT", origClientOrderId="stother1-1-2")
        done = run(words(direct, "--json"))
        left = direct.venue_open()
        latches = list((direct.state_dir / "kill-latch").iterdir())
    finally:
        shutil.rmtree(direct.state_dir)
        mounted.rename(direct.state_dir)
        if direct.venue_open():
            direct.sim.signed("DELETE", "openOrders", symbol="BTCUSDT")
    assert (refused.returncode, of_both) == (1, 3)
    assert b"cancel ours by hand at the venue" in refused.stderr
    assert (done.returncode, left, len(latches)) == (0, [], 2), done
    told = json.loads(done.stdout)
    assert told["canceled"] == 2
    assert "was never used, or its disk is not mounted" in told["msg"]


@pytest.mark.slow
@pytest.mark.parametrize("what", ["config", "keys", "beside"])
def test_a_configuration_or_a_key_that_hangs_is_told_within_seconds(
    direct: StopStage, what: str
) -> None:
    """The deed cannot be done without them: it ends with words, and latches when it knows where."""
    path = direct.keys if what == "keys" else direct.config
    shutil.rmtree(direct.state_dir / "kill-latch", ignore_errors=True)
    named = ["--socket", str(direct.socket), "kill", "--direct", "--reason", "a"]
    with hanging(path):
        began_s = time.monotonic()
        done = run(named if what == "beside" else words(direct))
        took_s = time.monotonic() - began_s
    assert done.returncode == 1, done
    assert b"its disk hangs" in done.stderr
    assert took_s < 3 + SLOW_MACHINE_S
    latched = list((direct.state_dir / "kill-latch").glob("*"))
    assert bool(latched) == (what == "keys")


@pytest.mark.slow
def test_what_is_open_is_said_as_ours_and_as_other_clients(direct: StopStage) -> None:
    place_by_hand(direct)
    for name in ("web_1", "web_2", "stother1-1-1"):
        place(direct, name)
    try:
        done = run(words(direct))
        told = json.loads(run(words(direct, "--json")).stdout)
        left = [row["client_order_id"] for row in direct.venue_open()]
    finally:
        direct.sim.signed("DELETE", "openOrders", symbol="BTCUSDT")
    assert done.returncode == 0
    assert b"0 open orders of ours; 3 of other clients left alone" in done.stdout
    assert sorted(left) == ["stother1-1-1", "web_1", "web_2"]
    assert (told["open_orders"], told["others_open"]) == (0, 3)
