"""Lies about the venue's books, and bots (see liar_story.py)."""

import copy

from tests.support.liar_story import TESTNET, Story, lie, make_good


# ---------------------------------------------------------------------- the books
@lie
def an_order_of_anothers(told: Story) -> None:
    """The venue's books have an order of this box that the record does not know."""
    row = copy.deepcopy(told.books["orders"][0])
    cid = row["client_order_id"]
    row.update(client_order_id=f"{cid[:12]}zzzzz{cid[17:]}", order_id=9_999_999)
    told.books["orders"].append(row)


@lie
def books_without_balances(told: Story) -> None:
    """The venue's books are shown without balances."""
    del told.books["balances"]


@lie
def books_without_fills(told: Story) -> None:
    """The venue's books are shown without trades."""
    del told.books["fills"]


@lie
def books_without_orders(told: Story) -> None:
    """The venue's books are shown without orders."""
    del told.books["orders"]


@lie
def books_of_a_simulator(told: Story) -> None:
    """The books are a simulator's under the testnet's name."""
    told.books["faults"] = {}


@lie
def a_balance_is_made_up(told: Story) -> None:
    """The balance at the beginning is what explains the end."""
    told.books["initial_balances"]["USDT"] = "900000"


@lie
def books_of_another_venue(told: Story) -> None:
    """The books name another venue than the record."""
    told.books["source"]["environment"] = "binance-spot"
    assert TESTNET != "binance-spot"


# ---------------------------------------------------------------------- bots
@lie
def a_request_goes(told: Story) -> None:
    """A bot's order was nobody's: the request is taken out."""
    place = told.first("order_approved", owner=bool)
    request = told.lines[place]["owner"]["request"]
    told.take_out(
        lambda line: line["event_type"] == "input" and line["input"].get("request") == request
    )


@lie
def a_bots_denial_goes_with_every_total(told: Story) -> None:
    """A refusal of a bot's wish is taken out, and every total is made good."""
    del told.lines[told.first("order_denied", owner=bool)]
    make_good(told)


@lie
def a_bot_was_not_refused(told: Story) -> None:
    """What was refused at a bot's door is taken out."""
    del told.lines[told.first("bot_refused", kind="place")]


@lie
def a_bots_answer_was_another(told: Story) -> None:
    """A bot was told another state of its order than the record has."""
    place = told.first("bot_answered", orders=bool)
    told.lines[place]["orders"][0]["client_order_id"] = "stabc123o0010000000x"


@lie
def an_order_changes_its_bot(told: Story) -> None:
    """An order that lost money is given to the other bot."""
    line = told.lines[told.first("order_approved", owner=bool)]
    bot = "cx" if line["owner"]["bot"] == "ft" else "ft"
    line["owner"]["bot"] = bot
    line["strategy_id"] = line["decision"]["strategy_id"] = f"bot:{bot}"


@lie
def a_request_asked_for_less(told: Story) -> None:
    """A bot's request is made to ask for another side than left."""
    place = told.first("order_approved", owner=bool, terms=None)
    request = told.lines[place]["owner"]["request"]
    where = told.first("input", input=lambda one: one.get("request") == request)
    asked = told.lines[where]["input"]
    asked = asked.get("place") or asked.get("orders", [asked])[0]
    asked["side"] = "BUY" if asked["side"] == "SELL" else "SELL"


@lie
def a_leg_was_never_asked_for(told: Story) -> None:
    """Of a list's orders one stands no more in the bot's request; both legs left."""
    names = {
        line["owner"]["request"] for line in told.of_kind("order_approved") if line.get("owner")
    }
    place = told.first(
        "input", input=lambda one: one["type"] == "BotPlaceList" and one["request"] in names
    )
    told.lines[place]["input"]["orders"].pop()


@lie
def a_bot_is_not_the_sessions(told: Story) -> None:
    """A session's start does not name the bot whose orders are in it."""
    told.first("order_approved", owner=bool)
    for start in told.of_kind("session_start"):
        start["bots"] = []
