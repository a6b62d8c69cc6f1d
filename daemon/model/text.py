"""What a person wrote, as a record takes it; what a person reads of a time."""

from datetime import UTC, datetime

from daemon.model.amounts import NS_PER_S


def one_line(text: str, *, chars_max: int | None = None) -> str:
    """The text on one line: what no terminal should be shown becomes a space; cut at `chars_max`.

    Line ends of a pasted text, control and direction characters, and bytes that were no UTF-8 (as
    lone surrogates) are such.
    """
    return "".join(char if char.isprintable() else " " for char in text).strip()[:chars_max]


def date_text(ns: int) -> str:
    """A moment for people: `2026-11-30 12:00:00 UTC`."""
    return f"{datetime.fromtimestamp(ns // NS_PER_S, UTC):%Y-%m-%d %H:%M:%S} UTC"
