"""Events over the socket: older lines come from the files, and who follows misses no line and gets
none twice, whatever is published while the files are searched."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

import orjson
import pytest

from control.server.line_events import RING_LINES, Found
from control.tool.client import ControlClient
from tests.support.control_port import FakePort
from tests.support.control_server import serving


def line(seq: int) -> bytes:
    kind = "command" if seq % 100 == 0 else "clock"
    return b'{"seq":%d,"event_type":"%b","prev":""}' % (seq, kind.encode())


class Files:
    """Lines 1 to `last` on a disk that answers when it is let."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.asked: list[tuple[list[str], int, int]] = []
        self.answer = threading.Event()
        self.fails: Exception | None = None

    def older(
        self,
        types: Sequence[str],
        without: Sequence[str],
        count: int,
        before_seq: int,
        *,
        bot: str = "",
    ) -> Future[Found]:
        self.asked.append((list(types), count, before_seq))
        out: Future[Found] = Future()

        def search() -> None:
            self.answer.wait(60)
            if self.fails is not None:
                out.set_exception(self.fails)
                return
            below = before_seq or self.last + 1
            lines = [line(n) for n in range(1, below) if not types or b"command" in line(n)]
            out.set_result(Found(lines[-count:], is_whole=True))

        threading.Thread(target=search, daemon=True).start()
        return out


@pytest.fixture
def port() -> FakePort:
    made = FakePort()
    made.hub.older = Files(5_000).older
    for seq in range(1, 5_001):
        made.hub.publish(line(seq))
    return made


def test_what_the_ring_has_lost_comes_from_the_files(tmp_path: Path, port: FakePort) -> None:
    files = Files(5_000)
    files.answer.set()
    port.hub.older = files.older
    with serving(tmp_path, port) as path, ControlClient(path) as client:
        found = client.call("events", types=["command"], tail=1_000)
        assert [one["seq"] for one in found["events"]] == list(range(100, 5_001, 100))
        assert "incomplete" not in found
        assert files.asked == [(["command"], 990, 5_001 - RING_LINES)]
        assert len(client.call("events", tail=20)["events"]) == 20
        assert len(files.asked) == 1  # the ring had enough
        files.fails = RuntimeError("a bug")
        broken = client.call("events", types=["command"], tail=1_000)
        assert (len(broken["events"]), broken["incomplete"]) == (10, True)


def test_who_follows_misses_nothing_and_gets_nothing_twice(tmp_path: Path, port: FakePort) -> None:
    files = Files(5_000)
    port.hub.older = files.older
    with serving(tmp_path, port) as path, ControlClient(path) as client:
        events = client.follow(["command"], 60)
        first: list[int] = []

        def take() -> None:
            first.extend(next(events)["seq"] for _ in range(55))

        reader = threading.Thread(target=take)
        reader.start()
        while not files.asked:
            pass
        for seq in range(5_001, 5_501):  # published while the files are searched
            port.hub.publish(line(seq))
        files.answer.set()
        reader.join(60)
        for seq in range(5_501, 6_001):
            port.hub.publish(line(seq))
        then = [next(events)["seq"] for _ in range(5)]
    wanted = [*range(100, 5_501, 100)]
    seen = [*first, *then]
    assert seen == sorted(set(seen))
    assert seen[-10:] == [*range(5_100, 6_001, 100)]
    assert set(wanted) <= set(seen)


def test_a_gap_while_the_files_were_searched_is_told(tmp_path: Path, port: FakePort) -> None:
    files = Files(5_000)
    port.hub.older = files.older
    with serving(tmp_path, port) as path, ControlClient(path) as client:
        found: list[dict[str, object]] = []
        asking = threading.Thread(
            target=lambda: found.append(client.call("events", types=["command"], tail=1_000))
        )
        asking.start()
        while not files.asked:
            pass
        for seq in range(5_001, 8_001):  # more than the ring holds
            port.hub.publish(line(seq))
        files.answer.set()
        asking.join(60)
    assert found[0]["incomplete"] is True


def test_one_line_by_its_number(tmp_path: Path, port: FakePort) -> None:
    def find(seq: int) -> Future[Found]:
        out: Future[Found] = Future()
        out.set_result(Found([line(seq)] if seq <= 5_000 else [], is_whole=True))
        return out

    port.hub.line = find
    with serving(tmp_path, port) as path, ControlClient(path) as client:
        for seq in (1, 3_999, 4_001, 5_000):
            (one,) = client.call("events", seq=seq)["events"]
            assert orjson.dumps(one) == line(seq)
        assert client.call("events", seq=9_999)["events"] == []
        assert client.call("status")["trading_state"]
