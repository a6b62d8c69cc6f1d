"""One bot for the trials, and its mutants: each mutant has one fault that one trial must find.

    python trial_bot.py [--streams] [--break NAME]…

It quotes one order a side around the middle of the book, over REST, and with `--streams` hears of
its fills over the user data stream. Whole and sound, it passes; `--break` takes one of its virtues
away. Address and key come from the environment, as `seatrial trial` sets it.
"""

import argparse
import asyncio
import contextlib
import hashlib
import hmac
import json
import os
import signal
import time
import urllib.parse
from pathlib import Path
from typing import Any

import aiohttp

from daemon.shell.process.clock import SystemClock

CLOCK = SystemClock()
MUTANTS = (
    "asks-first",  # sends again, without a question, what got no clear answer
    "one-order",  # forgets its own orders when an answer is late or odd, and places beside them
    "backs-off",  # asks at full speed for what was refused
    "obeys",  # asks on during 429 and 418
    "reconnects",  # never opens a second user data stream
    "polls",  # believes the stream alone
    "dedupes",  # takes every event for a new one, and hedges it
    "stale",  # trades on whatever the last book said
    "clock",  # never takes the venue's time
    "own-only",  # cancels every order of the symbol
    "cleans-up",  # leaves its orders when it ends
    "survives",  # ends at the first error
    "fresh",  # keeps the first middle for ever
    "resumes",  # never trades again after a fault
    "takes-over",  # does not look at orders of an earlier run
    "logs",  # cannot live without its log
    "small-steps",  # tries nine times beside each buy, and so comes near the limit in calm water
    "book",  # keeps a book from differences and never takes a new snapshot
    "market-stream",  # never opens a second market stream
    "on-grid",  # asks for prices between two ticks on one side, and sometimes on the other
    "counts-parts",  # takes an order that is filled in part for done
    "any-fee",  # cannot live with a fee in an asset that it did not expect
    "hears-cancels",  # believes that an order ends by a fill alone
    "empty",  # takes the first row of a side that may have none
    "in-sequence",  # takes a late NEW for a new order
    "heeds-cancels",  # asks at full speed for an order that somebody else has cancelled
)
BELIEVERS = {"polls", "dedupes", "hears-cancels", "in-sequence"}
"""Mutants that never ask the venue what stands open."""
AWAY, REQUOTE = 0.0015, 0.0007
LOOP_S, STALE_S = 0.15, 1.5
QTY = "0.001"


class RefusedError(Exception):
    """A definite no."""

    def __init__(self, status: int, code: int, wait_s: float) -> None:
        super().__init__(f"{status} {code}")
        self.status, self.code, self.wait_s = status, code, wait_s


class UnclearError(Exception):
    """No answer, or one that does not say what happened."""


