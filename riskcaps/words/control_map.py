"""The control map: each clause of the control list, what meets it, and the tests that prove it.

Rules of this file:
1. A clause is met by a named cap or drill with tests, or is out of scope with a reason. There is no
   third answer, and a test refuses a row whose tests are not there.
2. A number is for ever: denials and `docs/CONTROLS.md` name it. New clauses go to the end.
"""

from collections.abc import Mapping

import msgspec

_RULES = "tests/unit/riskcaps/test_rules.py"
_CLOSED = "tests/unit/riskcaps/test_fail_closed.py"
_HOLDS = "tests/unit/riskcaps/test_holds.py"
_LOSSES = "tests/unit/riskcaps/test_losses.py"
_CAPSET = "tests/unit/riskcaps/test_capset.py"
_DURABLE = "tests/unit/riskcaps/test_durable.py"
_ORACLE = "tests/property/riskcaps/test_gate_against_oracle.py"
_SCOPES = "tests/property/riskcaps/test_small_scopes.py"
_SEEDS = "tests/sim/test_seeds.py"
_DEMO = "tests/integration/test_demo.py"
_STOP = "tests/integration/test_stop_roads.py"
_EMERGENCY = "tests/integration/test_emergency_stop.py"
_ROLES = "tests/integration/test_control_roles.py"
_CONFIRM = "tests/integration/test_control_confirm.py"
_RECHECK = "tests/unit/evidence/test_recheck.py"
_PROMOTE = "tests/integration/test_promote.py"


class Clause(msgspec.Struct, frozen=True):
    """One clause. `tests` are paths, or `path::test`; `out_of_scope` is a reason, or empty."""

    number: int
    source: str
    asks: str
    met_by: str
    tests: tuple[str, ...]
    out_of_scope: str = ""


def _out(number: int, source: str, asks: str, why: str) -> Clause:
    return Clause(number, source, asks, "", (), why)


