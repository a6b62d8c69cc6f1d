"""A state directory that is not what it was: the venue's own ledger judges what came of it."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import orjson
import pytest

from control.tool.client import call
from daemon.shell.process.clock import SystemClock
from daemon.shell.state.state_dir import read_identity
from daemon.shell.state.state_proof import prove_state
from tests.support.box import ROOT, Box
from tests.support.forked import run
from tests.support.journal_lines import journal_lines

PARTS = ("journal", "anchors", "identity")
TABLES = """
[session]
heartbeat_period_ms = 200
"""


def command(*args: str) -> subprocess.CompletedProcess[str]:
    return run("tool", args)


def trade(box: Box, orders: int) -> None:
    """One session that sends so many orders at least, and an orderly end of the daemon."""
    box.must("start", "--yes")
    before = box.status()["run_id"]
    box.until(
        lambda status: (
            status["session_id"].startswith(before) and status["session_orders"] >= orders
        )
    )
    box.must("stop", "--reason", "enough")
    box.signal_daemon(signal.SIGTERM)
    assert box.wait_daemon() == 0


def put(box: Box, kept: Path) -> None:
    """Make a kept copy the state directory."""
    state = box.directory / "state"
    shutil.rmtree(state)
    shutil.copytree(kept, state)


def take(place: Path, name: str, source: Path) -> None:
    """Have one part of a state as it is in `source`."""
    inside = {"journal": "journal/journal-*", "anchors": "journal/anchors.jsonl",
              "identity": "identity.json"}[name]  # fmt: skip
    for path in place.glob(inside):
        path.unlink()
    for path in source.glob(inside):
        shutil.copy(path, place / path.relative_to(source))


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A box that has traded; `old` is a backup of then, `new` its end, in a later run."""
    directory = tmp_path_factory.mktemp("box")
    with Box(directory, tables=TABLES) as made:
        trade(made, 4)
        shutil.copytree(directory / "state", directory / "old")
        made.start_daemon()
        trade(made, 4)
        shutil.copytree(directory / "state", directory / "new")
        yield made


def end(box: Box) -> None:
    """No test leaves its daemon to the next one."""
    box.signal_daemon(signal.SIGKILL)
    box.wait_daemon()


@pytest.fixture(autouse=True)
def _ended(box: Box) -> Iterator[None]:
    yield
    end(box)


def own_ids(box: Box) -> list[str]:
    return [row["client_order_id"] for row in box.sim.ledger()["orders"]]


def used(box: Box, cap: str) -> int:
    found = [one for one in box.status()["caps"] if one["cap"] == cap and not one["symbol"]]
    return int(found[0]["used"])


def codes(state: Path, account: str) -> set[str]:
    now_ns = SystemClock().now_ns()
    proof = prove_state(state, account=account, environment="sim", now_ns=now_ns)
    return {one.code for one in proof.findings}


def test_whatever_part_is_older_or_gone_no_boot_forgets_what_another_part_knows(
    box: Box, tmp_path: Path
) -> None:
    """All 27 mixtures of a backup, the newest state, and nothing."""
    old, new = box.directory / "old", box.directory / "new"
    known = read_identity(new)
    assert known is not None
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    passed = set()
    for mixture in product(("old", "new", "gone"), repeat=3):
        state = tmp_path / "-".join(mixture)
        shutil.copytree(new, state)
        for name, age in zip(PARTS, mixture, strict=True):
            take(state, name, {"old": old, "new": new, "gone": nothing}[age])
        if not codes(state, known.account):
            passed.add(mixture)
    assert passed == {
        ("new", "new", "new"),
        ("old", "old", "old"),  # here only the venue can tell: the tests below
        ("gone", "gone", "gone"),  # a new state directory, of a new name
    }


def test_a_backup_of_everything_reuses_no_id_and_forgets_no_order(box: Box) -> None:
    put(box, box.directory / "old")
    box.start_daemon()
    truth = len(own_ids(box))
    status = box.until(lambda status: bool(status["incidents_open"]))
    triggers = {one["trigger"] for one in status["incidents"] if not one["resolved_by"]}
    assert triggers == {"history_lost"}
    assert used(box, "orders_per_day_max") >= truth
    refused = box.tool("start", "--yes")
    assert refused.exit_code != 0
    for one in status["incidents"]:
        if not one["resolved_by"]:
            box.must(
                "incident",
                "resolve",
                one["incident_id"],
                "--root-cause",
                "backup",
                "--remediation",
                "none",
                "--follow-up",
                "none",
            )
    box.until(lambda status: status["gate_state"] == "READY" and not status["incidents_open"])
    trade(box, 3)
    ids = own_ids(box)
    assert len(ids) == len(set(ids)) > truth


