"""A simulated venue without crowd, sockets or wall clock: each test writes its own book."""

import hashlib
import hmac
import random
from typing import Any
from urllib.parse import urlencode

import orjson

from daemon.model.copies import replace
from daemon.model.enums import OrderType, Side, TimeInForce
from daemon.venues.binance_spot.serving.order_requests import PlaceRequest, StpMode
from daemon.venues.binance_spot.serving.registered_keys import ApiKey
from daemon.venues.binance_spot.serving.rest_requests import RestRequest
from daemon.venues.binance_spot.serving.units import e8_of, text_of
from daemon.venues.binance_spot.serving.ws_frames import ApiSession
from daemon.venues.sim.dialect import sim_rest, sim_ws
from daemon.venues.sim.exchange import Exchange
from daemon.venues.sim.fault_rules import FaultPlan
from daemon.venues.sim.listed_symbols import spec_of
from daemon.venues.sim.request_limits import LimitConfig, Limiter
from daemon.venues.sim.sim_orders import PlaceOutcome, SimOrder
from daemon.venues.sim.venue import SimVenue

T0_NS = 1_790_000_000_000_000_000
MS = 1_000_000
SYMBOL = "BTCUSDT"
ROW = dict[str, Any]


class Stage:
    """BTCUSDT at 60000, accounts `main` and `other`, key `k` with secret `s` for `main`."""

    def __init__(
        self,
        *,
        limits: LimitConfig | None = None,
        flow_rate_per_s: float = 0.0,
        seed: int = 1,
        is_following: bool = False,
        **spec_changes: int,
    ) -> None:
        specs = [replace(spec_of(SYMBOL), **spec_changes), spec_of("ETHUSDT")]
        self.now_ns = T0_NS
        self.venue = SimVenue(
            specs,
            rng_of=lambda name: random.Random(f"{seed}/{name}"),
            now_ns=T0_NS,
            flow_rate_per_s=flow_rate_per_s,
            has_past=flow_rate_per_s > 0,
            is_following=is_following,
        )
        for name in ("main", "other"):
            self.venue.add_account(
                name, {"USDT": e8_of("1000000"), "BTC": e8_of("100"), "ETH": e8_of("100")}
            )
        self.faults = FaultPlan(lambda name: random.Random(f"{seed}/{name}"))
        self.exchange = Exchange(self.venue, Limiter(limits or LimitConfig()), self.faults)
        self.exchange.keys["k"] = ApiKey(api_key="k", account="main", secret="s")
        self.session = ApiSession(connected_ns=T0_NS)
        self._request_id = 0

    # -------------------------------------------------------------- the pure venue

    def place(
        self, side: Side, qty: str, price: str = "", account: str = "main", **more: Any
    ) -> PlaceOutcome:
        kind = more.pop("type", OrderType.LIMIT if price else OrderType.MARKET)
        amounts = {
            name: e8_of(more.pop(name))
            for name in ("stop_price", "iceberg_qty", "quote_order_qty")
            if name in more
        }
        request = PlaceRequest(
            symbol=more.pop("symbol", SYMBOL),
            side=side,
            type=kind,
            time_in_force=more.pop("tif", TimeInForce.GTC),
            qty=e8_of(qty),
            price=e8_of(price) if price else 0,
            client_order_id=more.pop("id", ""),
            stp_mode=more.pop("stp", StpMode.EXPIRE_MAKER),
            **amounts,
            **more,
        )
        return self.venue.place(account, request, self.tick())

    def buy(self, qty: str, price: str = "", **more: Any) -> PlaceOutcome:
        return self.place(Side.BUY, qty, price, **more)

    def sell(self, qty: str, price: str = "", **more: Any) -> PlaceOutcome:
        return self.place(Side.SELL, qty, price, **more)

    def tick(self, ms: int = 1) -> int:
        """Let time pass; the new time."""
        self.now_ns += ms * MS
        return self.now_ns

    def wallet(self, asset: str, account: str = "main") -> tuple[str, str]:
        """(free, locked) as text."""
        wallet = self.venue.accounts[account].wallet(asset)
        return text_of(wallet.free), text_of(wallet.locked)

    def reports(self, order: SimOrder | None = None) -> list[str]:
        """Drained ExecReports as `x/X`, of one order or of all."""
        events = self.venue.drain_events()
        return [
            f"{event.exec_type}/{event.status}"
            for event in events
            if hasattr(event, "exec_type") and (order is None or event.order is order)
        ]

    def ledger(self, *, account: str = "", since_ns: int = 0) -> ROW:
        """The venue's own books."""
        pieces = self.exchange.ledger.pieces(
            self.venue, self.now_ns, account=account, since_ns=since_ns
        )
        books: ROW = orjson.loads(b"".join(pieces))
        return books

    # -------------------------------------------------------------- the wire

    def stamped(self, params: ROW) -> ROW:
        return {**params, "timestamp": self.now_ns // MS}

    def rest(self, method: str, path: str, *, in_body: bool = False, **params: Any) -> Any:
        """A signed call; (status, decoded body, response)."""
        text = urlencode(self.stamped(params))
        signature = hmac.new(b"s", text.encode(), hashlib.sha256).hexdigest()
        signed = f"{text}&signature={signature}".encode()
        return self.raw_rest(
            method,
            path,
            query=b"" if in_body else signed,
            body=signed if in_body else b"",
            api_key="k",
        )

    def raw_rest(
        self, method: str, path: str, *, query: bytes = b"", body: bytes = b"", api_key: str = ""
    ) -> Any:
        request = RestRequest(method, f"/api/v3/{path}", query, body, api_key)
        answer = sim_rest.handle(self.exchange, request, self.tick())
        is_json = answer.body and "json" in answer.content_type
        return answer.status, orjson.loads(answer.body) if is_json else answer.body, answer

    def ws(self, method: str, *, signed: bool = True, **params: Any) -> ROW:
        """One WebSocket API call on the stage's connection."""
        if signed:
            params = self.stamped({**params, "apiKey": "k"})
            pairs = "&".join(f"{name}={params[name]}" for name in sorted(params))
            params["signature"] = hmac.new(b"s", pairs.encode(), hashlib.sha256).hexdigest()
        self._request_id += 1
        frame = orjson.dumps({"id": self._request_id, "method": method, "params": params})
        reply = sim_ws.handle(self.exchange, self.session, frame, self.tick())
        assert reply.frame is not None
        decoded: ROW = orjson.loads(reply.frame)
        assert decoded["id"] == self._request_id
        return decoded
