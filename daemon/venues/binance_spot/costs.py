"""What each call costs (binance-spot.md §6): REST and WebSocket API share the weights.

The venue's headers are the truth; these numbers only decide what may be sent before they come.
A placement or cancel that succeeds is free, one that fails costs 1: it is charged when it leaves
and refunded when it succeeded. An amend costs its weight either way.
"""

PING = 1
TIME = 1
EXCHANGE_INFO = 20
DAY_TICKER = 2
ORDER_PLACE = 1
ORDER_CANCEL = 1
ORDER_TEST = 1
ORDER_QUERY = 4
OPEN_ORDERS_SYMBOL = 6
OPEN_ORDERS_ALL = 80
ALL_ORDERS = 20
CANCEL_REPLACE = 1
CANCEL_ALL = 1
AMEND = 4
ACCOUNT = 20
ALL_ORDERS = 20
MY_TRADES = 20
MY_TRADES_BY_ORDER = 5
RATE_LIMIT_ORDER = 40
MY_FILTERS = 40
COMMISSION = 20
CONNECT = 2
LOGON = 2
SUBSCRIBE = 2

_DEPTH_STEPS = ((100, 5), (500, 25), (1000, 50), (5000, 250))


def depth_weight(limit: int) -> int:
    """What a depth snapshot of `limit` levels a side costs."""
    for upto, weight in _DEPTH_STEPS:
        if limit <= upto:
            return weight
    return _DEPTH_STEPS[-1][1]