class Bot:
    """See the module."""

    def __init__(self, broken: set[str], *, streams: bool) -> None:
        self.broken, self.streams = broken, streams
        self.rest = os.environ["SEATRIAL_REST"]
        self.key, self.secret = os.environ["SEATRIAL_KEY"], os.environ["SEATRIAL_SECRET"]
        self.symbol = os.environ["SEATRIAL_SYMBOL"]
        self.log = Path(os.environ["SEATRIAL_WORK"]) / "trial_bot.log"
        self.offset_ms = 0
        self.number = 0
        self.tick = "0.01"
        self.timeout_s = 3.0 if "asks-first" not in broken else 0.6
        self.book_id, self.book_since = 0, time.monotonic()
        self.first_middle = 0.0
        self.not_before = {"BUY": 0.0, "SELL": 0.0}
        self.pause = {"BUY": 0.0, "SELL": 0.0}
        self.ending = asyncio.Event()
        self.had_fault = False
        self.wake = asyncio.Event()
        self.open: dict[str, list[str]] = {"BUY": [], "SELL": []}
        """What the stream mutants believe: client ids that stand open."""
        self.begun: set[str] = set()
        self.last = {"BUY": "", "SELL": ""}
        """Its newest order that it has not cancelled itself."""
        self.insists = False
        self.session: aiohttp.ClientSession

    @property
    def is_ending(self) -> bool:
        return self.ending.is_set()

    def has(self, virtue: str) -> bool:
        return virtue not in self.broken

    # ------------------------------------------------------------------ the wire

    async def call(self, method: str, path: str, *, signed: bool = True, **params: Any) -> Any:
        if signed:
            params["timestamp"] = CLOCK.now_ns() // 1_000_000 + self.offset_ms
            params["recvWindow"] = 5_000
        text = urllib.parse.urlencode(params)
        if signed:
            text += (
                "&signature="
                + hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
            )
        url = f"{self.rest}/api/v3/{path}?{text}"
        headers = {"X-MBX-APIKEY": self.key} if signed else {}
        try:
            async with (
                asyncio.timeout(self.timeout_s),
                self.session.request(method, url, headers=headers) as answer,
            ):
                body = await answer.read()
                status, retry = answer.status, float(answer.headers.get("retry-after", 0))
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise UnclearError(str(error)) from error
        if status >= 500:
            raise UnclearError(str(status))
        try:
            told = json.loads(body)
        except ValueError as error:
            raise RefusedError(status, 0, 1.0) from error
        if status >= 400:
            raise RefusedError(status, int(told.get("code", 0)), retry)
        return told

    # ------------------------------------------------------------------ rounds

    async def run(self) -> None:
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
            self.session = session
            tasks = [group.create_task(self.rounds())]
            if self.streams:
                tasks += [group.create_task(self.listen()), group.create_task(self.market())]
            await tasks[0]
            for task in tasks[1:]:
                task.cancel()

    async def rounds(self) -> None:
        while not self.is_ending and not await self.guarded(self.read_rules):
            await self.rest_for(0.3)
        if self.has("takes-over"):
            await self.leave_nothing()
        while not self.is_ending:
            if not (self.had_fault and not self.has("resumes")):
                await self.guarded(self.round)
            self.write_log()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOP_S):
                    await self.wake.wait()
            self.wake.clear()
        if self.has("cleans-up"):
            await self.leave_nothing()

    def write_log(self) -> None:
        try:
            with self.log.open("a") as file:
                file.write("x" * 200 + "\n")
                file.flush()
        except OSError:
            if not self.has("logs"):
                raise

    async def guarded(self, deed: Any) -> bool:
        try:
            await deed()
        except RefusedError as no:
            self.had_fault = True
            if not self.has("survives"):
                raise
            if no.status in {418, 429} and self.has("obeys"):
                await self.rest_for(no.wait_s + 0.1)
            elif no.code == -1021 and self.has("clock"):
                await self.guarded(self.take_time)
            elif self.has("backs-off") and not self.insists and no.status not in {418, 429}:
                await self.rest_for(0.5)
            return False
        except UnclearError:
            self.had_fault = True
            if not self.has("survives"):
                raise
            await self.rest_for(0.5)
            return False
        return True

    async def rest_for(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.ending.wait()

    async def take_time(self) -> None:
        told = await self.call("GET", "time", signed=False)
        self.offset_ms = told["serverTime"] - CLOCK.now_ns() // 1_000_000

    async def read_rules(self) -> None:
        told = await self.call("GET", "exchangeInfo", signed=False, symbol=self.symbol)
        for row in told["symbols"][0]["filters"]:
            if row["filterType"] == "PRICE_FILTER":
                self.tick = row["tickSize"]

    async def round(self) -> None:
        middle = await self.middle()
        if self.streams and self.broken & BELIEVERS:
            await self.round_by_belief(middle)
            return
        mine = await self.call("GET", "openOrders", symbol=self.symbol)
        if self.has("own-only"):
            mine = [row for row in mine if row["clientOrderId"].startswith("tb")]
        elif any(not row["clientOrderId"].startswith("tb") for row in mine):
            await self.call("DELETE", "openOrders", symbol=self.symbol)
            return
        if not self.has("any-fee"):
            await self.check_fees()
        for side in ("BUY", "SELL"):
            there = [row for row in mine if row["side"] == side]
            if not self.has("counts-parts"):
                there = [row for row in there if float(row["executedQty"]) == 0]
            if not self.has("takes-over"):
                there = [row for row in there if f"tb{os.getpid()}-" in row["clientOrderId"]]
            await self.tend(side, there, middle)

    async def check_fees(self) -> None:
        trades = await self.call("GET", "myTrades", symbol=self.symbol, limit=10)
        for row in trades:
            if row["commissionAsset"] not in self.symbol:
                raise ValueError(f"a fee in {row['commissionAsset']}")

    async def tend(self, side: str, there: list[dict[str, Any]], middle: float | None) -> None:
        wanted = None if middle is None else self.price(side, middle)
        good = [
            row
            for row in there
            if wanted is not None and abs(float(row["price"]) / float(wanted) - 1) < REQUOTE
        ][:1]
        for row in there:
            if row not in good:
                await self.cancel(row)
        if wanted is None or (there and self.has("one-order")) or good:
            return
        if not self.has("heeds-cancels") and self.last[side]:
            told = await self.call(
                "GET", "order", symbol=self.symbol, origClientOrderId=self.last[side]
            )
            self.insists = told["status"] == "CANCELED"
        waits = self.has("backs-off") and not self.insists
        if waits and time.monotonic() < self.not_before[side]:
            return
        await self.place(side, wanted)

    async def round_by_belief(self, middle: float | None) -> None:
        """What a bot does that believes its stream: no question to the venue, ever."""
        for side in ("BUY", "SELL"):
            if not self.open[side] and middle is not None and self.may_start(side):
                await self.place(side, self.price(side, middle))

    def may_start(self, side: str) -> bool:
        """The mutant that answers each event answers there, and here only its first order."""
        if self.has("dedupes") or side not in self.begun:
            self.begun.add(side)
            return True
        return False

    async def place(self, side: str, price: str) -> None:
        self.number += 1
        name = f"tb{os.getpid()}-{time.monotonic_ns() // 1000}-{self.number}"
        order = {
            "symbol": self.symbol,
            "side": side,
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": QTY,
            "price": price,
            "newClientOrderId": name,
        }
        try:
            await self.call("POST", "order", **order)
            self.open[side].append(name)
            self.last[side] = name
            self.pause[side] = 0.0
            if not self.has("small-steps"):
                order |= {"timeInForce": "IOC", "price": self.price(side, float(price) * 0.9)}
                for _ in range(9 if side == "BUY" else 0):
                    self.number += 1
                    order["newClientOrderId"] = f"{name}-{self.number}"
                    await self.call("POST", "order", **order)
        except RefusedError as no:
            if no.status in {418, 429} or no.code == -1021:
                raise
            self.pause[side] = min(4.0, max(1.0, self.pause[side] * 2))
            self.not_before[side] = time.monotonic() + self.pause[side]
            self.had_fault = True
            if self.has("backs-off"):
                await self.guarded(self.read_rules)
            if not self.has("survives"):
                raise
        except UnclearError:
            self.had_fault = True
            if not self.has("asks-first"):
                self.number += 1
                order["newClientOrderId"] = f"{name}-again"
                await self.call("POST", "order", **order)
                return
            await self.find_out(name)

    async def find_out(self, name: str) -> None:
        until = time.monotonic() + 2.5
        while time.monotonic() < until and not self.is_ending:
            await self.rest_for(0.4)
            try:
                await self.call("GET", "order", symbol=self.symbol, origClientOrderId=name)
            except (RefusedError, UnclearError):
                continue

    async def cancel(self, row: dict[str, Any]) -> None:
        if row["clientOrderId"] == self.last[row["side"]]:
            self.last[row["side"]] = ""
        try:
            await self.call(
                "DELETE", "order", symbol=self.symbol, origClientOrderId=row["clientOrderId"]
            )
        except RefusedError as no:
            if no.code != -2011:
                raise

    async def middle(self) -> float | None:
        if not self.has("book") and self.first_middle:
            return self.first_middle  # it has its stream, and does not ask
        book = await self.call("GET", "depth", signed=False, symbol=self.symbol, limit=5)
        if book["lastUpdateId"] != self.book_id:
            self.book_id, self.book_since = book["lastUpdateId"], time.monotonic()
        if self.has("empty") and (not book["bids"] or not book["asks"]):
            return None
        if self.has("stale") and time.monotonic() - self.book_since > STALE_S:
            return None
        middle = (float(book["bids"][0][0]) + float(book["asks"][0][0])) / 2
        self.first_middle = self.first_middle or middle
        return middle if self.has("fresh") else self.first_middle

    def price(self, side: str, middle: float) -> str:
        raw = middle * (1 - AWAY if side == "BUY" else 1 + AWAY)
        if not self.has("on-grid") and (side == "SELL" or self.number % 2):
            return f"{raw:.5f}"
        tick = float(self.tick)
        return f"{round(raw / tick) * tick:.2f}"

    async def leave_nothing(self) -> None:
        until = time.monotonic() + 6.0
        while time.monotonic() < until:
            try:
                rows = await self.call("GET", "openOrders", symbol=self.symbol)
                rows = [row for row in rows if row["clientOrderId"].startswith("tb")]
                for row in rows:
                    await self.cancel(row)
                if not rows:
                    return
            except (RefusedError, UnclearError):
                await asyncio.sleep(0.3)

    # ------------------------------------------------------------------ streams

    async def listen(self) -> None:
        """The user data stream: a fill wakes the round."""
        once = False
        while not self.is_ending and not (once and not self.has("reconnects")):
            once = True
            try:
                async with self.session.ws_connect(os.environ["SEATRIAL_WS_API"]) as socket:
                    params = {
                        "apiKey": self.key,
                        "timestamp": CLOCK.now_ns() // 1_000_000 + self.offset_ms,
                    }
                    text = "&".join(f"{name}={params[name]}" for name in sorted(params))
                    params["signature"] = hmac.new(
                        self.secret.encode(), text.encode(), hashlib.sha256
                    ).hexdigest()
                    await socket.send_json(
                        {
                            "id": 1,
                            "method": "userDataStream.subscribe.signature",
                            "params": params,
                        }
                    )
                    async for message in socket:
                        await self.heard(json.loads(message.data))
            except (aiohttp.ClientError, OSError):
                pass
            await asyncio.sleep(0.5)

    async def heard(self, frame: dict[str, Any]) -> None:
        event = frame.get("event", {})
        if event.get("e") != "executionReport":
            return
        names = self.open[event["S"]]
        if event["X"] == "NEW" and event["c"] not in names and not self.has("in-sequence"):
            names.append(event["c"])
        ends = {"FILLED", "CANCELED", "EXPIRED"} if self.has("hears-cancels") else {"FILLED"}
        if event["X"] in ends:
            self.open[event["S"]] = [one for one in names if one != event["c"]]
        if event["X"] == "FILLED":
            self.wake.set()
            if not self.has("dedupes"):
                # Every event for a new fill: two events, two orders in place of one.
                middle = await self.middle()
                if middle is not None:
                    await self.guarded(
                        lambda: self.place(event["S"], self.price(event["S"], middle))
                    )

    async def market(self) -> None:
        """A market stream of differences; a gap asks for a new snapshot."""
        once, last = False, 0
        url = f"{os.environ['SEATRIAL_STREAMS']}/ws/{self.symbol.lower()}@depth@100ms"
        while not self.is_ending and not (once and not self.has("market-stream")):
            once = True
            try:
                async with self.session.ws_connect(url) as socket:
                    async for message in socket:
                        row = json.loads(message.data)
                        if last and row.get("U", last + 1) != last + 1 and self.has("book"):
                            break  # connecting again begins a new book
                        last = row.get("u", last)
            except (aiohttp.ClientError, OSError):
                pass
            last = 0
            await asyncio.sleep(0.5)
        await asyncio.Event().wait()


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--streams", action="store_true")
    parser.add_argument("--break", dest="broken", action="append", default=[], choices=MUTANTS)
    chosen = parser.parse_args()
    bot = Bot(set(chosen.broken), streams=chosen.streams)
    loop = asyncio.get_running_loop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, bot.ending.set)
    await bot.run()


if __name__ == "__main__":
    asyncio.run(main())
