"""The TLS of our own sessions to the venue and to witnesses."""

import contextlib
import os
import ssl


def tls_of(scheme: str) -> ssl.SSLContext | bool:
    """What a session is given as `ssl`: for TLS, a context with the system's authorities.

    Reading them takes 17 ms.
    """
    if scheme not in ("https", "wss"):
        return True  # aiohttp's own word for the default; nothing asks for it
    return _context()


def tls_on_demand() -> ssl.SSLContext:
    """A context with the system's directory of authorities: the one that a peer names is read.

    It trusts nobody whom that of `tls_of` does not trust. It lacks those that stand in the
    system's bundle alone; where the directory has none by name (`HASH.0`), it is that of `tls_of`.
    """
    directory = ssl.get_default_verify_paths().capath
    with contextlib.suppress(OSError):
        if directory and any(name.endswith(".0") for name in os.listdir(directory)):  # noqa: PTH208 - a stop waits for every import
            return _context(directory)
    return _context()


def _context(directory: str | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(capath=directory)
    context.set_alpn_protocols(("http/1.1",))
    return context
