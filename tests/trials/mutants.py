"""Which fault of the bot each trial must find: (trials, what is broken, with streams)."""

GATE_MUTANTS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("denials", "kill"), "backs-off"),
    (("kill",), "heeds-cancels"),
)
"""The same of the trials of the gate: (trials that find it and no other, what is broken)."""

MUTANTS: tuple[tuple[tuple[str, ...], tuple[str, ...], bool], ...] = (
    (("calm",), ("on-grid",), False),
    (
        ("slow-answers", "answer-lost", "server-error-executed", "executed-late"),
        ("asks-first",),
        False,
    ),
    (
        (
            "request-lost",
            "overloaded",
            "firewall-403",
            "symbol-delisted",
            "venue-restart",
            "network-cut",
        ),
        ("resumes",),
        False,
    ),
    (
        ("refused-for-ever", "symbol-halted", "tick-changed", "balance-gone"),
        ("backs-off", "stale"),
        False,
    ),
    (("limit-429", "ban-418"), ("obeys",), False),
    (("user-stream-dropped",), ("polls", "reconnects"), True),
    (("user-stream-silent", "testnet-wipe"), ("polls",), True),
    (("user-stream-doubled",), ("dedupes",), True),
    (("user-stream-reordered",), ("in-sequence",), True),
    (("cancelled-from-outside",), ("hears-cancels",), True),
    (("market-stream-dropped",), ("market-stream",), True),
    (("depth-gap",), ("book",), True),
    (("market-data-stale",), ("stale",), False),
    (("clock-step",), ("clock",), False),
    (("partial-fill", "dust"), ("counts-parts",), False),
    (("fee-in-third-asset",), ("any-fee",), False),
    (("foreign-order",), ("own-only",), False),
    (("price-jump", "suspended"), ("fresh",), False),
    (("empty-book",), ("empty",), False),
    (("order-rate",), ("small-steps",), False),
    (("disk-full",), ("logs",), False),
    (("killed-and-restarted",), ("takes-over",), False),
    (("ended-in-order",), ("cleans-up",), False),
)
