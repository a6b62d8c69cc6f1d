"""When a snapshot's balances become the basis that later ones are compared with.

Rules of this file:
1. A snapshot is several requests. Its balances may hold a trade that is not booked yet, and lack
   one that was booked meanwhile: as a basis they would count it twice, or never.
2. So they wait until the trades are booked that the venue has announced and not shown, and until
   two rounds agree where an order of ours may have traded while they were asked for.
3. Neither wait is longer than a venue's answers need to settle, or than some rounds.
"""

from decimal import Decimal

from daemon.core.books import Books
from daemon.core.reconcile import Assets, owed_assets
from daemon.model.amounts import ZERO
from daemon.model.reports import VenueSnapshot

_ROUNDS_TO_AGREE_MAX = 6


class BasisTaking:
    """Balances to be taken over, by an operator's word or for want of any."""

    def __init__(self) -> None:
        """Nothing is asked for."""
        self.is_wanted = False
        self._rounds = 0
        self._seen: dict[str, Decimal] = {}
        """Totals less our flows, as the last round saw them: trades alone do not move them."""

    def want(self) -> None:
        """An operator takes what the venue has for right."""
        self.is_wanted, self._rounds, self._seen = True, 0, {}

    def takes(
        self,
        books: Books,
        snapshot: VenueSnapshot,
        assets: Assets,
        *,
        has_basis: bool,
        asked_ns: int,
        asked_mark: int,
        settle_ns: int,
    ) -> bool:
        """Whether these balances are the basis from now on; else the next round is asked.

        `asked_ns`, `asked_mark`, `settle_ns`: as in `compare`.
        """
        if has_basis and not self.is_wanted:
            return False
        self.is_wanted = True
        if snapshot.unread or next(owed_assets(books, assets, asked_ns, settle_ns), None):
            return False
        self._rounds += 1
        before, self._seen = (
            self._seen,
            {
                one.asset: one.total - books.flows.get(one.asset, ZERO)
                for one in snapshot.balances
                if one.asset in assets.touched
            },
        )
        may_have_traded = books.has_working or books.flow_mark != asked_mark
        agrees = self._seen == before or self._rounds >= _ROUNDS_TO_AGREE_MAX
        self.is_wanted = may_have_traded and not agrees
        return not self.is_wanted
