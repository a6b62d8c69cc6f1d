"""Named fault scripts, for `--faults NAME` and `POST /sim/faults {"preset": NAME}`."""

from daemon.venues.sim.fault_rules import EXPLANATIONS, FaultKind, FaultRule, Param


def _each(kind: FaultKind, rate: float, **params: Param) -> FaultRule:
    return FaultRule(kind=kind, rate=rate, params=params)


def _once(kind: FaultKind, at_ms: int, **params: Param) -> FaultRule:
    return FaultRule(kind=kind, at_ms=at_ms, params=params)


PRESETS: dict[str, tuple[str, tuple[FaultRule, ...]]] = {
    "none": ("no faults", ()),
    "latency": (
        "slow answers and slow user events",
        (
            _each(FaultKind.DELAY_ANSWER, 0.5, ms_min=50, ms_max=800),
            _each(FaultKind.DELAY_REQUEST, 0.1, ms_min=50, ms_max=1_500),
            _each(FaultKind.DELAY_EVENT, 0.3, ms_min=50, ms_max=600),
        ),
    ),
    "duplicates": (
        "user events twice, out of order, fills after their order's cancel",
        (
            _each(FaultKind.DUPLICATE_EVENT, 0.3),
            _each(FaultKind.REORDER_EVENT, 0.2, ms=250),
            _each(FaultKind.LATE_FILL, 0.4, ms=700),
        ),
    ),
    "disconnects": (
        "sockets cut a few times a minute, and announced shutdowns",
        (
            _once(FaultKind.ABRUPT_CLOSE, 7_000, target="user"),
            _once(FaultKind.SERVER_SHUTDOWN, 12_000, ms=1500),
            _each(FaultKind.ABRUPT_CLOSE, 3.0, target="user"),
            _each(FaultKind.ABRUPT_CLOSE, 2.0, target="market"),
            _each(FaultKind.SERVER_SHUTDOWN, 1.0, ms=1500),
        ),
    ),
    "unknown": (
        "answers that never come or say nothing, with and without execution",
        (
            _each(FaultKind.DROP_ANSWER, 0.04),
            _each(FaultKind.DROP_REQUEST, 0.03),
            _each(FaultKind.UNKNOWN_1007_AFTER, 0.04),
            _each(FaultKind.UNKNOWN_1007_BEFORE, 0.03),
            _each(FaultKind.ERROR_5XX_AFTER, 0.03),
            _each(FaultKind.ERROR_5XX_BEFORE, 0.03),
            _each(FaultKind.DELAY_REQUEST, 0.03, ms_min=1_000, ms_max=4_500),
        ),
    ),
    "ratelimit": (
        "429 now and then, a short 418 ban, overload",
        (
            _once(FaultKind.LIMIT_429, 9_000, seconds=3),
            _each(FaultKind.LIMIT_429, 2.0, seconds=3),
            _once(FaultKind.BAN_418, 20_000, seconds=5),
            _each(FaultKind.OVERLOAD_1008, 0.03),
        ),
    ),
    "halfopen": (
        "sockets that stay open and say nothing",
        (
            _once(FaultKind.HALF_OPEN, 8_000, target="user", seconds=20),
            _once(FaultKind.HALF_OPEN, 25_000, target="market", seconds=20),
            _once(FaultKind.MUTE, 45_000, target="all", seconds=8),
        ),
    ),
    "wipe": ("a testnet wipe after 15 seconds", (_once(FaultKind.WIPE, 15_000),)),
    "clock": (
        "the venue's clock steps forth and back",
        (
            _once(FaultKind.CLOCK_STEP, 8_000, step_ms=7_000, seconds=10),
            _once(FaultKind.CLOCK_STEP, 28_000, step_ms=-3_000, seconds=10),
        ),
    ),
    "halt": (
        "a symbol halts, another becomes cancel-only, a filter changes",
        (
            _once(FaultKind.HALT_SYMBOL, 8_000, seconds=8),
            _once(FaultKind.CANCEL_ONLY, 20_000, seconds=8),
            _once(FaultKind.FILTER_CHANGE, 32_000, factor=4, seconds=20),
        ),
    ),
    "foreign": (
        "somebody else trades on our account",
        (_once(FaultKind.FOREIGN_ORDER, 6_000),),
    ),
    "partial_outage": (
        "market streams down, then the WebSocket API, then REST, each while the rest is up",
        (
            _once(FaultKind.STREAM_OUTAGE, 8_000, seconds=6),
            _once(FaultKind.WS_API_OUTAGE, 22_000, seconds=6),
            _once(FaultKind.REST_OUTAGE, 36_000, seconds=6),
            _once(FaultKind.DEPTH_GAP, 15_000),
        ),
    ),
    "waf": (
        "HTTP 403 pages from the firewall in front of REST",
        (
            FaultRule(
                kind=FaultKind.WAF_403,
                rate=0.5,
                from_ms=6_000,
                purposes=("place", "cancel", "query"),
            ),
        ),
    ),
    "storm": (
        "a bit of everything that a bad day brings, but no wipe and no foreign order",
        (
            _each(FaultKind.DELAY_ANSWER, 0.1, ms_min=50, ms_max=500),
            _each(FaultKind.DROP_ANSWER, 0.02),
            _each(FaultKind.DROP_REQUEST, 0.02),
            _each(FaultKind.UNKNOWN_1007_AFTER, 0.02),
            _each(FaultKind.ERROR_5XX_BEFORE, 0.02),
            _each(FaultKind.DUPLICATE_EVENT, 0.1),
            _each(FaultKind.REORDER_EVENT, 0.1, ms=200),
            _each(FaultKind.LATE_FILL, 0.1, ms=500),
            _once(FaultKind.ABRUPT_CLOSE, 12_000, target="user"),
            _each(FaultKind.ABRUPT_CLOSE, 2.0, target="user"),
            _each(FaultKind.ABRUPT_CLOSE, 2.0, target="market"),
            _once(FaultKind.LIMIT_429, 18_000, seconds=2),
        ),
    ),
}


def menu() -> str:
    """What `seatrial sim --faults list` prints."""
    width = max(len(kind) for kind in EXPLANATIONS)
    lines = ["Presets:"]
    lines += [f"  {name:<{width}}  {text}" for name, (text, _) in PRESETS.items()]
    lines += ["", "Kinds, for scripts over POST /sim/faults:"]
    lines += [f"  {kind:<{width}}  {text}" for kind, text in EXPLANATIONS.items()]
    return "\n".join(lines)
