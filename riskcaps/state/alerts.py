"""What an operator must hear of caps: bands that were passed, and breaches whose action is due.

Rules of this file:
1. Notices are kept until somebody takes them: every fact hands them out.
2. Uses that only fall, or move with the market, are compared every SWEEP_NS; an order or a fill
   that reaches a cap's next band (`due`) has all of them compared at once.
"""

from collections.abc import Iterable
from decimal import Decimal

from daemon.model.amounts import NS_PER_MS, ZERO, plain
from daemon.model.enums import Side
from riskcaps.state.bands import CapNotice, Watch
from riskcaps.state.behaviour import Behaviour
from riskcaps.state.drawdown import LOSS_CAPS, EquityLedger, LossRule
from riskcaps.state.symbol_book import SymbolBook
from riskcaps.words.capset import PORTFOLIO_CAPS, CapSet

SWEEP_NS = 1000 * NS_PER_MS
Notices = tuple[CapNotice, ...]
_LOSS_KEYS = tuple((cap, f"{cap}_numeraire_max") for cap in LOSS_CAPS)
Level = tuple[Watch, Decimal | int]
"""A cap's bands and what is used of it now."""


class Alerts:
    """The bands of the portfolio's caps, and the notices that nobody has taken yet."""

    def __init__(self) -> None:
        self.watch: dict[str, Watch] = {}
        self.is_on = True
        """Bands follow the caps' use; not while the past is folded: nobody hears of it."""
        self.due = False
        self.bands_version = 0
        """Moves when the next band of some cap does."""
        self.quiet_until_ns = 0
        """Until then there is nothing to compare and nothing to hand out."""
        self._swept_ns = 0
        self._loss_band = ZERO
        """An equity that is not above it brings a loss to its next band."""
        self._loss_band_of = -1
        """The sum of the versions that it was worked out from."""
        self._notices: list[CapNotice] = []

    def set_caps(self, caps: CapSet) -> None:
        """Bands of this run."""
        self.bands_version += 1
        self.watch = {
            key: Watch(key, "", caps.limit(key))
            for key, spec in PORTFOLIO_CAPS.items()
            if spec.fills
        }

    def ask_for_sweep(self) -> None:
        """A cap's use has come to its next band: compare all of them with the next fact."""
        self.due = True
        self.quiet_until_ns = 0

    def wants_sweep(self, now_ns: int) -> bool:
        """Whether all uses are to be compared now."""
        return self.is_on and (self.due or now_ns - self._swept_ns >= SWEEP_NS)

    def sweep(self, levels: Iterable[Level], now_ns: int) -> None:
        """Compare every cap's use with its bands."""
        self.due = False
        self._swept_ns = now_ns
        for watch, level in levels:
            rising = watch.move(level, now_ns)
            if rising is None:
                continue
            self.bands_version += 1
            used, limit = plain(Decimal(level)), plain(Decimal(watch.limit))
            cap, symbol, band = watch.cap, watch.symbol, watch.band
            word = "reached" if rising else "fell back below"
            text = f"{cap} {symbol}".strip() + f": {word} {band} % ({used} of {limit})"
            self._notices.append(
                CapNotice("alert", cap, symbol, band, rising, used, limit, "none", text)
            )

    def add(self, notices: Notices) -> None:
        """Notices that fell due elsewhere."""
        if notices:
            self._notices += notices
            self.quiet_until_ns = 0

    def add_losses(self, rules: tuple[LossRule, ...], numeraire: str) -> None:
        """Loss caps whose action falls due."""
        for rule in rules:
            used, limit = plain(rule.used), plain(rule.limit)
            cap = f"{rule.cap}_numeraire_max"
            text = f"{cap}: {used} of {limit} {numeraire} lost; {rule.action}"
            self.breach(cap, "", used, limit, action=rule.action, text=text)

    def breach(
        self, cap: str, symbol: str, used: str, limit: str, *, action: str, text: str
    ) -> None:
        """A cap was passed, and what it declares is due."""
        self.quiet_until_ns = 0
        self._notices.append(CapNotice("breach", cap, symbol, 100, True, used, limit, action, text))

    def note_position(self, book: SymbolBook, side: Side) -> None:
        """A fill may have gone beyond the position cap: a late fill, or a lie of the venue.

        Fees that sells paid in base since the last sell was approved are nobody's lie: that order
        had the room up to the cap, and its fee is known only with the fill.
        """
        key = "position_long_base_max" if side is Side.BUY else "position_short_base_max"
        limit: Decimal = getattr(book.caps, key) if book.caps else ZERO
        known = book.position + book.arriving
        used = known if side is Side.BUY else -known
        if used > (limit if side is Side.BUY else limit + book.fees_since_sell):
            text = f"{book.symbol}: position {plain(book.position)} is beyond {key} {plain(limit)}"
            self.breach(key, book.symbol, plain(used), plain(limit), action="halt", text=text)

    def fill_reaches_band(self, behaviour: Behaviour, ledger: EquityLedger) -> bool:
        """Whether the fill of a held order brought a use to its next band.

        Executions, losses and their streak are what it raises; exposure and turnover were held in
        full before it, and move with the market from now on.
        """
        watch = self.watch
        if ledger.is_within:
            versions = self.bands_version + ledger.bounds_version
            if versions != self._loss_band_of:
                self._loss_band_of = versions
                rows = zip(_LOSS_KEYS, ledger.begins, strict=True)
                self._loss_band = max(begin - watch[key].up for (_, key), begin in rows)
            if ledger.marked <= self._loss_band:
                return True
        elif any(ledger.rules[cap].used >= watch[key].up for cap, key in _LOSS_KEYS):
            return True
        return (
            behaviour.executions_since_human >= watch["executions_without_human_max"].up
            or (behaviour.loss_streak if behaviour.losses else 0) >= watch["loss_streak_max"].up
        )

    def take(self) -> Notices:
        """Notices not yet handed out."""
        if not self.due:
            self.quiet_until_ns = self._swept_ns + SWEEP_NS
        if not self._notices:
            return ()
        out = tuple(self._notices)
        self._notices.clear()
        return out
