"""How one execution event counts: error, anomaly, both or neither.

The launch procedure's own rules, for events of any stack:
1. Text is compared without case and surrounding blanks.
2. The type is `event_type`, unless that is empty, then `type`; the level is the first of `level`,
   `severity`, `log_level` that is not empty.
3. error: flag `is_error`, or an error level, or an error type.
4. anomaly: flag `is_anomaly`, or an anomaly type, or a warning level.
5. A false flag cancels nothing: an event cannot talk itself out of its level or its type.
"""

from collections.abc import Mapping

import msgspec

ERROR_LEVELS = frozenset({"error", "fatal", "critical"})
WARNING_LEVELS = frozenset({"warning", "warn"})
ERROR_TYPES = frozenset({"order_error", "fill_error", "exchange_error"})
ANOMALY_TYPES = frozenset(
    {"rate_limit", "reconnect", "timeout", "partial_fill", "cancel_replace", "order_reject"}
)
TRUE_WORDS = frozenset({"1", "true", "yes", "y", "t"})
FALSE_WORDS = frozenset({"", "0", "false", "no", "n", "f"})


class EventClass(msgspec.Struct, frozen=True):
    """What one event is."""

    is_error: bool
    is_anomaly: bool


def word(value: object) -> str:
    """A field's text for comparison; absent, null, zero and false are empty."""
    if not value:
        return ""
    return str(value).strip().lower()


def first_word(event: Mapping[str, object], *names: str) -> str:
    """The first field of `names` that is not empty."""
    for name in names:
        text = word(event.get(name))
        if text:
            return text
    return ""


def event_type_of(event: Mapping[str, object]) -> str:
    """The event's type in lower case; empty when it has none."""
    return first_word(event, "event_type", "type")


def level_of(event: Mapping[str, object]) -> str:
    """The event's level in lower case; empty when it has none."""
    return first_word(event, "level", "severity", "log_level")


def is_true(flag: object) -> bool:
    """Whether a flag is set: true, 1, "1", "true", "yes", "y", "t"; nothing else is."""
    return word(flag) in TRUE_WORDS


def is_plain_flag(flag: object) -> bool:
    """Whether a flag says yes or no in a known way; an unknown word counts as no, and is told."""
    return word(flag) in TRUE_WORDS | FALSE_WORDS


def classify(event: Mapping[str, object]) -> EventClass:
    """Judge one event; never raises, whatever the fields hold."""
    level = level_of(event)
    event_type = event_type_of(event)
    return EventClass(
        is_error=is_true(event.get("is_error"))
        or level in ERROR_LEVELS
        or event_type in ERROR_TYPES,
        is_anomaly=is_true(event.get("is_anomaly"))
        or event_type in ANOMALY_TYPES
        or level in WARNING_LEVELS,
    )
