"""docs/gateway-refusals.md is the code's, and no reason of the house is without a row.

Write it anew: `python -m tests.architecture.test_gateway_refusals`.
"""

from daemon.model.bots import BotRefusal
from daemon.venues.binance_spot.serving.refusals import BOT_RULES, WORDED, refusals_table
from riskcaps.words.denials import DenyReason
from tests.architecture.tree import ROOT

PAGE = ROOT / "docs" / "gateway-refusals.md"
HEAD = """# What a bot is told when the gateway refuses

A bot trades through the gateway in the venue's own protocol, so a refusal is an error in that
protocol, with a code that its library understands. The venue's documented words stay as they are,
because libraries match them. Words of our own follow `seatrial:`: the reason, then the cap, what
is used and the limit. A placement that was refused was never sent; it is never answered with a 5xx.

Generated (`python -m tests.architecture.test_gateway_refusals`); a test fails when it is stale.

"""


def page() -> str:
    return HEAD + refusals_table(reason.value for reason in DenyReason)


def test_every_reason_of_the_caps_has_a_row_and_all_words_a_reason() -> None:
    reasons = {reason.value for reason in DenyReason}
    assert set(WORDED) < reasons
    assert all(f"\n| `{reason}` |" in PAGE.read_text() for reason in reasons)


def test_every_reason_of_the_bots_own_rules_has_a_row() -> None:
    assert set(BOT_RULES) == set(BotRefusal)


def test_the_page_is_not_stale() -> None:
    assert PAGE.read_text() == page(), "python -m tests.architecture.test_gateway_refusals"


if __name__ == "__main__":
    PAGE.write_text(page())
