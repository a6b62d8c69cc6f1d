"""Messages to people, received by a service of the test: from a real daemon, killed and started."""

import contextlib
import json
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pydantic import SecretStr

from daemon.cli.doctor_command import notify_steps
from daemon.settings_notify import NotifySettings
from daemon.shell.health.notice_sender import AppriseService, NotSentError
from daemon.shell.health.notices import Notice, NoticeLevel
from tests.support.box import Box
from tests.support.forked import run

DEADLINE_S = 60


class Inbox(ThreadingHTTPServer):
    """A service that Apprise can send JSON to, and what it got."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[dict[str, str]] = []
        self.changed = threading.Condition()
        self.status = 200
        self.elsewhere = ""

    @property
    def url(self) -> str:
        return f"json://user:s3cret-token@127.0.0.1:{self.server_address[1]}/"

    def waits_for(self, fits: Callable[[dict[str, str]], bool]) -> dict[str, str]:
        def found() -> list[dict[str, str]]:
            return [one for one in self.got if fits(one)]

        with self.changed:
            assert self.changed.wait_for(found, DEADLINE_S), [one["title"] for one in self.got]
            return found()[0]


class _Handler(BaseHTTPRequestHandler):
    server: Inbox

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.changed:
            self.server.got.append(body)
            self.server.changed.notify_all()
        self.send_response(self.server.status)
        if self.server.status == 307:
            self.send_header("Location", self.server.elsewhere)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    server = Inbox()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_crash_a_full_cap_and_a_kill_are_told(tmp_path: Path, inbox: Inbox) -> None:
    tables = f'\n[notify]\nurls = ["{inbox.url}"]\ncap_percent = 20\nquiet_hours = "00:00-00:01"\n'
    with Box(tmp_path, tables=tables) as box:
        box.must("start", "--reason", "a test", "--yes")
        inbox.waits_for(lambda one: "has begun on sim" in one["title"])
        full = inbox.waits_for(lambda one: " % used" in one["title"])
        assert "cap " in full["title"]
        assert full["type"] == "warning"
        box.signal_daemon(signal.SIGKILL)
        box.wait_daemon()
        box.start_daemon()
        back = inbox.waits_for(lambda one: "back after a crash" in one["title"])
        assert "sim]" in back["title"]
        box.must("kill", "--reason", "a test")
        inbox.waits_for(lambda one: "no order of ours is open" in one["title"])
        (service,) = box.until(lambda status: status["notify"][0]["sent"] >= 3)["notify"]
        assert service["service"] == "1:json"
    told = [path for path in tmp_path.rglob("*") if path.is_file() and path != box.config]
    texts = [path.read_bytes() for path in told]
    assert tmp_path / "daemon.log" in told
    assert not any(b"s3cret-token" in text for text in texts)


def test_a_dead_service_delays_nothing_and_shows_in_the_status(
    tmp_path: Path, inbox: Inbox
) -> None:
    dead = "json://127.0.0.1:9/"
    tables = f'\n[notify]\nurls = ["{dead}", "{inbox.url}"]\n'
    with Box(tmp_path, tables=tables) as box:
        box.must("kill", "--reason", "a test")
        inbox.waits_for(lambda one: "kill: " in one["title"])

        said = box.until(lambda status: status["notify"][0]["problem"])["notify"]
        assert said[0]["problem"] == "refused or not reached"
        assert [said[0]["sent"], said[1]["problem"]] == [0, ""]
        assert "WARNING: notify 1:json: refused or not reached" in box.must("status")


def test_a_service_that_answers_without_an_end_holds_no_shutdown(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as endless:
        floods = threading.Thread(target=_flood, args=(endless,), daemon=True)
        floods.start()
        url = f"json://127.0.0.1:{endless.getsockname()[1]}/"
        with Box(tmp_path, tables=f'\n[notify]\nurls = ["{url}"]\n') as box:
            box.must("kill", "--reason", "a test")
            said = box.until(lambda status: status["notify"][0]["problem"])["notify"][0]
            assert said["sent"] == 0
            box.signal_daemon(signal.SIGTERM)
            assert box.wait_daemon() == 0
            assert "closing took too long" not in box.log()
        endless.shutdown(socket.SHUT_RDWR)  # closing it would not wake the thread that accepts
        floods.join(DEADLINE_S)
    assert not floods.is_alive()


def _flood(listener: socket.socket) -> None:
    """Answer each request with a body that has no end, for as long as somebody reads."""
    with contextlib.suppress(OSError):
        while True:
            peer, _ = listener.accept()
            with peer, contextlib.suppress(OSError):
                peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                while True:
                    peer.sendall(b"x" * 65_536)


def test_notify_test_says_which_service_took_it(tmp_path: Path, inbox: Inbox) -> None:
    with Box(tmp_path, tables=f'\n[notify]\nurls = ["{inbox.url}", "nonsense://x"]\n') as box:
        asked = run("tool", ["notify", "test", "--config", box.config])
    assert asked.returncode == 1
    assert asked.stdout.splitlines() == [
        "1:json  sent",
        "2:nonsense  NOT sent: Apprise knows no such url: see its kind and form at appriseit.com",
    ]
    assert "s3cret-token" not in asked.stdout + asked.stderr
    assert "[seatrial] a test of [notify]" in [one["title"] for one in inbox.got]


def test_a_bad_url_is_told_by_doctor_and_at_the_start(tmp_path: Path, inbox: Inbox) -> None:
    urls = f'urls = ["{inbox.url}", "jsn://token-of-mine@127.0.0.1/"]'
    with Box(tmp_path, tables=f"\n[notify]\n{urls}\n") as box:
        asked = run("tool", ["doctor", "--send", "--config", box.config])
        problem = "nothing can be sent: Apprise knows no such url"
        box.until(
            lambda status: (
                any("knows no such url" in one["problem"] for one in status["notify"])
                and problem in box.log()  # a thread of its own writes it
            )
        )
        log = box.log()
    assert asked.returncode == 1
    steps = [line for line in asked.stdout.splitlines() if " notify " in line]
    assert steps[0].endswith("1:json: took a message")
    assert "2:jsn: Apprise knows no such url" in steps[1]
    assert steps[1].startswith("FAIL")
    assert f"notify 2:jsn: {problem}" in log
    for text in (asked.stdout, asked.stderr, log):
        assert "token-of-mine" not in text
        assert "s3cret-token" not in text


def test_a_redirect_of_a_service_is_not_followed(inbox: Inbox) -> None:
    other = Inbox()
    thread = threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        inbox.status, inbox.elsewhere = (
            307,
            other.url.replace("json://user:s3cret-token@", "http://"),
        )
        with pytest.raises(NotSentError, match="refused or not reached"):
            AppriseService(inbox.url).send(Notice(NoticeLevel.INFO, "a", "b", 0), "a title")
        assert [one["title"] for one in inbox.got] == ["a title"]
        assert other.got == [], "the message, with the token's right, went to a stranger"
        inbox.status = 200
        AppriseService(inbox.url).send(Notice(NoticeLevel.INFO, "a", "b", 0), "again")
        assert inbox.got[-1]["title"] == "again"
    finally:
        other.shutdown()
        thread.join()
        other.server_close()


def test_without_apprise_the_doctor_names_the_mend_and_the_url_that_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("daemon.assembly_notify.importlib.util.find_spec", lambda _name: None)
    urls = [SecretStr(one) for one in ("htp://token-1", "tgram://token-2/3", "token4")]
    absent, *doubts = notify_steps(NotifySettings(urls=tuple(urls)), is_sent=False)
    assert "Apprise is not installed" in absent.sentence
    assert "pip install -e '.[notify]'" in absent.mend
    assert [one.sentence.partition(" ")[0] for one in doubts] == ["1:htp:", "3:url:"]
    assert all("notify.urls" in one.mend for one in doubts)
    assert not any(one.ok for one in (absent, *doubts))
