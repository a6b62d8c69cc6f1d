"""Where the tool looks for a daemon: its socket, and the configuration behind it.

The standard library and one word of the model only, imported where they are used: a kill over the
socket asks here for its place alone.
"""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SOCKET_NAME = "control.sock"
RUN_DIRECTORY = "/run/seatrial"
CONFIG_DIRECTORY = "/etc/seatrial"
CONFIG_NAME = "seatrial.toml"
CONFIG_DEADLINE_S = 1.0
"""A configuration on a disk that takes longer holds no stop and no word of one."""


def default_socket(environ: Mapping[str, str] = os.environ) -> str:
    """$SEATRIAL_SOCKET, then $RUNTIME_DIRECTORY/control.sock, then the service's place."""
    if told := environ.get("SEATRIAL_SOCKET"):
        return told
    directory = environ.get("RUNTIME_DIRECTORY", "").split(":")[0] or RUN_DIRECTORY
    return f"{directory}/{SOCKET_NAME}"


def instance_of(socket: "Path") -> str:
    """The unit instance whose socket this is (`seatriald@NAME`), or an empty text."""
    return socket.parent.name if str(socket.parent.parent) == RUN_DIRECTORY else ""


def default_config(socket: "Path", environ: Mapping[str, str] = os.environ) -> "Path | None":
    """$SEATRIAL_CONFIG, then that of the instance whose socket this is, then one beside the state.

    The last is where `seatrial init` puts it; it counts only when it names this state directory.
    """
    from pathlib import Path  # noqa: PLC0415 - a kill over the socket needs none

    if told := environ.get("SEATRIAL_CONFIG"):
        return Path(told)
    instance = instance_of(socket)
    path = Path(CONFIG_DIRECTORY, f"{instance}.toml")
    if instance and _is_there(path):
        return path
    beside = socket.parent.parent / CONFIG_NAME
    return beside if _state_dir_of(beside) == socket.parent.resolve() else None


def state_dir_behind(socket: "Path") -> "Path | None":
    """The state directory of the daemon at a socket, where its configuration can be found here."""
    config = default_config(socket)
    return None if config is None else _state_dir_of(config)


def _config_in_time(socket: "Path") -> str:
    """`default_config`, or an empty text where there is none or the disk is not in time."""
    from control.tool.isolated_work import Aside  # noqa: PLC0415 - for words only, after the deed

    aside = Aside(lambda: iter([str(default_config(socket) or "")]))
    told: str = next(aside.answers(CONFIG_DEADLINE_S), "")
    aside.close()
    return told


def _is_there(config: "Path") -> bool:
    """Where a stopper may not look there may be one; a kill over the socket needs no file."""
    try:
        return config.is_file()
    except PermissionError:
        return True


def _state_dir_of(config: "Path") -> "Path | None":
    import tomllib  # noqa: PLC0415 - a kill over the socket needs none

    from daemon.model.config_paths import base_of, place_of  # noqa: PLC0415 - as above
    from daemon.model.user_text import text_of  # noqa: PLC0415 - as above

    try:
        data = tomllib.loads(text_of(config.read_bytes()))
        return place_of(data["state_dir"], base_of(config)).resolve()
    except (OSError, KeyError, TypeError, ValueError):
        return None


def direct_command(socket: "Path | str", config: "Path | str | None") -> str:
    """What to type to stop without the daemon.

    Where there is a unit, its own way: only it is handed the unit's keys.
    """
    from pathlib import Path  # noqa: PLC0415 - said after the deed

    socket = Path(socket)
    written = str(config or "") or _config_in_time(socket)
    instance = instance_of(socket)
    if instance and written == f"{CONFIG_DIRECTORY}/{instance}.toml":
        return f"systemctl start seatrial-cancel@{instance}"
    return f"seatrial kill --direct --config {written or 'FILE'}"
