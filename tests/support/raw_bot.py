"""A bot of twenty lines: signs by hand, so that a test sees each status, header and byte."""

import base64
import hashlib
import hmac
import http.client
import json
import urllib.parse
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from daemon.shell.process.clock import SystemClock


@dataclass
class Answer:
    """Status, headers in lower case, and the JSON (or text) of the body."""

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def status_word(self) -> str:
        """The order's status; of a refusal its text, so that a failed test says why."""
        return str(self.body.get("status") or self.body)

    @property
    def code(self) -> int:
        return int(self.body["code"])


@dataclass
class RawBot:
    """`address` is HOST:PORT. `secret` is an HMAC secret or an Ed25519 private key."""

    address: str
    api_key: str = ""
    secret: str | Ed25519PrivateKey = ""
    headers: dict[str, str] = field(default_factory=dict)
    timeout_s: float = 60.0

    def sign(self, text: str) -> str:
        if isinstance(self.secret, Ed25519PrivateKey):
            return base64.b64encode(self.secret.sign(text.encode())).decode()
        return hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()

    def call(self, method: str, path: str, **params: object) -> Answer:
        """One signed call below /api/v3/."""
        stamped = {**params, "timestamp": SystemClock().now_ns() // 1_000_000}
        query = urllib.parse.urlencode(stamped)
        signature = urllib.parse.quote(self.sign(query), safe="")
        return self.send(method, f"/api/v3/{path}?{query}&signature={signature}")

    def send(self, method: str, target: str) -> Answer:
        """One request as it stands, on a connection of its own."""
        connection = http.client.HTTPConnection(self.address, timeout=self.timeout_s)
        try:
            key = {"X-MBX-APIKEY": self.api_key} if self.api_key else {}
            connection.request(method, target, headers={**key, **self.headers})
            got = connection.getresponse()
            raw = got.read()
            try:
                body = json.loads(raw)
            except ValueError:
                body = raw.decode(errors="replace")
            return Answer(got.status, {k.lower(): v for k, v in got.getheaders()}, body)
        finally:
            connection.close()

    def ws_params(self, **params: object) -> dict[str, Any]:
        """Signed parameters of one WebSocket API call."""
        full = {**params, "apiKey": self.api_key, "timestamp": SystemClock().now_ns() // 1_000_000}
        text = "&".join(f"{name}={full[name]}" for name in sorted(full))
        return {**full, "signature": self.sign(text)}

    def buy(self, quantity: str = "0.001", **more: object) -> Answer:
        """A small market order."""
        return self.call("POST", "order", symbol="BTCUSDT", side="BUY", type="MARKET",
                         quantity=quantity, **more)  # fmt: skip

    def limit(self, name: str, price: float) -> Answer:
        """A small order to buy at a price."""
        return self.call(
            "POST", "order", symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="GTC",
            quantity="0.001", price=f"{price:.2f}", newClientOrderId=name,
        )  # fmt: skip

    def bid(self) -> float:
        """The best bid."""
        book = self.send("GET", "/api/v3/depth?symbol=BTCUSDT&limit=5").body
        return float(book["bids"][0][0])

    def rest(self, name: str, discount: float = 0.95) -> Answer:
        """A small order to buy below the market."""
        return self.limit(name, self.bid() * discount)
