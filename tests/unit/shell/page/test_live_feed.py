"""The feed: one rendering for all who look, and nobody who does not read holds the others."""

import socket
import threading

import pytest

from daemon.shell.page.live_feed import DRAIN_S, SUBSCRIBERS_MAX, LiveFeed

DEADLINE_S = 60.0


def test_who_does_not_read_is_dropped_and_the_others_go_on() -> None:
    frame = b"data: " + b"x" * 400_000 + b"\n\n"
    made = 0

    def render() -> bytes:
        nonlocal made
        made += 1
        return frame

    feed = LiveFeed(render, frame_s=0.01)
    ours, theirs = zip(*(socket.socketpair() for _ in range(3)), strict=True)
    for one in theirs:
        assert feed.subscribe(one)
    reader, slow, gone = ours
    gone.close()
    reader.settimeout(DEADLINE_S)
    heard = 0
    while len(feed) > 1 or heard < 3 * len(frame):
        got = len(reader.recv(1 << 20))
        assert got, "the one that reads was dropped"
        heard += got
    assert slow.fileno() >= 0
    assert made >= 3
    feed.stop()
    while reader.recv(1 << 20):
        pass  # what was under way, then the end
    slow.close()
    reader.close()


def test_no_frame_is_made_while_nobody_looks() -> None:
    frames = threading.Event()

    def render() -> bytes:
        frames.set()
        return b"data: 1\n\n"

    feed = LiveFeed(render, frame_s=0.01)
    ours, theirs = socket.socketpair()
    assert not frames.is_set()
    assert feed.subscribe(theirs)
    ours.settimeout(DEADLINE_S)
    assert ours.recv(9) == b"data: 1\n\n"
    ours.close()
    deadline = threading.Event()
    while len(feed):
        assert not deadline.wait(0.001)
    feed._awake.clear()
    frames.clear()
    assert not frames.wait(0.1)
    feed.stop()


def test_after_the_stop_nobody_is_taken() -> None:
    feed = LiveFeed(lambda: b"", frame_s=0.01)
    feed.stop()
    ours, theirs = socket.socketpair()
    assert not feed.subscribe(theirs)
    ours.close()
    theirs.close()


def test_whose_socket_has_not_drained_for_a_while_is_dropped_long_before_its_buffer_is_full() -> (
    None
):
    clock = [0.0]
    frame = b"data: " + b"x" * 10_000 + b"\n\n"
    feed = LiveFeed(lambda: frame, frame_s=0.005, now_s=lambda: clock[0])
    reads, theirs = socket.socketpair()
    sleeps, other = socket.socketpair()
    assert feed.subscribe(theirs)
    assert feed.subscribe(other)
    reads.settimeout(DEADLINE_S)
    heard = 0
    while heard < 20 * len(frame):
        heard += len(reads.recv(1 << 20))
    assert len(feed) == 2  # no time has passed
    sleeps.setblocking(False)
    clock[0] = DRAIN_S / 2
    while heard < 25 * len(frame):
        heard += len(reads.recv(1 << 20))
    assert len(feed) == 2
    clock[0] = 2 * DRAIN_S
    while len(feed) > 1:
        heard += len(reads.recv(1 << 20))
    got = len(sleeps.recv(1 << 24))
    assert 0 < got < 256 * 1024
    feed.stop()
    for one in (reads, sleeps):
        one.close()


def test_who_comes_takes_the_place_of_who_has_not_drained_or_of_the_oldest() -> None:
    is_over = threading.Event()

    def render() -> bytes:  # no frame comes between, so nothing drains meanwhile
        is_over.wait(DEADLINE_S)
        return b"data: 1\n\n"

    feed = LiveFeed(render)
    pairs = [socket.socketpair() for _ in range(SUBSCRIBERS_MAX + 2)]
    for _, theirs in pairs[:SUBSCRIBERS_MAX]:
        assert feed.subscribe(theirs)
    feed._subscribers[3].drained_s -= 5.0
    for (_, newest), put_out in zip(pairs[SUBSCRIBERS_MAX:], (3, 0), strict=True):
        assert feed.subscribe(newest)
        assert pairs[put_out][1].fileno() == -1
        assert pairs[put_out][0].recv(99) == b"retry: 15000\n\n"
        assert len(feed) == SUBSCRIBERS_MAX
    is_over.set()
    feed.stop()
    for ours, _ in pairs:
        ours.close()


def test_a_frame_that_cannot_be_drawn_is_told_once_and_the_next_is_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    frames = iter([ValueError("a status of another shape")] * 3)

    def render() -> bytes:
        for problem in frames:
            raise problem
        return b"data: 1\n\n"

    feed = LiveFeed(render, frame_s=0.01)
    ours, theirs = socket.socketpair()
    assert feed.subscribe(theirs)
    ours.settimeout(DEADLINE_S)
    heard = b""
    while b"data: 1" not in heard:
        heard += ours.recv(64)
    assert heard.startswith(b":\n\n" * 3)
    feed.stop()
    ours.close()
    assert [one.message for one in caplog.records] == ["the operator's page cannot be drawn now"]
