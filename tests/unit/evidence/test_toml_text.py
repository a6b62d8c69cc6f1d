"""What people write in TOML: a byte-order mark is no fault, another encoding is named, and no text
of an error quotes the file."""

from pathlib import Path

import pytest

from evidence.pack.redaction import ConfigError, redacted_config
from evidence.promotion.policy import PolicyError, load_policy
from evidence.read.journal_sources import SourceError
from evidence.read.toml_text import TomlError, read_toml
from evidence.report.venue_history import read_key

POLICY = "[promotion]\nsessions_min = 6\n"
BROKEN = {
    "UTF-16": POLICY.encode("utf-16"),
    "UTF-32": POLICY.encode("utf-32"),
    "zero bytes": POLICY.encode("utf-16-le"),
    "line 2 is not UTF-8": POLICY.replace("sessions", "s\xe9ssions").encode("latin-1"),
    "not TOML": b"[promotion]\nsecret-7",
    "nested": b"x=" + b"[" * 5_000,
}


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text(POLICY, encoding="utf-8-sig")
    assert load_policy(path).sessions_min == 6
    assert redacted_config(path) == {"promotion": {"sessions_min": 6}}
    path.write_text('api_key = "a"\napi_secret = "b"\n', encoding="utf-8-sig")
    assert read_key(path).api_key == "a"


@pytest.mark.parametrize("word", BROKEN)
def test_what_it_is_instead_is_told_by_every_reader(word: str, tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_bytes(BROKEN[word])
    for reader, fault in (
        (read_toml, TomlError), (load_policy, PolicyError), (redacted_config, ConfigError),
        (read_key, SourceError),
    ):  # fmt: skip
        with pytest.raises(fault, match=word) as told:
            reader(path)
        assert "secret-7" not in str(told.value)
