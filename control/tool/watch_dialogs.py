"""The questions and the help of `seatrial watch`, each on top of the screen."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from control.tool.status_text import clean
from control.tool.watch_panes import HELP


class AskWords(ModalScreen[str | None]):
    """A question with a field to write on. Enter answers; Escape leaves it, with None."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Back")]

    def __init__(
        self, question: str, keys: str, *, words: str = "", example: str, chars_max: int
    ) -> None:
        super().__init__()
        self._question, self._keys, self._words = question, keys, words
        self._example, self._chars_max = example, chars_max

    def compose(self) -> ComposeResult:
        """One question, one line to write on."""
        with Vertical(id="confirm"):
            yield Label(self._question, markup=False)
            yield Input(self._words, placeholder=self._example, max_length=self._chars_max)
            yield Label(self._keys, markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter."""
        self.dismiss(clean(event.value.strip()))


def confirm(question: str) -> AskWords:
    """A question before a deed; the answer is the reason."""
    reason = "reason (goes into the record)"
    return AskWords(question, "Enter: do it    Escape: back", example=reason, chars_max=500)


def ask_filter(words: str) -> AskWords:
    """Which words an event must have to be shown."""
    question = "Show only events that have all of these words:"
    keys = "Enter: show them    Escape: show all"
    return AskWords(question, keys, words=words, example="denied btcusdt", chars_max=100)


class WatchHelp(ModalScreen[None]):
    """The keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q,enter", "dismiss(None)", "Back")
    ]

    def compose(self) -> ComposeResult:
        """The text."""
        with Vertical(id="help"):
            yield Label(HELP, markup=False)
            yield Label("Escape: back", markup=False)
