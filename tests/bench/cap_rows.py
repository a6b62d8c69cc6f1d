"""The row `cap`: `tests/bench/cap_decision.py` measures it in its own words; here it gets ours."""

from tests.bench import cap_decision
from tests.bench.report import Row, at_most

QUICK_ROUNDS = 12
MOONSHOT_US = 4.0


def rows(*, quick: bool) -> list[Row]:
    """The cap decision with every cap on, against a bare decision on scaled integers."""
    measured = cap_decision.rows(QUICK_ROUNDS) if quick else cap_decision.rows()
    bare, full, *grown = measured
    took = float(full["median_us"])
    return [
        Row(
            row="cap",
            name="cap decision, every cap on, hold and release",
            value=took,
            unit="µs",
            baseline_name="bare 12 checks",
            baseline=float(bare["median_us"]),
            ratio=took / float(bare["median_us"]),
            target=f"≤ {cap_decision.TARGET_US:g} µs",
            met=at_most(took, cap_decision.TARGET_US),
            moonshot=f"≤ {MOONSHOT_US:g} µs",
            moonshot_met=at_most(took, MOONSHOT_US),
            details={
                "p99_us": full["p99_us"],
                "baseline_p99_us": bare["p99_us"],
                "review_us": full["review_us"],
                "record_us": full["record_us"],
            },
        ),
        *(
            Row(
                row="cap",
                name=str(one["name"]),
                value=float(one["median_us"]),
                unit="µs",
                baseline_name="a young day, no open order",
                baseline=float(one["median_us"]) / float(one["ratio"]),
                ratio=float(one["ratio"]),
                target=f"≤ {cap_decision.FLAT:g} x",
                met=at_most(float(one["ratio"]), cap_decision.FLAT),
                details={"p99_us": one["p99_us"]},
            )
            for one in grown
        ),
    ]
