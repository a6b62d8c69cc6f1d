"""The position that a bot's log tells, and what it is compared with."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from daemon.trials.bot import BotError
from daemon.trials.runner import Belief

LEDGER: dict[str, Any] = {
    "balances": {"BTC": {"free": "1.4", "locked": "0.1"}},
    "fills": [
        {
            "ts_ns": 1,
            "symbol": "BTCUSDT",
            "side": side,
            "price": "60000",
            "qty": qty,
            "fee": "0",
            "fee_asset": "BTC",
            "order_id": 1,
            "ours": ours,
        }
        for side, qty, ours in [("BUY", "0.3", True), ("SELL", "0.1", True), ("BUY", "9", False)]
    ],
}


def test_the_last_word_of_the_log_counts(tmp_path: Path) -> None:
    log = tmp_path / "bot.log"
    log.write_text("pos=1.5 BTC\nnoise\npos=-0.20 BTC\n")
    belief = Belief(r"pos=(-?[0-9.]+)", log, "BTC")
    assert belief.told() == Decimal("-0.20")
    assert belief.positions(LEDGER) == (Decimal("1.5"), Decimal("0.2"))
    log.write_text("nothing yet\n")
    assert belief.told() is None


@pytest.mark.parametrize("pattern", ["(", "no group", "(two)(groups)"])
def test_a_pattern_without_one_group_is_refused(pattern: str, tmp_path: Path) -> None:
    with pytest.raises(BotError, match="--position"):
        Belief(pattern, tmp_path / "log", "BTC")
