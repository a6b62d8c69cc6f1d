"""Downloads the venue's own history (orders, trades, balances) for the accountant.

Rules of this file:
1. It has its own client: nothing of the daemon's transport, signing or parsing is used, so an error
   there cannot hide here. It only reads (`GET`), one request after the other.
2. Hosts come from a frozen table by the journal's environment; `sim` is loopback only. Redirects
   and proxies are refused. A history from loopback is marked simulated and confirms no testnet.
3. Nothing before the journal's first line is asked about; times come from the venue's clock.
"""

import base64
import hashlib
import hmac
import http.client
import ipaddress
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from evidence.read.exact_amounts import NS_PER_MS
from evidence.read.journal_lines import (
    InstrumentsLine,
    OrderApprovedLine,
    ReconciledLine,
    RunStartLine,
)
from evidence.read.journal_reader import JournalReader, is_journal
from evidence.read.journal_sources import SourceError, streams_of
from evidence.read.json_inputs import once_each
from evidence.read.toml_text import TomlError, read_toml

HOSTS: Mapping[str, frozenset[str]] = {
    "binance-spot-testnet": frozenset({"testnet.binance.vision", "api1.testnet.binance.vision"}),
}
"""Exact names. A journal of any other environment has no history to ask for here."""
HISTORY_SCHEMA = "seatrial.venue_history/1"
INDEX_NAME = "index.jsonl"
SIMULATED = "sim"
PAGE = 1000
TIMEOUT_S = 30.0
RECEIVE_WINDOW_MS = 60_000
"""The longest that the venue takes: a question that arrives late does no harm."""
PAGES_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Key:
    """A key with the right to read. Its repr does not show the secret."""

    api_key: str
    secret: bytes = field(default=b"", repr=False)
    private_key: Ed25519PrivateKey | None = field(default=None, repr=False)

    def sign(self, payload: str) -> str:
        """The signature of a query string, as the venue asks for it."""
        if self.private_key is not None:
            return base64.b64encode(self.private_key.sign(payload.encode())).decode()
        return hmac.new(self.secret, payload.encode(), hashlib.sha256).hexdigest()


class Scope(msgspec.Struct):
    """What to download, as the journal states it."""

    environment: str = ""
    symbols: list[str] = []
    since_ns: int = 0
    initial_balances: dict[str, Any] = {}


def read_key(path: Path) -> Key:
    """Read `api_key` with `api_secret` or `ed25519_private_key` from TOML.

    Raises:
        SourceError: the file cannot be used; the text never quotes it.
    """
    try:
        found = read_toml(path)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error
    except TomlError as error:
        raise SourceError(f"{path}: {error}") from None
    api_key, pem = str(found.get("api_key", "")), found.get("ed25519_private_key")
    if not api_key:
        raise SourceError(f"{path}: api_key is missing")
    if not pem:
        return Key(api_key, str(found.get("api_secret", "")).encode())
    try:
        private_key = load_pem_private_key(str(pem).encode(), None)
    except (ValueError, TypeError):
        raise SourceError(f"{path}: ed25519_private_key is no PEM key") from None
    if not isinstance(private_key, Ed25519PrivateKey):
        raise SourceError(f"{path}: ed25519_private_key is a key of another kind")
    return Key(api_key, private_key=private_key)


def scope_of(journal: Path) -> Scope:
    """Environment, symbols traded, first moment and first balances of a journal.

    Raises:
        SourceError: it is no journal.
    """
    scope, ordered, listed = Scope(), set[str](), set[str]()
    for stream in streams_of([journal]):
        if not is_journal(stream):
            raise SourceError(f"{stream.name}: not a seatrial journal")
        for record in JournalReader(stream.files).records():
            scope.since_ns = scope.since_ns or record.ts_ns
            if isinstance(record, RunStartLine):
                scope.environment = scope.environment or record.environment
            elif isinstance(record, InstrumentsLine):
                listed |= {str(one.get("symbol")) for one in record.instruments}
            elif isinstance(record, OrderApprovedLine):
                ordered.add(record.symbol)
            elif isinstance(record, ReconciledLine) and not scope.initial_balances:
                scope.initial_balances = {
                    asset: {"free": row[0], "locked": row[1]}
                    for asset, row in record.balances.items()
                    if isinstance(row, list) and len(row) == 2
                }
    scope.symbols = sorted(ordered or listed)
    return scope


