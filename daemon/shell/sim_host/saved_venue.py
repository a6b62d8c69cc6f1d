"""`seatrial sim --state DIR`: the venue's books on disk, between an orderly end and the next start.

    DIR/sim.json       the ready line: addresses and keys (for `seatrial init --sim`)
    DIR/venue.state    accounts, orders, ids, prices; there only while no venue runs
    DIR/ledger.json    everything that has reached the venue, of all runs

A venue that is killed leaves no `venue.state`: the next one begins anew, as after a wipe, and never
with books that are older than what clients have seen.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from daemon.shell.process.whole_file import write_whole
from daemon.venues.sim.saved import SavedVenue, SavedVenueError, unpack


class StateError(ValueError):
    """A state directory that cannot be used; the text names the mend."""


class StateDir:
    """One directory; one venue at a time."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.address_file = directory / "sim.json"
        self.ledger_file = directory / "ledger.json"
        self._state_file = directory / "venue.state"
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StateError(f"--state {directory}: {error.strerror}") from error

    def known_port(self) -> int:
        """The port of the run before; 0 when there was none."""
        try:
            rest = str(json.loads(self.address_file.read_bytes())["rest"])
            return int(rest.rpartition(":")[2])
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def saved(self) -> tuple[SavedVenue, bytes] | None:
        """(venue, ledger) of the run before; None when it was killed or there was none.

        Raises:
            StateError: the files are there and cannot be read.
        """
        if not self._state_file.exists():
            return None
        try:
            return unpack(self._state_file.read_bytes()), self.ledger_file.read_bytes()
        except (OSError, SavedVenueError) as error:
            raise StateError(
                f"{self._state_file} cannot be read ({error}): move it away to begin anew"
            ) from error

    def started(self, ready: dict[str, object]) -> None:
        """A venue runs: tell where, and that what was saved is out of date now."""
        write_whole(self.address_file, [json.dumps(ready).encode() + b"\n"])
        self._state_file.unlink(missing_ok=True)

    def ended(self, ledger: Iterable[bytes], state: bytes) -> None:
        """The ledger first: a state without its ledger would be unreadable."""
        write_whole(self.ledger_file, ledger)
        write_whole(self._state_file, [state])
