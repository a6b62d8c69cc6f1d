"""A bot's position: whatever is traded, the money adds up, and its plain form loses nothing."""

import json
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from daemon.core.bots.bot_accounts import BotPosition
from daemon.model.enums import Side
from daemon.model.plain_values import from_plain, to_plain

TRADES = st.lists(
    st.tuples(
        st.sampled_from(Side),
        st.decimals("0.001", 5, places=3),
        st.decimals("0.01", 1000, places=2),
    ),
    max_size=30,
)
NEARLY_NOTHING = Decimal("1e-40")
"""An average is a quotient of 64 digits."""


@given(TRADES)
def test_cash_is_what_was_realised_less_what_the_rest_cost(
    trades: list[tuple[Side, Decimal, Decimal]],
) -> None:
    position, cash, qty = BotPosition(), Decimal(0), Decimal(0)
    for side, amount, price in trades:
        sign = 1 if side is Side.BUY else -1
        before = position.qty
        gained = position.trade(side, amount, price)
        assert (gained is not None) == (before * sign < 0), "only what closes realises"
        cash -= sign * amount * price
        qty += sign * amount
        assert position.qty == qty
        assert position.cost == 0 or (position.cost > 0) == (qty > 0)
    assert abs(position.realised - position.cost - cash) < NEARLY_NOTHING


@given(TRADES)
def test_its_plain_form_is_the_same_position(trades: list[tuple[Side, Decimal, Decimal]]) -> None:
    position = BotPosition()
    for side, amount, price in trades:
        position.trade(side, amount, price)
    assert from_plain(BotPosition, json.loads(json.dumps(to_plain(position)))) == position
