"""Where keys come from: systemd credentials first, then a 0600 file. Never config, never argv.

systemd: `$CREDENTIALS_DIRECTORY/api_key` and `api_secret` (HMAC) or `ed25519_private_key` (PEM).
File: TOML with `api_key` and `api_secret`, or `api_key` and `ed25519_private_key` (PEM text).
"""

import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from daemon.errors import CredentialsRefused
from daemon.shell.link_config import Credentials

_NAMES = ("api_key", "api_secret", "ed25519_private_key")


def load_credentials(file: Path | None, environ: Mapping[str, str] = os.environ) -> Credentials:
    """Find the venue key.

    Raises:
        CredentialsRefused: saying where it was looked for and what to do.
    """
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if directory and (Path(directory) / "api_key").exists():
        base = Path(directory)
        found = {n: (base / n).read_text().strip() for n in _NAMES if (base / n).exists()}
        return _build(found, f"systemd credentials in {base}")
    if file is None:
        raise CredentialsRefused(
            'no key: set [credentials] file = "…" (mode 0600), or LoadCredential=api_key and '
            "api_secret in the unit"
        )
    return _build(_read_file(file), str(file))


def _read_file(file: Path) -> dict[str, str]:
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & 0o077:
            raise CredentialsRefused(
                f"{file}: mode {mode:04o} lets others read it; chmod 600 {file}"
            )
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise CredentialsRefused(f"{file}: {error.strerror}; check credentials.file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        # The parser's message could quote the line, and the line may be the secret.
        raise CredentialsRefused(f'{file}: is not TOML; write api_key = "…"') from None
    unknown = [key for key in data if key not in _NAMES]
    if unknown:
        raise CredentialsRefused(f"{file}: unknown key {unknown[0]}; known: {', '.join(_NAMES)}")
    return {key: str(value) for key, value in data.items()}


def _build(found: Mapping[str, str], where: str) -> Credentials:
    if not found.get("api_key"):
        raise CredentialsRefused(f"{where}: api_key is missing")
    if found.get("api_secret"):
        return Credentials(
            api_key=found["api_key"], secret=found["api_secret"].encode(), kind="hmac"
        )
    if not found.get("ed25519_private_key"):
        raise CredentialsRefused(f"{where}: api_secret or ed25519_private_key is missing")
    try:
        key = load_pem_private_key(found["ed25519_private_key"].encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise CredentialsRefused(
            f"{where}: ed25519_private_key is not an unencrypted PEM key"
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise CredentialsRefused(f"{where}: RSA and others are not taken; make an Ed25519 key")
    return Credentials(api_key=found["api_key"], secret=key, kind="ed25519")
