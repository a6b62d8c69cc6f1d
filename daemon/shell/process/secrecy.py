"""What keeps the keys inside this process: no core dump, no debugger of another user.

Where the kernel cannot be asked (not Linux, a sandbox that forbids prctl), the limit alone holds.
"""

import contextlib
import ctypes
import resource

_PR_SET_DUMPABLE = 4


def forbid_core_dumps() -> None:
    """Have the kernel never write this process's memory to a disk or a dump collector.

    Call before a key is read. The limit stops core files, and children inherit it; the flag also
    stops collectors that take dumps through a pipe, for which the limit does not count.
    """
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
