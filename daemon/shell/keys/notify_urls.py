"""Where the urls of `[notify]` come from: they hold tokens, and are kept like keys."""

import os
from collections.abc import Mapping
from pathlib import Path

from daemon.errors import CredentialsRefused
from daemon.settings_notify import URLS_MAX, NotifySettings
from daemon.shell.keys.credentials import private_bytes, read_systemd

_NAME = "notify_urls"


def notify_urls(
    settings: NotifySettings, environ: Mapping[str, str] = os.environ
) -> tuple[str, ...]:
    """The urls: the systemd credential's, else the file's, else those of the configuration.

    Raises:
        CredentialsRefused: a file cannot be read or others may read it; no url is quoted.
    """
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if directory and (Path(directory) / _NAME).exists():
        where, text = _NAME, read_systemd(Path(directory), (_NAME,))[_NAME]
    elif settings.urls_file is not None:
        raw = private_bytes(settings.urls_file, "notify.urls_file")
        where, text = str(settings.urls_file), raw.decode(errors="replace")
    else:
        return tuple(url.get_secret_value() for url in settings.urls)
    lines = (line.strip() for line in text.splitlines())
    found = tuple(line for line in lines if line and not line.startswith("#"))
    if len(found) > URLS_MAX:
        raise CredentialsRefused(f"{where}: {len(found)} urls; {URLS_MAX} at most")
    return found
