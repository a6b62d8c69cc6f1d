"""The tool's standard streams: the one writer of every command (law: deed before word).

Rules of this file:
1. `install` comes before everything else in the process. It needs no import that a bare interpreter
   lacks, and cannot fail: a stream that is closed becomes /dev/null, so that no socket and no latch
   file ever takes its number.
2. A command that does something calls `deed` before it does it. From then on threads write what
   is said, and nobody waits for them but `end`, one second in all: what cannot be written by then,
   or fails, is dropped, and changes neither what is done nor the exit code.
3. A command that only shows something waits for its reader, as is usual. A reader that has left
   ends it with exit code 0; an output that cannot be written (a full disk) with 1, said on stderr.
4. What the encoding of a stream cannot say is replaced, never raised.
"""

import contextlib
import errno
import io
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import threading

WAIT_S = 1.0
"""So long in all a command that has done its deed waits for its words to be taken."""
_HELD_BYTES_MAX = 8_192
_WAITING_BYTES_MAX = 1 << 20
"""Words that wait for a stream that takes none; more are dropped."""
_IGNORED = (signal.SIGHUP, signal.SIGTTOU, signal.SIGPIPE)
"""A terminal that goes away, or takes no words of the background, does not end a deed."""


class _Target:
    """The file behind one or both streams; it is written directly or by a thread."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._words: list[bytes] = []
        self._waiting = 0
        self._moved: threading.Condition | None = None
        """Whoever adds words or writes them holds it; None: nothing was queued yet."""
        self.fault: OSError | None = None

    def write(self, data: bytes) -> None:
        """Write everything now, however long the reader takes; an error is kept, not raised."""
        view = memoryview(data)
        try:
            while view:
                try:
                    view = view[os.write(self._descriptor, view) :]
                except BlockingIOError:  # somebody else has made it non-blocking
                    self._until_writable()
        except OSError as error:
            self.fault = error

    def say(self, data: bytes) -> None:
        """Queue it for the writing thread; never blocks, never raises."""
        if self.fault is not None or self._waiting > _WAITING_BYTES_MAX:
            return
        if self._moved is None and not self._start():
            return
        if self._moved is not None:
            with self._moved:
                self._waiting += len(data)
                self._words.append(data)
                self._moved.notify_all()

    def drain(self, until_s: float) -> None:
        """Wait until the thread has written everything, or until the deadline."""
        moved = self._moved
        if moved is not None:
            with moved:
                moved.wait_for(lambda: not self._waiting, max(0.0, until_s - time.monotonic()))

    def _start(self) -> bool:
        # Imported here: the first word comes after the deed, and so do its imports.
        import threading  # noqa: PLC0415 - see above

        self._moved = threading.Condition()
        writer = threading.Thread(target=self._run, name="seatrial-words", daemon=True)
        try:
            writer.start()
        except RuntimeError:  # no thread is to be had: the words are lost, the deed is not
            self.fault = OSError(errno.EAGAIN, "no thread")
            self._moved = None
            return False
        return True

    def _run(self) -> None:
        moved = self._moved
        while moved is not None:
            with moved:
                moved.wait_for(lambda: self._words)
                data = b"".join(self._words)
                self._words.clear()
            if self.fault is None:
                self.write(data)
            with moved:
                self._waiting -= len(data)
                moved.notify_all()

    def _until_writable(self) -> None:
        import select  # noqa: PLC0415 - hardly ever needed

        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        poll.poll()


class OutputStream(io.TextIOBase):
    """Stands for `sys.stdout` or `sys.stderr`."""

    def __init__(self, descriptor: int, target: _Target, encoding: str) -> None:
        self._descriptor = descriptor
        self._target = target
        self._encoding = encoding
        self._held = bytearray()
        self._is_terminal = os.isatty(descriptor)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """As the interpreter chose it."""
        return self._encoding

    @property
    def errors(self) -> str:  # type: ignore[override]
        """What the encoding cannot say is replaced."""
        return "replace"

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether a person may look at it."""
        return self._is_terminal

    def writable(self) -> bool:
        """Always true: what does not fit is dropped."""
        return True

    def write(self, text: str | bytes) -> int:
        """Take text; a whole line for a terminal or stderr goes on at once.

        Bytes are taken as they are, but not the empty ones with which click tries whether a stream
        is binary: it would put an encoding of its own before one that is.
        """
        if not isinstance(text, str) and not text:
            raise TypeError("this is a stream of text")
        data = text.encode(self._encoding, "replace") if isinstance(text, str) else text
        self._held += data
        by_line = self._is_terminal or self._descriptor == 2
        if len(self._held) > _HELD_BYTES_MAX or (by_line and b"\n" in data):
            self.flush()
        return len(text)

    def flush(self) -> None:
        """Pass on what is held.

        Raises:
            SystemExit: stdout takes no more, and to show something was all that was to be done.
        """
        data, self._held = bytes(self._held), bytearray()
        if not data:
            return
        if _installed.is_deed:
            self._target.say(data)
            return
        fault_before = self._target.fault
        if fault_before is None:
            self._target.write(data)
        fault = self._target.fault
        if fault is None or self._descriptor == 2:
            return
        if fault.errno == errno.EPIPE:
            raise SystemExit(0)
        if fault_before is None:
            sys.stderr.write(f"seatrial: the output cannot be written: {fault.strerror}\n")
        raise SystemExit(1)


