"""Confirm tokens of the running daemon: issued to an operator, redeemed by the next start.

Rules of this file:
1. The text of a token goes to whoever asked, once; the record sees its digest.
2. What a token is bound to is read from the daemon's own snapshot (`mode` and `binding`), never
   from the client. A live host without a whole binding confirms nothing.
"""

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from control.control_errors import ProtocolErrorCode
from control.gating import TOKEN_LIFE_NS, Binding, GatingRefusal, TokenBook, token_digest
from control.protocol import ErrorReply
from control.status_snapshot import table
from daemon.model.amounts import NS_PER_S
from daemon.model.enums import Mode

_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""32 letters that nobody confuses when typing."""
_GROUPS, _GROUP_CHARS = 4, 5
_MENDS = {
    GatingRefusal.TOKEN_MISSING: "type it with `seatrial start --token`",
    GatingRefusal.TOKEN_MISMATCH: "config, caps, account or host changed since; ask for a new one",
}
_BINDING_FIELDS = ("config_hash", "caps_hash", "account", "host")


def new_token() -> str:
    """100 bits as four groups of five."""
    letters = [secrets.choice(_ALPHABET) for _ in range(_GROUPS * _GROUP_CHARS)]
    return "-".join(
        "".join(letters[start : start + _GROUP_CHARS])
        for start in range(0, len(letters), _GROUP_CHARS)
    )


class Confirmations:
    """Issues and redeems confirm tokens; `now_s` is a clock that does not step."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._book = TokenBook()
        self._now_s = now_s

    def issue(self, snapshot: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
        """A new token (the client's answer) and what the record says of it.

        Raises:
            Fault: REFUSED on a live host that does not say what it is bound to.
        """
        mode = _mode_of(snapshot)
        if mode is not Mode.LIVE:
            note = _irrelevant(mode)
            return {"needed": False, "note": note}, note
        binding = _binding_of(snapshot)
        if binding is None:
            raise _refused(GatingRefusal.TOKEN_MISMATCH)
        text = new_token()
        digest = self._book.issue(text, binding, self._now_ns())
        result = {"needed": True, "token": text, "expires_s": TOKEN_LIFE_NS // NS_PER_S}
        return result, f"token {digest[:16]} issued for binding {binding.digest[:16]}"

    def redeem(self, text: str, snapshot: Mapping[str, Any]) -> tuple[str, str]:
        """Spend a token before a start: its digest, and what to say where none is needed.

        Raises:
            Fault: REFUSED with the gating's code.
        """
        mode = _mode_of(snapshot)
        if mode is not Mode.LIVE:
            return "", _irrelevant(mode)
        binding = _binding_of(snapshot)
        if binding is None:
            raise _refused(GatingRefusal.TOKEN_MISMATCH)
        refusal = self._book.redeem(text, binding, self._now_ns())
        if refusal is not None:
            raise _refused(refusal)
        return token_digest(text), ""

    def _now_ns(self) -> int:
        return int(self._now_s() * NS_PER_S)


def _irrelevant(mode: Mode) -> str:
    return f"{mode}: no real money; a confirm token is irrelevant here"


def _refused(refusal: GatingRefusal) -> ErrorReply:
    mend = _MENDS.get(refusal, "ask for one with `seatrial gating token`")
    return ErrorReply(
        ProtocolErrorCode.REFUSED,
        f"a start on a live host needs a confirm token ({refusal.value}): {mend}",
        data={"code": refusal.value},
    )


def _mode_of(snapshot: Mapping[str, Any]) -> Mode:
    """The mode of the host. Nothing can be confirmed before the daemon has told it."""
    try:
        return Mode(snapshot.get("mode", ""))
    except ValueError:
        raise ErrorReply(
            ProtocolErrorCode.REFUSED,
            "the daemon has not published its state yet: try again in a second",
            data={"code": "not_ready"},
        ) from None


def _binding_of(snapshot: Mapping[str, Any]) -> Binding | None:
    found = table(snapshot, "binding")
    parts = {name: str(found.get(name) or "") for name in _BINDING_FIELDS}
    return Binding(**parts) if all(parts.values()) else None
