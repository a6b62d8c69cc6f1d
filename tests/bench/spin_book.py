"""What the spinning venue knows: its symbols, the orders that rest, and how it says so.

Just enough for a real daemon to boot, trade and stop against it (binance-spot.md §4, §5, §7); it
matches nothing. An IOC order expires at once, every other one rests until it is cancelled.
"""

import json
import re
from typing import Any

TEXT = {
    name: re.compile(rb'"%b":\s*"?([^",}]*)' % name)
    for name in (
        b"symbol",
        b"side",
        b"type",
        b"price",
        b"quantity",
        b"timeInForce",
        b"orderId",
        b"origClientOrderId",
    )
}
QUERY = {name: re.compile(rb"[?&\n]%b=([^&\s]+)" % name) for name in TEXT}
LIMITS = [
    {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": 1_000_000_000}
    for kind, interval, number in (
        ("REQUEST_WEIGHT", "MINUTE", 1),
        ("ORDERS", "SECOND", 10),
        ("ORDERS", "DAY", 1),
        ("RAW_REQUESTS", "MINUTE", 5),
    )
]
ASSETS = ("USDT", "BTC", "ETH", "BNB", "XRP", "SOL", "LTC", "ADA", "DOGE")
DEPTH = (
    b'{"lastUpdateId":1,"bids":[["250.00000000","9.00000000"]],'
    b'"asks":[["251.00000000","9.00000000"]]}'
)
NO_SUCH_ORDER = b'{"code":-2013,"msg":"Order does not exist."}'
NOTHING_TO_CANCEL = b'{"code":-2011,"msg":"Unknown order sent."}'


def symbol_row(symbol: str) -> dict[str, Any]:
    """One symbol of exchangeInfo, as long as the venue's own."""
    quote = next((one for one in ("USDT", "BTC", "ETH") if symbol.endswith(one)), "USDT")
    return {
        "symbol": symbol,
        "status": "TRADING",
        "baseAsset": symbol.removesuffix(quote),
        "baseAssetPrecision": 8,
        "quoteAsset": quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        "cancelReplaceAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": "0.01",
                "maxPrice": "1000000.00",
                "tickSize": "0.01",
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": "0.00001",
                "maxQty": "9000.00",
                "stepSize": "0.00001",
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": "5.00",
                "applyMinToMarket": True,
                "maxNotional": "9000000.00",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
            {"filterType": "ICEBERG_PARTS", "limit": 10},
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
        ],
        "permissions": [],
        "permissionSets": [["SPOT", "MARGIN"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
    }


def exchange_info(symbols: tuple[str, ...], others: int) -> bytes:
    """exchangeInfo with `others` symbols that nobody trades before ours."""
    listed = [f"OTHER{number}USDT" for number in range(others)] + list(symbols)
    body = {
        "timezone": "UTC",
        "serverTime": 0,
        "rateLimits": LIMITS,
        "exchangeFilters": [],
        "symbols": [symbol_row(symbol) for symbol in listed],
    }
    return json.dumps(body).encode()


class SpinBook:
    """Orders at rest, and when the last one was cancelled."""

    def __init__(self, balances: dict[str, str] | None = None) -> None:
        self.resting: dict[bytes, tuple[bytes, bytes, bytes]] = {}
        """Venue id -> our id, symbol, the row as it was placed."""
        self.ids: dict[bytes, bytes] = {}
        self.placed_ns: list[int] = []
        self.emptied_ns = 0
        """When the last order at rest was cancelled."""
        self.cancels = 0
        held = balances or dict.fromkeys(ASSETS, "1000000000")
        self.account = json.dumps(
            {
                "canTrade": True,
                "canWithdraw": False,
                "canDeposit": False,
                "accountType": "SPOT",
                "balances": [
                    {"asset": asset, "free": free, "locked": "0"} for asset, free in held.items()
                ],
            }
        ).encode()
        self._orders = 0

    def place(self, own: bytes, found: dict[bytes, bytes], now_ns: int) -> bytes:
        """Accept an order; the row that says so."""
        self._orders += 1
        self.placed_ns.append(now_ns)
        order_id = b"%d" % self._orders
        symbol = found.get(b"symbol") or b"BTCUSDT"
        expires = found.get(b"timeInForce") == b"IOC"
        row = order_row(own, order_id, symbol, found, now_ns)
        if expires:
            return row.replace(b'"status":"NEW"', b'"status":"EXPIRED"', 1)
        self.resting[order_id] = (own, symbol, row)
        self.ids[own] = order_id
        return row

    def cancel(self, found: dict[bytes, bytes], now_ns: int) -> bytes | None:
        """Cancel one order; None when there is no such order."""
        order_id = found.get(b"orderId") or self.ids.get(found.get(b"origClientOrderId", b""), b"")
        gone = self.resting.pop(order_id, None)
        if gone is None:
            return None
        self.cancels += 1
        own, _, row = gone
        del self.ids[own]
        if not self.resting:
            self.emptied_ns = now_ns
        return canceled(row, own)

    def cancel_all(self, symbol: bytes, now_ns: int) -> bytes | None:
        """Cancel a symbol's orders; None when there are none."""
        mine = [one for one, (_, of, _) in self.resting.items() if of == symbol]
        rows = [self.cancel({b"orderId": one}, now_ns) for one in mine]
        return b"[" + b",".join(row for row in rows if row) + b"]" if rows else None

    def listing(self, symbol: bytes) -> bytes:
        """Open orders of a symbol, or all."""
        rows = [row for _, of, row in self.resting.values() if symbol in (b"", of)]
        return b"[" + b",".join(rows) + b"]"

    def facts(self) -> dict[str, Any]:
        """For the bench; forgets the instants."""
        said = {
            "resting": len(self.resting),
            "cancels": self.cancels,
            "emptied_ns": self.emptied_ns,
            "placed_ns": self.placed_ns,
        }
        self.placed_ns, self.cancels, self.emptied_ns = [], 0, 0
        return said


def canceled(row: bytes, own: bytes) -> bytes:
    """The row of a cancelled order: its id moves to `origClientOrderId`."""
    row = row.replace(b'"status":"NEW"', b'"status":"CANCELED"', 1)
    return row.replace(b"{", b'{"origClientOrderId":"%b",' % own, 1)


def order_row(
    own: bytes, order_id: bytes, symbol: bytes, found: dict[bytes, bytes], now_ns: int
) -> bytes:
    """An accepted order in the venue's words (binance-spot.md §5), echoing what was asked."""
    now_ms = now_ns // 1_000_000
    return (
        b'{"symbol":"%b","orderId":%b,"orderListId":-1,"clientOrderId":"%b","transactTime":%d,'
        b'"price":"%b","origQty":"%b","executedQty":"0","origQuoteOrderQty":"0",'
        b'"cummulativeQuoteQty":"0","status":"NEW","timeInForce":"%b","type":"%b","side":"%b",'
        b'"workingTime":1,"selfTradePreventionMode":"NONE","fills":[]}'
    ) % (
        symbol,
        order_id,
        own,
        now_ms,
        found.get(b"price") or b"0",
        found.get(b"quantity") or b"0",
        found.get(b"timeInForce") or b"GTC",
        found.get(b"type") or b"LIMIT",
        found.get(b"side") or b"BUY",
    )
