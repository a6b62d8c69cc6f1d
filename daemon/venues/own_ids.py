"""Which of our orders a venue order id means, and how symbols are named.

Rules of this file:
1. Orders are keyed by (symbol, venue order id): client ids change under a cancel or an amend.
   What a row shows then names the order without its digest; `known` knows the rest.
2. The first id an order was seen with is its own, until the venue shows it as NEW again (after a
   testnet wipe venue ids restart).
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable

from daemon.errors import Undecodable
from daemon.model.ids import ClientOrderId, InstrumentId, instrument_id, own_id_of, stem_of

_REMEMBERED_MAX = 20_000
"""About 5 MB. Orders that are older are looked up at the venue where a snapshot needs them."""


class OwnIds:
    """Bounded map (symbol, venue order id) -> the order's own client id; oldest forgotten."""

    __slots__ = ("_limit", "by_row", "known")

    def __init__(self, limit: int = _REMEMBERED_MAX) -> None:
        self.by_row: OrderedDict[tuple[str, int], ClientOrderId] = OrderedDict()
        """By symbol and venue order id; only read it. The oldest of a dict of so many would cost
        2.6 us an order: a step over each that was forgotten before it."""
        self._limit = limit
        self.known: Callable[[str], ClientOrderId | None] = _nobody
        """The id of an order of ours by its stem (`ids.stem_of`); whoever keeps the books sets it.
        Must not block."""

    def __len__(self) -> int:
        return len(self.by_row)

    def get(self, symbol: str, order_id: int) -> ClientOrderId | None:
        """The own id of this venue order, if it was ever seen."""
        return self.by_row.get((symbol, order_id))

    def learn(self, symbol: str, order_id: int, client_order_id: str) -> ClientOrderId:
        """Set the own id of this venue order, and hand it back."""
        own = ClientOrderId(client_order_id)
        if len(self.by_row) >= self._limit and (symbol, order_id) not in self.by_row:
            self.by_row.popitem(last=False)
        self.by_row[symbol, order_id] = own
        return own

    def forget(self, symbol: str, venue_order_id: str) -> None:
        """The venue knows no such order (any more): a wipe may give its id to another."""
        if venue_order_id.isascii() and venue_order_id.isdigit():
            self.by_row.pop((symbol, int(venue_order_id)), None)

    def resolve(self, symbol: str, order_id: int, shown: str) -> ClientOrderId:
        """The own id of a row that shows the id `shown`: the remembered one wins."""
        known = self.by_row.get((symbol, order_id))
        if known is not None:
            return known
        return self.learn(symbol, order_id, self._own(shown))

    def learn_former(self, symbol: str, order_id: int, former: str) -> ClientOrderId:
        """`learn` from the id that an order had until now: its own, or that of its last amend."""
        own = self._own(former)
        known = self.by_row.get((symbol, order_id))
        if own != former and known is not None and stem_of(known) == own:
            return known
        return self.learn(symbol, order_id, own)

    def _own(self, shown: str) -> ClientOrderId:
        own = own_id_of(shown)
        return ClientOrderId(own) if own == shown else self.known(own) or ClientOrderId(own)


def _nobody(_stem: str) -> ClientOrderId | None:
    return None


class SymbolNames:
    """Symbol <-> instrument id of one environment."""

    __slots__ = ("environment", "known")

    def __init__(self, environment: str, symbols: Iterable[str]) -> None:
        self.environment = environment
        self.known = {symbol: instrument_id(symbol, environment) for symbol in symbols}
        """The instrument ids of our symbols."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """Our symbols."""
        return tuple(self.known)

    def instrument(self, symbol: str) -> InstrumentId:
        """The instrument id of a symbol, ours or not.

        Raises:
            Undecodable: for text that cannot be a symbol.
        """
        known = self.known.get(symbol)
        if known is not None:
            return known
        try:
            return instrument_id(symbol, self.environment)
        except ValueError as error:
            raise Undecodable(f"not a symbol: {symbol[:40]!r}") from error
