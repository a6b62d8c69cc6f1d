"""exchangeInfo symbol by symbol: what is missing, unreadable or not ours spoils itself only."""

from typing import Any

import orjson
import pytest

from daemon.model.enums import SymbolStatus
from daemon.venues.binance_spot.instrument_rules import decode_listed
from daemon.venues.contract import NOT_LISTED
from daemon.venues.own_ids import SymbolNames

ROW: dict[str, Any] = {
    "symbol": "A",
    "status": "TRADING",
    "baseAsset": "A",
    "quoteAsset": "B",
    "orderTypes": ["LIMIT"],
    "filters": [],
}


def listed(*rows: dict[str, Any], symbols: tuple[str, ...] = ("A", "Z")) -> Any:
    return decode_listed(orjson.dumps({"symbols": rows}), SymbolNames("sim", symbols))


def test_a_missing_symbol_and_an_unreadable_one_are_named() -> None:
    odd = {**ROW, "symbol": "Z", "filters": [{"filterType": "LOT_SIZE", "minQty": 5}]}
    instruments, absent, _, _ = listed(ROW, odd, symbols=("A", "Z", "Q"))
    assert [one.symbol for one in instruments] == ["A"]
    assert absent["Q"] == NOT_LISTED
    assert "LOT_SIZE" in absent["Z"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, "TRADING"),
        ({"isSpotTradingAllowed": False}, "NOT_ALLOWED"),
        ({"permissionSets": [["MARGIN"], ["TRD_GRP_004"]]}, "NOT_ALLOWED"),
        ({"permissionSets": [["SPOT", "MARGIN"]]}, "TRADING"),
        ({"permissionSets": []}, "TRADING"),
        ({"permissionSets": [[]]}, "TRADING"),
        ({"isSpotTradingAllowed": False, "status": "BREAK"}, "BREAK"),
        ({"status": "POST_TRADING"}, "BREAK"),
    ],
)
def test_permission_is_part_of_the_status(change: dict[str, Any], status: str) -> None:
    (instrument,), absent, _, _ = listed({**ROW, **change}, symbols=("A",))
    assert (instrument.status, absent) == (SymbolStatus(status), {})
