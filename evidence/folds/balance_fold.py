"""Balances derived again: where they began, and what trades and fees have moved since.

Rules of this file:
1. A comparison that sets the basis is where counting begins. From then on each of them must state
   what the basis and the trades of the lines since make, or name the difference with both values:
   what the lines make of it, and what it states itself.
2. What others moved counts from the line on that accepts it (`accepted`), and only there.
3. A comparison is clean if none of its differences stands: in flight, or of an asset that is not
   ours to watch.
4. It holds of runs whose first line states the heartbeat's period, as in `command_fold`.
"""

from collections.abc import Mapping
from decimal import Decimal

from evidence.folds.account_models import SpotBooks, account_of
from evidence.folds.journal_fold import ComparingFold, Handler, Numbered, Recent
from evidence.read.exact_amounts import ZERO, AmountTextError, amount, text_of
from evidence.read.journal_lines import (
    FillLine,
    InstrumentsLine,
    JournalLine,
    ReconciledLine,
    RunStartLine,
)

STANDS_NOT = frozenset({"in_flight", "external"})
Accounts = dict[str, tuple[tuple[str, str], SpotBooks]]


class BalancesFold(ComparingFold):
    """What we must have of each asset, line by line."""

    name = "balances"

    def __init__(self) -> None:
        super().__init__()
        self.mine: dict[str, Decimal] = {}
        """What the last basis and the trades since make of each asset; empty before a basis."""
        self.last_seq = 0
        """The last comparison."""
        self._is_due = False
        self._told: dict[str, Decimal] = {}
        """Totals as the run's comparisons have stated them."""
        self._accounts: Accounts = {}
        self._seen = Recent()

    def handlers(self) -> Mapping[type[JournalLine], Handler]:
        """Comparisons, and what moves balances."""
        return {
            RunStartLine: self._run_start,
            InstrumentsLine: self._instruments,
            FillLine: self._fill,
            ReconciledLine: self._reconciled,
        }

    def _run_start(self, record: RunStartLine) -> None:
        self._is_due = record.heartbeat_period_ms > 0
        self._told = {}

    def _instruments(self, record: InstrumentsLine) -> None:
        for one in record.instruments:
            account = account_of(one)
            if account is not None:
                assets = (str(one.get("base")), str(one.get("quote")))
                self._accounts[str(one.get("symbol"))] = (assets, account)

    def _fill(self, record: FillLine) -> None:
        if not self.mine or not self._seen.is_new(record.exec_id):
            return
        known = self._accounts.get(record.symbol)
        if known is None:
            self.mine.clear()  # what it moves is not known: the next basis begins anew
            return
        assets, account = known
        try:
            moves = account.moves_with_fee(assets, record)
        except AmountTextError:
            return  # counted by the orders fold
        for asset, change in moves.items():
            self.mine[asset] = self.mine.get(asset, ZERO) + change

    def note(self, kind: str, line: Numbered, what: str) -> None:
        """See rule 4."""
        if self._is_due:
            super().note(kind, line, what)

    def _reconciled(self, record: ReconciledLine) -> None:
        if record.failed:
            return
        try:
            for asset, pair in record.balances.items():
                self._told[asset] = sum((amount(part) for part in pair), ZERO)
            accepted = {asset: amount(total) for asset, total in record.accepted.items()}
        except (AmountTextError, TypeError):
            self.note("bad_amount", record, "a balance of it is no amount")
            return
        self.last_seq = record.seq
        self._is_clean(record)
        if record.basis_set:
            self.mine = {**dict.fromkeys(self.mine, ZERO), **self._told}
        elif self.mine:
            self._compare(record)
            self.mine.update(accepted)

    def _is_clean(self, record: ReconciledLine) -> None:
        classes = {str(one.get("class")) for one in record.differences}
        is_clean = classes <= STANDS_NOT
        if is_clean is not record.clean:
            what = f"clean {record.clean} is stated, its differences are {sorted(classes)}"
            self.note("balance_differs", record, what)

    def _compare(self, record: ReconciledLine) -> None:
        named = {
            str(one.get("symbol")): (str(one.get("ours")), str(one.get("venue")))
            for one in record.differences
            if one.get("kind") == "balance"
        }
        for asset in sorted(self.mine.keys() | self._told.keys() | named.keys()):
            mine, stated = self.mine.get(asset, ZERO), self._told.get(asset, ZERO)
            self.checked += self._is_due
            pair = named.get(asset)
            if pair is None:
                if mine != stated:
                    what = f"{asset} {text_of(stated)} is stated, {text_of(mine)} by the trades"
                    self.note("balance_differs", record, f"{what} and fees of the lines before")
            elif not _is_pair(pair, mine, stated):
                what = f"{asset}: a difference of {pair[0]} and {pair[1]} is stated, "
                what += f"it is {text_of(mine)} by the lines before and {text_of(stated)} told"
                self.note("balance_differs", record, what)


def _is_pair(pair: tuple[str, str], mine: Decimal, stated: Decimal) -> bool:
    try:
        return (amount(pair[0]), amount(pair[1])) == (mine, stated)
    except AmountTextError:
        return False
