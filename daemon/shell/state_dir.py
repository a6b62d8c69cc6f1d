"""The state directory: who we are (instance) and which boot this is (run number).

`identity.json` is written and synced before anything else happens, so that a client order id is
never used twice, even when the journal is lost.
"""

import os
import secrets
from pathlib import Path

import orjson

from daemon.model.ids import RunId, run_id

_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"


class StateDirError(OSError):
    """The state directory cannot be used; the message names it and the mend."""


def next_run(state_dir: Path) -> tuple[str, int, RunId]:
    """Count one boot, durably. Returns (instance, run number, run id).

    Raises:
        StateDirError: the directory or its identity file cannot be read or written.
    """
    path = state_dir / "identity.json"
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o750)
        instance, number = read_identity(state_dir) or (_new_instance(), 0)
        number += 1
        partial = path.with_suffix(".partial")
        with partial.open("wb") as out:
            out.write(orjson.dumps({"instance": instance, "run_number": number}) + b"\n")
            out.flush()
            os.fsync(out.fileno())
        partial.replace(path)
        directory_fd = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory_fd)
        finally:
            os.close(directory_fd)
    except OSError as error:
        if isinstance(error, StateDirError):
            raise
        raise StateDirError(
            f"state directory {state_dir}: {error.strerror}; check state_dir and its owner"
        ) from error
    return instance, number, run_id(instance, number)


def read_identity(state_dir: Path) -> tuple[str, int] | None:
    """(instance, run number) of a state directory, or None when it was never used.

    Raises:
        StateDirError: the file is there and cannot be read, or it is gone and a journal is there:
            under a new name, the open orders of the runs before would be somebody else's.
    """
    path = state_dir / "identity.json"
    try:
        data = orjson.loads(path.read_bytes())
        return str(data["instance"]), int(data["run_number"])
    except FileNotFoundError:
        if next((state_dir / "journal").glob("journal-*"), None) is None:
            return None
        raise StateDirError(
            f"{path}: missing beside a journal, so nobody can tell which orders are ours; restore "
            "it from a backup, or from `instance` and `run_number` of the journal's last run_start"
        ) from None
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise StateDirError(
            f"{path}: unreadable ({error}); restore it from a backup, "
            "or start a new state directory"
        ) from error


def _new_instance() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(6))
