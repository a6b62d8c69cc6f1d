"""Documented payloads of Binance Spot, written from the protocol brief in our own words."""

from typing import Any

OWN = "stabc123-1-1"
BASE: dict[str, Any] = {
    "e": "executionReport",
    "E": 1700000000105,
    "s": "BTCUSDT",
    "c": OWN,
    "S": "BUY",
    "o": "LIMIT",
    "f": "GTC",
    "q": "0.50000000",
    "p": "50000.00000000",
    "P": "0.00000000",
    "F": "0.00000000",
    "g": -1,
    "C": "",
    "x": "NEW",
    "X": "NEW",
    "r": "NONE",
    "i": 77,
    "l": "0.00000000",
    "z": "0.00000000",
    "L": "0.00000000",
    "n": "0",
    "N": None,
    "T": 1700000000100,
    "t": -1,
    "v": 3,
    "I": 12,
    "w": True,
    "m": False,
    "M": False,
    "O": 1700000000100,
    "Z": "0.00000000",
    "Y": "0.00000000",
    "Q": "0.00000000",
    "W": 1700000000100,
    "V": "EXPIRE_MAKER",
}
TRADE = {
    "x": "TRADE",
    "X": "PARTIALLY_FILLED",
    "l": "0.20000000",
    "z": "0.20000000",
    "L": "49999.90000000",
    "n": "0.00002000",
    "N": "BTC",
    "t": 901,
    "Z": "9999.98000000",
}


PLACED: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "orderId": 77,
    "orderListId": -1,
    "clientOrderId": OWN,
    "transactTime": 1700000000100,
    "price": "50000.00000000",
    "origQty": "0.50000000",
    "executedQty": "0.50000000",
    "origQuoteOrderQty": "0.00000000",
    "cummulativeQuoteQty": "24999.95000000",
    "status": "FILLED",
    "timeInForce": "GTC",
    "type": "LIMIT",
    "side": "BUY",
    "workingTime": 1700000000100,
    "fills": [
        {
            "price": "49999.90000000",
            "qty": "0.50000000",
            "commission": "0.00050000",
            "commissionAsset": "BTC",
            "tradeId": 901,
        },
    ],
    "selfTradePreventionMode": "NONE",
}


def trade_row(order_id: int, trade_id: int) -> dict[str, Any]:
    """A row of `myTrades`."""
    return {
        "symbol": "BTCUSDT", "id": trade_id, "orderId": order_id, "orderListId": -1,
        "price": "50000", "qty": "0.0005", "quoteQty": "25", "commission": "0",
        "commissionAsset": "BTC", "time": 1_700_000_000_000 + trade_id, "isBuyer": True,
        "isMaker": True, "isBestMatch": True,
    }  # fmt: skip
