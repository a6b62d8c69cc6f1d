"""From a strategy through engine and governor to the venue's ledger: what never left, what may.

A real venue process and a real daemon; the ledger alone is the judge.
"""

import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from control.control_errors import ControlError
from control.tool.client import call
from daemon.demo.plan import toml_text
from tests.support.forked import start
from tests.support.journal_lines import journal_lines
from tests.support.priority import before_others
from tests.support.sim_process import ROOT, SimProcess
from tests.support.swapper import BIG

DEADLINE_S = 90.0
CAP = "0.004"
PER_SECOND = 8
NS_PER_S = 1_000_000_000


def config(directory: Path, sim: SimProcess, strategy: str, **caps_changes: Any) -> Path:
    caps: dict[str, Any] = tomllib.loads((ROOT / "daemon/demo/caps/demo.toml").read_text())["caps"]
    caps |= caps_changes
    caps["symbols"] = {
        "BTCUSDT": {
            **caps["symbols"]["BTCUSDT"], "position_long_base_max": CAP, "collar_bps_max": 500,
            "orders_per_minute_max": 10_000, "orders_open_max": 30,
        }
    }  # fmt: skip
    keys = directory / "keys.toml"
    keys.touch(mode=0o600)
    keys.write_text(toml_text({"api_key": sim.api_key, "api_secret": sim.api_secret}))
    plan = {
        "state_dir": str(directory / "state"),
        "venue": {
            "environment": "sim", "symbols": ["BTCUSDT"],
            "rest": sim.rest, "ws_api": sim.ws_api, "streams": sim.streams,
        },
        "credentials": {"file": str(keys)},
        "metrics": {"port": 0},
        "strategies": {
            "swap": {"class": f"tests.support.swapper:{strategy}", "symbols": ["BTCUSDT"]}
        },
        "caps": caps,
    }  # fmt: skip
    path = directory / "seatrial.toml"
    path.write_text(toml_text(plan))
    return path


class Trading:
    """A daemon at work, and what its venue says of it."""

    def __init__(self, directory: Path, sim: SimProcess) -> None:
        self.sim = sim
        self._directory = directory
        self._socket = directory / "state" / "control.sock"

    def status(self) -> Mapping[str, Any]:
        try:
            return call(self._socket, "status")
        except ControlError:
            return {}

    def until(self, ready: Any, what: str) -> Mapping[str, Any]:
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            status = self.status()
            if status and ready(status):
                return status
            time.sleep(0.05)  # sleep: a poll of another process
        pytest.fail(f"not within {DEADLINE_S} s: {what}: {self.status()}")

    def ask(self, method: str, **params: Any) -> Mapping[str, Any]:
        return call(self._socket, method, timeout_s=DEADLINE_S, **params)

    def open_buys(self) -> Decimal:
        rows = self.sim.ledger()["open_orders"]
        return sum((Decimal(row["qty"]) for row in rows if row["side"] == "BUY"), Decimal(0))

    def facts(self, event_type: str) -> list[dict[str, Any]]:
        return journal_lines(self._directory / "state", event_type)


@contextmanager
def trading(
    directory: Path, strategy: str, *, listed: str = "BTCUSDT", **caps: Any
) -> Iterator[Trading]:
    with SimProcess(seed=3, symbols=listed, flow_rate=20, orders_per_10s=1_000) as sim:
        path = config(directory, sim, strategy, **caps)
        with (directory / "daemon.log").open("wb") as log:
            daemon = start("daemon", ["--config", str(path)], stdout=log, stderr=log)
        before_others(daemon)
        try:
            box = Trading(directory, sim)
            box.until(lambda status: status["gate_state"] == "READY", "READY")
            box.ask("start", reason="test")
            yield box
        finally:
            daemon.kill()
            daemon.wait()


def _rests(status: Mapping[str, Any], qty: Decimal) -> bool:
    return [Decimal(row["qty"]) for row in status["open_orders"]] == [qty]


