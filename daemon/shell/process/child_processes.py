"""Lets the kernel end a child process when its parent is gone.

Where the kernel cannot be asked (not Linux), only our own orderly end stops a child.
"""

import ctypes
import os
import signal
import threading
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def end_with_parent() -> Callable[[], None] | None:
    """For `Popen(preexec_fn=...)`: SIGKILL for the child once its parent is dead.

    The kernel means the thread that forked, so a child of any other than the main thread, which may
    end before the process, gets none.
    """
    if threading.current_thread() is not threading.main_thread():
        return None
    try:
        prctl = ctypes.CDLL(None).prctl  # looked up here: a forked child may only call it
    except (OSError, AttributeError):
        return None
    parent = os.getpid()

    def ask_the_kernel() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before the kernel was asked
            os._exit(1)

    return ask_the_kernel
