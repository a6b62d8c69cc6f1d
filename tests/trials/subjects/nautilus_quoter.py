"""Nautilus' own example strategy `SimpleQuoterStrategy` on its Binance adapter.

The strategy and the adapter are Nautilus'; ours are the addresses, the key and the quantity.
"""

import os
from decimal import Decimal
from pathlib import Path

from nautilus_trader.adapters.binance import (
    BINANCE,
    BinanceAccountType,
    BinanceDataClientConfig,
    BinanceExecClientConfig,
    BinanceInstrumentProviderConfig,
    BinanceLiveDataClientFactory,
    BinanceLiveExecClientFactory,
)
from nautilus_trader.adapters.binance.common.enums import BinanceEnvironment
from nautilus_trader.config import LiveExecEngineConfig, LoggingConfig, TradingNodeConfig
from nautilus_trader.examples.strategies.simpler_quoter import (
    SimpleQuoterStrategy,
    SimpleQuoterStrategyConfig,
)
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.identifiers import InstrumentId, TraderId

NAME = InstrumentId.from_str(f"{os.environ['SEATRIAL_SYMBOL']}.{BINANCE}")
SHARED = {
    "api_key": os.environ["SEATRIAL_ED25519_KEY"],
    "api_secret": Path(os.environ["SEATRIAL_ED25519_PEM"]).read_text(),
    "account_type": BinanceAccountType.SPOT,
    "environment": BinanceEnvironment.TESTNET,  # Spot alone: no call of /sapi
    "base_url_http": os.environ["SEATRIAL_REST"],
    "instrument_provider": BinanceInstrumentProviderConfig(load_ids=frozenset([NAME])),
}


def main() -> None:
    node = TradingNode(
        config=TradingNodeConfig(
            trader_id=TraderId("TRIAL-001"),
            logging=LoggingConfig(log_level="INFO", use_pyo3=True),
            exec_engine=LiveExecEngineConfig(reconciliation=True, open_check_interval_secs=5.0),
            data_clients={
                BINANCE: BinanceDataClientConfig(
                    base_url_ws=os.environ["SEATRIAL_STREAMS"], **SHARED
                )
            },
            exec_clients={
                BINANCE: BinanceExecClientConfig(
                    base_url_ws=os.environ["SEATRIAL_WS_API"], **SHARED
                )
            },
        )
    )
    node.trader.add_strategy(
        SimpleQuoterStrategy(
            SimpleQuoterStrategyConfig(
                instrument_id=NAME, order_qty=Decimal("0.001"), tob_offset_ticks=9_000
            )
        )
    )
    node.add_data_client_factory(BINANCE, BinanceLiveDataClientFactory)
    node.add_exec_client_factory(BINANCE, BinanceLiveExecClientFactory)
    node.build()
    try:
        node.run()
    finally:
        node.dispose()


if __name__ == "__main__":
    main()
