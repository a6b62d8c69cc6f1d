"""The questions and the help of `seatrial watch`, each on top of the screen."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from control.tool.status_text import clean
from control.tool.watch_panes import HELP


class Confirm(ModalScreen[str | None]):
    """A question with a field for the reason. Enter confirms, Escape cancels."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Back")]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """One question, one line to write on."""
        with Vertical(id="confirm"):
            yield Label(self._question, markup=False)
            yield Input(placeholder="reason (goes into the record)", max_length=500)
            yield Label("Enter: do it    Escape: back", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter."""
        self.dismiss(clean(event.value.strip()))


class AskWords(ModalScreen[str | None]):
    """Words that an event must have to be shown."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss('')", "All")]

    def __init__(self, words: str) -> None:
        super().__init__()
        self._words = words

    def compose(self) -> ComposeResult:
        """One line to write on."""
        with Vertical(id="confirm"):
            yield Label("Show only events that have all of these words:", markup=False)
            yield Input(self._words, placeholder="denied btcusdt", max_length=100)
            yield Label("Enter: show them    Escape: show all", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter."""
        self.dismiss(clean(event.value.strip()))


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