def cut(path: Path, lines: int) -> None:
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-lines]))


def drop_first(path: Path) -> None:
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))


def rename_instance(state: Path) -> None:
    data = orjson.loads((state / "identity.json").read_bytes())
    (state / "identity.json").write_bytes(orjson.dumps({**data, "instance": "zzzzzz"}))


def rewrite_end(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    lines[-1] = lines[-1].replace(b'"exit_code":0', b'"exit_code":9')
    path.write_bytes(b"".join(lines))


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda state: shutil.rmtree(state / "journal"), "journal_missing"),
        (lambda state: (state / "identity.json").unlink(), "identity"),
        (lambda state: (state / "journal/anchors.jsonl").unlink(), "anchors"),
        (lambda state: (state / "identity.json").write_text("{"), "identity"),
        (lambda state: cut(state / "journal/journal-000001.jsonl", 3), "journal_short"),
        (lambda state: drop_first(state / "journal/journal-000001.jsonl"), "journal_beheaded"),
        (
            lambda state: (state / "journal/journal-000001.jsonl").rename(
                state / "journal/journal-000003.jsonl"
            ),
            "segments_missing",
        ),
        (rename_instance, "journal_of_another"),
        (lambda state: rewrite_end(state / "journal/journal-000001.jsonl"), "journal_forked"),
    ],
)
def test_a_boot_refuses_and_names_what_is_missing(
    box: Box, spoil: Callable[[Path], object], code: str
) -> None:
    put(box, box.directory / "new")
    state = box.directory / "state"
    spoil(state)
    before = {path: path.read_bytes() for path in state.rglob("*") if path.is_file()}
    done = subprocess.run(
        [sys.executable, "-m", "daemon", "--config", str(box.config)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert f"  {code}: " in done.stderr
    assert "seatrial state accept" in done.stderr
    after = {path: path.read_bytes() for path in state.rglob("*") if path.is_file()}
    assert {path: after.get(path) for path in before} == before, "nothing was changed"
    checked = command("state", "check", "--config", str(box.config), "--json")
    assert checked.returncode == 1
    assert code in {one["code"] for one in json.loads(checked.stdout)["findings"]}


def test_a_lost_journal_is_gone_on_without_only_with_a_reason_and_counts_from_the_venue(
    box: Box,
) -> None:
    put(box, box.directory / "new")
    state = box.directory / "state"
    shutil.rmtree(state / "journal")
    done = command("state", "accept", "--config", str(box.config), "--reason", "disk died")
    assert done.returncode == 0, done.stderr
    box.start_daemon()
    truth = len(own_ids(box))
    assert used(box, "orders_per_day_max") >= truth
    accepted = journal_lines(state, "state_accepted")
    assert [line["reason"] for line in accepted] == ["disk died"]
    assert box.status()["incidents_open"]
    box.signal_daemon(signal.SIGTERM)
    box.wait_daemon()
    known = read_identity(state)
    assert known is not None
    assert not known.accepted, "said once"
    assert not codes(state, known.account)


def test_a_state_directory_that_is_moved_under_a_live_daemon_halts_it(box: Box) -> None:
    put(box, box.directory / "new")
    box.start_daemon()
    state, moved = box.directory / "state", box.directory / "moved"
    state.rename(moved)
    try:
        deadline = time.monotonic() + 60
        while not (status := call(moved / "control.sock", "status"))["incidents_open"]:
            assert time.monotonic() < deadline, status
            time.sleep(0.1)
    finally:
        end(box)
        shutil.rmtree(state, ignore_errors=True)
        moved.rename(state)
    assert any("moved" in one["msg"] for one in status["incidents"])
    assert status["trading_state"] == "HALTED"
    assert not status["journal_ok"]


def test_the_state_directory_is_for_its_user_alone(box: Box) -> None:
    state = box.directory / "state"
    put(box, box.directory / "new")
    state.chmod(0o755)
    box.start_daemon()
    assert state.stat().st_mode & 0o777 == 0o700
    box.signal_daemon(signal.SIGTERM)
    box.wait_daemon()
