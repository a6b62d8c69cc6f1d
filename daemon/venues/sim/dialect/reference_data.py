"""Public endpoints of the price range rule: rules, reference prices; and block trades."""

from daemon.venues.binance_spot.serving.dialect_errors import (
    DialectError,
    combination_invalid,
    mandatory,
)
from daemon.venues.binance_spot.serving.shown_rows import Row, multiplier_text
from daemon.venues.binance_spot.serving.units import ms_of, quote_of, text_of
from daemon.venues.sim.dialect.call_handlers import Call
from daemon.venues.sim.dialect.market_data import chosen_markets, with_status
from daemon.venues.sim.reference import BUCKET_MS, BUCKETS
from daemon.venues.sim.symbol_market import SymbolMarket


def execution_rules(call: Call) -> Row:
    """GET /executionRules: of one symbol, of some, of all, or of those with a status."""
    params = call.params
    if params.has("symbolStatus") and (params.has("symbol") or params.has("symbols")):
        raise combination_invalid()
    return {"symbolRules": [_rules_row(market) for market in chosen_markets(call)]}


def reference_price(call: Call) -> Row:
    """GET /referencePrice; null when nothing has traded lately."""
    market = call.exchange.venue.market(call.params.symbol())
    _check_has_reference(market)
    price = market.reference.at(call.now_ns)
    return {
        "symbol": market.spec.symbol,
        "referencePrice": None if price is None else text_of(price),
        "timestamp": ms_of(call.exchange.clock_ns(call.now_ns)),
    }


def reference_calculation(call: Call) -> Row:
    """GET /referencePrice/calculation."""
    market = with_status(call, call.exchange.venue.market(call.params.symbol()))
    _check_has_reference(market)
    return {
        "symbol": market.spec.symbol,
        "calculationType": "ARITHMETIC_MEAN",
        "bucketCount": BUCKETS,
        "bucketWidthMs": BUCKET_MS,
    }


def block_trades(call: Call) -> list[Row]:
    """GET /historicalBlockTrades: from an id on."""
    market = call.exchange.venue.market(call.params.symbol())
    from_id = call.params.integer("fromId")
    if from_id is None:
        raise mandatory("fromId")
    limit = call.params.limit(500, 1000)
    rows = market.blocks.rows.rows
    first = market.blocks.rows.place_of(from_id)
    return [
        {
            "id": block.block_id,
            "price": text_of(block.price),
            "qty": text_of(block.qty),
            "quoteQty": text_of(quote_of(block.price, block.qty)),
            "time": ms_of(block.ts_ns),
            "isBuyerMaker": block.buyer_is_maker,
        }
        for block in rows[first : first + limit]
    ]


def _check_has_reference(market: SymbolMarket) -> None:
    if not market.spec.range_up:
        raise DialectError(-2043, "This symbol does not have a reference price.")


def _rules_row(market: SymbolMarket) -> Row:
    spec = market.spec
    up, down = multiplier_text(spec.range_up), multiplier_text(spec.range_down)
    rule: Row = {
        "ruleType": "PRICE_RANGE",
        "bidLimitMultUp": up,
        "bidLimitMultDown": down,
        "askLimitMultUp": up,
        "askLimitMultDown": down,
    }
    return {"symbol": spec.symbol, "rules": [rule] if spec.range_up else []}
