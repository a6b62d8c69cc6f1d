"""Mutation fuzzing of every decoder: `python -m tests.support.decoder_fuzzer --seconds 60`.

Seeds are documented payloads; mutations flip, cut, splice and repeat bytes and swap in words that
have hurt decoders before. Garbage must come out as a value or as an error of our own tree, and
quickly. Prints one JSON line: executions, findings, the slowest input; exit code 1 on a finding.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from daemon.errors import SeatrialError
from daemon.venues.binance_spot import codec_rest, replace_reply
from daemon.venues.binance_spot.codec_stream import StreamReader
from daemon.venues.binance_spot.codec_ws import WsReply, decode_frame, order_result
from daemon.venues.binance_spot.depth import DepthBook, decode_snapshot
from daemon.venues.binance_spot.own_ids import OwnIds, SymbolNames
from daemon.venues.binance_spot.rows import RowReader, balances_of
from daemon.venues.binance_spot.symbols import decode_exchange
from daemon.venues.binance_spot.user_data import (
    AccountEvent,
    OrderEvent,
    balances_in,
    report_of,
)
from tests.support.spot_payloads import BASE, PLACED, TRADE

SLOW_S = 0.5
INPUT_MAX_BYTES = 4_096
_NAMES = SymbolNames("sim", ["BTCUSDT"])
_ROWS = RowReader(_NAMES, OwnIds(limit=1_000))
_STREAM = StreamReader(_NAMES)
_TRADE = {
    "symbol": "BTCUSDT", "id": 1, "orderId": 1, "price": "1", "qty": "1", "commission": "0",
    "time": 1, "isBuyer": True, "isMaker": True, "commissionAsset": "BTC",
}  # fmt: skip
_SYMBOL = {
    "symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT",
    "orderTypes": ["LIMIT"],
    "filters": [{"filterType": "LOT_SIZE", "minQty": "0.1", "maxQty": "9", "stepSize": "0.1"}],
}  # fmt: skip
SEEDS: list[bytes] = [
    orjson.dumps(value)
    for value in (
        {"subscriptionId": 0, "event": {**BASE, **TRADE}},
        {"subscriptionId": 0, "event": {"e": "outboundAccountPosition", "E": 1, "u": 1,
                                        "B": [{"a": "BTC", "f": "1", "l": "0"}]}},
        {"id": "1", "status": 200, "result": PLACED, "rateLimits": [
            {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 50,
             "count": 1}]},
        {"id": "1", "status": 418, "error": {"code": -1003, "msg": "x", "data": {"retryAfter": 1}}},
        {"stream": "a@bookTicker", "data": {"u": 1, "s": "BTCUSDT", "b": "1", "B": "1", "a": "2",
                                            "A": "1"}},
        {"stream": "a@trade", "data": {"e": "trade", "E": 1, "s": "BTCUSDT", "t": 1, "p": "1",
                                       "q": "1", "T": 1, "m": True}},
        {"stream": "a@depth", "data": {"e": "depthUpdate", "E": 1, "s": "BTCUSDT", "U": 1, "u": 2,
                                       "b": [["1", "2"]], "a": [["3", "0"]]}},
        {"lastUpdateId": 1, "bids": [["1", "2"]], "asks": [["3", "4"]]},
        {"serverTime": 1, "rateLimits": [], "symbols": [_SYMBOL]},
        {"code": -2021, "msg": "x", "data": {"cancelResult": "SUCCESS",
                                             "newOrderResult": "FAILURE",
                                             "cancelResponse": PLACED,
                                             "newOrderResponse": {"code": -2010, "msg": "x"}}},
        [PLACED],
        [_TRADE],
        {"balances": [{"asset": "BTC", "free": "1", "locked": "0"}], "canTrade": True},
    )
]  # fmt: skip
WORDS = [
    b"null", b"true", b"-1", b"0", b"1e999999999", b'"NaN"', b'"Infinity"', b"9" * 400, b"[]",
    b'""',
    b"{}", b"\xff", b"\x00", b'"\\ud800"', b"[" * 200, b'{"a":' * 100, b'"1E+99999999"', b"1.5",
    b'"A@B"', b'"-1"', b"99999999999999999999",
]  # fmt: skip


@dataclass(slots=True)
class Outcome:
    """What a run found."""

    seed: int
    executions: int = 0
    refused: int = 0
    slowest_s: float = 0.0
    findings: list[dict[str, str]] = field(default_factory=list)


def decoders() -> list[Callable[[bytes], object]]:
    """Every way in which bytes of a venue are read."""
    return [
        _user_frame,
        lambda body: _STREAM.read(body, 1),
        codec_rest.decode_time_ms,
        lambda body: _ROWS.placed(codec_rest.decode_order(body), 1),
        lambda body: [_ROWS.queried(row, 1) for row in codec_rest.decode_orders(body)],
        lambda body: [_ROWS.canceled(row, 1) for row in codec_rest.decode_canceled(body)],
        lambda body: [
            _ROWS.trade(row, _ROWS.ids.learn("X", 1, "c"), 1)
            for row in codec_rest.decode_trades(body)
        ],
        lambda body: balances_of(codec_rest.decode_account(body).balances),
        lambda body: decode_exchange(body, _NAMES),
        lambda body: DepthBook().on_snapshot(decode_snapshot(body)),
        replace_reply.decode_success,
        lambda body: codec_rest.decode_error(400, body),
        _replace_failure,
    ]


def fuzz(*, seconds: float, seed: int, executions_max: int | None = None) -> Outcome:
    """Run until the time or the count is up."""
    rng = random.Random(seed)
    outcome = Outcome(seed)
    ways = decoders()
    end = time.monotonic() + seconds
    corpus = list(SEEDS)
    while time.monotonic() < end:
        payload = mutated(rng, corpus)
        for way in ways:
            outcome.executions += 1
            begin = time.perf_counter()
            try:
                way(payload)
                if rng.random() < 0.001 and len(corpus) < 500:
                    corpus.append(payload)  # it was readable: a good start for further ones
            except SeatrialError:
                outcome.refused += 1
            except Exception as error:  # noqa: BLE001 - that is what it looks for
                outcome.findings.append({"input": repr(payload[:300]), "error": repr(error)[:300]})
            took = time.perf_counter() - begin
            outcome.slowest_s = max(outcome.slowest_s, took)
            if took > SLOW_S:
                outcome.findings.append({"input": repr(payload[:300]), "error": f"{took:.2f} s"})
        if executions_max is not None and outcome.executions >= executions_max:
            break
        if len(outcome.findings) > 20:
            break
    return outcome


def mutated(rng: random.Random, corpus: list[bytes]) -> bytes:
    """One input: a seed with one to four changes."""
    data = bytearray(rng.choice(corpus))
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        choice = rng.randrange(6)
        if choice == 0 and data:
            data[at % len(data)] = rng.randrange(256)
        elif choice == 1:
            del data[at : at + rng.randint(1, 8)]
        elif choice == 2:
            data[at:at] = rng.choice(WORDS)
        elif choice == 3:
            _swap_value(rng, data)
        elif choice == 4:
            other = rng.choice(corpus)
            cut = rng.randrange(len(other))
            data[at:] = other[cut:]
        else:
            data[at:at] = data[at : at + rng.randint(1, 40)]
    return bytes(data[:INPUT_MAX_BYTES])


def _swap_value(rng: random.Random, data: bytearray) -> None:
    """Replace what stands after some colon by a word."""
    colons = [index for index, byte in enumerate(data) if byte == 0x3A]
    if not colons:
        return
    start = rng.choice(colons) + 1
    end = start
    while end < len(data) and data[end] not in b",}]":
        end += 1
    data[start:end] = rng.choice(WORDS)


def _user_frame(payload: bytes) -> object:
    message = decode_frame(payload)
    if isinstance(message, OrderEvent):
        return report_of(message, _NAMES, _ROWS.ids, 1)
    if isinstance(message, AccountEvent):
        return balances_in(message)
    if isinstance(message, WsReply) and message.fault is None:
        return _ROWS.placed(order_result(message), 1)
    return message


def _replace_failure(body: bytes) -> object:
    fault = codec_rest.decode_error(409, body)
    data: Any = codec_rest.error_data(body) if fault.code != 0 else None
    return replace_reply.decode_failure(fault, data)


def main() -> int:
    """Parse argv, fuzz, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    outcome = fuzz(seconds=options.seconds, seed=options.seed)
    print(
        json.dumps(
            {
                "seed": outcome.seed,
                "executions": outcome.executions,
                "refused": outcome.refused,
                "slowest_ms": round(outcome.slowest_s * 1000, 2),
                "findings": outcome.findings,
            }
        )
    )
    return 1 if outcome.findings else 0


if __name__ == "__main__":
    sys.exit(main())
