"""`[gateway]` and `[bots.NAME]`: where bots come in, and what each of them may do."""

import ipaddress
import re
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from daemon.model.amounts import AmountError, decimal_of
from daemon.model.config_paths import place_of
from daemon.settings_base import Frozen, Milliseconds, Place

_BOT_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,15}")
_ADDRESS = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<host>[^\[\]:/]+)):(?P<port>\d{1,5})")
UNIX_PREFIX = "unix:"


def is_bot_name(text: str) -> bool:
    """Whether a bot may be called so."""
    return _BOT_NAME.fullmatch(text) is not None


def split_listen(listen: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT` or `[IPV6]:PORT`.

    Raises:
        ValueError: it is neither.
    """
    found = _ADDRESS.fullmatch(listen)
    if found is None or int(found["port"]) > 65_535:
        raise ValueError(
            f"{listen!r} is no address; write 127.0.0.1:8790, [::1]:8790 or unix:gateway.sock"
        )
    return found["six"] or found["host"], int(found["port"])


def is_loopback_listen(listen: str) -> bool:
    """Whether only processes of this machine can connect: loopback, or a Unix socket."""
    if listen.startswith(UNIX_PREFIX):
        return True
    host, _ = split_listen(listen)
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class GatewaySettings(Frozen):
    """`[gateway]`: the listener that speaks Binance Spot's protocol to bots. Off by default."""

    listen: str = ""
    """`HOST:PORT` on loopback, or `unix:PATH`. Empty: no gateway. Any other address needs
    `tls_certificate`, `tls_key` and `clients`."""
    tls_certificate: Place | None = None
    """PEM file; with it the gateway speaks TLS only."""
    tls_key: Place | None = None
    """PEM file of the certificate's private key, mode 0600."""
    clients: Annotated[tuple[str, ...], Field(strict=False, max_length=256)] = ()
    """Addresses or networks that may connect, where the gateway does not listen on loopback."""
    hosts: Annotated[tuple[str, ...], Field(strict=False, max_length=16)] = ()
    """Names that a request's Host header may also carry, beside the address of `listen` and the
    names of loopback."""
    connections_max: Annotated[int, Field(ge=1, le=10_000)] = 256
    """Connections of all bots together. Beyond it the longest idle one is closed; while all of
    them have a request under way, more are refused (429). WebSockets may be three quarters."""

    @field_validator("listen")
    @classmethod
    def _placed(cls, value: str, info: ValidationInfo) -> str:
        if not value.startswith(UNIX_PREFIX):
            return value
        base = (info.context or {})["base"]
        return f"{UNIX_PREFIX}{place_of(value.removeprefix(UNIX_PREFIX), base)}"

    @model_validator(mode="after")
    def _is_private(self) -> "GatewaySettings":
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together; set both or neither")
        for client in self.clients:
            try:
                ipaddress.ip_network(client)
            except ValueError:
                raise ValueError(
                    f"clients: {client!r} is no address and no network; write 192.0.2.7 or "
                    "192.0.2.0/24"
                ) from None
        if not self.listen or is_loopback_listen(self.listen):
            return self
        if self.tls_certificate is None or not self.clients:
            raise ValueError(
                f"listen: {self.listen!r} is reachable from other machines, so it needs "
                "tls_certificate, tls_key and clients (the addresses that may connect); "
                "or listen on 127.0.0.1"
            )
        return self


class BotSettings(Frozen):
    """`[bots.NAME]`: one bot that trades through the gateway with a key of its own."""

    symbols: Annotated[tuple[str, ...], Field(strict=False, min_length=1, max_length=200)]
    """All that it sees and may trade; exchangeInfo is cut to them."""
    mode: Literal["trade", "read_only"] = "trade"
    """`read_only`: its key reads account, orders and market data; every order is refused."""
    capital: dict[str, str] = Field(default_factory=dict)
    """Its allotment by asset, amounts as text; empty: the balance of the account."""
    cancel_after_ms: Annotated[int, Field(ge=0, le=86_400_000)] = 0
    """Cancel its orders when nothing signed with its key has come for so long. 0: never."""
    cancel_after_stops: bool = False
    """Whether that also cancels its stop orders that only reduce."""
    patience_ms: Milliseconds = 9_000
    """So long a request waits for a definite answer; then -1007. Shorter than the deadline of the
    bot's client: 9,000 for ccxt and python-binance (10 s), 900 for the official SDK (1 s)."""
    requests_per_second: Annotated[int, Field(ge=1, le=1_000)] = 20
    """Requests of its key beyond this are refused (429, then 418) before the engine sees them."""
    requests_burst: Annotated[int, Field(ge=1, le=10_000)] = 60
    """So many may come at once after a pause."""
    cancels_per_second: Annotated[int, Field(ge=1, le=1_000)] = 20
    """Cancels have this budget of their own: no other request can use it up."""
    caps: dict[str, Any] = Field(default_factory=dict)
    """Caps of this bot alone (`[bots.NAME.caps]`, `[bots.NAME.caps.symbols.SYMBOL]`), in the words
    of `[caps]`, each at least as strict as there. They count the bot's own orders, fills and
    losses; a breach suspends this bot only. Example: [GATEWAY.md](GATEWAY.md#caps-of-one-bot)."""

    @field_validator("symbols")
    @classmethod
    def _once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("a symbol stands twice; name each once")
        return value

    @field_validator("capital")
    @classmethod
    def _amounts(cls, value: dict[str, str]) -> dict[str, str]:
        for asset, text in value.items():
            try:
                is_amount = decimal_of(text) >= 0
            except AmountError:
                is_amount = False
            if not is_amount:
                raise ValueError(f'{asset}: {text!r} is no amount; write "500" or "0.25"')
        return value
