"""An account's balances and commissions as the venue's JSON values."""

from collections.abc import Iterable

from daemon.venues.binance_spot.serving.shown_rows import Row
from daemon.venues.binance_spot.serving.units import ms_of, text_of

_ZERO = "0.00000000"
_NO_DISCOUNT: Row = {
    "enabledForAccount": False,
    "enabledForSymbol": False,
    "discountAsset": "BNB",
    "discount": "0.75000000",
}


def account_row(
    balances: Iterable[tuple[str, int, int]],
    *,
    maker_ppm: int,
    taker_ppm: int,
    can_trade: bool,
    updated_ns: int,
    uid: int,
    omit_zero: bool,
) -> Row:
    """GET /account; `balances` are (asset, free, locked), rates in parts per million."""
    return {
        "makerCommission": maker_ppm // 100,
        "takerCommission": taker_ppm // 100,
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {
            "maker": rate_text(maker_ppm),
            "taker": rate_text(taker_ppm),
            "buyer": _ZERO,
            "seller": _ZERO,
        },
        "canTrade": can_trade,
        "canWithdraw": True,
        "canDeposit": True,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": ms_of(updated_ns),
        "accountType": "SPOT",
        "balances": [
            {"asset": asset, "free": text_of(free), "locked": text_of(locked)}
            for asset, free, locked in balances
            if not omit_zero or free or locked
        ],
        "permissions": ["SPOT"],
        "uid": uid,
    }


def commission_row(symbol: str, maker_ppm: int, taker_ppm: int) -> Row:
    """GET /account/commission."""
    nothing = {"maker": _ZERO, "taker": _ZERO, "buyer": _ZERO, "seller": _ZERO}
    return {
        "symbol": symbol,
        "standardCommission": nothing
        | {"maker": rate_text(maker_ppm), "taker": rate_text(taker_ppm)},
        "specialCommission": nothing,
        "taxCommission": nothing,
        "discount": dict(_NO_DISCOUNT),
    }


def order_commission_row(maker_ppm: int, taker_ppm: int) -> Row:
    """POST /order/test with `computeCommissionRates`."""
    rates = {"maker": rate_text(maker_ppm), "taker": rate_text(taker_ppm)}
    nothing = {"maker": _ZERO, "taker": _ZERO}
    return {
        "standardCommissionForOrder": rates,
        "specialCommissionForOrder": nothing,
        "taxCommissionForOrder": nothing,
        "discount": dict(_NO_DISCOUNT),
    }


def rate_text(parts_per_million: int) -> str:
    """A commission rate: 1000 -> `0.00100000`."""
    return text_of(parts_per_million * 100)
