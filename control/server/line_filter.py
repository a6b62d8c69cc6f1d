"""Which journal lines a watcher wants: by event type, and by the bot that they are about.

Rules of this file:
1. A line is looked at as text: there are thousands a second. A quotation mark inside of a value is
   escaped there, so no value can pass for a field.
2. A bot's lines are those that name it, and those of its orders. Most lines of an order name the
   order alone, so the lines have to come oldest first: an approval, or a bot's answer, tells whose
   an order is.
"""

import re
from collections.abc import Callable, Iterable, Sequence

TYPE_WITHIN_BYTES = 512
ORDERS_KEPT = 10_000
"""So many orders of a bot are known to a watcher that follows for days."""
_ORDER_ID = re.compile(rb'"client_order_id":"([^"]+)"')
_OWNER = re.compile(rb'"owner":\{[^}]*\}')
"""The bot's own id of the order stands in it."""


def bot_needles(bot: str) -> tuple[bytes, bytes]:
    """What a line has that names this bot: one of these."""
    return f'"bot":"{bot}"'.encode(), f'"strategy_id":"bot:{bot}"'.encode()


def type_filter(types: Sequence[str], without: Sequence[str]) -> Callable[[bytes], bool]:
    """A test whether a line is of these types (empty: any), and not of those."""
    wanted, unwanted = (
        tuple(f'"event_type":"{name}"'.encode() for name in names) for names in (types, without)
    )

    def passes(line: bytes) -> bool:
        head = line[:TYPE_WITHIN_BYTES]
        return (not wanted or any(needle in head for needle in wanted)) and not any(
            needle in head for needle in unwanted
        )

    return passes


def bot_filter(bot: str, open_orders: Iterable[str]) -> Callable[[bytes], bool]:
    """A test whether a line is about a bot; `open_orders` are those that it is known to have."""
    needles = bot_needles(bot)
    known = dict.fromkeys(one.encode() for one in open_orders)

    def passes(line: bytes) -> bool:
        if b'"event_type":"checkpoint"' in line[:TYPE_WITHIN_BYTES]:
            return False
        if not any(needle in line for needle in needles):
            found = _ORDER_ID.search(line)
            return found is not None and found[1] in known
        known.update(dict.fromkeys(_ORDER_ID.findall(_OWNER.sub(b"", line))))
        while len(known) > ORDERS_KEPT:
            del known[next(iter(known))]
        return True

    return passes
