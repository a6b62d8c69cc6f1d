"""Refusals of commands: a closed list of codes, and a sentence for a tired operator."""

from enum import StrEnum


class CommandErrorCode(StrEnum):
    """Why a command was refused. Stable: tools and scripts know these words."""

    NOT_READY = "not_ready"
    """The gate is not READY, or the clock or the money is not; the message names what to mend."""
    LATCHED = "latched"
    """A kill is latched: `re-arm` first."""
    NOT_LATCHED = "not_latched"
    """There is no latch to remove."""
    INCIDENT_OPEN = "incident_open"
    """An incident is unresolved: `incident resolve` first."""
    JOURNAL_FAULT = "journal_fault"
    """The journal takes no line: mend the disk."""
    ALREADY_ACTIVE = "already_active"
    """A session is on already."""
    NO_SESSION = "no_session"
    """No session is on."""
    STOPPING = "stopping"
    """A stop or a kill is still under way: wait for it."""
    NOT_EMPTY = "not_empty"
    """Orders of ours may still be open at the venue."""
    NOT_FLAT = "not_flat"
    """Positions are left after a flatten; `data.left` names them."""
    NOT_FOUND = "not_found"
    """There is nothing of that name."""
    NOT_ALLOWED = "not_allowed"
    """The configuration does not allow it."""
    BAD_PARAMS = "bad_params"
    """A parameter names nothing of ours."""
    LOOSENING_REFUSED = "loosening_refused"
    """A cap would become looser: that needs the configuration and a restart."""
    UNKNOWN_METHOD = "unknown_method"
    """The engine knows no such command."""


class CommandError(Exception):
    """A command is refused; nothing was changed."""

    def __init__(self, code: CommandErrorCode, message: str) -> None:
        """Name the code, and say what to do."""
        super().__init__(message)
        self.code = code
        self.message = message
