"""The gate: how much we know of the venue. Only READY may trade.

Rules of this file:
1. DOWN: nothing is up. CONNECTING: some links are. RECONCILING: all links and the instruments are
   there, the books are being compared. READY: compared and clean. STALE: we knew, and lost a link.
2. BANNED: the venue has shut us out until a known time, and nothing is sent before it; it goes
   before every other word but nothing that we know is lost by it.
3. The loss of the order or REST link makes the comparison worthless: the road back to READY leads
   through RECONCILING (venues/binance-spot.md §13: there is no replay, only gap-fill).
"""

from daemon.model.enums import GateState, Link


class Gate:
    """Links, instruments and reconciliation, as one state."""

    def __init__(self) -> None:
        """Nothing is known."""
        self.up: dict[Link, bool] = dict.fromkeys(Link, False)
        self.ever_up: dict[Link, bool] = dict.fromkeys(Link, False)
        self.down_since_ns: dict[Link, int] = dict.fromkeys(Link, 0)
        self.instruments_loaded = False
        self.reconciled = False
        self._was_ready = False
        self._banned = False
        self.state = GateState.DOWN
        """The one word for all of it; looked up at every turn, so it is kept."""

    @property
    def all_up(self) -> bool:
        """Whether everything that a reconciliation needs is there."""
        return self.instruments_loaded and all(self.up.values())

    @property
    def can_ask(self) -> bool:
        """Whether a query has a road to the venue."""
        return self.up[Link.REST] or self.up[Link.ORDER]

    @property
    def can_send(self) -> bool:
        """Whether an order or a cancel has a road to the venue."""
        return self.up[Link.ORDER]

    def link_up(self, link: Link) -> None:
        """A link is established."""
        self.up[link] = True
        self.ever_up[link] = True
        self.state = self._state()

    def link_down(self, link: Link, now_ns: int) -> None:
        """A link is lost, and with it what we knew."""
        if self.up[link]:
            self.down_since_ns[link] = now_ns
        self.up[link] = False
        if link is not Link.MARKET:
            self.reconciled = False
        self.state = self._state()

    def set_instruments_loaded(self) -> None:
        """The venue has told its symbols."""
        self.instruments_loaded = True
        self.state = self._state()

    def set_reconciled(self) -> None:
        """The books were compared with the venue's, and every difference is accounted for."""
        self.reconciled = True
        if self.all_up:
            self._was_ready = True
        self.state = self._state()

    def set_banned(self, banned: bool) -> None:
        """The venue has shut us out, or the time of that is over."""
        self._banned = banned
        self.state = self._state()

    def _state(self) -> GateState:
        if self._banned:
            return GateState.BANNED
        if self.all_up:
            return GateState.READY if self.reconciled else GateState.RECONCILING
        if self._was_ready:
            return GateState.STALE
        return GateState.CONNECTING if any(self.up.values()) else GateState.DOWN
