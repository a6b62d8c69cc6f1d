"""Binance Spot's market streams behind the seam `MarketCodec`."""

from daemon.venues.binance_spot.codec_stream import (
    StreamReader,
    combined_path,
    list_frame,
    stream_names,
)
from daemon.venues.binance_spot.depth import DepthBook
from daemon.venues.own_ids import SymbolNames


class MarketStreams:
    """Names, commands, frames, books."""

    path = staticmethod(combined_path)
    probe = staticmethod(list_frame)
    new_book = DepthBook

    def __init__(self, names: SymbolNames) -> None:
        self.read = StreamReader(names).read

    def top_stream(self, symbol: str) -> str:
        """`bookTicker`."""
        return stream_names([symbol], ["bookTicker"])[0]

    def depth_stream(self, symbol: str) -> str:
        """Diffs ten times a second."""
        return stream_names([symbol], ["depth@100ms"])[0]

    def trade_stream(self, symbol: str) -> str:
        """Every trade."""
        return stream_names([symbol], ["trade"])[0]
