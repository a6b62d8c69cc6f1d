"""A keyring of a headless box: a real backend of the `keyring` library over one JSON file.

PYTHON_KEYRING_BACKEND=tests.support.box_keyring.BoxKeyring BOX_KEYRING=FILE
"""

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked


class BoxKeyring(KeyringBackend):
    """Holds `{service: {name: value}}`; a file with `"locked": true` is locked."""

    priority = 1.0  # type: ignore[assignment]  # a property of the class, as the library asks

    @property
    def _file(self) -> Path:
        return Path(os.environ["BOX_KEYRING"])

    def _held(self) -> dict[str, dict[str, str]]:
        held: dict[str, dict[str, str]] = {}
        if self._file.exists():
            held = json.loads(self._file.read_text())
        if held.get("locked"):
            raise KeyringLocked(f"locked: {held}")
        return held

    def get_password(self, service: str, username: str) -> str | None:
        return self._held().get(service, {}).get(username)

    def set_password(self, service: str, username: str, password: str) -> None:
        held = self._held()
        held.setdefault(service, {})[username] = password
        self._file.touch(mode=0o600)
        self._file.write_text(json.dumps(held))

    def delete_password(self, service: str, username: str) -> None:
        held = self._held()
        del held[service][username]
        self._file.write_text(json.dumps(held))
