"""`/sim`: the venue's own operator. Ledger, faults, and everything a test needs to provoke."""

import asyncio
from collections.abc import Callable
from typing import Protocol

import orjson
from aiohttp import web

from daemon.shell.process.clock import Clock
from daemon.venues.binance_spot.serving.dialect_errors import DialectError
from daemon.venues.binance_spot.serving.events import BalanceUpdate
from daemon.venues.binance_spot.serving.registered_keys import ApiKey
from daemon.venues.binance_spot.serving.units import UnitError, e8_of
from daemon.venues.sim.exchange import Exchange
from daemon.venues.sim.fault_actions import FaultRunner
from daemon.venues.sim.fault_presets import PRESETS
from daemon.venues.sim.fault_rules import (
    EXPLANATIONS,
    FaultKind,
    FaultRule,
    FaultScriptError,
    rules_of,
)

_SHORTCUTS = {
    "foreign-order": FaultKind.FOREIGN_ORDER,
    "wipe": FaultKind.WIPE,
    "halt": FaultKind.HALT_SYMBOL,
    "cancel-only": FaultKind.CANCEL_ONLY,
    "filter": FaultKind.FILTER_CHANGE,
    "disconnect": FaultKind.ABRUPT_CLOSE,
    "mute": FaultKind.MUTE,
    "half-open": FaultKind.HALF_OPEN,
    "shutdown-notice": FaultKind.SERVER_SHUTDOWN,
    "clock": FaultKind.CLOCK_STEP,
}
_HELP = {
    "GET /sim/ledger": "everything that reached the venue (?since_ns=, ?account=)",
    "GET /sim/faults": "presets, kinds, counts",
    "GET /sim/follow": "with --follow: the connection, and the age of each symbol's market",
    "POST /sim/faults": 'a list of rules, {"rules": [...]} or {"preset": NAME}',
    "POST /sim/strike": '{"kind": KIND, …params}: one timed fault, now',
    "POST /sim/deposit": '{"asset": A, "amount": "1.5"}; "-1.5" is a withdrawal of what is free',
    "POST /sim/calm": "{}: end every fault, ban and outage now",
    "POST /sim/key": '{"api_key": K, "api_secret": S, "account": NAME, "can_trade": true}',
    "POST /sim/NAME": "short for strike: " + ", ".join(_SHORTCUTS),
}


class AdministeredVenue(Protocol):
    """What the host of the simulated venue lets its operator reach."""

    exchange: Exchange
    fault_runner: FaultRunner
    following: Callable[[], dict[str, object]]
    """Tells the market that is followed, and its ages; empty when none is."""

    def act(self, rule: FaultRule, now_ns: int) -> None:
        """Do to connections what a fault says."""

    def calm(self) -> None:
        """End every fault now."""

    def publish(self, now_ns: int) -> None:
        """Hand out what has happened to whoever listens."""


class Admin:
    """Answers /sim calls."""

    def __init__(self, host: AdministeredVenue, clock: Clock) -> None:
        self._host = host
        self._clock = clock

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """One call; mistakes answer 400 with one line."""
        name = request.path.removeprefix("/sim").strip("/")
        try:
            if request.method == "GET" and name == "ledger":
                return await self._ledger(request)
            if request.method == "GET":
                return self._get(name)
            text = await request.read()
            body = orjson.loads(text) if text else {}
            return _json(self._post(name, body))
        except (DialectError, FaultScriptError, UnitError, ValueError, KeyError) as error:
            return _json({"error": str(error)}, status=400)

    async def _ledger(self, request: web.BaseRequest) -> web.StreamResponse:
        """The ledger in pieces: other requests are answered between them."""
        exchange = self._host.exchange
        pieces = exchange.ledger.pieces(
            exchange.venue,
            self._clock.now_ns(),
            account=request.query.get("account", ""),
            since_ns=int(request.query.get("since_ns", "0")),
        )
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        await answer.prepare(request)
        for piece in pieces:
            if piece:
                await answer.write(piece)
            await asyncio.sleep(0)  # a fast reader never fills the buffer, and would not yield
        await answer.write_eof()
        return answer

    def _get(self, name: str) -> web.Response:
        if name == "faults":
            return _json(
                {
                    "presets": {key: text for key, (text, _) in PRESETS.items()},
                    "kinds": {str(kind): text for kind, text in EXPLANATIONS.items()},
                    "counts": self._host.exchange.ledger.faults,
                }
            )
        if name == "follow":
            return _json(self._host.following())
        if name == "":
            return _json(_HELP)
        return _json({"error": f"no such call: GET /sim/{name}"}, status=404)

    def _post(self, name: str, body: object) -> object:
        now_ns = self._clock.now_ns()
        if name == "faults":
            rules = self._rules(body)
            self._host.exchange.faults.load(rules, now_ns)
            return {"loaded": len(rules)}
        if not isinstance(body, dict):
            raise ValueError("the body must be a JSON object")
        if name == "calm":
            self._host.calm()
            return {"done": "calm"}
        if name == "deposit":
            return self._deposit(body, now_ns)
        if name == "key":
            return self._add_key(body)
        params = {str(key): value for key, value in body.items()}
        kind = _SHORTCUTS.get(name)
        if name == "strike":
            kind = FaultKind(str(params.pop("kind", "")))
        if kind is None:
            raise ValueError(f"no such call: POST /sim/{name}; known: {', '.join(_HELP)}")
        rule = FaultRule(kind=kind, params=params)
        if self._host.fault_runner.strike(rule, now_ns):
            self._host.act(rule, now_ns)
        self._host.publish(now_ns)
        return {"done": kind}

    def _rules(self, body: object) -> list[FaultRule]:
        if isinstance(body, dict) and "preset" in body:
            preset = PRESETS.get(str(body["preset"]))
            if preset is None:
                raise ValueError(f"preset {body['preset']!r} is none of {', '.join(PRESETS)}")
            return list(preset[1])
        return rules_of(body.get("rules") if isinstance(body, dict) else body)

    def _add_key(self, body: dict[str, object]) -> object:
        """Register an HMAC key; an account that is new gets the first one's grants."""
        exchange = self._host.exchange
        first = next(iter(exchange.venue.accounts.values()))
        account, api_key = str(body.get("account") or first.name), str(body["api_key"])
        if account not in exchange.venue.accounts:
            exchange.venue.add_account(account, first.grants)
        exchange.keys[api_key] = ApiKey(
            api_key=api_key,
            account=account,
            secret=str(body["api_secret"]),
            can_trade=bool(body.get("can_trade", True)),
        )
        return {"done": "key"}

    def _deposit(self, body: dict[str, object], now_ns: int) -> object:
        venue = self._host.exchange.venue
        name = str(body.get("account") or next(iter(venue.accounts)))
        asset, amount = str(body["asset"]), str(body["amount"])
        delta = e8_of(amount.removeprefix("-")) * (-1 if amount.startswith("-") else 1)
        wallet = venue.accounts[name].wallet(asset)
        if wallet.free + delta < 0:
            raise ValueError(f"only what is free of {asset} can be withdrawn")
        wallet.free += delta
        event = BalanceUpdate(account=name, asset=asset, delta=delta, ts_ns=now_ns)
        self._host.exchange.user_outbox.append(event)
        self._host.publish(now_ns)
        return {"done": "deposit"}


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(value), content_type="application/json")
