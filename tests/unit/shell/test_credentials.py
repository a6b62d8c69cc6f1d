"""Keys: found in the right place, refused in the wrong state, never shown."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from daemon.errors import CredentialsRefused
from daemon.shell.keys.credentials import load_credentials

CANARY = "canary-secret-5f0c"


def key_file(tmp_path: Path, text: str, mode: int = 0o600) -> Path:
    path = tmp_path / "keys.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_file_of_mode_0600_is_read_and_never_shown(tmp_path: Path) -> None:
    path = key_file(tmp_path, f'api_key = "k"\napi_secret = "{CANARY}"\n')
    found = load_credentials(path, {})
    assert (found.api_key, found.kind) == ("k", "hmac")
    assert CANARY not in repr(found)
    assert CANARY not in str(found)


def test_systemd_credentials_come_first(tmp_path: Path) -> None:
    path = key_file(tmp_path, 'api_key = "file"\napi_secret = "x"\n')
    (tmp_path / "api_key").write_text("systemd\n")
    (tmp_path / "api_secret").write_text("y\n")
    found = load_credentials(path, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert found.api_key == "systemd"


def test_an_ed25519_key_is_taken(tmp_path: Path) -> None:
    pem = (
        Ed25519PrivateKey.generate()
        .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        .decode()
    )
    path = key_file(tmp_path, f'api_key = "k"\ned25519_private_key = """{pem}"""\n')
    assert load_credentials(path, {}).kind == "ed25519"


@pytest.mark.parametrize(
    ("text", "mode", "expected"),
    [
        (f'api_key = "k"\napi_secret = "{CANARY}"\n', 0o644, "chmod 600"),
        (f"api_secret = {CANARY}\n", 0o600, "is not TOML"),
        (f'api_secret = "{CANARY}"\n', 0o600, "api_key is missing"),
        ('api_key = "k"\n', 0o600, "api_secret or ed25519_private_key is missing"),
        (f'api_key = "k"\nsecret = "{CANARY}"\n', 0o600, "unknown key secret"),
        (f'api_key = "k"\ned25519_private_key = "{CANARY}"\n', 0o600, "not an unencrypted PEM"),
    ],
)
def test_what_cannot_be_used_is_named_without_the_secret(
    tmp_path: Path, text: str, mode: int, expected: str
) -> None:
    with pytest.raises(CredentialsRefused, match=expected) as caught:
        load_credentials(key_file(tmp_path, text, mode), {})
    assert CANARY not in str(caught.value)


def test_no_key_at_all_says_where_to_put_one(tmp_path: Path) -> None:
    with pytest.raises(CredentialsRefused, match="LoadCredential"):
        load_credentials(None, {})
    with pytest.raises(CredentialsRefused, match="No such file"):
        load_credentials(tmp_path / "absent.toml", {})
