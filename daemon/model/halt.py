"""The one flag that every stop path closes and every sending path checks (promise P7)."""


class HaltFlag:
    """Closed by any thread, opened only by the engine's re-arm. Reading it is one attribute load.

    The interceptor refuses every placement while it is closed, and so does the session at the
    moment of writing: a strategy that wakes up after the kill finds both doors shut. There is no
    lock: a bool store is atomic, and closing is idempotent.
    """

    __slots__ = ("closed", "reason")

    def __init__(self) -> None:
        self.closed = False
        self.reason = ""

    def look(self) -> bool:
        """Whether it is closed by the latest word there is: asked directly before bytes leave.

        The daemon's own flag (`daemon.shell.stop.kill_latch.LatchHalt`) looks at the latch on the
        disk as well: another process may have latched while a turn of ours took its time.
        """
        return self.closed

    def close(self, reason: str) -> None:
        """Shut the gate; the first reason is kept."""
        if not self.closed:
            self.reason = reason
        self.closed = True

    def open(self) -> None:
        """Only after an operator's re-arm."""
        self.closed = False
        self.reason = ""
