"""A ccxt script as people have it: buys a little, rests an order, moves it, sells again.

    seatrial demo --seconds 30 -- python docs/examples/ccxt_script.py

Only the address and the key are not the exchange's: they come from the environment. Yours needs the
same lines; `seatrial bot snippet NAME --client ccxt` prints them for a box of your own.
"""

import os
import time

import ccxt

SYMBOL = "BTC/USDT"
AMOUNT = 0.001

rest = os.environ["SEATRIAL_REST"]
exchange = ccxt.binance(
    {
        "apiKey": os.environ["SEATRIAL_KEY"],
        "secret": os.environ["SEATRIAL_SECRET"],
        # Spot alone: ccxt asks other Binance services otherwise, and the gateway has none.
        "options": {
            "defaultType": "spot",
            "fetchMarkets": {"types": ["spot"]},
            "fetchCurrencies": False,
            "fetchMargins": False,
        },
    }
)
api = f"{rest}/api/v3"
exchange.urls["test"] = {"public": api, "private": api, "v1": f"{rest}/api/v1"}
exchange.set_sandbox_mode(True)

exchange.load_markets()
for number in range(5):
    bought = exchange.create_order(SYMBOL, "market", "buy", AMOUNT)
    print(f"{number}: bought {bought['filled']} at {bought['average']}", flush=True)
    # The fee was taken in BTC: who sells more than is left goes short, and the caps say no.
    left = exchange.amount_to_precision(SYMBOL, bought["filled"] * 0.999)
    price = exchange.price_to_precision(SYMBOL, bought["average"] * 1.002)
    resting = exchange.create_order(SYMBOL, "limit", "sell", left, price)
    time.sleep(2)
    if exchange.fetch_order(resting["id"], SYMBOL)["status"] == "open":
        exchange.cancel_order(resting["id"], SYMBOL)
        sold = exchange.create_order(SYMBOL, "market", "sell", left)
        print(f"{number}: sold {sold['filled']} at {sold['average']}", flush=True)
try:  # more than the caps allow: the refusal is one that ccxt understands
    exchange.create_order(SYMBOL, "limit", "buy", 1, bought["average"])
except ccxt.BaseError as error:
    print(f"refused: {type(error).__name__}: {error}", flush=True)
