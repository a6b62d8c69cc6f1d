"""Keys from the keyring of the machine (Secret Service, KWallet, macOS, or a headless backend).

The `keyring` package is an extra (`pip install seatrial[keyring]`) and is imported only when the
configuration names a service. A keyring may ask a person to unlock it; a daemon that boots at night
has nobody to ask, so it is given seconds, not for ever.
"""

import importlib
import queue
import threading
from typing import Any

from daemon.errors import CredentialsRefused

ANSWER_DEADLINE_S = 10.0


def read_keyring(
    service: str, names: tuple[str, ...], *, deadline_s: float = ANSWER_DEADLINE_S
) -> dict[str, str]:
    """What the keyring holds under `service`, by user name.

    Raises:
        CredentialsRefused: there is no keyring, or it did not answer.
    """
    answers: queue.Queue[dict[str, str] | BaseException] = queue.Queue(1)

    def look() -> None:
        try:
            keyring: Any = importlib.import_module("keyring")
            held = {name: keyring.get_password(service, name) for name in names}
            answers.put({name: str(value).strip() for name, value in held.items() if value})
        except BaseException as error:  # noqa: BLE001 - carried over to the caller
            answers.put(error)

    threading.Thread(target=look, name="keyring", daemon=True).start()
    try:
        found = answers.get(timeout=deadline_s)
    except queue.Empty:
        raise CredentialsRefused(
            f"the keyring did not answer within {deadline_s:g} s: unlock it, or use another source"
        ) from None
    if isinstance(found, ModuleNotFoundError):
        raise CredentialsRefused(
            "the keyring cannot be asked: pip install 'seatrial[keyring]'"
        ) from found
    if isinstance(found, BaseException):
        # Only the kind of error: a backend's text could quote what it read.
        raise CredentialsRefused(
            f"the keyring cannot be asked ({type(found).__name__}): see `keyring diagnose`"
        ) from None
    return found
