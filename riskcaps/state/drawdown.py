"""Equity, peak and losses: marked worse than mid, in the numeraire, since the books' epoch.

Rules of this file:
1. Equity = cash of all trades + position marked at bid (long) or ask (short) + fees, all
   converted at the rate that is against us. It starts at zero: only our trading moves it, so a
   deposit or a withdrawal does not.
2. The peak and the baselines move only in steps that an EQUITY record carries (`due`): a restart
   folds the same values. The peak's step is a thousandth of the drawdown cap.
3. New risk is denied the moment a loss reaches its cap; the declared action (halt, flatten) waits
   until it has lasted `loss_confirm_ms`, so that one bad tick stops nothing for good.
4. A latched loss stays latched until a human re-enables or rebases.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from daemon.model.amounts import NS_PER_MS, ZERO, decimal_of
from riskcaps.state.windows import DAY_NS
from riskcaps.words.capset import CapSet

LOSS_CAPS = ("loss_session", "loss_day", "drawdown")
_NO_DAY = -1


class EquityView(msgspec.Struct, frozen=True, kw_only=True):
    """Equity since the books' epoch, in the numeraire. None: it cannot be valued now."""

    numeraire: str
    equity: Decimal | None
    peak: Decimal | None
    drawdown: Decimal | None
    realised: Decimal | None
    unrealised: Decimal | None
    fees: Decimal | None
    day: int
    day_open: Decimal | None
    session_open: Decimal | None
    rebased: str = ""

    def to_plain(self) -> dict[str, Any]:
        """Fields of an `equity` record; `EquityLedger.restore` takes them back."""
        out: dict[str, Any] = {}
        for name in self.__struct_fields__:
            value = getattr(self, name)
            out[name] = str(value) if isinstance(value, Decimal) else value
        return out


class LossRule:
    """One loss cap: its limit, its action, and how long it has been reached."""

    __slots__ = ("action", "cap", "first_ns", "latched", "limit", "used")

    def __init__(self, cap: str) -> None:
        self.cap = cap
        self.limit = ZERO
        self.action = "halt"
        self.used = ZERO
        self.first_ns = -1
        self.latched = False

    @property
    def reached(self) -> bool:
        """Whether new risk is denied by it."""
        return self.latched or self.used >= self.limit

    def follow(self, used: Decimal, now_ns: int, confirm_ns: int) -> bool:
        """Take the loss as it is now; True when its action falls due."""
        self.used = used
        if used < self.limit:
            self.first_ns = -1
            return False
        if self.first_ns < 0:
            self.first_ns = now_ns
        if self.latched or self.limit <= 0 or now_ns - self.first_ns < confirm_ns:
            return False
        self.latched = True
        return True


