"""Refusals of commands: a closed list of codes, and a sentence for a tired operator."""

from enum import StrEnum


class CommandErrorCode(StrEnum):
    """Why a command was refused. Stable: tools and scripts know these words."""

    NOT_READY = "not_ready"
    LATCHED = "latched"
    NOT_LATCHED = "not_latched"
    INCIDENT_OPEN = "incident_open"
    JOURNAL_FAULT = "journal_fault"
    ALREADY_ACTIVE = "already_active"
    NO_SESSION = "no_session"
    STOPPING = "stopping"
    NOT_EMPTY = "not_empty"
    NOT_FLAT = "not_flat"
    NOT_FOUND = "not_found"
    NOT_ALLOWED = "not_allowed"
    BAD_PARAMS = "bad_params"
    LOOSENING_REFUSED = "loosening_refused"
    UNKNOWN_METHOD = "unknown_method"


class CommandError(Exception):
    """A command is refused; nothing was changed."""

    def __init__(self, code: CommandErrorCode, message: str) -> None:
        """Name the code, and say what to do."""
        super().__init__(message)
        self.code = code
        self.message = message
