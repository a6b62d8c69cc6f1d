"""The calls that an order costs are bounded: what makes one dearer shows here, on any machine."""

from tests.bench.order_calls import counts

BOUNDS = {
    "wish to bytes": 66,
    "tick, answered": 200,
    "report: new": 78,
    "report: partial fill": 152,
    "report: last fill": 161,
}
"""Python calls on CPython 3.11: what was reached (61, 189, 72, 142, 151) and a little. Lower a
bound when you beat it."""


def test_an_order_costs_no_more_calls_than_it_did() -> None:
    # The cheapest of many: on a slow machine more time passes, and more has to be tidied up.
    python = {what: min(found)[0] for what, found in counts().items()}
    assert python.keys() == BOUNDS.keys()
    assert {what: calls for what, calls in python.items() if calls > BOUNDS[what]} == {}
