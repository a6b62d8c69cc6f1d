"""The TLS of our own sessions to the venue and to witnesses."""

import ssl


def tls_of(scheme: str) -> ssl.SSLContext | bool:
    """What a session is given as `ssl`: for TLS, a context with the system's authorities.

    Reading them takes 17 ms.
    """
    if scheme not in ("https", "wss"):
        return True  # aiohttp's own word for the default; nothing asks for it
    context = ssl.create_default_context()
    context.set_alpn_protocols(("http/1.1",))
    return context
