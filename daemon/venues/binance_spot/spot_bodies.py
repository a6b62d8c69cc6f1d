"""REST bodies and results of the order connection, as `RestDecoder` names them."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from daemon.venues.binance_spot import codec_rest, spot_rows
from daemon.venues.binance_spot.instrument_rules import decode_listed, with_asset_filters
from daemon.venues.binance_spot.order_rows import balances_of
from daemon.venues.contract import AccountFacts, Listed
from daemon.venues.own_ids import SymbolNames

if TYPE_CHECKING:
    from daemon.venues.binance_spot.depth import SnapshotRow


class Bodies:
    """REST bodies and results."""

    error = staticmethod(codec_rest.decode_error)
    error_data = staticmethod(codec_rest.error_data)
    time_ms = staticmethod(spot_rows.decode_time_ms)
    order = staticmethod(spot_rows.decode_order)
    orders = staticmethod(codec_rest.decode_orders)
    open = staticmethod(spot_rows.decode_open)
    canceled = staticmethod(spot_rows.decode_canceled)
    trades = staticmethod(codec_rest.decode_trades)
    own_filters = staticmethod(with_asset_filters)
    day_volume = staticmethod(codec_rest.decode_day_volume)

    def __init__(self, environment: str) -> None:
        self._environment = environment

    def depth(self, body: bytes) -> "SnapshotRow":
        """A snapshot of a book."""
        from daemon.venues.binance_spot.depth import decode_snapshot  # noqa: PLC0415 - seldom used

        return decode_snapshot(body)

    def account(self, body: bytes) -> AccountFacts:
        """Balances and flags."""
        row = codec_rest.decode_account(body)
        return AccountFacts(balances_of(row.balances), row.can_trade, row.can_withdraw)

    def fee_asset(self, body: bytes) -> str:
        """The asset that fees are paid in while some of it is there; empty: base and quote."""
        return codec_rest.decode_commission(body).other_asset

    def listed(self, body: bytes, symbols: Iterable[str]) -> Listed:
        """These symbols as far as they are listed and can be read."""
        return decode_listed(body, SymbolNames(self._environment, symbols))
