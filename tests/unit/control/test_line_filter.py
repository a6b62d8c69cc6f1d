"""Which lines are a bot's: a parser that knows each order's owner judges the text filter."""

import random
from typing import Any

import orjson

from control.server.line_filter import ORDERS_KEPT, bot_filter, type_filter

BOTS = ("one", "two", "one-more")


def world(seed: int) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Lines of three bots and a strategy, and the owner of each order."""
    rng = random.Random(seed)
    lines: list[dict[str, Any]] = []
    owners: dict[str, str] = {}
    for number in range(400):
        who = rng.choice((*BOTS, "quoter"))
        is_bot = who != "quoter"
        line: dict[str, Any] = {"event_type": "clock", "offset_ns": 1}
        match rng.randrange(6):
            case 0:
                order = f"stx{number}"
                owners[order] = who
                line = {
                    "event_type": "order_approved",
                    "client_order_id": order,
                    "strategy_id": f"bot:{who}" if is_bot else who,
                }
                if is_bot:
                    # A bot's own id of an order may be what another's order is called here.
                    theirs = rng.choice([*owners, "a"])
                    line["owner"] = {"bot": who, "client_order_id": theirs, "request": 1}
            case 1 | 2 if owners:
                line = {"event_type": "fill", "client_order_id": rng.choice([*owners])}
            case 3 if is_bot:
                line = {"event_type": "bot_switched", "bot": who, "reason": "x"}
            case 4 if is_bot:
                line = {"event_type": "command", "reason": f'says "bot":"{who}" itself'}
            case _:
                pass
        lines.append({"seq": number, **line})
    return lines, owners


def is_about(line: dict[str, Any], bot: str, owners: dict[str, str]) -> bool:
    order = line.get("client_order_id", "")
    return line.get("bot") == bot or owners.get(order) == bot


def test_a_bots_lines_are_those_that_name_it_and_those_of_its_orders() -> None:
    for seed in range(30):
        lines, owners = world(seed)
        for bot in BOTS:
            passes = bot_filter(bot, ())
            shown = [line["seq"] for line in lines if passes(orjson.dumps(line))]
            assert shown == [line["seq"] for line in lines if is_about(line, bot, owners)]
            assert shown


def test_orders_from_before_are_known_from_the_snapshot() -> None:
    passes = bot_filter("one", ["st1"])
    assert passes(b'{"seq":1,"event_type":"fill","client_order_id":"st1"}')
    assert not passes(b'{"seq":2,"event_type":"fill","client_order_id":"st2"}')


def test_a_checkpoint_is_nobodys_and_what_is_known_is_bounded() -> None:
    passes = bot_filter("one", [str(number) for number in range(ORDERS_KEPT)])
    assert not passes(b'{"seq":1,"event_type":"checkpoint","state":{"bot":"one"}}')
    assert passes(
        b'{"seq":2,"event_type":"bot_answered","bot":"one","o":[{"client_order_id":"n"}]}'
    )
    assert passes(b'{"seq":3,"event_type":"fill","client_order_id":"n"}')
    assert not passes(b'{"seq":4,"event_type":"fill","client_order_id":"0"}')  # the oldest


def test_types_are_read_where_the_envelope_has_them() -> None:
    passes = type_filter(["fill"], ["input"])
    assert passes(b'{"seq":1,"event_type":"fill"}')
    assert not passes(b'{"seq":1,"event_type":"input"}')
