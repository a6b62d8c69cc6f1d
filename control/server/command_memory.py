"""The memory of command ids: whether a command is carried out, or answered as before.

Rules of this file:
1. A kill is always carried out, whatever its id was used for.
2. Any other id stands for one command of one user, in one wording.
3. Asked again it gives the first answer again, as long as no other command has since changed what
   that answer says. After that a stop is carried out again, and what could let orders out (start,
   re-arm, flatten…) is refused: a retry that comes late must not begin anything.
4. The memory is bounded, and ends with the daemon.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import msgspec

from control.control_errors import ProtocolErrorCode
from control.protocol import ErrorReply

REMEMBERED_COMMANDS_MAX = 1_024

_LASTING = frozenset(
    {"caps-tighten", "drill", "explain", "incident-note", "incident-resolve", "confirm-token"}
)
"""What they did stays done: no other command undoes it."""
_AGAIN = frozenset({"cancel-all", "stop", "shutdown", "reconcile"})
"""Done again where their answer may be true no longer."""
_OPENING = frozenset({"start", "re-arm"})
"""Their answers are true only while no stop path has closed the halt flag since."""

Outcome = asyncio.Future[Mapping[str, Any] | ErrorReply]
Key = tuple[int, str]
"""Whose id, and the id."""


class Deed(msgspec.Struct):
    """One command under its id: what it was, and its outcome when there is one."""

    method: str
    fingerprint: bytes
    outcome: Outcome
    note: str = ""
    """What the control plane adds to the answer."""
    changes: int = 0
    """How many commands had changed something by then, this one included."""


class Memory:
    """The command ids of one daemon. Used on the control loop only."""

    def __init__(self) -> None:
        """Start empty."""
        self._deeds: OrderedDict[Key, Deed] = OrderedDict()
        self._changes = 0
        """How many commands have been admitted that change what an earlier answer says."""

    def keep(self, key: Key, deed: Deed) -> None:
        """Remember a command that is being carried out."""
        self._changes += deed.method not in _LASTING
        deed.changes = self._changes
        self._deeds[key] = deed
        while len(self._deeds) > REMEMBERED_COMMANDS_MAX:
            self._deeds.popitem(last=False)

    def answered(
        self, key: Key, method: str, fingerprint: bytes, *, halt_closed: bool
    ) -> Deed | None:
        """The earlier command whose answer applies to this one; None when it has to be carried out.

        Raises:
            Fault: the id stands for something else.
        """
        deed = self._deeds.get(key)
        if deed is None or method == "kill":
            return None
        if (deed.method, deed.fingerprint) != (method, fingerprint):
            raise _reused(key, f"for another command ({deed.method})")
        if not deed.outcome.done() or method in _LASTING:
            return deed
        stands = deed.changes == self._changes and not (method in _OPENING and halt_closed)
        if method in _AGAIN:
            return deed if stands and method != "cancel-all" else None
        if not stands and not isinstance(deed.outcome.result(), ErrorReply):
            raise _reused(key, f"for this {method} before, and what it did was changed since")
        return deed


def _reused(key: Key, how: str) -> ErrorReply:
    return ErrorReply(
        ProtocolErrorCode.COMMAND_ID_REUSED, f"command id {key[1]!r} was used {how}: take a new id"
    )
