"""What a person reads of a moment."""

from datetime import UTC, datetime

from daemon.model.amounts import NS_PER_S


def date_text(ns: int) -> str:
    """A moment for people: `2026-11-30 12:00:00 UTC`."""
    return f"{datetime.fromtimestamp(ns // NS_PER_S, UTC):%Y-%m-%d %H:%M:%S} UTC"
