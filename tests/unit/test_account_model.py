"""Account models: spot's arithmetic against the fills' sums, and lines that stay as they were."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.model.account_model import SPOT_ACCOUNT, account_of
from daemon.model.copies import replace
from daemon.model.enums import Side
from daemon.model.instrument import Instrument
from daemon.model.plain_values import from_plain, to_plain
from evidence.folds.account_models import SpotBooks as EvidenceSpot
from evidence.folds.account_models import account_of as evidence_account_of
from tests.support.builders import fill, instrument

AMOUNTS = st.decimals("0.00001", "1000", places=5)


@given(qty=AMOUNTS, price=AMOUNTS, fee=AMOUNTS, side=st.sampled_from(Side))
def test_a_fill_moves_base_for_quote_and_the_accountant_says_the_same(
    qty: Decimal, price: Decimal, fee: Decimal, side: Side
) -> None:
    one = replace(fill("c", 1, "1"), qty=qty, price=price, fee=fee, fee_asset="BNB", side=side)
    moves = SPOT_ACCOUNT.moves(instrument(), one)
    sign = 1 if side is Side.BUY else -1
    assert moves == {"BTC": sign * qty, "USDT": -sign * qty * price, "BNB": -fee}
    theirs = EvidenceSpot().moves(("BTC", "USDT"), qty, price, is_buy=side is Side.BUY)
    assert theirs == {asset: moves[asset] for asset in ("BTC", "USDT")}
    asset, need = SPOT_ACCOUNT.cost(instrument(), side, qty, price)
    assert need == EvidenceSpot().cost(qty, price, is_buy=side is Side.BUY)
    assert (asset, need) == (("USDT", qty * price) if side is Side.BUY else ("BTC", qty))


def test_a_fee_in_what_was_traded_is_taken_from_it() -> None:
    one = replace(fill("c", 1, "1"), side=Side.BUY, fee=Decimal("0.1"), fee_asset="BTC")
    assert SPOT_ACCOUNT.moves(instrument(), one)["BTC"] == one.qty - Decimal("0.1")


def test_a_kind_that_nobody_knows_is_no_spot() -> None:
    strange = instrument(kind="perpetual")
    with pytest.raises(ValueError, match="no account model for 'perpetual'"):
        account_of(strange)
    assert evidence_account_of(to_plain(strange)) is None
    assert account_of(instrument()) is SPOT_ACCOUNT


def test_lines_of_spot_do_not_say_their_kind_and_old_lines_read() -> None:
    line = to_plain(instrument())
    assert "kind" not in line
    assert from_plain(Instrument, line) == instrument()
    told = to_plain(instrument(kind="perpetual"))
    assert told["kind"] == "perpetual"
    assert from_plain(Instrument, told).kind == "perpetual"
