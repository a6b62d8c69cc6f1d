"""aiohttp, imported without the system's certificate authorities, and the TLS of our sessions.

aiohttp makes two TLS contexts when it is imported, and each of them reads every authority of the
system: an eighth of a start, whether or not anybody speaks TLS. OpenSSL's own variable hides them
for as long as the import takes. So every session of ours brings the TLS that `tls_of` makes; one
that forgets it trusts nobody, and fails closed.
"""

import os

from daemon.shell.process.tls_context import tls_of

_AUTHORITIES = "SSL_CERT_FILE"

_named = os.environ.get(_AUTHORITIES)
os.environ[_AUTHORITIES] = os.devnull
try:
    import aiohttp
finally:
    del os.environ[_AUTHORITIES]
    if _named is not None:
        os.environ[_AUTHORITIES] = _named

__all__ = ["aiohttp", "tls_of"]
