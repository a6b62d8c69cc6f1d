"""The closed list of what stops us: every trigger of an incident, a halt, or a restart.

Rules of this file:
1. Nothing opens an incident, halts or makes the watchdog unwell but by a name of this list. A name
   is for ever: journals and resolved incidents hold it. Never rename, only add.
2. Each says what trips it, how it is confirmed (promise P11: one event is never a storm), what
   follows, and what looking for it costs. `docs/TRIPWIRES.md` is made of this.
3. Old journals may hold names that are not here: whoever reads journals takes the name as text.
"""

from enum import StrEnum
from typing import Self

_HALT = "incident: the session halts, all orders are cancelled"
_SYMBOL = "incident of the symbol: it is blocked, the others trade on"
_REDUCE = "only reducing orders pass until it is over; no incident"
_RESTART = "systemd is no longer patted, and restarts the daemon"
_UNWELL = "`/healthz` and `status` say unwell; no restart, which would mend nothing"
_ROUND = "one look at each reconciliation"
_REPORT = "one comparison a report"
_TICK = "one look each 200 ms"
_LOOK = "one look of the watchdog's thread each 100 ms"


class StopTrigger(StrEnum):
    """What can stop us. The value is what journals, status and metrics show.

    Its other words are one row of `docs/TRIPWIRES.md`: what trips it, how it is confirmed, what
    follows, and what looking for it costs.
    """

    trips: str
    confirmation: str
    follows: str
    cost: str

    def __new__(cls, name: str, trips: str, confirmation: str, follows: str, cost: str) -> Self:
        """A member is its name; the rest is its documentation."""
        made = str.__new__(cls, name)
        made._value_ = name
        made.trips, made.confirmation, made.follows, made.cost = trips, confirmation, follows, cost
        return made

    # fmt: off
    POSITION_MISMATCH = ("position_mismatch",
        "A balance of what we trade, or one of our orders, is not what our fills make it.",
        ("The same gap in two snapshots, `confirm` (1 s) apart, that our books did not pass "
        "through meanwhile; while a fill is owed its assets wait for it, 20 s at most."),
        _HALT, _ROUND)
    TESTNET_WIPE = ("testnet_wipe",
        "Money moved without trades, and the venue does not know our last trades or orders.",
        "As for a mismatch: two snapshots.", _HALT, _ROUND)
    FOREIGN_ORDER = ("foreign_order",
        "An open order on our account, on any symbol, that is not ours.",
        "The same order in two snapshots, 1 s apart.", _HALT, _ROUND)
    LIFECYCLE = ("lifecycle",
        "A report that the table of lifecycles calls impossible or alarming.",
        "None: the order is queried at once, and the venue's word stands.", _HALT, _REPORT)
    OVERFILL = ("overfill",
        "Fills of an order add up to more than its quantity.",
        "None: each fill counts once, by its ExecId.", _HALT, _REPORT)
    UNKNOWN_OWN_ORDER = ("unknown_own_order",
        "The venue reports an order with our name that the books do not have.",
        "None: it is adopted and held; a forgotten order's echo without news is none.",
        _HALT, _REPORT)
    HISTORY_LOST = ("history_lost",
        ("The venue knows orders of ours that are later than any in the journal: it was restored "
        "from a copy, or lacks its end."),
        "None: the venue's own list, read once a run. They are counted against the caps as of now.",
        _HALT, "one page of orders a symbol, once a run")
    UNKNOWN_ORDER = ("unknown_order",
        "An order's fate is not known.",
        "Queries for 60 s without a settling answer.", _HALT, _TICK)
    CANCEL_STUCK = ("cancel_stuck",
        "An order is not gone though we cancel it.",
        "12 attempts, each followed by a query.", _HALT, _TICK)
    NOT_FLAT = ("not_flat",
        "A flattening ended with more than dust left.",
        ("Every slice that caps, filters and balance admit was tried, and a snapshot taken after "
        "the last; dust below the filters is named and is no incident."),
        "incident: names each position and what prevented it", "only at the end of a flattening")
    SYMBOL_NOT_TRADABLE = ("symbol_not_tradable",
        "The venue stops listing or trading one of our symbols.",
        ("The venue's own word (exchangeInfo), with a position or an order of ours on it; "
        "without either it is named in `status` only."),
        _SYMBOL, "one comparison each exchangeInfo (5 min)")
    STRATEGY_ERROR = ("strategy_error",
        "A strategy raises, floods, or wishes for what is not its own.",
        "None: its code is not to be trusted from there.", _HALT, "none")
    CAP_BREACH = ("cap_breach",
        ("A cap whose action halts was reached by facts: loss of session or day, a streak, "
        "executions, a position beyond its cap."),
        ("Losses: reached for `loss_confirm_ms`; streaks: in a row on one symbol, or in a row on "
        "the account."), "as its action says: halt, or halt and flatten", "one comparison a mark")
    DRAWDOWN = ("drawdown",
        "Equity has fallen from its peak by the cap.",
        "Reached for `loss_confirm_ms`.",
        "as its action says: halt, or halt and flatten", "one comparison a mark")
    REJECT_STORM = ("reject_storm",
        "The venue refuses our placements as faulty.",
        ("15 in 60 s. Answers of the business (post-only would take, no balance, market closed, a "
        "rate) do not count. A filter that moved counts once in 3 s of its symbol, not in its "
        "streak: the filters are loaded anew."),
        _HALT, "one count a refusal")
    RATE_LIMIT_STORM = ("rate_limit_storm",
        "The venue refuses for rate (429, 418, -1003, -1015).",
        "5 in 60 s.", _HALT, "one count a refusal")
    RECONNECT_STORM = ("reconnect_storm",
        "Links are lost again and again.", "6 in 300 s.", _HALT, "one count a reconnect")
    STALE_FEED = ("stale_feed",
        "No market data for 10 s on a symbol where orders are open.",
        "It stands for 3 s more.", _HALT, _TICK)
    CLOCK_SKEW = ("clock_skew",
        "Our clock and the venue's differ by more than 1 s.", "3 samples in 300 s.",
        _HALT, "one comparison a sample")
    KEY_MISUSED = ("key_misused",
        ("At the gateway somebody used the daemon's own venue key, or signed one bot's request "
        "with another bot's key: a key is in the wrong hands."),
        "None: keys and signatures are compared exactly; what is told holds no secret.",
        _HALT, "one comparison a refused request")
    LOOP_LAG = ("loop_lag",
        "The main loop is late by more than 1 s.", "3 times in 60 s.", _HALT, _LOOK)
    PROCESS_STOPPED = ("process_stopped",
        ("The whole process did not run (SIGSTOP, a frozen group, starvation) while orders of "
        "ours were open."),
        ("Our own clockwork, due each 200 ms, came 10 s late or more; a shorter gap with orders "
        "open, of 2 s or more, brings a reconciliation before trading goes on."),
        _HALT, "one comparison each 200 ms")
    JOURNAL_FAULT = ("journal_fault",
        "The journal cannot be written: no journal, no orders.",
        "None: the write has failed.", _HALT, "none")
    GATE_NOT_READY = ("gate_not_ready",
        "A link is lost, or the books are being compared.",
        "None: it ends by itself when the gate is READY again.", _REDUCE, "none")
    WATCHDOG_LOOP = ("watchdog_loop",
        "The main loop has not turned for 2 s.", "None: it is measured.", _RESTART, _LOOK)
    WATCHDOG_QUEUE = ("watchdog_queue",
        "Inputs wait for more than 2 s.", "It stands for 2 s.", _RESTART, _LOOK)
    WATCHDOG_JOURNAL = ("watchdog_journal",
        "The journal cannot be written.", "It stands for 5 s.", _UNWELL, _LOOK)
    WATCHDOG_WRITER = ("watchdog_writer",
        "Lines of the journal do not become durable.", "Nothing for 5 s.", _RESTART, _LOOK)
    WATCHDOG_GATE = ("watchdog_gate",
        "The gate is not READY while a session is on.", "It stands for 120 s.", _RESTART, _LOOK)
    WATCHDOG_RECONCILIATION = ("watchdog_reconciliation",
        "No reconciliation for three periods and 30 s while READY.", "It stands for 30 s.",
        _RESTART, _LOOK)
    WATCHDOG_CLOCK = ("watchdog_clock",
        "Our clock is more than 1 s from the venue's.", "It stands for 120 s.", _RESTART, _LOOK)
    # fmt: on