class VenueReader:
    """Signed GET requests to one allowed host."""

    def __init__(self, rest_url: str, environment: str, key: Key) -> None:
        """Check the address against the table before anything is sent.

        Raises:
            SourceError: the address is not one of this environment.
        """
        parts = urlsplit(rest_url)
        self.host, self.is_loopback = parts.hostname or "", _is_loopback(parts.hostname or "")
        allowed = HOSTS.get(environment, frozenset())
        if environment == SIMULATED:
            is_right = self.is_loopback and parts.scheme == "http"
        else:
            is_right = self.host in allowed and parts.scheme == "https" and not parts.port
        if not is_right:
            raise SourceError(f"{rest_url}: not an address of {environment or 'no environment'}")
        self._port, self._key = parts.port, key

    def get(self, path: str, fields: Mapping[str, Any], *, signed: bool = True) -> Any:
        """One answer, parsed with amounts as text.

        Raises:
            SourceError: no answer, a redirect, or a refusal of the venue.
        """
        query = urlencode(fields)
        headers = {}
        if signed:
            stamp = {"timestamp": self.now_ms(), "recvWindow": RECEIVE_WINDOW_MS}
            query = urlencode({**fields, **stamp})
            query += "&" + urlencode({"signature": self._key.sign(query)})
            headers["X-MBX-APIKEY"] = self._key.api_key
        kind = http.client.HTTPConnection if self.is_loopback else http.client.HTTPSConnection
        link = kind(self.host, self._port, timeout=TIMEOUT_S)
        try:
            link.request("GET", f"/api/v3/{path}?{query}", headers=headers)
            answer = link.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise SourceError(f"{self.host}: {path}: {error}") from error
        finally:
            link.close()
        if answer.status != http.client.OK:
            raise SourceError(f"{self.host}: {path}: {answer.status} {body[:200]!r}")
        try:
            return json.loads(body, parse_float=str, object_pairs_hook=once_each)
        except ValueError as error:
            raise SourceError(f"{self.host}: {path}: not JSON: {error}") from error

    def now_ms(self) -> int:
        """The venue's time."""
        return int(self.get("time", {}, signed=False)["serverTime"])

    def pages(self, path: str, symbol: str, cursor: str, name: str) -> Iterator[Mapping[str, Any]]:
        """Every row of one symbol, page by page from the first id."""
        start = 0
        for _ in range(PAGES_MAX):
            rows = self.get(path, {"symbol": symbol, "limit": PAGE, cursor: start})
            yield from rows
            if len(rows) < PAGE:
                return
            start = int(rows[-1][name]) + 1
        raise SourceError(f"{self.host}: {path} of {symbol}: more than {PAGES_MAX} pages")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def download(journal: Path, rest_url: str, key: Key) -> dict[str, Any]:
    """The venue's books for the time of a journal, in the shape that a report compares with.

    Raises:
        SourceError: the journal, the address or the venue does not allow it.
    """
    scope = scope_of(journal)
    venue = VenueReader(rest_url, scope.environment, key)
    orders: list[dict[str, Any]] = []
    fills: list[dict[str, Any]] = []
    for symbol in scope.symbols:
        rows = venue.pages("allOrders", symbol, "orderId", "orderId")
        mine = [row for row in rows if int(row["time"]) * NS_PER_MS >= floor_ms_ns(scope.since_ns)]
        names = {int(row["orderId"]): str(row["clientOrderId"]) for row in mine}
        orders += [_order(row) for row in mine]
        trades = venue.pages("myTrades", symbol, "fromId", "id")
        fills += [_fill(row, names) for row in trades if int(row["orderId"]) in names]
    account = venue.get("account", {})
    open_rows = [row for s in scope.symbols for row in venue.get("openOrders", {"symbol": s})]
    return {
        "source": {"environment": scope.environment, "host": venue.host},
        "is_simulated": venue.is_loopback,
        "since_ns": scope.since_ns,
        "symbols": scope.symbols,
        "orders": orders,
        "fills": fills,
        "open_orders": [_order(row) for row in open_rows],
        "initial_balances": scope.initial_balances,
        "balances": {
            str(row["asset"]): {"free": row["free"], "locked": row["locked"]}
            for row in account["balances"]
            if row["asset"] in scope.initial_balances
        },
    }


