"""Every fault preset against the real daemon process, judged by the venue's own ledger.

Each preset runs a whole demo (venue, daemon, strategies, kill drill) in processes of its own. What
must hold at the end, whatever was injected: the journal and the ledger name the same orders and
fills, nothing twice, nothing sent twice, no breach, nothing left open, and an order that stayed
UNKNOWN only with an incident that says so.
"""

import json
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from daemon.venues.sim.fault_presets import PRESETS

SECONDS = 18
AT_ONCE = 7
NAMES = [name for name in PRESETS if name != "none"]
DEADLINE_S = 150
INCIDENTS: dict[str, set[str]] = {
    "wipe": {"testnet_wipe"},
    "foreign": {"foreign_order"},
    "clock": {"clock_skew"},
}
"""What a preset may end with; presets that are not named here end without an incident, or with one
of COMMON where a bad day was bad enough."""
COMMON = {
    "rate_limit_storm",
    "reconnect_storm",
    "reject_storm",
    "unknown_order",
    "stale_feed",
    "loop_lag",
    "clock_skew",
}

pytestmark = [
    pytest.mark.campaign,
    pytest.mark.timeout(400),
    pytest.mark.xdist_group("fault presets"),  # one worker: the runs are shared
]


def demo(preset: str, directory: Path) -> dict[str, Any]:
    """Run one demo; its JSON object, its exit code and its log."""
    command = [sys.executable, "-m", "control.main", "demo", "--seconds", str(SECONDS)]
    command += ["--faults", preset, "--json", "--dir", str(directory)]
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=DEADLINE_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        return {"preset": preset, "exit": None, "log": f"did not end in time: {error.stdout!r}"}
    lines = ended.stdout.splitlines()
    verdict = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
    log = (ended.stdout + ended.stderr)[-3_000:]
    return {"preset": preset, "exit": ended.returncode, "log": log, **verdict}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """All presets, a few at once: they mostly wait."""
    home = tmp_path_factory.mktemp("presets")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        done = pool.map(lambda name: demo(name, home / name), NAMES)
        return {run["preset"]: run for run in done}


def lines_of(run: dict[str, Any]) -> list[dict[str, Any]]:
    journal = Path(run["journal"])
    made = []
    for segment in sorted(journal.parent.glob("journal-*.jsonl")):
        made += [json.loads(line) for line in segment.read_text().splitlines()]
    return made


@pytest.mark.parametrize("preset", NAMES)
def test_books_and_ledger_agree_whatever_was_injected(
    runs: dict[str, dict[str, Any]], preset: str
) -> None:
    run = runs[preset]
    assert run["exit"] == 0, run["log"]
    for count in (
        "orders_missing_from_journal",
        "fills_missing_from_journal",
        "cap_breaches_at_venue",
        "open_orders_after_kill",
        "duplicates",
    ):
        assert run[count] == 0, (count, run["log"])
    assert run["orders_submitted"] > 5, "trading went on"
    assert sum(run["faults_injected"].values()) > 0, "the preset does nothing"
    incidents = set(run["incidents"])
    assert incidents <= INCIDENTS.get(preset, set()) | COMMON, run["reasons"]
    if preset in {"wipe", "foreign"}:
        assert incidents & INCIDENTS[preset], "the right incident"


@pytest.mark.parametrize("preset", NAMES)
def test_nothing_is_sent_twice_and_nothing_stays_unknown_in_silence(
    runs: dict[str, dict[str, Any]], preset: str
) -> None:
    run = runs[preset]
    ledger = json.loads(Path(run["ledger"]).read_text())
    ours = Counter(
        row["client_order_id"]
        for row in ledger["orders"]
        if row["client_order_id"].startswith("st")
    )
    assert ours, "the venue saw our orders"
    assert [order for order, count in ours.items() if count > 1] == []
    states: dict[str, str] = {}
    exec_ids: Counter[str] = Counter()
    for line in lines_of(run):
        if line["event_type"] == "order_state":
            states[line["client_order_id"]] = line["new"]
        elif line["event_type"] == "fill":
            exec_ids[line["exec_id"]] += 1
    assert states
    assert [exec_id for exec_id, count in exec_ids.items() if count > 1] == []
    unknown = [order for order, state in states.items() if state == "UNKNOWN"]
    assert not unknown or run["incidents"], f"unknown in silence: {unknown}"
