"""Adapters for tests of the shell, and what several tests read of Binance's payloads."""

from collections.abc import Sequence
from typing import Any

from daemon.errors import Undecodable
from daemon.shell.link.link_config import Credentials, adapter_of
from daemon.venues.adapter import VenueAdapter
from daemon.venues.binance_spot.codec_ws import WsCodec
from daemon.venues.binance_spot.instrument_rules import decode_listed
from daemon.venues.binance_spot.order_rows import SpotRowReader
from daemon.venues.binance_spot.request_signing import Signer
from daemon.venues.own_ids import OwnIds, SymbolNames


def spot(
    symbols: Sequence[str] = ("BTCUSDT",),
    *,
    environment: str = "sim",
    key: str = "KEY",
    secret: bytes = b"secret",
    recv_window_ms: int = 3_000,
) -> VenueAdapter:
    """The Binance Spot adapter of an HMAC key."""
    credentials = Credentials(api_key=key, secret=secret, kind="hmac")
    return adapter_of(credentials, environment, symbols, recv_window_ms)


def ws_codec(*, api_key: str, signer: Signer, recv_window_ms: int) -> WsCodec:
    """A codec of one order connection for `BTCUSDT`."""
    return WsCodec(
        api_key=api_key,
        signer=signer,
        recv_window_ms=recv_window_ms,
        reader=SpotRowReader(SymbolNames("sim", ["BTCUSDT"]), OwnIds()),
    )


def decode_exchange(body: bytes, names: SymbolNames) -> tuple[Any, Any, Any]:
    """Instruments, limits and unknown filters of exchangeInfo that lists all of these names."""
    listed = decode_listed(body, names)
    if listed.absent:
        raise Undecodable(str(listed.absent))
    return listed.instruments, listed.limits, listed.unknown_filters
