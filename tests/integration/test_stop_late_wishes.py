"""Wishes of a turn that was longer than the kill: nothing leaves after a latch.

A strategy holds the interpreter in one call; `kill --direct` latches, cancels and verifies from
outside; the call ends, and the strategy wishes ten orders in the same turn. The watchdog, which
follows the latch, is made late, as a busy machine makes it: its thread does not decide this.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.stop_stage import StopStage
from tests.support.wedge import WISHES

LATE_WATCHDOG = "from daemon.shell.health import watchdog\nwatchdog.LOOK_PERIOD_S = 60.0"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[StopStage]:
    with StopStage(
        tmp_path,
        symbols=("BTCUSDT",),
        orders_per_symbol=2,
        round_trip=False,
        before_main=LATE_WATCHDOG,
    ) as made:
        yield made


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [1, pytest.param(5, marks=pytest.mark.campaign)])
def test_what_a_long_turn_wishes_does_not_leave_after_the_latch(
    stage: StopStage, rounds: int
) -> None:
    for number in range(rounds):
        stage.renew()
        stage.start_daemon()
        stage.fill()
        stage.signal("wish")
        stage.until_hung()
        assert stage.kill_direct()["verified"] is True
        orders = len(stage.ledger_since(0)["orders"])
        stage.until(lambda: _are_decided(stage), "the wishes are decided")
        stage.until(lambda: not stage.status()["venue"]["in_flight"], "all is answered")
        ledger = stage.ledger_since(0)
        assert len(ledger["orders"]) == orders, f"round {number}: an order left after the latch"
        assert ledger["open_orders"] == []


def _are_decided(stage: StopStage) -> bool:
    """The caps have decided every wish of the long turn, this way or that."""
    kinds = [line["event_type"] for line in stage.journal()]
    decided = kinds.count("order_approved") + kinds.count("order_denied")
    return decided == stage.orders_open + WISHES
