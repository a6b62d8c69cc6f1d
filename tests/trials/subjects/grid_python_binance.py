"""A grid with python-binance, in the manner of a tutorial: three buys below, three sells above.

Ours, written as public tutorials show it: orders are placed once, asked for every two seconds, and
a filled one is answered by its counterpart one step away. Errors are printed and the loop goes on.
"""

import os
import time

from binance.client import Client

SYMBOL = os.environ["SEATRIAL_SYMBOL"]
QUANTITY = 0.001
LEVELS, STEP = 3, 0.001


class SimClient(Client):
    """The client, with the address of the simulated venue."""

    API_TESTNET_URL = os.environ["SEATRIAL_REST"] + "/api"


def main() -> None:
    client = SimClient(os.environ["SEATRIAL_KEY"], os.environ["SEATRIAL_SECRET"], testnet=True)
    price = float(client.get_symbol_ticker(symbol=SYMBOL)["price"])
    orders = []
    for level in range(1, LEVELS + 1):
        orders.append(place(client, "BUY", price * (1 - STEP * level)))
        orders.append(place(client, "SELL", price * (1 + STEP * level)))
    while True:
        try:
            for order in list(orders):
                now = client.get_order(symbol=SYMBOL, orderId=order["orderId"])
                if now["status"] == "FILLED":
                    orders.remove(order)
                    done = float(now["price"])
                    side = "SELL" if now["side"] == "BUY" else "BUY"
                    step = 1 + STEP if side == "SELL" else 1 - STEP
                    orders.append(place(client, side, done * step))
                elif now["status"] in {"CANCELED", "EXPIRED", "REJECTED"}:
                    orders.remove(order)
        except Exception as error:  # noqa: BLE001 - as tutorials do
            print(f"error: {error}", flush=True)
        time.sleep(2)


def place(client: Client, side: str, price: float) -> dict:
    return client.create_order(
        symbol=SYMBOL,
        side=side,
        type="LIMIT",
        timeInForce="GTC",
        quantity=QUANTITY,
        price=f"{price:.2f}",
    )


if __name__ == "__main__":
    main()
