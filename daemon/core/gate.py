"""The gate: how much we know of the venue. Only READY may trade.

Rules of this file:
1. DOWN: nothing is up. CONNECTING: some links are. RECONCILING: all links and the instruments are
   there, the books are being compared. READY: compared and clean. STALE: we knew, and lost a link.
2. BANNED: the venue has shut us out until a known time, and nothing is sent before it; it goes
   before every other word but nothing that we know is lost by it.
3. The loss of the order or REST link makes the comparison worthless: the road back to READY leads
   through RECONCILING (binance-spot.md §13: there is no replay, only gap-fill).
3. Whatever keeps READY away has a name (`obstacles`, daemon/model/readiness.py).
"""

from daemon.model.enums import GateState, Link
from daemon.model.readiness import OF_LINK, NotReady, Obstacle


class Gate:
    """Links, instruments and reconciliation, as one state."""

    def __init__(self) -> None:
        """Nothing is known."""
        self.up: dict[Link, bool] = dict.fromkeys(Link, False)
        self.ever_up: dict[Link, bool] = dict.fromkeys(Link, False)
        self.down_since_ns: dict[Link, int] = dict.fromkeys(Link, 0)
        self.down_why: dict[Link, str] = dict.fromkeys(Link, "not connected yet")
        self.instruments_loaded = False
        self.reconciled = False
        self.books: Obstacle | None = Obstacle(NotReady.NO_ROUND)
        """What stands against the last comparison of the books; None: it was clean."""
        self.mute: dict[str, str] = {}
        """Symbols that the venue answers no question about, with what it says instead."""
        self._was_ready = False
        self._banned = ""
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

    @property
    def down_words(self) -> str:
        """Which links are down, in words; empty when none is."""
        down = [link.value for link, up in self.up.items() if not up]
        if not down:
            return ""
        if len(down) == 1:
            return f"the {down[0]} link is down"
        return f"the {', '.join(down[:-1])} and {down[-1]} links are down"

    @property
    def also_down(self) -> str:
        """For the end of a sentence: that the venue cannot be reached either; or nothing."""
        down = self.down_words
        return f"; the venue cannot be reached either: {down}" if down else ""

    def why_ending(self, kind: str) -> str:
        """Why nothing can begin: a stop that only needs time, or one that waiting cannot end."""
        down = self.down_words
        if not down:
            return f"the {kind} is still under way; wait for it, then try again"
        return (
            f"the venue cannot be reached ({down}), so the {kind} cannot be verified there: mend "
            f"the link (`status` names its error), then try again"
        )

    def link_up(self, link: Link) -> None:
        """A link is established."""
        self.up[link] = True
        self.ever_up[link] = True
        self.state = self._state()

    def link_down(self, link: Link, now_ns: int, why: str = "") -> None:
        """A link is lost, and with it what we knew."""
        self.down_why[link] = why
        if self.up[link]:
            self.down_since_ns[link] = now_ns
        self.up[link] = False
        if link is not Link.MARKET:
            self.reconciled = False
            self.books = Obstacle(NotReady.NO_ROUND)
        self.state = self._state()

    def set_instruments_loaded(self) -> None:
        """The venue has told its symbols."""
        self.instruments_loaded = True
        self.state = self._state()

    def forget_reconciled(self) -> None:
        """What was compared is no longer to be relied on: compare again before READY."""
        self.reconciled = False
        self.state = self._state()

    def set_reconciled(self) -> None:
        """The books were compared with the venue's, and every difference is accounted for."""
        self.reconciled = True
        if self.all_up:
            self._was_ready = True
        self.state = self._state()

    def set_banned(self, why: str) -> None:
        """The venue has shut us out, and until when; or empty: that is over."""
        self._banned = why
        self.state = self._state()

    def obstacles(self) -> list[Obstacle]:
        """Everything that keeps READY, or a start, away now."""
        found = [Obstacle(NotReady.BANNED, self._banned)] if self._banned else []
        found += [
            Obstacle(OF_LINK[link], self.down_why[link]) for link, up in self.up.items() if not up
        ]
        if not self.instruments_loaded:
            found.append(Obstacle(NotReady.INSTRUMENTS))
        if self.books is not None:
            found.append(self.books)
        return found

    def _state(self) -> GateState:
        if self._banned:
            return GateState.BANNED
        if self.all_up:
            return GateState.READY if self.reconciled else GateState.RECONCILING
        if self._was_ready:
            return GateState.STALE
        return GateState.CONNECTING if any(self.up.values()) else GateState.DOWN
