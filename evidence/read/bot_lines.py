"""The lines about bots as typed values, and with them every line type (evidence/read/journal_lines.py)."""

from typing import Any

from daemon.model.records import EventType
from evidence.read import journal_lines
from evidence.read.journal_lines import TAG, JournalLine


class BotInputLine(JournalLine, tag_field=TAG, tag=EventType.INPUT.value, kw_only=True):
    """A bot's request, the one kind of input that the accountant reads."""

    input: dict[str, Any]


class BotRefusedLine(JournalLine, tag_field=TAG, tag=EventType.BOT_REFUSED.value, kw_only=True):
    """A request of a bot that the door did not let through."""

    bot: str
    request: int
    kind: str = ""
    client_order_id: str = ""
    symbol: str = ""
    refusal: str
    msg: str = ""


class BotAnsweredLine(JournalLine, tag_field=TAG, tag=EventType.BOT_ANSWERED.value, kw_only=True):
    """What a bot was told of its request."""

    bot: str
    request: int
    kind: str = ""
    orders: tuple[dict[str, Any], ...] = ()
    refused: str = ""
    wait_ns: int = 0


class BotSwitchedLine(JournalLine, tag_field=TAG, tag=EventType.BOT_SWITCHED.value, kw_only=True):
    """A bot may place, or may not, from here on."""

    bot: str
    state: str
    reason: str = ""
    by: str = ""


class BotThrottledLine(JournalLine, tag_field=TAG, tag=EventType.BOT_THROTTLED.value, kw_only=True):
    """So many requests of a bot were refused for their rate."""

    bot: str
    count: int


_TAGS = frozenset(kind.value for kind in EventType)
RECORD_CLASSES: tuple[type[JournalLine], ...] = (
    *(
        kind
        for kind in vars(journal_lines).values()
        if isinstance(kind, type) and issubclass(kind, JournalLine)
        if kind.__struct_config__.tag in _TAGS
    ),
    BotRefusedLine,
    BotAnsweredLine,
    BotSwitchedLine,
    BotThrottledLine,
)
"""Every line type; a test holds it equal to `EventType`. `BotInputLine` is an input, read on demand."""
