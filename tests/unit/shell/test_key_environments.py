"""A key belongs to one environment: live keys beside ours, in named files, and in our past."""

import json
import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from daemon.errors import CredentialsRefused
from daemon.shell.keys.key_environments import FILE_NAME, check_distinct, remember
from daemon.shell.link.link_config import Credentials

TESTNET, LIVE = "binance-spot-testnet", "binance-spot-live"
MINE = Credentials(api_key="KEYofMINE", secret=b"SECRETofMINE", kind="hmac")
OTHER = Credentials(api_key="KEYofOTHER", secret=b"SECRETofOTHER", kind="hmac")


def distinct(tmp_path: Path, mine: Credentials = MINE, **more: object) -> None:
    check_distinct(mine, TESTNET, tmp_path / "state", **{"environ": {}, **more})  # type: ignore[arg-type]


def pem_of(key: Ed25519PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


# ---------------------------------------------------------------------- beside ours


@pytest.mark.parametrize(
    ("name", "value", "shared"),
    [("live_api_key", "KEYofMINE", "api_key"), ("live_api_secret", "SECRETofMINE", "api_secret")],
)
def test_a_live_key_beside_ours_that_is_ours(
    tmp_path: Path, name: str, value: str, shared: str
) -> None:
    (tmp_path / name).write_text(value + "\n")
    with pytest.raises(CredentialsRefused, match=f"{name} holds the same {shared}: a live key"):
        distinct(tmp_path, environ={"CREDENTIALS_DIRECTORY": str(tmp_path)})
    with pytest.raises(CredentialsRefused, match=f"environment: {name} holds the same {shared}"):
        distinct(tmp_path, environ={f"SEATRIAL_{name.upper()}": value})
    (tmp_path / name).write_text("quite another\n")
    distinct(tmp_path, environ={"CREDENTIALS_DIRECTORY": str(tmp_path)})


def test_a_live_key_of_the_keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "daemon.shell.keys.keyring_source.read_keyring",
        lambda service, names: {"live_api_key": "KEYofMINE"} if service == "s" else {},
    )
    with pytest.raises(CredentialsRefused, match="'s': live_api_key holds the same"):
        distinct(tmp_path, keyring_service="s")
    distinct(tmp_path, keyring_service="t")


def test_a_private_key_is_the_same_in_another_dress(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    mine = Credentials(api_key="k1", secret=key, kind="ed25519")
    live = tmp_path / "live.toml"
    live.write_text("ed25519_private_key = " + json.dumps(pem_of(key)))
    with pytest.raises(CredentialsRefused, match="holds the same private key"):
        distinct(tmp_path, mine, live_files=(live,))
    live.write_text(pem_of(Ed25519PrivateKey.generate()))
    distinct(tmp_path, mine, live_files=(live,))


def test_a_live_file_that_cannot_be_compared_refuses(tmp_path: Path) -> None:
    with pytest.raises(CredentialsRefused, match="it cannot be shown that the keys differ"):
        distinct(tmp_path, live_files=(tmp_path / "absent",))
    huge = tmp_path / "huge"
    huge.write_bytes(b"x" * (2 << 20))
    with pytest.raises(CredentialsRefused, match="too large"):
        distinct(tmp_path, live_files=(huge,))


# ---------------------------------------------------------------------- in our past


def seen(tmp_path: Path, instance: str = "state") -> Path:
    (tmp_path / instance).mkdir(exist_ok=True)
    return tmp_path / instance


def test_a_key_of_another_environment_is_refused_for_ever(tmp_path: Path) -> None:
    remember(MINE, LIVE, seen(tmp_path))
    with pytest.raises(CredentialsRefused, match=f"was used with {LIVE} before"):
        distinct(tmp_path)
    distinct(tmp_path, OTHER)


def test_half_of_a_key_is_enough(tmp_path: Path) -> None:
    remember(MINE, LIVE, seen(tmp_path))
    for half in (
        Credentials(api_key="KEYofMINE", secret=b"new", kind="hmac"),
        Credentials(api_key="new", secret=b"SECRETofMINE", kind="hmac"),
    ):
        with pytest.raises(CredentialsRefused, match="was used with"):
            distinct(tmp_path, half)


def test_another_instance_of_this_box_remembers_too(tmp_path: Path) -> None:
    remember(MINE, LIVE, seen(tmp_path, "pilot"))
    with pytest.raises(CredentialsRefused, match=rf"was used with {LIVE} before .*pilot"):
        distinct(tmp_path)


def test_what_a_stranger_put_there_is_not_believed(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("needs root to give the file away")
    remember(MINE, LIVE, seen(tmp_path, "pilot"))
    with pytest.raises(CredentialsRefused):
        distinct(tmp_path)
    os.chown(tmp_path / "pilot" / FILE_NAME, 12345, -1)
    distinct(tmp_path)


def test_the_same_environment_again_is_no_news(tmp_path: Path) -> None:
    remember(MINE, TESTNET, seen(tmp_path))
    before = (tmp_path / "state" / FILE_NAME).read_bytes()
    remember(MINE, TESTNET, seen(tmp_path))
    distinct(tmp_path)
    assert (tmp_path / "state" / FILE_NAME).read_bytes() == before


def test_digests_only_salted_and_for_our_eyes(tmp_path: Path) -> None:
    for instance in ("a", "b"):
        remember(MINE, TESTNET, seen(tmp_path, instance))
    one, two = (json.loads((tmp_path / i / FILE_NAME).read_bytes()) for i in ("a", "b"))
    assert one["salt"] != two["salt"]
    assert one["seen"][0]["api_key"] != two["seen"][0]["api_key"]
    text = (tmp_path / "a" / FILE_NAME).read_bytes()
    assert b"MINE" not in text
    assert stat.S_IMODE((tmp_path / "a" / FILE_NAME).stat().st_mode) == 0o600


def test_play_money_on_loopback_is_not_remembered(tmp_path: Path) -> None:
    remember(MINE, "sim", seen(tmp_path))
    assert list((tmp_path / "state").iterdir()) == []
    remember(MINE, TESTNET, seen(tmp_path))
    check_distinct(MINE, "sim", tmp_path / "state", environ={})


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"salt": "zz", "seen": []}', b"[1]"])
def test_a_damaged_memory_refuses_with_the_mend(tmp_path: Path, damage: bytes) -> None:
    (seen(tmp_path) / FILE_NAME).write_bytes(damage)
    with pytest.raises(CredentialsRefused, match="restore it from a backup, or remove it"):
        distinct(tmp_path)
