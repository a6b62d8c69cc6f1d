"""A freqtrade strategy of ours that trades all the time: it enters, adds a little, takes it off.

The sample strategy of freqtrade trades a few times a day; a trial sees little of it. All but the
signals (entries, order handling, persistence, recovery) is freqtrade's.
"""

from freqtrade.strategy import IStrategy
from pandas import DataFrame


class Rebalance(IStrategy):
    """Always in; adds 20 USDT and takes them off in turn."""

    INTERFACE_VERSION = 3
    timeframe = "1m"
    minimal_roi = {"0": 10}  # noqa: RUF012 - freqtrade's way
    stoploss = -0.99
    startup_candle_count = 5
    position_adjustment_enable = True
    max_entry_position_adjustment = -1

    def populate_indicators(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        return dataframe

    def populate_entry_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        dataframe["enter_long"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        dataframe["exit_long"] = 0
        return dataframe

    def adjust_trade_position(self, trade, *args, **kwargs):
        if trade.has_open_orders:
            return None
        return 20 if trade.stake_amount < 65 else -20
