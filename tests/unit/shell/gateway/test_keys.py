"""Bots' keys: files of 0600, HMAC and Ed25519 judged by the standard library and cryptography."""

import hashlib
import hmac
from base64 import b64encode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from daemon.errors import CredentialsRefused
from daemon.shell.gateway.bot_keys import (
    BotKey,
    KeyRing,
    check_new,
    digest_of,
    new_key,
    read_key,
    write_key,
)

VENUE = digest_of("venue-key")


def ring(state_dir: Path, *bots: str) -> KeyRing:
    return KeyRing(state_dir, dict.fromkeys(bots, True), venue_key_digest=VENUE)


def sign(key: BotKey, payload: bytes) -> str:
    return hmac.new(key.secret.encode(), payload, hashlib.sha256).hexdigest()


def test_an_hmac_key_comes_back_from_its_file_and_signs(tmp_path: Path) -> None:
    key = new_key("ft", 7)
    path = write_key(tmp_path, key)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert read_key(path) == key
    assert len(key.api_key) == len(key.secret) == 64
    served = key.served(can_trade=False)
    assert (served.account, served.can_trade) == ("ft", False)
    assert served.accepts(b"a=1", sign(key, b"a=1"))
    assert not served.accepts(b"a=2", sign(key, b"a=1"))
    assert key.secret not in repr(key)


def test_of_an_ed25519_key_only_the_public_half_is_kept(tmp_path: Path) -> None:
    private = Ed25519PrivateKey.generate()
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    path = write_key(tmp_path, new_key("nt", 7, pem.decode()))
    key = read_key(path)
    assert (key.kind, key.secret) == ("ed25519", "")
    served = key.served(can_trade=True)
    assert served.is_ed25519
    assert served.accepts(b"payload", b64encode(private.sign(b"payload")).decode())
    assert not served.accepts(b"other", b64encode(private.sign(b"payload")).decode())
    assert not served.accepts(b"payload", "no base64!")
    with pytest.raises(CredentialsRefused, match="not a PEM public key"):
        new_key("nt", 7, "rubbish")


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = write_key(tmp_path, new_key("ft", 7))
    path.chmod(0o644)
    with pytest.raises(CredentialsRefused, match="chmod 600"):
        ring(tmp_path, "ft")


def test_a_second_key_is_asked_for_in_so_many_words_and_a_revoked_name_stays_so(
    tmp_path: Path,
) -> None:
    check_new(tmp_path, "ft", replaces=False)
    first = new_key("ft", 7)
    write_key(tmp_path, first)
    with pytest.raises(CredentialsRefused, match="--replace"):
        check_new(tmp_path, "ft", replaces=False)
    check_new(tmp_path, "ft", replaces=True)
    write_key(tmp_path, BotKey(bot="ft", api_key=first.api_key, revoked_ns=9))
    with pytest.raises(CredentialsRefused, match="stays so"):
        check_new(tmp_path, "ft", replaces=True)


def test_a_replaced_key_ends_with_the_next_look_and_is_told(tmp_path: Path) -> None:
    first, second = new_key("ft", 7), new_key("ft", 8)
    write_key(tmp_path, first)
    keys = ring(tmp_path, "ft")
    write_key(tmp_path, second)
    assert keys.refresh(thorough=True) == {"ft"}
    assert keys.bots() == {"ft"}, "replaced, not revoked"
    assert set(keys.keys) == {second.api_key}
    assert keys.refresh(thorough=True) == frozenset()


def test_the_ring_follows_the_folder_and_knows_only_configured_bots(tmp_path: Path) -> None:
    keys = ring(tmp_path, "ft", "nt")
    first, stranger = new_key("ft", 7), new_key("gone", 7)
    write_key(tmp_path, first)
    write_key(tmp_path, stranger)
    assert not keys.keys
    assert keys.refresh() == frozenset()
    assert set(keys.keys) == {first.api_key}
    assert keys.bots() == {"ft"}
    revoked = BotKey(bot="ft", api_key=first.api_key, secret=first.secret, revoked_ns=9)
    write_key(tmp_path, revoked)
    assert keys.refresh() == {"ft"}
    assert not keys.keys


def test_the_venues_key_and_another_bots_signature_are_recognised(tmp_path: Path) -> None:
    one, two = new_key("one", 7), new_key("two", 7)
    write_key(tmp_path, one)
    write_key(tmp_path, two)
    keys = ring(tmp_path, "one", "two")
    assert keys.is_venue_key("venue-key")
    assert not keys.is_venue_key(one.api_key)
    assert keys.signer_of(b"a=1", sign(two, b"a=1"), "one") == "two"
    assert keys.signer_of(b"a=1", sign(one, b"a=1"), "one") == ""
    assert keys.signer_of(b"a=1", "00", "one") == ""
