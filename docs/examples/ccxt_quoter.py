"""A small market maker with ccxt: one buy and one sell order around the middle of the book.

    seatrial trial -- .venv/bin/python docs/examples/ccxt_quoter.py

It is written in the manner of a tutorial, and does what tutorials leave out: it asks the venue what
became of an order before it places the next, waits when it is told to, stops on old data, and
cancels what it has placed when it ends. Address and key come from the environment, as
`seatrial trial` sets it; ccxt itself is all that it needs (`pip install ccxt`).
"""

import contextlib
import os
import signal
import sys
import time

try:
    import ccxt
except ImportError:
    sys.exit("ccxt is not installed in this environment: pip install ccxt")

PREFIX = "ccxtq"
AMOUNT = 0.001
AWAY = 0.0015
"""How far from the middle an order stands."""
REQUOTE = 0.0007
"""An order that is so much further from its place than it should be is moved."""
LOOP_S = 0.35
STALE_S = 2.0
"""A book that has not changed for so long is not traded on."""


class Quoter:
    """Keeps one order a side; the venue is asked for the truth in every round."""

    def __init__(self, environment: dict) -> None:
        rest = environment["SEATRIAL_REST"]
        self.symbol = environment.get("SEATRIAL_PAIR", "BTC/USDT")
        self.exchange = ccxt.binance(
            {
                "apiKey": environment["SEATRIAL_KEY"],
                "secret": environment["SEATRIAL_SECRET"],
                "timeout": 5_000,
                "enableRateLimit": False,
                # Spot alone: ccxt asks other Binance services otherwise, and the venue has none.
                "options": {
                    "defaultType": "spot",
                    "fetchMarkets": {"types": ["spot"]},
                    "fetchCurrencies": False,
                    "fetchMargins": False,
                },
            }
        )
        self.exchange.urls["test"] = {
            "public": f"{rest}/api/v3",
            "private": f"{rest}/api/v3",
            "v1": f"{rest}/api/v1",
        }
        self.exchange.set_sandbox_mode(True)
        self.number = 0
        self.book_id = None
        self.book_since = time.monotonic()
        self.not_before = {"buy": 0.0, "sell": 0.0}
        self.pauses = {"buy": 0.0, "sell": 0.0}
        self.is_ending = False

    def run(self) -> None:
        """Round after round, until a signal ends it."""
        self.connect()
        self.leave_nothing()  # what an earlier run has left, whoever killed it
        while not self.is_ending:
            try:
                self.round()
                self.sleep(LOOP_S)
            except (ccxt.DDoSProtection, ccxt.RateLimitExceeded) as error:
                self.sleep(self.wait_of(error))
            except ccxt.InvalidNonce:
                self.try_it(self.exchange.load_time_difference)
                self.exchange.options["adjustForTimeDifference"] = True
            except ccxt.BaseError as error:
                print(f"{type(error).__name__}: {str(error)[:120]}", flush=True)
                self.sleep(0.7)
        self.leave_nothing()

    def connect(self) -> None:
        """The rules of the symbol; tried until the venue answers."""
        while not self.is_ending and not self.try_it(self.exchange.load_markets):
            self.sleep(1.0)

    def round(self) -> None:
        """Look at our orders, then at the book, then do at most one thing on each side."""
        mine = self.my_orders()
        middle = self.middle()
        for side in ("buy", "sell"):
            there = [order for order in mine if order["side"] == side]
            wanted = None if middle is None else self.price(side, middle)
            self.tend(side, there, wanted)

    def tend(self, side: str, there: list, wanted: float | None) -> None:
        """One order at its place; none when there is no price to trust."""
        good = [
            order
            for order in there
            if wanted is not None and abs(order["price"] / wanted - 1) < REQUOTE
        ][:1]
        for order in there:
            if order not in good:
                self.cancel(order)
        if wanted is None or good or there or time.monotonic() < self.not_before[side]:
            return  # what was cancelled is placed anew next round, once the venue shows it gone
        self.place(side, wanted)

    def place(self, side: str, price: float) -> None:
        """One order; a refusal makes the next one wait, each time twice as long."""
        self.number += 1
        name = f"{PREFIX}-{os.getpid()}-{time.monotonic_ns() // 1000}-{self.number}"
        try:
            self.exchange.create_order(
                self.symbol, "limit", side, AMOUNT, price, {"newClientOrderId": name}
            )
            self.pauses[side] = 0.0
        except ccxt.RateLimitExceeded:
            raise
        except (ccxt.InvalidOrder, ccxt.InsufficientFunds, ccxt.BadSymbol, ccxt.BadRequest) as no:
            print(f"refused: {str(no)[:120]}", flush=True)
            self.pauses[side] = min(4.0, max(1.0, self.pauses[side] * 2))
            self.not_before[side] = time.monotonic() + self.pauses[side]
            self.try_it(lambda: self.exchange.load_markets(True))  # the rules may have changed
        except (ccxt.NetworkError, ccxt.ExchangeError) as error:
            if isinstance(error, (ccxt.DDoSProtection, ccxt.InvalidNonce)):
                raise
            self.find_out(name)

    def find_out(self, name: str) -> None:
        """No clear answer: it may stand, or come late. The venue is asked before the next."""
        until = time.monotonic() + 3.0
        while time.monotonic() < until and not self.is_ending:
            self.sleep(0.5)
            self.try_it(
                lambda: self.exchange.fetch_order(None, self.symbol, {"origClientOrderId": name})
            )

    def cancel(self, order: dict) -> None:
        """Cancel one; that it is gone already is no fault."""
        with contextlib.suppress(ccxt.OrderNotFound):
            self.exchange.cancel_order(order["id"], self.symbol)

    def my_orders(self) -> list:
        """Our open orders; those of others are left alone."""
        orders = self.exchange.fetch_open_orders(self.symbol)
        return [one for one in orders if (one["clientOrderId"] or "").startswith(PREFIX)]

    def middle(self) -> float | None:
        """The middle of the book; None when a side is empty or the book has stood still."""
        book = self.exchange.fetch_order_book(self.symbol, 5)
        if book["nonce"] != self.book_id:
            self.book_id, self.book_since = book["nonce"], time.monotonic()
        if time.monotonic() - self.book_since > STALE_S or not book["bids"] or not book["asks"]:
            return None
        return (book["bids"][0][0] + book["asks"][0][0]) / 2

    def price(self, side: str, middle: float) -> float:
        """The place of a side, on the venue's grid."""
        raw = middle * (1 - AWAY if side == "buy" else 1 + AWAY)
        return float(self.exchange.price_to_precision(self.symbol, raw))

    def leave_nothing(self) -> None:
        """Cancel our orders, as long as it takes, but not for ever."""
        until = time.monotonic() + 6.0
        while time.monotonic() < until:
            try:
                left = self.my_orders()
                for order in left:
                    self.cancel(order)
                if not left:
                    return
            except ccxt.BaseError as error:
                print(f"while ending: {str(error)[:120]}", flush=True)
                time.sleep(0.3)

    def wait_of(self, _error: ccxt.BaseError) -> float:
        """What Retry-After says; a second when it says nothing."""
        headers = {k.lower(): v for k, v in (self.exchange.last_response_headers or {}).items()}
        return float(headers.get("retry-after", 1)) + 0.2

    def try_it(self, deed) -> bool:
        """Whether the venue answered."""
        try:
            deed()
        except ccxt.BaseError as error:
            print(f"{type(error).__name__}: {str(error)[:120]}", flush=True)
            return False
        return True

    def sleep(self, seconds: float) -> None:
        """Sleep in slices, so that a signal ends it soon."""
        until = time.monotonic() + seconds
        while not self.is_ending and time.monotonic() < until:
            time.sleep(0.05)

    def end(self, *_: object) -> None:
        """SIGTERM and Ctrl-C."""
        self.is_ending = True


if __name__ == "__main__":
    if "SEATRIAL_REST" not in os.environ:
        sys.exit("SEATRIAL_REST is not set: run it with `seatrial trial -- python ccxt_quoter.py`")
    quoter = Quoter(dict(os.environ))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, quoter.end)
    quoter.run()
