"""An old box upgrades: its state, its configuration, its strategy and its units under this tree.

The judge is the venue's own ledger, and what the old build itself said of its journal. A box is
made by `make_box.py`; whatever archive lies in `boxes/` goes through all of this.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest

from daemon.model.records import EventType
from tests.support.journal_page import SCHEMA, event_schema
from tests.upgrade.old_box import BOXES, OldBox

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("old-box")]
TODAY = {one.value: event_schema(one, of_today=True) for one in EventType}


@pytest.fixture(scope="module", params=BOXES, ids=lambda path: path.name.partition(".")[0])
def archive(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


@pytest.fixture(scope="module")
def told(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The commands of this tree over a box on which no daemon of this tree has run."""
    box = OldBox(archive, tmp_path_factory.mktemp("untouched"))
    found = {"expected": box.expected, "lines": box.lines(), "commands": box.unit_commands()}
    for name in ("verify", "recheck"):
        done = box.run("seatrial", "evidence", name, "--json", "state/journal")
        found[name] = {"code": done.returncode, "says": json.loads(done.stdout)}
    found["checked"] = box.run("seatriald", "--config", "seatrial.toml", "--check")
    return found


@pytest.fixture(scope="module")
def box(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OldBox]:
    """The venue with its orders open, and the daemon of this tree on the old state, READY."""
    with OldBox(archive, tmp_path_factory.mktemp("upgraded")) as one:
        opened = sorted(row["client_order_id"] for row in one.ledger()["open_orders"])
        assert opened == one.expected["open_at_venue"], "the venue has its old orders open"
        one.start()
        yield one


# ---------------------------------------------------------------- at rest
def test_the_box_is_one_that_an_upgrade_can_go_wrong_on(told: dict[str, Any]) -> None:
    kinds = {line["event_type"] for line in told["lines"]}
    assert {"checkpoint", "fill", "kill", "order_denied", "risk_context", "timeout"} <= kinds
    assert told["lines"][-1]["event_type"] != "run_stop", "its daemon was killed"
    assert len(told["expected"]["open_at_venue"]) > 1
    assert set(told["expected"]["unknown"]) <= set(told["expected"]["open_at_venue"])
    assert told["expected"]["unknown"]


@pytest.mark.parametrize("name", ["verify", "recheck"])
def test_this_tree_judges_the_old_journal_as_its_own_build_did(
    told: dict[str, Any], name: str
) -> None:
    """All that it said is said again; what the accountant has learnt since stands beside it."""
    assert told[name]["code"] == told["expected"][name]["code"]
    assert missing(told["expected"][name]["says"], told[name]["says"]) == []


