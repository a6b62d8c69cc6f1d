"""Printing never waits for a reader: lines are queued, dropped and counted."""

import fcntl
import os
import subprocess
import sys
import threading

from daemon.shell.process.log_streams import LINE_BYTES_MAX, LogThread, QueuedStream


def test_lines_come_out_whole_and_in_order() -> None:
    reader, writer = os.pipe()
    thread = LogThread()
    thread.start()
    stream = QueuedStream(thread, writer)
    print("one", 2, file=stream)
    print("three ", end="", file=stream)
    print("four", file=stream)
    print("half", end="", file=stream)
    stream.finish()
    assert thread.drain(60)
    os.close(writer)
    with os.fdopen(reader, "rb") as source:
        assert source.read() == b"one 2\nthree four\nhalf\n"


def test_what_no_encoding_can_say_is_escaped() -> None:
    reader, writer = os.pipe()
    thread = LogThread()
    thread.start()
    print("\udc80 ü 币", file=QueuedStream(thread, writer))
    assert thread.drain(60)
    assert os.read(reader, 100) == "\\udc80 ü 币\n".encode()


def test_a_full_pipe_holds_nobody_up_and_what_is_lost_is_counted_and_told() -> None:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4_096)
    thread = LogThread(lines_max=100)
    thread.start()
    stream = QueuedStream(thread, writer)
    for number in range(10_000):
        print(f"{number} " + "x" * 100, file=stream)
    assert thread.dropped > 9_000 - 100
    assert not thread.drain(0.05)
    seen = bytearray()

    def read() -> None:
        while b"lines were dropped" not in seen and len(seen) < 4_096:
            seen.extend(os.read(reader, 65_536))
        while chunk := os.read(reader, 65_536):
            seen.extend(chunk)

    helper = threading.Thread(target=read, daemon=True)
    helper.start()
    assert thread.drain(60)
    os.close(writer)
    helper.join(60)
    kept = [line for line in seen.split(b"\n") if line.endswith(b"x")]
    assert kept[0].startswith(b"0 x")
    assert len(kept) + thread.dropped == 10_000


def test_a_dead_pipe_a_full_device_and_a_closed_descriptor_lose_the_line_only() -> None:
    reader, dead = os.pipe()
    os.close(reader)
    full = os.open("/dev/full", os.O_WRONLY)
    closed = os.dup(full)
    os.close(closed)
    for descriptor in (dead, full, closed):
        thread = LogThread()
        thread.start()
        thread.put(descriptor, b"line")
        assert thread.drain(60)
        assert thread.dropped == 1


def test_a_pipe_that_somebody_made_non_blocking_gets_every_line() -> None:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4_096)
    os.set_blocking(writer, False)
    thread = LogThread()
    thread.start()
    for _ in range(100):
        thread.put(writer, b"y" * 999)
    seen = 0
    while seen < 100_000:
        seen += len(os.read(reader, 65_536))
    assert thread.drain(60)
    assert thread.dropped == 0


def test_a_line_without_end_is_cut_and_does_not_grow_for_ever() -> None:
    thread = LogThread()
    stream = QueuedStream(thread, 1)
    for _ in range(3):
        stream.write("z" * LINE_BYTES_MAX)
    assert len(stream._part) <= LINE_BYTES_MAX
    assert thread._queued >= 1


def test_closed_standard_descriptors_are_occupied_before_a_file_can_get_them() -> None:
    code = (
        "import os; from daemon.shell.process.log_streams import occupy_standard_descriptors as o\n"
        "o(); made = os.open('/dev/null', os.O_RDONLY); os._exit(0 if made > 2 else 1)"
    )
    for closed in ("0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"):
        command = ["sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, code]
        assert subprocess.run(command, check=False).returncode == 0, closed
