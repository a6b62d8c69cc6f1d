"""What a start imports: no gateway without bots, no screens; and it reads no authorities of TLS."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT
from tests.support.certificates import certificate

DAEMON = """
import json, sys
import daemon.boot
print(json.dumps(sorted(sys.modules)))
"""
AUTHORITIES = """
import gc, importlib, ssl, sys
importlib.import_module(sys.argv[1])
made = [one for one in gc.get_objects() if isinstance(one, ssl.SSLContext)]
print(len(made), sum(one.cert_store_stats()["x509_ca"] for one in made))
"""
LEAN = """
import sys
from daemon.model.lean_msgspec import msgspec
left_out = {"inspect", "platform", "textwrap", "msgspec.inspect", "msgspec.toml"}
print(sorted(left_out & set(sys.modules)))
import msgspec.inspect, msgspec.toml, platform
assert platform.system() == "Linux" and platform.machine()
assert type(msgspec.inspect.type_info(int)).__name__ == "IntType"
print(msgspec.toml.decode(b"a = 1"), msgspec.json.encode({"a": 1}).decode())
"""
NOT_AT_START = {
    "aiohttp.web",
    "click",
    "control.tool.init_wizard",
    "cryptography",
    "daemon.demo",
    "daemon.shell.gateway",
    "daemon.venues.binance_spot.serving",
    "daemon.venues.sim",
    "evidence",
    "rich",
    "textual",
}


def test_a_daemon_that_serves_no_bot_imports_nothing_for_one() -> None:
    done = subprocess.run(
        [sys.executable, "-c", DAEMON],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    seen = set(json.loads(done.stdout))
    assert "daemon.app" in seen
    assert not seen & NOT_AT_START


@pytest.mark.parametrize("entry", ["daemon.boot", "daemon.cli.sim_command"])
def test_a_start_reads_no_authorities(entry: str, tmp_path: Path) -> None:
    authorities = tmp_path / "authorities.pem"
    authorities.write_bytes(certificate(tmp_path, "127.0.0.1").read_bytes())
    environ = {**os.environ, "SSL_CERT_FILE": str(authorities)}
    told = {
        name: subprocess.run(
            [sys.executable, "-c", AUTHORITIES, name],
            cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=True,
        ).stdout.split()
        for name in (entry, "aiohttp")
    }  # fmt: skip
    assert told["aiohttp"] == ["2", "2"]  # as it is without us: two contexts, each with the one
    assert told[entry] == ["2", "0"]


def test_the_journals_words_need_the_standard_library_alone() -> None:
    """The evidence and the screen of `status` import them."""
    words = "import sys, daemon.model.ids, daemon.model.records; print('msgspec' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", words],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout == "False\n"


def test_what_a_lean_msgspec_leaves_out_can_be_had_after_all() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEAN],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout == """[]\n{'a': 1} {"a":1}\n"""