def missing(old: Any, new: Any, at: str = "") -> list[str]:
    """Where something that was said before is not said now."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [one for key in old for one in missing(old[key], new.get(key), f"{at}.{key}")]
    if isinstance(old, list) and isinstance(new, list):
        is_said = [any(not missing(one, other) for other in new) for one in old]
        return [f"{at}: {one!r} was said" for one, is_ in zip(old, is_said, strict=True) if not is_]
    return [] if old == new else [f"{at}: {old!r} was said, now {new!r}"]


def test_the_old_configuration_with_its_strategy_is_taken(told: dict[str, Any]) -> None:
    assert told["checked"].returncode == 0, told["checked"].stderr


def test_every_old_line_fits_the_committed_schema(told: dict[str, Any]) -> None:
    check = fastjsonschema.compile(json.loads(SCHEMA.read_text()))
    for line in told["lines"]:
        check(line)


# ---------------------------------------------------------------- under way
def test_it_boots_latched_and_halted_and_refuses_to_start(box: OldBox) -> None:
    status = box.until(lambda one: not one["ending"])
    assert status["latched"]
    assert "the venue is out of reach" in status["latch_reason"]
    assert status["trading_state"] == "HALTED"
    assert not status["session_id"]
    refused = box.tool("start", "--yes", "--reason", "no latch?")
    assert refused.returncode != 0
    assert "latch" in refused.stdout + refused.stderr
    assert box.lines()[-1]["event_type"] != "order_approved"


def test_it_knows_its_orders_by_their_old_ids_and_cancels_them(box: OldBox) -> None:
    box.until(lambda status: not status["ending"] and not status["open_orders"])
    opened, last = set(box.expected["open_at_venue"]), box.expected["ts_ns"]
    new = [line for line in box.lines() if line["ts_ns"] > last]
    canceled = {
        line["client_order_id"]
        for line in new
        if line["event_type"] == "order_state" and line["new"] == "CANCELED"
    }
    assert canceled == opened
    ledger = box.ledger()
    assert ledger["open_orders"] == []
    ends = {row["client_order_id"]: row["status"] for row in ledger["orders"]}
    assert {ends[name] for name in opened} == {"CANCELED"}
    assert set(ends) == {
        line["client_order_id"] for line in box.lines() if line["event_type"] == "order_approved"
    }, "no order was sent that no line approved, and none by this tree"
    assert not [line for line in new if line["event_type"] in ("order_approved", "incident_opened")]


def test_a_human_opens_the_latch_and_the_old_strategy_trades_on(box: OldBox) -> None:
    box.until(lambda status: status["latched"] and not status["ending"])
    opened = box.tool("re-arm", "--yes", "--reason", "the venue is back")
    assert opened.returncode == 0, opened.stderr
    started = box.tool("start", "--yes", "--reason", "after the upgrade")
    assert started.returncode == 0, started.stderr
    box.until(lambda status: status["orders"].get("ACCEPTED", 0) >= 2)
    ids = [row["client_order_id"] for row in box.ledger()["orders"]]
    assert len(ids) == len(set(ids)), "no id is given twice"
    assert box.tool("stop", "--reason", "enough").returncode == 0
    box.until(lambda status: not status["session_id"] and not status["ending"])
    assert box.ledger()["open_orders"] == []


def test_what_this_tree_writes_is_what_it_declares(box: OldBox) -> None:
    new = [line for line in box.lines() if line["ts_ns"] > box.expected["ts_ns"]]
    kinds = {line["event_type"] for line in new}
    assert {"run_start", "recovery", "reconciled", "order_state"} <= kinds
    for line in new:
        fastjsonschema.validate(TODAY[line["event_type"]], line)


def test_the_chain_runs_on_from_the_old_lines_to_the_new(box: OldBox) -> None:
    done = box.run("seatrial", "evidence", "verify", "--json", "state/journal")
    (journal,) = json.loads(done.stdout)["journals"].values()
    assert journal["intact"]["verdict"] == "OK", journal
    recheck = box.run("seatrial", "evidence", "recheck", "--json", "state/journal")
    assert recheck.returncode == 0, recheck.stdout


# ---------------------------------------------------------------- its units
PLACES = {
    "/etc/seatrial/%i.toml": "seatrial.toml",
    "/var/lib/seatrial-smoke/%i": "smoke",
    "/var/lib/seatrial/%i/journal": "state/journal",
    "/var/lib/seatrial/%i": "kept",
}


def here(arguments: list[str]) -> list[str]:
    """A unit's arguments, with this box's places."""
    for place, ours in PLACES.items():
        arguments = [part.replace(place, ours) for part in arguments]
    return [part.replace("%i", "box") for part in arguments]


def test_the_command_lines_of_the_old_units_are_understood(
    told: dict[str, Any], box: OldBox
) -> None:
    """Every word of them: an option that is gone is told before the help is shown."""
    assert {program for program, _ in told["commands"]} == {"seatriald", "seatrial", "python"}
    assert len(told["commands"]) > 10
    for program, arguments in told["commands"]:
        done = box.run(program, *here(arguments), "--help")
        assert done.returncode == 0, f"{program} {arguments}: {done.stdout} {done.stderr}"
    bad = box.run("seatrial", "gate", "prk-health", "--no-such-option", "x", "--help")
    assert bad.returncode == 2, "a help text that hides an unknown option would prove nothing"


def test_the_failure_unit_still_stops_and_reports(told: dict[str, Any], box: OldBox) -> None:
    """`seatrial-failure@` and `seatrial-cancel@` themselves, run on the box."""
    kills = [here(words) for _, words in told["commands"] if "--direct" in words]
    reports = [here(words) for _, words in told["commands"] if words[:2] == ["evidence", "report"]]
    assert len(kills) == 2
    assert len(reports) == 1
    for words in kills:
        done = box.run("seatrial", *words)
        assert done.returncode == 0, done.stdout + done.stderr
    assert box.ledger()["open_orders"] == []
    done = box.run("seatrial", *reports[0])
    assert done.returncode in (0, 2), done.stderr
    place = box.directory / "kept/incidents/failure/evidence_report.json"
    assert json.loads(place.read_text())["verdict"]
    box.until(lambda status: status["latched"])
