"""The feed: one rendering for all who look, and nobody who does not read holds the others."""

import socket
import threading

from daemon.shell.page.live_feed import LiveFeed

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
    while len(feed._sockets) > 1 or heard < 3 * len(frame):
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
    while feed._sockets:
        assert not deadline.wait(0.001)
    feed._awake.clear()
    frames.clear()
    assert not frames.wait(0.1)
    feed.stop()


def test_after_the_stop_nobody_is_taken() -> None:
    feed = LiveFeed(lambda: b"", frame_s=0.01)
    feed.stop()
    ours, theirs = socket.socketpair()
    assert feed.is_full
    assert not feed.subscribe(theirs)
    ours.close()
    theirs.close()
