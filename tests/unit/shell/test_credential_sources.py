"""Four sources of keys, in their order: systemd, keyring, a 0600 file, the environment."""

import threading
from pathlib import Path

import pytest

keyring = pytest.importorskip("keyring", reason="the locked dev packages have it: `make test`")

from daemon.errors import CredentialsRefused  # noqa: E402 - after the look for its library
from daemon.shell.keys import keyring_source  # noqa: E402 - see above
from daemon.shell.keys.credentials import load_credentials  # noqa: E402 - see above
from daemon.shell.keys.keyring_source import read_keyring  # noqa: E402 - see above

CANARY = "canary-secret-5f0c"
SERVICE = "seatrial-test"


@pytest.fixture(autouse=True)
def _box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.support.box_keyring import BoxKeyring  # noqa: PLC0415 - needs the library

    monkeypatch.setenv("BOX_KEYRING", str(tmp_path / "keyring.json"))
    before = keyring.get_keyring()
    keyring.set_keyring(BoxKeyring())
    yield
    keyring.set_keyring(before)


def every_source(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """The same kind of key in each of them; which one is taken shows in the key."""
    directory = tmp_path / "credentials"
    directory.mkdir()
    for name, value in (("api_key", "of-systemd\n"), ("api_secret", CANARY)):
        (directory / name).write_text(value)
        (directory / name).chmod(0o400)
    keyring.set_password(SERVICE, "api_key", "of-keyring")
    keyring.set_password(SERVICE, "api_secret", CANARY)
    file = tmp_path / "keys.toml"
    file.touch(mode=0o600)
    file.write_text(f'api_key = "of-file"\napi_secret = "{CANARY}"\n')
    environ = {
        "CREDENTIALS_DIRECTORY": str(directory),
        "SEATRIAL_API_KEY": "of-environment",
        "SEATRIAL_API_SECRET": CANARY,
    }
    return file, environ


def test_the_order_of_the_sources(tmp_path: Path) -> None:
    file, environ = every_source(tmp_path)

    def found(where: Path | None = file, service: str = SERVICE) -> tuple[str, str, bool]:
        got = load_credentials(where, environ, keyring_service=service)
        assert CANARY not in repr(got)
        return got.api_key, got.source, bool(got.warnings)

    assert found() == ("of-systemd", "systemd credentials", False)
    del environ["CREDENTIALS_DIRECTORY"]
    assert found() == ("of-keyring", "keyring", False)
    assert found(service="") == ("of-file", "file", False)
    assert found(None, service="") == ("of-environment", "environment", True)


def test_the_environment_warns_and_is_emptied(tmp_path: Path) -> None:
    environ = {"SEATRIAL_API_KEY": "k", "SEATRIAL_API_SECRET": CANARY, "HOME": "x"}
    got = load_credentials(None, environ)
    assert "every process of this user" in got.warnings[0]
    assert environ == {"HOME": "x"}, "no child inherits what was read"
    with pytest.raises(CredentialsRefused, match="no key"):
        load_credentials(None, environ)


def test_an_empty_keyring_gives_way_to_the_file_and_is_named(tmp_path: Path) -> None:
    file, environ = every_source(tmp_path)
    del environ["CREDENTIALS_DIRECTORY"]
    got = load_credentials(file, environ, keyring_service="another")
    assert (got.api_key, got.warnings) == (
        "of-file", ("the keyring's service 'another' has no api_key",),
    )  # fmt: skip
    with pytest.raises(CredentialsRefused, match="'another' has no api_key"):
        load_credentials(None, {}, keyring_service="another")


def test_a_locked_keyring_is_named_without_its_words(tmp_path: Path) -> None:
    (tmp_path / "keyring.json").write_text(f'{{"locked": true, "x": "{CANARY}"}}')
    with pytest.raises(CredentialsRefused, match=r"KeyringLocked.*keyring diagnose") as caught:
        load_credentials(None, {}, keyring_service=SERVICE)
    assert CANARY not in str(caught.value)


def test_a_headless_box_without_a_backend_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from keyring.backends.fail import Keyring  # noqa: PLC0415 - needs the library

    keyring.set_keyring(Keyring())
    with pytest.raises(CredentialsRefused, match="NoKeyringError"):
        read_keyring(SERVICE, ("api_key",))


def test_a_keyring_that_asks_a_person_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.support.box_keyring import BoxKeyring  # noqa: PLC0415 - needs the library

    unlocked = threading.Event()

    class Asks(BoxKeyring):
        def get_password(self, service: str, username: str) -> str | None:
            unlocked.wait(60)
            return None

    keyring.set_keyring(Asks())
    try:
        with pytest.raises(CredentialsRefused, match=r"did not answer within .* unlock it"):
            read_keyring(SERVICE, ("api_key",), deadline_s=0.05)
    finally:
        unlocked.set()


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(keyring_source.importlib, "import_module", missing)
    with pytest.raises(CredentialsRefused, match=r"pip install 'seatrial\[keyring\]'"):
        load_credentials(None, {}, keyring_service=SERVICE)


def test_secrets_that_every_user_may_read_are_warned_about(tmp_path: Path) -> None:
    """A container's secrets are like this: taken, and said."""
    for name in ("api_key", "api_secret"):
        (tmp_path / name).write_text("x")
        (tmp_path / name).chmod(0o444)
    got = load_credentials(None, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert [w.partition(":")[0] for w in got.warnings] == [
        str(tmp_path / "api_key"), str(tmp_path / "api_secret"),
    ]  # fmt: skip
