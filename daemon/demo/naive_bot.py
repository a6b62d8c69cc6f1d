"""A bot as people write them, with ccxt: at most one open trade, and an error means "try again".

    python -m daemon.demo.naive_bot REST WS LOOPS     keys in $BOT_API_KEY and $BOT_API_SECRET

It is the other side of the demo: it runs in a process of its own and knows nothing of seatrial but
the snippet. Its "database" holds the orders that its library has told it of; freqtrade's rule on an
unanswered order is the same (an error of the network: nothing is written down, the next loop buys).
Prints one JSON line: what it believes.
"""

import json
import sys
from typing import Any

from daemon.shell.gateway.snippets import Address, snippet

SYMBOL, PAIR, AMOUNT = "BTCUSDT", "BTC/USDT", 0.001


def main(rest: str, ws: str, loops: int) -> None:
    """Buy once, in so many loops at most."""
    import ccxt  # type: ignore[import-untyped] # noqa: PLC0415 - not everywhere: the scene asks

    names: dict[str, Any] = {}
    exec(snippet("ccxt", Address(rest, ws), (SYMBOL,)), names)  # noqa: S102 - our own text
    exchange = names["exchange"]
    exchange.load_markets()
    trades: list[str] = []
    errors: list[str] = []
    attempts = 0
    for _ in range(loops):
        if trades:  # max_open_trades: 1
            break
        attempts += 1
        try:
            trades.append(exchange.create_order(PAIR, "market", "buy", AMOUNT)["id"])
        except ccxt.OperationFailed as error:  # a timeout, the network: it will be better next time
            errors.append(type(error).__name__)
    sys.stdout.write(json.dumps({"trades": trades, "attempts": attempts, "errors": errors}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
