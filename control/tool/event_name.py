"""An event type on the command line: a typo is answered with what it is like."""

import difflib

import click
from click.shell_completion import CompletionItem

from daemon.model.records import EventType


class EventName(click.ParamType[str]):
    """An event type; a typo is answered with the types that are like it."""

    name = "type"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Its name."""
        known = sorted(one.value for one in EventType)
        text = str(value)
        if text not in known:
            like = [name for name in known if text and text in name]
            like = like or difflib.get_close_matches(text, known, n=3)
            named = " or ".join(like) or "one of those in docs/JOURNAL.md"
            self.fail(f"there is no event type {text!r}; did you mean {named}?", param, ctx)
        return text

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The types that begin so."""
        del ctx, param
        return [CompletionItem(one.value) for one in EventType if one.startswith(incomplete)]
