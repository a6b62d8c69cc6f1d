"""Configuration files of public programs, with the address and the key of a trial's venue."""

import json
from collections.abc import Callable, Mapping

Values = Mapping[str, str]


def _ccxt(values: Values) -> str:
    """What `ccxt.binance(...)` takes, and the addresses for `exchange.urls["test"]`."""
    rest = values["rest"]
    return _text(
        {
            "apiKey": values["key"],
            "secret": values["secret"],
            "options": {
                "defaultType": "spot",
                "fetchMarkets": {"types": ["spot"]},
                "fetchCurrencies": False,
                "fetchMargins": False,
            },
            "urls": {
                "public": f"{rest}/api/v3",
                "private": f"{rest}/api/v3",
                "v1": f"{rest}/api/v1",
            },
            "symbol": values["pair"],
        }
    )


def _freqtrade(values: Values) -> str:
    """A configuration for `freqtrade trade --config`; the strategy is the command's to name."""
    rest = values["rest"]
    client = {
        "urls": {
            "api": {
                "public": f"{rest}/api/v3",
                "private": f"{rest}/api/v3",
                "v1": f"{rest}/api/v1",
            }
        },
        "options": {
            "defaultType": "spot",
            "fetchMarkets": {"types": ["spot"]},
            "fetchCurrencies": False,
            "fetchMargins": False,
        },
    }
    return _text(
        {
            "bot_name": "trial",
            "initial_state": "running",
            "max_open_trades": 3,
            "stake_currency": "USDT",
            "stake_amount": 50,
            "tradable_balance_ratio": 0.99,
            "dry_run": False,
            "db_url": f"sqlite:///{values['work']}/trades.sqlite",
            "trading_mode": "spot",
            "cancel_open_orders_on_exit": True,
            "unfilledtimeout": {"entry": 1, "exit": 1, "unit": "minutes"},
            "entry_pricing": {"price_side": "same", "use_order_book": True, "order_book_top": 1},
            "exit_pricing": {"price_side": "same", "use_order_book": True, "order_book_top": 1},
            "exchange": {
                "name": "binance",
                "key": values["key"],
                "secret": values["secret"],
                "enable_ws": False,
                "ccxt_config": client,
                "ccxt_async_config": client,
                "pair_whitelist": [values["pair"]],
                "pair_blacklist": [],
            },
            "pairlists": [{"method": "StaticPairList"}],
            "internals": {"process_throttle_secs": 1},
        }
    )


def _plain(values: Values) -> str:
    """Address and key, for whatever reads JSON."""
    return _text(dict(values))


def _text(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"


READY_FILES: Mapping[str, Callable[[Values], str]] = {
    "ccxt": _ccxt,
    "freqtrade": _freqtrade,
    "json": _plain,
}
"""`{config:NAME}` in a command or a template becomes the path of such a file."""