def fetch_list(journal: Path, rest_url: str, key: Key) -> dict[str, Any]:
    """Everything that the venue lists of the orders and trades in a journal's symbols, as it says.

    Raises:
        SourceError: the journal, the address or the venue does not allow it.
    """
    scope = scope_of(journal)
    venue = VenueReader(rest_url or default_rest_url(scope.environment), scope.environment, key)
    orders = {s: list(venue.pages("allOrders", s, "orderId", "orderId")) for s in scope.symbols}
    trades = {s: list(venue.pages("myTrades", s, "fromId", "id")) for s in scope.symbols}
    return {
        "schema": HISTORY_SCHEMA,
        "source": {"environment": scope.environment, "host": venue.host},
        "is_simulated": venue.is_loopback,
        "fetched_ns": venue.now_ms() * NS_PER_MS,
        "symbols": scope.symbols,
        "all_orders": orders,
        "my_trades": trades,
    }


class KeptList(msgspec.Struct, frozen=True):
    """A download as it was written."""

    path: Path
    sha256: str
    orders: int
    fetched_ns: int

    def plain(self) -> dict[str, Any]:
        """Its line in the index."""
        return {
            "file": self.path.name, "sha256": self.sha256, "orders": self.orders,
            "fetched_ns": self.fetched_ns,
        }  # fmt: skip


def keep(found: Mapping[str, Any], out_dir: Path) -> KeptList:
    """Write a fetched list under its venue's time, never over another, and its hash in the index.

    Raises:
        OSError: the directory cannot be written, or this very list is there already.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    at_ns = int(found["fetched_ns"])
    body = json.dumps(found, separators=(",", ":")).encode() + b"\n"
    path = out_dir / f"venue-history-{at_ns // NS_PER_MS}.json"
    with path.open("xb") as out:
        out.write(body)
        out.flush()
        os.fsync(out.fileno())
    orders = sum(len(rows) for rows in found["all_orders"].values())
    kept = KeptList(path, hashlib.sha256(body).hexdigest(), orders, at_ns)
    with (out_dir / INDEX_NAME).open("a", encoding="utf-8") as index:
        index.write(json.dumps(kept.plain(), separators=(",", ":")) + "\n")
        index.flush()
        os.fsync(index.fileno())
    return kept


def floor_ms_ns(ts_ns: int) -> int:
    """A time in ns rounded down to the venue's milliseconds."""
    return ts_ns // NS_PER_MS * NS_PER_MS


def _order(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "symbol": row["symbol"], "order_id": row["orderId"],
        "order_list_id": row.get("orderListId", -1),
        "client_order_id": row["clientOrderId"], "side": row["side"], "type": row["type"],
        "time_in_force": row.get("timeInForce"), "price": row["price"], "qty": row["origQty"],
        "executed_qty": row["executedQty"], "cum_quote": row.get("cummulativeQuoteQty"),
        "status": row["status"], "ts_ns": int(row["time"]) * NS_PER_MS,
        "updated_ns": int(row["updateTime"]) * NS_PER_MS,
    }  # fmt: skip


def _fill(row: Mapping[str, Any], names: Mapping[int, str]) -> dict[str, Any]:
    return {
        "symbol": row["symbol"], "trade_id": row["id"], "order_id": row["orderId"],
        "client_order_id": names[int(row["orderId"])],
        "side": "BUY" if row["isBuyer"] else "SELL", "price": row["price"], "qty": row["qty"],
        "fee": row["commission"], "fee_asset": row["commissionAsset"], "maker": row["isMaker"],
        "ts_ns": int(row["time"]) * NS_PER_MS,
    }  # fmt: skip


def default_rest_url(environment: str) -> str:
    """The first address of an environment, for a command without `--rest`.

    Raises:
        SourceError: the environment has none in the table.
    """
    hosts: Sequence[str] = sorted(HOSTS.get(environment, ()), key=len)
    if not hosts:
        raise SourceError(f"environment {environment!r}: name its address with --rest")
    return f"https://{hosts[0]}"
