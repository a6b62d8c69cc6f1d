"""The exact configuration of each client for the gateway, as `seatrial bot snippet` prints it.

Rules of this file:
1. No secret stands in a snippet: it reads $BOT_API_KEY and $BOT_API_SECRET, or has a place for it.
2. Every address of the client is replaced. One that is left out would still be a live host.
3. Tests run every snippet: Nautilus' and hummingbot's with `make test-clients`, freqtrade's with
   `make test-bots`.
"""

import json
from collections.abc import Callable, Sequence

import msgspec

from daemon.settings_bots import UNIX_PREFIX, GatewaySettings, split_listen


class Address(msgspec.Struct, frozen=True):
    """Where a bot finds the gateway: `rest` begins with http, `ws` with ws."""

    rest: str
    ws: str

    @classmethod
    def of(cls, gateway: GatewaySettings) -> "Address":
        """The address of a gateway's configuration."""
        if gateway.listen.startswith(UNIX_PREFIX):
            return cls("http://127.0.0.1", "ws://127.0.0.1")  # through a proxy to the socket
        host, port = split_listen(gateway.listen)
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        secure = "s" if gateway.tls_certificate is not None else ""
        return cls(f"http{secure}://{place}", f"ws{secure}://{place}")


def snippet(client: str, address: Address, symbols: Sequence[str]) -> str:
    """The configuration of one client of `CLIENTS`."""
    return CLIENTS[client](address, symbols)


def _ccxt(address: Address, _symbols: Sequence[str], *, module: str = "ccxt") -> str:
    return f'''import os

import {module}

exchange = {module}.binance({{
    "apiKey": os.environ["BOT_API_KEY"],
    "secret": os.environ["BOT_API_SECRET"],
    "options": {{
        "defaultType": "spot",
        "fetchMarkets": {{"types": ["spot"]}},
        "fetchCurrencies": False,
        "fetchMargins": False,
        "adjustForTimeDifference": True,
    }},
}})
exchange.urls["test"] = {{  # all there is: an address that is missing raises NotSupported
    "public": "{address.rest}/api/v3",
    "private": "{address.rest}/api/v3",
    "v1": "{address.rest}/api/v1",
    "ws": {{"spot": "{address.ws}/ws", "ws-api": {{"spot": "{address.ws}/ws-api/v3"}}}},
}}
exchange.set_sandbox_mode(True)
'''


def _ccxt_pro(address: Address, symbols: Sequence[str]) -> str:
    return _ccxt(address, symbols, module="ccxt.pro")


def _freqtrade(address: Address, symbols: Sequence[str]) -> str:
    urls = {
        "public": f"{address.rest}/api/v3",
        "private": f"{address.rest}/api/v3",
        "v1": f"{address.rest}/api/v1",
        "ws": {"spot": f"{address.ws}/ws", "ws-api": {"spot": f"{address.ws}/ws-api/v3"}},
    }
    options = {
        "defaultType": "spot",
        "fetchMarkets": {"types": ["spot"]},
        "fetchCurrencies": False,
        "fetchMargins": False,
        "adjustForTimeDifference": True,
    }
    exchange = {
        "name": "binance",
        "key": "the API key of `seatrial bot new`",
        "secret": "its secret; better in $FREQTRADE__EXCHANGE__SECRET",
        "pair_whitelist": [_pair(symbol) for symbol in symbols],
        "ccxt_config": {"options": options, "urls": {"api": urls, "test": urls}},
        "enable_ws": False,
    }
    return json.dumps({"dry_run": False, "exchange": exchange}, indent=2) + "\n"


def _python_binance(address: Address, _symbols: Sequence[str]) -> str:
    return f'''import os

from binance import AsyncClient, BinanceSocketManager
from binance.client import Client


class BotAsyncClient(AsyncClient):
    API_TESTNET_URL = "{address.rest}/api"
    WS_API_TESTNET_URL = "{address.ws}/ws-api/v3"


class BotClient(Client):
    API_TESTNET_URL = "{address.rest}/api"
    WS_API_TESTNET_URL = "{address.ws}/ws-api/v3"


class BotSocketManager(BinanceSocketManager):
    STREAM_TESTNET_URL = "{address.ws}/"


KEYS = (os.environ["BOT_API_KEY"], os.environ["BOT_API_SECRET"])
# client = await BotAsyncClient.create(*KEYS, testnet=True)   or   BotClient(*KEYS, testnet=True)
'''


def _binance_sdk(address: Address, _symbols: Sequence[str]) -> str:
    return f'''# Its deadline over REST is 1 s: set patience_ms = 900.
import os

from binance_common.configuration import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
)
from binance_sdk_spot.spot import Spot

keys = {{"api_key": os.environ["BOT_API_KEY"], "api_secret": os.environ["BOT_API_SECRET"]}}
client = Spot(
    config_rest_api=ConfigurationRestAPI(**keys, base_path="{address.rest}"),
    config_ws_api=ConfigurationWebSocketAPI(**keys, stream_url="{address.ws}/ws-api/v3"),
    config_ws_streams=ConfigurationWebSocketStreams(stream_url="{address.ws}"),
)
'''


def _nautilus(address: Address, symbols: Sequence[str]) -> str:
    names = ", ".join(f'InstrumentId.from_str("{symbol}.BINANCE")' for symbol in symbols)
    return f'''# Nautilus. It logs a session on, so it needs an Ed25519 key:
# seatrial bot new NAME --ed25519-public-key PUBLIC.pem; $BOT_API_SECRET is the private PEM text.
import os

from nautilus_trader.adapters.binance import (
    BinanceAccountType,
    BinanceDataClientConfig,
    BinanceExecClientConfig,
    BinanceInstrumentProviderConfig,
)
from nautilus_trader.adapters.binance.common.enums import BinanceEnvironment
from nautilus_trader.model.identifiers import InstrumentId

shared = {{
    "api_key": os.environ["BOT_API_KEY"],
    "api_secret": os.environ["BOT_API_SECRET"],
    "account_type": BinanceAccountType.SPOT,
    "environment": BinanceEnvironment.TESTNET,  # Spot alone: it asks /sapi for fees otherwise
    "base_url_http": "{address.rest}",
    "instrument_provider": BinanceInstrumentProviderConfig(
        load_ids=frozenset([{names}]),
    ),
}}
data = BinanceDataClientConfig(**shared, base_url_ws="{address.ws}")
execution = BinanceExecClientConfig(**shared, base_url_ws="{address.ws}/ws-api/v3")
'''


def _hummingbot(address: Address, _symbols: Sequence[str]) -> str:
    return f'''# hummingbot. It has no setting for an address: set these in
# hummingbot/connector/exchange/binance/binance_constants.py, before it starts.
REST_URL = "{address.rest}/api/"
WSS_URL = "{address.ws}/ws"
WSS_API_URL = "{address.ws}/ws-api/v3"
'''


def _pair(symbol: str) -> str:
    """`BTCUSDT` in ccxt's words, where the quote asset is one of the usual ones."""
    for quote in ("USDT", "USDC", "FDUSD", "TUSD", "BTC", "ETH", "BNB", "EUR", "TRY"):
        if symbol.endswith(quote) and symbol != quote:
            return f"{symbol.removesuffix(quote)}/{quote}"
    return symbol


CLIENTS: dict[str, Callable[[Address, Sequence[str]], str]] = {
    "ccxt": _ccxt,
    "ccxt-pro": _ccxt_pro,
    "freqtrade": _freqtrade,
    "nautilus": _nautilus,
    "hummingbot": _hummingbot,
    "python-binance": _python_binance,
    "binance-sdk": _binance_sdk,
}
