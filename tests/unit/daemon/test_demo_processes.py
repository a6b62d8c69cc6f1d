"""A demo's processes, and what it asks of its venue: on loopback, whatever the proxy."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from daemon.demo.processes import DemoError, Process, ask_venue, fetch_ledger


class Venue(BaseHTTPRequestHandler):
    """Answers with what it was asked; `refuse` is refused."""

    def do_GET(self) -> None:
        self.answer(200, {"asked": self.path})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(400 if body == "refuse" else 200, {"asked": self.path, "body": body})

    def answer(self, status: int, told: object) -> None:
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def admin() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Venue)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/sim"
    server.shutdown()
    thread.join(60)
    server.server_close()


def test_the_venue_is_asked_without_a_proxy(admin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    assert fetch_ledger(admin, 5) == {"asked": "/sim/ledger?since_ns=5"}
    assert ask_venue(admin, "faults", []) == {"asked": "/sim/faults", "body": []}


def test_what_the_venue_refuses_is_told_with_its_words(admin: str) -> None:
    with pytest.raises(DemoError, match=r"refuses /sim/faults: .*refuse"):
        ask_venue(admin, "faults", "refuse")
    with pytest.raises(DemoError, match="does not answer /sim/ledger"):
        fetch_ledger("http://127.0.0.1:9/sim")
    with pytest.raises(DemoError, match="is on loopback"):
        fetch_ledger("http://venue.example/sim")


def test_a_child_that_says_much_ends_as_soon_as_one_that_says_little(tmp_path: Path) -> None:
    """Its reader waited for room for the last word, and the end for the reader: 40 s."""
    (tmp_path / "chatty.py").write_text("for n in range(5_000): print(n)")
    with Process(
        "chatty", ["chatty"], tmp_path / "log", environ={"PYTHONPATH": str(tmp_path)}
    ) as p:
        assert p.wait() == 0
        begin = time.monotonic()
    assert time.monotonic() - begin < 20