class EquityLedger:
    """Peak, baselines and loss rules over the equity that the gate marks."""

    def __init__(self) -> None:
        self.version = 0
        """Moves with everything that a decision writes down of it."""
        self.verdict_version = 0
        """Moves with everything that may change what the rules over it say."""
        self.equity: Decimal | None = ZERO
        self.peak: Decimal | None = ZERO
        self.day = 0
        self.day_open: Decimal | None = ZERO
        self.session_open: Decimal | None = ZERO
        self.due = False
        """Whether the peak or a baseline moved since the last EQUITY record."""
        self.rebased = ""
        self._rules = {cap: LossRule(cap) for cap in LOSS_CAPS}
        self._peak_step = ZERO
        self._confirm_ns = 0
        self._is_settled = False
        """The last mark found no limit reached, and nothing it compared with has moved since."""
        self._low = self._high = ZERO
        """While it is settled: an equity above `_low` reaches no limit, one that is not above
        `_high` moves no peak."""
        self.bounds_version = 0
        """Moves with these two."""
        self.calm_day = _NO_DAY
        """On that day a mark of the same equity changes nothing."""
        self.marked = ZERO
        self.is_within = False
        """The losses at `marked` reach no limit, and are not worked out yet."""

    @property
    def rules(self) -> dict[str, LossRule]:
        """The loss rules by cap; what each has lost is worked out when somebody asks."""
        self._work_out()
        return self._rules

    def _work_out(self) -> None:
        """Call before anything changes that a loss counts from."""
        if self.is_within:
            self.is_within = False
            for rule, begin in zip(self._rules.values(), self.begins, strict=True):
                rule.used = begin - self.marked

    @property
    def begins(self) -> tuple[Decimal, Decimal, Decimal]:
        """What each rule counts from, in the order of the rules; only once equity was marked."""
        return self.session_open, self.day_open, self.peak  # type: ignore[return-value]

    def set_caps(self, caps: CapSet) -> None:
        """Limits and actions of this run."""
        for cap, rule in self.rules.items():
            rule.limit = getattr(caps, f"{cap}_numeraire_max")
            rule.action = getattr(caps, f"{cap}_action")
        self._peak_step = caps.drawdown_numeraire_max / 1000
        self._confirm_ns = caps.loss_confirm_ms * NS_PER_MS
        self._unsettle()

    def mark(self, equity: Decimal | None, now_ns: int) -> tuple[LossRule, ...]:
        """Take the equity as marked now; returns the rules whose action falls due."""
        before, day = self.equity, now_ns // DAY_NS
        self.equity = equity
        if equity is None:
            self.calm_day = _NO_DAY
            if before is not None:
                self._moved()
            return ()
        if self._is_settled and before is not None and day == self.day:
            if equity == before:
                return ()  # it would compare the same numbers
            if self._low < equity <= self._high:
                self.version += 1
                self.marked, self.is_within = equity, True
                return ()
        self.version += 1
        was_settled = self._is_settled and before is not None
        if day != self.day or self.day_open is None:
            self.day_open = equity if before is None else before
            self.day = day
            self.due = True
        if self.session_open is None:
            self.session_open = equity
            self.due = True
        if self.peak is None or equity > self.peak + self._peak_step:
            self.peak = equity
            self.due = True
        fallen, self._is_settled = [], True
        for rule, begin in zip(self.rules.values(), self.begins, strict=True):
            used = begin - equity
            if rule.first_ns < 0 and used < rule.limit:
                rule.used = used  # all that `follow` would do
                continue
            if rule.follow(used, now_ns, self._confirm_ns):
                fallen.append(rule)
            if rule.first_ns >= 0:
                self._is_settled = False
        if not (was_settled and self._is_settled):  # else no limit was reached, and none is
            self.verdict_version += 1
        self._bound(self.peak)
        return tuple(fallen)

    def _bound(self, peak: Decimal) -> None:
        self.calm_day = _NO_DAY
        if self._is_settled:
            self.calm_day = self.day
            rows = zip(self._rules.values(), self.begins, strict=True)
            self._low = max(begin - rule.limit for rule, begin in rows)
            self._high = peak + self._peak_step
            self.bounds_version += 1

    def start_session(self) -> None:
        """A human starts a session: its loss counts from here."""
        self._release("loss_session")
        self.session_open = self.equity
        self._rules["loss_session"].used = ZERO
        self.due = True

    def rebase(self, reason: str) -> None:
        """Count losses from here on; visible as an EQUITY record with `rebased`."""
        for cap, rule in self.rules.items():
            self._release(cap)
            rule.used = ZERO
        self.session_open = self.day_open = self.peak = self.equity
        self.rebased = reason
        self.due = True

    def re_enable(self) -> None:
        """A human has looked: latches open; a loss that is still there denies on."""
        for cap in LOSS_CAPS:
            self._release(cap)

    def latch(self, cap: str) -> None:
        """Fold a breach whose action fell due (recovery)."""
        rule = self.rules.get(cap.removesuffix("_numeraire_max"))
        if rule is not None:
            rule.latched = True
            self._moved()

    def resume(self, equity: Decimal | None) -> None:
        """Take the equity of a restored state as it is: it moves no peak and no loss."""
        self.equity = equity
        self._moved()

    def take_loss_of_day(self, loss: Decimal | None) -> None:
        """What one bot loses today, as worked out now; None: it cannot be valued."""
        self.equity = None if loss is None else ZERO
        self.rules["loss_day"].used = max(loss or ZERO, ZERO)
        self._moved()

    def _unsettle(self) -> None:
        self._work_out()
        self._is_settled = False
        self.calm_day = _NO_DAY
        self._moved()

    def _moved(self) -> None:
        self.version += 1
        self.verdict_version += 1

    def _release(self, cap: str) -> None:
        self._unsettle()
        rule = self.rules[cap]
        rule.latched = False
        rule.first_ns = -1

    def apply(self, fields: Mapping[str, Any]) -> None:
        """Fold an EQUITY record (recovery)."""
        self._unsettle()
        self.peak = _optional(fields["peak"])
        self.day = int(fields["day"])
        self.day_open = _optional(fields["day_open"])
        self.session_open = _optional(fields["session_open"])
        if fields.get("rebased"):
            self.re_enable()

    def state(self) -> dict[str, Any]:
        """Everything durable, as plain JSON."""
        return {
            "peak": _text(self.peak),
            "day": self.day,
            "day_open": _text(self.day_open),
            "session_open": _text(self.session_open),
            "latched": [cap for cap, rule in self.rules.items() if rule.latched],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take a `state()` back."""
        self.apply(state)
        for cap, rule in self.rules.items():
            rule.latched = cap in state["latched"]


def _optional(text: Any) -> Decimal | None:
    return None if text is None else decimal_of(text)


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)
