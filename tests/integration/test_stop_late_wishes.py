"""Wishes of a turn that was longer than the kill: nothing leaves after a latch.

A strategy holds the interpreter in one call; `kill --direct` latches, cancels and verifies from
outside; the call ends, and the strategy wishes ten orders in the same turn. The watchdog, which
follows the latch, is made late, as a busy machine makes it: its thread does not decide this.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.stop_stage import StopStage

ROUNDS = 3
LATE_WATCHDOG = "from daemon.shell import watchdog\nwatchdog.LOOK_PERIOD_S = 4.0"


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
def test_what_a_long_turn_wishes_does_not_leave_after_the_latch(stage: StopStage) -> None:
    for number in range(ROUNDS):
        stage.renew()
        stage.start_daemon()
        stage.fill()
        stage.signal("wish")
        stage.until_hung()
        assert stage.kill_direct()["verified"] is True
        orders = len(stage.ledger_since(0)["orders"])
        denied = stage.until(lambda: _refused(stage), "the wishes were decided")
        assert denied, f"round {number}: the strategy has wished"
        ledger = stage.ledger_since(0)
        assert len(ledger["orders"]) == orders, f"round {number}: an order left after the latch"
        assert ledger["open_orders"] == []


def _refused(stage: StopStage) -> int:
    """Orders that were approved in the long turn and did not leave, or were denied in it."""
    lines = stage.journal()
    unsent = [line for line in lines if line["event_type"] in {"order_resolved", "order_denied"}]
    return len(unsent)