CLAUSES: tuple[Clause, ...] = (
    Clause(1, "RTS 6 Art 5(2), 5(7)", "authorised deployment, change record",
           "`session_start` binds version, config, caps and account; promotion and arming by name",
           (_PROMOTE, _CONFIRM)),
    Clause(2, "RTS 6 Art 6", "conformance testing with each venue",
           "one contract suite for every venue; public clients against the simulated one",
           ("tests/contract/test_venue_contract.py", "tests/clients/test_ccxt.py")),
    Clause(3, "RTS 6 Art 7", "separated test environment",
           "testnet hosts in a frozen table, live hosts behind four gates",
           ("tests/unit/venues/test_hosts.py", "tests/property/control/test_gating_properties.py")),
    Clause(4, "RTS 6 Art 8", "predefined limits on instruments, price, value, number, positions",
           "every cap of `[caps]`; unset denies", (_CAPSET, _CLOSED, _RULES)),
    Clause(5, "RTS 6 Art 9", "annual self-assessment and validation report",
           "promotion report over sessions; the firm's yearly sign-off is its own", (_PROMOTE,)),
    Clause(6, "RTS 6 Art 10", "stress test at twice the highest volume",
           "seeded simulation with faults; rows of `make bench`",
           (_SEEDS, "tests/bench/test_bench.py")),
    Clause(7, "RTS 6 Art 11", "material-change approval",
           "a changed code, config, caps or account hash restarts the count of sessions",
           ("tests/unit/evidence/test_promotion.py",)),
    Clause(8, "RTS 6 Art 12", "kill: cancel all at once; know whose order it is",
           "kill, cancel-all, emergency stop; `strategy_id` on every order; `not_owner`",
           (_STOP, _EMERGENCY, _RULES)),
    Clause(9, "RTS 6 Art 13(7), (9)", "replay and analysis; log reconciliation",
           "hash-chained journal, replay, cross-check against the venue's ledger",
           ("tests/unit/shell/test_journal.py", _DEMO)),
    Clause(10, "RTS 6 Art 14", "orderly shutdown, continuity",
           "SIGTERM and SIGKILL drills; recovery is the only start",
           ("tests/integration/test_daemon_process.py", "tests/unit/core/test_recovery.py")),
    Clause(11, "RTS 6 Art 15(1)(a)", "price collars",
           "`collar_bps_max`, PERCENT_PRICE", (_RULES, _ORACLE)),
    Clause(12, "RTS 6 Art 15(1)(b)", "maximum order value",
           "`order_notional_quote_max`, `traded_notional_per_day_numeraire_max`",
           (_RULES, _ORACLE)),
    Clause(13, "RTS 6 Art 15(1)(c)", "maximum order volume",
           "`order_qty_base_max`, `traded_qty_per_day_base_max`", (_RULES, _ORACLE)),
    Clause(14, "RTS 6 Art 15(1)(d)", "maximum messages",
           "orders, cancels, messages with a reserve for cancels, venue budget, order-to-trade",
           (_RULES, _ORACLE, "tests/unit/shell/test_governor.py")),
    Clause(15, "RTS 6 Art 15(2)", "every order sent counts at once",
           "held and counted before the bytes leave, unknown ones too; durable",
           (_HOLDS, _DURABLE, _SCOPES)),
    Clause(16, "RTS 6 Art 15(3)", "repeated automated execution throttle",
           "`executions_without_human_max`, re-enable by name",
           (f"{_LOSSES}::test_executions_throttle_until_a_named_human_re_enables",)),
    Clause(17, "RTS 6 Art 15(4)", "limits by capital, tolerance, instrument",
           "caps per symbol and portfolio, `balance_free_min`", (_RULES, _CAPSET)),
    Clause(18, "RTS 6 Art 15(5)", "block when own thresholds are at risk",
           "loss caps with actions, streaks, REDUCING, blocked symbols", (_LOSSES, _RULES)),
    Clause(19, "RTS 6 Art 15(6)", "override: exceptional, verified, by name",
           "there is no override: caps only tighten; loosening is a config and a restart",
           (f"{_CAPSET}::test_anything_else_is_refused",)),
    Clause(20, "RTS 6 Art 16", "monitoring by another function, alerts within 5 s",
           "pre-alert bands, metrics, alert rules",
           (_LOSSES, "tests/unit/shell/test_metrics.py", "tests/system/test_alert_latency.py")),
    Clause(21, "RTS 6 Art 17(1)-(5)", "reconcile own log with the venue; exposure, long and short",
           "reconciliation, worst-case positions of each side",
           ("tests/unit/core/test_reconcile.py", _HOLDS, _ORACLE)),
    Clause(22, "RTS 6 Art 18", "traceable access, penetration test",
           "identity from the kernel, roles, every command journalled; hostile clients",
           (_ROLES, "tests/integration/test_control_hostile.py")),
    _out(23, "RTS 7 Art 18, 20", "venue-side kill and pre-trade controls",
         "obligations of the venue; seatrial is a participant"),
    Clause(24, "RTS 25", "clock within 1 ms of UTC",
           "`clock_offset_ms_max` and `clock_age_ms_max` deny; the host's clock is the operator's",
           (_CLOSED, _ORACLE)),
    Clause(25, "SEC 15c3-5(b)", "documented, preserved system of controls",
           "this map, tables of caps and denials, caps hash in decisions", (_CAPSET, _RECHECK)),
    Clause(26, "SEC 15c3-5(c)(1)(i)", "aggregate credit and capital thresholds",
           "gross and net exposure, balances after holds, drawdown", (_RULES, _ORACLE)),
    Clause(27, "SEC 15c3-5(c)(1)(ii)", "erroneous or duplicative orders",
           "order caps, collar, venue filters, duplicates, self-trades", (_RULES, _ORACLE)),
    Clause(28, "SEC 15c3-5(c)(2)", "restricted products, authorised access, reports at once",
           "allowed symbols, sides, types; roles; fills journalled in the turn they arrive",
           (_RULES, _ROLES)),
    Clause(29, "SEC 15c3-5(d)", "direct and exclusive control of the limits",
           "the interceptor is the only mint; no bypass flag",
           ("tests/architecture/test_mint.py", _CAPSET)),
    _out(30, "SEC 15c3-5(e)", "annual review and the CEO's certification",
         "an act of the firm; seatrial supplies the evidence for it"),
    Clause(31, "SEC order 34-70694 (Knight)", "orders leaving against entering; ignored alerts",
           "re-decidable journal, reject streak, incidents to resolve before the next start",
           (_RECHECK, _LOSSES, "tests/unit/core/test_session.py")),
    Clause(32, "FINRA 15-09", "quick disable, small-size pilot, change management",
           "kill, `live-pilot.toml`, hashes in `session_start`", (_STOP, _CAPSET)),
    Clause(33, "FIA 2015", "no limit is a block; position with working orders; data checks",
           "unset denies; worst case; stale, crossed and missing data deny", (_CLOSED, _HOLDS)),
    Clause(34, "FIA 2024", "order size, position, price tolerance, cancel on disconnect, kill",
           "caps, stop on disconnect, kill, drop-copy by reconciliation",
           (_RULES, _STOP, "tests/unit/core/test_session_control.py")),
    Clause(35, "CME GC2", "open and filled count; new starts at zero",
           "worst-case exposure; an empty config denies everything", (_HOLDS, _CLOSED)),
    Clause(36, "CME kill switch", "one step, typed reject naming who enforced it",
           "`halt_flag_closed` with its reason; latched kill", (_CLOSED, _STOP)),
    Clause(37, "CME cancel on disconnect, messaging controls", "reject on excess rate",
           "message rates over rolling windows, cancels reserved", (_RULES, _ORACLE)),
    Clause(38, "Nasdaq Nordic PRM", "fat finger, accumulated value and quantity, repeated orders",
           "order caps, day's turnover, rates per symbol, duplicates", (_RULES, _ORACLE)),
    Clause(39, "Nasdaq Equity 6", "pre-alert at 70 %",
           "bands at 70, 85 and 100 % with hysteresis, before anything is denied",
           (f"{_LOSSES}::test_bands_rise_before_anything_is_denied_and_fall_with_hysteresis",)),
    Clause(40, "NI 23-103, UMIR 7.1", "value of unexecuted orders is limited",
           "working, in flight and unknown orders count at their worst price", (_HOLDS, _ORACLE)),
)  # fmt: skip


def control_map_table(outcomes: Mapping[str, str] | None = None) -> str:
    """`docs/CONTROLS.md`: the map as Markdown.

    Args:
        outcomes: what a test run said of each path or `path::test` (for example "24 passed");
            without it the tests are named only.
    """
    lines = [
        "| # | clause | asks for | met by | proved by |",
        "|---|---|---|---|---|",
    ]
    for clause in CLAUSES:
        if clause.out_of_scope:
            met, proved = f"out of scope: {clause.out_of_scope}", "-"
        else:
            met = clause.met_by
            proved = "<br>".join(_proof(test, outcomes) for test in clause.tests)
        lines.append(f"| {clause.number} | {clause.source} | {clause.asks} | {met} | {proved} |")
    return "\n".join(lines) + "\n"


def _proof(test: str, outcomes: Mapping[str, str] | None) -> str:
    if outcomes is None:
        return f"`{test}`"
    return f"`{test}`: {outcomes.get(test, 'NOT RUN')}"