class _Installed:
    """What `install` has made; empty in a process that has not called it."""

    def __init__(self) -> None:
        self.streams: tuple[OutputStream, ...] = ()
        self.targets: tuple[_Target, ...] = ()
        self.is_deed = False


_installed = _Installed()


def install() -> None:
    """Take over the standard streams of this process."""
    given = [getattr(stream, "encoding", None) for stream in (sys.stdout, sys.stderr)]
    encoding = next((name for name in given if name), "utf-8")
    files = [_file_of(descriptor) for descriptor in (0, 1, 2)]
    out = _Target(1)
    err = out if files[1] == files[2] else _Target(2)
    _installed.targets = (out,) if err is out else (out, err)
    _installed.streams = (
        OutputStream(1, out, given[0] or encoding),
        OutputStream(2, err, given[1] or encoding),
    )
    sys.stdout, sys.stderr = _installed.streams
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False), encoding=encoding)


def _file_of(descriptor: int) -> tuple[int, int, int]:
    """Which file a descriptor is; a closed one is made /dev/null."""
    try:
        found = os.fstat(descriptor)
    except OSError:
        try:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one
            found = os.fstat(descriptor)
        except OSError:
            return (-1, -1, descriptor)
    return (found.st_dev, found.st_ino, found.st_rdev)


def deed() -> None:
    """Mark that a command acts now: from here on output neither blocks nor fails it."""
    if not _installed.streams or _installed.is_deed:
        return
    _installed.is_deed = True
    for number in _IGNORED:
        with contextlib.suppress(OSError, ValueError):  # not in the main thread
            signal.signal(number, signal.SIG_IGN)


def say(text: str) -> None:
    """A line for the person at the terminal, on stderr; never raises."""
    with contextlib.suppress(Exception):
        sys.stderr.write(f"seatrial: {text}\n")
        sys.stderr.flush()


def print_json(value: Any) -> None:
    """One line of JSON on stdout; where its encoding lacks a character, escaped."""
    # After the deed; and not orjson, which imports `dataclasses` and with it `inspect`.
    from daemon.model.lean_msgspec import msgspec  # noqa: PLC0415

    text = msgspec.json.encode(value, enc_hook=str).decode()
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        import json  # noqa: PLC0415 - hardly ever needed

        text = json.dumps(json.loads(text))
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def end(code: int) -> NoReturn:
    """End the process with this code, even if output cannot be written."""
    for stream in _installed.streams:
        try:
            stream.flush()
        except SystemExit as lost:
            code = code or int(lost.code or 0)
    if not _installed.is_deed:
        sys.exit(code)
    until_s = time.monotonic() + WAIT_S
    for target in _installed.targets:
        target.drain(until_s)
    # Not sys.exit: it waits for threads, flushes again, and may change the code.
    os._exit(code)


def code_of(ended: SystemExit) -> int:
    """The exit code that Python makes of a SystemExit value; a text is printed."""
    if ended.code is None or isinstance(ended.code, int):
        return ended.code or 0
    say(str(ended.code))
    return 1
