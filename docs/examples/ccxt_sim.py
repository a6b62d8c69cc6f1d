"""A plain ccxt script on the simulated venue.

`seatrial sim --state ccxt-venue`, then this with `ccxt-venue/sim.json`.

It loads the markets, reads the balance, rests an order far from the market, cancels it, and buys a
little at the market. Nothing in it is seatrial's but the address and the key from that file.
"""

import json
import sys
from pathlib import Path

import ccxt


def connect(sim: dict[str, str]) -> ccxt.binance:
    """A ccxt exchange that knows the simulated venue and no other."""
    exchange = ccxt.binance(
        {
            "apiKey": sim["api_key"],
            "secret": sim["api_secret"],
            # Spot alone: ccxt asks other Binance services otherwise, and the venue has none.
            "options": {
                "defaultType": "spot",
                "fetchMarkets": {"types": ["spot"]},
                "fetchCurrencies": False,
                "fetchMargins": False,
            },
        }
    )
    rest = sim["rest"] + "/api/v3"
    exchange.urls["test"] = {"public": rest, "private": rest, "v1": sim["rest"] + "/api/v1"}
    exchange.set_sandbox_mode(True)
    return exchange


def main(path: str) -> None:
    """Trade a little; prints what the venue answered."""
    # `seatrial sim` prints one line, and adds to the file only when it ends.
    exchange = connect(json.loads(Path(path).read_text().splitlines()[0]))
    symbol = "BTC/USDT"
    exchange.load_markets()
    bid = exchange.fetch_order_book(symbol, 5)["bids"][0][0]
    free = exchange.fetch_balance()["USDT"]["free"]
    print(f"{symbol}: bid {bid}, free {free} USDT")
    resting = exchange.create_order(symbol, "limit", "buy", 0.001, round(bid * 0.98, 2))
    print(f"resting: {resting['id']} {resting['status']}")
    canceled = exchange.cancel_order(resting["id"], symbol)
    print(f"canceled: {canceled['id']} {canceled['status']}")
    bought = exchange.create_order(symbol, "market", "buy", 0.001)
    print(f"bought: {bought['filled']} at {bought['average']}, {bought['status']}")


if __name__ == "__main__":
    main(sys.argv[1])
