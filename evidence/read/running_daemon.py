"""Whether a daemon still writes the journal that is read: its control socket answers."""

import socket
from collections.abc import Iterable
from pathlib import Path

_ANSWER_S = 1.0


def running_daemons(inputs: Iterable[Path]) -> list[Path]:
    """The sockets beside these journals that take a connection."""
    places = (
        directory / "control.sock"
        for one in inputs
        for directory in (one, one / "state", one.parent)
    )
    return [place for place in dict.fromkeys(places) if _answers(place)]


def _answers(place: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(_ANSWER_S)
        try:
            one.connect(str(place))
        except OSError:
            return False
    return True