def test_what_the_governor_refuses_is_never_lost_from_the_books(tmp_path: Path) -> None:
    """Finding 35: the venue's one 429 makes the governor refuse replaces, cancels, placements."""
    with trading(tmp_path, "Swapper") as box:
        most = Decimal(0)
        for _ in range(8):  # what it hits, a replace or a cancel, is chance; once is enough
            box.until(
                lambda one: _rests(one, BIG) and one["storms"]["rate_limit"] < 3,
                "what is replaced next rests, and one refusal more is no storm",
            )
            box.sim.admin_post("strike", kind="limit_429", seconds=1)
            end = time.monotonic() + 3
            while time.monotonic() < end:
                most = max(most, box.open_buys())
                time.sleep(0.05)  # sleep: a poll of another process
            ended = [f["why"] for f in box.facts("order_state") if "not sent" in f["why"]]
            if any("replace not sent" in why for why in ended):
                break
        assert most <= Decimal(CAP), "more rests at the venue than the cap allows"
        assert any("replace not sent" in why for why in ended), "nothing was refused locally"
        box.ask("stop", reason="done")
        assert box.open_buys() == 0, "a stop that is done leaves nothing of ours"
        assert box.facts("incident_opened") == []


def test_two_hundred_and_forty_foreign_orders_deny_none_of_ours(tmp_path: Path) -> None:
    """Finding 15."""
    with trading(tmp_path, "Swapper", orders_per_second_max=PER_SECOND) as box:
        before = len(box.facts("reconciled"))
        for n in range(240):
            box.sim.signed(
                "POST", "order", symbol="BTCUSDT", side="BUY", type="LIMIT",
                timeInForce="IOC", quantity="0.001", price="30000", newClientOrderId=f"web-{n}",
            )  # fmt: skip
        status = box.until(lambda one: one["others"]["order_events"] >= 240, "all are heard of")
        rounds = len(box.facts("reconciled")) - before
        assert rounds <= 12, f"{rounds} rounds for foreign orders"
        assert "venue_budget" not in status["denied"]
        used, limits = status["venue"]["used"], status["venue"]["limits"]
        assert used["REQUEST_WEIGHT_1M"] < limits["REQUEST_WEIGHT_1M"] / 4
        assert box.facts("incident_opened") == []
        orders = status["session_orders"]
        box.until(lambda one: one["session_orders"] > orders, "ours go on")


def test_the_venue_sees_no_more_orders_in_any_second_than_the_cap(tmp_path: Path) -> None:
    with trading(tmp_path, "Burster", orders_per_second_max=PER_SECOND) as box:
        # Those at the venue: of what was approved, a busy machine sends less.
        box.until(lambda _: len(box.sim.ledger()["orders"]) > 5 * PER_SECOND, "five seconds of it")
        ledger = box.sim.ledger()
    at_ns = sorted(row["ts_ns"] for row in ledger["orders"])
    assert len(at_ns) > 4 * PER_SECOND
    spans = [late - early for early, late in zip(at_ns, at_ns[PER_SECOND:], strict=False)]
    assert min(spans) > NS_PER_S, f"{PER_SECOND + 1} orders within {min(spans) / 1e9:.3f} s"


def test_an_order_of_others_on_a_symbol_that_we_do_not_trade_halts_and_stays(
    tmp_path: Path,
) -> None:
    with trading(tmp_path, "Swapper", listed="BTCUSDT,XRPUSDT") as box:
        theirs = box.sim.signed(
            "POST", "order", symbol="XRPUSDT", side="BUY", type="LIMIT", timeInForce="GTC",
            quantity="100", price="0.2", newClientOrderId="web-1",
        )  # fmt: skip
        status = box.until(lambda one: one["incidents_open"] == 1, "it is an incident")
        assert (status["trading_state"], status["others"]["orders_open"]) == ("HALTED", 1)
        incident = box.facts("incident_opened")[0]
        assert (incident["trigger"], incident["symbol"]) == ("foreign_order", "XRPUSDT")
        assert "web-1" in incident["msg"]
        assert box.facts("reconciled")[-1]["clean"] is False
        box.until(lambda _: box.open_buys() == 100, "only theirs is open")
        rows = box.sim.ledger()["open_orders"]
        assert [row["order_id"] for row in rows] == [theirs["orderId"]], "it is not ours to touch"
