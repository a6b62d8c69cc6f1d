"""Sends one message through Apprise, as a process of its own: `python -m` with JSON on stdin.

A service that answers without an end, or never, holds this process alone; whoever started it waits
for a deadline and kills it. stdin: `{"url", "title", "body", "level"}`; without a title the url is
only read. Exit codes: 0 the service took it (the url can be read), 1 it did not, 2 Apprise knows no
such url. Nothing is printed: a url holds a token. A redirect is not followed: the message would go
to an address that nobody has named.
"""

import json
import logging
import os
import resource
import sys
from collections.abc import Iterator
from typing import Any

from daemon.shell.health.notices import NoticeLevel

SENT, NOT_SENT, NO_SERVICE = 0, 1, 2
MEMORY_BYTES_MAX = 256 * 1024 * 1024


def _no_further(*_: Any, **__: Any) -> Iterator[Any]:
    return iter(())


def main() -> int:
    """Read the message, send it, and return the exit code."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    logging.disable(logging.CRITICAL)  # Apprise and what it stands on log urls
    told = json.loads(sys.stdin.read())
    import apprise  # noqa: PLC0415 - after the limit
    import requests  # noqa: PLC0415 - Apprise's own way out

    kinds = {
        NoticeLevel.INFO: apprise.NotifyType.INFO,
        NoticeLevel.WARNING: apprise.NotifyType.WARNING,
        NoticeLevel.CRITICAL: apprise.NotifyType.FAILURE,
    }
    service = apprise.Apprise()
    if not service.add(told["url"]):
        return NO_SERVICE
    if "title" not in told:
        return SENT
    # Apprise has no word for it: a session that finds no further address takes the answer as it is.
    requests.Session.resolve_redirects = _no_further  # type: ignore[assignment]
    kind = kinds[NoticeLevel(told["level"])]
    is_sent = service.notify(title=told["title"], body=told["body"], notify_type=kind)
    return SENT if is_sent else NOT_SENT


if __name__ == "__main__":
    code = NOT_SENT
    try:
        code = main()
    finally:
        os._exit(code)  # its threads may hang: nobody waits for them
