"""Drills with controls that do not work: each must fail, by name, and say so."""

import concurrent.futures
import tempfile
import tomllib
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.core.engine import EngineConfig
from daemon.model.copies import replace
from daemon.model.effects import Reply
from daemon.model.enums import Mode
from daemon.model.ids import run_id
from daemon.model.inputs import Actor, Command
from daemon.model.records import EventType
from daemon.shell.drills.drill_rehearsal import Rehearsal
from daemon.shell.drills.drill_runner import DRILLS, Drills, DrillTools
from daemon.shell.process.clock import SystemClock
from daemon.shell.stop.emergency_stop import KillReport
from evidence.folds.drill_fold import FAILED, FALSE, OPEN, PASSED, WANTED, decided
from riskcaps.words.capset import capset_from_mapping
from tests.support.builders import T0, caps

ROOT = Path(__file__).resolve().parents[3]

WHO = Actor(uid=1, pid=1, role="operator", name="op")


class Daemon:
    """The live parts, all well until a test breaks one."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.notes: list[dict[str, Any]] = []
        self.approved = 0
        self.remaining = 0
        self.clean = True
        self.session_id = ""
        self.rehearsal: Callable[[], Rehearsal] = rehearsal
        self.lost = 0
        self.venue_orders = 5

    def status(self) -> dict[str, Any]:
        return {
            "session_id": self.session_id,
            "gating": {"needed": False},
            "gate_state": "READY",
            "reconcile": {"rounds": self.lost},
            "venue": {
                "used": {"ORDERS_1D": self.venue_orders},
                "links": {"order": {"lost": self.lost}},
            },
        }

    def command(self, command: Command) -> "concurrent.futures.Future[Reply]":
        future: concurrent.futures.Future[Reply] = concurrent.futures.Future()
        future.set_result(Reply(command_id=command.command_id, result={"clean": self.clean}))
        return future

    def cancel_and_verify(self, deadline_s: float) -> KillReport:
        return KillReport(
            started_ns=1,
            first_cancel_ns=None,
            last_cancel_ns=None,
            verified_empty_ns=2,
            canceled=0,
            remaining=self.remaining,
            rounds=2,
        )

    def lose_orders(self, _: str) -> None:
        self.lost += 1

    def note_threadsafe(self, event_type: EventType, fields: Any) -> None:
        assert event_type is EventType.DRILL
        self.notes.append(dict(fields))

    def made(self) -> Drills:
        return Drills(
            tools=DrillTools(
                status=self.status,
                command=self.command,
                cancel_and_verify=self.cancel_and_verify,
                lose_orders=self.lose_orders,
                orders_approved=lambda: self.approved,
                rehearsal=self.rehearsal,
            ),
            pump=self,
            clock=SystemClock(),
            state_dir=self.directory,
        )

    def run(self, name: str | None = None) -> dict[str, dict[str, Any]]:
        asked = Command(command_id="c", method="drill", actor=WHO, params={"drill": name})
        reply = self.made().begin(asked).result(timeout=30)
        assert not reply.error_code, reply.error_message
        return {result["drill"]: result for result in reply.result["drills"]}


def rehearsal(**changes: Any) -> Rehearsal:
    config = EngineConfig(
        environment="sim",
        mode=Mode.SIM,
        instance="abc123",
        run=run_id("abc123", 1),
        symbols=("BTCUSDT", "ETHUSDT"),
        account="a",
    )
    return Rehearsal(config, caps(**changes), T0)


@pytest.fixture
def daemon(tmp_path: Path) -> Daemon:
    return Daemon(tmp_path)


def test_all_pass_where_all_is_well_and_are_remembered(daemon: Daemon) -> None:
    results = daemon.run()
    assert tuple(results) == DRILLS
    assert [one["detail"].get("problem") for one in results.values()] == [None] * len(DRILLS)
    assert [note["drill"] for note in daemon.notes] == list(DRILLS)
    rows = daemon.made().status()["drills"]
    assert all(rows[name]["passed"] is True for name in DRILLS)
    assert all(isinstance(rows[name]["age_s"], int) for name in DRILLS)


def test_the_accountant_decides_each_drill_again_from_its_details(daemon: Daemon) -> None:
    """By a table of its own: every single thing that a drill must find is missed and gainsaid."""
    for name, result in daemon.run().items():
        detail = result["detail"]
        assert decided(name, passed=True, detail=detail) == (PASSED, ""), name
        assert decided(name, passed=False, detail=detail)[0] == FAILED
        assert decided(name, passed=True, detail={})[0] == OPEN
        assert set(WANTED[name]) <= set(detail)
        for key in {*WANTED[name], "orders_approved"}:
            less = {k: v for k, v in detail.items() if k != key}
            assert decided(name, passed=True, detail=less)[0] == OPEN, (name, key)
            for other in (7, None, "no", [], -1, not detail[key]):
                found, why = decided(name, passed=True, detail={**detail, key: other})
                is_same = other == detail[key] and type(other) is type(detail[key])
                is_any_text = key == "denied_as" and other == "no"
                is_any_count = key in {"refusals", "empty_ms", "outage_ms"} and other == 7
                expected = PASSED if is_same or is_any_text or is_any_count else FALSE
                assert found == expected, (name, key, other, why)


def test_no_value_of_a_record_is_a_float(daemon: Daemon) -> None:
    daemon.run()
    values = [value for note in daemon.notes for value in note["detail"].values()]
    assert values
    assert not [value for value in values if isinstance(value, float)]


def test_an_order_that_leaves_during_a_drill_fails_it(daemon: Daemon) -> None:
    def leaky() -> Rehearsal:
        daemon.approved += 1
        return rehearsal()

    daemon.rehearsal = leaky
    result = daemon.run("cap-rejection")["cap-rejection"]
    assert result["passed"] is False
    assert "orders_approved" in result["detail"]["problem"]


def test_an_order_that_the_venue_counted_fails_it(daemon: Daemon) -> None:
    def leaky() -> Rehearsal:
        daemon.venue_orders += 1
        return rehearsal()

    daemon.rehearsal = leaky
    result = daemon.run("rate-limit")["rate-limit"]
    assert "orders_counted_by_venue" in result["detail"]["problem"]


def test_orders_left_at_the_venue_fail_the_kill_switch(daemon: Daemon) -> None:
    daemon.remaining = 2
    results = daemon.run()
    assert [name for name in DRILLS if not results[name]["passed"]] == ["kill-switch"]
    assert daemon.made().status()["drills"]["kill-switch"]["passed"] is False


def test_books_that_differ_fail_reconcile(daemon: Daemon) -> None:
    daemon.clean = False
    assert "own_books_clean" in daemon.run("reconcile")["reconcile"]["detail"]["problem"]


class Deaf(Rehearsal):
    """A stage on which a quantity far above its cap is let through."""

    def wish(self, *, qty: Decimal, price: Decimal | None = None) -> str:
        found = super().wish(qty=qty, price=price)
        return "" if found == "order_qty" else found


def test_a_cap_that_lets_too_much_through_fails_cap_rejection(daemon: Daemon) -> None:
    made = rehearsal()
    daemon.rehearsal = lambda: Deaf(made.config, made.capset, T0)
    result = daemon.run("cap-rejection")["cap-rejection"]
    assert result["passed"] is False
    assert result["detail"]["problem"] == "quantity: '' instead of 'order_qty'"


def test_caps_that_cannot_be_rehearsed_fail_and_say_so(daemon: Daemon) -> None:
    daemon.rehearsal = lambda: rehearsal(symbols=("ETHBTC",))
    result = daemon.run("cap-rejection")["cap-rejection"]
    assert "no symbol with caps" in result["detail"]["problem"]


def test_no_drill_inside_a_session(daemon: Daemon) -> None:
    daemon.session_id = "x-1-s1"
    asked = Command(command_id="c", method="drill", actor=WHO)
    reply = daemon.made().begin(asked).result(timeout=60)
    assert reply.error_code == "session_on"
    assert daemon.notes == []


def test_damaged_results_are_forgotten(daemon: Daemon) -> None:
    (daemon.directory / "drills.json").write_text('{"reconcile": 5')
    assert daemon.made().status()["drills"] == dict.fromkeys(DRILLS)


@pytest.mark.parametrize("preset", ["tiny", "testnet-strict", "live-pilot", "demo"])
def test_every_preset_passes_every_drill(daemon: Daemon, preset: str) -> None:
    text = next(ROOT.glob(f"*/**/caps/{preset}.toml")).read_text()
    capset = capset_from_mapping(tomllib.loads(text)["caps"])
    for symbol in capset.symbols:
        config = replace(rehearsal().config, symbols=(symbol,))
        if not symbol.endswith(capset.numeraire):
            continue
        daemon.rehearsal = lambda config=config: Rehearsal(config, capset, T0)  # type: ignore[misc]
        results = daemon.run()
        problems = {k: v["detail"]["problem"] for k, v in results.items() if not v["passed"]}
        assert problems == {}, symbol


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    qty=st.decimals("0.00001", "5000", places=5),
    notional=st.decimals("5", "100000", places=2),
    exposure=st.decimals("5", "100000", places=2),
    collar=st.integers(1, 2_000),
)
def test_no_caps_within_reason_fail_a_control_that_works(
    qty: Decimal, notional: Decimal, exposure: Decimal, collar: int
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        daemon = Daemon(Path(directory))
        daemon.rehearsal = lambda: rehearsal(
            order_qty_base_max=str(qty),
            order_notional_quote_max=str(notional),
            exposure_quote_max=str(exposure),
            collar_bps_max=collar,
        )
        result = daemon.run("cap-rejection")["cap-rejection"]
        assert result["passed"], result["detail"]


def test_a_drill_whose_result_cannot_be_kept_was_run_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "drills.json").mkdir()
    daemon = Daemon(tmp_path)
    assert daemon.run("gating")["gating"]["passed"] is True
    assert [note["drill"] for note in daemon.notes] == ["gating"]
