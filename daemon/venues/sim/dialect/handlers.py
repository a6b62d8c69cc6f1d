"""What answers each call of the simulated venue."""

from collections.abc import Callable
from functools import partial

from daemon.venues.binance_spot.serving.list_forms import LIST_CALLS
from daemon.venues.sim.dialect import (
    account_calls,
    market_data,
    order_lists,
    reference_data,
    trading,
)
from daemon.venues.sim.dialect.call_handlers import Call

HANDLERS: dict[str, Callable[[Call], object]] = {
    **{name: partial(order_lists.place, name) for name in LIST_CALLS},
    "ping": market_data.ping,
    "time": market_data.time,
    "exchangeInfo": market_data.exchange_info,
    "executionRules": reference_data.execution_rules,
    "referencePrice": reference_data.reference_price,
    "referencePrice.calculation": reference_data.reference_calculation,
    "blockTrades.historical": reference_data.block_trades,
    "depth": market_data.depth,
    "trades.recent": market_data.trades,
    "trades.historical": market_data.historical_trades,
    "trades.aggregate": market_data.agg_trades,
    "klines": market_data.klines,
    "uiKlines": market_data.klines,
    "avgPrice": market_data.average_price,
    "ticker.price": market_data.ticker_price,
    "ticker.book": market_data.ticker_book,
    "ticker": market_data.ticker_window,
    "ticker.tradingDay": market_data.ticker_trading_day,
    "ticker.24hr": market_data.ticker_day,
    "order.place": trading.place,
    "order.test": trading.test_place,
    "order.status": trading.query,
    "order.cancel": trading.cancel,
    "order.cancelReplace": trading.cancel_replace,
    "order.amend.keepPriority": trading.amend,
    "order.amendments": account_calls.amendments,
    "openOrders.status": account_calls.open_orders,
    "openOrders.cancelAll": trading.cancel_open,
    "allOrders": account_calls.all_orders,
    "sor.order.test": order_lists.no_routing,
    "orderList.cancel": order_lists.cancel,
    "orderList.status": order_lists.query,
    "openOrderLists.status": order_lists.open_lists,
    "allOrderLists": order_lists.all_lists,
    "myTrades": account_calls.my_trades,
    "myPreventedMatches": account_calls.prevented_matches,
    "myAllocations": account_calls.allocations,
    "account.status": account_calls.account,
    "account.commission": account_calls.commission,
    "account.rateLimits.orders": account_calls.order_counts,
    "myFilters": account_calls.my_filters,
    "sor.order.place": order_lists.no_routing,
}
"""By the names of `serving.calls`."""
